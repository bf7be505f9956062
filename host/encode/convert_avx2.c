// SPDX-License-Identifier: MIT OR Apache-2.0
// The only file of the host that is compiled with -mavx2; called only where the CPU has it.
#include "host/encode/convert.h"

#include <immintrin.h>

enum { STEP_PX = 16 };

// (B, G, R, 0) coefficients for pmaddwd on pixels widened to 16 bits.
static __m256i coefficients(int b, int g, int r)
{
    return _mm256_set1_epi64x((long long)((uint64_t)(uint16_t)b | (uint64_t)(uint16_t)g << 16 |
                                          (uint64_t)(uint16_t)r << 32));
}

// Eight pixels to eight sums in 32 bits, in order within each 128-bit lane.
static __m256i weigh(__m256i px, __m256i k)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi8(px, zero), k);
    __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi8(px, zero), k);
    return _mm256_hadd_epi32(low, high);
}

static __m256i scale(__m256i sum, __m256i bias)
{
    return _mm256_srli_epi32(_mm256_add_epi32(sum, bias), 15);
}

// Sixteen 32-bit values in order to sixteen bytes.
static __m128i narrow(__m256i a, __m256i b)
{
    __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xD8);
    return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

static void luma_16(const uint8_t *px, uint8_t *y, __m256i k, __m256i bias)
{
    __m256i a = scale(weigh(_mm256_loadu_si256((const __m256i *)(const void *)px), k), bias);
    __m256i b = scale(weigh(_mm256_loadu_si256((const __m256i *)(const void *)(px + 32)), k), bias);
    _mm_storeu_si128((__m128i *)(void *)y, narrow(a, b));
}

static __m256i both_lines(const uint8_t *top, const uint8_t *bottom)
{
    return _mm256_avg_epu8(_mm256_loadu_si256((const __m256i *)(const void *)top),
                           _mm256_loadu_si256((const __m256i *)(const void *)bottom));
}

// 1-2-1 around each of eight neighbours; only the even ones are used.
static __m256i smooth(const uint8_t *top, const uint8_t *bottom)
{
    __m256i sides =
        _mm256_avg_epu8(both_lines(top - 4, bottom - 4), both_lines(top + 4, bottom + 4));
    return _mm256_avg_epu8(sides, both_lines(top, bottom));
}

// The even pixels of two times eight, in order.
static __m256i even_pixels(__m256i a, __m256i b)
{
    __m256 even = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88);
    return _mm256_permute4x64_epi64(_mm256_castps_si256(even), 0xD8);
}

static void store_8(uint8_t *to, __m256i values)
{
    __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packus_epi16(words, words));
}

void convert_pair_avx2(const uint8_t *top, const uint8_t *bottom, uint32_t width_px, uint8_t *y_top,
                       uint8_t *y_bottom, uint8_t *u, uint8_t *v)
{
    // The first pixels have no left neighbour and the last no room for a wide load: those go the
    // portable way, which also knows the edges.
    const uint32_t edge_px = 2;
    if (width_px < edge_px + STEP_PX + 2) {
        convert_pair_c(top, bottom, width_px, y_top, y_bottom, u, v);
        return;
    }
    const __m256i ky = coefficients(CONVERT_YB, CONVERT_YG, CONVERT_YR);
    const __m256i ku = coefficients(CONVERT_UB, CONVERT_UG, CONVERT_UR);
    const __m256i kv = coefficients(CONVERT_VB, CONVERT_VG, CONVERT_VR);
    const __m256i y_bias = _mm256_set1_epi32(CONVERT_Y_BIAS);
    const __m256i uv_bias = _mm256_set1_epi32(CONVERT_UV_BIAS);
    convert_tail_c(top, bottom, 0, edge_px, y_top, y_bottom, u, v);
    uint32_t x = edge_px;
    for (; x + STEP_PX + 1 <= width_px; x += STEP_PX) {
        const uint8_t *t = top + 4 * (size_t)x, *b = bottom + 4 * (size_t)x;
        luma_16(t, y_top + x, ky, y_bias);
        luma_16(b, y_bottom + x, ky, y_bias);
        __m256i even = even_pixels(smooth(t, b), smooth(t + 32, b + 32));
        store_8(u + x / 2, scale(weigh(even, ku), uv_bias));
        store_8(v + x / 2, scale(weigh(even, kv), uv_bias));
    }
    convert_tail_c(top, bottom, x, width_px, y_top, y_bottom, u, v);
}
