// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/capture/wayland.h"

#include "core/base/clock.h"
#include "core/base/status.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALL_OUT_WAIT_MS = 2 };

#define FOURCC(a, b, c, d)                                                                         \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

// --- the connection ---

static void on_geometry(void *data, struct wl_output *o, int32_t x, int32_t y, int32_t width_mm,
                        int32_t height_mm, int32_t subpixel, const char *make, const char *model,
                        int32_t transform)
{
}

static void on_mode(void *data, struct wl_output *o, uint32_t flags, int32_t width, int32_t height,
                    int32_t refresh)
{
}

static void on_done(void *data, struct wl_output *o)
{
}

static void on_scale(void *data, struct wl_output *o, int32_t factor)
{
}

static void on_name(void *data, struct wl_output *o, const char *name)
{
    struct wayland_capture *c = data;
    if (strcmp(name, c->cfg.output) == 0) {
        c->output = o;
    }
}

static void on_description(void *data, struct wl_output *o, const char *description)
{
}

static const struct wl_output_listener output_listener = {.geometry = on_geometry,
                                                          .mode = on_mode,
                                                          .done = on_done,
                                                          .scale = on_scale,
                                                          .name = on_name,
                                                          .description = on_description};

static void on_global(void *data, struct wl_registry *registry, uint32_t name,
                      const char *interface, uint32_t version)
{
    struct wayland_capture *c = data;
    if (strcmp(interface, wl_shm_interface.name) == 0) {
        c->shm = wl_registry_bind(registry, name, &wl_shm_interface, 1);
    } else if (strcmp(interface, wl_output_interface.name) == 0 && version >= 4 &&
               c->n_outputs < sizeof(c->outputs) / sizeof(c->outputs[0])) {
        struct wl_output *o = wl_registry_bind(registry, name, &wl_output_interface, 4);
        c->outputs[c->n_outputs++] = o;
        wl_output_add_listener(o, &output_listener, c);
    } else {
        c->bind(c, interface, name, version);
    }
}

static void on_global_remove(void *data, struct wl_registry *registry, uint32_t name)
{
}

static const struct wl_registry_listener registry_listener = {.global = on_global,
                                                              .global_remove = on_global_remove};

int wayland_open(struct wayland_capture *c, const struct capture_config *cfg)
{
    c->cfg = *cfg;
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->display = c->wake_fd >= 0 ? wl_display_connect(cfg->wayland_socket) : NULL;
    if (!c->display) {
        pfk_logf(&cfg->log, PFK_LOG_ERROR, "cannot reach the compositor at %s: %s",
                 cfg->wayland_socket, strerror(errno));
        return PFK_E_IO;
    }
    c->registry = wl_display_get_registry(c->display);
    wl_registry_add_listener(c->registry, &registry_listener, c);
    if (wl_display_roundtrip(c->display) < 0 || wl_display_roundtrip(c->display) < 0) {
        pfk_logf(&cfg->log, PFK_LOG_ERROR, "the compositor at %s hung up", cfg->wayland_socket);
        return PFK_E_CLOSED;
    }
    if (!c->output || !c->shm) {
        pfk_logf(&cfg->log, PFK_LOG_ERROR, "the compositor does not show the output %s",
                 cfg->output);
        return PFK_E_IO;
    }
    return PFK_OK;
}

void wayland_wake(struct capture *base)
{
    const uint64_t one = 1;
    ssize_t n = write(((struct wayland_capture *)base)->wake_fd, &one, sizeof(one));
    (void)n;
}

int wayland_dispatch(struct wayland_capture *c, int timeout_ms)
{
    if (wl_display_prepare_read(c->display) != 0) {
        return wl_display_dispatch_pending(c->display) < 0 ? PFK_E_CLOSED : PFK_OK;
    }
    if (wl_display_flush(c->display) < 0 && errno != EAGAIN) {
        wl_display_cancel_read(c->display);
        return PFK_E_CLOSED;
    }
    struct pollfd fds[2] = {{wl_display_get_fd(c->display), POLLIN, 0}, {c->wake_fd, POLLIN, 0}};
    int rc = poll(fds, 2, timeout_ms);
    bool woken = rc > 0 && fds[1].revents;
    if (woken) {
        uint64_t count;
        ssize_t n = read(c->wake_fd, &count, sizeof(count));
        (void)n;
    }
    if (rc <= 0 || !fds[0].revents) {
        wl_display_cancel_read(c->display);
        return woken ? PFK_E_TIMEOUT : PFK_OK;
    }
    if (wl_display_read_events(c->display) < 0 || wl_display_dispatch_pending(c->display) < 0) {
        return PFK_E_CLOSED;
    }
    return woken ? PFK_E_TIMEOUT : PFK_OK;
}

int wayland_await(struct wayland_capture *c, const bool *ready, wayland_advance_fn advance,
                  int timeout_ms)
{
    const uint64_t until = pfk_clock_monotonic_ns() + (uint64_t)timeout_ms * 1000000u;
    // With no time to wait, what has already come is still looked at.
    for (bool looked = false;; looked = true) {
        if (c->failed) {
            return c->failed;
        }
        if (*ready) {
            return PFK_OK;
        }
        uint64_t now = pfk_clock_monotonic_ns();
        if (looked && now >= until) {
            return PFK_E_TIMEOUT;
        }
        int wait_ms = now < until ? (int)((until - now) / 1000000u) + 1 : 0;
        // A buffer comes back without an event, from another thread.
        if (!advance(c) && wait_ms > ALL_OUT_WAIT_MS) {
            wait_ms = ALL_OUT_WAIT_MS;
        }
        int err = c->failed ? c->failed : wayland_dispatch(c, wait_ms);
        if (err) {
            return err;
        }
    }
}

// --- buffers ---

static void pool_unref(struct wayland_pool *p)
{
    if (p && atomic_fetch_sub(&p->refs, 1) == 1) {
        munmap(p->memory, p->memory_bytes);
        free(p);
    }
}

// The frame's last user is done with it: any thread.
static void release_frame(struct frame *f)
{
    struct wayland_buffer *b = f->owner;
    struct wayland_pool *p = b->pool;
    atomic_store(&b->busy, false);
    pool_unref(p);
}

static void drop_pool(struct wayland_capture *c)
{
    if (c->pool) {
        for (int i = 0; i < WAYLAND_N_BUFFERS; i++) {
            if (c->pool->buffers[i].wl) {
                wl_buffer_destroy(c->pool->buffers[i].wl);
            }
        }
        pool_unref(c->pool);
        c->pool = NULL;
    }
    c->filling = NULL;
}

static uint32_t drm_format(uint32_t wl_shm_format)
{
    return wl_shm_format == WL_SHM_FORMAT_XRGB8888   ? FOURCC('X', 'R', '2', '4')
           : wl_shm_format == WL_SHM_FORMAT_ARGB8888 ? FOURCC('A', 'R', '2', '4')
                                                     : wl_shm_format;
}

static struct wayland_pool *pool_create(struct wl_shm *shm, uint32_t format, uint32_t width_px,
                                        uint32_t height_px, uint32_t stride_bytes)
{
    size_t one = (size_t)stride_bytes * height_px;
    struct wayland_pool *p = calloc(1, sizeof(*p));
    int fd = p ? memfd_create("punktfunk-capture", MFD_CLOEXEC) : -1;
    void *memory = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)(one * WAYLAND_N_BUFFERS)) == 0) {
        memory = mmap(NULL, one * WAYLAND_N_BUFFERS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (memory == MAP_FAILED) {
        if (fd >= 0) {
            close(fd);
        }
        free(p);
        return NULL;
    }
    p->memory = memory;
    p->memory_bytes = one * WAYLAND_N_BUFFERS;
    atomic_init(&p->refs, 1);
    struct wl_shm_pool *pool = wl_shm_create_pool(shm, fd, (int32_t)p->memory_bytes);
    for (int i = 0; i < WAYLAND_N_BUFFERS; i++) {
        struct wayland_buffer *b = &p->buffers[i];
        b->pool = p;
        b->wl = wl_shm_pool_create_buffer(pool, (int32_t)(one * (size_t)i), (int32_t)width_px,
                                          (int32_t)height_px, (int32_t)stride_bytes, format);
        b->frame.fourcc = drm_format(format);
        b->frame.width_px = width_px;
        b->frame.height_px = height_px;
        b->frame.stride_bytes = stride_bytes;
        b->frame.pixels = p->memory + one * (size_t)i;
        b->frame.release = release_frame;
        b->frame.owner = b;
    }
    wl_shm_pool_destroy(pool);
    close(fd);
    return p;
}

int wayland_ensure_pool(struct wayland_capture *c, uint32_t wl_shm_format, uint32_t width_px,
                        uint32_t height_px, uint32_t stride_bytes)
{
    // wl_shm counts in 32 bits with a sign.
    if (!width_px || !height_px || stride_bytes < (uint64_t)width_px * 4 || width_px > 16384 ||
        height_px > 16384 || (uint64_t)stride_bytes * height_px > INT32_MAX / WAYLAND_N_BUFFERS) {
        return PFK_E_UNSUPPORTED;
    }
    if (c->pool) {
        const struct frame *f = &c->pool->buffers[0].frame;
        if (f->fourcc == drm_format(wl_shm_format) && f->width_px == width_px &&
            f->height_px == height_px && f->stride_bytes == stride_bytes) {
            return PFK_OK;
        }
        drop_pool(c);
    }
    c->pool = pool_create(c->shm, wl_shm_format, width_px, height_px, stride_bytes);
    return c->pool ? PFK_OK : PFK_E_NOMEM;
}

struct wayland_buffer *wayland_take_buffer(struct wayland_capture *c)
{
    for (int i = 0; i < WAYLAND_N_BUFFERS; i++) {
        struct wayland_buffer *b = &c->pool->buffers[i];
        if (!atomic_load(&b->busy)) {
            b->frame.n_damage = 0;
            b->frame.repeat = false;
            c->filling = b;
            return b;
        }
    }
    return NULL;
}

struct frame *wayland_finish(struct wayland_capture *c, uint64_t stamp_monotonic_ns)
{
    struct wayland_buffer *b = c->filling;
    struct frame *f = &b->frame;
    uint64_t wall = pfk_clock_wall_ns(), monotonic = pfk_clock_monotonic_ns();
    // The compositor's stamp is on CLOCK_MONOTONIC; one that makes no sense counts as now.
    uint64_t age =
        stamp_monotonic_ns && stamp_monotonic_ns <= monotonic ? monotonic - stamp_monotonic_ns : 0;
    f->ready_ns = wall;
    f->capture_ns = age < 1000000000u ? wall - age : wall;
    atomic_store(&b->busy, true);
    atomic_store(&f->refs, 1);
    atomic_fetch_add(&b->pool->refs, 1);
    c->filling = NULL;
    return f;
}

void wayland_add_damage(struct frame *f, int32_t x, int32_t y, int32_t width, int32_t height)
{
    if (f->n_damage < FRAME_MAX_DAMAGE) {
        f->damage[f->n_damage++] = (struct frame_rect){x, y, width, height};
    } else { // too many to tell apart: one that covers everything
        f->n_damage = 1;
        f->damage[0] = (struct frame_rect){0, 0, (int32_t)f->width_px, (int32_t)f->height_px};
    }
}

void wayland_close(struct wayland_capture *c)
{
    drop_pool(c);
    for (unsigned i = 0; i < c->n_outputs; i++) {
        wl_output_release(c->outputs[i]);
    }
    if (c->shm) {
        wl_shm_destroy(c->shm);
    }
    if (c->registry) {
        wl_registry_destroy(c->registry);
    }
    if (c->display) {
        wl_display_disconnect(c->display);
    }
    if (c->wake_fd >= 0) {
        close(c->wake_fd);
    }
}
