// SPDX-License-Identifier: MIT OR Apache-2.0
// What strangers, full tables and dead ports do to an endpoint.
#include "core/net/quic_impl.h"

#include "tests/unit/net/quic_pair.h"

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

static struct sockaddr_storage address_of(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof(a);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    return a;
}

// A UDP socket on a loopback port of its own.
static int open_stranger(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
    return fd;
}

// The first packet of a client that never says more.
static size_t record_initial(int fd, uint8_t *packet, size_t room)
{
    struct end client = {0};
    struct pfk_quic_config cfg = config(&client, NULL);
    struct sockaddr_storage to = address_of(fd);
    CHECK_EQ(pfk_quic_connect(&client.q, &cfg, &to, NULL), PFK_OK);
    CHECK_EQ(pfk_quic_step(client.q, 0), PFK_OK);
    ssize_t n = recv(fd, packet, room, 0);
    CHECK(n >= 1200);
    pfk_quic_destroy(client.q);
    uint8_t rest[2048];
    while (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) >= 0) {
    }
    return (size_t)n;
}

static void a_thousand_half_open_handshakes_cost_bounded_memory(void **state)
{
    enum { KINDS = 16 }; // more than one address may hold, so each is a new connection every time
    static uint8_t packets[KINDS][1500];
    size_t sizes[KINDS];
    struct end server = {.echo = true};
    listen_on(&server, 0);
    struct sockaddr_storage to = server_address(&server);
    int fd = open_stranger();
    for (unsigned i = 0; i < KINDS; i++) {
        sizes[i] = record_initial(fd, packets[i], sizeof(packets[i]));
    }
    for (unsigned i = 0; i < 1000; i++) {
        CHECK(sendto(fd, packets[i % KINDS], sizes[i % KINDS], 0, (struct sockaddr *)&to,
                     sizeof(struct sockaddr_in)) > 0);
        CHECK_EQ(pfk_quic_step(server.q, 0), PFK_OK);
        CHECK(server.q->n_conns <= 8);
    }
    CHECK_EQ(server.q->n_conns, 8);
    CHECK_EQ(server.n_open, 0);
    struct end client = {0};
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open);
    CHECK_EQ(pfk_quic_send(client.conn, "ok", 2), PFK_OK);
    TURN_UNTIL(&server, &client, client.n_got == 2);
    CHECK_EQ(server.n_close, 0); // a host never hears of those that did not open
    close(fd);
    hang_up(&client);
    hang_up(&server);
}

static void a_full_host_says_so(void **state)
{
    struct end server = {0}, first = {0}, second = {0};
    struct pfk_quic_config cfg = config(&server, host_id);
    cfg.max_connections = 1;
    server.got = malloc(GOT_BYTES);
    CHECK_EQ(pfk_quic_listen(&server.q, &cfg), PFK_OK);
    dial(&first, &server, client_id, NULL);
    TURN_UNTIL(&server, &first, first.n_open && server.n_open);
    dial(&second, &server, client_id, NULL);
    TURN_UNTIL(&server, &second, second.n_close);
    CHECK_EQ(second.n_open, 0);
    CHECK_EQ(second.kind, PFK_QUIC_CLOSED_TRANSPORT);
    CHECK_EQ(second.code, NGTCP2_CONNECTION_REFUSED);
    CHECK(strstr(second.reason, "no more connections"));
    CHECK_EQ(server.n_close, 0);
    hang_up(&second);

    pfk_quic_close(first.conn, 0, ""); // its farewell is no obstacle to the next one
    TURN_UNTIL(&server, &first, server.n_close);
    struct end third = {0};
    dial(&third, &server, client_id, NULL);
    TURN_UNTIL(&server, &third, third.n_open && server.n_open == 2);
    hang_up(&first);
    hang_up(&third);
    hang_up(&server);
}

static void other_versions_are_told_the_right_one(void **state)
{
    static const uint32_t versions[] = {0x1a2a3a4a, 0x6b3343cf, 0xff00001d}; // grease, v2, draft 29
    struct end server = {0};
    listen_on(&server, 0);
    struct sockaddr_storage to = server_address(&server);
    int fd = open_stranger();
    for (unsigned i = 0; i < 3; i++) {
        uint8_t packet[1200] = {0xC0}, reply[1500];
        for (int b = 0; b < 4; b++) {
            packet[1 + b] = (uint8_t)(versions[i] >> (24 - 8 * b));
        }
        packet[5] = 8; // IDs of eight and of four bytes
        memcpy(packet + 6, "\1\2\3\4\5\6\7\x8\4abcd", 13);
        for (size_t n = 1199; n <= 1200; n++) { // the short one earns no answer
            CHECK(sendto(fd, packet, n, 0, (struct sockaddr *)&to, sizeof(struct sockaddr_in)) > 0);
            CHECK_EQ(pfk_quic_step(server.q, 1000), PFK_OK);
        }
        ssize_t n = recv(fd, reply, sizeof(reply), 0);
        CHECK_EQ(n, 1 + 4 + 1 + 4 + 1 + 8 + 4);
        CHECK(reply[0] & 0x80);
        assert_memory_equal(reply + 1, "\0\0\0\0\4abcd\x8\1\2\3\4\5\6\7\x8\0\0\0\1", 22);
        CHECK(recv(fd, reply, sizeof(reply), MSG_DONTWAIT) < 0);
    }
    CHECK_EQ(server.q->n_conns, 0);
    close(fd);
    hang_up(&server);
}

// ICMP port unreachable is no verdict: the host may be starting.
static void a_host_that_starts_late_is_found(void **state)
{
    struct end server = {0}, client = {0};
    int fd = open_stranger(); // only to learn a free port
    struct sockaddr_storage to = address_of(fd);
    close(fd);
    struct pfk_quic_config cfg = config(&client, client_id);
    client.got = malloc(GOT_BYTES);
    CHECK_EQ(pfk_quic_connect(&client.q, &cfg, &to, NULL), PFK_OK);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(pfk_quic_step(client.q, 1), PFK_OK);
    }
    CHECK_EQ(client.n_close, 0);
    struct pfk_quic_config sc = config(&server, host_id);
    sc.bind = to;
    server.got = malloc(GOT_BYTES);
    CHECK_EQ(pfk_quic_listen(&server.q, &sc), PFK_OK);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    hang_up(&client);
    hang_up(&server);
}

// Garbage that carries the connection's own IDs and comes from its peer's port cannot be told from
// its packets before decryption.
static void corrupt_packets_do_not_end_a_connection(void **state)
{
    struct end server = {.echo = true}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    uint64_t seed = 11;
    uint8_t packet[200];
    for (unsigned i = 0; i < 500; i++) {
        for (size_t b = 0; b < sizeof(packet); b++) {
            packet[b] = (uint8_t)splitmix64(&seed);
        }
        const ngtcp2_cid *cid = &server.conn->cids[i % server.conn->n_cids];
        packet[0] = (uint8_t)((packet[0] & 0x3F) | 0x40);
        memcpy(packet + 1, cid->data, cid->datalen);
        CHECK(send(client.q->fd, packet, 1 + cid->datalen + i % 100, 0) > 0);
        CHECK_EQ(pfk_quic_step(server.q, 0), PFK_OK);
    }
    CHECK_EQ(pfk_quic_send(client.conn, "ok", 2), PFK_OK);
    TURN_UNTIL(&server, &client, client.n_got == 2);
    CHECK_EQ(server.n_close + client.n_close, 0);
    hang_up(&client);
    hang_up(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_do_not_stop_an_honest_client),
        cmocka_unit_test(a_thousand_half_open_handshakes_cost_bounded_memory),
        cmocka_unit_test(a_full_host_says_so),
        cmocka_unit_test(other_versions_are_told_the_right_one),
        cmocka_unit_test(a_host_that_starts_late_is_found),
        cmocka_unit_test(corrupt_packets_do_not_end_a_connection),
    };
    return cmocka_run_group_tests(tests, make_identities, drop_identities);
}
