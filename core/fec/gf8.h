// SPDX-License-Identifier: MIT OR Apache-2.0
// Reed-Solomon over GF(2^8), polynomial 11Dh, Cauchy matrix inverse((m + i) XOR j): GameStream's
// code and the alternative one of punktfunk/1 (reference: section 5.5). Arithmetic by ISA-L.
#ifndef PFK_FEC_GF8_H
#define PFK_FEC_GF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PFK_GF8_MAX_SHARDS 255

/** Matrices of the last geometry and work memory. One thread at a time. */
struct pfk_gf8;

/** Free with pfk_gf8_destroy(). 0 or PFK_E_NOMEM. */
int pfk_gf8_create(struct pfk_gf8 **out);
void pfk_gf8_destroy(struct pfk_gf8 *fec);

/** As pfk_gf16_encode(), with k + m <= PFK_GF8_MAX_SHARDS and any shard_bytes >= 1. */
int pfk_gf8_encode(struct pfk_gf8 *fec, unsigned k, unsigned m, size_t shard_bytes,
                   const uint8_t *const data[], uint8_t *const parity[]);

/** As pfk_gf16_decode(), with the bounds of pfk_gf8_encode(). */
int pfk_gf8_decode(struct pfk_gf8 *fec, unsigned k, unsigned m, size_t shard_bytes,
                   uint8_t *const data[], const bool have_data[], const uint8_t *const parity[]);

#endif
