// SPDX-License-Identifier: MIT OR Apache-2.0
// udp-relay: a bad network between a client and a host on one machine. Client sockets are
// connected, so the relay has an address of its own (127.0.0.2) and keeps the host's port numbers.
#include "tools/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { WARNING_BYTES = 1100 };

struct options {
    struct relay_config relay;
    double seconds;
    const char *json;
};

static struct relay *running; // for the signal handler

static void on_signal(int sig)
{
    relay_stop(running);
}

// Scripts wait for "ready" as the first line, and every port gets the same buffers: a warning is
// kept until then and said once.
static void keep_warning(void *opaque, enum pfk_log_level level, const char *text)
{
    char *warning = opaque;
    if (level == PFK_LOG_WARN) {
        snprintf(warning, WARNING_BYTES, "udp-relay: %s\n", text);
    } else {
        fprintf(stderr, "udp-relay: %s\n", text);
    }
}

static void usage(FILE *to)
{
    fputs(
        "Usage: udp-relay --port PORT [--port PORT] [options]\n"
        "\n"
        "Forwards UDP between clients that dial its own address and a host, port by port, and\n"
        "treats packets as a bad network would. The host needs a fixed video port (--data-port).\n"
        "\n"
        "  --listen ADDRESS     own address                                     [127.0.0.2]\n"
        "  --to ADDRESS         the host's                                      [127.0.0.1]\n"
        "  --port PORT          forward this port; once for each, up to four\n"
        "  --loss PERCENT       share of packets to lose\n"
        "  --loss-model MODEL   random, burst or periodic                          [random]\n"
        "  --burst N            mean length of a run of losses (model burst)            [3]\n"
        "  --delay MS           hold every packet back\n"
        "  --jitter MS          and by up to so much more, each on its own\n"
        "  --reorder PERCENT    hold this share back by 2 ms\n"
        "  --duplicate PERCENT  send this share twice\n"
        "  --rate MBIT          limit; what waits longer than the queue is dropped\n"
        "  --queue-bytes N      in front of the limit                              [262144]\n"
        "  --direction WHICH    down (host to client), up, both                      [both]\n"
        "  --only-port PORT     impair this port only, forward the others as they are\n"
        "  --seed N             the same seed loses the same packets                    [1]\n"
        "  --seconds S          end after so long; otherwise with SIGINT or SIGTERM\n"
        "  --json FILE          write the counters at the end\n"
        "  --help\n"
        "\n"
        "Prints \"ready\" once every port is bound, and the counters at the end (stderr).\n"
        "\n"
        "Example, 3 % random loss of video:\n"
        "  punktfunk-host serve --data-port 9778 --fec-percent 20\n"
        "  udp-relay --port 9777 --port 9778 --only-port 9778 --direction down --loss 3\n"
        "  punktfunk-client --connect 127.0.0.2\n",
        to);
}

// A number from least to most, with nothing behind it but, where it is given, `unit`.
static bool parse_number(const char *text, const char *unit, double least, double most, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && (*end == 0 || strcmp(end, unit) == 0) && *out >= least && *out <= most;
}

static bool parse_integer(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == 0 && errno == 0 && *out >= least && *out <= most;
}

static bool parse_share(const char *text, double *out)
{
    bool ok = parse_number(text, "%", 0, 100, out);
    *out /= 100;
    return ok;
}

static bool parse_ms(const char *text, uint64_t *out)
{
    double ms;
    bool ok = parse_number(text, "ms", 0, 60000, &ms);
    *out = ok ? (uint64_t)(ms * 1e6) : 0;
    return ok;
}

static bool parse_rate(const char *text, uint64_t *out)
{
    double mbit;
    bool ok = parse_number(text, "", 0.001, 1e6, &mbit);
    *out = ok ? (uint64_t)(mbit * 1e6) : 0;
    return ok;
}

static bool parse_size(const char *text, size_t *out)
{
    uint64_t v;
    bool ok = parse_integer(text, 1, 1u << 30, &v);
    *out = (size_t)v;
    return ok;
}

static bool parse_port(const char *text, uint16_t *out)
{
    uint64_t v;
    bool ok = parse_integer(text, 1, 65535, &v);
    *out = (uint16_t)v;
    return ok;
}

static bool parse_address(const char *text, struct sockaddr_in *out)
{
    out->sin_family = AF_INET;
    return inet_pton(AF_INET, text, &out->sin_addr) == 1;
}

static bool parse_direction(const char *text, bool *impaired)
{
    impaired[RELAY_DOWN] = strcmp(text, "up") != 0;
    impaired[RELAY_UP] = strcmp(text, "down") != 0;
    return strcmp(text, "up") == 0 || strcmp(text, "down") == 0 || strcmp(text, "both") == 0;
}

static bool add_port(struct relay_config *c, const char *text)
{
    return c->n_ports < RELAY_MAX_PORTS && parse_port(text, &c->ports[c->n_ports++]);
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

static bool take_option(struct options *o, int id, const char *value)
{
    struct relay_config *c = &o->relay;
    struct impair_config *i = &c->impair;
    switch (id) {
    case LISTEN:
        return parse_address(value, &c->listen);
    case TO:
        return parse_address(value, &c->to);
    case PORT:
        return add_port(c, value);
    case LOSS:
        return parse_share(value, &i->loss);
    case MODEL:
        return impair_parse_model(value, &i->model);
    case BURST:
        return parse_number(value, "", 1, 1e6, &i->burst);
    case DELAY:
        return parse_ms(value, &i->delay_ns);
    case JITTER:
        return parse_ms(value, &i->jitter_ns);
    case REORDER:
        return parse_share(value, &i->reorder);
    case DUPLICATE:
        return parse_share(value, &i->duplicate);
    case RATE:
        return parse_rate(value, &i->rate_bps);
    case QUEUE:
        return parse_size(value, &i->queue_bytes);
    case DIRECTION:
        return parse_direction(value, c->impaired);
    case ONLY_PORT:
        return parse_port(value, &c->only_port);
    case SEED:
        return parse_integer(value, 0, UINT64_MAX, &i->seed);
    case SECONDS:
        return parse_number(value, "", 1e-3, 1e9, &o->seconds);
    case JSON_FILE:
        o->json = value;
        return true;
    default:
        return false;
    }
}

static bool only_port_is_forwarded(const struct relay_config *c)
{
    for (unsigned i = 0; i < c->n_ports; i++) {
        if (c->ports[i] == c->only_port) {
            return true;
        }
    }
    return c->only_port == 0;
}

static int parse_options(struct options *o, int argc, char **argv)
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
        if (id == '?') {
            return -1; // getopt has said it
        }
        if (!take_option(o, id, optarg)) {
            fprintf(stderr, "udp-relay: \"%s\" is not possible for --%s; see --help\n", optarg,
                    longopts[index].name);
            return -1;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "udp-relay: what is \"%s\"? See --help\n", argv[optind]);
        return -1;
    }
    if (o->relay.n_ports == 0 || !only_port_is_forwarded(&o->relay)) {
        fputs("udp-relay: name the ports to forward with --port, that of --only-port too; see "
              "--help\n",
              stderr);
        return -1;
    }
    return 0;
}

static json_t *report_one(uint16_t port, const char *direction, const struct relay_counters *c)
{
    const struct {
        const char *key, *text;
        uint64_t value;
    } rows[] = {
        {"received", "received", c->received},
        {"forwarded", "forwarded", c->forwarded},
        {"lost", "lost", c->lost},
        {"over_rate", "over the rate", c->over_rate},
        {"duplicated", "duplicated", c->duplicated},
        {"reordered", "reordered", c->reordered},
        {"not_sent", "not sent", c->not_sent},
        {"too_long", "too long", c->too_long},
    };
    json_t *o = json_pack("{s:i, s:s}", "port", (int)port, "direction", direction);
    fprintf(stderr, "port %u %-4s", port, direction);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fprintf(stderr, "%s %llu %s", i ? "," : "", (unsigned long long)rows[i].value,
                rows[i].text);
        json_object_set_new(o, rows[i].key, json_integer((json_int_t)rows[i].value));
    }
    fputc('\n', stderr);
    return o;
}

static int report(const struct relay *r, const struct options *o)
{
    static const char *const names[] = {"down", "up"};
    json_t *all = json_array();
    int rc = 0;
    for (unsigned i = 0; i < o->relay.n_ports; i++) {
        for (unsigned d = 0; d < RELAY_N_DIRECTIONS; d++) {
            const struct relay_counters *c = relay_count(r, i, (enum relay_direction)d);
            json_array_append_new(all, report_one(o->relay.ports[i], names[d], c));
        }
    }
    if (o->json && json_dump_file(all, o->json, JSON_INDENT(2)) != 0) {
        fprintf(stderr, "udp-relay: cannot write %s: %s\n", o->json, strerror(errno));
        rc = 1;
    }
    json_decref(all);
    return rc;
}

int main(int argc, char **argv)
{
    char warning[WARNING_BYTES] = "";
    struct options o = {
        .relay = {.impaired = {true, true},
                  .impair = {.burst = 3, .reorder_ns = 2000000, .queue_bytes = 262144, .seed = 1},
                  .log = {keep_warning, warning}}};
    parse_address("127.0.0.2", &o.relay.listen);
    parse_address("127.0.0.1", &o.relay.to);
    if (parse_options(&o, argc, argv) != 0) {
        return 2;
    }
    if (relay_open(&running, &o.relay) != 0) {
        return 1;
    }
    const struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
#ifdef __linux__
    prctl(PR_SET_TIMERSLACK, 1000ul); // delays are told to the microsecond, not to 50 of them
#endif
    fprintf(stderr, "ready\n%s", warning);
    relay_run(running, o.seconds);
    int rc = report(running, &o);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    relay_close(running);
    return rc;
}
