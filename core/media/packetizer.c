// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/media/packetizer.h"

#include "core/base/status.h"
#include "core/fec/gf16.h"
#include "core/fec/gf8.h"
#include "core/media/geometry.h"
#include "core/wire/video_header.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

struct pfk_packetizer {
    struct pfk_plane plane;
    size_t max_au_bytes;
    struct pfk_aead *aead; // NULL on a plain data plane
    struct pfk_gf16 *gf16;
    struct pfk_gf8 *gf8;
    uint64_t sequence; // of the next datagram to be sealed
    uint32_t packet_counter, video_index, probe_index;
    uint8_t *arena; // datagrams of the current unit, back to back
    size_t stride;
    unsigned n_datagrams, n_sealed;
    size_t room;
    const uint8_t **data; // shard addresses of the current unit
    uint8_t **parity;
};

int pfk_packetizer_create(struct pfk_packetizer **out, const struct pfk_plane *plane,
                          size_t max_au_bytes)
{
    *out = NULL;
    if (!pfk_plane_valid(plane) || max_au_bytes > UINT32_MAX) {
        return PFK_E_INVALID;
    }
    struct pfk_packetizer *p = calloc(1, sizeof(*p));
    if (!p) {
        return PFK_E_NOMEM;
    }
    p->plane = *plane;
    p->max_au_bytes = max_au_bytes;
    p->stride =
        PFK_VIDEO_HEADER_BYTES + plane->shard_bytes + (plane->encrypted ? PFK_SEAL_BYTES : 0u);
    int err =
        plane->field == PFK_FEC_GF16 ? pfk_gf16_create(&p->gf16, NULL) : pfk_gf8_create(&p->gf8);
    if (err == 0 && plane->encrypted) {
        err = pfk_aead_create(&p->aead, &plane->key, PFK_HOST_TO_CLIENT);
    }
    if (err != 0) {
        pfk_packetizer_destroy(p);
        return err;
    }
    *out = p;
    return 0;
}

void pfk_packetizer_destroy(struct pfk_packetizer *p)
{
    if (!p) {
        return;
    }
    pfk_aead_destroy(p->aead);
    pfk_gf16_destroy(p->gf16);
    pfk_gf8_destroy(p->gf8);
    free(p->arena);
    free(p->data);
    free(p->parity);
    gnutls_memset(&p->plane.key, 0, sizeof(p->plane.key));
    free(p);
}

uint32_t pfk_packetizer_next_index(const struct pfk_packetizer *p)
{
    return p->video_index;
}

// Grows in powers of two, so that a stream settles after its first key frames.
static int reserve(struct pfk_packetizer *p, size_t n)
{
    if (n <= p->room) {
        return 0;
    }
    size_t room = p->room ? p->room : 64;
    while (room < n) {
        room *= 2;
    }
    uint8_t *arena = aligned_alloc(64, (room * p->stride + 63) / 64 * 64);
    const uint8_t **data = malloc(room * sizeof(*data));
    uint8_t **parity = malloc(room * sizeof(*parity));
    if (!arena || !data || !parity) {
        free(arena);
        free(data);
        free(parity);
        return PFK_E_NOMEM;
    }
    free(p->arena);
    free(p->data);
    free(p->parity);
    p->arena = arena;
    p->data = data;
    p->parity = parity;
    p->room = room;
    return 0;
}

static uint8_t *text_at(const struct pfk_packetizer *p, unsigned i)
{
    return p->arena + i * p->stride + (p->plane.encrypted ? PFK_SEQ_BYTES : 0);
}

static uint8_t *shard_at(const struct pfk_packetizer *p, unsigned i)
{
    return text_at(p, i) + PFK_VIDEO_HEADER_BYTES;
}

static void write_header(struct pfk_packetizer *p, unsigned i, struct pfk_video_header *h)
{
    uint8_t bytes[PFK_VIDEO_HEADER_BYTES];
    struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
    h->packet_counter = p->packet_counter + i;
    h->packet_flags = PFK_PACKET_ALWAYS;
    if (h->block_index == 0 && h->shard_index == 0) {
        h->packet_flags |= PFK_PACKET_FIRST;
    }
    if (i + 1 == p->n_datagrams) {
        h->packet_flags |= PFK_PACKET_LAST;
    }
    pfk_video_header_emit(h, &w);
    memcpy(text_at(p, i), bytes, sizeof(bytes));
}

// The access unit into the data shards of its datagrams; the last one padded with zeros.
static void copy_data(struct pfk_packetizer *p, const uint8_t *au, size_t au_bytes, unsigned n_data)
{
    size_t shard_bytes = p->plane.shard_bytes;
    for (unsigned i = 0; i < n_data; i++) {
        uint8_t *shard = shard_at(p, i);
        size_t left = au_bytes - i * shard_bytes;
        size_t n = left < shard_bytes ? left : shard_bytes;
        if (n) {
            memcpy(shard, au + i * shard_bytes, n);
        }
        memset(shard + n, 0, shard_bytes - n);
        p->data[i] = shard;
    }
}

static int encode_block(struct pfk_packetizer *p, unsigned k, unsigned m, const uint8_t **data,
                        uint8_t **parity)
{
    size_t bytes = p->plane.shard_bytes;
    return p->gf16 ? pfk_gf16_encode(p->gf16, k, m, bytes, data, parity)
                   : pfk_gf8_encode(p->gf8, k, m, bytes, data, parity);
}

int pfk_packetize(struct pfk_packetizer *p, const uint8_t *au, size_t au_bytes,
                  const struct pfk_au_meta *meta, struct pfk_datagrams *out)
{
    struct pfk_geometry g = pfk_geometry_of(&p->plane, au_bytes);
    if (au_bytes > p->max_au_bytes || g.n_blocks > UINT16_MAX || meta->percent > PFK_MAX_PERCENT) {
        return PFK_E_SIZE;
    }
    unsigned n_data = (unsigned)g.n_data, n_parity = 0;
    for (unsigned b = 0; b < g.n_blocks; b++) {
        n_parity +=
            pfk_geometry_block_m(&p->plane, pfk_geometry_block_k(&p->plane, &g, b), meta->percent);
    }
    int err = reserve(p, n_data + n_parity);
    if (err != 0) {
        return err;
    }
    p->n_datagrams = n_data + n_parity;
    p->n_sealed = 0;
    copy_data(p, au, au_bytes, n_data);

    bool probe = meta->flags & PFK_AU_PROBE;
    struct pfk_video_header h = {
        .pts_ns = meta->pts_ns,
        .frame_index = probe ? p->probe_index : p->video_index,
        .au_bytes = (uint32_t)au_bytes,
        .au_flags = meta->flags,
        .block_count = (uint16_t)g.n_blocks,
        .shard_bytes = p->plane.shard_bytes,
        .field = (uint8_t)p->plane.field,
    };
    unsigned data_at = 0, parity_at = n_data;
    for (unsigned b = 0; b < g.n_blocks; b++) {
        unsigned k = pfk_geometry_block_k(&p->plane, &g, b);
        unsigned m = pfk_geometry_block_m(&p->plane, k, meta->percent);
        h.block_index = (uint16_t)b;
        h.n_data = (uint16_t)k;
        h.n_parity = (uint16_t)m;
        for (unsigned s = 0; s < k + m; s++) {
            h.shard_index = (uint16_t)s;
            write_header(p, s < k ? data_at + s : parity_at + s - k, &h);
        }
        for (unsigned j = 0; j < m; j++) {
            p->parity[j] = shard_at(p, parity_at + j);
        }
        err = encode_block(p, k, m, p->data + data_at, p->parity);
        if (err != 0) {
            p->n_datagrams = 0; // nothing that could be sealed
            return err;
        }
        data_at += k;
        parity_at += m;
    }
    *(probe ? &p->probe_index : &p->video_index) += 1;
    p->packet_counter += p->n_datagrams;
    *out = (struct pfk_datagrams){p->arena, p->stride, p->n_datagrams};
    return 0;
}

int pfk_packetizer_seal(struct pfk_packetizer *p, unsigned first, unsigned n)
{
    if (first < p->n_sealed || first > p->n_datagrams || n > p->n_datagrams - first) {
        return PFK_E_INVALID;
    }
    p->n_sealed = first + n;
    for (unsigned i = first; p->aead && i < first + n; i++) {
        int err = pfk_aead_seal(p->aead, p->sequence++, p->arena + i * p->stride,
                                PFK_VIDEO_HEADER_BYTES + p->plane.shard_bytes);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}
