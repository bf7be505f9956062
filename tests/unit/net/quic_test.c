// SPDX-License-Identifier: MIT OR Apache-2.0
// What two honest ends do with each other.
#include "core/net/quic_impl.h"

#include "core/net/udp.h"
#include "tests/unit/net/quic_pair.h"

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

static void keep_log(void *opaque, enum pfk_log_level level, const char *text)
{
    snprintf(opaque, 300, "%s", text);
}

static void busy_port_is_named_with_a_remedy(void **state)
{
    struct end server = {0}, other = {0};
    listen_on(&server, 0);
    struct pfk_quic_config cfg = config(&other, host_id);
    char text[300] = "", port[8];
    cfg.log = (struct pfk_log){keep_log, text};
    cfg.bind = server_address(&server);
    CHECK_EQ(pfk_quic_listen(&other.q, &cfg), PFK_E_BUSY);
    CHECK(other.q == NULL);
    snprintf(port, sizeof(port), "%u", pfk_quic_port(server.q));
    CHECK(strstr(text, port));
    CHECK(strstr(text, "another port"));
    hang_up(&server);
}

static void answer_and_code_arrive_when_a_callback_closes(void **state)
{
    struct end server = {.answer_and_close = true}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    CHECK_EQ(pfk_quic_send(client.conn, "hello", 5), PFK_OK);
    TURN_UNTIL(&server, &client, client.n_close && server.n_close);
    CHECK_EQ(client.n_got, 2);
    CHECK_EQ(client.kind, PFK_QUIC_CLOSED_BY_PEER);
    CHECK_EQ(client.code, 0x42);
    CHECK_EQ(strcmp(client.reason, "in use by den"), 0);
    CHECK_EQ(server.kind, PFK_QUIC_CLOSED_BY_US);
    hang_up(&client);
    hang_up(&server);
}

static void reasons_become_printable_and_short(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    char reason[400];
    memset(reason, 'x', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = 0;
    memcpy(reason, "\x1b[2J\n", 5);
    pfk_quic_close(client.conn, 0x51, reason);
    TURN_UNTIL(&server, &client, server.n_close);
    CHECK_EQ(strncmp(server.reason, "?[2J?xx", 7), 0);
    CHECK_EQ(strlen(server.reason), QUIC_REASON_BYTES - 1);
    hang_up(&client);
    hang_up(&server);
}

// What pacing and the congestion window hold back goes before the close.
static void a_close_waits_a_moment_for_queued_bytes(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    static const uint8_t much[60000];
    uint64_t start = pfk_clock_monotonic_ns();
    CHECK_EQ(pfk_quic_send(client.conn, much, sizeof(much)), PFK_OK);
    pfk_quic_close(client.conn, 1, "done");
    CHECK_EQ(pfk_quic_send(client.conn, much, 1), PFK_E_CLOSED);
    TURN_UNTIL(&server, &client, server.n_close && client.n_close);
    CHECK_EQ(server.kind, PFK_QUIC_CLOSED_BY_PEER);
    CHECK_EQ(server.code, 1);
    if (pfk_clock_monotonic_ns() - start < 250000000u) { // not on a machine that stood still
        CHECK_EQ(server.n_got, sizeof(much));
    }
    hang_up(&client);
    hang_up(&server);
}

static void a_peer_that_does_not_read_does_not_delay_the_close(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    pfk_quic_hold(server.conn, true);
    static const uint8_t much[200000]; // more than the window
    CHECK_EQ(pfk_quic_send(client.conn, much, sizeof(much)), PFK_OK);
    TURN_UNTIL(&server, &client, server.conn->n_held == QUIC_STREAM_WINDOW_BYTES);
    pfk_quic_close(client.conn, 0, "");
    CHECK_EQ(client.conn->phase, QUIC_ENDED);
    TURN_UNTIL(&server, &client, server.n_close);
    hang_up(&client);
    hang_up(&server);
}

static void the_oldest_datagrams_are_dropped(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    uint8_t datagram[1000] = {0};
    for (uint8_t i = 1; i <= 10; i++) {
        datagram[0] = i;
        CHECK_EQ(pfk_quic_send_datagram(client.conn, datagram, sizeof(datagram)), PFK_OK);
    }
    TURN_UNTIL(&server, &client, client.conn->n_datagram_bytes == 0 && server.n_datagrams);
    TURN_UNTIL(&server, &client, server.n_datagrams == 4);
    CHECK_EQ(server.first_datagram_byte, 7);
    static const uint8_t large[1156]; // fits every path
    CHECK_EQ(pfk_quic_send_datagram(client.conn, large, sizeof(large)), PFK_OK);
    CHECK_EQ(pfk_quic_send_datagram(client.conn, large, 0), PFK_OK);
    TURN_UNTIL(&server, &client, server.n_datagrams == 6);
    hang_up(&client);
    hang_up(&server);
}

static void an_empty_send_only_opens_the_stream(void **state)
{
    struct end server = {.echo = true}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    CHECK_EQ(pfk_quic_send(server.conn, "x", 1), PFK_E_CLOSED); // the client opens it
    CHECK_EQ(pfk_quic_send(client.conn, "", 0), PFK_OK);
    CHECK_EQ(pfk_quic_send(client.conn, "y", 1), PFK_OK);
    TURN_UNTIL(&server, &client, client.n_got == 1);
    hang_up(&client);
    hang_up(&server);
}

// Packets overtake each other: which stream is the control stream is a matter of its number.
static void a_stream_that_overtakes_the_first_one_is_refused(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    int64_t first;
    CHECK_EQ(ngtcp2_conn_open_bidi_stream(client.conn->conn, &first, NULL), 0);
    CHECK_EQ(pfk_quic_send(client.conn, "later", 5), PFK_OK); // on the second one
    CHECK_EQ(client.conn->stream_id, 4);
    for (int i = 0; i < 20; i++) {
        pfk_quic_step(client.q, 1);
        pfk_quic_step(server.q, 1);
    }
    CHECK_EQ(server.n_got, 0);
    client.conn->stream_id = first;
    CHECK_EQ(pfk_quic_send(client.conn, "first", 5), PFK_OK);
    TURN_UNTIL(&server, &client, server.n_got > 0);
    assert_memory_equal(server.got, "first", 5);
    hang_up(&client);
    hang_up(&server);
}

// The windows do not grow with use, so that what a hold keeps always fits.
static void a_reader_that_stops_and_goes_loses_nothing(void **state)
{
    struct end server = {0}, client = {0};
    listen_on(&server, 0);
    dial(&client, &server, client_id, NULL);
    TURN_UNTIL(&server, &client, client.n_open && server.n_open);
    static uint8_t block[32768];
    uint64_t seed = 3;
    size_t sent = 0, turns = 0;
    bool hold = false;
    while (server.n_got < 32 * sizeof(block)) {
        CHECK(++turns < 100000);
        if (turns % 8 == 0) {
            hold = !hold;
            pfk_quic_hold(server.conn, hold);
        }
        block[0] = (uint8_t)(sent / sizeof(block));
        if (sent < 32 * sizeof(block) &&
            pfk_quic_send(client.conn, block, sizeof(block)) == PFK_OK) {
            sent += sizeof(block);
        }
        pfk_quic_step(client.q, splitmix64(&seed) % 2);
        pfk_quic_step(server.q, 0);
        CHECK_EQ(client.n_close + server.n_close, 0);
        CHECK(server.conn->n_held <= QUIC_STREAM_WINDOW_BYTES);
    }
    CHECK_EQ(server.n_got, 32 * sizeof(block));
    for (unsigned i = 0; i < 32; i++) {
        CHECK_EQ(server.got[i * sizeof(block)], i);
    }
    hang_up(&client);
    hang_up(&server);
}

// The server listens on every address; a connected client only hears the one it dialled.
static void replies_leave_from_the_dialled_address(void **state)
{
    static const char *const dialled[] = {"127.0.0.1", "127.0.0.2", "::1"};
    for (int i = 0; i < 3; i++) {
        struct end server = {.echo = true}, client = {0};
        struct pfk_quic_config cfg = config(&server, host_id);
        const struct sockaddr_in6 any = {.sin6_family = AF_INET6};
        const struct sockaddr_in any4 = {.sin_family = AF_INET};
        bool v6 = strchr(dialled[i], ':') != NULL;
        memset(&cfg.bind, 0, sizeof(cfg.bind));
        memcpy(&cfg.bind, v6 ? (const void *)&any : (const void *)&any4,
               v6 ? sizeof(any) : sizeof(any4));
        int err = pfk_quic_listen(&server.q, &cfg);
        if (v6 && err) {
            continue; // a kernel without IPv6
        }
        CHECK_EQ(err, PFK_OK);
        server.got = malloc(GOT_BYTES);
        struct sockaddr_storage to = {0};
        struct sockaddr_in6 *to6 = (struct sockaddr_in6 *)&to;
        struct sockaddr_in *to4 = (struct sockaddr_in *)&to;
        if (v6) {
            to6->sin6_family = AF_INET6;
            to6->sin6_port = htons(pfk_quic_port(server.q));
            inet_pton(AF_INET6, dialled[i], &to6->sin6_addr);
        } else {
            to4->sin_family = AF_INET;
            to4->sin_port = htons(pfk_quic_port(server.q));
            inet_pton(AF_INET, dialled[i], &to4->sin_addr);
        }
        struct pfk_quic_config cc = config(&client, client_id);
        memcpy(&cc.bind, v6 ? (const void *)&any : (const void *)&any4,
               v6 ? sizeof(any) : sizeof(any4));
        client.got = malloc(GOT_BYTES);
        if (pfk_quic_connect(&client.q, &cc, &to, NULL) == PFK_OK) { // else: no IPv6 address
            TURN_UNTIL(&server, &client, client.n_open && server.n_open);
            CHECK(pfk_same_ip(pfk_quic_conn_local(server.conn), &to));
            CHECK_EQ(pfk_quic_send(client.conn, "hi", 2), PFK_OK);
            TURN_UNTIL(&server, &client, client.n_got == 2);
        } else {
            CHECK(v6);
        }
        hang_up(&client);
        hang_up(&server);
    }
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
        cmocka_unit_test(answer_and_code_arrive_when_a_callback_closes),
        cmocka_unit_test(reasons_become_printable_and_short),
        cmocka_unit_test(a_close_waits_a_moment_for_queued_bytes),
        cmocka_unit_test(a_peer_that_does_not_read_does_not_delay_the_close),
        cmocka_unit_test(the_oldest_datagrams_are_dropped),
        cmocka_unit_test(an_empty_send_only_opens_the_stream),
        cmocka_unit_test(a_stream_that_overtakes_the_first_one_is_refused),
        cmocka_unit_test(a_reader_that_stops_and_goes_loses_nothing),
        cmocka_unit_test(replies_leave_from_the_dialled_address),
        cmocka_unit_test(busy_port_is_named_with_a_remedy),
    };
    return cmocka_run_group_tests(tests, make_identities, drop_identities);
}
