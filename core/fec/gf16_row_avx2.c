// SPDX-License-Identifier: MIT OR Apache-2.0
// 32 symbols a step: one register of low bytes, one of high bytes, nibble products by byte shuffle.
#include "core/base/cpu.h"
#include "core/fec/gf16_field.h"

#include <immintrin.h>

enum { CHUNK = 64, HALF = 32 };

struct tables {
    __m256i low[4], high[4];
};

static inline struct tables load_tables(const struct pfk_gf16_table *t)
{
    struct tables r;
    for (int i = 0; i < 4; i++) {
        r.low[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t->low[i]));
        r.high[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t->high[i]));
    }
    return r;
}

static inline __m256i load(const uint8_t *p)
{
    return _mm256_load_si256((const __m256i *)p);
}

static inline void store(uint8_t *p, __m256i v)
{
    _mm256_store_si256((__m256i *)p, v);
}

// (x_low, x_high) ^= t * (y_low, y_high)
static inline void muladd_step(__m256i *x_low, __m256i *x_high, __m256i y_low, __m256i y_high,
                               const struct tables *t)
{
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i n0 = _mm256_and_si256(y_low, mask);
    __m256i n1 = _mm256_and_si256(_mm256_srli_epi64(y_low, 4), mask);
    __m256i n2 = _mm256_and_si256(y_high, mask);
    __m256i n3 = _mm256_and_si256(_mm256_srli_epi64(y_high, 4), mask);
    __m256i a =
        _mm256_xor_si256(_mm256_shuffle_epi8(t->low[0], n0), _mm256_shuffle_epi8(t->low[1], n1));
    __m256i b =
        _mm256_xor_si256(_mm256_shuffle_epi8(t->low[2], n2), _mm256_shuffle_epi8(t->low[3], n3));
    __m256i c =
        _mm256_xor_si256(_mm256_shuffle_epi8(t->high[0], n0), _mm256_shuffle_epi8(t->high[1], n1));
    __m256i d =
        _mm256_xor_si256(_mm256_shuffle_epi8(t->high[2], n2), _mm256_shuffle_epi8(t->high[3], n3));
    *x_low = _mm256_xor_si256(*x_low, _mm256_xor_si256(a, b));
    *x_high = _mm256_xor_si256(*x_high, _mm256_xor_si256(c, d));
}

static void add(uint8_t *x, const uint8_t *y, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += HALF) {
        store(x + at, _mm256_xor_si256(load(x + at), load(y + at)));
    }
}

static void muladd(uint8_t *x, const uint8_t *y, const struct pfk_gf16_table *table, size_t bytes)
{
    struct tables t = load_tables(table);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        __m256i x_low = load(x + at), x_high = load(x + at + HALF);
        muladd_step(&x_low, &x_high, load(y + at), load(y + at + HALF), &t);
        store(x + at, x_low);
        store(x + at + HALF, x_high);
    }
}

static void mul(uint8_t *x, const struct pfk_gf16_table *table, size_t bytes)
{
    struct tables t = load_tables(table);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        __m256i low = _mm256_setzero_si256(), high = low;
        muladd_step(&low, &high, load(x + at), load(x + at + HALF), &t);
        store(x + at, low);
        store(x + at + HALF, high);
    }
}

static void fft2(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *table, size_t bytes)
{
    struct tables t = load_tables(table);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        __m256i x_low = load(x + at), x_high = load(x + at + HALF);
        __m256i y_low = load(y + at), y_high = load(y + at + HALF);
        muladd_step(&x_low, &x_high, y_low, y_high, &t);
        store(x + at, x_low);
        store(x + at + HALF, x_high);
        store(y + at, _mm256_xor_si256(y_low, x_low));
        store(y + at + HALF, _mm256_xor_si256(y_high, x_high));
    }
}

static void ifft2(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *table, size_t bytes)
{
    struct tables t = load_tables(table);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        __m256i x_low = load(x + at), x_high = load(x + at + HALF);
        __m256i y_low = _mm256_xor_si256(load(y + at), x_low);
        __m256i y_high = _mm256_xor_si256(load(y + at + HALF), x_high);
        muladd_step(&x_low, &x_high, y_low, y_high, &t);
        store(x + at, x_low);
        store(x + at + HALF, x_high);
        store(y + at, y_low);
        store(y + at + HALF, y_high);
    }
}

const struct pfk_gf16_row pfk_gf16_row_avx2 = {
    .name = "avx2",
    .cpu_flags = PFK_CPU_AVX2,
    .fft2 = fft2,
    .ifft2 = ifft2,
    .muladd = muladd,
    .mul = mul,
    .add = add,
};
