// SPDX-License-Identifier: MIT OR Apache-2.0
// The portable row: the reference that every other row is tested against.
#include "core/fec/gf16_field.h"

enum { CHUNK = 64, HALF = 32 };

static inline void product(uint8_t *low, uint8_t *high, uint8_t y_low, uint8_t y_high,
                           const struct pfk_gf16_table *t)
{
    unsigned n0 = y_low & 15u, n1 = y_low >> 4, n2 = y_high & 15u, n3 = y_high >> 4;
    *low = t->low[0][n0] ^ t->low[1][n1] ^ t->low[2][n2] ^ t->low[3][n3];
    *high = t->high[0][n0] ^ t->high[1][n1] ^ t->high[2][n2] ^ t->high[3][n3];
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
    for (size_t at = 0; at < bytes; at += CHUNK) {
        for (size_t i = at; i < at + HALF; i++) {
            uint8_t low, high;
            product(&low, &high, y[i], y[i + HALF], t);
            x[i] ^= low;
            x[i + HALF] ^= high;
        }
    }
}

static void mul(uint8_t *x, const struct pfk_gf16_table *t, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += CHUNK) {
        for (size_t i = at; i < at + HALF; i++) {
            product(&x[i], &x[i + HALF], x[i], x[i + HALF], t);
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

const struct pfk_gf16_row pfk_gf16_row_c = {
    .name = "c",
    .fft2 = fft2,
    .ifft2 = ifft2,
    .muladd = muladd,
    .mul = mul,
    .add = add,
};
