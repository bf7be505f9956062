// SPDX-License-Identifier: MIT OR Apache-2.0
// The portable row: the reference that every other row is tested against.
#include "core/fec/gf16_field.h"

#include <string.h>

enum { CHUNK = 64, HALF = 32 };

// x += t * y, eight bytes a step: a byte of `ones` is 1 where y has the bit, so the product with
// that bit's 8-bit constant carries into no neighbour.
static void muladd_half(uint8_t *x, const uint8_t *y, const struct pfk_gf16_nibbles *t)
{
    const uint64_t ones = 0x0101010101010101u;
    for (size_t at = 0; at < HALF; at += sizeof(uint64_t)) {
        uint64_t v, sum;
        memcpy(&v, y + at, sizeof(v));
        memcpy(&sum, x + at, sizeof(sum));
        for (unsigned bit = 0; bit < 4; bit++) {
            sum ^= (v >> bit & ones) * t->lower[1u << bit];
            sum ^= (v >> (bit + 4) & ones) * t->upper[1u << bit];
        }
        memcpy(x + at, &sum, sizeof(sum));
    }
}

static void add(uint8_t *restrict x, const uint8_t *restrict y, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        x[i] ^= y[i];
    }
}

static void convert(uint8_t *restrict to, const uint8_t *restrict from,
                    const struct pfk_gf16_nibbles *t, size_t bytes)
{
    memcpy(to, from, bytes);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        muladd_half(to + at, from + at + HALF, t);
    }
}

static void muladd(uint8_t *restrict x, const uint8_t *restrict y, const struct pfk_gf16_table *t,
                   size_t bytes)
{
    for (size_t at = 0; at < bytes && t->kind != PFK_GF16_ZERO; at += CHUNK) {
        uint8_t *low = x + at, *high = low + HALF;
        const uint8_t *y_low = y + at, *y_high = y_low + HALF;
        uint8_t p[HALF] = {0}, sum[HALF];
        muladd_half(p, y_low, &t->p);
        add(low, p, HALF);
        if (t->kind == PFK_GF16_BYTES) {
            muladd_half(high, y_high, &t->p);
            continue;
        }
        memcpy(sum, y_low, HALF);
        add(sum, y_high, HALF);
        muladd_half(low, y_high, &t->q);
        add(high, p, HALF);
        muladd_half(high, sum, &t->r);
    }
}

static void mul(uint8_t *x, const struct pfk_gf16_table *t, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += CHUNK) {
        uint8_t product[CHUNK] = {0};
        muladd(product, x + at, t, CHUNK);
        memcpy(x + at, product, CHUNK);
    }
}

static void fft2(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *t, size_t bytes)
{
    muladd(x, y, t, bytes);
    add(y, x, bytes);
}

static void ifft2(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *t, size_t bytes)
{
    add(y, x, bytes);
    muladd(x, y, t, bytes);
}

static void fft4(uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t, size_t bytes)
{
    fft2(x, x + 2 * stride, t->far, bytes);
    fft2(x + stride, x + 3 * stride, t->far, bytes);
    fft2(x, x + stride, t->near[0], bytes);
    fft2(x + 2 * stride, x + 3 * stride, t->near[1], bytes);
}

static void ifft4(uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t, size_t bytes)
{
    ifft2(x, x + stride, t->near[0], bytes);
    ifft2(x + 2 * stride, x + 3 * stride, t->near[1], bytes);
    ifft2(x, x + 2 * stride, t->far, bytes);
    ifft2(x + stride, x + 3 * stride, t->far, bytes);
}

static void ifft4_load(uint8_t *x, size_t stride, const uint8_t *const from[4],
                       const struct pfk_gf16_nibbles *c, const struct pfk_gf16_twiddles *t,
                       size_t bytes)
{
    for (size_t i = 0; i < 4; i++) {
        convert(x + i * stride, from[i], c, bytes);
    }
    ifft4(x, stride, t, bytes);
}

static void ifft4_add(uint8_t *sum, uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t,
                      size_t bytes)
{
    ifft4(x, stride, t, bytes);
    for (size_t i = 0; i < 4; i++) {
        add(sum + i * stride, x + i * stride, bytes);
    }
}

const struct pfk_gf16_row pfk_gf16_row_c = {
    .name = "c",
    .convert = convert,
    .fft2 = fft2,
    .ifft2 = ifft2,
    .fft4 = fft4,
    .ifft4 = ifft4,
    .ifft4_add = ifft4_add,
    .ifft4_load = ifft4_load,
    .muladd = muladd,
    .mul = mul,
    .add = add,
};
