// SPDX-License-Identifier: MIT OR Apache-2.0
// Pictures of one output. One file per back end, one row each in capture.c's table.
#ifndef HOST_CAPTURE_CAPTURE_H
#define HOST_CAPTURE_CAPTURE_H

#include "core/base/log.h"
#include "host/capture/frame.h"

struct capture_config {
    const char *wayland_socket; // absolute path of the compositor's socket
    const char *output;         // output name, "HEADLESS-1"
    uint32_t width_px, height_px, hz;
    bool cursor; // draw the pointer into the picture
    struct pfk_log log;
};

struct capture;

struct capture_impl {
    const char *name;
    int (*open)(struct capture **out, const struct capture_config *cfg);
    int (*next)(struct capture *c, struct frame **out, int timeout_ms);
    void (*wake)(struct capture *c);
    void (*close)(struct capture *c);
};

/** Base of every back end's object; embed it first. */
struct capture {
    const struct capture_impl *impl;
};

/**
 * Open the best back end that this compositor offers.
 * @name  force one ("ext-image-copy-capture", "wlr-screencopy"); NULL = best first
 * 0; PFK_E_UNSUPPORTED, PFK_E_IO (logged once with cause and remedy); PFK_E_NOMEM.
 */
int capture_open(struct capture **out, const struct capture_config *cfg, const char *name);

/**
 * The next new picture; the newest wins, there is never a queue. The caller unrefs it.
 * 0; PFK_E_TIMEOUT (nothing changed on the output within timeout_ms, or capture_wake());
 * PFK_E_CLOSED (the output or the compositor has gone); PFK_E_IO. Capture thread only.
 */
int capture_next(struct capture *c, struct frame **out, int timeout_ms);

/** Make a capture_next() that waits return PFK_E_TIMEOUT. Any thread. */
void capture_wake(struct capture *c);

/** Frames still referenced stay valid until they are unreferenced. NULL is fine. */
void capture_close(struct capture *c);

#endif
