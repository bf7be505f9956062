// SPDX-License-Identifier: MIT OR Apache-2.0
// Arithmetic on 16-bit symbols and the kernels ("rows") that do it to whole shards.
#ifndef PFK_FEC_GF16_FIELD_H
#define PFK_FEC_GF16_FIELD_H

#include <stddef.h>
#include <stdint.h>

/** log of zero; exp of anything that contains it is zero. */
#define PFK_GF16_ORDER 65535u

/**
 * Discrete logarithms in the symbol numbering of the reference's section 5.4: symbol v stands for
 * the XOR of the Cantor basis elements b_j over its set bits j.
 */
struct pfk_gf16_field {
    uint16_t log[65536];     // log[0] is unused
    uint16_t exp[2 * 65536]; // doubled, so that a sum of two logs needs no reduction
};

void pfk_gf16_field_init(struct pfk_gf16_field *f);

static inline uint16_t pfk_gf16_mul(const struct pfk_gf16_field *f, uint16_t a, uint16_t b)
{
    return a && b ? f->exp[(uint32_t)f->log[a] + f->log[b]] : 0;
}

/** b != 0. */
static inline uint16_t pfk_gf16_div(const struct pfk_gf16_field *f, uint16_t a, uint16_t b)
{
    return a ? f->exp[(uint32_t)f->log[a] + PFK_GF16_ORDER - f->log[b]] : 0;
}

/** Products of one constant with the 16 values of each of a symbol's four nibbles. */
struct pfk_gf16_table {
    uint8_t low[4][16];  // low bytes of the products, nibble 0 = lowest
    uint8_t high[4][16]; // high bytes
};

void pfk_gf16_table_init(struct pfk_gf16_table *t, const struct pfk_gf16_field *f,
                         uint16_t constant);

/**
 * Kernels over whole 64-byte chunks: 32 low bytes, then the 32 high bytes of the same symbols.
 * Buffers are 64-byte aligned and do not overlap; `bytes` is a multiple of 64.
 */
struct pfk_gf16_row {
    const char *name;
    uint32_t cpu_flags; // all of these pfk_cpu_flag bits are needed
    void (*fft2)(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *t,
                 size_t bytes); // x ^= t*y; y ^= x
    void (*ifft2)(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *t,
                  size_t bytes); // y ^= x; x ^= t*y
    void (*muladd)(uint8_t *x, const uint8_t *y, const struct pfk_gf16_table *t,
                   size_t bytes);                                          // x ^= t*y
    void (*mul)(uint8_t *x, const struct pfk_gf16_table *t, size_t bytes); // x = t*x
    void (*add)(uint8_t *x, const uint8_t *y, size_t bytes);               // x ^= y
};

extern const struct pfk_gf16_row pfk_gf16_row_c;
extern const struct pfk_gf16_row pfk_gf16_row_avx2;

#endif
