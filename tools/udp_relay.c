// SPDX-License-Identifier: MIT OR Apache-2.0
// udp-relay: a bad network between a client and a host on one machine. Client sockets are
// connected, so the relay has an address of its own (127.0.0.2) and keeps the host's port numbers.
#include "tools/impair.h"

#include "core/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_PORTS = 4,
    MAX_FLOWS = 64, // client addresses, over all ports
    MAX_WAITING = 1 << 16,
    MAX_BYTES = 65536,
    READ_BATCH = 256
};

enum direction { DOWN, UP, N_DIRECTIONS }; // host to client, client to host

struct counters {
    uint64_t received, forwarded, lost, duplicated, reordered, over_rate, not_sent;
};

struct port {
    uint16_t number;
    int fd;
    bool impaired;
    struct counters counters[N_DIRECTIONS];
    struct impair impair[N_DIRECTIONS];
};

struct flow { // one client socket as the host sees it
    struct port *port;
    struct sockaddr_in client;
    int fd; // connected to the host
};

struct waiting {
    uint64_t due_ns, order;
    struct flow *flow;
    enum direction direction;
    size_t n_bytes;
    uint8_t *bytes;
};

struct relay {
    struct sockaddr_in listen, to;
    struct port ports[MAX_PORTS];
    unsigned n_ports;
    struct flow flows[MAX_FLOWS];
    unsigned n_flows;
    struct waiting *heap;
    size_t n_waiting;
    uint64_t n_packets;
    struct impair_config impair;
    bool directions[N_DIRECTIONS];
    unsigned only_port;
    double seconds;
    const char *json;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    stopped = 1;
}

static void usage(FILE *to)
{
    fputs("Usage: udp-relay --listen ADDRESS --to ADDRESS --port PORT [--port PORT] [options]\n"
          "\n"
          "Forwards UDP between clients that dial ADDRESS and a host, port by port, and treats "
          "packets\n"
          "as a bad network would. The host needs a fixed video port (--data-port).\n"
          "\n"
          "  --listen ADDRESS        own address                                     [127.0.0.2]\n"
          "  --to ADDRESS            the host's                                      [127.0.0.1]\n"
          "  --port PORT             forward this port; repeat for each\n"
          "  --loss PERCENT          share of packets to lose\n"
          "  --loss-model MODEL      random, burst, periodic                            [random]\n"
          "  --burst N               mean length of a run of losses (model burst)            [3]\n"
          "  --delay MS, --jitter MS wait so long, and up to so much longer\n"
          "  --reorder PERCENT       hold this share back by 2 ms\n"
          "  --duplicate PERCENT     send this share twice\n"
          "  --rate MBIT             limit, with --queue-bytes N in front of it        [262144]\n"
          "  --direction WHICH       down (host to client), up, both                      [both]\n"
          "  --only-port PORT        treat this port only, forward the others as they are\n"
          "  --seed N                the same seed loses the same packets                    [1]\n"
          "  --seconds S             end after so long\n"
          "  --json FILE             write the counters at the end\n"
          "\n"
          "Example, 3 % random loss of video:\n"
          "  punktfunk-host serve --data-port 9778 --fec-percent 20\n"
          "  udp-relay --port 9777 --port 9778 --only-port 9778 --direction down --loss 3\n"
          "  punktfunk-client --connect 127.0.0.2\n",
          to);
}

static bool parse_address(const char *text, struct sockaddr_in *out)
{
    out->sin_family = AF_INET;
    return inet_pton(AF_INET, text, &out->sin_addr) == 1;
}

static bool parse_share(const char *text, double *out)
{
    char *end;
    double v = strtod(text, &end);
    *out = v / 100;
    return (*end == 0 || strcmp(end, "%") == 0) && v >= 0 && v <= 100;
}

static bool parse_ms(const char *text, uint64_t *out)
{
    char *end;
    double v = strtod(text, &end);
    *out = (uint64_t)(v * 1e6);
    return *end == 0 && v >= 0 && v < 60000;
}

static bool parse_direction(struct relay *r, const char *text)
{
    r->directions[DOWN] = strcmp(text, "up") != 0;
    r->directions[UP] = strcmp(text, "down") != 0;
    return strcmp(text, "up") == 0 || strcmp(text, "down") == 0 || strcmp(text, "both") == 0;
}

static bool add_port(struct relay *r, const char *text)
{
    unsigned long v = strtoul(text, NULL, 10);
    if (v == 0 || v > 65535 || r->n_ports == MAX_PORTS) {
        return false;
    }
    r->ports[r->n_ports++] = (struct port){.number = (uint16_t)v, .fd = -1};
    return true;
}

enum option_id {
    LISTEN = 1,
    TO,
    PORT,
    LOSS,
    MODEL,
    BURST,
    DELAY,
    JITTER,
    REORDER,
    DUPLICATE,
    RATE,
    QUEUE,
    DIRECTION,
    ONLY_PORT,
    SEED,
    SECONDS,
    JSON_FILE,
    HELP
};

static bool take_option(struct relay *r, int id, const char *value)
{
    switch (id) {
    case LISTEN:
        return parse_address(value, &r->listen);
    case TO:
        return parse_address(value, &r->to);
    case PORT:
        return add_port(r, value);
    case LOSS:
        return parse_share(value, &r->impair.loss);
    case MODEL:
        return impair_parse_model(value, &r->impair.model);
    case BURST:
        r->impair.burst = strtod(value, NULL);
        return r->impair.burst >= 1;
    case DELAY:
        return parse_ms(value, &r->impair.delay_ns);
    case JITTER:
        return parse_ms(value, &r->impair.jitter_ns);
    case REORDER:
        return parse_share(value, &r->impair.reorder);
    case DUPLICATE:
        return parse_share(value, &r->impair.duplicate);
    case RATE:
        r->impair.rate_bps = (uint64_t)(strtod(value, NULL) * 1e6);
        return r->impair.rate_bps > 0;
    case QUEUE:
        r->impair.queue_bytes = strtoul(value, NULL, 10);
        return r->impair.queue_bytes > 0;
    case DIRECTION:
        return parse_direction(r, value);
    case ONLY_PORT:
        r->only_port = (unsigned)strtoul(value, NULL, 10);
        return r->only_port > 0;
    case SEED:
        r->impair.seed = strtoull(value, NULL, 10);
        return true;
    case SECONDS:
        r->seconds = strtod(value, NULL);
        return r->seconds > 0;
    case JSON_FILE:
        r->json = value;
        return true;
    default:
        return false;
    }
}

static int parse_options(struct relay *r, int argc, char **argv)
{
    static const struct option longopts[] = {
        {"listen", 1, NULL, LISTEN},
        {"to", 1, NULL, TO},
        {"port", 1, NULL, PORT},
        {"loss", 1, NULL, LOSS},
        {"loss-model", 1, NULL, MODEL},
        {"burst", 1, NULL, BURST},
        {"delay", 1, NULL, DELAY},
        {"jitter", 1, NULL, JITTER},
        {"reorder", 1, NULL, REORDER},
        {"duplicate", 1, NULL, DUPLICATE},
        {"rate", 1, NULL, RATE},
        {"queue-bytes", 1, NULL, QUEUE},
        {"direction", 1, NULL, DIRECTION},
        {"only-port", 1, NULL, ONLY_PORT},
        {"seed", 1, NULL, SEED},
        {"seconds", 1, NULL, SECONDS},
        {"json", 1, NULL, JSON_FILE},
        {"help", 0, NULL, HELP},
        {0},
    };
    int id, index = 0;
    while ((id = getopt_long(argc, argv, "", longopts, &index)) != -1) {
        if (id == HELP) {
            usage(stdout);
            exit(0);
        }
        if (id == '?' || !take_option(r, id, optarg)) {
            if (id != '?') {
                fprintf(stderr, "udp-relay: \"%s\" is not possible for --%s; see --help\n", optarg,
                        longopts[index].name);
            }
            return -1;
        }
    }
    if (r->n_ports == 0 || optind < argc) {
        usage(stderr);
        return -1;
    }
    return 0;
}

static int open_socket(const struct sockaddr_in *bind_to)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int size = 32 << 20;
    if (fd >= 0) { // as much as may be: the relay must not lose by itself
        (void)(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) == 0 ||
               setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0);
        (void)(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) == 0 ||
               setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
        if (bind_to && bind(fd, (const struct sockaddr *)bind_to, sizeof(*bind_to)) != 0) {
            close(fd);
            fd = -1;
        }
    }
    return fd;
}

static int open_ports(struct relay *r)
{
    for (unsigned i = 0; i < r->n_ports; i++) {
        struct port *p = &r->ports[i];
        struct sockaddr_in at = r->listen;
        at.sin_port = htons(p->number);
        p->fd = open_socket(&at);
        if (p->fd < 0) {
            fprintf(stderr, "udp-relay: cannot listen on UDP %s:%u: %s\n", inet_ntoa(at.sin_addr),
                    p->number, strerror(errno));
            return -1;
        }
        p->impaired = !r->only_port || r->only_port == p->number;
        for (int d = 0; d < N_DIRECTIONS; d++) {
            struct impair_config c = r->impair;
            c.seed += 1000 * i + 100 * (unsigned)d;
            impair_init(&p->impair[d], &c);
        }
    }
    return 0;
}

static struct flow *find_flow(struct relay *r, struct port *p, const struct sockaddr_in *client)
{
    for (unsigned i = 0; i < r->n_flows; i++) {
        struct flow *f = &r->flows[i];
        if (f->port == p && f->client.sin_port == client->sin_port &&
            f->client.sin_addr.s_addr == client->sin_addr.s_addr) {
            return f;
        }
    }
    if (r->n_flows == MAX_FLOWS) {
        return NULL;
    }
    struct flow *f = &r->flows[r->n_flows];
    struct sockaddr_in to = r->to;
    to.sin_port = htons(p->number);
    *f = (struct flow){.port = p, .client = *client, .fd = open_socket(NULL)};
    if (f->fd < 0 || connect(f->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        return NULL;
    }
    r->n_flows++;
    return f;
}

static void deliver(struct flow *f, enum direction d, const uint8_t *bytes, size_t n)
{
    ssize_t rc = -1;
    for (int attempt = 0; attempt < 2 && rc < 0; attempt++) { // the first may only hear an old ICMP
        rc = d == UP ? send(f->fd, bytes, n, MSG_NOSIGNAL)
                     : sendto(f->port->fd, bytes, n, MSG_NOSIGNAL, (struct sockaddr *)&f->client,
                              sizeof(f->client));
    }
    struct counters *c = &f->port->counters[d];
    c->forwarded += rc >= 0;
    c->not_sent += rc < 0;
}

// --- packets that wait, in a heap by due time ---

static bool before(const struct waiting *a, const struct waiting *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void swap(struct waiting *a, struct waiting *b)
{
    struct waiting t = *a;
    *a = *b;
    *b = t;
}

static bool push_waiting(struct relay *r, struct waiting w)
{
    if (r->n_waiting == MAX_WAITING) {
        return false;
    }
    size_t i = r->n_waiting++;
    r->heap[i] = w;
    for (; i > 0 && before(&r->heap[i], &r->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        swap(&r->heap[i], &r->heap[(i - 1) / 2]);
    }
    return true;
}

static struct waiting pop_waiting(struct relay *r)
{
    struct waiting first = r->heap[0];
    r->heap[0] = r->heap[--r->n_waiting];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
            if (child < r->n_waiting && before(&r->heap[child], &r->heap[least])) {
                least = child;
            }
        }
        if (least == i) {
            return first;
        }
        swap(&r->heap[i], &r->heap[least]);
        i = least;
    }
}

static void send_due(struct relay *r, uint64_t now_ns)
{
    while (r->n_waiting && r->heap[0].due_ns <= now_ns) {
        struct waiting w = pop_waiting(r);
        deliver(w.flow, w.direction, w.bytes, w.n_bytes);
        free(w.bytes);
    }
}

static void hold(struct relay *r, struct flow *f, enum direction d, const uint8_t *bytes, size_t n,
                 uint64_t due_ns)
{
    struct waiting w = {due_ns, r->n_packets++, f, d, n, malloc(n ? n : 1)};
    if (!w.bytes) {
        f->port->counters[d].not_sent++;
        return;
    }
    memcpy(w.bytes, bytes, n);
    if (!push_waiting(r, w)) {
        free(w.bytes);
        f->port->counters[d].not_sent++;
    }
}

static void take(struct relay *r, struct flow *f, enum direction d, const uint8_t *bytes, size_t n,
                 uint64_t now_ns)
{
    struct counters *c = &f->port->counters[d];
    c->received++;
    if (!f->port->impaired || !r->directions[d]) {
        deliver(f, d, bytes, n);
        return;
    }
    struct impair_fate fate = impair_packet(&f->port->impair[d], n, now_ns);
    c->lost += fate.lost;
    c->over_rate += fate.over_rate;
    c->reordered += fate.reordered;
    c->duplicated += fate.copies == 2;
    for (unsigned i = 0; i < fate.copies; i++) {
        if (fate.delay_ns == 0) {
            deliver(f, d, bytes, n);
        } else {
            hold(r, f, d, bytes, n, now_ns + fate.delay_ns);
        }
    }
}

static void read_from_clients(struct relay *r, struct port *p)
{
    static uint8_t bytes[MAX_BYTES];
    for (int i = 0; i < READ_BATCH; i++) {
        struct sockaddr_in from;
        socklen_t from_bytes = sizeof(from);
        ssize_t n = recvfrom(p->fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &from_bytes);
        struct flow *f = n >= 0 ? find_flow(r, p, &from) : NULL;
        if (n < 0) {
            return;
        }
        if (f) {
            take(r, f, UP, bytes, (size_t)n, pfk_clock_monotonic_ns());
        }
    }
}

static void read_from_host(struct relay *r, struct flow *f)
{
    static uint8_t bytes[MAX_BYTES];
    for (int i = 0; i < READ_BATCH; i++) {
        ssize_t n = recv(f->fd, bytes, sizeof(bytes), 0);
        if (n < 0) {
            return;
        }
        take(r, f, DOWN, bytes, (size_t)n, pfk_clock_monotonic_ns());
    }
}

static void run(struct relay *r)
{
    const uint64_t begin = pfk_clock_monotonic_ns();
    const uint64_t end = r->seconds > 0 ? begin + (uint64_t)(r->seconds * 1e9) : UINT64_MAX;
    while (!stopped) {
        uint64_t now = pfk_clock_monotonic_ns();
        if (now >= end) {
            return;
        }
        send_due(r, now);
        uint64_t until = r->n_waiting && r->heap[0].due_ns < end ? r->heap[0].due_ns : end;
        uint64_t left = until == UINT64_MAX ? 1000000000u : until > now ? until - now : 0;
        struct timespec wait = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
        struct pollfd fds[MAX_PORTS + MAX_FLOWS];
        nfds_t n = 0;
        for (unsigned i = 0; i < r->n_ports; i++) {
            fds[n++] = (struct pollfd){r->ports[i].fd, POLLIN, 0};
        }
        unsigned n_flows = r->n_flows;
        for (unsigned i = 0; i < n_flows; i++) {
            fds[n++] = (struct pollfd){r->flows[i].fd, POLLIN, 0};
        }
        if (ppoll(fds, n, &wait, NULL) <= 0) {
            continue;
        }
        for (unsigned i = 0; i < r->n_ports; i++) {
            if (fds[i].revents) {
                read_from_clients(r, &r->ports[i]);
            }
        }
        for (unsigned i = 0; i < n_flows; i++) {
            if (fds[r->n_ports + i].revents) {
                read_from_host(r, &r->flows[i]);
            }
        }
    }
}

static void report(const struct relay *r)
{
    static const char *const names[] = {"down", "up"};
    json_t *all = json_array();
    for (unsigned i = 0; i < r->n_ports; i++) {
        for (int d = 0; d < N_DIRECTIONS; d++) {
            const struct counters *c = &r->ports[i].counters[d];
            fprintf(
                stderr,
                "port %u %-4s %llu received, %llu forwarded, %llu lost, %llu over the rate, %llu "
                "duplicated, %llu reordered, %llu not sent\n",
                r->ports[i].number, names[d], (unsigned long long)c->received,
                (unsigned long long)c->forwarded, (unsigned long long)c->lost,
                (unsigned long long)c->over_rate, (unsigned long long)c->duplicated,
                (unsigned long long)c->reordered, (unsigned long long)c->not_sent);
            json_array_append_new(
                all,
                json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "port", r->ports[i].number,
                          "direction", names[d], "received", (json_int_t)c->received, "forwarded",
                          (json_int_t)c->forwarded, "lost", (json_int_t)c->lost, "over_rate",
                          (json_int_t)c->over_rate, "duplicated", (json_int_t)c->duplicated,
                          "reordered", (json_int_t)c->reordered));
        }
    }
    if (r->json && json_dump_file(all, r->json, JSON_INDENT(2)) != 0) {
        fprintf(stderr, "udp-relay: cannot write %s: %s\n", r->json, strerror(errno));
    }
    json_decref(all);
}

int main(int argc, char **argv)
{
    static struct relay r = {
        .directions = {true, true},
        .impair = {.burst = 3, .reorder_ns = 2000000, .queue_bytes = 262144, .seed = 1}};
    parse_address("127.0.0.2", &r.listen);
    parse_address("127.0.0.1", &r.to);
    if (parse_options(&r, argc, argv) != 0) {
        return 2;
    }
    r.heap = malloc(MAX_WAITING * sizeof(*r.heap));
    if (!r.heap || open_ports(&r) != 0) {
        return 1;
    }
    const struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    fputs("ready\n", stderr);
    run(&r);
    while (r.n_waiting) {
        free(pop_waiting(&r).bytes);
    }
    free(r.heap);
    report(&r);
    return 0;
}
