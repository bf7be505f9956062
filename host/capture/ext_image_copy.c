// SPDX-License-Identifier: MIT OR Apache-2.0
// ext-image-copy-capture-v1: the standard successor of wlr-screencopy (wlroots 0.19 and later,
// others). One session per output; its description comes once and again when the output changes.
#include "host/capture/wayland.h"

#include "core/base/status.h"

#include "ext-image-capture-source-v1-client-protocol.h"
#include "ext-image-copy-capture-v1-client-protocol.h"

#include <stdlib.h>
#include <string.h>

struct image_copy {
    struct wayland_capture base;
    struct ext_output_image_capture_source_manager_v1 *sources;
    struct ext_image_copy_capture_manager_v1 *manager;
    struct ext_image_capture_source_v1 *source;
    struct ext_image_copy_capture_session_v1 *session;
    struct ext_image_copy_capture_frame_v1 *request;
    uint32_t width_px, height_px, format;
    bool has_format, described;
    bool copying, ready;
    unsigned n_failures;
    uint64_t stamp_ns;
};

static void on_buffer_size(void *data, struct ext_image_copy_capture_session_v1 *session,
                           uint32_t width, uint32_t height)
{
    struct image_copy *s = data;
    s->width_px = width;
    s->height_px = height;
}

static void on_shm_format(void *data, struct ext_image_copy_capture_session_v1 *session,
                          uint32_t format)
{
    struct image_copy *s = data;
    // Both are BGRx in memory; without alpha is what an output is.
    if (format == WL_SHM_FORMAT_XRGB8888 || (format == WL_SHM_FORMAT_ARGB8888 && !s->has_format)) {
        s->format = format;
        s->has_format = true;
    }
}

static void on_dmabuf_device(void *data, struct ext_image_copy_capture_session_v1 *session,
                             struct wl_array *device)
{
}

static void on_dmabuf_format(void *data, struct ext_image_copy_capture_session_v1 *session,
                             uint32_t format, struct wl_array *modifiers)
{
}

static void on_described(void *data, struct ext_image_copy_capture_session_v1 *session)
{
    struct image_copy *s = data;
    s->described = true;
    if (!s->has_format) {
        pfk_logf(&s->base.cfg.log, PFK_LOG_ERROR, "the compositor offers no 8-bit BGRx buffer");
        s->base.failed = PFK_E_UNSUPPORTED;
    }
}

static void on_stopped(void *data, struct ext_image_copy_capture_session_v1 *session)
{
    ((struct image_copy *)data)->base.failed = PFK_E_CLOSED;
}

static const struct ext_image_copy_capture_session_v1_listener session_listener = {
    .buffer_size = on_buffer_size,
    .shm_format = on_shm_format,
    .dmabuf_device = on_dmabuf_device,
    .dmabuf_format = on_dmabuf_format,
    .done = on_described,
    .stopped = on_stopped,
};

static void drop_request(struct image_copy *s)
{
    if (s->request) {
        ext_image_copy_capture_frame_v1_destroy(s->request);
        s->request = NULL;
    }
    s->copying = s->ready = false;
}

static void on_transform(void *data, struct ext_image_copy_capture_frame_v1 *frame,
                         uint32_t transform)
{
}

static void on_damage(void *data, struct ext_image_copy_capture_frame_v1 *frame, int32_t x,
                      int32_t y, int32_t width, int32_t height)
{
    struct image_copy *s = data;
    if (s->base.filling) {
        wayland_add_damage(&s->base.filling->frame, x, y, width, height);
    }
}

static void on_presentation_time(void *data, struct ext_image_copy_capture_frame_v1 *frame,
                                 uint32_t sec_hi, uint32_t sec_lo, uint32_t nsec)
{
    ((struct image_copy *)data)->stamp_ns = ((uint64_t)sec_hi << 32 | sec_lo) * 1000000000u + nsec;
}

static void on_ready(void *data, struct ext_image_copy_capture_frame_v1 *frame)
{
    ((struct image_copy *)data)->ready = true;
}

static void on_failed(void *data, struct ext_image_copy_capture_frame_v1 *frame, uint32_t reason)
{
    struct image_copy *s = data;
    drop_request(s);
    s->base.filling = NULL;
    if (reason == EXT_IMAGE_COPY_CAPTURE_FRAME_V1_FAILURE_REASON_STOPPED || ++s->n_failures > 10) {
        s->base.failed = PFK_E_CLOSED;
    }
}

static const struct ext_image_copy_capture_frame_v1_listener frame_listener = {
    .transform = on_transform,
    .damage = on_damage,
    .presentation_time = on_presentation_time,
    .ready = on_ready,
    .failed = on_failed,
};

static void bind_global(struct wayland_capture *c, const char *interface, uint32_t name,
                        uint32_t version)
{
    struct image_copy *s = (struct image_copy *)c;
    if (strcmp(interface, ext_image_copy_capture_manager_v1_interface.name) == 0) {
        s->manager =
            wl_registry_bind(c->registry, name, &ext_image_copy_capture_manager_v1_interface, 1);
    } else if (strcmp(interface, ext_output_image_capture_source_manager_v1_interface.name) == 0) {
        s->sources = wl_registry_bind(c->registry, name,
                                      &ext_output_image_capture_source_manager_v1_interface, 1);
    }
}

static void open_session(struct image_copy *s)
{
    s->source =
        ext_output_image_capture_source_manager_v1_create_source(s->sources, s->base.output);
    uint32_t options =
        s->base.cfg.cursor ? EXT_IMAGE_COPY_CAPTURE_MANAGER_V1_OPTIONS_PAINT_CURSORS : 0;
    s->session = ext_image_copy_capture_manager_v1_create_session(s->manager, s->source, options);
    ext_image_copy_capture_session_v1_add_listener(s->session, &session_listener, s);
}

// Ask for the next picture: it comes when something has changed, the first one at once. False when
// all buffers are out.
static bool start_copy(struct image_copy *s)
{
    int err = wayland_ensure_pool(&s->base, s->format, s->width_px, s->height_px, s->width_px * 4);
    struct wayland_buffer *b = err ? NULL : wayland_take_buffer(&s->base);
    if (err) {
        s->base.failed = err;
    }
    if (!b) {
        return false;
    }
    s->request = ext_image_copy_capture_session_v1_create_frame(s->session);
    ext_image_copy_capture_frame_v1_add_listener(s->request, &frame_listener, s);
    ext_image_copy_capture_frame_v1_attach_buffer(s->request, b->wl);
    // Whatever this buffer holds is older than the picture before: it needs everything.
    ext_image_copy_capture_frame_v1_damage_buffer(s->request, 0, 0, (int32_t)s->width_px,
                                                  (int32_t)s->height_px);
    ext_image_copy_capture_frame_v1_capture(s->request);
    s->copying = true;
    return true;
}

static struct frame *take_ready(struct image_copy *s)
{
    struct frame *f = wayland_finish(&s->base, s->stamp_ns);
    drop_request(s);
    s->n_failures = 0;
    (void)start_copy(s); // the next one is on its way while this one is encoded
    (void)wl_display_flush(s->base.display);
    return f;
}

static bool advance(struct wayland_capture *c)
{
    struct image_copy *s = (struct image_copy *)c;
    return !s->described || s->copying || start_copy(s);
}

static int image_copy_next(struct capture *base, struct frame **out, int timeout_ms)
{
    struct image_copy *s = (struct image_copy *)base;
    int err = wayland_await(&s->base, &s->ready, advance, timeout_ms);
    *out = err ? NULL : take_ready(s);
    return err;
}

static void image_copy_close(struct capture *base)
{
    struct image_copy *s = (struct image_copy *)base;
    drop_request(s);
    if (s->session) {
        ext_image_copy_capture_session_v1_destroy(s->session);
    }
    if (s->source) {
        ext_image_capture_source_v1_destroy(s->source);
    }
    if (s->sources) {
        ext_output_image_capture_source_manager_v1_destroy(s->sources);
    }
    if (s->manager) {
        ext_image_copy_capture_manager_v1_destroy(s->manager);
    }
    wayland_close(&s->base);
    free(s);
}

static int image_copy_open(struct capture **out, const struct capture_config *cfg)
{
    *out = NULL;
    struct image_copy *s = calloc(1, sizeof(*s));
    if (!s) {
        return PFK_E_NOMEM;
    }
    s->base.base.impl = &capture_ext_image_copy;
    s->base.bind = bind_global;
    int err = wayland_open(&s->base, cfg);
    if (!err && (!s->manager || !s->sources)) {
        err = PFK_E_UNSUPPORTED;
    }
    if (err) {
        image_copy_close(&s->base.base);
        return err;
    }
    open_session(s);
    *out = &s->base.base;
    return PFK_OK;
}

const struct capture_impl capture_ext_image_copy = {
    .name = "ext-image-copy-capture",
    .open = image_copy_open,
    .next = image_copy_next,
    .wake = wayland_wake,
    .close = image_copy_close,
};
