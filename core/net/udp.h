// SPDX-License-Identifier: MIT OR Apache-2.0
// The data plane's UDP socket: batches with sendmmsg/recvmmsg and GSO/GRO where the kernel has
// them, a plain sendto/recvfrom path beside it behind the same calls.
#ifndef PFK_NET_UDP_H
#define PFK_NET_UDP_H

#include "core/base/log.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Send and receive buffers asked for; `packaging/99-punktfunk.conf` raises the kernel's limit. */
#define PFK_UDP_BUFFER_BYTES (32u << 20)
#define PFK_UDP_MAX_DATAGRAM 2048

struct pfk_udp_config {
    struct sockaddr_storage bind; // port 0 = any
    bool plain;                   // force the portable path
    int buffer_bytes;             // send and receive buffer to ask for; 0 = PFK_UDP_BUFFER_BYTES
    struct pfk_log log;           // one warning when the kernel grants smaller buffers
};

struct pfk_udp_stats {
    uint64_t sent, send_dropped; // datagrams the kernel took; refused (EAGAIN, ENOBUFS, ...)
    uint64_t sent_bytes;
    uint64_t received, recv_dropped; // handed over; longer than PFK_UDP_MAX_DATAGRAM
    uint64_t send_calls, recv_calls;
};

/** One received datagram; `bytes` points into the socket's memory until the next receive call. */
struct pfk_udp_datagram {
    uint8_t *bytes;
    size_t n_bytes;
    const struct sockaddr_storage *from;
};

struct pfk_udp;

/** 0; PFK_E_IO (logged with cause and remedy); PFK_E_BUSY (port in use, logged); PFK_E_NOMEM. */
int pfk_udp_open(struct pfk_udp **out, const struct pfk_udp_config *cfg);
void pfk_udp_close(struct pfk_udp *u);

int pfk_udp_fd(const struct pfk_udp *u);
uint16_t pfk_udp_port(const struct pfk_udp *u);

/** Which path is in use, for logs: "gso", "mmsg" or "plain". May fall from "gso" to "mmsg". Any
 * thread. */
const char *pfk_udp_path(const struct pfk_udp *u);

/**
 * Fix the peer: from now on only its datagrams arrive and sends need no address. ECONNREFUSED on
 * such a socket is never fatal (reference: section 1) and is swallowed here.
 */
int pfk_udp_connect(struct pfk_udp *u, const struct sockaddr_storage *peer);

/**
 * Send n equal datagrams that lie back to back. Never blocks; what the kernel refuses is counted as
 * send_dropped and not tried again. Returns how many the kernel took (0 to n). Send thread only.
 * Above the path's MTU they leave as fragments, without offload from the first refusal on.
 * @to  destination, or NULL on a connected socket
 */
unsigned pfk_udp_send(struct pfk_udp *u, const struct sockaddr_storage *to, const uint8_t *base,
                      size_t datagram_bytes, unsigned n);

/**
 * Receive one batch of what is there (GRO trains are split, at most 1024 datagrams), waiting up to
 * timeout_ms (0 = do not wait, -1 = for ever) for the first. Returns their number, 0 on time-out,
 * after pfk_udp_wake() or a signal, or when only too long datagrams came; PFK_E_IO when the socket
 * is broken. Datagrams above PFK_UDP_MAX_DATAGRAM bytes are dropped and counted. Receive thread
 * only.
 */
int pfk_udp_recv(struct pfk_udp *u, int timeout_ms, const struct pfk_udp_datagram **out);

/** Make a pfk_udp_recv() that waits return 0. Any thread. */
void pfk_udp_wake(struct pfk_udp *u);

/** Snapshot of the counters; any thread. */
void pfk_udp_get_stats(const struct pfk_udp *u, struct pfk_udp_stats *out);

/** Do both name the same IP address (IPv4-mapped = IPv4), ports aside? */
bool pfk_same_ip(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/** Size of the address within its storage, for the socket calls. */
socklen_t pfk_addr_bytes(const struct sockaddr_storage *a);

/** The port in host byte order. */
uint16_t pfk_addr_port(const struct sockaddr_storage *a);
void pfk_addr_set_port(struct sockaddr_storage *a, uint16_t port);

/** "192.0.2.1:9777" or "[2001:db8::1]:9777"; @text has at least 64 bytes and is returned. */
char *pfk_addr_text(const struct sockaddr_storage *a, char *text);

#endif
