// SPDX-License-Identifier: MIT OR Apache-2.0
// Draws the test card into memory, without Wayland: the desktop program, the synthetic source and
// the encoder's tests share it. What is where: testcard_layout.h.
#ifndef HOST_DESKTOP_TESTCARD_DRAW_H
#define HOST_DESKTOP_TESTCARD_DRAW_H

#include "host/desktop/testcard_layout.h"

#define TESTCARD_MAX_CHANGED 5

/** Memory to draw into: XR24, bytes B G R X, top row first; borrowed. */
struct testcard_image {
    uint8_t *bgrx;
    size_t stride_bytes; // a multiple of 4
    uint32_t width_px, height_px;
};

/** What does not change from picture to picture: once per buffer. */
void testcard_draw_static(const struct testcard_image *image);

/**
 * What does. It repaints each of its regions whole, so it does not matter which counter the buffer
 * showed before. Returns how many regions there are.
 */
unsigned testcard_draw_moving(const struct testcard_image *image, uint32_t counter,
                              struct testcard_rect changed[TESTCARD_MAX_CHANGED]);

/** Both: the whole card. The same counter gives the same bytes. */
void testcard_draw(const struct testcard_image *image, uint32_t counter);

#endif
