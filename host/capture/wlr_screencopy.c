// SPDX-License-Identifier: MIT OR Apache-2.0
// wlr-screencopy-unstable-v1, version 3: every wlroots compositor has it.
#include "host/capture/wayland.h"

#include "core/base/status.h"

#include "wlr-screencopy-unstable-v1-client-protocol.h"

#include <stdlib.h>
#include <string.h>

struct screencopy {
    struct wayland_capture base;
    struct zwlr_screencopy_manager_v1 *manager;
    struct zwlr_screencopy_frame_v1 *request; // one at a time
    uint32_t format, width_px, height_px, stride_bytes;
    bool described; // the compositor has said what buffer it wants
    bool copying;
    bool ready;
    bool y_inverted;
    bool had_one; // later copies wait for damage
    unsigned n_failures;
    uint64_t stamp_ns;
};

static void on_buffer(void *data, struct zwlr_screencopy_frame_v1 *f, uint32_t format,
                      uint32_t width, uint32_t height, uint32_t stride)
{
    struct screencopy *s = data;
    s->format = format;
    s->width_px = width;
    s->height_px = height;
    s->stride_bytes = stride;
}

static void on_flags(void *data, struct zwlr_screencopy_frame_v1 *f, uint32_t flags)
{
    ((struct screencopy *)data)->y_inverted = flags & ZWLR_SCREENCOPY_FRAME_V1_FLAGS_Y_INVERT;
}

static void on_ready(void *data, struct zwlr_screencopy_frame_v1 *f, uint32_t sec_hi,
                     uint32_t sec_lo, uint32_t nsec)
{
    struct screencopy *s = data;
    s->ready = true;
    s->stamp_ns = ((uint64_t)sec_hi << 32 | sec_lo) * 1000000000u + nsec;
}

static void drop_request(struct screencopy *s)
{
    if (s->request) {
        zwlr_screencopy_frame_v1_destroy(s->request);
        s->request = NULL;
    }
    s->described = s->copying = s->ready = false;
}

static void on_failed(void *data, struct zwlr_screencopy_frame_v1 *f)
{
    struct screencopy *s = data;
    drop_request(s);
    s->base.filling = NULL;
    if (++s->n_failures > 10) { // the output is off or gone
        s->base.failed = PFK_E_CLOSED;
    }
}

static void on_damage(void *data, struct zwlr_screencopy_frame_v1 *f, uint32_t x, uint32_t y,
                      uint32_t width, uint32_t height)
{
    struct screencopy *s = data;
    if (s->base.filling) {
        wayland_add_damage(&s->base.filling->frame, (int32_t)x, (int32_t)y, (int32_t)width,
                           (int32_t)height);
    }
}

static void on_linux_dmabuf(void *data, struct zwlr_screencopy_frame_v1 *f, uint32_t format,
                            uint32_t width, uint32_t height)
{
}

static void on_buffer_done(void *data, struct zwlr_screencopy_frame_v1 *f)
{
    ((struct screencopy *)data)->described = true;
}

static const struct zwlr_screencopy_frame_v1_listener frame_listener = {
    .buffer = on_buffer,
    .flags = on_flags,
    .ready = on_ready,
    .failed = on_failed,
    .damage = on_damage,
    .linux_dmabuf = on_linux_dmabuf,
    .buffer_done = on_buffer_done,
};

static void bind_global(struct wayland_capture *c, const char *interface, uint32_t name,
                        uint32_t version)
{
    struct screencopy *s = (struct screencopy *)c;
    if (strcmp(interface, zwlr_screencopy_manager_v1_interface.name) == 0 && version >= 3) {
        s->manager = wl_registry_bind(c->registry, name, &zwlr_screencopy_manager_v1_interface, 3);
    }
}

static void request_frame(struct screencopy *s)
{
    s->request =
        zwlr_screencopy_manager_v1_capture_output(s->manager, s->base.cfg.cursor, s->base.output);
    zwlr_screencopy_frame_v1_add_listener(s->request, &frame_listener, s);
}

// The compositor has described its buffer: give it one. False when all are out.
static bool start_copy(struct screencopy *s)
{
    int err = wayland_ensure_pool(&s->base, s->format, s->width_px, s->height_px, s->stride_bytes);
    if (err) {
        s->base.failed = err;
        return false;
    }
    struct wayland_buffer *b = wayland_take_buffer(&s->base);
    if (!b) {
        return false;
    }
    s->copying = true;
    if (s->had_one) {
        zwlr_screencopy_frame_v1_copy_with_damage(s->request, b->wl);
    } else { // the first picture comes even when nothing changes
        zwlr_screencopy_frame_v1_copy(s->request, b->wl);
    }
    return true;
}

// Upside-down buffers do not occur with shared memory on today's wlroots, but the protocol has
// them.
static void turn_over(struct frame *f)
{
    uint8_t *pixels = (uint8_t *)(uintptr_t)f->pixels;
    for (uint32_t y = 0; y < f->height_px / 2; y++) {
        uint8_t *a = pixels + (size_t)y * f->stride_bytes;
        uint8_t *b = pixels + (size_t)(f->height_px - 1 - y) * f->stride_bytes;
        for (uint32_t x = 0; x < f->stride_bytes; x++) {
            uint8_t swap = a[x];
            a[x] = b[x];
            b[x] = swap;
        }
    }
}

static struct frame *take_ready(struct screencopy *s)
{
    struct frame *f = wayland_finish(&s->base, s->stamp_ns);
    if (s->y_inverted) {
        turn_over(f);
    }
    drop_request(s);
    s->had_one = true;
    s->n_failures = 0;
    request_frame(s);                        // the next one is on its way while this one is encoded
    (void)wl_display_flush(s->base.display); // what does not fit goes with the next dispatch
    return f;
}

static bool advance(struct wayland_capture *c)
{
    struct screencopy *s = (struct screencopy *)c;
    if (!s->request) {
        request_frame(s);
    }
    return !s->described || s->copying || start_copy(s);
}

static int screencopy_next(struct capture *base, struct frame **out, int timeout_ms)
{
    struct screencopy *s = (struct screencopy *)base;
    int err = wayland_await(&s->base, &s->ready, advance, timeout_ms);
    *out = err ? NULL : take_ready(s);
    return err;
}

static void screencopy_close(struct capture *base)
{
    struct screencopy *s = (struct screencopy *)base;
    drop_request(s);
    if (s->manager) {
        zwlr_screencopy_manager_v1_destroy(s->manager);
    }
    wayland_close(&s->base);
    free(s);
}

static int screencopy_open(struct capture **out, const struct capture_config *cfg)
{
    *out = NULL;
    struct screencopy *s = calloc(1, sizeof(*s));
    if (!s) {
        return PFK_E_NOMEM;
    }
    s->base.base.impl = &capture_wlr_screencopy;
    s->base.bind = bind_global;
    int err = wayland_open(&s->base, cfg);
    if (!err && !s->manager) {
        err = PFK_E_UNSUPPORTED;
    }
    if (err) {
        screencopy_close(&s->base.base);
        return err;
    }
    *out = &s->base.base;
    return PFK_OK;
}

const struct capture_impl capture_wlr_screencopy = {
    .name = "wlr-screencopy",
    .open = screencopy_open,
    .next = screencopy_next,
    .wake = wayland_wake,
    .close = screencopy_close,
};
