// SPDX-License-Identifier: MIT OR Apache-2.0
// The seam between udp.c and its two paths: Linux batches and plain POSIX calls.
#ifndef PFK_NET_UDP_IMPL_H
#define PFK_NET_UDP_IMPL_H

#include "core/net/udp.h"

#include <stdatomic.h>

enum { PFK_UDP_MAX_BATCH = 1024 };

struct pfk_udp_path {
    /** Sets the socket up and takes memory. 0, PFK_E_NOMEM, or PFK_E_UNSUPPORTED: use the next
     * path. */
    int (*open)(struct pfk_udp *u);
    void (*close)(struct pfk_udp *u);
    /** As pfk_udp_send(); counts calls, not datagrams. */
    unsigned (*send)(struct pfk_udp *u, const struct sockaddr_storage *to, const uint8_t *base,
                     size_t datagram_bytes, unsigned n);
    /** Fills u->batch without waiting: their number, PFK_E_AGAIN, or PFK_E_IO. */
    int (*recv)(struct pfk_udp *u);
    const char *(*name)(const struct pfk_udp *u);
};

extern const struct pfk_udp_path pfk_udp_path_mmsg; // Linux
extern const struct pfk_udp_path pfk_udp_path_plain;

struct pfk_udp {
    int fd;
    int wake_read, wake_write; // a pipe: the one wake-up that every system has
    uint16_t port;
    const struct pfk_udp_path *path;
    void *path_state;

    // Receive thread.
    struct pfk_udp_datagram batch[PFK_UDP_MAX_BATCH];

    // Any thread reads.
    _Atomic uint64_t sent, send_dropped, sent_bytes, received, recv_dropped, send_calls, recv_calls;
};

static inline void pfk_udp_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/** Errors that say something about the path or the peer, never about this socket. */
bool pfk_udp_error_is_transient(int err);

/** Does the error stand for this one datagram, so that the next may go? */
bool pfk_udp_error_is_of_one_datagram(int err);

#endif
