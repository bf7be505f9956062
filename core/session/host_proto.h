// SPDX-License-Identifier: MIT OR Apache-2.0
// The host's side of one punktfunk/1 control stream: what may come when, what is answered at once
// and what is handed up (reference: sections 3 and 7). No socket and no clock: bytes and times go
// in, callbacks come out, all on the caller's thread.
#ifndef PFK_SESSION_HOST_PROTO_H
#define PFK_SESSION_HOST_PROTO_H

#include "core/base/log.h"
#include "core/wire/control.h"

#define PFK_BITRATE_MIN_KBPS 500
#define PFK_BITRATE_MAX_KBPS 8000000
#define PFK_BITRATE_DEFAULT_KBPS 20000

struct pfk_host_proto;

struct pfk_host_proto_callbacks {
    /** Bytes for the control stream; borrowed for the call. */
    void (*send)(void *opaque, const uint8_t *bytes, size_t n);
    /** The connection must be closed; the last callback. */
    void (*close)(void *opaque, uint64_t code, const char *reason);
    /** A Hello of our version with a legal mode. Answer with pfk_host_proto_welcome(), now or
     * later. */
    void (*on_hello)(void *opaque, const struct pfk_hello *hello);
    /** The client is ready: wait for its punch, then send. */
    void (*on_start)(void *opaque, uint16_t client_port);
    /** The next picture must be a key frame. At most one call each 750 ms; none is forgotten. */
    void (*on_keyframe)(void *opaque);
    void (*on_loss)(void *opaque, uint32_t ppm);
    /** Already clamped and already answered. */
    void (*on_bitrate)(void *opaque, uint32_t kbps);
};

struct pfk_host_proto_config {
    struct pfk_host_proto_callbacks callbacks;
    void *opaque;
    uint32_t default_bitrate_kbps; // what 0 in Hello and SetBitrate means; 0 = 20000
    uint64_t now_ns;               // monotonic: when the connection opened
    struct pfk_log log;            // dropped messages, at debug level
};

/** Free with pfk_host_proto_destroy(). 0 or PFK_E_NOMEM. */
int pfk_host_proto_create(struct pfk_host_proto **out, const struct pfk_host_proto_config *cfg);
void pfk_host_proto_destroy(struct pfk_host_proto *p);

/**
 * Bytes of the control stream.
 * @now_ns   monotonic, for deadlines
 * @wall_ns  wall clock of arrival, for clock echoes
 */
void pfk_host_proto_receive(struct pfk_host_proto *p, const uint8_t *bytes, size_t n,
                            uint64_t now_ns, uint64_t wall_ns);

/** Agree to the Hello. Start must follow within 10 s. */
void pfk_host_proto_welcome(struct pfk_host_proto *p, const struct pfk_welcome *welcome,
                            uint64_t now_ns);

/** Act on what is due; returns when to call again (UINT64_MAX = not before the next message). */
uint64_t pfk_host_proto_poll(struct pfk_host_proto *p, uint64_t now_ns);

/** The bitrate to use for a wish: 0 is the default, the rest is clamped. */
uint32_t pfk_bitrate_clamp(uint32_t wish_kbps, uint32_t default_kbps);

#endif
