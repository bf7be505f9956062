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

/**
 * Kernels see a symbol as a pair of bytes: v = low + high * B, where B is symbol 256 and low and
 * high are symbols below 256. Those symbols are the field GF(2^8), and B * B = B + b_7. So a
 * constant below 256 multiplies each byte by itself, and any constant low + high * B costs three
 * products of bytes:
 *   p = constant.low * v.low, q = constant.high * b_7 * v.high,
 *   r = (constant.low + constant.high) * (v.low + v.high);  product = (p + q) + (p + r) * B.
 * A shard's high bytes are already the pair's; its low bytes differ by a linear map of the high
 * ones, which is a row's `convert`.
 */
enum pfk_gf16_kind {
    PFK_GF16_ZERO,  // multiplication by 0
    PFK_GF16_BYTES, // by a constant below 256: p for both bytes; q is zero and r equals p
    PFK_GF16_PAIRS  // by any other
};

/** Products of a byte constant with the 16 values of a byte's lower and of its upper nibble. */
struct pfk_gf16_nibbles {
    uint8_t lower[16], upper[16];
};

/** Multiplication by one constant. */
struct pfk_gf16_table {
    struct pfk_gf16_nibbles p, q, r;
    enum pfk_gf16_kind kind;
};

void pfk_gf16_table_init(struct pfk_gf16_table *t, const struct pfk_gf16_field *f,
                         uint16_t constant);

/** What `convert` adds to a low byte, by the high byte's nibbles. */
void pfk_gf16_convert_init(struct pfk_gf16_nibbles *t, const struct pfk_gf16_field *f);

/**
 * Butterflies of two layers at once, on four slots in a row: `near` of slots 0, 1 and of 2, 3,
 * `far` of 0, 2 and of 1, 3.
 */
struct pfk_gf16_twiddles {
    const struct pfk_gf16_table *far, *near[2];
};

/**
 * Kernels over whole 64-byte chunks: 32 low bytes, then the 32 high bytes of the same symbols.
 * `bytes` is a multiple of 64. Buffers do not overlap; work slots are 64-byte aligned, shards
 * (either side of `convert` and `add`, `from`) are where the caller has them.
 */
struct pfk_gf16_row {
    const char *name;
    uint32_t cpu_flags; // all of these pfk_cpu_flag bits are needed
    // to = shard bytes from as pairs, or pairs as shard bytes: the map is its own inverse
    void (*convert)(uint8_t *to, const uint8_t *from, const struct pfk_gf16_nibbles *t,
                    size_t bytes);
    // x ^= t*y; y ^= x
    void (*fft2)(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *t, size_t bytes);
    // y ^= x; x ^= t*y
    void (*ifft2)(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *t, size_t bytes);
    // slots x, x + stride, ...: first the far, then the near butterflies
    void (*fft4)(uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t, size_t bytes);
    // first the near, then the far ones
    void (*ifft4)(uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t, size_t bytes);
    // the same, added to the slots at `sum`; those at x are left undefined
    void (*ifft4_add)(uint8_t *sum, uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t,
                      size_t bytes);
    // convert from four shards to the slots at x, then ifft4
    void (*ifft4_load)(uint8_t *x, size_t stride, const uint8_t *const from[4],
                       const struct pfk_gf16_nibbles *c, const struct pfk_gf16_twiddles *t,
                       size_t bytes);
    // x ^= t*y
    void (*muladd)(uint8_t *x, const uint8_t *y, const struct pfk_gf16_table *t, size_t bytes);
    // x = t*x
    void (*mul)(uint8_t *x, const struct pfk_gf16_table *t, size_t bytes);
    // x ^= y
    void (*add)(uint8_t *x, const uint8_t *y, size_t bytes);
};

extern const struct pfk_gf16_row pfk_gf16_row_c;
extern const struct pfk_gf16_row pfk_gf16_row_avx2;

#endif
