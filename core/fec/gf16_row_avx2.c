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

// The bytes of 32 symbols as pairs (gf16_field.h). Where constants are bytes, both halves of a
// chunk are treated alike, one after the other in `low`: fewer registers.
struct pairs {
    __m256i low, high;
};

SPECIALISED size_t step(enum pfk_gf16_kind kind)
{
    return kind == PFK_GF16_PAIRS ? CHUNK : HALF;
}

SPECIALISED __m256i broadcast(const uint8_t values[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)values));
}

SPECIALISED struct nibbles load_nibbles(const struct pfk_gf16_nibbles *t)
{
    return (struct nibbles){broadcast(t->lower), broadcast(t->upper)};
}

SPECIALISED __m256i add(__m256i a, __m256i b)
{
    return _mm256_xor_si256(a, b);
}

SPECIALISED struct pairs load(const uint8_t *p, enum pfk_gf16_kind kind)
{
    struct pairs v = {_mm256_loadu_si256((const __m256i *)p), _mm256_setzero_si256()};
    if (kind == PFK_GF16_PAIRS) {
        v.high = _mm256_loadu_si256((const __m256i *)(p + HALF));
    }
    return v;
}

SPECIALISED void store(uint8_t *p, struct pairs v, enum pfk_gf16_kind kind)
{
    _mm256_storeu_si256((__m256i *)p, v.low);
    if (kind == PFK_GF16_PAIRS) {
        _mm256_storeu_si256((__m256i *)(p + HALF), v.high);
    }
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

// A constant in a loop. A byte's two tables stay in registers. A pair's six are loaded at each use,
// past the compiler's wish to keep them: they would push the data out.
struct constant {
    const struct pfk_gf16_table *t;
    struct nibbles p;
};

SPECIALISED struct constant constant(const struct pfk_gf16_table *t)
{
    return (struct constant){t, load_nibbles(&t->p)};
}

// x + t * y
SPECIALISED struct pairs muladd_step(struct pairs x, struct constant by, struct pairs y,
                                     enum pfk_gf16_kind kind)
{
    if (kind == PFK_GF16_ZERO) {
        return x;
    }
    struct nibbles low = split(y.low);
    if (kind == PFK_GF16_BYTES) {
        return (struct pairs){add(x.low, product(by.p, low)),
                              add(x.high, product(by.p, split(y.high)))};
    }
    const struct pfk_gf16_table *t = by.t;
    __asm__("" : "+r"(t));
    __m256i p = product(load_nibbles(&t->p), low);
    struct nibbles high = split(y.high);
    struct nibbles sum = {add(low.lower, high.lower), add(low.upper, high.upper)};
    return (struct pairs){add(add(x.low, p), product(load_nibbles(&t->q), high)),
                          add(add(x.high, p), product(load_nibbles(&t->r), sum))};
}

static void convert(uint8_t *to, const uint8_t *from, const struct pfk_gf16_nibbles *nibbles,
                    size_t bytes)
{
    struct nibbles t = load_nibbles(nibbles);
    for (size_t at = 0; at < bytes; at += CHUNK) {
        struct pairs v = load(from + at, PFK_GF16_PAIRS);
        v.low = add(v.low, product(t, split(v.high)));
        store(to + at, v, PFK_GF16_PAIRS);
    }
}

static void row_add(uint8_t *x, const uint8_t *y, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += CHUNK) {
        struct pairs sum = add_pairs(load(x + at, PFK_GF16_PAIRS), load(y + at, PFK_GF16_PAIRS));
        store(x + at, sum, PFK_GF16_PAIRS);
    }
}

SPECIALISED void muladd_loop(uint8_t *x, const uint8_t *y, const struct pfk_gf16_table *table,
                             size_t bytes, enum pfk_gf16_kind kind)
{
    struct constant t = constant(table);
    for (size_t at = 0; at < bytes; at += step(kind)) {
        store(x + at, muladd_step(load(x + at, kind), t, load(y + at, kind), kind), kind);
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
    struct constant t = constant(table);
    const struct pairs zero = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t at = 0; at < bytes; at += CHUNK) {
        struct pairs v = load(x + at, PFK_GF16_PAIRS);
        store(x + at, muladd_step(zero, t, v, PFK_GF16_PAIRS), PFK_GF16_PAIRS);
    }
}

SPECIALISED void fft_step(struct pairs *x, struct pairs *y, struct constant t,
                          enum pfk_gf16_kind kind)
{
    *x = muladd_step(*x, t, *y, kind);
    *y = add_pairs(*y, *x);
}

SPECIALISED void ifft_step(struct pairs *x, struct pairs *y, struct constant t,
                           enum pfk_gf16_kind kind)
{
    *y = add_pairs(*y, *x);
    *x = muladd_step(*x, t, *y, kind);
}

SPECIALISED void fft2_loop(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *table, size_t bytes,
                           enum pfk_gf16_kind kind)
{
    struct constant t = constant(table);
    for (size_t at = 0; at < bytes; at += step(kind)) {
        struct pairs a = load(x + at, kind), b = load(y + at, kind);
        fft_step(&a, &b, t, kind);
        store(x + at, a, kind);
        store(y + at, b, kind);
    }
}

static void fft2(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *t, size_t bytes)
{
    if (t->kind == PFK_GF16_PAIRS) {
        fft2_loop(x, y, t, bytes, PFK_GF16_PAIRS);
    } else {
        fft2_loop(x, y, t, bytes, PFK_GF16_BYTES);
    }
}

SPECIALISED void ifft2_loop(uint8_t *x, uint8_t *y, const struct pfk_gf16_table *table,
                            size_t bytes, enum pfk_gf16_kind kind)
{
    struct constant t = constant(table);
    for (size_t at = 0; at < bytes; at += step(kind)) {
        struct pairs a = load(x + at, kind), b = load(y + at, kind);
        ifft_step(&a, &b, t, kind);
        store(x + at, a, kind);
        store(y + at, b, kind);
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
                           size_t bytes, enum pfk_gf16_kind first, enum pfk_gf16_kind kind)
{
    struct constant far = constant(t->far);
    struct constant near0 = constant(t->near[0]), near1 = constant(t->near[1]);
    for (uint8_t *end = x + bytes; x < end; x += step(kind)) {
        struct pairs a = load(x, kind), b = load(x + stride, kind);
        struct pairs c = load(x + 2 * stride, kind), d = load(x + 3 * stride, kind);
        fft_step(&a, &c, far, first);
        fft_step(&b, &d, far, first);
        fft_step(&a, &b, near0, first);
        store(x, a, kind);
        store(x + stride, b, kind);
        fft_step(&c, &d, near1, kind);
        store(x + 2 * stride, c, kind);
        store(x + 3 * stride, d, kind);
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

SPECIALISED void store_sum(uint8_t *p, struct pairs v, enum pfk_gf16_kind kind, bool accumulate)
{
    store(p, accumulate ? add_pairs(v, load(p, kind)) : v, kind);
}

SPECIALISED void ifft4_loop(uint8_t *to, const uint8_t *x, size_t stride,
                            const struct pfk_gf16_twiddles *t, size_t bytes,
                            enum pfk_gf16_kind kind, enum pfk_gf16_kind far_kind, bool accumulate)
{
    struct constant far = constant(t->far);
    struct constant near0 = constant(t->near[0]), near1 = constant(t->near[1]);
    for (const uint8_t *end = x + bytes; x < end; x += step(kind), to += step(kind)) {
        struct pairs a = load(x, kind), b = load(x + stride, kind);
        ifft_step(&a, &b, near0, kind);
        struct pairs c = load(x + 2 * stride, kind), d = load(x + 3 * stride, kind);
        ifft_step(&c, &d, near1, kind);
        ifft_step(&a, &c, far, far_kind);
        store_sum(to, a, kind, accumulate);
        store_sum(to + 2 * stride, c, kind, accumulate);
        ifft_step(&b, &d, far, far_kind);
        store_sum(to + stride, b, kind, accumulate);
        store_sum(to + 3 * stride, d, kind, accumulate);
    }
}

SPECIALISED struct pairs load_converted(const uint8_t *p, struct nibbles t)
{
    struct pairs v = load(p, PFK_GF16_PAIRS);
    return (struct pairs){add(v.low, product(t, split(v.high))), v.high};
}

SPECIALISED void ifft4_load_loop(uint8_t *x, size_t stride, const uint8_t *const from[4],
                                 struct nibbles convert, const struct pfk_gf16_twiddles *t,
                                 size_t bytes, enum pfk_gf16_kind near_kind,
                                 enum pfk_gf16_kind far_kind)
{
    struct constant far = constant(t->far);
    struct constant near0 = constant(t->near[0]), near1 = constant(t->near[1]);
    const uint8_t *f0 = from[0], *f1 = from[1], *f2 = from[2], *f3 = from[3];
    for (size_t at = 0; at < bytes; at += CHUNK) {
        struct pairs a = load_converted(f0 + at, convert), b = load_converted(f1 + at, convert);
        ifft_step(&a, &b, near0, near_kind);
        struct pairs c = load_converted(f2 + at, convert), d = load_converted(f3 + at, convert);
        ifft_step(&c, &d, near1, near_kind);
        ifft_step(&a, &c, far, far_kind);
        store(x + at, a, PFK_GF16_PAIRS);
        store(x + at + 2 * stride, c, PFK_GF16_PAIRS);
        ifft_step(&b, &d, far, far_kind);
        store(x + at + stride, b, PFK_GF16_PAIRS);
        store(x + at + 3 * stride, d, PFK_GF16_PAIRS);
    }
}

// Points rise with the block, so a far twiddle, half of a near one, is a byte more often.
static void ifft4_load(uint8_t *x, size_t stride, const uint8_t *const from[4],
                       const struct pfk_gf16_nibbles *c, const struct pfk_gf16_twiddles *t,
                       size_t bytes)
{
    struct nibbles convert = load_nibbles(c);
    if (t->far->kind == PFK_GF16_PAIRS) {
        ifft4_load_loop(x, stride, from, convert, t, bytes, PFK_GF16_PAIRS, PFK_GF16_PAIRS);
    } else if (widest(t) == PFK_GF16_PAIRS) {
        ifft4_load_loop(x, stride, from, convert, t, bytes, PFK_GF16_PAIRS, PFK_GF16_BYTES);
    } else {
        ifft4_load_loop(x, stride, from, convert, t, bytes, PFK_GF16_BYTES, PFK_GF16_BYTES);
    }
}

SPECIALISED void ifft4_any(uint8_t *to, const uint8_t *x, size_t stride,
                           const struct pfk_gf16_twiddles *t, size_t bytes, bool accumulate)
{
    if (t->far->kind == PFK_GF16_PAIRS) {
        ifft4_loop(to, x, stride, t, bytes, PFK_GF16_PAIRS, PFK_GF16_PAIRS, accumulate);
    } else if (widest(t) == PFK_GF16_PAIRS) {
        ifft4_loop(to, x, stride, t, bytes, PFK_GF16_PAIRS, PFK_GF16_BYTES, accumulate);
    } else {
        ifft4_loop(to, x, stride, t, bytes, PFK_GF16_BYTES, PFK_GF16_BYTES, accumulate);
    }
}

static void ifft4(uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t, size_t bytes)
{
    ifft4_any(x, x, stride, t, bytes, false);
}

static void ifft4_add(uint8_t *sum, uint8_t *x, size_t stride, const struct pfk_gf16_twiddles *t,
                      size_t bytes)
{
    ifft4_any(sum, x, stride, t, bytes, true);
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
    .ifft4_load = ifft4_load,
    .muladd = muladd,
    .mul = mul,
    .add = row_add,
};
