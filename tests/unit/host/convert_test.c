// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/encode/convert.h"

#include "core/base/cpu.h"
#include "tests/unit/check.h"

#include <math.h>

enum { W = 64, H = 4 };

static void convert_picture(const struct convert_row *row, const uint8_t *bgrx, uint32_t w,
                            uint32_t h, uint8_t *y, uint8_t *u, uint8_t *v)
{
    const struct convert_target to = {y, u, v, w, w / 2};
    convert_lines(row, bgrx, (size_t)w * 4, w, 0, h, &to);
}

// ITU-T H.273 with BT.709's Kr and Kb, limited range, in floating point.
static void formula(const double rgb[3], double yuv[3])
{
    const double kr = 0.2126, kb = 0.0722;
    double luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2];
    yuv[0] = 16 + 219 * luma / 255;
    yuv[1] = 128 + 224 * (rgb[2] - luma) / (2 * (1 - kb)) / 255;
    yuv[2] = 128 + 224 * (rgb[0] - luma) / (2 * (1 - kr)) / 255;
}

static void flat_colours_are_within_one_of_the_formula(void **state)
{
    uint8_t px[W * H * 4], y[W * H], u[W * H / 4], v[W * H / 4];
    for (unsigned c = 0; c < 9 * 9 * 9; c++) {
        const double rgb[3] = {c % 9 * 31.875, c / 9 % 9 * 31.875, c / 81 * 31.875};
        const double rounded[3] = {round(rgb[0]), round(rgb[1]), round(rgb[2])};
        for (int i = 0; i < W * H; i++) {
            px[4 * i] = (uint8_t)rounded[2];
            px[4 * i + 1] = (uint8_t)rounded[1];
            px[4 * i + 2] = (uint8_t)rounded[0];
            px[4 * i + 3] = 0xAA; // whatever X is
        }
        double want[3];
        formula(rounded, want);
        for (unsigned r = 0; r < n_convert_rows; r++) {
            if ((convert_rows[r].cpu_flags & pfk_cpu_flags()) != convert_rows[r].cpu_flags) {
                continue;
            }
            convert_picture(&convert_rows[r], px, W, H, y, u, v);
            for (int i = 0; i < W * H; i++) {
                CHECK(fabs(y[i] - want[0]) <= 1);
            }
            for (int i = 0; i < W * H / 4; i++) {
                CHECK(fabs(u[i] - want[1]) <= 1 && fabs(v[i] - want[2]) <= 1);
            }
        }
    }
}

static uint8_t weighted(const unsigned bgr[3], int b, int g, int r, int bias)
{
    return (uint8_t)(((int)bgr[0] * b + (int)bgr[1] * g + (int)bgr[2] * r + bias) >> 15);
}

static unsigned mean(unsigned a, unsigned b)
{
    return (a + b + 1) / 2;
}

// What convert.h says, a sample at a time: luma; chroma from columns x - 1, x, x + 1 of both lines.
static void by_definition(const uint8_t *top, const uint8_t *bottom, uint32_t w, uint8_t *y_top,
                          uint8_t *y_bottom, uint8_t *u, uint8_t *v)
{
    for (uint32_t x = 0; x < w; x++) {
        const uint8_t *t = top + 4 * x, *b = bottom + 4 * x;
        const unsigned above[3] = {t[0], t[1], t[2]}, below[3] = {b[0], b[1], b[2]};
        y_top[x] = weighted(above, CONVERT_YB, CONVERT_YG, CONVERT_YR, CONVERT_Y_BIAS);
        y_bottom[x] = weighted(below, CONVERT_YB, CONVERT_YG, CONVERT_YR, CONVERT_Y_BIAS);
        if (x % 2) {
            continue;
        }
        unsigned smooth[3];
        for (int c = 0; c < 3; c++) {
            unsigned left = mean(t[c - (x ? 4 : 0)], b[c - (x ? 4 : 0)]);
            smooth[c] = mean(mean(left, mean(t[c + 4], b[c + 4])), mean(t[c], b[c]));
        }
        u[x / 2] = weighted(smooth, CONVERT_UB, CONVERT_UG, CONVERT_UR, CONVERT_UV_BIAS);
        v[x / 2] = weighted(smooth, CONVERT_VB, CONVERT_VG, CONVERT_VR, CONVERT_UV_BIAS);
    }
}

static void every_row_gives_the_bytes_of_the_definition(void **state)
{
    enum { MAX_W = 290, ROOM = 3 * MAX_W + 32 };
    uint64_t seed = 3;
    for (uint32_t w = 2; w <= MAX_W; w += 2) {
        uint8_t *px = malloc((size_t)w * 2 * 4); // exactly: reading past the end is seen by ASan
        for (size_t i = 0; i < (size_t)w * 2 * 4; i++) {
            px[i] = (uint8_t)splitmix64(&seed);
        }
        uint8_t want[ROOM], got[ROOM];
        memset(want, 0xEE, sizeof(want)); // what lies behind must stay
        by_definition(px, px + 4 * w, w, want, want + w, want + 2 * w, want + 2 * w + w / 2);
        for (unsigned r = 0; r < n_convert_rows; r++) {
            if ((convert_rows[r].cpu_flags & pfk_cpu_flags()) != convert_rows[r].cpu_flags) {
                continue;
            }
            memset(got, 0xEE, sizeof(got));
            convert_rows[r].pair(px, px + 4 * w, w, got, got + w, got + 2 * w, got + 2 * w + w / 2);
            assert_memory_equal(got, want, sizeof(want));
        }
        free(px);
    }
}

// Chroma lies beside the left sample: an edge between two columns is seen by the pair it cuts.
static void chroma_is_sited_left(void **state)
{
    uint8_t px[8 * 2 * 4] = {0}, y[16], u[4], v[4];
    for (int line = 0; line < 2; line++) {
        for (int x = 4; x < 8; x++) {
            px[(line * 8 + x) * 4 + 2] = 255; // red from column 4 on
        }
    }
    convert_picture(&convert_rows[n_convert_rows - 1], px, 8, 2, y, u, v);
    CHECK_EQ(v[0], 128);
    CHECK_EQ(v[1], 128);                                     // columns 1, 2, 3
    CHECK(v[2] > 128 + 112 * 0.7 && v[2] < 128 + 112 * 0.8); // columns 3, 4, 4, 5: three quarters
    CHECK_EQ(v[3], 128 + 112);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat_colours_are_within_one_of_the_formula),
        cmocka_unit_test(every_row_gives_the_bytes_of_the_definition),
        cmocka_unit_test(chroma_is_sited_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
