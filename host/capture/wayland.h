// SPDX-License-Identifier: MIT OR Apache-2.0
// What both Wayland captures share: the connection, the output found by its name, and shared-memory
// buffers that come back from any thread.
#ifndef HOST_CAPTURE_WAYLAND_H
#define HOST_CAPTURE_WAYLAND_H

#include "host/capture/capture.h"

#include <wayland-client.h>

// One held by the encoder, one it has just taken, one in the slot, one on its way there, one being
// copied into.
#define WAYLAND_N_BUFFERS 5

struct wayland_pool;

struct wayland_buffer {
    struct frame frame; // what capture hands out; frame.owner is this
    struct wl_buffer *wl;
    struct wayland_pool *pool;
    atomic_bool busy;
};

struct wayland_pool {
    struct wayland_buffer buffers[WAYLAND_N_BUFFERS];
    uint8_t *memory;
    size_t memory_bytes;
    atomic_uint refs; // the capture, and each frame that is out
};

struct wayland_capture {
    struct capture base;
    struct capture_config cfg;
    struct wl_display *display;
    struct wl_registry *registry;
    struct wl_shm *shm;
    struct wl_output *output;
    struct wl_output *outputs[16]; // until the one with the right name is found
    unsigned n_outputs;
    int wake_fd;
    struct wayland_pool *pool;
    struct wayland_buffer *filling; // being copied into
    int failed;                     // PFK_E_*: nothing more will come

    /** Back end: take a global it needs. */
    void (*bind)(struct wayland_capture *c, const char *interface, uint32_t name, uint32_t version);
};

/** Connect, collect globals, find the output. On failure what is there is freed by wayland_close().
 */
int wayland_open(struct wayland_capture *c, const struct capture_config *cfg);
void wayland_close(struct wayland_capture *c);
void wayland_wake(struct capture *c);

/** Make the pool for this layout, or keep the one that fits. */
int wayland_ensure_pool(struct wayland_capture *c, uint32_t wl_shm_format, uint32_t width_px,
                        uint32_t height_px, uint32_t stride_bytes);

/** A buffer that nobody reads, now `filling`; NULL when all are out. */
struct wayland_buffer *wayland_take_buffer(struct wayland_capture *c);

/** `filling` is complete: time-stamp it and give it to the caller, with one reference. */
struct frame *wayland_finish(struct wayland_capture *c, uint64_t stamp_monotonic_ns);

/** Dispatch events, waiting up to timeout_ms for some. 0, also when there were none; PFK_E_TIMEOUT
 * after a wake; PFK_E_CLOSED. */
int wayland_dispatch(struct wayland_capture *c, int timeout_ms);

/** Back end: begin the next copy if it is time to. False when all buffers are out. */
typedef bool (*wayland_advance_fn)(struct wayland_capture *c);

/** Dispatch until *ready, with capture_next()'s results. */
int wayland_await(struct wayland_capture *c, const bool *ready, wayland_advance_fn advance,
                  int timeout_ms);

void wayland_add_damage(struct frame *f, int32_t x, int32_t y, int32_t width, int32_t height);

extern const struct capture_impl capture_wlr_screencopy;
extern const struct capture_impl capture_ext_image_copy;

#endif
