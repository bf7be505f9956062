// SPDX-License-Identifier: MIT OR Apache-2.0
// Where things are on the test card, for who draws it and who reads it back from a stream.
//
// From top to bottom: two rows of 32 cells (a counter and its complement, most significant bit
// left, white = 1), a row of solid patches, and below them everything that moves (testcard_draw.c).
// Edges lie on multiples of 16 px where the picture is wide enough, so that a patch or a cell does
// not share a macroblock with its neighbour. Made for pictures of 256x144 and more.
#ifndef HOST_DESKTOP_TESTCARD_LAYOUT_H
#define HOST_DESKTOP_TESTCARD_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TESTCARD_N_PATCHES 9
#define TESTCARD_N_BITS 32
#define TESTCARD_MARGIN_PX 16u

struct testcard_rect {
    uint32_t x, y, w, h;
};

static inline uint32_t testcard_floor16(uint32_t v)
{
    return v & ~15u;
}

/** Side of one counter cell: 8 px for 256 px and up, then multiples of 16. */
static inline uint32_t testcard_cell_px(uint32_t width, uint32_t height)
{
    uint32_t px = width / TESTCARD_N_BITS;
    if (px > height / 15) {
        px = height / 15;
    }
    if (px >= 16) {
        return px > 64 ? 64 : testcard_floor16(px);
    }
    return px >= 8 ? 8 : (px ? px : 1);
}

/** @row 0 = the value, 1 = its complement; @bit 31 is the leftmost. */
static inline struct testcard_rect testcard_cell(unsigned row, unsigned bit, uint32_t width,
                                                 uint32_t height)
{
    uint32_t px = testcard_cell_px(width, height);
    uint32_t left = testcard_floor16((width - TESTCARD_N_BITS * px) / 2);
    return (struct testcard_rect){left + (TESTCARD_N_BITS - 1 - bit) * px,
                                  TESTCARD_MARGIN_PX + row * px, px, px};
}

/** Patch i of TESTCARD_N_PATCHES, left to right. */
static inline struct testcard_rect testcard_patch(unsigned i, uint32_t width, uint32_t height)
{
    uint32_t w = testcard_floor16(width / TESTCARD_N_PATCHES);
    uint32_t h = testcard_floor16(height / 4);
    uint32_t left = testcard_floor16((width - TESTCARD_N_PATCHES * w) / 2);
    uint32_t top = 2 * TESTCARD_MARGIN_PX + 2 * testcard_cell_px(width, height);
    return (struct testcard_rect){left + i * w, testcard_floor16(top + 15), w, h};
}

/** 0xRRGGBB: white, yellow, cyan, green, magenta, red, blue, black, mid-grey. */
static inline uint32_t testcard_patch_rgb(unsigned i)
{
    static const uint32_t rgb[TESTCARD_N_PATCHES] = {
        0xffffff, 0xffff00, 0x00ffff, 0x00ff00, 0xff00ff, 0xff0000, 0x0000ff, 0x000000, 0x808080,
    };
    return rgb[i % TESTCARD_N_PATCHES];
}

/** Mean of the samples in the middle half of a cell: coding blurs its edges first. */
static inline uint32_t testcard_cell_mean(const uint8_t *plane, size_t stride_bytes,
                                          size_t step_bytes, struct testcard_rect r)
{
    uint32_t sum = 0, n = 0;
    for (uint32_t y = r.y + r.h / 4; y < r.y + r.h - r.h / 4; y++) {
        for (uint32_t x = r.x + r.w / 4; x < r.x + r.w - r.w / 4; x++) {
            sum += plane[y * stride_bytes + x * step_bytes];
            n++;
        }
    }
    return n ? sum / n : 0;
}

/**
 * Read the counter from one 8-bit plane.
 * @step_bytes  from a sample to its right neighbour: 1 for luma, 4 for BGRx (then pass &pixels[1],
 *              green)
 * False when a bit and its complement are not clearly different: this is not the card, or too
 * blurred.
 */
static inline bool testcard_read_counter(const uint8_t *plane, size_t stride_bytes,
                                         size_t step_bytes, uint32_t width, uint32_t height,
                                         uint32_t *counter)
{
    uint32_t value = 0;
    for (unsigned bit = 0; bit < TESTCARD_N_BITS; bit++) {
        uint32_t one = testcard_cell_mean(plane, stride_bytes, step_bytes,
                                          testcard_cell(0, bit, width, height));
        uint32_t complement = testcard_cell_mean(plane, stride_bytes, step_bytes,
                                                 testcard_cell(1, bit, width, height));
        uint32_t apart = one > complement ? one - complement : complement - one;
        if (apart < 64) {
            return false;
        }
        if (one > complement) {
            value |= 1u << bit;
        }
    }
    *counter = value;
    return true;
}

#endif
