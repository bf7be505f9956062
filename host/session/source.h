// SPDX-License-Identifier: MIT OR Apache-2.0
// What a session streams. One file per source, one row each in session.c's table.
#ifndef HOST_SESSION_SOURCE_H
#define HOST_SESSION_SOURCE_H

#include "core/base/log.h"
#include "host/display/display.h"
#include "host/session/unit_queue.h"

struct source_config {
    struct display_output *output; // desktop: live, borrowed
    uint32_t width_px, height_px, hz;
    uint32_t bitrate_kbps;
    const char *encoder_preset; // NULL = the encoder's choice
    size_t unit_bytes;          // synthetic
    uint32_t n_units;           // synthetic; 0 = without end
    struct unit_queue *to;
    struct pfk_log log;
};

/** Numbers since the start. */
struct source_stats {
    uint64_t pictures; // captured
    uint64_t units;    // encoded and queued
    uint64_t repeats;  // of those, unchanged pictures
    uint64_t dropped;  // encoded in vain: the sender was behind
    uint64_t keyframes;
};

struct source;

struct source_impl {
    const char *name;
    /** Starts its threads; they end the queue when the source runs dry or fails. */
    int (*start)(struct source **out, const struct source_config *cfg);
    void (*request_keyframe)(struct source *s);                    // any thread
    void (*set_bitrate)(struct source *s, uint32_t kbps);          // any thread
    void (*get_stats)(struct source *s, struct source_stats *out); // any thread
    /** Ends the threads and the queue. */
    void (*stop)(struct source *s);
};

/** Base of every source's object; embed it first. */
struct source {
    const struct source_impl *impl;
};

extern const struct source_impl source_desktop;
extern const struct source_impl source_synthetic;

#endif
