// SPDX-License-Identifier: MIT OR Apache-2.0
// sendto() and recvfrom(), one datagram a call: for systems without batches, and as their check.
#include "core/net/udp_impl.h"

#include "core/base/status.h"

#include <errno.h>
#include <stdlib.h>

enum {
    PLAIN_BATCH = 64,
    MAX_ATTEMPTS = 2 * PLAIN_BATCH,       // of one receive call, whatever a hostile peer sends
    ROOM_BYTES = PFK_UDP_MAX_DATAGRAM + 1 // one more: shows what is too long
};

struct plain {
    struct sockaddr_storage from[PLAIN_BATCH];
    uint8_t bytes[PLAIN_BATCH][ROOM_BYTES];
};

static int plain_open(struct pfk_udp *u)
{
    u->path_state = malloc(sizeof(struct plain));
    return u->path_state ? PFK_OK : PFK_E_NOMEM;
}

static void plain_close(struct pfk_udp *u)
{
    free(u->path_state);
}

static ssize_t send_one(struct pfk_udp *u, const struct sockaddr_storage *to, const uint8_t *bytes,
                        size_t n_bytes)
{
    ssize_t rc = -1;
    for (int attempt = 0; attempt < 2 && rc < 0; attempt++) { // the first may only hear an old ICMP
        rc = sendto(u->fd, bytes, n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to,
                    to ? pfk_addr_bytes(to) : 0);
        pfk_udp_count(&u->send_calls, 1);
        if (rc < 0 && !pfk_udp_error_is_transient(errno)) {
            break;
        }
    }
    return rc;
}

static unsigned plain_send(struct pfk_udp *u, const struct sockaddr_storage *to,
                           const uint8_t *base, size_t datagram_bytes, unsigned n)
{
    unsigned sent = 0;
    for (unsigned i = 0; i < n; i++) {
        if (send_one(u, to, base + i * datagram_bytes, datagram_bytes) >= 0) {
            sent++;
        } else if (!pfk_udp_error_is_of_one_datagram(errno)) {
            break; // EAGAIN, ENOBUFS: the buffer is full, the rest is dropped and counted
        }
    }
    return sent;
}

static int plain_recv(struct pfk_udp *u)
{
    struct plain *s = u->path_state;
    int n = 0;
    for (int attempt = 0; n < PLAIN_BATCH && attempt < MAX_ATTEMPTS; attempt++) {
        socklen_t from_bytes = sizeof(s->from[n]);
        ssize_t rc = recvfrom(u->fd, s->bytes[n], ROOM_BYTES, MSG_DONTWAIT,
                              (struct sockaddr *)&s->from[n], &from_bytes);
        pfk_udp_count(&u->recv_calls, 1);
        if (rc > PFK_UDP_MAX_DATAGRAM) {
            pfk_udp_count(&u->recv_dropped, 1);
        } else if (rc >= 0) {
            u->batch[n] = (struct pfk_udp_datagram){s->bytes[n], (size_t)rc, &s->from[n]};
            n++;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (!pfk_udp_error_is_transient(errno)) {
            return n > 0 ? n : PFK_E_IO;
        }
    }
    return n > 0 ? n : PFK_E_AGAIN;
}

static const char *plain_name(const struct pfk_udp *u)
{
    return "plain";
}

const struct pfk_udp_path pfk_udp_path_plain = {
    .open = plain_open,
    .close = plain_close,
    .send = plain_send,
    .recv = plain_recv,
    .name = plain_name,
};
