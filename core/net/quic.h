// SPDX-License-Identifier: MIT OR Apache-2.0
// QUIC v1 endpoint for the control connection: one bidirectional stream and datagrams (reference:
// punktfunk/1 section 2). ngtcp2 underneath; one thread owns an endpoint and everything it calls
// back.
#ifndef PFK_NET_QUIC_H
#define PFK_NET_QUIC_H

#include "core/base/log.h"
#include "core/net/identity.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PFK_QUIC_ALPN "pkf1"
#define PFK_QUIC_MAX_DATAGRAM 1200

struct pfk_quic;      // an endpoint: one UDP socket, any number of connections
struct pfk_quic_conn; // valid from on_open until on_close has returned

enum pfk_quic_close_kind {
    PFK_QUIC_CLOSED_BY_PEER,  // `code` and `reason` are the peer's application close
    PFK_QUIC_CLOSED_BY_US,    // pfk_quic_close() was called
    PFK_QUIC_CLOSED_IDLE,     // nothing heard within the idle time-out
    PFK_QUIC_CLOSED_TLS,      // handshake failed: ALPN, fingerprint, CertificateVerify
    PFK_QUIC_CLOSED_TRANSPORT // any other transport error
};

/** All called on the owner's thread, from pfk_quic_step(). Optional ones may be NULL. */
struct pfk_quic_callbacks {
    /** Handshake done (on a client: the server's certificate is checked). */
    void (*on_open)(void *opaque, struct pfk_quic_conn *c);
    /** Bytes of the control stream, in order: the first bidirectional stream of the client. */
    void (*on_stream)(void *opaque, struct pfk_quic_conn *c, const uint8_t *bytes, size_t n);
    void (*on_datagram)(void *opaque, struct pfk_quic_conn *c, const uint8_t *bytes, size_t n);
    /** Last call for c. On a client also for one that never opened. `reason` is printable ASCII. */
    void (*on_close)(void *opaque, struct pfk_quic_conn *c, enum pfk_quic_close_kind kind,
                     uint64_t code, const char *reason);
    /** Something was posted with pfk_quic_wake(); optional. */
    void (*on_wake)(void *opaque);
};

struct pfk_quic_config {
    struct sockaddr_storage bind;        // port 0 = any
    const struct pfk_identity *identity; // borrowed, outlives the endpoint
    uint32_t idle_timeout_ms;            // 0 = 8000; keep-alive at min(idle / 2, 4 s)
    unsigned max_connections;            // host: further ones are refused; 0 = 64
    unsigned max_handshaking_per_ip;     // host: unfinished handshakes of one address; 0 = 8
    struct pfk_quic_callbacks callbacks;
    void *opaque;
    struct pfk_log log;
};

/** Server endpoint. 0; PFK_E_BUSY (port taken; logged with remedy); PFK_E_IO; PFK_E_NOMEM. */
int pfk_quic_listen(struct pfk_quic **out, const struct pfk_quic_config *cfg);

/**
 * Client endpoint with one connection to `server`.
 * @pin  32 bytes: abort the handshake unless the server's fingerprint equals it; NULL = accept any
 */
int pfk_quic_connect(struct pfk_quic **out, const struct pfk_quic_config *cfg,
                     const struct sockaddr_storage *server, const uint8_t *pin);

/** Closes what is open with code 0, sent once, and frees all; on_close is not called. Takes NULL.
 */
void pfk_quic_destroy(struct pfk_quic *q);

/**
 * Wait up to timeout_ms (-1 = until something happens) and handle what came: packets, timers,
 * wakes. 0; PFK_E_IO when the socket is broken.
 */
int pfk_quic_step(struct pfk_quic *q, int timeout_ms);

/** Make pfk_quic_step() call on_wake soon. Any thread. */
void pfk_quic_wake(struct pfk_quic *q);

uint16_t pfk_quic_port(const struct pfk_quic *q);

/**
 * Client: the server's machine answered that nobody listens there, and no packet came since. Anyone
 * on the way can forge that, so it says nothing about a connection that has begun.
 */
bool pfk_quic_refused(const struct pfk_quic *q);

/** Owner's pointer of a connection; NULL at first. */
void pfk_quic_conn_set_user(struct pfk_quic_conn *c, void *user);
void *pfk_quic_conn_user(const struct pfk_quic_conn *c);

/** Peer's address as of now (it may migrate). */
const struct sockaddr_storage *pfk_quic_conn_peer(const struct pfk_quic_conn *c);

/** The address of ours that the peer talks to. */
const struct sockaddr_storage *pfk_quic_conn_local(const struct pfk_quic_conn *c);

/** Peer's certificate fingerprint, or NULL when it showed none. */
const uint8_t *pfk_quic_conn_fingerprint(const struct pfk_quic_conn *c);

/**
 * Append to the control stream (a client opens it with the first call). Copied; kept until
 * acknowledged. 0; PFK_E_AGAIN (more than 256 KiB unsent: the peer does not read; close it);
 * PFK_E_CLOSED; PFK_E_NOMEM.
 */
int pfk_quic_send(struct pfk_quic_conn *c, const void *bytes, size_t n);

/**
 * Queue a datagram, at most PFK_QUIC_MAX_DATAGRAM bytes and what one packet of the path carries
 * (1156 bytes on every path). Copied; beyond 4 KiB queued the oldest goes. 0; PFK_E_SIZE;
 * PFK_E_UNSUPPORTED (peer takes none that large); PFK_E_CLOSED.
 */
int pfk_quic_send_datagram(struct pfk_quic_conn *c, const void *bytes, size_t n);

/**
 * Close with an application code and reason (printable ASCII, cut at 159 bytes). Sent at once,
 * after the stream bytes that are queued; those that only pacing holds back delay it by 300 ms at
 * most, bytes the peer does not read by nothing. on_close follows from a later step.
 */
void pfk_quic_close(struct pfk_quic_conn *c, uint64_t code, const char *reason);

/**
 * Host: stop reading this connection's stream (flow control then holds the peer), or go on. Used
 * for connections beyond the session limit, which are accepted and wait unread (reference: section
 * 1).
 */
void pfk_quic_hold(struct pfk_quic_conn *c, bool hold);

#endif
