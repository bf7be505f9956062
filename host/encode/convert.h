// SPDX-License-Identifier: MIT OR Apache-2.0
// BGRx to I420, BT.709 limited range (ITU-T H.273: primaries, transfer, matrix 1). Chroma lies
// beside the left luma sample (chroma_sample_loc_type 0), filtered 1-2-1 across and 1-1 down.
#ifndef HOST_ENCODE_CONVERT_H
#define HOST_ENCODE_CONVERT_H

#include <stddef.h>
#include <stdint.h>

struct convert_target {
    uint8_t *y, *u, *v;
    size_t y_stride, uv_stride;
};

/**
 * Two lines of pixels to two of luma and one of each chroma; the width is even.
 * @top, @bottom  BGRx; may be the same line
 */
typedef void (*convert_pair_fn)(const uint8_t *top, const uint8_t *bottom, uint32_t width_px,
                                uint8_t *y_top, uint8_t *y_bottom, uint8_t *u, uint8_t *v);

struct convert_row {
    const char *name;
    uint32_t cpu_flags; // PFK_CPU_*: all are needed
    convert_pair_fn pair;
};

/** Best first; the last one is portable C. */
extern const struct convert_row convert_rows[];
extern const unsigned n_convert_rows;

/** The best row that this CPU runs. */
const struct convert_row *convert_best(void);

/** Lines first_line .. end_line - 1 (both even) of a picture. */
void convert_lines(const struct convert_row *row, const uint8_t *bgrx, size_t stride_bytes,
                   uint32_t width_px, uint32_t first_line, uint32_t end_line,
                   const struct convert_target *to);

void convert_pair_c(const uint8_t *top, const uint8_t *bottom, uint32_t width_px, uint8_t *y_top,
                    uint8_t *y_bottom, uint8_t *u, uint8_t *v);
void convert_pair_avx2(const uint8_t *top, const uint8_t *bottom, uint32_t width_px, uint8_t *y_top,
                       uint8_t *y_bottom, uint8_t *u, uint8_t *v);

// Coefficients in 1/32768: luma 219/255, chroma 224/255 of BT.709's (Kr 0.2126, Kb 0.0722).
enum {
    CONVERT_YR = 5983,
    CONVERT_YG = 20127,
    CONVERT_YB = 2032,
    CONVERT_UR = -3298,
    CONVERT_UG = -11094,
    CONVERT_UB = 14392,
    CONVERT_VR = 14392,
    CONVERT_VG = -13073,
    CONVERT_VB = -1319,
    CONVERT_Y_BIAS = (16 << 15) + (1 << 14),
    CONVERT_UV_BIAS = (128 << 15) + (1 << 14)
};

#endif
