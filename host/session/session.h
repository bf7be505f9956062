// SPDX-License-Identifier: MIT OR Apache-2.0
// One stream, the same for every protocol: a source, its unit queue, and the send thread that hands
// units to the front end's sink.
#ifndef HOST_SESSION_SESSION_H
#define HOST_SESSION_SESSION_H

#include "host/session/source.h"

struct session_sink {
    /** Protect and send one unit. Send thread; the unit is borrowed for the call. */
    void (*unit)(void *opaque, const struct unit *u);
    /** Nothing follows: the source ran dry (0) or failed. Send thread, once. */
    void (*ended)(void *opaque, int status);
    void *opaque;
};

struct session;

/** Starts streaming. `source` is filled but for its queue. Takes up to some 100 ms: not for a loop.
 */
int session_start(struct session **out, const struct source_impl *impl,
                  const struct source_config *source, const struct session_sink *sink);

void session_request_keyframe(struct session *s);           // any thread
void session_set_bitrate(struct session *s, uint32_t kbps); // any thread
void session_get_stats(struct session *s, struct source_stats *out);

/** Ends every thread; no call of the sink follows. NULL is fine. */
void session_stop(struct session *s);

#endif
