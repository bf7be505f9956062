// SPDX-License-Identifier: MIT OR Apache-2.0
// Packetizer to reassembler through a link that the input drives: lose, repeat, swap, damage. What
// completes must be exactly what went in.
#include "core/media/reassembler.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { MAX_AU = 4000, SHARD = 64, UNITS = 8 };

static uint8_t at(const uint8_t *bytes, size_t n, size_t *pos)
{
    return *pos < n ? bytes[(*pos)++] : 0;
}

static void fill(uint8_t *au, size_t n, uint8_t seed)
{
    for (size_t i = 0; i < n; i++) {
        au[i] = (uint8_t)(seed + i * 7 + i / 251);
    }
}

static void drain(struct pfk_reassembler *r, const size_t *sizes, unsigned n_units)
{
    struct pfk_unit *u;
    while ((u = pfk_reassembler_pop(r))) {
        uint8_t want[MAX_AU];
        CHECK(u->index < n_units && u->n_bytes == sizes[u->index]);
        fill(want, u->n_bytes, (uint8_t)u->index);
        CHECK(memcmp(want, u->bytes, u->n_bytes) == 0);
        pfk_reassembler_recycle(r, u);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    size_t pos = 0;
    uint8_t mode = at(bytes, n, &pos);
    const struct pfk_plane plane = {.field = mode & 1 ? PFK_FEC_GF16 : PFK_FEC_GF8,
                                    .shard_bytes = SHARD,
                                    .max_data_shards = (uint16_t)(mode >> 4) + 1,
                                    .percent = 50,
                                    .encrypted = true,
                                    .key.cipher = mode & 2 ? PFK_CIPHER_CHACHA20_POLY1305
                                                           : PFK_CIPHER_AES_128_GCM};
    const struct pfk_reassembler_config cfg = {.plane = plane, .bitrate_kbps = 20000, .hz = 60};
    struct pfk_packetizer *tx = NULL;
    struct pfk_reassembler *rx = NULL;
    CHECK(pfk_packetizer_create(&tx, &plane, MAX_AU) == 0);
    CHECK(pfk_reassembler_create(&rx, &cfg) == 0);
    size_t sizes[UNITS];
    for (unsigned i = 0; i < UNITS && pos < n; i++) {
        uint8_t au[MAX_AU];
        sizes[i] = (size_t)(at(bytes, n, &pos) << 4 | at(bytes, n, &pos) >> 4) % MAX_AU;
        fill(au, sizes[i], (uint8_t)i);
        const struct pfk_au_meta meta = {
            .pts_ns = 1000 + i, .flags = 5, .percent = (uint8_t)(at(bytes, n, &pos) % 91)};
        struct pfk_datagrams d;
        if (pfk_packetize(tx, au, sizes[i], &meta, &d) != 0) {
            break;
        }
        CHECK(pfk_packetizer_seal(tx, 0, d.n_datagrams) == 0);
        for (unsigned p = 0; p < d.n_datagrams; p++) {
            uint8_t action = at(bytes, n, &pos);
            unsigned times = action % 8 == 0 ? 0 : action % 8 == 1 ? 2 : 1;
            unsigned which = action % 8 == 2 ? d.n_datagrams - 1 - p : p;
            for (unsigned t = 0; t < times; t++) {
                uint8_t copy[SHARD + 64];
                memcpy(copy, d.base + which * d.datagram_bytes, d.datagram_bytes);
                size_t size = d.datagram_bytes;
                if (action % 8 == 3) {
                    copy[at(bytes, n, &pos) % size] ^= (uint8_t)(at(bytes, n, &pos) | 1);
                } else if (action % 8 == 4) {
                    size = at(bytes, n, &pos) % size;
                }
                pfk_reassembler_push(rx, copy, size, 1);
            }
        }
        drain(rx, sizes, i + 1);
    }
    pfk_packetizer_destroy(tx);
    pfk_reassembler_destroy(rx);
    return 0;
}
