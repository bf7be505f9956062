// SPDX-License-Identifier: MIT OR Apache-2.0
// Every row against the portable one: the same parity, and the data back after any loss within it.
#include "core/base/status.h"
#include "core/fec/gf16.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { HEADER = 8, MAX_K = 300, MAX_M = 300, MAX_ROWS = 8 };

struct block {
    unsigned k, m;
    size_t shard_bytes, skew; // skew: distance of every shard from an aligned address
    uint8_t *memory[MAX_K + MAX_M], *data[MAX_K], *parity[MAX_M];
};

static void expect(bool holds)
{
    if (!holds) {
        abort();
    }
}

// Contexts last: a block must not see what the one before it left in caches and work memory.
static struct pfk_gf16 *row(unsigned index)
{
    static struct pfk_gf16 *rows[MAX_ROWS];
    const char *name = pfk_gf16_row_at(index);
    if (!name) {
        return NULL;
    }
    expect(index < MAX_ROWS);
    if (!rows[index]) {
        expect(pfk_gf16_create(&rows[index], name) == 0);
    }
    return rows[index];
}

// Exact-size allocations; data bytes come from the input, over and over, each turn changed.
static void block_fill(struct block *b, const uint8_t *bytes, size_t n)
{
    size_t next = 0;
    for (unsigned i = 0; i < b->k + b->m; i++) {
        b->memory[i] = malloc(b->skew + b->shard_bytes);
        expect(b->memory[i] != NULL);
        uint8_t *shard = b->memory[i] + b->skew;
        for (size_t at = 0; at < b->shard_bytes; at++, next++) {
            shard[at] = n && i < b->k ? (uint8_t)(bytes[next % n] + 29 * (next / n)) : 0xEE;
        }
        *(i < b->k ? &b->data[i] : &b->parity[i - b->k]) = shard;
    }
}

static void block_clear(struct block *b)
{
    for (unsigned i = 0; i < b->k + b->m; i++) {
        free(b->memory[i]);
    }
}

// Loses every shard whose turn the pattern says, up to m of them.
static void lose_and_decode(struct pfk_gf16 *fec, struct block *b, uint32_t pattern)
{
    uint8_t *restored[MAX_K];
    const uint8_t *parity[MAX_M];
    bool have[MAX_K];
    unsigned n_lost = 0;
    for (unsigned i = 0; i < b->k + b->m; i++) {
        pattern = pattern * 1664525u + 1013904223u;
        bool lost = n_lost < b->m && pattern >> 30 == 0;
        n_lost += lost;
        if (i >= b->k) {
            parity[i - b->k] = lost ? NULL : b->parity[i - b->k];
            continue;
        }
        have[i] = !lost;
        restored[i] = lost ? malloc(b->shard_bytes) : b->data[i];
        expect(restored[i] != NULL);
    }
    expect(pfk_gf16_decode(fec, b->k, b->m, b->shard_bytes, restored, have, parity) == 0);
    for (unsigned i = 0; i < b->k; i++) {
        if (!have[i]) {
            expect(memcmp(restored[i], b->data[i], b->shard_bytes) == 0);
            free(restored[i]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < HEADER) {
        return 0;
    }
    struct block b = {
        .k = (unsigned)(bytes[0] | bytes[1] << 8) % MAX_K + 1,
        .m = (unsigned)(bytes[2] | bytes[3] << 8) % MAX_M + 1,
        .shard_bytes = 2u * (bytes[4] % 150u + 1u),
        .skew = bytes[5] % 32,
    };
    uint32_t pattern = (uint32_t)(bytes[6] | bytes[7] << 8);
    block_fill(&b, bytes + HEADER, n - HEADER);
    uint8_t *want = malloc(b.m * b.shard_bytes);
    expect(want != NULL);
    unsigned last = 0; // the portable row
    while (row(last + 1)) {
        last++;
    }
    for (unsigned r = last + 1; r-- > 0;) {
        expect(pfk_gf16_encode(row(r), b.k, b.m, b.shard_bytes, (const uint8_t *const *)b.data,
                               b.parity) == 0);
        for (unsigned j = 0; j < b.m; j++) {
            uint8_t *of_c = want + j * b.shard_bytes;
            if (r == last) {
                memcpy(of_c, b.parity[j], b.shard_bytes);
            }
            expect(memcmp(of_c, b.parity[j], b.shard_bytes) == 0);
        }
        lose_and_decode(row(r), &b, pattern);
    }
    free(want);
    block_clear(&b);
    return 0;
}
