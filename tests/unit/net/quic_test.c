// SPDX-License-Identifier: MIT OR Apache-2.0
// Both ends of a control connection in one thread, over real loopback sockets.
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
    bool echo;
    bool close_at_once;
};

static struct pfk_identity *host_id, *client_id;

static void on_open(void *opaque, struct pfk_quic_conn *c)
{
    struct end *e = opaque;
    e->conn = c;
    e->n_open++;
    if (e->close_at_once) {
        pfk_quic_close(c, 0x68, "no display");
    }
}

static void on_stream(void *opaque, struct pfk_quic_conn *c, const uint8_t *bytes, size_t n)
{
    struct end *e = opaque;
    CHECK(e->n_got + n <= GOT_BYTES);
    memcpy(e->got + e->n_got, bytes, n);
    e->n_got += n;
    if (e->echo) {
        CHECK_EQ(pfk_quic_send(c, bytes, n), PFK_OK);
    }
}

static void on_datagram(void *opaque, struct pfk_quic_conn *c, const uint8_t *bytes, size_t n)
{
    struct end *e = opaque;
    e->n_datagrams++;
    e->n_last_datagram = n;
    if (e->echo) {
        CHECK_EQ(pfk_quic_send_datagram(c, bytes, n), PFK_OK);
    }
}

static void on_close(void *opaque, struct pfk_quic_conn *c, enum pfk_quic_close_kind kind,
                     uint64_t code, const char *reason)
{
    struct end *e = opaque;
    e->n_close++;
    e->kind = kind;
    e->code = code;
    snprintf(e->reason, sizeof(e->reason), "%s", reason);
    e->conn = NULL;
}

static void on_wake(void *opaque)
{
    ((struct end *)opaque)->n_wake++;
}

static struct pfk_quic_config config(struct end *e, const struct pfk_identity *id)
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

static struct sockaddr_storage server_address(const struct end *server)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(pfk_quic_port(server->q))};
    memcpy(&a, &in, sizeof(in));
    return a;
}

static void listen_on(struct end *server, uint32_t idle_ms)
{
    struct pfk_quic_config cfg = config(server, host_id);
    cfg.idle_timeout_ms = idle_ms;
    server->got = malloc(GOT_BYTES);
    CHECK_EQ(pfk_quic_listen(&server->q, &cfg), PFK_OK);
}

static void dial(struct end *client, const struct end *server, const struct pfk_identity *id,
                 const uint8_t *pin)
{
    struct pfk_quic_config cfg = config(client, id);
    struct sockaddr_storage to = server_address(server);
    client->got = malloc(GOT_BYTES);
    CHECK_EQ(pfk_quic_connect(&client->q, &cfg, &to, pin), PFK_OK);
}

static void hang_up(struct end *e)
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

static void stream_and_datagrams_come_back(void **state)
{
    struct end server = {.echo = true}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, pfk_identity_fingerprint(host_id));
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    CHECK(memcmp(pfk_quic_conn_fingerprint(server.conn), pfk_identity_fingerprint(client_id), 32) ==
          0);
    CHECK(memcmp(pfk_quic_conn_fingerprint(client.conn), pfk_identity_fingerprint(host_id), 32) ==
          0);
    CHECK_EQ(pfk_quic_send(client.conn, "hello", 5), PFK_OK);
    uint8_t datagram[1100] = {1, 2, 3};
    CHECK_EQ(pfk_quic_send_datagram(client.conn, datagram, sizeof(datagram)), PFK_OK);
    TURN_UNTIL(&server, &client, client.n_got == 5 && client.n_datagrams == 1);
    CHECK(memcmp(client.got, "hello", 5) == 0);
    CHECK_EQ(client.n_last_datagram, sizeof(datagram));
    CHECK_EQ(pfk_quic_send_datagram(client.conn, datagram, PFK_QUIC_MAX_DATAGRAM + 1), PFK_E_SIZE);
    hang_up(&client);
    hang_up(&server);
}

static void send_much(struct end *from, struct end *to)
{
    static uint8_t block[65536];
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = (uint8_t)splitmix64(&seed);
    }
    size_t sent = 0;
    bool refused = false;
    while (sent < 16 * sizeof(block)) {
        int err = pfk_quic_send(from->conn, block, sizeof(block));
        if (err == PFK_OK) {
            sent += sizeof(block);
        } else {
            CHECK_EQ(err, PFK_E_AGAIN);
            refused = true;
            CHECK_EQ(pfk_quic_step(from->q, 1), PFK_OK);
            CHECK_EQ(pfk_quic_step(to->q, 1), PFK_OK);
        }
    }
    CHECK(refused); // not more than 256 KiB unsent
    TURN_UNTIL(from, to, to->n_got == sent);
    for (size_t i = 0; i < sent; i += sizeof(block)) {
        CHECK(memcmp(to->got + i, block, sizeof(block)) == 0);
    }
}

static void a_megabyte_goes_both_ways_through_the_windows(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    send_much(&client, &server);
    send_much(&server, &client);
    hang_up(&client);
    hang_up(&server);
}

static void wrong_pin_ends_the_handshake_at_the_client(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    uint8_t pin[32];
    memcpy(pin, pfk_identity_fingerprint(host_id), 32);
    pin[31] ^= 1;
    dial(&client, &server, client_id, pin);
    TURN_UNTIL(&server, &client, client.n_close);
    CHECK_EQ(client.n_open, 0);
    CHECK_EQ(client.kind, PFK_QUIC_CLOSED_TLS);
    CHECK(strstr(client.reason, "pinned"));
    CHECK_EQ(server.n_open, 0);
    hang_up(&client);
    hang_up(&server);
}

static void client_without_certificate_is_served_without_fingerprint(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, NULL, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    CHECK(pfk_quic_conn_fingerprint(server.conn) == NULL);
    hang_up(&client);
    hang_up(&server);
}

static void close_codes_and_reasons_arrive(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    pfk_quic_close(client.conn, 0x51, "user stop");
    TURN_UNTIL(&server, &client, client.n_close && server.n_close);
    CHECK_EQ(client.kind, PFK_QUIC_CLOSED_BY_US);
    CHECK_EQ(server.kind, PFK_QUIC_CLOSED_BY_PEER);
    CHECK_EQ(server.code, 0x51);
    CHECK_EQ(strcmp(server.reason, "user stop"), 0);
    hang_up(&client);

    struct end second = {0};
    server.close_at_once = true; // in the very callback that opens
    dial(&second, &server, client_id, NULL);
    TURN_UNTIL(&server, &second, second.n_close);
    CHECK_EQ(second.kind, PFK_QUIC_CLOSED_BY_PEER);
    CHECK_EQ(second.code, 0x68);
    CHECK_EQ(strcmp(second.reason, "no display"), 0);
    hang_up(&second);
    hang_up(&server);
}

static void stream_data_before_a_close_is_delivered(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    CHECK_EQ(pfk_quic_send(client.conn, "last words", 10), PFK_OK);
    pfk_quic_close(client.conn, 0, "");
    TURN_UNTIL(&server, &client, server.n_close);
    CHECK_EQ(server.n_got, 10);
    hang_up(&client);
    hang_up(&server);
}

static void silent_peer_times_out_and_a_quiet_one_lives(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 300);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    // Keep-alive carries the connection over five idle times.
    uint64_t until = pfk_clock_monotonic_ns() + 1500000000u;
    while (pfk_clock_monotonic_ns() < until) {
        pfk_quic_step(server.q, 5);
        pfk_quic_step(client.q, 5);
    }
    CHECK_EQ(server.n_close, 0);
    until = pfk_clock_monotonic_ns() + WAIT_MS * 1000000ull;
    while (!server.n_close && pfk_clock_monotonic_ns() < until) {
        pfk_quic_step(server.q, 20); // the client is not turned any more: silence
    }
    CHECK_EQ(server.n_close, 1);
    CHECK_EQ(server.kind, PFK_QUIC_CLOSED_IDLE);
    hang_up(&client);
    hang_up(&server);
}

static void held_connection_waits_unread(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    pfk_quic_hold(server.conn, true);
    static uint8_t much[200000];
    CHECK_EQ(pfk_quic_send(client.conn, much, sizeof(much)), PFK_OK);
    for (int i = 0; i < 100; i++) {
        pfk_quic_step(client.q, 1);
        pfk_quic_step(server.q, 1);
    }
    CHECK_EQ(server.n_got, 0);
    pfk_quic_hold(server.conn, false);
    TURN_UNTIL(&server, &client, server.n_got == sizeof(much));
    hang_up(&client);
    hang_up(&server);
}

static void wake_reaches_the_owner(void **state)
{
    struct end server = {0};
    listen_on(&server, 0);
    pfk_quic_wake(server.q);
    CHECK_EQ(pfk_quic_step(server.q, 5000), PFK_OK);
    CHECK_EQ(server.n_wake, 1);
    hang_up(&server);
}

static void busy_port_is_named_with_a_remedy(void **state)
{
    struct end server = {0}, other = {0};
    listen_on(&server, 0);
    struct pfk_quic_config cfg = config(&other, host_id);
    struct sockaddr_storage taken = server_address(&server);
    cfg.bind = taken;
    CHECK_EQ(pfk_quic_listen(&other.q, &cfg), PFK_E_BUSY);
    CHECK(other.q == NULL);
    hang_up(&server);
}

// Garbage, and a flood of handshakes that are never finished, from a third socket.
static void strangers_do_not_stop_an_honest_client(void **state)
{
    struct end server = {.echo = true};
    listen_on(&server, 0);
    struct sockaddr_storage to = server_address(&server);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(fd >= 0);
    uint64_t seed = 7;
    uint8_t packet[1200];
    for (int i = 0; i < 300; i++) {
        for (size_t b = 0; b < sizeof(packet); b++) {
            packet[b] = (uint8_t)splitmix64(&seed);
        }
        if (i % 2) {
            packet[0] = 0xC0; // a long header of QUIC v1 with random contents
            memcpy(packet + 1, "\0\0\0\1\x08", 5);
            packet[14] = 8;
            packet[23] = 0;
        }
        sendto(fd, packet, i % 3 ? sizeof(packet) : (size_t)(i % 40), 0, (struct sockaddr *)&to,
               sizeof(struct sockaddr_in));
        pfk_quic_step(server.q, 0);
    }
    struct end half[40];
    memset(half, 0, sizeof(half));
    for (size_t i = 0; i < 40; i++) {
        dial(&half[i], &server, NULL, NULL);
        pfk_quic_step(half[i].q, 0); // the Initial leaves; nobody reads the answer
        pfk_quic_step(server.q, 0);
    }
    struct end client = {0};
    dial(&client, &server, client_id, pfk_identity_fingerprint(host_id));
    TURN_UNTIL(&server, &client, client.n_open);
    CHECK_EQ(pfk_quic_send(client.conn, "ok", 2), PFK_OK);
    TURN_UNTIL(&server, &client, client.n_got == 2);
    CHECK_EQ(server.n_open, 1);
    for (size_t i = 0; i < 40; i++) {
        hang_up(&half[i]);
    }
    close(fd);
    hang_up(&client);
    hang_up(&server);
}

static int make_identities(void **state)
{
    return pfk_identity_open(&host_id, PFK_IDENTITY_HOST, NULL, NULL) ||
           pfk_identity_open(&client_id, PFK_IDENTITY_CLIENT, NULL, NULL);
}

static int drop_identities(void **state)
{
    pfk_identity_destroy(host_id);
    pfk_identity_destroy(client_id);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_and_datagrams_come_back),
        cmocka_unit_test(a_megabyte_goes_both_ways_through_the_windows),
        cmocka_unit_test(wrong_pin_ends_the_handshake_at_the_client),
        cmocka_unit_test(client_without_certificate_is_served_without_fingerprint),
        cmocka_unit_test(close_codes_and_reasons_arrive),
        cmocka_unit_test(stream_data_before_a_close_is_delivered),
        cmocka_unit_test(silent_peer_times_out_and_a_quiet_one_lives),
        cmocka_unit_test(held_connection_waits_unread),
        cmocka_unit_test(wake_reaches_the_owner),
        cmocka_unit_test(busy_port_is_named_with_a_remedy),
        cmocka_unit_test(strangers_do_not_stop_an_honest_client),
    };
    return cmocka_run_group_tests(tests, make_identities, drop_identities);
}
