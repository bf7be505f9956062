// SPDX-License-Identifier: MIT OR Apache-2.0
// Additive FFT over the Cantor basis. In that basis the subspace polynomial of the points 0..2^r-1
// maps the point with symbol v to the point v >> r, is monic and has derivative 1. Two things
// follow: a butterfly of distance 2^r at point v multiplies by the symbol v >> r, and parity
// coefficients have the closed form
// ((j ^ p) >> r) / (j ^ p). The second makes the code a scaled Cauchy code, which is what decode
// uses.
#include "core/fec/gf16.h"

#include "core/base/cpu.h"
#include "core/base/status.h"
#include "core/fec/gf16_field.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64, WORK_TARGET_BYTES = 256 << 10 };

// Tables of multiplication by v or 1/v for every v, filled when first used: zero pages cost
// nothing.
struct table_cache {
    struct pfk_gf16_table *tables; // 65536
    uint8_t *filled;               // 65536 flags
};

struct pfk_gf16 {
    const struct pfk_gf16_row *row;
    struct pfk_gf16_field field;
    struct table_cache times, over;
    uint8_t *work; // 64-byte aligned
    size_t work_bytes;
    // decode: what is missing and which parity repairs it
    unsigned *missing, *chosen;
    unsigned n_missing, index_room;
    uint32_t *row_log, *column_log;
};

// Where a geometry's shards sit (reference: section 5.4). High rate: parity at 0.., data from c on.
// Low rate: data at 0.., parity from c on.
struct layout {
    unsigned k, m, c, shift; // c = 1 << shift: transform size
    bool high;
};

// Best first.
static const struct pfk_gf16_row *const rows[] = {
#if defined(__x86_64__)
    &pfk_gf16_row_avx2,
#endif
    &pfk_gf16_row_c,
};

static bool runs_here(const struct pfk_gf16_row *row)
{
    return (pfk_cpu_flags() & row->cpu_flags) == row->cpu_flags;
}

const char *pfk_gf16_row_at(unsigned index)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (runs_here(rows[i]) && index-- == 0) {
            return rows[i]->name;
        }
    }
    return NULL;
}

const char *pfk_gf16_row(const struct pfk_gf16 *fec)
{
    return fec->row->name;
}

static const struct pfk_gf16_row *choose_row(const char *name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (runs_here(rows[i]) && (!name || strcmp(rows[i]->name, name) == 0)) {
            return rows[i];
        }
    }
    return NULL;
}

static int cache_create(struct table_cache *cache)
{
    cache->tables = calloc(65536, sizeof(*cache->tables));
    cache->filled = calloc(65536, 1);
    return cache->tables && cache->filled ? 0 : PFK_E_NOMEM;
}

static void cache_destroy(struct table_cache *cache)
{
    free(cache->tables);
    free(cache->filled);
}

int pfk_gf16_create(struct pfk_gf16 **out, const char *row)
{
    *out = NULL;
    const struct pfk_gf16_row *chosen = choose_row(row);
    if (!chosen) {
        return PFK_E_UNSUPPORTED;
    }
    struct pfk_gf16 *fec = calloc(1, sizeof(*fec));
    if (!fec || cache_create(&fec->times) != 0 || cache_create(&fec->over) != 0) {
        pfk_gf16_destroy(fec);
        return PFK_E_NOMEM;
    }
    fec->row = chosen;
    pfk_gf16_field_init(&fec->field);
    *out = fec;
    return 0;
}

void pfk_gf16_destroy(struct pfk_gf16 *fec)
{
    if (!fec) {
        return;
    }
    cache_destroy(&fec->times);
    cache_destroy(&fec->over);
    free(fec->work);
    free(fec->missing);
    free(fec->chosen);
    free(fec->row_log);
    free(fec->column_log);
    free(fec);
}

static const struct pfk_gf16_table *times(struct pfk_gf16 *fec, unsigned v)
{
    if (!fec->times.filled[v]) {
        pfk_gf16_table_init(&fec->times.tables[v], &fec->field, (uint16_t)v);
        fec->times.filled[v] = 1;
    }
    return &fec->times.tables[v];
}

static const struct pfk_gf16_table *over(struct pfk_gf16 *fec, unsigned v)
{
    if (!fec->over.filled[v]) {
        pfk_gf16_table_init(&fec->over.tables[v], &fec->field,
                            pfk_gf16_div(&fec->field, 1, (uint16_t)v));
        fec->over.filled[v] = 1;
    }
    return &fec->over.tables[v];
}

static unsigned log2_ceil(unsigned n)
{
    return n <= 1 ? 0 : 32u - (unsigned)__builtin_clz(n - 1);
}

static struct layout layout_of(unsigned k, unsigned m)
{
    unsigned k_log = log2_ceil(k), m_log = log2_ceil(m);
    bool high = k_log >= m_log;
    unsigned shift = high ? m_log : k_log;
    return (struct layout){k, m, 1u << shift, shift, high};
}

static unsigned data_point(const struct layout *l, unsigned i)
{
    return l->high ? l->c + i : i;
}

static unsigned parity_point(const struct layout *l, unsigned j)
{
    return l->high ? j : l->c + j;
}

static bool valid(unsigned k, unsigned m, size_t shard_bytes)
{
    return k >= 1 && k <= PFK_GF16_MAX_SHARDS && m <= PFK_GF16_MAX_SHARDS - k && shard_bytes >= 2 &&
           shard_bytes % 2 == 0 && shard_bytes < SIZE_MAX / 2;
}

static int work_reserve(struct pfk_gf16 *fec, size_t bytes)
{
    if (bytes <= fec->work_bytes) {
        return 0;
    }
    uint8_t *work = aligned_alloc(CHUNK, bytes);
    if (!work) {
        return PFK_E_NOMEM;
    }
    free(fec->work);
    fec->work = work;
    fec->work_bytes = bytes;
    return 0;
}

// Bytes of every shard handled in one pass: as many as keep the work memory in the second-level
// cache.
static size_t slice_bytes(size_t shard_bytes, size_t n_work)
{
    size_t padded = (shard_bytes + CHUNK - 1) / CHUNK * CHUNK;
    size_t slice = WORK_TARGET_BYTES / n_work / CHUNK * CHUNK;
    slice = slice < 2 * CHUNK ? 2 * CHUNK : slice;
    return slice < padded ? slice : padded;
}

// One pass over a column of all shards. `bytes` are real, `padded` of them are worked on: a tail
// shorter than a chunk is spread out to a whole one, its high bytes moved to where the kernels
// expect them.
struct column {
    size_t at, bytes, padded;
};

static struct column column_at(size_t at, size_t slice, size_t shard_bytes)
{
    size_t bytes = shard_bytes - at < slice ? shard_bytes - at : slice;
    return (struct column){at, bytes, (bytes + CHUNK - 1) / CHUNK * CHUNK};
}

static void gather(uint8_t *work, const uint8_t *shard, const struct column *col)
{
    size_t whole = col->bytes / CHUNK * CHUNK, half_tail = (col->bytes - whole) / 2;
    memcpy(work, shard + col->at, whole);
    if (half_tail) {
        const uint8_t *tail = shard + col->at + whole;
        memset(work + whole, 0, CHUNK);
        memcpy(work + whole, tail, half_tail);
        memcpy(work + whole + CHUNK / 2, tail + half_tail, half_tail);
    }
}

static void scatter(uint8_t *shard, const uint8_t *work, const struct column *col)
{
    size_t whole = col->bytes / CHUNK * CHUNK, half_tail = (col->bytes - whole) / 2;
    memcpy(shard + col->at, work, whole);
    if (half_tail) {
        uint8_t *tail = shard + col->at + whole;
        memcpy(tail, work + whole, half_tail);
        memcpy(tail + half_tail, work + whole + CHUNK / 2, half_tail);
    }
}

// Values at points first .. first + n - 1 (n = 1 << shift) to coefficients. Only the first `used`
// values are not zero.
static void ifft(struct pfk_gf16 *fec, uint8_t *work, size_t stride, unsigned shift, unsigned first,
                 unsigned used, size_t bytes)
{
    for (unsigned r = 0; r < shift; r++) {
        unsigned distance = 1u << r;
        for (unsigned b = 0; b < used; b += 2 * distance) {
            unsigned factor = (first + b) >> r;
            const struct pfk_gf16_table *t = times(fec, factor);
            for (unsigned i = b; i < b + distance; i++) {
                uint8_t *x = work + i * stride, *y = work + (i + distance) * stride;
                if (factor) {
                    fec->row->ifft2(x, y, t, bytes);
                } else {
                    fec->row->add(y, x, bytes);
                }
            }
        }
        // A block that was half empty is full now.
        used = (used + 2 * distance - 1) / (2 * distance) * (2 * distance);
    }
}

// Coefficients to values at points first .. first + n - 1, of which only the first `wanted` are
// computed.
static void fft(struct pfk_gf16 *fec, uint8_t *work, size_t stride, unsigned shift, unsigned first,
                unsigned wanted, size_t bytes)
{
    for (unsigned r = shift; r-- > 0;) {
        unsigned distance = 1u << r;
        for (unsigned b = 0; b < wanted; b += 2 * distance) {
            unsigned factor = (first + b) >> r;
            const struct pfk_gf16_table *t = times(fec, factor);
            for (unsigned i = b; i < b + distance; i++) {
                uint8_t *x = work + i * stride, *y = work + (i + distance) * stride;
                if (factor) {
                    fec->row->fft2(x, y, t, bytes);
                } else {
                    fec->row->add(y, x, bytes);
                }
            }
        }
    }
}

// Loads n shards from `data` (NULL = zeros) into work slots, zeroes the slots up to the next power
// of two that the transform touches, and transforms.
static void load_group(struct pfk_gf16 *fec, uint8_t *work, size_t stride, const struct layout *l,
                       const uint8_t *const data[], unsigned n, unsigned first,
                       const struct column *col)
{
    for (unsigned i = 0; i < l->c; i++) {
        uint8_t *slot = work + i * stride;
        if (i < n && data[i]) {
            gather(slot, data[i], col);
        } else {
            memset(slot, 0, col->padded);
        }
    }
    ifft(fec, work, stride, l->shift, first, n, col->padded);
}

// Parity rows 0 .. n_rows - 1 of one column. Data pointers may be NULL: zero shards. Each finished
// row is handed to `take` in a work slot.
static void encode_column(struct pfk_gf16 *fec, const struct layout *l, const uint8_t *const data[],
                          unsigned n_rows, const struct column *col, size_t stride,
                          void (*take)(void *ctx, unsigned row, uint8_t *slot,
                                       const struct column *col),
                          void *ctx)
{
    uint8_t *sum = fec->work, *other = fec->work + l->c * stride;
    if (l->high) {
        for (unsigned g = 0; g * l->c < l->k; g++) {
            unsigned base = g * l->c, n = l->k - base < l->c ? l->k - base : l->c;
            load_group(fec, g ? other : sum, stride, l, data + base, n, base + l->c, col);
            for (unsigned i = 0; g && i < l->c; i++) {
                fec->row->add(sum + i * stride, other + i * stride, col->padded);
            }
        }
        fft(fec, sum, stride, l->shift, 0, n_rows, col->padded);
        for (unsigned j = 0; j < n_rows; j++) {
            take(ctx, j, sum + j * stride, col);
        }
        return;
    }
    load_group(fec, sum, stride, l, data, l->k, 0, col);
    for (unsigned base = 0; base < n_rows; base += l->c) {
        unsigned n = n_rows - base < l->c ? n_rows - base : l->c;
        for (unsigned i = 0; i < l->c; i++) {
            memcpy(other + i * stride, sum + i * stride, col->padded);
        }
        fft(fec, other, stride, l->shift, l->c + base, n, col->padded);
        for (unsigned j = 0; j < n; j++) {
            take(ctx, base + j, other + j * stride, col);
        }
    }
}

static void take_parity(void *ctx, unsigned row, uint8_t *slot, const struct column *col)
{
    uint8_t *const *parity = ctx;
    scatter(parity[row], slot, col);
}

int pfk_gf16_encode(struct pfk_gf16 *fec, unsigned k, unsigned m, size_t shard_bytes,
                    const uint8_t *const data[], uint8_t *const parity[])
{
    if (!valid(k, m, shard_bytes)) {
        return PFK_E_INVALID;
    }
    if (m == 0) {
        return 0;
    }
    struct layout l = layout_of(k, m);
    size_t n_work = 2 * (size_t)l.c;
    size_t slice = slice_bytes(shard_bytes, n_work);
    int err = work_reserve(fec, n_work * slice);
    if (err != 0) {
        return err;
    }
    for (size_t at = 0; at < shard_bytes; at += slice) {
        struct column col = column_at(at, slice, shard_bytes);
        union {
            uint8_t *const *in;
            void *out;
        } ctx = {parity};
        encode_column(fec, &l, data, m, &col, slice, take_parity, ctx.out);
    }
    return 0;
}

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
static void cauchy_inverse(struct pfk_gf16 *fec, const struct layout *l)
{
    const uint16_t *log = fec->field.log;
    unsigned n = fec->n_missing;
    for (unsigned e = 0; e < n; e++) {
        unsigned x = parity_point(l, fec->chosen[e]), y = data_point(l, fec->missing[e]);
        uint64_t a = 0, b = 0;
        for (unsigned o = 0; o < n; o++) {
            unsigned other_x = parity_point(l, fec->chosen[o]),
                     other_y = data_point(l, fec->missing[o]);
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

struct syndrome {
    const struct pfk_gf16 *fec;
    uint8_t *slots; // one a chosen row
    size_t stride;
    unsigned next;
};

// Keeps the rows that were chosen; they come in rising order.
static void take_syndrome(void *ctx, unsigned row, uint8_t *slot, const struct column *col)
{
    struct syndrome *s = ctx;
    if (s->next < s->fec->n_missing && s->fec->chosen[s->next] == row) {
        memcpy(s->slots + s->next++ * s->stride, slot, col->padded);
    }
}

// The chosen rows straight from their coefficients: cheaper than transforms while there are few of
// them.
static void few_rows(struct pfk_gf16 *fec, const struct layout *l, const uint8_t *const data[],
                     const struct column *col, struct syndrome *s, uint8_t *in, uint8_t *group_sum)
{
    for (unsigned e = 0; e < fec->n_missing; e++) {
        memset(s->slots + e * s->stride, 0, col->padded);
        memset(group_sum + e * s->stride, 0, col->padded);
    }
    for (unsigned i = 0; i < l->k; i++) {
        if (data[i]) {
            gather(in, data[i], col);
        }
        for (unsigned e = 0; e < fec->n_missing; e++) {
            unsigned x = parity_point(l, fec->chosen[e]), y = data_point(l, i);
            uint8_t *sum = group_sum + e * s->stride;
            if (data[i]) {
                fec->row->muladd(sum, in, over(fec, x ^ y), col->padded);
            }
            if (((i + 1) & (l->c - 1)) == 0 ||
                i + 1 == l->k) { // the group is complete: apply its scale
                fec->row->muladd(s->slots + e * s->stride, sum, times(fec, (x ^ y) >> l->shift),
                                 col->padded);
                memset(sum, 0, col->padded);
            }
        }
    }
}

// Is the direct way cheaper? A data shard costs one multiplication a row there, about half the
// transform's depth here, and the transform also computes rows that nobody asked for.
static bool few(const struct layout *l, unsigned n_missing)
{
    return n_missing <= 1 + l->shift / 2;
}

static void repair_column(struct pfk_gf16 *fec, const struct layout *l, uint8_t *const data[],
                          const uint8_t *const present[], const uint8_t *const parity[],
                          const struct column *col, size_t stride, size_t n_encode)
{
    unsigned n = fec->n_missing;
    uint8_t *scratch = fec->work + n_encode * stride;
    struct syndrome s = {fec, scratch + stride, stride, 0};
    if (few(l, n)) {
        few_rows(fec, l, present, col, &s, scratch, fec->work);
    } else {
        encode_column(fec, l, present, fec->chosen[n - 1] + 1, col, stride, take_syndrome, &s);
    }
    for (unsigned e = 0; e < n; e++) {
        uint8_t *slot = s.slots + e * stride;
        gather(scratch, parity[fec->chosen[e]], col);
        fec->row->add(slot, scratch, col->padded);
        fec->row->mul(slot, times(fec, fec->field.exp[fec->column_log[e]]), col->padded);
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned y = data_point(l, fec->missing[i]);
        memset(scratch, 0, col->padded);
        for (unsigned e = 0; e < n; e++) {
            unsigned x = parity_point(l, fec->chosen[e]);
            fec->row->muladd(scratch, s.slots + e * stride, over(fec, x ^ y), col->padded);
        }
        fec->row->mul(scratch, times(fec, fec->field.exp[fec->row_log[i]]), col->padded);
        scatter(data[fec->missing[i]], scratch, col);
    }
}

int pfk_gf16_decode(struct pfk_gf16 *fec, unsigned k, unsigned m, size_t shard_bytes,
                    uint8_t *const data[], const bool have_data[], const uint8_t *const parity[])
{
    if (!valid(k, m, shard_bytes)) {
        return PFK_E_INVALID;
    }
    unsigned n_missing = 0, n_chosen = 0;
    for (unsigned i = 0; i < k; i++) {
        n_missing += !have_data[i];
    }
    if (n_missing == 0) {
        return 0;
    }
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
    struct layout l = layout_of(k, m);
    size_t n_encode = few(&l, n_missing) ? n_missing : 2 * (size_t)l.c;
    size_t n_work = n_encode + 1 + n_missing;
    size_t slice = slice_bytes(shard_bytes, n_work);
    size_t pointers = (k * sizeof(void *) + CHUNK - 1) / CHUNK * CHUNK;
    err = work_reserve(fec, n_work * slice + pointers);
    if (err != 0) {
        return err;
    }
    const uint8_t **present = (const uint8_t **)(void *)(fec->work + n_work * slice);
    fec->n_missing = 0;
    for (unsigned i = 0; i < k; i++) {
        present[i] = have_data[i] ? data[i] : NULL;
        if (!have_data[i]) {
            fec->missing[fec->n_missing++] = i;
        }
    }
    cauchy_inverse(fec, &l);
    for (size_t at = 0; at < shard_bytes; at += slice) {
        struct column col = column_at(at, slice, shard_bytes);
        repair_column(fec, &l, data, present, parity, &col, slice, n_encode);
    }
    return 0;
}
