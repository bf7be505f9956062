// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/desktop/testcard_draw.h"

#include "tests/unit/check.h"

static const struct {
    uint32_t width_px, height_px;
} sizes[] = {{256, 144},  {320, 240},   {640, 360},   {800, 600},   {854, 480},  {1280, 720},
             {1366, 768}, {1920, 1080}, {2560, 1440}, {3840, 2160}, {720, 1280}, {3440, 1440}};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct testcard_image make_image(uint32_t width_px, uint32_t height_px)
{
    size_t stride_bytes = ((size_t)width_px + 3) * 4; // never the width: wrong strides show
    uint8_t *bgrx = calloc(height_px, stride_bytes);
    assert_non_null(bgrx);
    return (struct testcard_image){bgrx, stride_bytes, width_px, height_px};
}

static bool read_counter(const struct testcard_image *m, uint32_t *counter)
{
    return testcard_read_counter(m->bgrx + 1, m->stride_bytes, 4, m->width_px, m->height_px,
                                 counter);
}

static bool inside(struct testcard_rect r, uint32_t x, uint32_t y)
{
    return x >= r.x && y >= r.y && x - r.x < r.w && y - r.y < r.h;
}

static bool overlap(struct testcard_rect a, struct testcard_rect b)
{
    return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

static void the_counter_reads_back_in_every_size(void **state)
{
    static const uint32_t counters[] = {0, 1, 0x80000000, 0xffffffff, 0x55555555, 0x12345678};
    for (size_t i = 0; i < N_SIZES; i++) {
        struct testcard_image m = make_image(sizes[i].width_px, sizes[i].height_px);
        for (size_t j = 0; j < sizeof(counters) / sizeof(counters[0]); j++) {
            uint32_t got;
            testcard_draw(&m, counters[j]);
            CHECK(read_counter(&m, &got));
            CHECK_EQ(got, counters[j]);
        }
        free(m.bgrx);
    }
}

static void patches_are_solid_and_of_their_colour(void **state)
{
    for (size_t i = 0; i < N_SIZES; i++) {
        struct testcard_image m = make_image(sizes[i].width_px, sizes[i].height_px);
        testcard_draw(&m, 77);
        for (unsigned p = 0; p < TESTCARD_N_PATCHES; p++) {
            struct testcard_rect r = testcard_patch(p, m.width_px, m.height_px);
            CHECK(r.w >= 16 && r.h >= 16);
            CHECK(r.x + r.w <= m.width_px && r.y + r.h <= m.height_px);
            for (uint32_t y = r.y; y < r.y + r.h; y++) {
                for (uint32_t x = r.x; x < r.x + r.w; x++) {
                    const uint8_t *px = m.bgrx + y * m.stride_bytes + (size_t)x * 4;
                    CHECK_EQ(px[2] << 16 | px[1] << 8 | px[0], testcard_patch_rgb(p));
                }
            }
        }
        free(m.bgrx);
    }
}

static void cells_and_patches_lie_apart(void **state)
{
    for (size_t i = 0; i < N_SIZES; i++) {
        uint32_t w = sizes[i].width_px, h = sizes[i].height_px;
        struct testcard_rect all[2 * TESTCARD_N_BITS + TESTCARD_N_PATCHES];
        unsigned n = 0;
        for (unsigned bit = 0; bit < TESTCARD_N_BITS; bit++) {
            all[n++] = testcard_cell(0, bit, w, h);
            all[n++] = testcard_cell(1, bit, w, h);
            CHECK(all[n - 1].w >= 8 && all[n - 1].h >= 8);
        }
        for (unsigned p = 0; p < TESTCARD_N_PATCHES; p++) {
            all[n++] = testcard_patch(p, w, h);
        }
        for (unsigned a = 0; a < n; a++) {
            CHECK(all[a].x + all[a].w <= w && all[a].y + all[a].h <= h);
            for (unsigned b = 0; b < a; b++) {
                CHECK(!overlap(all[a], all[b]));
            }
        }
    }
}

// A compositor that copies only what the card reports must show the same picture.
static void every_changed_pixel_is_reported(void **state)
{
    for (size_t i = 0; i < N_SIZES; i++) {
        struct testcard_image a = make_image(sizes[i].width_px, sizes[i].height_px);
        struct testcard_image b = make_image(sizes[i].width_px, sizes[i].height_px);
        struct testcard_rect changed[TESTCARD_MAX_CHANGED];
        testcard_draw(&a, 41);
        testcard_draw(&b, 41);
        unsigned n = testcard_draw_moving(&b, 42, changed);
        CHECK(n > 0 && n <= TESTCARD_MAX_CHANGED);
        for (uint32_t y = 0; y < a.height_px; y++) {
            for (uint32_t x = 0; x < a.width_px; x++) {
                size_t at = y * a.stride_bytes + (size_t)x * 4;
                bool told = false;
                for (unsigned r = 0; r < n; r++) {
                    told = told || inside(changed[r], x, y);
                }
                CHECK(told || memcmp(a.bgrx + at, b.bgrx + at, 4) == 0);
            }
        }
        for (uint32_t y = 0; y < a.height_px; y++) { // nothing is drawn beside the picture
            CHECK_EQ(b.bgrx[y * b.stride_bytes + (size_t)b.width_px * 4], 0);
        }
        free(a.bgrx);
        free(b.bgrx);
    }
}

static void the_picture_depends_on_the_counter_alone(void **state)
{
    struct testcard_image a = make_image(640, 360), b = make_image(640, 360);
    struct testcard_rect changed[TESTCARD_MAX_CHANGED];
    testcard_draw(&a, 1000);
    testcard_draw(&b, 5);
    CHECK(memcmp(a.bgrx, b.bgrx, a.stride_bytes * a.height_px) != 0);
    testcard_draw_moving(&b, 1000, changed);
    CHECK(memcmp(a.bgrx, b.bgrx, a.stride_bytes * a.height_px) == 0);
    free(a.bgrx);
    free(b.bgrx);
}

static void a_picture_without_the_card_has_no_counter(void **state)
{
    struct testcard_image m = make_image(640, 360);
    uint32_t counter;
    memset(m.bgrx, 0x80, m.stride_bytes * m.height_px);
    CHECK(!read_counter(&m, &counter));
    testcard_draw(&m, 9);
    struct testcard_rect cell = testcard_cell(1, 1, m.width_px, m.height_px);
    for (uint32_t y = cell.y; y < cell.y + cell.h; y++) { // the white complement of bit 1 torn off
        memset(m.bgrx + y * m.stride_bytes + (size_t)cell.x * 4, 0, (size_t)cell.w * 4);
    }
    CHECK(!read_counter(&m, &counter));
    free(m.bgrx);
}

// Nobody streams such sizes; they must not write outside the picture either (ASan sees it).
static void tiny_pictures_are_drawn_within_their_bounds(void **state)
{
    for (uint32_t w = 1; w < 300; w += 23) {
        for (uint32_t h = 1; h < 200; h += 19) {
            struct testcard_image m = make_image(w, h);
            testcard_draw(&m, 123456);
            free(m.bgrx);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counter_reads_back_in_every_size),
        cmocka_unit_test(patches_are_solid_and_of_their_colour),
        cmocka_unit_test(cells_and_patches_lie_apart),
        cmocka_unit_test(every_changed_pixel_is_reported),
        cmocka_unit_test(the_picture_depends_on_the_counter_alone),
        cmocka_unit_test(a_picture_without_the_card_has_no_counter),
        cmocka_unit_test(tiny_pictures_are_drawn_within_their_bounds),
    };
    return cmocka_run_group_tests_name("testcard", tests, NULL, NULL);
}
