// SPDX-License-Identifier: MIT OR Apache-2.0
// punktfunk-testcard: what an own desktop runs by default. A Wayland window that redraws a test
// card at every frame callback, in whatever size the compositor gives it.
#include "host/desktop/testcard_draw.h"

#include "xdg-shell-client-protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wayland-client.h>

#define N_BUFFERS 3
#define DEFAULT_WIDTH_PX 1280
#define DEFAULT_HEIGHT_PX 720
#define MAX_SIDE_PX 16384

struct buffer {
    struct wl_buffer *wl;
    struct testcard_image image;
    bool busy; // the compositor may still read it
};

struct card {
    struct wl_compositor *compositor;
    struct wl_shm *shm;
    struct xdg_wm_base *wm;
    struct wl_surface *surface;
    struct wl_callback *frame;
    struct buffer buffers[N_BUFFERS];
    uint8_t *memory;
    size_t memory_bytes;
    uint32_t width_px, height_px; // asked for by the compositor
    uint32_t counter;
    bool waiting; // no buffer was free at the last frame callback
    bool damage_all;
    bool closed, failed;
};

static void redraw(struct card *c);

static void on_release(void *data, struct wl_buffer *wl)
{
    struct card *c = data;
    for (int i = 0; i < N_BUFFERS; i++) {
        if (c->buffers[i].wl == wl) {
            c->buffers[i].busy = false;
        }
    }
    if (c->waiting) {
        redraw(c);
    }
}

static const struct wl_buffer_listener buffer_listener = {.release = on_release};

static void free_buffers(struct card *c)
{
    for (int i = 0; i < N_BUFFERS; i++) {
        if (c->buffers[i].wl) {
            wl_buffer_destroy(c->buffers[i].wl);
        }
    }
    if (c->memory) {
        munmap(c->memory, c->memory_bytes);
    }
    memset(c->buffers, 0, sizeof(c->buffers));
    c->memory = NULL;
}

// New buffers of the wanted size, each with the static part drawn.
static bool make_buffers(struct card *c)
{
    free_buffers(c);
    size_t one = (size_t)c->width_px * c->height_px * 4;
    c->memory_bytes = one * N_BUFFERS;
    int fd = memfd_create("punktfunk-testcard", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)c->memory_bytes) != 0) {
        perror("punktfunk-testcard: no memory for pictures");
        goto fail;
    }
    void *memory = mmap(NULL, c->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        perror("punktfunk-testcard: no memory for pictures");
        goto fail;
    }
    c->memory = memory;
    struct wl_shm_pool *pool = wl_shm_create_pool(c->shm, fd, (int32_t)c->memory_bytes);
    for (int i = 0; i < N_BUFFERS; i++) {
        struct buffer *b = &c->buffers[i];
        b->image = (struct testcard_image){c->memory + i * one, (size_t)c->width_px * 4,
                                           c->width_px, c->height_px};
        b->wl = wl_shm_pool_create_buffer(pool, (int32_t)(i * one), (int32_t)c->width_px,
                                          (int32_t)c->height_px, (int32_t)(c->width_px * 4),
                                          WL_SHM_FORMAT_XRGB8888);
        wl_buffer_add_listener(b->wl, &buffer_listener, c);
        testcard_draw_static(&b->image);
    }
    wl_shm_pool_destroy(pool);
    close(fd);
    c->damage_all = true;
    return true;

fail:
    if (fd >= 0) {
        close(fd);
    }
    return false;
}

static void on_frame(void *data, struct wl_callback *callback, uint32_t time_ms)
{
    struct card *c = data;
    wl_callback_destroy(callback);
    c->frame = NULL;
    redraw(c);
}

static const struct wl_callback_listener frame_listener = {.done = on_frame};

static void redraw(struct card *c)
{
    struct buffer *b = NULL;
    for (int i = 0; i < N_BUFFERS && !b; i++) {
        b = c->buffers[i].busy ? NULL : &c->buffers[i];
    }
    c->waiting = !b;
    if (!b) {
        return;
    }
    struct testcard_rect changed[TESTCARD_MAX_CHANGED];
    unsigned n = testcard_draw_moving(&b->image, c->counter++, changed);
    if (c->damage_all) {
        changed[0] = (struct testcard_rect){0, 0, c->width_px, c->height_px};
        n = 1;
    }
    for (unsigned i = 0; i < n; i++) {
        wl_surface_damage_buffer(c->surface, (int32_t)changed[i].x, (int32_t)changed[i].y,
                                 (int32_t)changed[i].w, (int32_t)changed[i].h);
    }
    c->damage_all = false;
    if (!c->frame) {
        c->frame = wl_surface_frame(c->surface);
        wl_callback_add_listener(c->frame, &frame_listener, c);
    }
    wl_surface_attach(c->surface, b->wl, 0, 0);
    wl_surface_commit(c->surface);
    b->busy = true;
}

static void on_surface_configure(void *data, struct xdg_surface *surface, uint32_t serial)
{
    struct card *c = data;
    xdg_surface_ack_configure(surface, serial);
    const struct testcard_image *now = &c->buffers[0].image;
    if (c->memory && now->width_px == c->width_px && now->height_px == c->height_px) {
        return;
    }
    if (make_buffers(c)) {
        redraw(c);
    } else {
        c->failed = true;
    }
}

static const struct xdg_surface_listener surface_listener = {.configure = on_surface_configure};

static uint32_t side(int32_t asked, uint32_t otherwise)
{
    return asked <= 0 ? otherwise : asked > MAX_SIDE_PX ? MAX_SIDE_PX : (uint32_t)asked;
}

static void on_toplevel_configure(void *data, struct xdg_toplevel *toplevel, int32_t width,
                                  int32_t height, struct wl_array *states)
{
    struct card *c = data;
    c->width_px = side(width, c->width_px);
    c->height_px = side(height, c->height_px);
}

static void on_close(void *data, struct xdg_toplevel *toplevel)
{
    ((struct card *)data)->closed = true;
}

static const struct xdg_toplevel_listener toplevel_listener = {.configure = on_toplevel_configure,
                                                               .close = on_close};

static void on_ping(void *data, struct xdg_wm_base *wm, uint32_t serial)
{
    xdg_wm_base_pong(wm, serial);
}

static const struct xdg_wm_base_listener wm_listener = {.ping = on_ping};

static void on_global(void *data, struct wl_registry *registry, uint32_t name,
                      const char *interface, uint32_t version)
{
    struct card *c = data;
    if (strcmp(interface, wl_compositor_interface.name) == 0 && version >= 4) {
        c->compositor = wl_registry_bind(registry, name, &wl_compositor_interface, 4);
    } else if (strcmp(interface, wl_shm_interface.name) == 0) {
        c->shm = wl_registry_bind(registry, name, &wl_shm_interface, 1);
    } else if (strcmp(interface, xdg_wm_base_interface.name) == 0) {
        c->wm = wl_registry_bind(registry, name, &xdg_wm_base_interface, 1);
        xdg_wm_base_add_listener(c->wm, &wm_listener, c);
    }
}

static void on_global_remove(void *data, struct wl_registry *registry, uint32_t name)
{
}

static const struct wl_registry_listener registry_listener = {.global = on_global,
                                                              .global_remove = on_global_remove};

int main(void)
{
    struct card c = {.width_px = DEFAULT_WIDTH_PX, .height_px = DEFAULT_HEIGHT_PX};
    struct wl_display *display = wl_display_connect(NULL);
    if (!display) {
        fprintf(stderr, "punktfunk-testcard: no Wayland compositor: start it inside a desktop "
                        "(WAYLAND_DISPLAY names none that runs)\n");
        return 1;
    }
    struct wl_registry *registry = wl_display_get_registry(display);
    wl_registry_add_listener(registry, &registry_listener, &c);
    wl_display_roundtrip(display);
    if (!c.compositor || !c.shm || !c.wm) {
        fprintf(stderr, "punktfunk-testcard: this compositor lacks wl_compositor 4, wl_shm or "
                        "xdg_wm_base\n");
        return 1;
    }
    c.surface = wl_compositor_create_surface(c.compositor);
    struct xdg_surface *xdg = xdg_wm_base_get_xdg_surface(c.wm, c.surface);
    xdg_surface_add_listener(xdg, &surface_listener, &c);
    struct xdg_toplevel *toplevel = xdg_surface_get_toplevel(xdg);
    xdg_toplevel_add_listener(toplevel, &toplevel_listener, &c);
    xdg_toplevel_set_app_id(toplevel, "punktfunk-testcard");
    xdg_toplevel_set_title(toplevel, "punktfunk test card");
    xdg_toplevel_set_fullscreen(toplevel, NULL);
    wl_surface_commit(c.surface);
    while (!c.closed && !c.failed && wl_display_dispatch(display) >= 0) {
    }
    free_buffers(&c);
    wl_display_disconnect(display);
    return c.closed ? 0 : 1;
}
