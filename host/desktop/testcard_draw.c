// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/desktop/testcard_draw.h"

#include <string.h>

#define BACKGROUND 0x203040u
#define BAR_PERIOD_PX 128u
#define BAR_STEP_PX 4u

// Where the moving regions are: everything below the patches, from top to bottom.
struct regions {
    struct testcard_rect counter, bars, box_lane, noise, digits;
};

static struct regions regions_of(uint32_t width, uint32_t height)
{
    struct testcard_rect first = testcard_cell(0, TESTCARD_N_BITS - 1, width, height);
    struct testcard_rect patch = testcard_patch(0, width, height);
    uint32_t unit = testcard_floor16(height / 8);
    uint32_t y = patch.y + patch.h + TESTCARD_MARGIN_PX;
    uint32_t noise = unit < 64 ? unit : 64;
    struct regions r = {
        .counter = {first.x, first.y, TESTCARD_N_BITS * first.w, 2 * first.h},
        .bars = {0, y, width, unit},
        .box_lane = {0, y + unit + TESTCARD_MARGIN_PX, width, unit},
    };
    y += 2 * (unit + TESTCARD_MARGIN_PX);
    r.digits = (struct testcard_rect){patch.x, y, 8 * unit / 2, unit};
    r.noise = (struct testcard_rect){testcard_floor16(width - noise), y, noise, noise};
    return r;
}

// The part of r that lies in the picture: tiny pictures cut the lower regions off.
static struct testcard_rect clip(const struct testcard_image *m, struct testcard_rect r)
{
    if (r.x >= m->width_px || r.y >= m->height_px) {
        return (struct testcard_rect){0};
    }
    r.w = r.w < m->width_px - r.x ? r.w : m->width_px - r.x;
    r.h = r.h < m->height_px - r.y ? r.h : m->height_px - r.y;
    return r;
}

static uint32_t *row_of(const struct testcard_image *m, uint32_t y)
{
    return (uint32_t *)(void *)(m->bgrx + y * m->stride_bytes);
}

// Paint the first row and copy it: memcpy is faster than storing pixel after pixel.
static void repeat_first_row(const struct testcard_image *m, struct testcard_rect r)
{
    for (uint32_t y = r.y + 1; y < r.y + r.h; y++) {
        memcpy(row_of(m, y) + r.x, row_of(m, r.y) + r.x, (size_t)r.w * 4);
    }
}

static void fill(const struct testcard_image *m, struct testcard_rect r, uint32_t rgb)
{
    r = clip(m, r);
    for (uint32_t x = r.x; x < r.x + r.w; x++) {
        row_of(m, r.y)[x] = 0xff000000u | rgb;
    }
    repeat_first_row(m, r);
}

static void draw_counter(const struct testcard_image *m, uint32_t counter)
{
    for (unsigned bit = 0; bit < TESTCARD_N_BITS; bit++) {
        bool one = counter >> bit & 1;
        fill(m, testcard_cell(0, bit, m->width_px, m->height_px), one ? 0xffffff : 0);
        fill(m, testcard_cell(1, bit, m->width_px, m->height_px), one ? 0 : 0xffffff);
    }
}

// Soft-edged vertical bars that slide to the left: smooth motion over the whole width.
static void draw_bars(const struct testcard_image *m, struct testcard_rect r, uint32_t counter)
{
    r = clip(m, r);
    if (r.h == 0) {
        return;
    }
    uint32_t shift = counter % (BAR_PERIOD_PX / BAR_STEP_PX) * BAR_STEP_PX;
    for (uint32_t x = 0; x < r.w; x++) {
        uint32_t phase = (x + shift) % BAR_PERIOD_PX;
        uint32_t ramp = phase < BAR_PERIOD_PX / 2 ? phase : BAR_PERIOD_PX - 1 - phase;
        uint32_t level = 48 + 3 * ramp; // 48 to 237
        row_of(m, r.y)[r.x + x] = 0xff000000u | level << 16 | level << 8 | (255 - level);
    }
    repeat_first_row(m, r);
}

static void draw_box(const struct testcard_image *m, struct testcard_rect lane, uint32_t counter)
{
    fill(m, lane, BACKGROUND);
    uint32_t room = lane.w - lane.h; // the box is square
    uint32_t at = room ? (uint32_t)((uint64_t)counter * 6 % (2 * (uint64_t)room)) : 0;
    at = at < room ? at : 2 * room - at;
    fill(m, (struct testcard_rect){lane.x + at, lane.y, lane.h, lane.h}, 0xff8020);
}

// Noise in 2x2 px dots of a narrow range: work for the encoder, but not most of its bits.
static void draw_noise(const struct testcard_image *m, struct testcard_rect r, uint32_t counter)
{
    r = clip(m, r);
    uint32_t state = counter * 2654435761u | 1;
    for (uint32_t y = 0; y < r.h; y += 2) {
        uint32_t *row = row_of(m, r.y + y) + r.x;
        for (uint32_t x = 0; x < r.w; x++) {
            if (x % 2 == 0) {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
            }
            uint32_t level = 96 + (state >> 8 & 63);
            row[x] = 0xff000000u | level << 16 | level << 8 | level;
        }
        struct testcard_rect two = {r.x, r.y + y, r.w, r.h - y < 2 ? r.h - y : 2};
        repeat_first_row(m, two);
    }
}

// Seven segments a to g in bits 0 to 6, so that a person sees the counter too.
static void draw_digit(const struct testcard_image *m, struct testcard_rect r, unsigned digit)
{
    static const uint8_t segments[10] = {0x3f, 0x06, 0x5b, 0x4f, 0x66,
                                         0x6d, 0x7d, 0x07, 0x7f, 0x6f};
    uint32_t t = r.h / 8 ? r.h / 8 : 1, right = r.x + r.w - t, half = r.h / 2;
    const struct testcard_rect place[7] = {
        {r.x, r.y, r.w, t},               // a: top
        {right, r.y, t, half},            // b
        {right, r.y + half, t, half},     // c
        {r.x, r.y + r.h - t, r.w, t},     // d: bottom
        {r.x, r.y + half, t, half},       // e
        {r.x, r.y, t, half},              // f
        {r.x, r.y + half - t / 2, r.w, t} // g: middle
    };
    for (unsigned s = 0; s < 7; s++) {
        if (segments[digit] >> s & 1) {
            fill(m, place[s], 0xe0e0e0);
        }
    }
}

static void draw_digits(const struct testcard_image *m, struct testcard_rect r, uint32_t counter)
{
    uint32_t pitch = r.w / 8;
    fill(m, r, BACKGROUND);
    for (unsigned i = 8; i-- > 0; counter /= 10) {
        struct testcard_rect digit = {r.x + i * pitch, r.y, pitch * 3 / 4, r.h};
        if (digit.w > r.h / 8) {
            draw_digit(m, digit, counter % 10);
        }
    }
}

void testcard_draw_static(const struct testcard_image *m)
{
    struct testcard_rect all = {0, 0, m->width_px, m->height_px};
    fill(m, all, BACKGROUND);
    for (unsigned i = 0; i < TESTCARD_N_PATCHES; i++) {
        fill(m, testcard_patch(i, m->width_px, m->height_px), testcard_patch_rgb(i));
    }
}

unsigned testcard_draw_moving(const struct testcard_image *m, uint32_t counter,
                              struct testcard_rect changed[TESTCARD_MAX_CHANGED])
{
    struct regions r = regions_of(m->width_px, m->height_px);
    draw_counter(m, counter);
    draw_bars(m, r.bars, counter);
    draw_box(m, r.box_lane, counter);
    draw_digits(m, r.digits, counter);
    draw_noise(m, r.noise, counter);
    const struct testcard_rect all[TESTCARD_MAX_CHANGED] = {r.counter, r.bars, r.box_lane, r.digits,
                                                            r.noise};
    unsigned n = 0;
    for (unsigned i = 0; i < TESTCARD_MAX_CHANGED; i++) {
        struct testcard_rect c = clip(m, all[i]);
        if (c.w && c.h) {
            changed[n++] = c;
        }
    }
    return n;
}

void testcard_draw(const struct testcard_image *m, uint32_t counter)
{
    struct testcard_rect changed[TESTCARD_MAX_CHANGED];
    testcard_draw_static(m);
    testcard_draw_moving(m, counter, changed);
}
