// SPDX-License-Identifier: MIT OR Apache-2.0
// Virtual outputs. One file per compositor, one row each in display.c's table.
#ifndef HOST_DISPLAY_DISPLAY_H
#define HOST_DISPLAY_DISPLAY_H

#include "core/base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct display_config {
    const char *compositor; // "auto", "sway"
    bool own_desktop;       // never use the session this host was started from
    const char *command;    // what an own desktop runs, a shell command
    const char *user;       // account of an own desktop when the host is root; NULL = "nobody"
    const char *state_dir;  // where a killed host's left-overs are recorded
    struct pfk_log log;
};

/** A compositor, running: the user's or our own. Serves one thread at a time. */
struct display;

/** One virtual output of it, live. */
struct display_output;

struct display_impl {
    const char *name;
    /** Can it work here? Says why not in `why` (one line with a remedy). */
    bool (*probe)(const struct display_config *cfg, char *why, size_t why_bytes);
    int (*open)(struct display **out, const struct display_config *cfg);
    void (*close)(struct display *d);
    int (*output_create)(struct display *d, struct display_output **out, uint32_t width_px,
                         uint32_t height_px, uint32_t hz);
    void (*output_destroy)(struct display_output *o);
};

/** Base objects; embed them first. */
struct display {
    const struct display_impl *impl;
    char wayland_socket[108]; // absolute path
    bool own;                 // started by us
    int pid;                  // of our own compositor, 0 otherwise
};

struct display_output {
    struct display *display;
    char name[64];
    uint32_t width_px, height_px, hz; // what was really set
};

/** Find or start the compositor. Cleans up first what a killed host left behind. 0 or a logged
 * error. */
int display_open(struct display **out, const struct display_config *cfg);

/** Ends an own compositor and everything it runs; leaves the user's as it was. NULL is fine. */
void display_close(struct display *d);

/** 0; PFK_E_UNSUPPORTED (mode refused); PFK_E_IO; PFK_E_CLOSED (compositor died). All logged. */
int display_output_create(struct display *d, struct display_output **out, uint32_t width_px,
                          uint32_t height_px, uint32_t hz);

/** Removes the output, or makes it idle where it cannot be removed: it costs next to nothing then,
 * and the next display_output_create() uses it. NULL is fine. */
void display_output_destroy(struct display_output *o);

#endif
