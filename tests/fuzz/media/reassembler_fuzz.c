// SPDX-License-Identifier: MIT OR Apache-2.0
// A plain data plane fed with whatever the input says. First byte: the plane; then datagrams, each
// a length byte pair and its bytes. The header's bytes are the input's, so every rule is in reach.
#include "core/media/reassembler.h"

#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

// Reads every byte that the unit claims to have, for the sanitizer to judge.
static void read_unit(const struct pfk_unit *u)
{
    unsigned sum = 0;
    for (size_t i = 0; i < u->n_bytes; i++) {
        sum += u->bytes[i];
    }
    require(sum <= 255 * u->n_bytes);
    require(u->n_bytes <= 8u << 20);
    require(u->n_recovered <= u->n_shards);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const uint16_t shard_bytes[] = {16, 64}, ks[] = {1, 4, 100, 4096};
    if (n < 1) {
        return 0;
    }
    struct pfk_reassembler_config cfg = {
        .plane = {.field = bytes[0] & 1 ? PFK_FEC_GF16 : PFK_FEC_GF8,
                  .shard_bytes = shard_bytes[bytes[0] >> 1 & 1],
                  .max_data_shards = ks[bytes[0] >> 2 & (bytes[0] & 1 ? 3 : 1)],
                  .percent = 50},
        .bitrate_kbps = 1, // the smallest bound: units up to 8 MiB
        .hz = 60,
    };
    struct pfk_reassembler *r;
    require(pfk_reassembler_create(&r, &cfg) == 0);
    uint64_t n_pushed = 0, n_popped = 0, outcomes = 0;
    for (size_t at = 1; at + 2 <= n;) {
        size_t length = bytes[at] | (size_t)bytes[at + 1] << 8;
        at += 2;
        length = length < n - at ? length : n - at;
        uint8_t *copy = malloc(length ? length : 1);
        require(copy != NULL);
        memcpy(copy, bytes + at, length);
        at += length;
        require(pfk_reassembler_push(r, copy, length, at) < PFK_RX_OUTCOMES);
        free(copy);
        n_pushed++;
        for (struct pfk_unit *u; (u = pfk_reassembler_pop(r));) {
            read_unit(u);
            n_popped++;
            pfk_reassembler_recycle(r, u);
        }
    }
    struct pfk_reassembler_stats s;
    pfk_reassembler_get_stats(r, &s);
    for (int i = 0; i < PFK_RX_OUTCOMES; i++) {
        outcomes += s.outcome[i];
    }
    require(outcomes == n_pushed);
    require(s.frames_completed == n_popped);
    require(n_popped + s.probe_packets <= s.outcome[PFK_RX_ACCEPTED]);
    pfk_reassembler_destroy(r);
    return 0;
}
