// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/net/udp_impl.h"

#include "core/base/status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

socklen_t pfk_addr_bytes(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

uint16_t pfk_addr_port(const struct sockaddr_storage *a)
{
    return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
                                          : ((const struct sockaddr_in *)a)->sin_port);
}

void pfk_addr_set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)a)->sin_port = htons(port);
    }
}

bool pfk_udp_error_is_transient(int err)
{
    // ECONNREFUSED and the unreachables are ICMP's word on an earlier datagram: clients close and
    // bind their port again (reference: section 1).
    return err == ECONNREFUSED || err == EHOSTUNREACH || err == ENETUNREACH || err == EINTR ||
           err == EHOSTDOWN || err == ENETDOWN;
}

bool pfk_udp_error_is_of_one_datagram(int err)
{
    return err == EMSGSIZE || pfk_udp_error_is_transient(err);
}

// Asks for a large buffer, past the system's limit where we may; returns what is really there.
static int ask_buffer(int fd, int option, int want)
{
    int granted = 0;
    socklen_t n = sizeof(granted);
    bool forced = false;
#ifdef __linux__
    int force = option == SO_SNDBUF ? SO_SNDBUFFORCE : SO_RCVBUFFORCE;
    forced = setsockopt(fd, SOL_SOCKET, force, &want, sizeof(want)) == 0;
#endif
    if (!forced) {
        (void)setsockopt(fd, SOL_SOCKET, option, &want, sizeof(want));
    }
    (void)getsockopt(fd, SOL_SOCKET, option, &granted, &n);
#ifdef __linux__
    granted /= 2; // the kernel doubles it for its own bookkeeping
#endif
    return granted;
}

static void ask_buffers(struct pfk_udp *u, int want, const struct pfk_log *log)
{
    int send = ask_buffer(u->fd, SO_SNDBUF, want);
    int receive = ask_buffer(u->fd, SO_RCVBUF, want);
    if (send < want || receive < want) {
        pfk_logf(log, PFK_LOG_WARN,
                 "the kernel grants %d KiB send and %d KiB receive buffer instead of %d KiB: parts "
                 "of large frames may be lost; copy packaging/99-punktfunk.conf to "
                 "/etc/sysctl.d/99-punktfunk.conf and run `sysctl --system`",
                 send / 1024, receive / 1024, want / 1024);
    }
}

static int open_socket(struct pfk_udp *u, const struct pfk_udp_config *cfg)
{
    char text[64];
    u->fd = socket(cfg->bind.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (u->fd < 0) {
        pfk_logf(&cfg->log, PFK_LOG_ERROR, "cannot open a UDP socket: %s", strerror(errno));
        return PFK_E_IO;
    }
    if (cfg->bind.ss_family == AF_INET6) {
        int off = 0; // "::" takes IPv4 peers too
        (void)setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(u->fd, (const struct sockaddr *)&cfg->bind, pfk_addr_bytes(&cfg->bind)) != 0) {
        int err = errno;
        pfk_logf(&cfg->log, PFK_LOG_ERROR, "cannot use UDP %s: %s; %s",
                 pfk_addr_text(&cfg->bind, text), strerror(err),
                 err == EADDRINUSE ? "another program has it: choose another port or none"
                                   : "choose an address of this machine");
        return err == EADDRINUSE ? PFK_E_BUSY : PFK_E_IO;
    }
    struct sockaddr_storage bound;
    socklen_t n = sizeof(bound);
    if (getsockname(u->fd, (struct sockaddr *)&bound, &n) != 0) {
        pfk_logf(&cfg->log, PFK_LOG_ERROR, "cannot tell the UDP port in use: %s", strerror(errno));
        return PFK_E_IO;
    }
    u->port = pfk_addr_port(&bound);
    ask_buffers(u, cfg->buffer_bytes ? cfg->buffer_bytes : (int)PFK_UDP_BUFFER_BYTES, &cfg->log);
    return PFK_OK;
}

static int open_path(struct pfk_udp *u, bool plain)
{
#ifdef __linux__
    if (!plain) {
        u->path = &pfk_udp_path_mmsg;
        int err = u->path->open(u);
        if (err != PFK_E_UNSUPPORTED) {
            return err;
        }
    }
#endif
    u->path = &pfk_udp_path_plain;
    return u->path->open(u);
}

int pfk_udp_open(struct pfk_udp **out, const struct pfk_udp_config *cfg)
{
    *out = NULL;
    struct pfk_udp *u = calloc(1, sizeof(*u));
    if (!u) {
        return PFK_E_NOMEM;
    }
    u->fd = u->wake_read = u->wake_write = -1;
    int wake[2];
    int err;
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) == 0) {
        u->wake_read = wake[0];
        u->wake_write = wake[1];
        err = open_socket(u, cfg);
    } else {
        pfk_logf(&cfg->log, PFK_LOG_ERROR, "cannot open a pipe: %s; raise the limit of open files",
                 strerror(errno));
        err = PFK_E_IO;
    }
    if (!err) {
        err = open_path(u, cfg->plain);
    }
    if (err) {
        pfk_udp_close(u);
        return err;
    }
    *out = u;
    return PFK_OK;
}

void pfk_udp_close(struct pfk_udp *u)
{
    if (!u) {
        return;
    }
    if (u->path) {
        u->path->close(u);
    }
    const int fds[] = {u->fd, u->wake_read, u->wake_write};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    free(u);
}

int pfk_udp_fd(const struct pfk_udp *u)
{
    return u->fd;
}

uint16_t pfk_udp_port(const struct pfk_udp *u)
{
    return u->port;
}

const char *pfk_udp_path(const struct pfk_udp *u)
{
    return u->path->name(u);
}

int pfk_udp_connect(struct pfk_udp *u, const struct sockaddr_storage *peer)
{
    return connect(u->fd, (const struct sockaddr *)peer, pfk_addr_bytes(peer)) == 0 ? PFK_OK
                                                                                    : PFK_E_IO;
}

unsigned pfk_udp_send(struct pfk_udp *u, const struct sockaddr_storage *to, const uint8_t *base,
                      size_t datagram_bytes, unsigned n)
{
    unsigned sent = n ? u->path->send(u, to, base, datagram_bytes, n) : 0;
    pfk_udp_count(&u->sent, sent);
    pfk_udp_count(&u->sent_bytes, sent * datagram_bytes);
    pfk_udp_count(&u->send_dropped, n - sent);
    return sent;
}

int pfk_udp_recv(struct pfk_udp *u, int timeout_ms, const struct pfk_udp_datagram **out)
{
    *out = u->batch;
    int n = u->path->recv(u);
    if (n == PFK_E_AGAIN && timeout_ms != 0) {
        struct pollfd fds[2] = {{u->fd, POLLIN, 0}, {u->wake_read, POLLIN, 0}};
        if (poll(fds, 2, timeout_ms) <= 0) {
            return 0;
        }
        if (fds[1].revents) {
            uint8_t drain[64];
            while (read(u->wake_read, drain, sizeof(drain)) > 0) {
            }
        }
        n = fds[0].revents ? u->path->recv(u) : 0;
    }
    if (n > 0) {
        pfk_udp_count(&u->received, (uint64_t)n);
    }
    return n == PFK_E_AGAIN ? 0 : n;
}

void pfk_udp_wake(struct pfk_udp *u)
{
    // A full pipe means that a wake-up is on its way already.
    ssize_t n = write(u->wake_write, "", 1);
    (void)n;
}

void pfk_udp_get_stats(const struct pfk_udp *u, struct pfk_udp_stats *out)
{
    *out = (struct pfk_udp_stats){
        .sent = atomic_load_explicit(&u->sent, memory_order_relaxed),
        .send_dropped = atomic_load_explicit(&u->send_dropped, memory_order_relaxed),
        .sent_bytes = atomic_load_explicit(&u->sent_bytes, memory_order_relaxed),
        .received = atomic_load_explicit(&u->received, memory_order_relaxed),
        .recv_dropped = atomic_load_explicit(&u->recv_dropped, memory_order_relaxed),
        .send_calls = atomic_load_explicit(&u->send_calls, memory_order_relaxed),
        .recv_calls = atomic_load_explicit(&u->recv_calls, memory_order_relaxed),
    };
}

// The IPv4 address in either form; false when it is a true IPv6 one.
static bool as_ipv4(const struct sockaddr_storage *a, struct in_addr *out)
{
    if (a->ss_family == AF_INET) {
        *out = ((const struct sockaddr_in *)a)->sin_addr;
        return true;
    }
    const struct in6_addr *six = &((const struct sockaddr_in6 *)a)->sin6_addr;
    if (a->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six)) {
        memcpy(out, six->s6_addr + 12, sizeof(*out));
        return true;
    }
    return false;
}

bool pfk_same_ip(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    struct in_addr a4 = {0}, b4 = {0};
    bool a_is_4 = as_ipv4(a, &a4), b_is_4 = as_ipv4(b, &b4);
    if (a_is_4 || b_is_4) {
        return a_is_4 && b_is_4 && a4.s_addr == b4.s_addr;
    }
    return a->ss_family == AF_INET6 && b->ss_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

char *pfk_addr_text(const struct sockaddr_storage *a, char *text)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    struct in_addr four;
    if (as_ipv4(a, &four)) {
        inet_ntop(AF_INET, &four, ip, sizeof(ip));
        snprintf(text, 64, "%s:%u", ip, (unsigned)pfk_addr_port(a));
    } else {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;
        inet_ntop(AF_INET6, &six->sin6_addr, ip, sizeof(ip));
        snprintf(text, 64, "[%s]:%u", ip, (unsigned)pfk_addr_port(a));
    }
    return text;
}
