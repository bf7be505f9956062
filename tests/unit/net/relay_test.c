// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tools/relay.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/udp.h"
#include "tests/unit/check.h"

#include <arpa/inet.h>
#include <pthread.h>

enum { SIZE = 1200, STOCK_BUFFER = 212992 };

static struct sockaddr_in at(const char *ip, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, ip, &in.sin_addr);
    return in;
}

static struct sockaddr_storage stored(struct sockaddr_in in)
{
    struct sockaddr_storage a = {0};
    memcpy(&a, &in, sizeof(in));
    return a;
}

static struct pfk_udp *open_socket(void)
{
    struct pfk_udp *u;
    struct pfk_udp_config cfg = {.bind = stored(at("127.0.0.1", 0)), .buffer_bytes = STOCK_BUFFER};
    CHECK_EQ(pfk_udp_open(&u, &cfg), PFK_OK);
    return u;
}

// A host behind a running relay. Clients dial 127.0.0.2 with the host's port number.
struct bench {
    struct pfk_udp *host;
    uint16_t port;
    struct relay *relay;
    pthread_t thread;
};

static void *run_relay(void *relay)
{
    relay_run(relay, 0);
    return NULL;
}

static struct bench start(struct relay_config cfg)
{
    struct bench b = {.host = open_socket()};
    b.port = pfk_udp_port(b.host);
    cfg.listen = at("127.0.0.2", 0);
    cfg.to = at("127.0.0.1", 0);
    cfg.ports[0] = b.port;
    cfg.n_ports = 1;
    cfg.impaired[RELAY_DOWN] = cfg.impaired[RELAY_UP] = true;
    CHECK_EQ(relay_open(&b.relay, &cfg), PFK_OK);
    CHECK_EQ(pthread_create(&b.thread, NULL, run_relay, b.relay), 0);
    return b;
}

// The counters may be read from here on.
static void stop(struct bench *b)
{
    relay_stop(b->relay);
    pthread_join(b->thread, NULL);
}

static void finish(struct bench *b)
{
    relay_close(b->relay);
    pfk_udp_close(b->host);
}

static struct pfk_udp *dial(const struct bench *b)
{
    struct pfk_udp *u = open_socket();
    struct sockaddr_storage to = stored(at("127.0.0.2", b->port));
    CHECK_EQ(pfk_udp_connect(u, &to), PFK_OK);
    return u;
}

// One byte from a client; where the host sees it come from.
static struct sockaddr_storage knock(const struct bench *b, struct pfk_udp *client, char byte)
{
    const struct pfk_udp_datagram *d;
    CHECK_EQ(pfk_udp_send(client, NULL, (const uint8_t *)&byte, 1, 1), 1);
    CHECK_EQ(pfk_udp_recv(b->host, 10000, &d), 1);
    CHECK_EQ(d[0].bytes[0], byte);
    return *d[0].from;
}

// Receives `want` numbered datagrams; each number goes to `order` when it is given.
static void take_numbers(struct pfk_udp *u, unsigned want, unsigned *order)
{
    for (unsigned got = 0; got < want;) {
        const struct pfk_udp_datagram *d;
        int n = pfk_udp_recv(u, 10000, &d);
        CHECK(n > 0);
        for (int i = 0; i < n; i++, got++) {
            uint32_t number;
            CHECK(got < want);
            CHECK_EQ(d[i].n_bytes, SIZE);
            memcpy(&number, d[i].bytes, sizeof(number));
            if (order) {
                order[got] = number;
            } else {
                CHECK_EQ(number, got);
            }
        }
    }
}

static void send_numbers(struct pfk_udp *u, const struct sockaddr_storage *to, unsigned n)
{
    static uint8_t bytes[100 * SIZE];
    CHECK(n <= 100);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(bytes + (size_t)i * SIZE, &i, sizeof(i));
    }
    CHECK_EQ(pfk_udp_send(u, to, bytes, SIZE, n), n);
}

static void each_client_has_its_own_way_and_back(void **state)
{
    struct bench b = start((struct relay_config){0});
    struct pfk_udp *one = dial(&b), *two = dial(&b);
    struct sockaddr_storage from_one = knock(&b, one, '1'), from_two = knock(&b, two, '2');
    struct sockaddr_storage again = knock(&b, one, '3');
    CHECK(memcmp(&again, &from_one, sizeof(struct sockaddr_in)) == 0);
    CHECK(memcmp(&from_two, &from_one, sizeof(struct sockaddr_in)) != 0);
    send_numbers(b.host, &from_one, 100); // connected sockets hear the relay's address only
    take_numbers(one, 100, NULL);
    send_numbers(b.host, &from_two, 7);
    take_numbers(two, 7, NULL);
    const struct pfk_udp_datagram *d;
    CHECK_EQ(pfk_udp_recv(one, 0, &d), 0);
    stop(&b);
    const struct relay_counters *down = relay_count(b.relay, 0, RELAY_DOWN);
    CHECK_EQ(down->received, 107);
    CHECK_EQ(down->forwarded, 107);
    CHECK_EQ(relay_count(b.relay, 0, RELAY_UP)->forwarded, 3);
    pfk_udp_close(one);
    pfk_udp_close(two);
    finish(&b);
}

static void the_lost_ones_are_those_the_seed_names(void **state)
{
    const struct impair_config impair = {.loss = 0.2, .seed = 11};
    struct impair model;
    impair_init(&model, &impair); // the first port's way down uses the seed as it is
    unsigned want[100], n = 0, order[100];
    for (unsigned i = 0; i < 100; i++) {
        if (!impair_loses(&model)) {
            want[n++] = i;
        }
    }
    struct relay_config cfg = {.impair = impair};
    struct bench b = start(cfg);
    struct pfk_udp *client = dial(&b);
    const struct pfk_udp_datagram *d;
    while (pfk_udp_recv(b.host, 50, &d) == 0) { // the way up loses too
        CHECK(pfk_udp_send(client, NULL, (const uint8_t *)"k", 1, 1) <= 1);
    }
    struct sockaddr_storage from = *d[0].from;
    send_numbers(b.host, &from, 100);
    take_numbers(client, n, order);
    CHECK(memcmp(order, want, n * sizeof(*want)) == 0);
    stop(&b);
    const struct relay_counters *c = relay_count(b.relay, 0, RELAY_DOWN);
    CHECK_EQ(c->received, 100);
    CHECK_EQ(c->lost, 100 - n);
    CHECK_EQ(c->forwarded, n);
    pfk_udp_close(client);
    finish(&b);
}

static void held_packets_come_late_in_order_and_twice_when_asked(void **state)
{
    struct relay_config cfg = {.impair = {.delay_ns = 20000000, .duplicate = 1}};
    struct bench b = start(cfg);
    struct pfk_udp *client = dial(&b);
    uint64_t begin = pfk_clock_monotonic_ns();
    send_numbers(client, NULL, 50);
    unsigned order[100];
    take_numbers(b.host, 100, order);
    CHECK(pfk_clock_monotonic_ns() - begin >= 20000000);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(order[i], i / 2);
    }
    stop(&b);
    CHECK_EQ(relay_count(b.relay, 0, RELAY_UP)->duplicated, 50);
    pfk_udp_close(client);
    finish(&b);
}

static void jitter_and_reordering_lose_nothing(void **state)
{
    struct relay_config cfg = {
        .impair = {.jitter_ns = 3000000, .reorder = 0.3, .reorder_ns = 2000000, .seed = 2}};
    struct bench b = start(cfg);
    struct pfk_udp *client = dial(&b);
    send_numbers(client, NULL, 100);
    unsigned order[100], out_of_order = 0;
    bool seen[100] = {false};
    take_numbers(b.host, 100, order);
    for (unsigned i = 0; i < 100; i++) {
        CHECK(order[i] < 100 && !seen[order[i]]);
        seen[order[i]] = true;
        out_of_order += i > 0 && order[i] < order[i - 1];
    }
    CHECK(out_of_order > 10);
    stop(&b);
    CHECK_EQ(relay_count(b.relay, 0, RELAY_UP)->forwarded, 100);
    CHECK(relay_count(b.relay, 0, RELAY_UP)->reordered > 10);
    pfk_udp_close(client);
    finish(&b);
}

static void a_full_queue_in_front_of_the_limit_drops(void **state)
{
    // 100 at once, and the queue has room for ten.
    struct relay_config cfg = {.impair = {.rate_bps = 1000000, .queue_bytes = 10 * SIZE}};
    struct bench b = start(cfg);
    struct pfk_udp *client = dial(&b);
    send_numbers(client, NULL, 100);
    unsigned order[10];
    take_numbers(b.host, 10, order);
    stop(&b);
    const struct relay_counters *c = relay_count(b.relay, 0, RELAY_UP);
    CHECK_EQ(c->received, 100);
    CHECK(c->over_rate > 0 && c->forwarded >= 10);
    CHECK_EQ(c->lost, 0);
    pfk_udp_close(client);
    finish(&b);
}

static void old_clients_make_room_for_new_ones(void **state)
{
    struct bench b = start((struct relay_config){0});
    struct pfk_udp *first = dial(&b), *last = NULL;
    struct sockaddr_storage from_first = knock(&b, first, 'f');
    for (int i = 0; i < RELAY_MAX_FLOWS + 10; i++) {
        pfk_udp_close(last);
        last = dial(&b);
        struct sockaddr_storage from = knock(&b, last, 'n');
        send_numbers(b.host, &from, 3);
        take_numbers(last, 3, NULL);
    }
    // The first one is forgotten, and is a new client when it speaks again.
    struct sockaddr_storage now = knock(&b, first, 'a');
    CHECK(memcmp(&now, &from_first, sizeof(struct sockaddr_in)) != 0);
    send_numbers(b.host, &now, 3);
    take_numbers(first, 3, NULL);
    stop(&b);
    CHECK_EQ(relay_count(b.relay, 0, RELAY_UP)->not_sent, 0);
    pfk_udp_close(first);
    pfk_udp_close(last);
    finish(&b);
}

static void a_busy_port_is_said_at_once(void **state)
{
    struct bench b = start((struct relay_config){0});
    struct relay_config cfg = {
        .listen = at("127.0.0.2", 0), .to = at("127.0.0.1", 0), .ports = {b.port}, .n_ports = 1};
    struct relay *second;
    CHECK_EQ(relay_open(&second, &cfg), PFK_E_BUSY);
    cfg.n_ports = 0;
    CHECK_EQ(relay_open(&second, &cfg), PFK_E_INVALID);
    stop(&b);
    finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_client_has_its_own_way_and_back),
        cmocka_unit_test(the_lost_ones_are_those_the_seed_names),
        cmocka_unit_test(held_packets_come_late_in_order_and_twice_when_asked),
        cmocka_unit_test(jitter_and_reordering_lose_nothing),
        cmocka_unit_test(a_full_queue_in_front_of_the_limit_drops),
        cmocka_unit_test(old_clients_make_room_for_new_ones),
        cmocka_unit_test(a_busy_port_is_said_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
