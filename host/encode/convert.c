// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/encode/convert.h"

#include "core/base/cpu.h"

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

static uint8_t luma(const uint8_t *p)
{
    return (uint8_t)((p[0] * CONVERT_YB + p[1] * CONVERT_YG + p[2] * CONVERT_YR + CONVERT_Y_BIAS) >>
                     15);
}

// Means round up, as the vector instructions do, so that all rows agree to the bit.
static unsigned mean(unsigned a, unsigned b)
{
    return (a + b + 1) >> 1;
}

void convert_tail_c(const uint8_t *top, const uint8_t *bottom, uint32_t first_px, uint32_t width_px,
                    uint8_t *y_top, uint8_t *y_bottom, uint8_t *u, uint8_t *v)
{
    for (uint32_t x = first_px; x < width_px; x++) {
        y_top[x] = luma(top + 4 * x);
        y_bottom[x] = luma(bottom + 4 * x);
    }
    for (uint32_t x = first_px; x < width_px; x += 2) {
        size_t here = 4 * (size_t)x;
        size_t left = x ? here - 4 : here;
        size_t right = here + 4;
        int c[3];
        for (int i = 0; i < 3; i++) {
            unsigned sides = mean(mean(top[left + i], bottom[left + i]),
                                  mean(top[right + i], bottom[right + i]));
            c[i] = (int)mean(sides, mean(top[here + i], bottom[here + i]));
        }
        u[x / 2] = (uint8_t)((c[0] * CONVERT_UB + c[1] * CONVERT_UG + c[2] * CONVERT_UR +
                              CONVERT_UV_BIAS) >>
                             15);
        v[x / 2] = (uint8_t)((c[0] * CONVERT_VB + c[1] * CONVERT_VG + c[2] * CONVERT_VR +
                              CONVERT_UV_BIAS) >>
                             15);
    }
}

void convert_pair_c(const uint8_t *top, const uint8_t *bottom, uint32_t width_px, uint8_t *y_top,
                    uint8_t *y_bottom, uint8_t *u, uint8_t *v)
{
    convert_tail_c(top, bottom, 0, width_px, y_top, y_bottom, u, v);
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
