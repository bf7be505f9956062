// SPDX-License-Identifier: MIT OR Apache-2.0
// What the encoder and the decoder share: the context, where shards sit, columns, transforms.
#ifndef PFK_FEC_GF16_INTERNAL_H
#define PFK_FEC_GF16_INTERNAL_H

#include "core/fec/gf16.h"
#include "core/fec/gf16_field.h"

/** What the kernels work on: 32 low bytes, then the 32 high bytes of the same symbols. */
#define PFK_GF16_CHUNK 64

/** Tables by constant, filled when first used: pages never touched cost nothing. */
struct pfk_gf16_tables {
    struct pfk_gf16_table *tables; // 65536
    uint8_t *filled;               // 65536 flags
};

struct pfk_gf16 {
    const struct pfk_gf16_row *row;
    struct pfk_gf16_field field;
    struct pfk_gf16_nibbles convert;
    struct pfk_gf16_tables times, over; // multiplication by v and by 1/v
    uint8_t *work;                      // 64-byte aligned
    size_t work_bytes;
    // decode: what is missing and which parity repairs it
    unsigned *missing, *chosen;
    unsigned n_missing, index_room;
    uint32_t *row_log, *column_log;
};

static inline const struct pfk_gf16_table *pfk_gf16_times(struct pfk_gf16 *fec, unsigned v)
{
    if (__builtin_expect(!fec->times.filled[v], 0)) {
        pfk_gf16_table_init(&fec->times.tables[v], &fec->field, (uint16_t)v);
        fec->times.filled[v] = 1;
    }
    return &fec->times.tables[v];
}

/** v != 0. */
static inline const struct pfk_gf16_table *pfk_gf16_over(struct pfk_gf16 *fec, unsigned v)
{
    if (__builtin_expect(!fec->over.filled[v], 0)) {
        pfk_gf16_table_init(&fec->over.tables[v], &fec->field,
                            pfk_gf16_div(&fec->field, 1, (uint16_t)v));
        fec->over.filled[v] = 1;
    }
    return &fec->over.tables[v];
}

/** PFK_E_INVALID, or 0 for what gf16.h allows. */
int pfk_gf16_check(unsigned k, unsigned m, size_t shard_bytes);

/**
 * Where a geometry's shards sit (reference: section 5.4). High rate: parity at 0.., data from c
 * on. Low rate: data at 0.., parity from c on.
 */
struct pfk_gf16_layout {
    unsigned k, m, c, shift; // c = 1 << shift: transform size
    bool high;
};

struct pfk_gf16_layout pfk_gf16_layout(unsigned k, unsigned m);

static inline unsigned pfk_gf16_data_point(const struct pfk_gf16_layout *l, unsigned i)
{
    return l->high ? l->c + i : i;
}

static inline unsigned pfk_gf16_parity_point(const struct pfk_gf16_layout *l, unsigned j)
{
    return l->high ? j : l->c + j;
}

/**
 * Shards are worked on in columns, which bounds the work memory. `bytes` of a shard from `at` on
 * are real, `padded` are worked on: a tail shorter than a chunk is spread out to a whole one, its
 * high bytes moved to where the kernels expect them.
 */
struct pfk_gf16_column {
    size_t at, bytes, padded;
    size_t stride; // of the work slots
};

/** Work memory of n_work slots plus `extra` bytes behind them; *slice = bytes of a column. */
int pfk_gf16_work_reserve(struct pfk_gf16 *fec, size_t n_work, size_t shard_bytes, size_t extra,
                          size_t *slice);

/** Slots follow each other at this distance. */
size_t pfk_gf16_stride(size_t slice);

struct pfk_gf16_column pfk_gf16_column(size_t at, size_t slice, size_t shard_bytes);

/** A shard's tail of less than a chunk to a whole one: the halves apart, zeros behind each. */
void pfk_gf16_spread(uint8_t chunk[PFK_GF16_CHUNK], const uint8_t *tail, size_t bytes);

/** One column of a shard to a work slot, as pairs, and back. */
void pfk_gf16_load(const struct pfk_gf16 *fec, uint8_t *slot, const uint8_t *shard,
                   const struct pfk_gf16_column *col);
void pfk_gf16_store(const struct pfk_gf16 *fec, uint8_t *shard, const uint8_t *slot,
                    const struct pfk_gf16_column *col);

/** Receives parity rows in rising order. */
typedef void (*pfk_gf16_take_fn)(void *ctx, unsigned row, const uint8_t *slot,
                                 const struct pfk_gf16_column *col);

/**
 * Parity rows 0 .. n_rows - 1 of one column, each handed to `take`. Uses the first 2 * c work
 * slots. data[i] may be NULL: a zero shard.
 */
void pfk_gf16_encode_column(struct pfk_gf16 *fec, const struct pfk_gf16_layout *l,
                            const uint8_t *const data[], unsigned n_rows,
                            const struct pfk_gf16_column *col, pfk_gf16_take_fn take, void *ctx);

#endif
