// SPDX-License-Identifier: MIT OR Apache-2.0
// Linux: sendmmsg() and recvmmsg(), with segmentation offload (UDP_SEGMENT, UDP_GRO) where the
// kernel has it, so that one trip through its stack carries up to 64 datagrams.
#ifdef __linux__
#include "core/net/udp_impl.h"

#include "core/base/status.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    MAX_SEGMENTS = 64,         // the kernel's limit of one message
    MAX_MESSAGE_BYTES = 65507, // an IPv4 datagram's payload
    SEND_MESSAGES = 32,
    RECV_MESSAGES = 16,
    RECV_BYTES = 65536
};

_Static_assert(RECV_MESSAGES *MAX_SEGMENTS <= PFK_UDP_MAX_BATCH, "every train fits the batch");

struct mmsg {
    atomic_bool gso; // the send thread gives it up for good once kernel or device refuse
    uint8_t *bytes;  // RECV_MESSAGES of RECV_BYTES
    struct sockaddr_storage from[RECV_MESSAGES];
    struct mmsghdr in[RECV_MESSAGES];
    struct iovec in_iov[RECV_MESSAGES];
    union {
        struct cmsghdr align;
        uint8_t room[CMSG_SPACE(sizeof(int))];
    } in_control[RECV_MESSAGES];
};

static int mmsg_open(struct pfk_udp *u)
{
    struct mmsg *s = calloc(1, sizeof(*s));
    if (!s) {
        return PFK_E_NOMEM;
    }
    u->path_state = s;
    s->bytes = malloc((size_t)RECV_MESSAGES * RECV_BYTES);
    if (!s->bytes) {
        return PFK_E_NOMEM;
    }
    int value = 0;
    socklen_t n = sizeof(value);
    atomic_init(&s->gso, getsockopt(u->fd, IPPROTO_UDP, UDP_SEGMENT, &value, &n) == 0);
    int on = 1;
    (void)setsockopt(u->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)); // without it trains are of one
    return PFK_OK;
}

static void mmsg_close(struct pfk_udp *u)
{
    struct mmsg *s = u->path_state;
    if (s) {
        free(s->bytes);
        free(s);
    }
}

static const char *mmsg_name(const struct pfk_udp *u)
{
    const struct mmsg *s = u->path_state;
    return atomic_load_explicit(&s->gso, memory_order_relaxed) ? "gso" : "mmsg";
}

// One sendmmsg() call's worth of messages, and which datagrams each carries.
struct train {
    struct mmsghdr messages[SEND_MESSAGES];
    struct iovec iov[SEND_MESSAGES];
    union {
        struct cmsghdr align;
        uint8_t room[CMSG_SPACE(sizeof(uint16_t))];
    } control[SEND_MESSAGES];
    unsigned datagrams[SEND_MESSAGES];
    unsigned n;
};

static void train_add(struct train *t, const struct sockaddr_storage *to, const uint8_t *base,
                      size_t datagram_bytes, unsigned n)
{
    unsigned i = t->n++;
    struct msghdr *m = &t->messages[i].msg_hdr;
    t->iov[i] = (struct iovec){(void *)(uintptr_t)base, n * datagram_bytes};
    t->datagrams[i] = n;
    *m = (struct msghdr){.msg_name = (void *)(uintptr_t)to,
                         .msg_namelen = to ? pfk_addr_bytes(to) : 0,
                         .msg_iov = &t->iov[i],
                         .msg_iovlen = 1};
    if (n > 1) {
        m->msg_control = &t->control[i];
        m->msg_controllen = sizeof(t->control[i]);
        struct cmsghdr *c = CMSG_FIRSTHDR(m);
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t segment = (uint16_t)datagram_bytes;
        memcpy(CMSG_DATA(c), &segment, sizeof(segment));
    }
}

static void train_fill(struct train *t, const struct sockaddr_storage *to, const uint8_t *base,
                       size_t datagram_bytes, unsigned n, bool gso)
{
    unsigned per_message = gso ? (unsigned)(MAX_MESSAGE_BYTES / datagram_bytes) : 1;
    per_message = per_message > MAX_SEGMENTS ? MAX_SEGMENTS : per_message;
    per_message = per_message ? per_message : 1;
    unsigned filled = 0;
    t->n = 0;
    while (filled < n && t->n < SEND_MESSAGES) {
        unsigned part = n - filled < per_message ? n - filled : per_message;
        train_add(t, to, base + filled * datagram_bytes, datagram_bytes, part);
        filled += part;
    }
}

// EIO: the route transforms packets (IPsec). EINVAL, or EMSGSIZE since Linux 6.14: a segment is
// longer than the route's MTU; without offload it still goes, in fragments.
static bool refuses_gso(int err)
{
    return err == EIO || err == EINVAL || err == EMSGSIZE || err == EOPNOTSUPP ||
           err == ENOPROTOOPT;
}

static unsigned mmsg_send(struct pfk_udp *u, const struct sockaddr_storage *to, const uint8_t *base,
                          size_t datagram_bytes, unsigned n)
{
    struct mmsg *s = u->path_state;
    struct train t;
    unsigned at = 0, sent = 0, retries = 0;
    bool gso = datagram_bytes > 0 && atomic_load_explicit(&s->gso, memory_order_relaxed);
    while (at < n) {
        train_fill(&t, to, base + at * datagram_bytes, datagram_bytes, n - at, gso);
        int rc = sendmmsg(u->fd, t.messages, t.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        pfk_udp_count(&u->send_calls, 1);
        if (rc > 0) {
            for (int i = 0; i < rc; i++) {
                at += t.datagrams[i];
                sent += t.datagrams[i];
            }
            retries = 0;
        } else if (pfk_udp_error_is_transient(errno) && retries < 2) {
            retries++; // an old ICMP error, now taken; the same datagrams go again
        } else if (t.datagrams[0] > 1 && refuses_gso(errno)) {
            gso = false;
            atomic_store_explicit(&s->gso, false, memory_order_relaxed);
        } else if (pfk_udp_error_is_of_one_datagram(errno)) {
            at += t.datagrams[0]; // this one cannot go; the next may
            retries = 0;
        } else {
            break; // EAGAIN, ENOBUFS: the buffer is full, the rest is dropped and counted
        }
    }
    return sent;
}

static size_t segment_bytes(struct msghdr *m, size_t received)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof(size));
            return size > 0 ? (size_t)size : received;
        }
    }
    return received;
}

static int split(struct pfk_udp *u, int n_messages)
{
    struct mmsg *s = u->path_state;
    int n = 0;
    for (int i = 0; i < n_messages; i++) {
        size_t left = s->in[i].msg_len;
        uint8_t *p = s->bytes + (size_t)i * RECV_BYTES;
        size_t segment = segment_bytes(&s->in[i].msg_hdr, left);
        if (s->in[i].msg_hdr.msg_flags & MSG_TRUNC) {
            pfk_udp_count(&u->recv_dropped, 1);
            continue;
        }
        do {
            size_t part = left < segment ? left : segment;
            if (part <= PFK_UDP_MAX_DATAGRAM && n < PFK_UDP_MAX_BATCH) {
                u->batch[n++] = (struct pfk_udp_datagram){p, part, &s->from[i]};
            } else {
                pfk_udp_count(&u->recv_dropped, 1);
            }
            p += part;
            left -= part;
        } while (left > 0);
    }
    return n;
}

static int mmsg_recv(struct pfk_udp *u)
{
    struct mmsg *s = u->path_state;
    for (int i = 0; i < RECV_MESSAGES; i++) {
        s->in_iov[i] = (struct iovec){s->bytes + (size_t)i * RECV_BYTES, RECV_BYTES};
        s->in[i].msg_hdr = (struct msghdr){.msg_name = &s->from[i],
                                           .msg_namelen = sizeof(s->from[i]),
                                           .msg_iov = &s->in_iov[i],
                                           .msg_iovlen = 1,
                                           .msg_control = &s->in_control[i],
                                           .msg_controllen = sizeof(s->in_control[i])};
    }
    for (int attempt = 0; attempt < 4; attempt++) { // the first may only hear an old ICMP
        int rc = recvmmsg(u->fd, s->in, RECV_MESSAGES, MSG_DONTWAIT, NULL);
        pfk_udp_count(&u->recv_calls, 1);
        if (rc > 0) {
            return split(u, rc);
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return PFK_E_AGAIN;
        }
        if (!pfk_udp_error_is_transient(errno)) {
            return PFK_E_IO;
        }
    }
    return PFK_E_AGAIN;
}

const struct pfk_udp_path pfk_udp_path_mmsg = {
    .open = mmsg_open,
    .close = mmsg_close,
    .send = mmsg_send,
    .recv = mmsg_recv,
    .name = mmsg_name,
};
#endif
