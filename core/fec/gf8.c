// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/fec/gf8.h"

#include "core/base/status.h"

#include <isa-l/erasure_code.h>
#include <stdlib.h>
#include <string.h>

struct pfk_gf8 {
    unsigned k, m;                               // geometry of `encode`; 0 = none yet
    uint8_t *rows;                               // m x k coefficients
    uint8_t *encode;                             // ISA-L's expanded tables of them
    uint8_t *square, *inverse, *decode, *wanted; // n_missing systems, grown together
    unsigned room;
};

int pfk_gf8_create(struct pfk_gf8 **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : PFK_E_NOMEM;
}

void pfk_gf8_destroy(struct pfk_gf8 *fec)
{
    if (!fec) {
        return;
    }
    free(fec->rows);
    free(fec->encode);
    free(fec->square);
    free(fec->inverse);
    free(fec->decode);
    free(fec->wanted);
    free(fec);
}

static bool valid(unsigned k, unsigned m, size_t shard_bytes)
{
    return k >= 1 && k <= PFK_GF8_MAX_SHARDS && m <= PFK_GF8_MAX_SHARDS - k && shard_bytes >= 1 &&
           shard_bytes <= INT32_MAX;
}

static uint8_t coefficient(unsigned m, unsigned row, unsigned column)
{
    return gf_inv((uint8_t)((m + column) ^ row));
}

// ISA-L takes tables of 32 bytes a coefficient and pointers without const.
static int prepare(struct pfk_gf8 *fec, unsigned k, unsigned m)
{
    if (fec->k == k && fec->m == m) {
        return 0;
    }
    fec->k = 0;
    uint8_t *rows = realloc(fec->rows, (size_t)k * m);
    fec->rows = rows ? rows : fec->rows;
    uint8_t *tables = realloc(fec->encode, 32 * (size_t)k * m);
    fec->encode = tables ? tables : fec->encode;
    if (!rows || !tables) {
        return PFK_E_NOMEM;
    }
    for (unsigned j = 0; j < m; j++) {
        for (unsigned i = 0; i < k; i++) {
            rows[j * k + i] = coefficient(m, j, i);
        }
    }
    ec_init_tables((int)k, (int)m, rows, tables);
    fec->k = k;
    fec->m = m;
    return 0;
}

int pfk_gf8_encode(struct pfk_gf8 *fec, unsigned k, unsigned m, size_t shard_bytes,
                   const uint8_t *const data[], uint8_t *const parity[])
{
    if (!valid(k, m, shard_bytes)) {
        return PFK_E_INVALID;
    }
    if (m == 0) {
        return 0;
    }
    int err = prepare(fec, k, m);
    if (err != 0) {
        return err;
    }
    uint8_t *in[PFK_GF8_MAX_SHARDS], *out[PFK_GF8_MAX_SHARDS];
    memcpy(in, data, k * sizeof(*in));
    memcpy(out, parity, m * sizeof(*out));
    ec_encode_data((int)shard_bytes, (int)k, (int)m, fec->encode, in, out);
    return 0;
}

static int decode_reserve(struct pfk_gf8 *fec, unsigned k, unsigned n)
{
    unsigned room = k > n ? k : n;
    if (room <= fec->room) {
        return 0;
    }
    uint8_t *square = realloc(fec->square, (size_t)room * room);
    fec->square = square ? square : fec->square;
    uint8_t *inverse = realloc(fec->inverse, (size_t)room * room);
    fec->inverse = inverse ? inverse : fec->inverse;
    uint8_t *wanted = realloc(fec->wanted, (size_t)room * room);
    fec->wanted = wanted ? wanted : fec->wanted;
    uint8_t *decode = realloc(fec->decode, 32 * (size_t)room * room);
    fec->decode = decode ? decode : fec->decode;
    if (!square || !inverse || !wanted || !decode) {
        return PFK_E_NOMEM;
    }
    fec->room = room;
    return 0;
}

// Missing data i = sum over the chosen parity rows of inverse[i][row] * (parity[row] + the present
// data's share): expanded to one row over k sources, present data in their own columns, parity in
// the missing ones' columns.
static int solve(struct pfk_gf8 *fec, unsigned k, unsigned m, unsigned n, const unsigned missing[],
                 const unsigned chosen[])
{
    for (unsigned e = 0; e < n; e++) {
        for (unsigned i = 0; i < n; i++) {
            fec->square[e * n + i] = coefficient(m, chosen[e], missing[i]);
        }
    }
    if (gf_invert_matrix(fec->square, fec->inverse, (int)n) != 0) {
        return PFK_E_UNRECOVERABLE; // cannot happen: every square part of a Cauchy matrix is
                                    // regular
    }
    memset(fec->wanted, 0, (size_t)n * k);
    for (unsigned i = 0; i < n; i++) {
        uint8_t *row = fec->wanted + (size_t)i * k;
        for (unsigned e = 0; e < n; e++) {
            uint8_t by = fec->inverse[i * n + e];
            for (unsigned column = 0; column < k; column++) {
                row[column] ^= gf_mul(by, coefficient(m, chosen[e], column));
            }
        }
        for (unsigned e = 0; e < n; e++) {
            row[missing[e]] = fec->inverse[i * n + e];
        }
    }
    ec_init_tables((int)k, (int)n, fec->wanted, fec->decode);
    return 0;
}

int pfk_gf8_decode(struct pfk_gf8 *fec, unsigned k, unsigned m, size_t shard_bytes,
                   uint8_t *const data[], const bool have_data[], const uint8_t *const parity[])
{
    if (!valid(k, m, shard_bytes)) {
        return PFK_E_INVALID;
    }
    unsigned missing[PFK_GF8_MAX_SHARDS], chosen[PFK_GF8_MAX_SHARDS], n = 0, n_chosen = 0;
    for (unsigned i = 0; i < k; i++) {
        if (!have_data[i]) {
            missing[n++] = i;
        }
    }
    for (unsigned j = 0; j < m && n_chosen < n; j++) {
        if (parity[j]) {
            chosen[n_chosen++] = j;
        }
    }
    if (n == 0) {
        return 0;
    }
    if (n_chosen < n) {
        return PFK_E_UNRECOVERABLE;
    }
    int err = decode_reserve(fec, k, n);
    err = err ? err : solve(fec, k, m, n, missing, chosen);
    if (err != 0) {
        return err;
    }
    uint8_t *in[PFK_GF8_MAX_SHARDS], *out[PFK_GF8_MAX_SHARDS];
    memcpy(in, data, k * sizeof(*in));
    for (unsigned i = 0; i < n; i++) {
        out[i] = data[missing[i]];
        memcpy(&in[missing[i]], &parity[chosen[i]], sizeof(*in));
    }
    ec_encode_data((int)shard_bytes, (int)k, (int)n, fec->decode, in, out);
    return 0;
}
