// SPDX-License-Identifier: MIT OR Apache-2.0
// Both ends of a control connection in one thread, over real loopback sockets.
#ifndef TESTS_UNIT_NET_QUIC_PAIR_H
#define TESTS_UNIT_NET_QUIC_PAIR_H

#include "core/net/quic.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "tests/unit/check.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GOT_BYTES = 1 << 21, WAIT_MS = 20000 };

struct end {
    struct pfk_quic *q;
    struct pfk_quic_conn *conn;
    unsigned n_open, n_close, n_wake, n_datagrams;
    enum pfk_quic_close_kind kind;
    uint64_t code;
    char reason[200];
    uint8_t *got;
    size_t n_got;
    size_t n_last_datagram;
    uint8_t first_datagram_byte;
    bool echo;
    bool close_at_once;
    bool answer_and_close; // from within on_stream
};

static struct pfk_identity *host_id, *client_id;

static inline void on_open(void *opaque, struct pfk_quic_conn *c)
{
    struct end *e = opaque;
    e->conn = c;
    e->n_open++;
    if (e->close_at_once) {
        pfk_quic_close(c, 0x68, "no display");
    }
}

static inline void on_stream(void *opaque, struct pfk_quic_conn *c, const uint8_t *bytes, size_t n)
{
    struct end *e = opaque;
    CHECK(e->n_got + n <= GOT_BYTES);
    memcpy(e->got + e->n_got, bytes, n);
    e->n_got += n;
    if (e->echo) {
        CHECK_EQ(pfk_quic_send(c, bytes, n), PFK_OK);
    }
    if (e->answer_and_close) {
        CHECK_EQ(pfk_quic_send(c, "no", 2), PFK_OK);
        pfk_quic_close(c, 0x42, "in use by den");
        CHECK_EQ(pfk_quic_send(c, "more", 4), PFK_E_CLOSED);
    }
}

static inline void on_datagram(void *opaque, struct pfk_quic_conn *c, const uint8_t *bytes,
                               size_t n)
{
    struct end *e = opaque;
    if (e->n_datagrams++ == 0) {
        e->first_datagram_byte = n > 0 ? bytes[0] : 0;
    }
    e->n_last_datagram = n;
    if (e->echo) {
        CHECK_EQ(pfk_quic_send_datagram(c, bytes, n), PFK_OK);
    }
}

static inline void on_close(void *opaque, struct pfk_quic_conn *c, enum pfk_quic_close_kind kind,
                            uint64_t code, const char *reason)
{
    struct end *e = opaque;
    e->n_close++;
    e->kind = kind;
    e->code = code;
    snprintf(e->reason, sizeof(e->reason), "%s", reason);
    e->conn = NULL;
}

static inline void on_wake(void *opaque)
{
    ((struct end *)opaque)->n_wake++;
}

static inline struct pfk_quic_config config(struct end *e, const struct pfk_identity *id)
{
    struct pfk_quic_config cfg = {
        .identity = id,
        .callbacks = {on_open, on_stream, on_datagram, on_close, on_wake},
        .opaque = e,
    };
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(&cfg.bind, &any, sizeof(any));
    return cfg;
}

static inline struct sockaddr_storage server_address(const struct end *server)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(pfk_quic_port(server->q))};
    memcpy(&a, &in, sizeof(in));
    return a;
}

static inline void listen_on(struct end *server, uint32_t idle_ms)
{
    struct pfk_quic_config cfg = config(server, host_id);
    cfg.idle_timeout_ms = idle_ms;
    server->got = malloc(GOT_BYTES);
    CHECK_EQ(pfk_quic_listen(&server->q, &cfg), PFK_OK);
}

static inline void dial(struct end *client, const struct end *server, const struct pfk_identity *id,
                        const uint8_t *pin)
{
    struct pfk_quic_config cfg = config(client, id);
    struct sockaddr_storage to = server_address(server);
    client->got = malloc(GOT_BYTES);
    CHECK_EQ(pfk_quic_connect(&client->q, &cfg, &to, pin), PFK_OK);
}

static inline void hang_up(struct end *e)
{
    pfk_quic_destroy(e->q);
    free(e->got);
}

// Turns both ends until `done`, or fails the test.
#define TURN_UNTIL(a, b, done)                                                                     \
    do {                                                                                           \
        uint64_t end_ = pfk_clock_monotonic_ns() + WAIT_MS * 1000000ull;                           \
        while (!(done)) {                                                                          \
            CHECK(pfk_clock_monotonic_ns() < end_);                                                \
            CHECK_EQ(pfk_quic_step((a)->q, 1), PFK_OK);                                            \
            CHECK_EQ(pfk_quic_step((b)->q, 1), PFK_OK);                                            \
        }                                                                                          \
    } while (0)

static inline int make_identities(void **state)
{
    return pfk_identity_open(&host_id, PFK_IDENTITY_HOST, NULL, NULL) ||
           pfk_identity_open(&client_id, PFK_IDENTITY_CLIENT, NULL, NULL);
}

static inline int drop_identities(void **state)
{
    pfk_identity_destroy(host_id);
    pfk_identity_destroy(client_id);
    return 0;
}

#endif
