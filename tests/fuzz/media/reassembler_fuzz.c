// SPDX-License-Identifier: MIT OR Apache-2.0
// The reassembler on a plain data plane: the input is a sequence of datagrams, `u8 length / 2`
// each, so every header field comes from the fuzzer. Nothing may be read or written out of bounds,
// counts must add up, and units must be what their headers said.
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

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 1) {
        return 0;
    }
    const struct pfk_reassembler_config cfg = {
        .plane = {.field = bytes[0] & 1 ? PFK_FEC_GF16 : PFK_FEC_GF8,
                  .shard_bytes = 8,
                  .max_data_shards = bytes[0] & 2 ? 4 : 100,
                  .percent = 50},
        .bitrate_kbps = 20000,
        .hz = 60};
    struct pfk_reassembler *r;
    if (pfk_reassembler_create(&r, &cfg) != 0) {
        return 0;
    }
    uint64_t pushed = 0;
    for (size_t at = 1; at < n;) {
        size_t size = (size_t)bytes[at++] / 2;
        size = size < n - at ? size : n - at;
        uint8_t *d = malloc(size ? size : 1); // exact, so that the sanitizer sees any step beyond
        if (!d) {
            break;
        }
        memcpy(d, bytes + at, size);
        pfk_reassembler_push(r, d, size, at);
        free(d);
        pushed++;
        at += size;
        struct pfk_unit *u;
        while ((u = pfk_reassembler_pop(r))) {
            size_t sum = 0;
            for (size_t i = 0; i < u->n_bytes; i++) {
                sum += u->bytes[i];
            }
            CHECK(sum <= 255 * u->n_bytes);
            CHECK(u->n_recovered <= u->n_shards);
            CHECK(u->n_bytes <= (size_t)u->n_shards * 8);
            pfk_reassembler_recycle(r, u);
        }
    }
    struct pfk_reassembler_stats s;
    pfk_reassembler_get_stats(r, &s);
    uint64_t sum = 0;
    for (int i = 0; i < PFK_RX_OUTCOMES; i++) {
        sum += s.outcome[i];
    }
    CHECK(sum == pushed);
    pfk_reassembler_destroy(r);
    return 0;
}
