// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/net/udp.h"

#include "core/base/status.h"
#include "tests/unit/check.h"

#include <arpa/inet.h>
#include <poll.h>
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

// What every kernel grants without privilege: the tests send no more at once than fits there, and
// so run the same everywhere.
enum { STOCK_BUFFER = 212992 };

// Each step-th size through a pair of paths, in order and whole.
static void exchange(bool plain_tx, bool plain_rx, size_t step)
{
    struct pfk_udp *tx = open_one(plain_tx, STOCK_BUFFER), *rx = open_one(plain_rx, STOCK_BUFFER);
    struct sockaddr_storage to = loopback(pfk_udp_port(rx));
    enum { N = 70 }; // more than one offloaded message holds
    unsigned n_sizes = 0;
    for (size_t size = 1; size <= PFK_UDP_MAX_DATAGRAM; size += step, n_sizes++) {
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
    CHECK_EQ(st.sent, n_sizes * N);
    CHECK_EQ(st.send_dropped, 0);
    CHECK_EQ(sr.received, n_sizes * N);
    pfk_udp_close(tx);
    pfk_udp_close(rx);
}

static void batches_arrive_whole_and_in_order(void **state)
{
    exchange(false, false, 1);
}

static void plain_path_does_the_same(void **state)
{
    exchange(true, true, 7);
    exchange(false, true, 89);
    exchange(true, false, 89);
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
        struct pfk_udp_stats stats;
        pfk_udp_get_stats(rx, &stats);
        CHECK_EQ(stats.received, 1);
        CHECK_EQ(stats.recv_dropped, 2);
        pfk_udp_close(tx);
        pfk_udp_close(rx);
    }
}

// The receiver keeps pace on its own thread, as in a session; every chunk has another length.
enum { STREAM = 5000, STREAM_BYTES = 1472 };

struct stream {
    struct pfk_udp *rx;
    atomic_uint received, wrong;
};

static void *receive_stream(void *opaque)
{
    struct stream *s = opaque;
    while (atomic_load(&s->received) < STREAM) {
        const struct pfk_udp_datagram *d;
        int n = pfk_udp_recv(s->rx, 10000, &d);
        if (n <= 0) {
            break;
        }
        unsigned at = atomic_load(&s->received);
        for (int i = 0; i < n; i++, at++) {
            uint32_t number;
            memcpy(&number, d[i].bytes, sizeof(number));
            s->wrong += d[i].n_bytes != STREAM_BYTES || number != at;
        }
        atomic_store(&s->received, at);
    }
    return NULL;
}

static void stream_to_a_thread(bool plain)
{
    static uint8_t all[STREAM * STREAM_BYTES];
    for (uint32_t i = 0; i < STREAM; i++) {
        memcpy(all + (size_t)i * STREAM_BYTES, &i, sizeof(i));
    }
    struct pfk_udp *tx = open_one(plain, STOCK_BUFFER);
    struct stream s = {.rx = open_one(plain, STOCK_BUFFER)};
    struct sockaddr_storage to = loopback(pfk_udp_port(s.rx));
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, receive_stream, &s), 0);
    unsigned at = 0;
    for (unsigned chunk = 1; at < STREAM; chunk = chunk * 7 % 97) {
        unsigned n = chunk < STREAM - at ? chunk : STREAM - at;
        CHECK_EQ(pfk_udp_send(tx, &to, all + (size_t)at * STREAM_BYTES, STREAM_BYTES, n), n);
        at += n;
        struct pfk_udp_stats stats; // any thread may ask, at any time
        pfk_udp_get_stats(s.rx, &stats);
        CHECK(stats.received <= at);
        for (int ms = 0; at - atomic_load(&s.received) > 60 && ms < 10000; ms++) {
            poll(NULL, 0, 1);
        }
    }
    pthread_join(t, NULL);
    CHECK_EQ(atomic_load(&s.received), STREAM);
    CHECK_EQ(atomic_load(&s.wrong), 0);
    pfk_udp_close(tx);
    pfk_udp_close(s.rx);
}

static void a_long_stream_stays_in_order_between_threads(void **state)
{
    stream_to_a_thread(false);
    stream_to_a_thread(true);
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

struct warning {
    int lines;
    char text[1024];
};

static void keep_log(void *opaque, enum pfk_log_level level, const char *text)
{
    struct warning *w = opaque;
    w->lines++;
    CHECK_EQ(level, PFK_LOG_WARN);
    snprintf(w->text, sizeof(w->text), "%s", text);
}

// No kernel grants 2 GiB, not even to root.
static void smaller_buffers_than_asked_for_are_told_once_with_the_remedy(void **state)
{
    struct warning w = {0};
    struct pfk_udp *u;
    struct pfk_udp_config cfg = {
        .bind = loopback(0), .buffer_bytes = INT32_MAX, .log = {keep_log, &w}};
    CHECK_EQ(pfk_udp_open(&u, &cfg), PFK_OK);
    CHECK_EQ(w.lines, 1);
    CHECK(strstr(w.text, "/etc/sysctl.d/99-punktfunk.conf"));
    CHECK(strstr(w.text, "2097151 KiB"));
    pfk_udp_close(u);
}

static void the_ipv6_wildcard_takes_ipv4_peers_too(void **state)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    struct pfk_udp_config cfg = {0};
    memcpy(&cfg.bind, &any, sizeof(any));
    struct pfk_udp *both;
    if (pfk_udp_open(&both, &cfg) != PFK_OK) {
        skip(); // a machine without IPv6
    }
    struct pfk_udp *four = open_one(false, 0);
    struct sockaddr_storage to = loopback(pfk_udp_port(both)), from = loopback(0);
    CHECK_EQ(pfk_udp_send(four, &to, (const uint8_t *)"4", 1, 1), 1);
    const struct pfk_udp_datagram *d;
    CHECK_EQ(pfk_udp_recv(both, 5000, &d), 1);
    CHECK(pfk_same_ip(d[0].from, &from));
    // The mapped address that it saw is good for the answer, with and without a connection.
    struct sockaddr_storage peer = *d[0].from;
    CHECK_EQ(pfk_udp_send(both, &peer, (const uint8_t *)"6", 1, 1), 1);
    CHECK_EQ(pfk_udp_recv(four, 5000, &d), 1);
    CHECK_EQ(pfk_udp_connect(both, &peer), PFK_OK);
    CHECK_EQ(pfk_udp_send(both, NULL, (const uint8_t *)"6", 1, 1), 1);
    CHECK_EQ(pfk_udp_recv(four, 5000, &d), 1);
    pfk_udp_close(both);
    pfk_udp_close(four);
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
        cmocka_unit_test(a_long_stream_stays_in_order_between_threads),
        cmocka_unit_test(a_refused_port_is_survived),
        cmocka_unit_test(a_connected_socket_hears_its_peer_only),
        cmocka_unit_test(a_waiting_receiver_can_be_woken),
        cmocka_unit_test(a_busy_port_is_told),
        cmocka_unit_test(smaller_buffers_than_asked_for_are_told_once_with_the_remedy),
        cmocka_unit_test(the_ipv6_wildcard_takes_ipv4_peers_too),
        cmocka_unit_test(mapped_addresses_are_the_same_ip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
