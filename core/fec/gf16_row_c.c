// SPDX-License-Identifier: MIT OR Apache-2.0
// The portable row: the reference that every other row is tested against.
#include "core/fec/gf16_field.h"

enum { CHUNK = 64, HALF = 32 };

static inline uint8_t product(const struct pfk_gf16_nibbles *t, unsigned byte)
{
    return t->lower[byte & 15] ^ t->upper[byte >> 4];
}

static void convert(uint8_t *restrict to, const uint8_t *restrict from,
                    const struct pfk_gf16_nibbles *t, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += CHUNK) {
        for (size_t i = at; i < at + HALF; i++) {
            to[i] = from[i] ^ product(t, from[i + HALF]);
            to[i + HALF] = from[i + HALF];
        }
    }
}

static void add(uint8_t *restrict x, const uint8_t *restrict y, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        x[i] ^= y[i];
    }
}

static void muladd(uint8_t *restrict x, const uint8_t *restrict y, const struct pfk_gf16_table *t,
                   size_t bytes)
{
    if (t->kind == PFK_GF16_ZERO) {
        return;
    }
    for (size_t at = 0; at < bytes; at += CHUNK) {
        for (size_t i = at; i < at + HALF; i++) {
            unsigned low = y[i], high = y[i + HALF], p = product(&t->p, low);
            x[i] ^= (uint8_t)(p ^ product(&t->q, high));
            x[i + HALF] ^= (uint8_t)(p ^ product(&t->r, low ^ high));
        }
    }
}

static void mul(uint8_t *x, const struct pfk_gf16_table *t, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += CHUNK) {
        for (size_t i = at; i < at + HALF; i++) {
            unsigned low = x[i], high = x[i + HALF], p = product(&t->p, low);
            x[i] = (uint8_t)(p ^ product(&t->q, high));
            x[i + HALF] = (uint8_t)(p ^ product(&t->r, low ^ high));
        }
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
