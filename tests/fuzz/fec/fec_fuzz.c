// SPDX-License-Identifier: MIT OR Apache-2.0
// Geometry and losses from the input: every row must give the same parity, and decoding must give
// the data back whenever enough shards are there.
#include "core/fec/gf16.h"

#include "core/base/cpu.h"
#include "core/base/status.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { MAX_SHARDS = 300, MAX_BYTES = 256 };

struct block {
    unsigned k, m;
    size_t bytes;
    uint8_t *data[MAX_SHARDS], *parity[MAX_SHARDS];
};

static uint8_t **alloc_shards(uint8_t **list, unsigned n, size_t bytes)
{
    for (unsigned i = 0; i < n; i++) {
        list[i] = malloc(bytes); // each by itself: the sanitizer sees every step beyond
        CHECK(list[i] != NULL);
    }
    return list;
}

static void free_shards(uint8_t **list, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        free(list[i]);
    }
}

static void encode(const char *row, const struct block *b, uint8_t *const *parity)
{
    struct pfk_gf16 *fec;
    CHECK(pfk_gf16_create(&fec, row) == PFK_OK);
    CHECK(pfk_gf16_encode(fec, b->k, b->m, b->bytes, (const uint8_t *const *)b->data, parity) ==
          PFK_OK);
    pfk_gf16_destroy(fec);
}

// Shards are lost as the input's bits say.
static void decode(const char *row, const struct block *b, const uint8_t *bits, size_t n_bits)
{
    struct pfk_gf16 *fec;
    uint8_t *data[MAX_SHARDS];
    const uint8_t *parity[MAX_SHARDS];
    bool have[MAX_SHARDS];
    unsigned n_have = 0;
    alloc_shards(data, b->k, b->bytes);
    for (unsigned i = 0; i < b->k + b->m; i++) {
        bool lost = n_bits && bits[i / 8 % n_bits] >> (i % 8) & 1;
        n_have += !lost;
        if (i >= b->k) {
            parity[i - b->k] = lost ? NULL : b->parity[i - b->k];
            continue;
        }
        have[i] = !lost;
        memset(data[i], 0xEE, b->bytes);
        if (!lost) {
            memcpy(data[i], b->data[i], b->bytes);
        }
    }
    CHECK(pfk_gf16_create(&fec, row) == PFK_OK);
    int rc = pfk_gf16_decode(fec, b->k, b->m, b->bytes, data, have, parity);
    bool all = true;
    for (unsigned i = 0; i < b->k; i++) {
        all = all && have[i];
    }
    CHECK(rc == (n_have >= b->k || all ? PFK_OK : PFK_E_UNRECOVERABLE));
    for (unsigned i = 0; i < b->k; i++) {
        if (rc == PFK_OK || have[i]) {
            CHECK(memcmp(data[i], b->data[i], b->bytes) == 0);
        }
    }
    pfk_gf16_destroy(fec);
    free_shards(data, b->k);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 8) {
        return 0;
    }
    struct block b = {.k = (bytes[0] | (unsigned)bytes[1] << 8) % 200 + 1,
                      .m = bytes[2] % 100,
                      .bytes = ((size_t)bytes[3] % (MAX_BYTES / 2) + 1) * 2};
    uint8_t *again[MAX_SHARDS];
    alloc_shards(b.data, b.k, b.bytes);
    alloc_shards(b.parity, b.m, b.bytes);
    alloc_shards(again, b.m, b.bytes);
    uint32_t state = bytes[4] | (uint32_t)bytes[5] << 8;
    for (unsigned i = 0; i < b.k; i++) {
        for (size_t j = 0; j < b.bytes; j++) {
            b.data[i][j] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
        }
    }
    encode("c", &b, b.parity);
    const char *row;
    for (unsigned r = 0; (row = pfk_gf16_row_at(r)); r++) {
        encode(row, &b, again);
        for (unsigned i = 0; i < b.m; i++) {
            CHECK(memcmp(b.parity[i], again[i], b.bytes) == 0);
        }
        decode(row, &b, bytes + 6, n - 6);
    }
    free_shards(b.data, b.k);
    free_shards(b.parity, b.m);
    free_shards(again, b.m);
    return 0;
}
