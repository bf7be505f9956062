// SPDX-License-Identifier: MIT OR Apache-2.0
// loss-harness: access units through packetizer, a loss model and reassembler, without a network.
// Sweeps models, codes, unit sizes and parity, and compares random loss with the theory.
#include "tools/loss_theory.h"

#include "core/base/status.h"
#include "core/media/geometry.h"
#include "core/media/reassembler.h"
#include "core/wire/video_header.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_VALUES = 16,
    SHARD_BYTES = 1408,
    MAX_DATAGRAM = 2048,
    MAX_UNIT_BYTES = 64 << 20,
    FRAME_NS = 16666667
};

enum model { PERIODIC, RANDOM, BURST, N_MODELS };
static const char *const model_names[N_MODELS] = {"periodic", "random", "burst"};

struct values {
    unsigned n;
    double v[MAX_VALUES];
};

struct options {
    struct values frames, size, percent, loss, burst, seed;
    bool gf16, gf8;
    const char *json;
};

// One row of the table.
struct run {
    enum model model;
    enum pfk_fec_field field;
    size_t unit_bytes;
    unsigned percent;
    double loss, burst; // share of packets; mean length of a burst in packets
    uint64_t seed;
    unsigned n_frames;
};

struct result {
    unsigned n_survived, n_damaged; // damaged: came out, but not as it went in
    uint64_t n_packets, n_packets_lost, n_recovered;
    double expected, sigma; // frames lost by the theory; only for random loss
};

// State of the loss model; packets are numbered through all frames.
struct channel {
    const struct run *run;
    uint64_t rng, n;
    bool in_burst;
};

static double uniform(uint64_t *rng)
{
    uint64_t z = *rng += 0x9E3779B97F4A7C15u; // SplitMix64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

// Is the next packet lost? Bursts are Gilbert and Elliott's: two states, everything is lost in the
// bad one, whose mean stay is `burst` packets and whose share of all packets is `loss`.
static bool loses(struct channel *c)
{
    const struct run *r = c->run;
    c->n++;
    if (r->loss <= 0) {
        return false;
    }
    switch (r->model) {
    case PERIODIC:
        // The n-th packet at which the whole part of n * loss steps up.
        return floor((double)c->n * r->loss) > floor((double)(c->n - 1) * r->loss);
    case BURST: {
        double leave = 1 / r->burst, enter = leave * r->loss / (1 - r->loss);
        c->in_burst = c->in_burst ? uniform(&c->rng) >= leave : uniform(&c->rng) < enter;
        return c->in_burst;
    }
    default:
        return uniform(&c->rng) < r->loss;
    }
}

static struct pfk_plane plane_of(enum pfk_fec_field field)
{
    bool gf16 = field == PFK_FEC_GF16;
    struct pfk_plane plane = {
        .field = field,
        .shard_bytes = SHARD_BYTES,
        .max_data_shards = gf16 ? 4096 : 200,
        .percent = PFK_MAX_PERCENT,
        .encrypted = true,
        .key = {.cipher = PFK_CIPHER_AES_128_GCM},
    };
    return plane;
}

static void fill(uint8_t *au, size_t n, uint64_t seed)
{
    uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        au[i] = (uint8_t)x;
    }
}

// Sends one frame through the channel and takes what comes out.
static int send_frame(struct pfk_packetizer *tx, struct pfk_reassembler *rx, struct channel *c,
                      uint8_t *au, unsigned frame, struct result *res)
{
    const struct run *r = c->run;
    // Only the head changes from frame to frame, enough to tell them apart.
    fill(au, r->unit_bytes < 4096 ? r->unit_bytes : 4096, frame + 1);
    struct pfk_au_meta meta = {(frame + 1) * (uint64_t)FRAME_NS, PFK_AU_VIDEO, (uint8_t)r->percent};
    struct pfk_datagrams d;
    int err = pfk_packetize(tx, au, r->unit_bytes, &meta, &d);
    err = err ? err : pfk_packetizer_seal(tx, 0, d.n_datagrams);
    if (err != 0) {
        return err;
    }
    for (unsigned i = 0; i < d.n_datagrams; i++) {
        bool lost = loses(c);
        res->n_packets++;
        res->n_packets_lost += lost;
        if (!lost) {
            pfk_reassembler_push(rx, d.base + i * d.datagram_bytes, d.datagram_bytes, 0);
        }
    }
    for (struct pfk_unit *u; (u = pfk_reassembler_pop(rx));) {
        bool good = u->index == frame && u->n_bytes == r->unit_bytes &&
                    (u->n_bytes == 0 || memcmp(u->bytes, au, u->n_bytes) == 0);
        res->n_survived += good;
        res->n_damaged += !good;
        pfk_reassembler_recycle(rx, u);
    }
    return 0;
}

static int run_one(const struct run *r, struct result *res)
{
    *res = (struct result){0};
    struct pfk_plane plane = plane_of(r->field);
    struct pfk_reassembler_config cfg = {.plane = plane};
    struct pfk_packetizer *tx = NULL;
    struct pfk_reassembler *rx = NULL;
    struct channel c = {.run = r, .rng = r->seed};
    uint8_t *au = malloc(r->unit_bytes ? r->unit_bytes : 1);
    int err = au ? pfk_packetizer_create(&tx, &plane, MAX_UNIT_BYTES) : PFK_E_NOMEM;
    err = err ? err : pfk_reassembler_create(&rx, &cfg);
    if (err == 0) {
        fill(au, r->unit_bytes, r->seed);
    }
    for (unsigned i = 0; err == 0 && i < r->n_frames; i++) {
        err = send_frame(tx, rx, &c, au, i, res);
    }
    if (err == 0) {
        struct pfk_reassembler_stats s;
        pfk_reassembler_get_stats(rx, &s);
        res->n_recovered = s.shards_recovered;
        double chance = loss_theory_unit(&plane, r->unit_bytes, r->percent, r->loss);
        res->expected = r->n_frames * chance;
        res->sigma = sqrt(r->n_frames * chance * (1 - chance));
    }
    pfk_packetizer_destroy(tx);
    pfk_reassembler_destroy(rx);
    free(au);
    return err;
}

// Random loss must be what the theory says, within five standard deviations and, where hardly any
// frame is lost and the distribution is lopsided, five frames.
static bool plausible(const struct run *r, const struct result *res)
{
    double lost = r->n_frames - (double)res->n_survived;
    bool theory_holds =
        r->model != RANDOM || fabs(lost - res->expected) <= 5 * res->sigma + 5 * (res->sigma < 1);
    return theory_holds && res->n_damaged == 0;
}

static const char *code_name(enum pfk_fec_field field)
{
    return field == PFK_FEC_GF16 ? "gf16" : "gf8";
}

static void print_head(void)
{
    printf("%-9s %-5s %9s %4s %6s %6s | %7s %8s %7s %16s %10s\n", "model", "code", "bytes", "fec%",
           "loss%", "burst", "frames", "survived", "lost", "theory", "recovered");
}

static void print_row(const struct run *r, const struct result *res)
{
    char burst[16] = "-", theory[40] = "-";
    if (r->model == BURST) {
        snprintf(burst, sizeof(burst), "%.1f", r->burst);
    }
    if (r->model == RANDOM) {
        snprintf(theory, sizeof(theory), "%.1f +- %.1f", res->expected, res->sigma);
    }
    printf("%-9s %-5s %9zu %4u %6.2f %6s | %7u %8u %7u %16s %10llu%s\n", model_names[r->model],
           code_name(r->field), r->unit_bytes, r->percent, 100 * r->loss, burst, r->n_frames,
           res->n_survived, r->n_frames - res->n_survived, theory,
           (unsigned long long)res->n_recovered, plausible(r, res) ? "" : "  <- wrong");
    fflush(stdout);
}

static json_t *json_row(const struct run *r, const struct result *res)
{
    json_t *row = json_pack(
        "{s:s, s:s, s:I, s:i, s:f, s:I, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:b}", "model",
        model_names[r->model], "code", code_name(r->field), "unit_bytes", (json_int_t)r->unit_bytes,
        "fec_percent", (int)r->percent, "loss", r->loss, "seed", (json_int_t)r->seed, "frames_sent",
        (int)r->n_frames, "frames_survived", (int)res->n_survived, "frames_lost",
        (int)(r->n_frames - res->n_survived), "frames_damaged", (int)res->n_damaged, "packets_sent",
        (json_int_t)res->n_packets, "packets_lost", (json_int_t)res->n_packets_lost,
        "shards_recovered", (json_int_t)res->n_recovered, "as_expected", (int)plausible(r, res));
    if (row && r->model == BURST) {
        json_object_set_new(row, "burst_packets", json_real(r->burst));
    }
    if (row && r->model == RANDOM) {
        json_object_set_new(row, "frames_lost_theory", json_real(res->expected));
        json_object_set_new(row, "frames_lost_sigma", json_real(res->sigma));
    }
    return row;
}

static void usage(FILE *to)
{
    fputs("Usage: loss-harness [options]\n"
          "\n"
          "Sends access units through the packetizer, a loss model and the reassembler, without a\n"
          "network, and tells how many survive. Random loss is compared with the theory: lost\n"
          "frames by the binomial distribution of each block, with its standard deviation.\n"
          "\n"
          "  --frames N        frames a row (1000)\n"
          "  --size LIST       bytes of a frame (1400,20000,50000,200000)\n"
          "  --percent LIST    parity, 0 to 90 (5,20)\n"
          "  --loss LIST       lost packets in percent, 0 to 99 (1,3,10)\n"
          "  --burst LIST      mean length of a burst in packets, from 1 (4)\n"
          "  --seed N          of the random numbers (1)\n"
          "  --code NAME       gf16, gf8 or both (both)\n"
          "  --json FILE       write the rows there too\n"
          "  --help            this text\n"
          "\n"
          "A LIST is up to 16 numbers with commas between. Exit status 0; 1 when a frame came out\n"
          "damaged or random loss was more than five standard deviations off; 2 on wrong usage.\n",
          to);
}

static bool parse_values(const char *name, const char *text, double least, double most,
                         unsigned max_n, struct values *out)
{
    out->n = 0;
    for (const char *at = text;;) {
        char *end;
        errno = 0;
        double v = strtod(at, &end);
        if (end == at || errno || !(v >= least && v <= most) || out->n == max_n) {
            fprintf(stderr, "loss-harness: --%s takes %s from %g to %g, not \"%s\"\n", name,
                    max_n == 1 ? "a number" : "up to 16 numbers", least, most, text);
            return false;
        }
        out->v[out->n++] = v;
        if (*end == 0) {
            return true;
        }
        at = *end == ',' ? end + 1 : "";
    }
}

static bool parse_option(int c, const char *text, struct options *o)
{
    switch (c) {
    case 'f':
        return parse_values("frames", text, 1, 1e8, 1, &o->frames);
    case 's':
        return parse_values("size", text, 0, MAX_UNIT_BYTES, MAX_VALUES, &o->size);
    case 'p':
        return parse_values("percent", text, 0, PFK_MAX_PERCENT, MAX_VALUES, &o->percent);
    case 'l':
        return parse_values("loss", text, 0, 99, MAX_VALUES, &o->loss);
    case 'b':
        return parse_values("burst", text, 1, 1e6, MAX_VALUES, &o->burst);
    case 'r':
        return parse_values("seed", text, 0, 9e15, 1, &o->seed);
    case 'j':
        o->json = text;
        return true;
    default:
        o->gf16 = strcmp(text, "gf16") == 0 || strcmp(text, "both") == 0;
        o->gf8 = strcmp(text, "gf8") == 0 || strcmp(text, "both") == 0;
        if (!o->gf16 && !o->gf8) {
            fprintf(stderr, "loss-harness: --code is gf16, gf8 or both, not \"%s\"\n", text);
        }
        return o->gf16 || o->gf8;
    }
}

// 0 = go on, otherwise the exit status plus one.
static int parse_command_line(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"frames", required_argument, NULL, 'f'},  {"size", required_argument, NULL, 's'},
        {"percent", required_argument, NULL, 'p'}, {"loss", required_argument, NULL, 'l'},
        {"burst", required_argument, NULL, 'b'},   {"seed", required_argument, NULL, 'r'},
        {"code", required_argument, NULL, 'c'},    {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {0},
    };
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (c == 'h') {
            usage(stdout);
            return 1;
        }
        if (c == '?') {
            fputs("Try --help.\n", stderr);
            return 3;
        }
        if (!parse_option(c, optarg, o)) {
            return 3;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "loss-harness: \"%s\" is not an option; try --help\n", argv[optind]);
        return 3;
    }
    return 0;
}

struct sweep {
    const struct options *o;
    json_t *rows;
    bool all_plausible;
};

static int sweep_row(struct sweep *s, const struct run *r)
{
    struct result res;
    int err = run_one(r, &res);
    if (err != 0) {
        fprintf(stderr, "loss-harness: %s frame of %zu bytes: %s\n", code_name(r->field),
                r->unit_bytes, pfk_strstatus(err));
        return err;
    }
    print_row(r, &res);
    s->all_plausible = s->all_plausible && plausible(r, &res);
    json_t *row = s->rows ? json_row(r, &res) : NULL;
    return s->rows && json_array_append_new(s->rows, row) != 0 ? PFK_E_NOMEM : 0;
}

// Everything but the code and the model, which the caller has set.
static int sweep_numbers(struct sweep *s, struct run r)
{
    const struct options *o = s->o;
    int err = 0;
    for (unsigned size = 0; size < o->size.n; size++) {
        for (unsigned percent = 0; percent < o->percent.n; percent++) {
            for (unsigned loss = 0; loss < o->loss.n; loss++) {
                unsigned n_bursts = r.model == BURST ? o->burst.n : 1;
                for (unsigned burst = 0; err == 0 && burst < n_bursts; burst++) {
                    r.unit_bytes = (size_t)o->size.v[size];
                    r.percent = (unsigned)o->percent.v[percent];
                    r.loss = o->loss.v[loss] / 100;
                    r.burst = o->burst.v[burst];
                    err = sweep_row(s, &r);
                }
            }
        }
    }
    return err;
}

static int sweep(struct sweep *s)
{
    const struct options *o = s->o;
    int err = 0;
    print_head();
    for (int model = 0; model < N_MODELS; model++) {
        for (int field = PFK_FEC_GF16; field >= PFK_FEC_GF8; field--) {
            if (err == 0 && (field == PFK_FEC_GF16 ? o->gf16 : o->gf8)) {
                err = sweep_numbers(s, (struct run){.model = (enum model)model,
                                                    .field = (enum pfk_fec_field)field,
                                                    .seed = (uint64_t)o->seed.v[0],
                                                    .n_frames = (unsigned)o->frames.v[0]});
            }
        }
    }
    return err;
}

int main(int argc, char **argv)
{
    struct options o = {
        .frames = {1, {1000}},
        .size = {4, {1400, 20000, 50000, 200000}},
        .percent = {2, {5, 20}},
        .loss = {3, {1, 3, 10}},
        .burst = {1, {4}},
        .seed = {1, {1}},
        .gf16 = true,
        .gf8 = true,
    };
    int stop = parse_command_line(argc, argv, &o);
    if (stop != 0) {
        return stop - 1;
    }
    FILE *json = o.json ? fopen(o.json, "w") : NULL; // now: a sweep can take minutes
    if (o.json && !json) {
        fprintf(stderr, "loss-harness: cannot write %s: %s\n", o.json, strerror(errno));
        return 1;
    }
    struct sweep s = {&o, json ? json_array() : NULL, true};
    int err = sweep(&s);
    bool written = true;
    if (json) {
        written = err == 0 && json_dumpf(s.rows, json, JSON_INDENT(1)) == 0;
        written = fclose(json) == 0 && written;
    }
    if (err == 0 && !written) {
        fprintf(stderr, "loss-harness: cannot write all of %s: %s\n", o.json, strerror(errno));
    }
    json_decref(s.rows);
    if (!s.all_plausible) {
        fputs("loss-harness: rows marked \"wrong\" differ from the theory or came out damaged\n",
              stderr);
    }
    return err != 0 || !written || !s.all_plausible;
}
