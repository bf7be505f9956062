// SPDX-License-Identifier: MIT OR Apache-2.0
// Units are packetized, the input decides what the network does to their datagrams, and what comes
// out is compared with what went in. Four bytes choose the plane; then three bytes a step.
#include "core/media/packetizer.h"
#include "core/media/reassembler.h"
#include "core/wire/video_header.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_UNITS = 200, MAX_BYTES = 3000, MAX_STEPS = 4000, MAX_DATAGRAM = 2048 };

struct unit {
    size_t n_bytes;
    bool completed;
};

struct link {
    struct pfk_packetizer *tx;
    struct pfk_reassembler *rx;
    struct pfk_datagrams current, previous; // `previous` is a copy
    struct unit units[MAX_UNITS];
    unsigned n_units;
    bool tampered; // a plain datagram was changed: contents no longer promised
    bool encrypted;
    uint8_t percent;
};

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static uint8_t byte_of(uint32_t index, size_t at)
{
    return (uint8_t)(index * 31 + at * 7 + at / 256);
}

static void next_unit(struct link *l, size_t n_bytes)
{
    uint8_t au[MAX_BYTES];
    uint32_t index = pfk_packetizer_next_index(l->tx);
    if (l->n_units == MAX_UNITS) {
        return;
    }
    for (size_t i = 0; i < n_bytes; i++) {
        au[i] = byte_of(index, i);
    }
    free(l->previous.base);
    l->previous = l->current;
    size_t room = l->current.n_datagrams * l->current.datagram_bytes;
    l->previous.base = malloc(room ? room : 1);
    require(l->previous.base != NULL);
    if (room) {
        memcpy(l->previous.base, l->current.base, room);
    }
    struct pfk_au_meta meta = {1 + index * 10000000ull, PFK_AU_VIDEO, l->percent};
    require(pfk_packetize(l->tx, au, n_bytes, &meta, &l->current) == 0);
    require(pfk_packetizer_seal(l->tx, 0, l->current.n_datagrams) == 0);
    require(index == l->n_units);
    l->units[l->n_units++] = (struct unit){n_bytes, false};
}

static void take_units(struct link *l)
{
    for (struct pfk_unit *u; (u = pfk_reassembler_pop(l->rx));) {
        if (!l->tampered) {
            require(u->index < l->n_units);
            struct unit *want = &l->units[u->index];
            require(!want->completed && u->n_bytes == want->n_bytes);
            want->completed = true;
            for (size_t i = 0; i < u->n_bytes; i++) {
                require(u->bytes[i] == byte_of(u->index, i));
            }
        }
        pfk_reassembler_recycle(l->rx, u);
    }
}

static void push(struct link *l, const struct pfk_datagrams *d, unsigned i, size_t bytes,
                 size_t flip_at, uint8_t flip)
{
    if (d->n_datagrams == 0) {
        return;
    }
    uint8_t copy[MAX_DATAGRAM];
    memcpy(copy, d->base + i % d->n_datagrams * d->datagram_bytes, d->datagram_bytes);
    bytes = bytes < d->datagram_bytes ? bytes : d->datagram_bytes;
    copy[flip_at % d->datagram_bytes] ^= flip;
    bool changed = flip || bytes < d->datagram_bytes;
    enum pfk_rx_outcome outcome = pfk_reassembler_push(l->rx, copy, bytes, 0);
    if (changed && l->encrypted) {
        bool cut_away = flip_at % d->datagram_bytes >= bytes && bytes == d->datagram_bytes;
        require(cut_away || outcome == PFK_RX_NOT_AUTHENTIC || outcome == PFK_RX_SHORT);
    } else if (changed) {
        l->tampered = true;
    }
    take_units(l);
}

static void step(struct link *l, const uint8_t *op)
{
    const struct pfk_datagrams *d = op[0] & 0x80 ? &l->previous : &l->current;
    switch (op[0] & 7) {
    case 0:
        next_unit(l, (op[1] | (size_t)op[2] << 8) % (MAX_BYTES + 1));
        break;
    case 1: // all but some
        for (unsigned i = 0; i < d->n_datagrams; i++) {
            if (op[2] == 0 || (i * 2654435761u >> 16 & 0xFF) >= op[1]) {
                push(l, d, i, MAX_DATAGRAM, 0, 0);
            }
        }
        break;
    case 2: // one changed
        push(l, d, op[0] >> 3 & 15, MAX_DATAGRAM, op[1], op[2]);
        break;
    case 3: // one cut short
        push(l, d, op[1], op[2], 0, 0);
        break;
    case 4: // backwards
        for (unsigned i = d->n_datagrams; i-- > op[1] % 8u;) {
            push(l, d, i, MAX_DATAGRAM, 0, 0);
        }
        break;
    default:
        push(l, d, op[1] | (unsigned)op[2] << 8, MAX_DATAGRAM, 0, 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 4) {
        return 0;
    }
    struct pfk_plane plane = {
        .field = bytes[0] & 1 ? PFK_FEC_GF16 : PFK_FEC_GF8,
        .shard_bytes = (uint16_t)(2 + 2 * (bytes[1] % 64)),
        .max_data_shards = (uint16_t)(1 + bytes[2] % 100),
        .percent = bytes[3] % 91,
        .encrypted = bytes[0] >> 1 & 1,
        .key = {.cipher = bytes[0] & 4 ? PFK_CIPHER_CHACHA20_POLY1305 : PFK_CIPHER_AES_128_GCM},
    };
    struct link *l = calloc(1, sizeof(*l));
    require(l != NULL);
    l->encrypted = plane.encrypted;
    l->percent = plane.percent;
    struct pfk_reassembler_config cfg = {.plane = plane, .bitrate_kbps = 1, .hz = 60};
    require(pfk_packetizer_create(&l->tx, &plane, MAX_BYTES) == 0);
    require(pfk_reassembler_create(&l->rx, &cfg) == 0);
    for (size_t at = 4, steps = 0; at + 3 <= n && steps < MAX_STEPS; at += 3, steps++) {
        step(l, bytes + at);
    }
    // Whatever happened, the next unit that arrives whole completes (unless changed plain headers
    // moved the window away from it).
    uint64_t before = l->n_units;
    next_unit(l, 100);
    if (l->n_units > before && !l->tampered) {
        for (unsigned i = 0; i < l->current.n_datagrams; i++) {
            push(l, &l->current, i, MAX_DATAGRAM, 0, 0);
        }
        require(l->units[before].completed);
    }
    free(l->previous.base);
    pfk_packetizer_destroy(l->tx);
    pfk_reassembler_destroy(l->rx);
    free(l);
    return 0;
}
