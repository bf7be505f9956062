// SPDX-License-Identifier: MIT OR Apache-2.0
// The endpoint: one UDP socket, whose packet is whose, timers and wake-ups.
#include "core/net/quic_impl.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/udp.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { DEFAULT_MAX_CONNS = 64, DEFAULT_MAX_HANDSHAKING = 8, READ_BATCH = 64 };

static socklen_t addr_bytes(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static uint16_t port_of(const struct sockaddr_storage *a)
{
    return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
                                          : ((const struct sockaddr_in *)a)->sin_port);
}

// --- the socket ---

static void set_options(int fd, int family)
{
    int on = 1, off = 0;
    (void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
#ifdef IP_PMTUDISC_PROBE
    int probe = IP_PMTUDISC_PROBE; // ngtcp2 probes the path itself: packets must not be cut up
    (void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe));
#endif
    if (family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
#ifdef IPV6_PMTUDISC_PROBE
        int probe6 = IPV6_PMTUDISC_PROBE;
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof(probe6));
#endif
    }
}

static int open_socket(struct pfk_quic *q)
{
    const struct sockaddr_storage *bind_to = &q->cfg.bind;
    char text[64];
    q->fd = socket(bind_to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (q->fd < 0) {
        pfk_logf(&q->cfg.log, PFK_LOG_ERROR, "cannot open a UDP socket: %s", strerror(errno));
        return PFK_E_IO;
    }
    set_options(q->fd, bind_to->ss_family);
    if (bind(q->fd, (const struct sockaddr *)bind_to, addr_bytes(bind_to)) != 0) {
        int err = errno;
        pfk_logf(&q->cfg.log, PFK_LOG_ERROR, "cannot listen on UDP %s: %s; %s",
                 pfk_addr_text(bind_to, text), strerror(err),
                 err == EADDRINUSE ? "another program has the port: stop it or choose another port"
                                   : "choose an address of this machine");
        return err == EADDRINUSE ? PFK_E_BUSY : PFK_E_IO;
    }
    return PFK_OK;
}

// The address packets for us carry: of the bound socket, or what the kernel says of each packet.
static int read_local_address(struct pfk_quic *q)
{
    socklen_t n = sizeof(q->local);
    if (getsockname(q->fd, (struct sockaddr *)&q->local, &n) != 0) {
        return PFK_E_IO;
    }
    q->port = port_of(&q->local);
    return PFK_OK;
}

union control {
    struct cmsghdr align;
    uint8_t room[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void take_destination(struct msghdr *m, struct sockaddr_storage *to)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO && to->ss_family == AF_INET) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            ((struct sockaddr_in *)to)->sin_addr = info.ipi_addr;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
                   to->ss_family == AF_INET6) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            ((struct sockaddr_in6 *)to)->sin6_addr = info.ipi6_addr;
        }
    }
}

// 1 with a packet, 0 when there is none, negative when the socket is broken.
static int receive(struct pfk_quic *q, struct quic_packet_info *p)
{
    union control control;
    struct iovec iov = {q->read_buffer, sizeof(q->read_buffer)};
    struct msghdr m = {.msg_name = &p->from,
                       .msg_namelen = sizeof(p->from),
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(q->fd, &m, MSG_DONTWAIT);
    if (n < 0) {
        // ICMP's word on an earlier packet is never the end: the idle time-out decides.
        return errno == EBADF || errno == ENOTSOCK ? PFK_E_IO : 0;
    }
    p->to = q->local;
    take_destination(&m, &p->to);
    p->bytes = q->read_buffer;
    p->n_bytes = (size_t)n;
    return 1;
}

void quic_send_packet(struct pfk_quic *q, const ngtcp2_path *path, const uint8_t *bytes, size_t n)
{
    union control control;
    memset(&control, 0, sizeof(control));
    struct iovec iov = {(void *)(uintptr_t)bytes, n};
    struct msghdr m = {.msg_name = path->remote.addr,
                       .msg_namelen = path->remote.addrlen,
                       .msg_iov = &iov,
                       .msg_iovlen = 1};
    if (q->server) { // answer from the address that was dialled
        m.msg_control = &control;
        struct cmsghdr *c = &control.align;
        if (path->local.addr->sa_family == AF_INET) {
            struct in_pktinfo info = {
                .ipi_spec_dst =
                    ((const struct sockaddr_in *)(const void *)path->local.addr)->sin_addr};
            m.msg_controllen = CMSG_SPACE(sizeof(info));
            c->cmsg_level = IPPROTO_IP;
            c->cmsg_type = IP_PKTINFO;
            c->cmsg_len = CMSG_LEN(sizeof(info));
            memcpy(CMSG_DATA(c), &info, sizeof(info));
        } else {
            struct in6_pktinfo info = {
                .ipi6_addr =
                    ((const struct sockaddr_in6 *)(const void *)path->local.addr)->sin6_addr};
            m.msg_controllen = CMSG_SPACE(sizeof(info));
            c->cmsg_level = IPPROTO_IPV6;
            c->cmsg_type = IPV6_PKTINFO;
            c->cmsg_len = CMSG_LEN(sizeof(info));
            memcpy(CMSG_DATA(c), &info, sizeof(info));
        }
    }
    // A refused packet is a lost packet: QUIC repeats what matters.
    for (int attempt = 0; attempt < 2; attempt++) {
        if (sendmsg(q->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ECONNREFUSED) {
            break;
        }
    }
}

// --- whose packet ---

static struct pfk_quic_conn *find(struct pfk_quic *q, const uint8_t *cid, size_t n)
{
    for (struct pfk_quic_conn *c = q->conns; c; c = c->next) {
        for (unsigned i = 0; i < c->n_cids; i++) {
            if (c->cids[i].datalen == n && memcmp(c->cids[i].data, cid, n) == 0) {
                return c;
            }
        }
    }
    return NULL;
}

static void negotiate_version(struct pfk_quic *q, const ngtcp2_version_cid *vc,
                              const struct quic_packet_info *p)
{
    static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
    uint8_t packet[256], random = 0;
    (void)gnutls_rnd(GNUTLS_RND_NONCE, &random, 1);
    ngtcp2_ssize n = ngtcp2_pkt_write_version_negotiation(
        packet, sizeof(packet), random, vc->scid, vc->scidlen, vc->dcid, vc->dcidlen, versions, 1);
    if (n > 0 && p->n_bytes >= NGTCP2_MAX_UDP_PAYLOAD_SIZE) { // never answer more than was sent
        struct sockaddr_storage to = p->to, from = p->from;
        const ngtcp2_path path = {.local = {(ngtcp2_sockaddr *)&to, addr_bytes(&to)},
                                  .remote = {(ngtcp2_sockaddr *)&from, addr_bytes(&from)}};
        quic_send_packet(q, &path, packet, (size_t)n);
    }
}

// Strangers cost bounded memory: a new one beyond the limits takes the place of the oldest that has
// not finished its handshake. False when nobody can make room.
static bool make_room(struct pfk_quic *q, const struct sockaddr_storage *from)
{
    unsigned limit = q->cfg.max_connections ? q->cfg.max_connections : DEFAULT_MAX_CONNS;
    unsigned ip_limit =
        q->cfg.max_handshaking_per_ip ? q->cfg.max_handshaking_per_ip : DEFAULT_MAX_HANDSHAKING;
    struct pfk_quic_conn *oldest = NULL, *oldest_of_ip = NULL;
    unsigned n_of_ip = 0;
    for (struct pfk_quic_conn *c = q->conns; c; c = c->next) {
        if (c->open || c->phase != QUIC_ALIVE) {
            continue;
        }
        if (!oldest || c->opened_ns < oldest->opened_ns) {
            oldest = c;
        }
        if (pfk_same_ip(&c->peer, from)) {
            n_of_ip++;
            if (!oldest_of_ip || c->opened_ns < oldest_of_ip->opened_ns) {
                oldest_of_ip = c;
            }
        }
    }
    struct pfk_quic_conn *victim = n_of_ip >= ip_limit   ? oldest_of_ip
                                   : q->n_conns >= limit ? oldest
                                                         : NULL;
    if (victim) {
        quic_conn_end(victim, PFK_QUIC_CLOSED_TRANSPORT, 0, "displaced", 9);
        return true; // freed by this step's sweep
    }
    return q->n_conns < limit;
}

static void dispatch(struct pfk_quic *q, const struct quic_packet_info *p)
{
    if (p->n_bytes == 0) {
        return; // ngtcp2 asserts that there is something
    }
    ngtcp2_version_cid vc;
    int rv = ngtcp2_pkt_decode_version_cid(&vc, p->bytes, p->n_bytes, QUIC_CID_BYTES);
    if (rv == NGTCP2_ERR_VERSION_NEGOTIATION && q->server) {
        negotiate_version(q, &vc, p);
        return;
    }
    if (rv != 0) {
        return;
    }
    struct pfk_quic_conn *c = find(q, vc.dcid, vc.dcidlen);
    if (!c && q->server) {
        ngtcp2_pkt_hd hd;
        if (ngtcp2_accept(&hd, p->bytes, p->n_bytes) != 0 || !make_room(q, &p->from) ||
            quic_conn_accept(q, &hd, p, &c) != PFK_OK) {
            return;
        }
    }
    if (c) {
        quic_conn_read(c, p);
        quic_conn_flush(c); // answers leave before the next packet is looked at
    }
}

// --- one turn ---

// Tells owners what has ended and frees what nobody needs any more.
static void sweep(struct pfk_quic *q, uint64_t now_ns)
{
    for (struct pfk_quic_conn **at = &q->conns; *at;) {
        struct pfk_quic_conn *c = *at;
        if (c->phase == QUIC_ENDED) {
            bool told_open = c->open || !q->server; // a host never hears of those that did not open
            c->phase = QUIC_LINGER;
            if (told_open && q->cfg.callbacks.on_close) {
                q->cfg.callbacks.on_close(q->cfg.opaque, c, c->end_kind, c->end_code,
                                          c->end_reason);
            }
        }
        if (c->phase == QUIC_LINGER && now_ns >= c->linger_until_ns) {
            *at = c->next;
            q->n_conns--;
            quic_conn_free(c);
        } else {
            at = &c->next;
        }
    }
}

static void flush_all(struct pfk_quic *q)
{
    for (struct pfk_quic_conn *c = q->conns; c; c = c->next) {
        quic_conn_flush(c);
    }
}

static int wait(struct pfk_quic *q, int timeout_ms)
{
    uint64_t now = pfk_clock_monotonic_ns();
    uint64_t until = timeout_ms < 0 ? UINT64_MAX : now + (uint64_t)timeout_ms * 1000000u;
    for (struct pfk_quic_conn *c = q->conns; c; c = c->next) {
        uint64_t due = quic_conn_deadline_ns(c);
        until = due < until ? due : until;
    }
    uint64_t left = until > now ? until - now : 0;
    struct timespec ts = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
    struct pollfd fds[2] = {{q->fd, POLLIN, 0}, {q->wake_fd, POLLIN, 0}};
    int rc = ppoll(fds, 2, until == UINT64_MAX ? NULL : &ts, NULL);
    if (rc < 0 && errno != EINTR) {
        return PFK_E_IO;
    }
    if (rc > 0 && fds[1].revents) {
        uint64_t count;
        ssize_t n = read(q->wake_fd, &count, sizeof(count));
        (void)n;
        if (q->cfg.callbacks.on_wake) {
            q->cfg.callbacks.on_wake(q->cfg.opaque);
        }
    }
    return PFK_OK;
}

int pfk_quic_step(struct pfk_quic *q, int timeout_ms)
{
    flush_all(q);
    int err = wait(q, timeout_ms);
    if (err) {
        return err;
    }
    struct quic_packet_info p;
    int rc = 0;
    for (int i = 0; i < READ_BATCH && (rc = receive(q, &p)) > 0; i++) {
        dispatch(q, &p);
        if (q->n_conns > DEFAULT_MAX_CONNS / 2) {
            sweep(q, pfk_clock_monotonic_ns()); // under a flood the displaced go at once
        }
    }
    uint64_t now = pfk_clock_monotonic_ns();
    for (struct pfk_quic_conn *c = q->conns; c; c = c->next) {
        quic_conn_expire(c, now);
    }
    flush_all(q);
    sweep(q, now);
    return rc < 0 ? PFK_E_IO : PFK_OK;
}

void pfk_quic_wake(struct pfk_quic *q)
{
    const uint64_t one = 1;
    ssize_t n = write(q->wake_fd, &one, sizeof(one));
    (void)n;
}

uint16_t pfk_quic_port(const struct pfk_quic *q)
{
    return q->port;
}

// --- creation ---

static int endpoint_create(struct pfk_quic **out, const struct pfk_quic_config *cfg, bool server)
{
    *out = NULL;
    struct pfk_quic *q = calloc(1, sizeof(*q));
    if (!q) {
        return PFK_E_NOMEM;
    }
    q->cfg = *cfg;
    q->server = server;
    q->fd = -1;
    q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = q->wake_fd < 0 || gnutls_rnd(GNUTLS_RND_KEY, q->secret, sizeof(q->secret)) < 0 ||
                      gnutls_certificate_allocate_credentials(&q->no_certificate) < 0
                  ? PFK_E_NOMEM
                  : open_socket(q);
    if (err) {
        pfk_quic_destroy(q);
        return err;
    }
    *out = q;
    return PFK_OK;
}

int pfk_quic_listen(struct pfk_quic **out, const struct pfk_quic_config *cfg)
{
    int err = endpoint_create(out, cfg, true);
    if (!err) {
        err = read_local_address(*out);
        if (err) {
            pfk_quic_destroy(*out);
            *out = NULL;
        }
    }
    return err;
}

int pfk_quic_connect(struct pfk_quic **out, const struct pfk_quic_config *cfg,
                     const struct sockaddr_storage *server, const uint8_t *pin)
{
    int err = endpoint_create(out, cfg, false);
    if (err) {
        return err;
    }
    struct pfk_quic *q = *out;
    if (connect(q->fd, (const struct sockaddr *)server, addr_bytes(server)) != 0) {
        char text[64];
        pfk_logf(&cfg->log, PFK_LOG_ERROR, "no way to %s: %s", pfk_addr_text(server, text),
                 strerror(errno));
        err = PFK_E_IO;
    }
    if (!err) {
        err = read_local_address(q);
    }
    if (!err) {
        err = quic_conn_dial(q, server, pin);
    }
    if (err) {
        pfk_quic_destroy(q);
        *out = NULL;
    }
    return err;
}

void pfk_quic_destroy(struct pfk_quic *q)
{
    if (!q) {
        return;
    }
    while (q->conns) {
        struct pfk_quic_conn *c = q->conns;
        q->conns = c->next;
        pfk_quic_close(c, 0, "");
        quic_conn_flush(c);
        quic_conn_free(c);
    }
    if (q->no_certificate) {
        gnutls_certificate_free_credentials(q->no_certificate);
    }
    if (q->fd >= 0) {
        close(q->fd);
    }
    if (q->wake_fd >= 0) {
        close(q->wake_fd);
    }
    gnutls_memset(q->secret, 0, sizeof(q->secret));
    free(q);
}
