// SPDX-License-Identifier: MIT OR Apache-2.0
// One captured picture, reference-counted: what capture yields and encoders take.
#ifndef HOST_CAPTURE_FRAME_H
#define HOST_CAPTURE_FRAME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX_DAMAGE 16

struct frame_rect {
    int32_t x_px, y_px, width_px, height_px;
};

struct frame {
    uint32_t fourcc; // DRM format, little-endian bytes: XR24 = B G R X in memory
    uint32_t width_px, height_px;
    uint32_t stride_bytes;
    const uint8_t *pixels; // mapped memory, top row first
    uint64_t capture_ns;   // wall clock: when the compositor stamped the picture
    uint64_t ready_ns;     // wall clock: when it was in our hands
    bool repeat;           // an unchanged picture handed out again
    unsigned n_damage;     // 0 = everything
    struct frame_rect damage[FRAME_MAX_DAMAGE];

    atomic_uint refs;
    void (*release)(
        struct frame *f); // called at zero references, on the thread that dropped the last
    void *owner;
};

static inline struct frame *frame_ref(struct frame *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

/** NULL is fine. */
static inline void frame_unref(struct frame *f)
{
    if (f && atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1) {
        f->release(f);
    }
}

#endif
