// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/net/udp.h"

#include "core/base/status.h"
#include "tests/unit/check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>

static struct sockaddr_storage loopback(uint16_t port)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    memcpy(&a, &in, sizeof(in));
    return a;
}

static struct pfk_udp *open_one(bool plain, int buffer_bytes)
{
    struct pfk_udp *u;
    struct pfk_udp_config cfg = {.bind = loopback(0), .plain = plain, .buffer_bytes = buffer_bytes};
    CHECK_EQ(pfk_udp_open(&u, &cfg), PFK_OK);
    return u;
}

// Every size through both paths, in order and whole.
static void exchange(bool plain_tx, bool plain_rx)
{
    struct pfk_udp *tx = open_one(plain_tx, 4 << 20), *rx = open_one(plain_rx, 4 << 20);
    struct sockaddr_storage to = loopback(pfk_udp_port(rx));
    static const size_t sizes[] = {1, 8, 500, 1472, 2047, 2048};
    enum { N = 150 };
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        size_t size = sizes[s];
        uint8_t *all = malloc(N * size);
        for (size_t i = 0; i < N * size; i++) {
            all[i] = (uint8_t)(i / size + i % 251);
        }
        CHECK_EQ(pfk_udp_send(tx, &to, all, size, N), N);
        for (int got = 0; got < N;) {
            const struct pfk_udp_datagram *d;
            int n = pfk_udp_recv(rx, 10000, &d);
            CHECK(n > 0);
            for (int i = 0; i < n; i++, got++) {
                CHECK(got < N);
                CHECK_EQ(d[i].n_bytes, size);
                assert_memory_equal(d[i].bytes, all + (size_t)got * size, size);
                CHECK(pfk_same_ip(d[i].from, &to));
            }
        }
        free(all);
    }
    struct pfk_udp_stats st, sr;
    pfk_udp_get_stats(tx, &st);
    pfk_udp_get_stats(rx, &sr);
    CHECK_EQ(st.sent, 6 * N);
    CHECK_EQ(st.send_dropped, 0);
    CHECK_EQ(sr.received, 6 * N);
    pfk_udp_close(tx);
    pfk_udp_close(rx);
}

static void batches_arrive_whole_and_in_order(void **state)
{
    exchange(false, false);
}

static void plain_path_does_the_same(void **state)
{
    exchange(true, true);
    exchange(false, true);
    exchange(true, false);
}

static void too_long_datagrams_are_dropped(void **state)
{
    for (int plain = 0; plain < 2; plain++) {
        struct pfk_udp *tx = open_one(false, 0), *rx = open_one(plain, 0);
        struct sockaddr_storage to = loopback(pfk_udp_port(rx));
        uint8_t bytes[4000] = {0};
        CHECK_EQ(pfk_udp_send(tx, &to, bytes, 2049, 1), 1);
        CHECK_EQ(pfk_udp_send(tx, &to, bytes, 4000, 1), 1);
        CHECK_EQ(pfk_udp_send(tx, &to, bytes, 7, 1), 1);
        const struct pfk_udp_datagram *d;
        int n = 0;
        for (int tries = 0; n == 0 && tries < 5; tries++) {
            n = pfk_udp_recv(rx, 5000, &d);
        }
        CHECK_EQ(n, 1);
        CHECK_EQ(d[0].n_bytes, 7);
        pfk_udp_close(tx);
        pfk_udp_close(rx);
    }
}

static void a_full_send_buffer_is_counted(void **state)
{
    // Nobody reads and the receiver's buffer is small; loopback charges what waits there to it, so
    // only a sender that is refused can show: a message larger than the whole send buffer is.
    struct pfk_udp *tx = open_one(false, 1), *rx = open_one(false, 1);
    struct sockaddr_storage to = loopback(pfk_udp_port(rx));
    static uint8_t bytes[2000 * 64];
    unsigned sent = 0;
    for (int i = 0; i < 50; i++) {
        sent += pfk_udp_send(tx, &to, bytes, 2000, 64);
    }
    struct pfk_udp_stats s;
    pfk_udp_get_stats(tx, &s);
    CHECK_EQ(s.sent, sent);
    CHECK_EQ(s.sent + s.send_dropped, 50 * 64);
    pfk_udp_close(tx);
    pfk_udp_close(rx);
}

static void a_refused_port_is_survived(void **state)
{
    for (int plain = 0; plain < 2; plain++) {
        struct pfk_udp *gone = open_one(false, 0), *u = open_one(plain, 0);
        uint16_t port = pfk_udp_port(gone);
        struct sockaddr_storage to = loopback(port);
        pfk_udp_close(gone);
        CHECK_EQ(pfk_udp_connect(u, &to), PFK_OK);
        uint8_t byte = 1;
        const struct pfk_udp_datagram *d;
        for (int i = 0; i < 20; i++) { // each send earns an ICMP error that the next call sees
            CHECK(pfk_udp_send(u, NULL, &byte, 1, 1) <= 1);
            CHECK(pfk_udp_recv(u, 1, &d) >= 0);
        }
        struct pfk_udp_config cfg = {.bind = to}; // the port comes back
        struct pfk_udp *back;
        CHECK_EQ(pfk_udp_open(&back, &cfg), PFK_OK);
        CHECK_EQ(pfk_udp_send(u, NULL, &byte, 1, 1), 1);
        CHECK_EQ(pfk_udp_recv(back, 5000, &d), 1);
        pfk_udp_close(back);
        pfk_udp_close(u);
    }
}

static void a_connected_socket_hears_its_peer_only(void **state)
{
    struct pfk_udp *a = open_one(false, 0), *b = open_one(false, 0), *stranger = open_one(false, 0);
    struct sockaddr_storage at_a = loopback(pfk_udp_port(a)), at_b = loopback(pfk_udp_port(b));
    CHECK_EQ(pfk_udp_connect(a, &at_b), PFK_OK);
    CHECK_EQ(pfk_udp_send(stranger, &at_a, (const uint8_t *)"s", 1, 1), 1);
    CHECK_EQ(pfk_udp_send(b, &at_a, (const uint8_t *)"b", 1, 1), 1);
    const struct pfk_udp_datagram *d;
    CHECK_EQ(pfk_udp_recv(a, 5000, &d), 1);
    CHECK_EQ(d[0].bytes[0], 'b');
    pfk_udp_close(a);
    pfk_udp_close(b);
    pfk_udp_close(stranger);
}

static void *wake_it(void *u)
{
    pfk_udp_wake(u);
    return NULL;
}

static void a_waiting_receiver_can_be_woken(void **state)
{
    struct pfk_udp *u = open_one(false, 0);
    const struct pfk_udp_datagram *d;
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, wake_it, u), 0);
    CHECK_EQ(pfk_udp_recv(u, -1, &d), 0);
    pthread_join(t, NULL);
    CHECK_EQ(pfk_udp_recv(u, 0, &d), 0);
    pfk_udp_close(u);
}

static void count_log(void *opaque, enum pfk_log_level level, const char *text)
{
    (*(int *)opaque)++;
    CHECK(strstr(text, "port"));
}

static void a_busy_port_is_told(void **state)
{
    struct pfk_udp *u = open_one(false, 0), *second = NULL;
    int lines = 0;
    struct pfk_udp_config cfg = {.bind = loopback(pfk_udp_port(u)), .log = {count_log, &lines}};
    CHECK_EQ(pfk_udp_open(&second, &cfg), PFK_E_BUSY);
    CHECK(second == NULL);
    CHECK_EQ(lines, 1);
    pfk_udp_close(u);
}

static void mapped_addresses_are_the_same_ip(void **state)
{
    struct sockaddr_storage v4 = loopback(1), mapped = {0}, other = {0};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(9777)};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &six.sin6_addr);
    memcpy(&mapped, &six, sizeof(six));
    inet_pton(AF_INET6, "2001:db8::1", &six.sin6_addr);
    memcpy(&other, &six, sizeof(six));
    CHECK(pfk_same_ip(&v4, &mapped) && pfk_same_ip(&mapped, &v4) && pfk_same_ip(&other, &other));
    CHECK(!pfk_same_ip(&v4, &other) && !pfk_same_ip(&other, &mapped));
    char text[64];
    assert_string_equal(pfk_addr_text(&mapped, text), "127.0.0.1:9777");
    assert_string_equal(pfk_addr_text(&other, text), "[2001:db8::1]:9777");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_arrive_whole_and_in_order),
        cmocka_unit_test(plain_path_does_the_same),
        cmocka_unit_test(too_long_datagrams_are_dropped),
        cmocka_unit_test(a_full_send_buffer_is_counted),
        cmocka_unit_test(a_refused_port_is_survived),
        cmocka_unit_test(a_connected_socket_hears_its_peer_only),
        cmocka_unit_test(a_waiting_receiver_can_be_woken),
        cmocka_unit_test(a_busy_port_is_told),
        cmocka_unit_test(mapped_addresses_are_the_same_ip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
