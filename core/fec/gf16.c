// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/fec/gf16.h"

#include "core/base/cpu.h"
#include "core/base/status.h"
#include "core/fec/gf16_internal.h"

#include <stdlib.h>
#include <string.h>

// Transforms run depth first, so the work memory may well exceed the second-level cache; larger
// columns cost less set-up for each shard.
enum { CHUNK = PFK_GF16_CHUNK, WORK_TARGET_BYTES = 1 << 20 };

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

static int cache_create(struct pfk_gf16_tables *cache)
{
    cache->tables = calloc(65536, sizeof(*cache->tables));
    cache->filled = calloc(65536, 1);
    return cache->tables && cache->filled ? 0 : PFK_E_NOMEM;
}

static void cache_destroy(struct pfk_gf16_tables *cache)
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
    pfk_gf16_convert_init(&fec->convert, &fec->field);
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

static unsigned log2_ceil(unsigned n)
{
    return n <= 1 ? 0 : 32u - (unsigned)__builtin_clz(n - 1);
}

struct pfk_gf16_layout pfk_gf16_layout(unsigned k, unsigned m)
{
    unsigned k_log = log2_ceil(k), m_log = log2_ceil(m);
    bool high = k_log >= m_log;
    unsigned shift = high ? m_log : k_log;
    return (struct pfk_gf16_layout){k, m, 1u << shift, shift, high};
}

int pfk_gf16_check(unsigned k, unsigned m, size_t shard_bytes)
{
    if (k < 1 || k > PFK_GF16_MAX_SHARDS || m > PFK_GF16_MAX_SHARDS - k || shard_bytes < 2 ||
        shard_bytes % 2 != 0 || shard_bytes > SIZE_MAX / 2) {
        return PFK_E_INVALID;
    }
    // The field has 65536 points, and the first shards take a power of two of them.
    struct pfk_gf16_layout l = pfk_gf16_layout(k, m);
    return l.c + (l.high ? k : m) <= 65536 ? 0 : PFK_E_INVALID;
}

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

// An odd number of chunks: at a power of two, all slots would fight for the same cache sets.
size_t pfk_gf16_stride(size_t slice)
{
    return slice | CHUNK;
}

int pfk_gf16_work_reserve(struct pfk_gf16 *fec, size_t n_work, size_t shard_bytes, size_t extra,
                          size_t *slice)
{
    // Even columns, none much shorter than the others.
    size_t padded = round_up(shard_bytes, CHUNK);
    size_t most = WORK_TARGET_BYTES / n_work;
    most = most < 2 * CHUNK ? 2 * CHUNK : most;
    size_t n_columns = (padded + most - 1) / most;
    *slice = round_up((padded + n_columns - 1) / n_columns, CHUNK);
    size_t bytes = n_work * pfk_gf16_stride(*slice) + round_up(extra, CHUNK);
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

struct pfk_gf16_column pfk_gf16_column(size_t at, size_t slice, size_t shard_bytes)
{
    size_t bytes = shard_bytes - at < slice ? shard_bytes - at : slice;
    return (struct pfk_gf16_column){at, bytes, round_up(bytes, CHUNK), pfk_gf16_stride(slice)};
}

void pfk_gf16_spread(uint8_t chunk[CHUNK], const uint8_t *tail, size_t bytes)
{
    size_t half = bytes / 2;
    memset(chunk, 0, CHUNK);
    memcpy(chunk, tail, half);
    memcpy(chunk + CHUNK / 2, tail + half, half);
}

void pfk_gf16_load(const struct pfk_gf16 *fec, uint8_t *slot, const uint8_t *shard,
                   const struct pfk_gf16_column *col)
{
    size_t whole = col->bytes / CHUNK * CHUNK;
    fec->row->convert(slot, shard + col->at, &fec->convert, whole);
    if (whole < col->bytes) {
        uint8_t chunk[CHUNK];
        pfk_gf16_spread(chunk, shard + col->at + whole, col->bytes - whole);
        fec->row->convert(slot + whole, chunk, &fec->convert, CHUNK);
    }
}

void pfk_gf16_store(const struct pfk_gf16 *fec, uint8_t *shard, const uint8_t *slot,
                    const struct pfk_gf16_column *col)
{
    size_t whole = col->bytes / CHUNK * CHUNK, half_tail = (col->bytes - whole) / 2;
    fec->row->convert(shard + col->at, slot, &fec->convert, whole);
    if (half_tail) {
        uint8_t *tail = shard + col->at + whole;
        uint8_t chunk[CHUNK];
        fec->row->convert(chunk, slot + whole, &fec->convert, CHUNK);
        memcpy(tail, chunk, half_tail);
        memcpy(tail + half_tail, chunk + CHUNK / 2, half_tail);
    }
}

// One point only: the parity is the sum of the data, whatever a byte means.
static void encode_sum(const struct pfk_gf16 *fec, unsigned k, unsigned m, size_t shard_bytes,
                       const uint8_t *const data[], uint8_t *const parity[])
{
    size_t whole = shard_bytes / CHUNK * CHUNK;
    for (unsigned j = 0; j < m; j++) {
        memcpy(parity[j], data[0], shard_bytes);
    }
    for (unsigned i = 1; i < k; i++) {
        fec->row->add(parity[0], data[i], whole);
        for (size_t at = whole; at < shard_bytes; at++) {
            parity[0][at] ^= data[i][at];
        }
    }
}

struct encode {
    const struct pfk_gf16 *fec;
    uint8_t *const *parity;
};

static void take_parity(void *ctx, unsigned row, const uint8_t *slot,
                        const struct pfk_gf16_column *col)
{
    const struct encode *e = ctx;
    pfk_gf16_store(e->fec, e->parity[row], slot, col);
}

int pfk_gf16_encode(struct pfk_gf16 *fec, unsigned k, unsigned m, size_t shard_bytes,
                    const uint8_t *const data[], uint8_t *const parity[])
{
    int err = pfk_gf16_check(k, m, shard_bytes);
    if (err != 0 || m == 0) {
        return err;
    }
    struct pfk_gf16_layout l = pfk_gf16_layout(k, m);
    if (l.c == 1) {
        encode_sum(fec, k, m, shard_bytes, data, parity);
        return 0;
    }
    size_t slice;
    err = pfk_gf16_work_reserve(fec, 2 * (size_t)l.c, shard_bytes, 0, &slice);
    if (err != 0) {
        return err;
    }
    struct encode e = {fec, parity};
    for (size_t at = 0; at < shard_bytes; at += slice) {
        struct pfk_gf16_column col = pfk_gf16_column(at, slice, shard_bytes);
        pfk_gf16_encode_column(fec, &l, data, m, &col, take_parity, &e);
    }
    return 0;
}
