// SPDX-License-Identifier: MIT OR Apache-2.0
// 32 symbols a step: one register of low bytes, one of high bytes, nibble products by byte shuffle.
#include "core/base/cpu.h"
#include "core/fec/gf16_field.h"

#include <immintrin.h>
#include <stdbool.h>

enum { CHUNK = 64, HALF = 32 };

// Each loop below is compiled once for every kind of constant that it meets.
#define SPECIALISED static inline __attribute__((always_inline))

struct nibbles {
    __m256i lower, upper;
};

struct table {
    struct nibbles p, q, r;
};

// The bytes of 32 symbols as pairs (gf16_field.h).
struct pairs {
    __m256i low, high;
};

static inline __m256i broadcast(const uint8_t values[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)values));
}

static inline struct nibbles load_nibbles(const struct pfk_gf16_nibbles *t)
{
    return (struct nibbles){broadcast(t->lower), broadcast(t->upper)};
}

SPECIALISED struct table load_table(const struct pfk_gf16_table *t)
{
    return (struct table){load_nibbles(&t->p), load_nibbles(&t->q), load_nibbles(&t->r)};
}

SPECIALISED __m256i add(__m256i a, __m256i b)
{
    return _mm256_xor_si256(a, b);
}

SPECIALISED struct pairs load(const uint8_t *p)
{
    return (struct pairs){_mm256_loadu_si256((const __m256i *)p),
                          _mm256_loadu_si256((const __m256i *)(p + HALF))};
}

SPECIALISED void store(uint8_t *p, struct pairs v)
{
    _mm256_storeu_si256((__m256i *)p, v.low);
    _mm256_storeu_si256((__m256i *)(p + HALF), v.high);
}

SPECIALISED struct pairs add_pairs(struct pairs a, struct pairs b)
{
    return (struct pairs){add(a.low, b.low), add(a.high, b.high)};
}

SPECIALISED struct nibbles split(__m256i v)
{
    const __m256i mask = _mm256_set1_epi8(15);
    return (struct nibbles){_mm256_and_si256(v, mask),
                            _mm256_and_si256(_mm256_srli_epi64(v, 4), mask)};
}

SPECIALISED __m256i product(struct nibbles t, struct nibbles v)
{
    return add(_mm256_shuffle_epi8(t.lower, v.lower), _mm256_shuffle_epi8(t.upper, v.upper));
}

SPECIALISED struct pairs muladd_step(struct pairs x, const struct table *t, struct pairs y,
                                     enum pfk_gf16_kind kind)
{
    if (kind == PFK_GF16_ZERO) {
        return x;
    }
    struct nibbles low = split(y.low), high = split(y.high);
    __m256i p = product(t->p, low);
    if (kind == PFK_GF16_BYTES) {
        return add_pairs(x, (struct pairs){p, product(t->p, high)});
    }
    struct nibbles sum = {add(low.lower, high.lower), add(low.upper, high.upper)};
    return (struct pairs){add(add(x.low, p), product(t->q, high)),
                          add(add(x.high, p), product(t->r, sum))};
}

static void convert(uint8_t *to, const uint8_t *from, const struct pfk_gf16_nibbles *nibbles,
                    size_t bytes)
{
    struct nibbles t = load_nibbles(nibbles);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        struct pairs v = load(from + at);
        v.low = add(v.low, product(t, split(v.high)));
        store(to + at, v);
    }
}

static void row_add(uint8_t *x, const uint8_t *y, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += CHUNK) {
        store(x + at, add_pairs(load(x + at), load(y + at)));
    }
}

SPECIALISED void muladd_loop(uint8_t *x, const uint8_t *y, const struct pfk_gf16_table *table,
                             size_t bytes, enum pfk_gf16_kind kind)
{
    struct table t = load_table(table);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        store(x + at, muladd_step(load(x + at), &t, load(y + at), kind));
    }
}

static void muladd(uint8_t *x, const uint8_t *y, const struct pfk_gf16_table *t, size_t bytes)
{
    if (t->kind == PFK_GF16_PAIRS) {
        muladd_loop(x, y, t, bytes, PFK_GF16_PAIRS);
    } else {
        muladd_loop(x, y, t, bytes, PFK_GF16_BYTES);
    }
}

static void mul(uint8_t *x, const struct pfk_gf16_table *table, size_t bytes)
{
    struct table t = load_table(table);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        const struct pairs zero = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        store(x + at, muladd_step(zero, &t, load(x + at), PFK_GF16_PAIRS));
    }
}

SPECIALISED void fft_step(struct pairs *x, struct pairs *y, const struct table *t,
                          enum pfk_gf16_kind kind)
{
    *x = muladd_step(*x, t, *y, kind);
    *y = add_pairs(*y, *x);
}

SPECIALISED void ifft_step(struct pairs *x, struct pairs *y, const struct table *t,
                           enum pfk_gf16_kind kind)
{
    *y = add_pairs(*y, *x);
    *x = muladd_step(*x, t, *y, kind);
}

SPECIALISED void fft2_loop(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *table, size_t bytes,
                           enum pfk_gf16_kind kind)
{
    struct table t = load_table(table);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        struct pairs a = load(x + at), b = load(y + at);
        fft_step(&a, &b, &t, kind);
        store(x + at, a);
        store(y + at, b);
    }
}

static void fft2(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *t, size_t bytes)
{
    if (t->kind == PFK_GF16_PAIRS) {
        fft2_loop(x, y, t, bytes, PFK_GF16_PAIRS);
    } else if (t->kind == PFK_GF16_ZERO) {
        row_add(y, x, bytes);
    } else {
        fft2_loop(x, y, t, bytes, PFK_GF16_BYTES);
    }
}

SPECIALISED void ifft2_loop(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *table,
                            size_t bytes, enum pfk_gf16_kind kind)
{
    struct table t = load_table(table);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        struct pairs a = load(x + at), b = load(y + at);
        ifft_step(&a, &b, &t, kind);
        store(x + at, a);
        store(y + at, b);
    }
}

static void ifft2(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *t, size_t bytes)
{
    if (t->kind == PFK_GF16_PAIRS) {
        ifft2_loop(x, y, t, bytes, PFK_GF16_PAIRS);
    } else {
        ifft2_loop(x, y, t, bytes, PFK_GF16_BYTES);
    }
}

// `first`: kind of far and near[0], which are zero together in the block that starts at point 0.
SPECIALISED void fft4_loop(uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t,
                           size_t bytes, enum pfk_gf16_kind first, enum pfk_gf16_kind second)
{
    struct table far = load_table(t->far);
    struct table near0 = load_table(t->near[0]), near1 = load_table(t->near[1]);
    for (uint8_t *end = x + bytes; x < end; x += CHUNK) {
        struct pairs a = load(x), b = load(x + stride);
        struct pairs c = load(x + 2 * stride), d = load(x + 3 * stride);
        fft_step(&a, &c, &far, first);
        fft_step(&b, &d, &far, first);
        fft_step(&a, &b, &near0, first);
        fft_step(&c, &d, &near1, second);
        store(x, a);
        store(x + stride, b);
        store(x + 2 * stride, c);
        store(x + 3 * stride, d);
    }
}

static enum pfk_gf16_kind widest(const struct pfk_gf16_twiddles *t)
{
    enum pfk_gf16_kind kind = t->far->kind;
    kind = t->near[0]->kind > kind ? t->near[0]->kind : kind;
    return t->near[1]->kind > kind ? t->near[1]->kind : kind;
}

static void fft4(uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t, size_t bytes)
{
    if (widest(t) == PFK_GF16_PAIRS) {
        fft4_loop(x, stride, t, bytes, PFK_GF16_PAIRS, PFK_GF16_PAIRS);
    } else if (t->far->kind == PFK_GF16_ZERO && t->near[0]->kind == PFK_GF16_ZERO) {
        fft4_loop(x, stride, t, bytes, PFK_GF16_ZERO, PFK_GF16_BYTES);
    } else {
        fft4_loop(x, stride, t, bytes, PFK_GF16_BYTES, PFK_GF16_BYTES);
    }
}

SPECIALISED void ifft4_loop(uint8_t *to, uint8_t *x, size_t stride,
                            const struct pfk_gf16_twiddles *t, size_t bytes,
                            enum pfk_gf16_kind kind, bool accumulate)
{
    struct table far = load_table(t->far);
    struct table near0 = load_table(t->near[0]), near1 = load_table(t->near[1]);
    for (uint8_t *end = x + bytes; x < end; x += CHUNK, to += CHUNK) {
        struct pairs a = load(x), b = load(x + stride);
        struct pairs c = load(x + 2 * stride), d = load(x + 3 * stride);
        ifft_step(&a, &b, &near0, kind);
        ifft_step(&c, &d, &near1, kind);
        ifft_step(&a, &c, &far, kind);
        ifft_step(&b, &d, &far, kind);
        store(to, accumulate ? add_pairs(a, load(to)) : a);
        store(to + stride, accumulate ? add_pairs(b, load(to + stride)) : b);
        store(to + 2 * stride, accumulate ? add_pairs(c, load(to + 2 * stride)) : c);
        store(to + 3 * stride, accumulate ? add_pairs(d, load(to + 3 * stride)) : d);
    }
}

static void ifft4(uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t, size_t bytes)
{
    if (widest(t) == PFK_GF16_PAIRS) {
        ifft4_loop(x, x, stride, t, bytes, PFK_GF16_PAIRS, false);
    } else {
        ifft4_loop(x, x, stride, t, bytes, PFK_GF16_BYTES, false);
    }
}

static void ifft4_add(uint8_t *sum, uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t,
                      size_t bytes)
{
    if (widest(t) == PFK_GF16_PAIRS) {
        ifft4_loop(sum, x, stride, t, bytes, PFK_GF16_PAIRS, true);
    } else {
        ifft4_loop(sum, x, stride, t, bytes, PFK_GF16_BYTES, true);
    }
}

const struct pfk_gf16_row pfk_gf16_row_avx2 = {
    .name = "avx2",
    .cpu_flags = PFK_CPU_AVX2,
    .convert = convert,
    .fft2 = fft2,
    .ifft2 = ifft2,
    .fft4 = fft4,
    .ifft4 = ifft4,
    .ifft4_add = ifft4_add,
    .muladd = muladd,
    .mul = mul,
    .add = row_add,
};
