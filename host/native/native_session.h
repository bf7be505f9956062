// SPDX-License-Identifier: MIT OR Apache-2.0
// One client's stream, on its worker thread. The QUIC thread creates it, tells it what the client
// says and is woken when it has something to tell.
#ifndef HOST_NATIVE_NATIVE_SESSION_H
#define HOST_NATIVE_NATIVE_SESSION_H

#include "core/session/host_proto.h"
#include "core/wire/datagram.h"
#include "host/native/native.h"

#include <netinet/in.h>
#include <pthread.h>

struct native_session_config {
    const struct settings *settings;
    struct display *display;       // NULL: synthetic
    pthread_mutex_t *display_lock; // the display serves one thread at a time
    struct pfk_hello hello;
    struct sockaddr_storage peer, local; // of the QUIC connection
    void (*wake)(void *opaque);   // any thread: look at this session soon
    void *wake_opaque;
    struct pfk_log log;
};

enum native_session_state {
    NATIVE_SETTING_UP, // nothing to tell yet
    NATIVE_READY,      // send the Welcome
    NATIVE_STREAMING,
    NATIVE_ENDED, // tell the client; `status` 0 is a normal end
    NATIVE_GONE   // everything is released: free it
};

struct native_session;

int native_session_create(struct native_session **out, const struct native_session_config *cfg);

/** QUIC thread: what it is up to. */
enum native_session_state native_session_state(struct native_session *s);
/** From NATIVE_READY on. */
const struct pfk_welcome *native_session_welcome(const struct native_session *s);
/** From NATIVE_ENDED on: the close code and reason that the client should hear. */
uint64_t native_session_end(const struct native_session *s, const char **reason);

/** QUIC thread: the client has sent Start. */
void native_session_begin(struct native_session *s, uint16_t client_port);
void native_session_request_keyframe(struct native_session *s);
void native_session_report_loss(struct native_session *s, uint32_t ppm);
void native_session_set_bitrate(struct native_session *s, uint32_t kbps);
/** QUIC thread: the next timing record for the client, false when there is none. */
bool native_session_next_timing(struct native_session *s, struct pfk_timing *out);

/** QUIC thread: the client has gone or must go. The state becomes NATIVE_GONE soon. */
void native_session_stop(struct native_session *s);

/** Joins the worker (NATIVE_GONE: at once). NULL is fine. */
void native_session_destroy(struct native_session *s);

#endif
