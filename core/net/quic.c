// SPDX-License-Identifier: MIT OR Apache-2.0
// The endpoint: whose packet is whose, who may come in, timers and wake-ups.
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

static void negotiate_version(struct pfk_quic *q, const ngtcp2_version_cid *vc,
                              const struct quic_packet_info *p)
{
    static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
    uint8_t packet[640], random = 0; // two IDs of 255 bytes fit
    if (p->n_bytes < NGTCP2_MAX_UDP_PAYLOAD_SIZE) {
        return; // never answer more than was sent
    }
    (void)gnutls_rnd(GNUTLS_RND_NONCE, &random, 1);
    ngtcp2_ssize n = ngtcp2_pkt_write_version_negotiation(
        packet, sizeof(packet), random, vc->scid, vc->scidlen, vc->dcid, vc->dcidlen, versions, 1);
    if (n > 0) {
        quic_send_reply(q, p, packet, (size_t)n);
    }
}

// Tells a newcomer that there is no room, without remembering it.
static void refuse(struct pfk_quic *q, const ngtcp2_pkt_hd *hd, const struct quic_packet_info *p)
{
    uint8_t packet[256];
    ngtcp2_ssize n =
        ngtcp2_crypto_write_connection_close(packet, sizeof(packet), hd->version, &hd->scid,
                                             &hd->dcid, NGTCP2_CONNECTION_REFUSED, NULL, 0);
    if (n > 0) {
        quic_send_reply(q, p, packet, (size_t)n);
    }
}

// Gives up a connection that has not finished its handshake, or has long said its farewell.
static void displace(struct pfk_quic *q, struct pfk_quic_conn *c, uint64_t now_ns)
{
    quic_conn_end(c, PFK_QUIC_CLOSED_TRANSPORT, 0, "displaced");
    c->linger_until_ns = 0;
    sweep(q, now_ns);
}

// Strangers cost bounded memory: a new one beyond the limits takes the place of the oldest that has
// not finished its handshake. False when nobody can make room.
static bool make_room(struct pfk_quic *q, const struct sockaddr_storage *from)
{
    uint64_t now = pfk_clock_monotonic_ns();
    unsigned limit = q->cfg.max_connections ? q->cfg.max_connections : DEFAULT_MAX_CONNS;
    unsigned ip_limit =
        q->cfg.max_handshaking_per_ip ? q->cfg.max_handshaking_per_ip : DEFAULT_MAX_HANDSHAKING;
    if (q->n_conns >= limit) {
        sweep(q, now);
    }
    struct pfk_quic_conn *oldest = NULL, *oldest_of_ip = NULL;
    unsigned n_of_ip = 0;
    for (struct pfk_quic_conn *c = q->conns; c; c = c->next) {
        if (c->open && c->phase == QUIC_ALIVE) {
            continue;
        }
        if (!oldest || c->opened_ns < oldest->opened_ns) {
            oldest = c;
        }
        if (c->phase == QUIC_ALIVE && pfk_same_ip(&c->peer, from)) {
            n_of_ip++;
            if (!oldest_of_ip || c->opened_ns < oldest_of_ip->opened_ns) {
                oldest_of_ip = c;
            }
        }
    }
    if (n_of_ip >= ip_limit) {
        displace(q, oldest_of_ip, now);
    } else if (q->n_conns >= limit && oldest) {
        displace(q, oldest, now);
    }
    return q->n_conns < limit;
}

static struct pfk_quic_conn *welcome(struct pfk_quic *q, const struct quic_packet_info *p)
{
    ngtcp2_pkt_hd hd;
    struct pfk_quic_conn *c;
    if (ngtcp2_accept(&hd, p->bytes, p->n_bytes) != 0) {
        return NULL;
    }
    if (!make_room(q, &p->from)) {
        refuse(q, &hd, p);
        return NULL;
    }
    return quic_conn_accept(q, &hd, p, &c) == PFK_OK ? c : NULL;
}

static void dispatch(struct pfk_quic *q, const struct quic_packet_info *p)
{
    if (p->n_bytes == 0) {
        return; // ngtcp2 asserts that there is something
    }
    ngtcp2_version_cid vc;
    int rv = ngtcp2_pkt_decode_version_cid(&vc, p->bytes, p->n_bytes, QUIC_CID_BYTES);
    // ngtcp2 knows more versions than this protocol wants.
    bool foreign = rv == 0 && vc.version != 0 && vc.version != NGTCP2_PROTO_VER_V1;
    if (foreign || rv == NGTCP2_ERR_VERSION_NEGOTIATION) {
        if (q->server) {
            negotiate_version(q, &vc, p);
        }
        return;
    }
    if (rv != 0) {
        return;
    }
    struct pfk_quic_conn *c = find(q, vc.dcid, vc.dcidlen);
    if (!c && q->server) {
        c = welcome(q, p);
    }
    if (c) {
        quic_conn_read(c, p);
        quic_conn_flush(c); // answers leave before the next packet is looked at
    }
}

// --- one turn ---

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
    for (int i = 0; i < READ_BATCH && (rc = quic_socket_receive(q, &p)) > 0; i++) {
        dispatch(q, &p);
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

bool pfk_quic_refused(const struct pfk_quic *q)
{
    return q->refused;
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
                  : quic_socket_open(q);
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
        err = quic_socket_learn_local(*out);
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
    err = quic_socket_connect(q, server);
    if (!err) {
        err = quic_socket_learn_local(q);
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
        c->close_by_ns = 0; // there is no later
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
