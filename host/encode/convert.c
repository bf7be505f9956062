// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/encode/convert.h"

#include "core/base/cpu.h"

#include <string.h>

const struct convert_row convert_rows[] = {
#if defined(__x86_64__)
    {"avx2", PFK_CPU_AVX2, convert_pair_avx2},
#endif
    {"c", 0, convert_pair_c},
};
const unsigned n_convert_rows = sizeof(convert_rows) / sizeof(convert_rows[0]);

const struct convert_row *convert_best(void)
{
    uint32_t have = pfk_cpu_flags();
    unsigned i = 0;
    while ((convert_rows[i].cpu_flags & have) != convert_rows[i].cpu_flags) {
        i++; // ends at the portable row, which needs nothing
    }
    return &convert_rows[i];
}

// The loops below go over short arrays of their own, one step each, so that compilers turn them
// into vector instructions; written as one loop over the pixels they take five times as long.
enum { CHUNK_PX = 64 };

struct weights {
    int16_t b, g, r;
    int32_t bias;
};

static inline void weigh(const uint8_t *bgrx, uint32_t n_px, const struct weights k, uint8_t *out)
{
    int16_t b[CHUNK_PX], g[CHUNK_PX], r[CHUNK_PX];
    uint8_t sums[CHUNK_PX]; // `out` might overlap anything, as far as the compiler knows
    for (uint32_t i = 0; i < n_px; i++) {
        b[i] = bgrx[4 * i];
        g[i] = bgrx[4 * i + 1];
        r[i] = bgrx[4 * i + 2];
    }
    for (uint32_t i = 0; i < n_px; i++) {
        sums[i] = (uint8_t)((b[i] * k.b + g[i] * k.g + r[i] * k.r + k.bias) >> 15);
    }
    memcpy(out, sums, n_px);
}

// Means round up, as the vector instructions do, so that all rows agree to the bit. All three
// channels rise alike, which chroma does not see: its weights add up to nothing.
static inline uint8_t mean(unsigned a, unsigned b)
{
    return (uint8_t)((a + b + 1) >> 1);
}

// The n_px (even) pixels from first_px (even) on to n_px / 2 smoothed ones.
static inline void smooth(const uint8_t *top, const uint8_t *bottom, uint32_t first_px,
                          uint32_t n_px, uint8_t *bgrx)
{
    uint8_t lines[4 + 4 * CHUNK_PX], across[4 * CHUNK_PX]; // lines: the left neighbour first
    const size_t here = 4 * (size_t)first_px;
    for (uint32_t i = 0; i < 4 * n_px; i++) {
        lines[4 + i] = mean(top[here + i], bottom[here + i]);
    }
    for (uint32_t i = 0; i < 4; i++) { // at the edge a pixel is its own neighbour
        lines[i] = first_px ? mean(top[here - 4 + i], bottom[here - 4 + i]) : lines[4 + i];
    }
    for (uint32_t i = 0; i < 4 * (n_px - 1); i++) {
        across[i] = mean(mean(lines[i], lines[i + 8]), lines[i + 4]);
    }
    for (uint32_t i = 0; i < n_px / 2; i++) {
        memcpy(bgrx + 4 * i, across + 8 * i, 4);
    }
}

void convert_pair_c(const uint8_t *top, const uint8_t *bottom, uint32_t width_px, uint8_t *y_top,
                    uint8_t *y_bottom, uint8_t *u, uint8_t *v)
{
    const struct weights ky = {CONVERT_YB, CONVERT_YG, CONVERT_YR, CONVERT_Y_BIAS};
    const struct weights ku = {CONVERT_UB, CONVERT_UG, CONVERT_UR, CONVERT_UV_BIAS};
    const struct weights kv = {CONVERT_VB, CONVERT_VG, CONVERT_VR, CONVERT_UV_BIAS};
    for (uint32_t x = 0; x < width_px; x += CHUNK_PX) {
        uint32_t n_px = width_px - x < CHUNK_PX ? width_px - x : CHUNK_PX;
        uint8_t chroma[4 * CHUNK_PX / 2];
        weigh(top + 4 * (size_t)x, n_px, ky, y_top + x);
        weigh(bottom + 4 * (size_t)x, n_px, ky, y_bottom + x);
        smooth(top, bottom, x, n_px, chroma);
        weigh(chroma, n_px / 2, ku, u + x / 2);
        weigh(chroma, n_px / 2, kv, v + x / 2);
    }
}

void convert_lines(const struct convert_row *row, const uint8_t *bgrx, size_t stride_bytes,
                   uint32_t width_px, uint32_t first_line, uint32_t end_line,
                   const struct convert_target *to)
{
    for (uint32_t line = first_line; line < end_line; line += 2) {
        const uint8_t *top = bgrx + line * stride_bytes;
        uint8_t *y = to->y + line * to->y_stride;
        row->pair(top, top + stride_bytes, width_px, y, y + to->y_stride,
                  to->u + line / 2 * to->uv_stride, to->v + line / 2 * to->uv_stride);
    }
}
