// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/media/reassembler.h"

#include "core/base/status.h"
#include "core/fec/gf16.h"
#include "core/fec/gf8.h"
#include "core/media/geometry.h"
#include "core/media/replay.h"
#include "core/media/unit.h"
#include "core/wire/video_header.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW_FRAMES = 64,
    SLOTS = 128, // a power of two above WINDOW_FRAMES + 1, so that no two live indexes share one
    MAX_DATAGRAM = 2048
};

static const uint64_t window_ns = 120000000;

enum slot_state { SLOT_EMPTY = 0, SLOT_OPEN, SLOT_DONE, SLOT_LOST };

struct slot {
    enum slot_state state;
    uint32_t n_recovered;     // of a finished unit: rebuilt shards that have not come late yet
    struct pfk_rx_unit *unit; // while open
};

struct pfk_reassembler {
    struct pfk_reassembler_config cfg;
    struct pfk_aead *aead; // NULL on a plain data plane
    struct pfk_gf16 *gf16;
    struct pfk_gf8 *gf8;
    struct pfk_replay replay;
    uint64_t max_au_bytes, max_blocks;
    unsigned max_shards;
    uint32_t base, span; // live indexes: base .. base + span - 1, at most WINDOW_FRAMES + 1
    uint64_t newest_pts_ns;
    struct slot slots[SLOTS];
    struct pfk_unit_pool pool;
    struct pfk_rx_unit *done_head, **done_tail;
    uint8_t **data; // for the decoder, one block: K, K and max_shards entries
    bool *have;
    const uint8_t **parity;
    struct pfk_reassembler_stats stats;
};

// Largest access unit accepted, F of section 5.6.
static uint64_t au_limit(uint32_t bitrate_kbps, uint32_t hz)
{
    const uint64_t least = 8u << 20, most = 64u << 20;
    uint64_t f = 4ull * bitrate_kbps * 125 / (hz ? hz : 1);
    return bitrate_kbps == 0 || f > most ? most : f < least ? least : f;
}

int pfk_reassembler_create(struct pfk_reassembler **out, const struct pfk_reassembler_config *cfg)
{
    *out = NULL;
    if (!pfk_plane_valid(&cfg->plane)) {
        return PFK_E_INVALID;
    }
    struct pfk_reassembler *r = calloc(1, sizeof(*r));
    if (!r) {
        return PFK_E_NOMEM;
    }
    r->cfg = *cfg;
    r->max_au_bytes = au_limit(cfg->bitrate_kbps, cfg->hz);
    r->max_blocks = pfk_geometry_of(&cfg->plane, r->max_au_bytes).n_blocks;
    r->max_shards = cfg->plane.field == PFK_FEC_GF16
                        ? pfk_geometry_max_shards(&cfg->plane, PFK_MAX_PERCENT)
                        : PFK_GF8_MAX_SHARDS;
    pfk_unit_pool_init(&r->pool, 4 * r->max_au_bytes);
    r->done_tail = &r->done_head;
    r->data = calloc(cfg->plane.max_data_shards, sizeof(*r->data));
    r->have = calloc(cfg->plane.max_data_shards, sizeof(*r->have));
    r->parity = calloc(r->max_shards, sizeof(*r->parity));
    int err = r->data && r->have && r->parity ? 0 : PFK_E_NOMEM;
    if (err == 0) {
        err = cfg->plane.field == PFK_FEC_GF16 ? pfk_gf16_create(&r->gf16, NULL)
                                               : pfk_gf8_create(&r->gf8);
    }
    if (err == 0 && cfg->plane.encrypted) {
        err = pfk_aead_create(&r->aead, &cfg->plane.key, PFK_HOST_TO_CLIENT);
    }
    if (err != 0) {
        pfk_reassembler_destroy(r);
        return err;
    }
    *out = r;
    return 0;
}

void pfk_reassembler_destroy(struct pfk_reassembler *r)
{
    if (!r) {
        return;
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        pfk_unit_free(r->slots[i].unit);
    }
    for (struct pfk_rx_unit *u = r->done_head, *next; u; u = next) {
        next = u->next;
        pfk_unit_free(u);
    }
    pfk_unit_pool_finish(&r->pool);
    pfk_aead_destroy(r->aead);
    pfk_gf16_destroy(r->gf16);
    pfk_gf8_destroy(r->gf8);
    free(r->data);
    free(r->have);
    free(r->parity);
    gnutls_memset(&r->cfg.plane.key, 0, sizeof(r->cfg.plane.key));
    free(r);
}

// A unit leaves the window: lost when it did not complete, also when nothing of it ever came.
static void retire(struct pfk_reassembler *r, struct slot *s)
{
    if (s->state == SLOT_OPEN || s->state == SLOT_EMPTY) {
        r->stats.frames_lost++;
    }
    if (s->unit) {
        pfk_unit_close(&r->pool, s->unit);
        pfk_unit_return(&r->pool, s->unit);
    }
    *s = (struct slot){0};
}

static void give_up(struct pfk_reassembler *r, struct slot *s)
{
    retire(r, s);
    s->state = SLOT_LOST;
}

static bool older_than_window(uint64_t pts_ns, uint64_t newest_pts_ns)
{
    return newest_pts_ns > pts_ns && newest_pts_ns - pts_ns > window_ns;
}

// The index `offset` above base is the newest of all: the window moves up to it.
static void advance(struct pfk_reassembler *r, uint32_t offset, uint64_t pts_ns)
{
    r->newest_pts_ns = pts_ns;
    r->span = offset + 1;
    if (r->span > WINDOW_FRAMES + 1) {
        uint32_t leaving = r->span - (WINDOW_FRAMES + 1);
        uint32_t known = leaving < SLOTS ? leaving : SLOTS;
        for (uint32_t i = 0; i < known; i++) {
            retire(r, &r->slots[(r->base + i) % SLOTS]);
        }
        r->stats.frames_lost += leaving - known; // of a great jump: nothing of these was ever seen
        r->base += leaving;
        r->span = WINDOW_FRAMES + 1;
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slots[i];
        if (s->state == SLOT_OPEN && older_than_window(s->unit->pub.pts_ns, pts_ns)) {
            give_up(r, s);
        }
    }
}

// Moves the window when `index` is newer than all before, by wrapping comparison. False: it lies
// before the window.
static bool in_window(struct pfk_reassembler *r, uint32_t index, uint64_t pts_ns)
{
    if (r->span == 0 && index >= INT32_MAX) {
        r->base = index; // the first of all, and too far from 0 for anything to be missing before
    }
    uint32_t newest = r->base + r->span - 1;
    if (index != newest && index - newest < 1u << 31) {
        advance(r, index - r->base, pts_ns);
        return true;
    }
    return newest - index < r->span;
}

// Rules 2 to 4: everything the header claims, before memory is taken because of it.
static bool geometry_good(const struct pfk_reassembler *r, const struct pfk_video_header *h)
{
    const struct pfk_plane *plane = &r->cfg.plane;
    unsigned shards = (unsigned)h->n_data + h->n_parity;
    if (h->n_data < 1 || h->n_data > plane->max_data_shards || shards > r->max_shards ||
        h->shard_index >= shards) {
        return false;
    }
    if (h->au_bytes > r->max_au_bytes || h->block_index >= h->block_count ||
        h->block_count > r->max_blocks) {
        return false;
    }
    struct pfk_geometry g = pfk_geometry_of(plane, h->au_bytes);
    return h->block_count == g.n_blocks &&
           h->n_data == pfk_geometry_block_k(plane, &g, h->block_index);
}

static bool open_slot(struct pfk_reassembler *r, struct slot *s, const struct pfk_video_header *h,
                      uint64_t now_ns)
{
    struct pfk_geometry g = pfk_geometry_of(&r->cfg.plane, h->au_bytes);
    struct pfk_rx_unit *u = pfk_unit_open(&r->pool, &g, r->cfg.plane.shard_bytes);
    if (!u) {
        return false;
    }
    u->pub.n_bytes = h->au_bytes;
    u->pub.pts_ns = h->pts_ns;
    u->pub.index = h->frame_index;
    u->pub.flags = h->au_flags;
    u->pub.n_shards = (uint32_t)g.n_data;
    u->pub.first_rx_ns = now_ns;
    *s = (struct slot){.state = SLOT_OPEN, .unit = u};
    return true;
}

static uint8_t *shard_of(const struct pfk_reassembler *r, const struct pfk_rx_unit *u, size_t shard)
{
    return u->pub.bytes + shard * r->cfg.plane.shard_bytes;
}

static enum pfk_rx_outcome store_data(struct pfk_reassembler *r, struct pfk_rx_unit *u,
                                      struct pfk_rx_block *b, const struct pfk_video_header *h,
                                      const uint8_t *payload)
{
    size_t shard = (size_t)h->block_index * r->cfg.plane.max_data_shards + h->shard_index;
    if (u->shard_state[shard] == PFK_SHARD_RECOVERED) {
        u->shard_state[shard] = PFK_SHARD_RECEIVED;
        u->n_late++;
        r->stats.shards_late++;
        return PFK_RX_LATE;
    }
    if (u->shard_state[shard] == PFK_SHARD_RECEIVED) {
        return PFK_RX_DUPLICATE;
    }
    memcpy(shard_of(r, u, shard), payload, r->cfg.plane.shard_bytes);
    u->shard_state[shard] = PFK_SHARD_RECEIVED;
    b->n_data++;
    return PFK_RX_ACCEPTED;
}

static enum pfk_rx_outcome store_parity(struct pfk_reassembler *r, struct pfk_rx_unit *u,
                                        struct pfk_rx_block *b, const struct pfk_video_header *h,
                                        const uint8_t *payload)
{
    unsigned j = h->shard_index - (unsigned)b->k;
    if (b->done) {
        return PFK_RX_LATE;
    }
    if (u->parity_slot[b->parity_base + j]) {
        return PFK_RX_DUPLICATE;
    }
    return pfk_unit_add_parity(&r->pool, u, b, j, payload, r->cfg.plane.shard_bytes)
               ? PFK_RX_ACCEPTED
               : PFK_RX_MEMORY;
}

// Rebuilds the missing data shards of a block that has k shards in all. False: the block is lost.
static bool repair(struct pfk_reassembler *r, struct pfk_rx_unit *u, size_t block)
{
    struct pfk_rx_block *b = &u->blocks[block];
    size_t bytes = r->cfg.plane.shard_bytes, first = block * r->cfg.plane.max_data_shards;
    if (!pfk_geometry_codable(&r->cfg.plane, b->k, b->m)) {
        return false;
    }
    for (unsigned i = 0; i < b->k; i++) {
        r->data[i] = shard_of(r, u, first + i);
        r->have[i] = u->shard_state[first + i] != PFK_SHARD_MISSING;
    }
    for (unsigned j = 0; j < b->m; j++) {
        uint32_t slot = u->parity_slot[b->parity_base + j];
        r->parity[j] = slot ? u->parity + (slot - 1) * bytes : NULL;
    }
    int err = r->gf16 ? pfk_gf16_decode(r->gf16, b->k, b->m, bytes, r->data, r->have, r->parity)
                      : pfk_gf8_decode(r->gf8, b->k, b->m, bytes, r->data, r->have, r->parity);
    if (err != 0) {
        return false;
    }
    for (unsigned i = 0; i < b->k; i++) {
        if (!r->have[i]) {
            u->shard_state[first + i] = PFK_SHARD_RECOVERED;
        }
    }
    u->pub.n_recovered += b->k - b->n_data;
    r->stats.shards_recovered += b->k - b->n_data;
    return true;
}

static void finish(struct pfk_reassembler *r, struct slot *s)
{
    struct pfk_rx_unit *u = s->unit;
    pfk_unit_close(&r->pool, u);
    *s = (struct slot){.state = SLOT_DONE, .n_recovered = u->pub.n_recovered - u->n_late};
    r->stats.frames_completed++;
    *r->done_tail = u;
    r->done_tail = &u->next;
}

// Rules 6 and 7, then the shard goes to its place.
static enum pfk_rx_outcome store(struct pfk_reassembler *r, struct slot *s,
                                 const struct pfk_video_header *h, const uint8_t *payload,
                                 uint64_t now_ns)
{
    struct pfk_rx_unit *u = s->unit;
    struct pfk_rx_block *b = &u->blocks[h->block_index];
    // The exact geometry makes the block count follow from the size.
    if (u->pub.n_bytes != h->au_bytes || (b->started && b->m != h->n_parity)) {
        return PFK_RX_MISMATCH;
    }
    if (!b->started && !pfk_unit_start_block(&r->pool, u, b, h->n_data, h->n_parity)) {
        return PFK_RX_MEMORY;
    }
    enum pfk_rx_outcome outcome =
        h->shard_index < b->k ? store_data(r, u, b, h, payload) : store_parity(r, u, b, h, payload);
    if (outcome != PFK_RX_ACCEPTED || b->n_data + b->n_parity < b->k) {
        return outcome;
    }
    u->pub.last_rx_ns = now_ns;
    if (b->n_data < b->k && !repair(r, u, h->block_index)) {
        give_up(r, s);
        return outcome;
    }
    b->done = true;
    if (++u->n_blocks_done == u->n_blocks) {
        finish(r, s);
    }
    return outcome;
}

// Rule 5, then the unit's slot.
static enum pfk_rx_outcome place(struct pfk_reassembler *r, const struct pfk_video_header *h,
                                 const uint8_t *payload, uint64_t now_ns)
{
    if (!in_window(r, h->frame_index, h->pts_ns)) {
        return PFK_RX_LATE;
    }
    struct slot *s = &r->slots[h->frame_index % SLOTS];
    if (s->state == SLOT_EMPTY && older_than_window(h->pts_ns, r->newest_pts_ns)) {
        give_up(r, s);
    }
    if (s->state == SLOT_DONE || s->state == SLOT_LOST) {
        // Sealed datagrams come here once each, so this data shard is one that was rebuilt. Plain
        // ones may be copies: never more than were rebuilt are believed.
        if (s->n_recovered > 0 && h->shard_index < h->n_data) {
            s->n_recovered--;
            r->stats.shards_late++;
        }
        return PFK_RX_LATE;
    }
    if (s->state == SLOT_EMPTY && !open_slot(r, s, h, now_ns)) {
        return PFK_RX_MEMORY;
    }
    return store(r, s, h, payload, now_ns);
}

// Bytes of the access unit in this shard: padding and parity carry none.
static uint64_t payload_bytes(const struct pfk_reassembler *r, const struct pfk_video_header *h)
{
    uint64_t shard = (uint64_t)h->block_index * r->cfg.plane.max_data_shards + h->shard_index;
    uint64_t at = shard * r->cfg.plane.shard_bytes;
    if (h->shard_index >= h->n_data || at >= h->au_bytes) {
        return 0;
    }
    uint64_t left = h->au_bytes - at;
    return left < r->cfg.plane.shard_bytes ? left : r->cfg.plane.shard_bytes;
}

static enum pfk_rx_outcome open_datagram(struct pfk_reassembler *r, uint8_t *datagram,
                                         size_t *n_bytes, uint8_t **text)
{
    if (*n_bytes > MAX_DATAGRAM || *n_bytes < PFK_SEAL_BYTES) {
        return PFK_RX_SHORT;
    }
    *text = datagram;
    if (!r->aead) {
        return PFK_RX_ACCEPTED;
    }
    uint64_t sequence;
    if (pfk_aead_open(r->aead, datagram, *n_bytes, &sequence) != 0) {
        return PFK_RX_NOT_AUTHENTIC;
    }
    if (!pfk_replay_fresh(&r->replay, sequence)) {
        return PFK_RX_REPLAYED;
    }
    *text = datagram + PFK_SEQ_BYTES;
    *n_bytes -= PFK_SEAL_BYTES;
    return PFK_RX_ACCEPTED;
}

static enum pfk_rx_outcome take(struct pfk_reassembler *r, uint8_t *datagram, size_t bytes,
                                uint64_t now_ns)
{
    uint8_t *text;
    size_t n = bytes;
    enum pfk_rx_outcome outcome = open_datagram(r, datagram, &n, &text);
    if (outcome != PFK_RX_ACCEPTED) {
        return outcome;
    }
    r->stats.bytes_received += bytes;
    if (n < PFK_VIDEO_HEADER_BYTES + (size_t)r->cfg.plane.shard_bytes) {
        return PFK_RX_SHORT;
    }
    struct pfk_reader reader = pfk_reader_init(text, n);
    struct pfk_video_header h;
    if (pfk_video_header_parse(&h, &reader) != 0 || h.shard_bytes != r->cfg.plane.shard_bytes) {
        return PFK_RX_MALFORMED;
    }
    if (!geometry_good(r, &h)) {
        return PFK_RX_GEOMETRY;
    }
    if (h.au_flags & PFK_AU_PROBE) {
        r->stats.probe_packets++;
        r->stats.probe_bytes += payload_bytes(r, &h);
        return PFK_RX_ACCEPTED;
    }
    return place(r, &h, reader.p, now_ns);
}

enum pfk_rx_outcome pfk_reassembler_push(struct pfk_reassembler *r, uint8_t *datagram, size_t bytes,
                                         uint64_t now_ns)
{
    enum pfk_rx_outcome outcome = take(r, datagram, bytes, now_ns);
    r->stats.outcome[outcome]++;
    return outcome;
}

struct pfk_unit *pfk_reassembler_pop(struct pfk_reassembler *r)
{
    struct pfk_rx_unit *u = r->done_head;
    if (!u) {
        return NULL;
    }
    r->done_head = u->next;
    if (!r->done_head) {
        r->done_tail = &r->done_head;
    }
    u->next = NULL;
    return &u->pub;
}

void pfk_reassembler_recycle(struct pfk_reassembler *r, struct pfk_unit *unit)
{
    if (unit) {
        pfk_unit_return(&r->pool, (struct pfk_rx_unit *)unit);
    }
}

void pfk_reassembler_get_stats(const struct pfk_reassembler *r, struct pfk_reassembler_stats *out)
{
    *out = r->stats;
}
