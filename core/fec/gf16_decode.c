// SPDX-License-Identifier: MIT OR Apache-2.0
// Parity coefficients have the closed form ((j ^ p) >> r) / (j ^ p) over points j and p, with 2^r
// the transform size: a Cauchy matrix with a scale for each group. Its square parts have inverses
// in closed form. So the chosen parity rows are computed again without the missing data, compared
// with those that arrived, and the difference multiplied by the inverse.
#include "core/fec/gf16_internal.h"

#include "core/base/status.h"

#include <stdlib.h>
#include <string.h>

static int index_reserve(struct pfk_gf16 *fec, unsigned n)
{
    if (n <= fec->index_room) {
        return 0;
    }
    unsigned *missing = realloc(fec->missing, n * sizeof(*missing));
    fec->missing = missing ? missing : fec->missing;
    unsigned *chosen = realloc(fec->chosen, n * sizeof(*chosen));
    fec->chosen = chosen ? chosen : fec->chosen;
    uint32_t *row_log = realloc(fec->row_log, n * sizeof(*row_log));
    fec->row_log = row_log ? row_log : fec->row_log;
    uint32_t *column_log = realloc(fec->column_log, n * sizeof(*column_log));
    fec->column_log = column_log ? column_log : fec->column_log;
    if (!missing || !chosen || !row_log || !column_log) {
        return PFK_E_NOMEM;
    }
    fec->index_room = n;
    return 0;
}

// Factors of the inverse of the Cauchy matrix 1 / (x_j ^ y_i): with
//   a_j = prod_k (x_j ^ y_k) / prod_{k != j} (x_j ^ x_k),  b_i = prod_k (x_k ^ y_i) / prod_{k != i}
//   (y_i ^ y_k)
// the inverse is a_j * b_i / (x_j ^ y_i). The code's own scale (one factor a data group in the
// high-rate form, one a parity row in the low-rate form) is divided out of b or a. All in
// logarithms.
static void cauchy_inverse(struct pfk_gf16 *fec, const struct pfk_gf16_layout *l)
{
    const uint16_t *log = fec->field.log;
    unsigned n = fec->n_missing;
    for (unsigned e = 0; e < n; e++) {
        unsigned x = pfk_gf16_parity_point(l, fec->chosen[e]),
                 y = pfk_gf16_data_point(l, fec->missing[e]);
        uint64_t a = 0, b = 0;
        for (unsigned o = 0; o < n; o++) {
            unsigned other_x = pfk_gf16_parity_point(l, fec->chosen[o]),
                     other_y = pfk_gf16_data_point(l, fec->missing[o]);
            a += log[x ^ other_y];
            b += log[other_x ^ y];
            if (o != e) {
                a += PFK_GF16_ORDER - log[x ^ other_x];
                b += PFK_GF16_ORDER - log[y ^ other_y];
            }
        }
        if (l->high) {
            b += PFK_GF16_ORDER - log[y >> l->shift];
        } else {
            a += PFK_GF16_ORDER - log[x >> l->shift];
        }
        fec->column_log[e] = (uint32_t)(a % PFK_GF16_ORDER);
        fec->row_log[e] = (uint32_t)(b % PFK_GF16_ORDER);
    }
}

// The chosen parity rows of the data that are there, one work slot each.
struct syndrome {
    const struct pfk_gf16 *fec;
    uint8_t *slots;
    unsigned next;
};

static void take_syndrome(void *ctx, unsigned row, const uint8_t *slot,
                          const struct pfk_gf16_column *col)
{
    struct syndrome *s = ctx;
    if (s->next < s->fec->n_missing && s->fec->chosen[s->next] == row) {
        memcpy(s->slots + s->next++ * col->stride, slot, col->padded);
    }
}

// The chosen rows straight from their coefficients: cheaper than transforms while there are few.
static void few_rows(struct pfk_gf16 *fec, const struct pfk_gf16_layout *l,
                     const uint8_t *const data[], const struct pfk_gf16_column *col, uint8_t *slots,
                     uint8_t *in)
{
    uint8_t *group_sums = fec->work;
    memset(slots, 0, fec->n_missing * col->stride);
    memset(group_sums, 0, fec->n_missing * col->stride);
    for (unsigned i = 0; i < l->k; i++) {
        if (data[i]) {
            pfk_gf16_load(fec, in, data[i], col);
        }
        bool group_ends = ((i + 1) & (l->c - 1)) == 0 || i + 1 == l->k;
        unsigned y = pfk_gf16_data_point(l, i);
        for (unsigned e = 0; e < fec->n_missing; e++) {
            unsigned difference = pfk_gf16_parity_point(l, fec->chosen[e]) ^ y;
            uint8_t *sum = group_sums + e * col->stride;
            if (data[i]) {
                fec->row->muladd(sum, in, pfk_gf16_over(fec, difference), col->padded);
            }
            if (group_ends) { // all of it has the same scale
                fec->row->muladd(slots + e * col->stride, sum,
                                 pfk_gf16_times(fec, difference >> l->shift), col->padded);
                memset(sum, 0, col->padded);
            }
        }
    }
}

// Is the direct way cheaper? A data shard costs one multiplication a row there, about half the
// transform's depth here, and the transform also computes rows that nobody asked for.
static bool few(const struct pfk_gf16_layout *l, unsigned n_missing)
{
    return n_missing <= 1 + l->shift / 2;
}

static unsigned work_of_rows(const struct pfk_gf16_layout *l, unsigned n_missing)
{
    return few(l, n_missing) ? n_missing : 2 * l->c;
}

static void repair_column(struct pfk_gf16 *fec, const struct pfk_gf16_layout *l,
                          uint8_t *const data[], const uint8_t *const present[],
                          const uint8_t *const parity[], const struct pfk_gf16_column *col)
{
    const struct pfk_gf16_row *row = fec->row;
    unsigned n = fec->n_missing;
    uint8_t *scratch = fec->work + work_of_rows(l, n) * col->stride;
    uint8_t *slots = scratch + col->stride;
    if (few(l, n)) {
        few_rows(fec, l, present, col, slots, scratch);
    } else {
        struct syndrome s = {fec, slots, 0};
        pfk_gf16_encode_column(fec, l, present, fec->chosen[n - 1] + 1, col, take_syndrome, &s);
    }
    for (unsigned e = 0; e < n; e++) {
        uint8_t *slot = slots + e * col->stride;
        pfk_gf16_load(fec, scratch, parity[fec->chosen[e]], col);
        row->add(slot, scratch, col->padded);
        row->mul(slot, pfk_gf16_times(fec, fec->field.exp[fec->column_log[e]]), col->padded);
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned y = pfk_gf16_data_point(l, fec->missing[i]);
        memset(scratch, 0, col->padded);
        for (unsigned e = 0; e < n; e++) {
            unsigned x = pfk_gf16_parity_point(l, fec->chosen[e]);
            row->muladd(scratch, slots + e * col->stride, pfk_gf16_over(fec, x ^ y), col->padded);
        }
        row->mul(scratch, pfk_gf16_times(fec, fec->field.exp[fec->row_log[i]]), col->padded);
        pfk_gf16_store(fec, data[fec->missing[i]], scratch, col);
    }
}

// Which parity repairs the block; 0 with n_missing = 0 when nothing is missing.
static int choose_parity(struct pfk_gf16 *fec, unsigned k, unsigned m, const bool have_data[],
                         const uint8_t *const parity[])
{
    unsigned n_missing = 0, n_chosen = 0;
    for (unsigned i = 0; i < k; i++) {
        n_missing += !have_data[i];
    }
    fec->n_missing = 0;
    int err = n_missing > m ? PFK_E_UNRECOVERABLE : index_reserve(fec, n_missing);
    if (err != 0) {
        return err;
    }
    for (unsigned j = 0; j < m && n_chosen < n_missing; j++) {
        if (parity[j]) {
            fec->chosen[n_chosen++] = j;
        }
    }
    if (n_chosen < n_missing) {
        return PFK_E_UNRECOVERABLE;
    }
    for (unsigned i = 0; i < k; i++) {
        if (!have_data[i]) {
            fec->missing[fec->n_missing++] = i;
        }
    }
    return 0;
}

int pfk_gf16_decode(struct pfk_gf16 *fec, unsigned k, unsigned m, size_t shard_bytes,
                    uint8_t *const data[], const bool have_data[], const uint8_t *const parity[])
{
    int err = pfk_gf16_check(k, m, shard_bytes);
    err = err ? err : choose_parity(fec, k, m, have_data, parity);
    if (err != 0 || fec->n_missing == 0) {
        return err;
    }
    struct pfk_gf16_layout l = pfk_gf16_layout(k, m);
    size_t n_work = (size_t)work_of_rows(&l, fec->n_missing) + 1 + fec->n_missing, slice;
    err = pfk_gf16_work_reserve(fec, n_work, shard_bytes, k * sizeof(void *), &slice);
    if (err != 0) {
        return err;
    }
    const uint8_t **present =
        (const uint8_t **)(void *)(fec->work + n_work * pfk_gf16_stride(slice));
    for (unsigned i = 0; i < k; i++) {
        present[i] = have_data[i] ? data[i] : NULL;
    }
    cauchy_inverse(fec, &l);
    for (size_t at = 0; at < shard_bytes; at += slice) {
        struct pfk_gf16_column col = pfk_gf16_column(at, slice, shard_bytes);
        repair_column(fec, &l, data, present, parity, &col);
    }
    return 0;
}
