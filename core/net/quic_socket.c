// SPDX-License-Identifier: MIT OR Apache-2.0
// The endpoint's UDP socket: replies leave from the address that was dialled.
#include "core/net/quic_impl.h"

#include "core/base/status.h"
#include "core/net/udp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union control {
    struct cmsghdr align;
    uint8_t room[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

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

int quic_socket_open(struct pfk_quic *q)
{
    const struct sockaddr_storage *bind_to = &q->cfg.bind;
    char text[64];
    q->fd = socket(bind_to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (q->fd < 0) {
        pfk_logf(&q->cfg.log, PFK_LOG_ERROR, "cannot open a UDP socket: %s", strerror(errno));
        return PFK_E_IO;
    }
    set_options(q->fd, bind_to->ss_family);
    if (bind(q->fd, (const struct sockaddr *)bind_to, pfk_addr_bytes(bind_to)) != 0) {
        int err = errno;
        pfk_logf(&q->cfg.log, PFK_LOG_ERROR, "cannot listen on UDP %s: %s; %s",
                 pfk_addr_text(bind_to, text), strerror(err),
                 err == EADDRINUSE ? "another program has the port: stop it or choose another port"
                 : err == EACCES   ? "choose a port above 1023"
                                   : "choose an address of this machine");
        return err == EADDRINUSE ? PFK_E_BUSY : PFK_E_IO;
    }
    return PFK_OK;
}

int quic_socket_connect(struct pfk_quic *q, const struct sockaddr_storage *server)
{
    if (connect(q->fd, (const struct sockaddr *)server, pfk_addr_bytes(server)) != 0) {
        char text[64];
        pfk_logf(&q->cfg.log, PFK_LOG_ERROR, "no way to %s: %s; check the address and the network",
                 pfk_addr_text(server, text), strerror(errno));
        return PFK_E_IO;
    }
    return PFK_OK;
}

int quic_socket_learn_local(struct pfk_quic *q)
{
    socklen_t n = sizeof(q->local);
    if (getsockname(q->fd, (struct sockaddr *)&q->local, &n) != 0) {
        return PFK_E_IO;
    }
    q->port = pfk_addr_port(&q->local);
    return PFK_OK;
}

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

int quic_socket_receive(struct pfk_quic *q, struct quic_packet_info *p)
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
        // ICMP's word on an earlier packet never ends a connection: the idle time-out decides. One
        // that has not begun may give up on it.
        q->refused = q->refused || errno == ECONNREFUSED;
        return errno == EBADF || errno == ENOTSOCK ? PFK_E_IO : 0;
    }
    q->refused = false;
    p->to = q->local;
    take_destination(&m, &p->to);
    p->bytes = q->read_buffer;
    p->n_bytes = (size_t)n;
    return 1;
}

// Tells the kernel which address of ours the packet comes from.
static void set_source(struct msghdr *m, union control *control, const ngtcp2_sockaddr *local)
{
    memset(control, 0, sizeof(*control));
    m->msg_control = control;
    struct cmsghdr *c = &control->align;
    if (local->sa_family == AF_INET) {
        struct in_pktinfo info = {.ipi_spec_dst =
                                      ((const struct sockaddr_in *)(const void *)local)->sin_addr};
        m->msg_controllen = CMSG_SPACE(sizeof(info));
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    } else {
        struct in6_pktinfo info = {
            .ipi6_addr = ((const struct sockaddr_in6 *)(const void *)local)->sin6_addr};
        m->msg_controllen = CMSG_SPACE(sizeof(info));
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    }
}

void quic_send_packet(struct pfk_quic *q, const ngtcp2_path *path, const uint8_t *bytes, size_t n)
{
    union control control;
    struct iovec iov = {(void *)(uintptr_t)bytes, n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (q->server) { // a client's socket is connected
        m.msg_name = path->remote.addr;
        m.msg_namelen = path->remote.addrlen;
        set_source(&m, &control, path->local.addr);
    }
    // A refused packet is a lost packet: QUIC repeats what matters. The first call may only report
    // what became of an earlier packet.
    for (int attempt = 0; attempt < 2; attempt++) {
        if (sendmsg(q->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ECONNREFUSED) {
            break;
        }
        q->refused = true;
    }
}

void quic_send_reply(struct pfk_quic *q, const struct quic_packet_info *p, const uint8_t *bytes,
                     size_t n)
{
    struct sockaddr_storage from = p->from, to = p->to;
    const ngtcp2_path path = {.local = {(ngtcp2_sockaddr *)&to, pfk_addr_bytes(&to)},
                              .remote = {(ngtcp2_sockaddr *)&from, pfk_addr_bytes(&from)}};
    quic_send_packet(q, &path, bytes, n);
}
