// SPDX-License-Identifier: MIT OR Apache-2.0
// The only file of the host that is compiled with -mavx2; called only where the CPU has it.
#include "host/encode/convert.h"

#include <immintrin.h>

enum { STEP_PX = 32, VECTOR_PX = 8 };

// One output channel: weights for pmaddwd, and what is added before the shift.
struct weights {
    __m256i b_r, g; // (B, R) and (G, nothing) in each 32 bits
    __m256i bias;
};

static struct weights make_weights(int b, int g, int r, int bias)
{
    return (struct weights){_mm256_set1_epi32((int)((uint32_t)(uint16_t)b | (uint32_t)r << 16)),
                            _mm256_set1_epi32((int)(uint16_t)g), _mm256_set1_epi32(bias)};
}

static __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

// Eight pixels to eight values of 32 bits. X meets a weight of zero.
static __m256i weigh(__m256i px, const struct weights *k)
{
    __m256i b_r = _mm256_and_si256(px, _mm256_set1_epi32(0x00FF00FF));
    __m256i g_x = _mm256_srli_epi16(px, 8);
    __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(b_r, k->b_r), _mm256_madd_epi16(g_x, k->g));
    return _mm256_srli_epi32(_mm256_add_epi32(sum, k->bias), 15);
}

static void luma_32(const uint8_t *px, const struct weights *k, uint8_t *y)
{
    __m256i words[2];
    for (int i = 0; i < 2; i++) {
        words[i] =
            _mm256_packus_epi32(weigh(load(px + 64 * i), k), weigh(load(px + 64 * i + 32), k));
    }
    // Packing works within 128-bit lanes and left groups of four in the order 0 2 4 6 1 3 5 7.
    __m256i bytes = _mm256_packus_epi16(words[0], words[1]);
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)(void *)y, bytes);
}

static __m256i both_lines(const uint8_t *top, const uint8_t *bottom)
{
    return _mm256_avg_epu8(load(top), load(bottom));
}

// The even (0x88) or odd (0xDD) pixels of a, then b, within each lane.
#define PICK(a, b, which)                                                                          \
    _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), which))

// 1-2-1 around the even ones of sixteen pixels; the left neighbour is read, too.
static __m256i smooth_16(const uint8_t *top, const uint8_t *bottom)
{
    const size_t half = 4 * VECTOR_PX;
    __m256i a = both_lines(top, bottom), b = both_lines(top + half, bottom + half);
    __m256i a_left = both_lines(top - 4, bottom - 4);
    __m256i b_left = both_lines(top + half - 4, bottom + half - 4);
    __m256i sides = _mm256_avg_epu8(PICK(a_left, b_left, 0x88), PICK(a, b, 0xDD));
    return _mm256_avg_epu8(sides, PICK(a, b, 0x88));
}

static void chroma_32(const uint8_t *top, const uint8_t *bottom, const struct weights *ku,
                      const struct weights *kv, uint8_t *u, uint8_t *v)
{
    __m256i a = smooth_16(top, bottom), b = smooth_16(top + 64, bottom + 64);
    __m256i u_words = _mm256_packus_epi32(weigh(a, ku), weigh(b, ku));
    __m256i v_words = _mm256_packus_epi32(weigh(a, kv), weigh(b, kv));
    // Per lane eight of u, then eight of v; the lanes take turns, two values at a time.
    __m256i bytes = _mm256_packus_epi16(u_words, v_words);
    __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
    _mm_storeu_si128((__m128i *)(void *)u, _mm_unpacklo_epi16(low, high));
    _mm_storeu_si128((__m128i *)(void *)v, _mm_unpackhi_epi16(low, high));
}

void convert_pair_avx2(const uint8_t *top, const uint8_t *bottom, uint32_t width_px, uint8_t *y_top,
                       uint8_t *y_bottom, uint8_t *u, uint8_t *v)
{
    // The first pixels have no left neighbour and go the portable way. The last step starts where
    // it ends with the line, so it may do some pixels twice.
    const uint32_t edge_px = 2;
    if (width_px < edge_px + STEP_PX) {
        convert_pair_c(top, bottom, width_px, y_top, y_bottom, u, v);
        return;
    }
    const struct weights ky = make_weights(CONVERT_YB, CONVERT_YG, CONVERT_YR, CONVERT_Y_BIAS);
    const struct weights ku = make_weights(CONVERT_UB, CONVERT_UG, CONVERT_UR, CONVERT_UV_BIAS);
    const struct weights kv = make_weights(CONVERT_VB, CONVERT_VG, CONVERT_VR, CONVERT_UV_BIAS);
    convert_pair_c(top, bottom, edge_px, y_top, y_bottom, u, v);
    for (uint32_t x = edge_px; x < width_px; x += STEP_PX) {
        x = x + STEP_PX <= width_px ? x : width_px - STEP_PX;
        const size_t at = 4 * (size_t)x;
        luma_32(top + at, &ky, y_top + x);
        luma_32(bottom + at, &ky, y_bottom + x);
        chroma_32(top + at, bottom + at, &ku, &kv, u + x / 2, v + x / 2);
    }
}
