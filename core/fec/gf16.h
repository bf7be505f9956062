// SPDX-License-Identifier: MIT OR Apache-2.0
// Reed-Solomon over GF(2^16), the Leopard construction (reference: punktfunk/1 section 5.4).
#ifndef PFK_FEC_GF16_H
#define PFK_FEC_GF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Largest number of shards of a block, data and parity together. */
#define PFK_GF16_MAX_SHARDS 65535

/** Tables, plans and work memory. One thread at a time; encode and decode grow it, then reuse it.
 */
struct pfk_gf16;

/**
 * @row  name of the implementation to force ("c", "avx2"), or NULL for the best this CPU runs
 * Free with pfk_gf16_destroy(). 0; PFK_E_NOMEM; PFK_E_UNSUPPORTED (unknown row, or not on this
 * CPU).
 */
int pfk_gf16_create(struct pfk_gf16 **out, const char *row);
void pfk_gf16_destroy(struct pfk_gf16 *fec);

/** Name of the row in use. */
const char *pfk_gf16_row(const struct pfk_gf16 *fec);

/** Names of the rows this CPU runs, best first: index 0, 1, ... until NULL. */
const char *pfk_gf16_row_at(unsigned index);

/**
 * Compute m parity shards of k data shards, each `shard_bytes` long (even, at least 2).
 * k >= 1, m >= 0, k + m <= PFK_GF16_MAX_SHARDS, and at most 65536 when the smaller of k and m is
 * rounded up to a power of two. No alignment is asked for.
 * 0; PFK_E_INVALID; PFK_E_NOMEM. On failure the parity is untouched.
 */
int pfk_gf16_encode(struct pfk_gf16 *fec, unsigned k, unsigned m, size_t shard_bytes,
                    const uint8_t *const data[], uint8_t *const parity[]);

/**
 * Restore the missing data shards in place.
 * @data       k buffers of `shard_bytes`; those whose have_data[i] is false are written
 * @have_data  k flags; unchanged
 * @parity     m pointers; NULL = that parity shard did not arrive
 * 0 (nothing missing included); PFK_E_INVALID; PFK_E_NOMEM; PFK_E_UNRECOVERABLE (fewer than k
 * shards in all). On failure the data is untouched.
 */
int pfk_gf16_decode(struct pfk_gf16 *fec, unsigned k, unsigned m, size_t shard_bytes,
                    uint8_t *const data[], const bool have_data[], const uint8_t *const parity[]);

#endif
