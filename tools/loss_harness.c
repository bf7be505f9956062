// SPDX-License-Identifier: MIT OR Apache-2.0
// loss-harness: packetizer -> loss model -> reassembler without a network, for both codes: how many
// frames survive, and how many should by theory.
#include "core/base/status.h"
#include "core/media/reassembler.h"
#include "tools/impair.h"
#include "tools/loss_theory.h"

#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHARD_BYTES = 1408,
    GF16_SHARDS = 4096,
    GF8_SHARDS = 134,
    MAX_LIST = 8,
    MAX_DATAGRAM = 2048
};

struct list {
    double values[MAX_LIST];
    unsigned n;
};

struct options {
    unsigned frames;
    struct list sizes, percents, losses; // bytes, parity percent, loss percent
    double burst;
    uint64_t seed;
    const char *json, *code, *model;
};

struct outcome {
    unsigned sent, survived;
    uint64_t recovered, datagrams, lost_datagrams;
    double theory; // units lost, expected; below zero = the model has none
};

static void usage(FILE *to)
{
    fputs("Usage: loss-harness [options]\n"
          "\n"
          "Sweeps loss against both codes in memory and prints how many frames survive.\n"
          "\n"
          "  --frames N              units for each combination                           [400]\n"
          "  --size BYTES,...        of a unit                            [5000,25000,100000]\n"
          "  --percent P,...         parity                                          [10,20,40]\n"
          "  --loss P,...            share of datagrams lost, in percent                 [1,3,10]\n"
          "  --model NAME            periodic, random or burst only                        [all]\n"
          "  --burst N               mean length of a run of losses                          [4]\n"
          "  --code NAME             gf16 or gf8 only                                      [both]\n"
          "  --seed N                                                                        [1]\n"
          "  --json FILE             write the table there\n"
          "\n"
          "Theory: each datagram is lost by itself, a block is lost with more losses than parity. "
          "The\n"
          "standard deviation of the lost frames is beside it.\n",
          to);
}

static bool parse_list(struct list *l, const char *text, double min, double max)
{
    l->n = 0;
    while (*text && l->n < MAX_LIST) {
        char *end;
        double v = strtod(text, &end);
        if (end == text || v < min || v > max || (*end && *end != ',')) {
            return false;
        }
        l->values[l->n++] = v;
        text = *end ? end + 1 : end;
    }
    return l->n > 0 && *text == 0;
}

static int parse_options(struct options *o, int argc, char **argv)
{
    static const struct option longopts[] = {{"frames", 1, NULL, 'f'},
                                             {"size", 1, NULL, 's'},
                                             {"percent", 1, NULL, 'p'},
                                             {"loss", 1, NULL, 'l'},
                                             {"model", 1, NULL, 'm'},
                                             {"burst", 1, NULL, 'b'},
                                             {"code", 1, NULL, 'c'},
                                             {"seed", 1, NULL, 'e'},
                                             {"json", 1, NULL, 'j'},
                                             {"help", 0, NULL, 'h'},
                                             {0}};
    *o = (struct options){.frames = 400,
                          .sizes = {{5000, 25000, 100000}, 3},
                          .percents = {{10, 20, 40}, 3},
                          .losses = {{1, 3, 10}, 3},
                          .burst = 4,
                          .seed = 1};
    int id;
    enum impair_model ignored;
    while ((id = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
        bool good = true;
        switch (id) {
        case 'f':
            o->frames = (unsigned)strtoul(optarg, NULL, 10);
            good = o->frames > 0 && o->frames <= 10000000;
            break;
        case 's':
            good = parse_list(&o->sizes, optarg, 0, 16 << 20);
            break;
        case 'p':
            good = parse_list(&o->percents, optarg, 0, 90);
            break;
        case 'l':
            good = parse_list(&o->losses, optarg, 0, 100);
            break;
        case 'm':
            o->model = optarg;
            good = impair_parse_model(optarg, &ignored);
            break;
        case 'b':
            o->burst = strtod(optarg, NULL);
            good = o->burst >= 1;
            break;
        case 'c':
            o->code = optarg;
            good = strcmp(optarg, "gf16") == 0 || strcmp(optarg, "gf8") == 0;
            break;
        case 'e':
            o->seed = strtoull(optarg, NULL, 10);
            break;
        case 'j':
            o->json = optarg;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            good = false;
        }
        if (!good) {
            usage(stderr);
            return -1;
        }
    }
    return 0;
}

static void drain(struct pfk_reassembler *rx, struct outcome *out)
{
    struct pfk_unit *u;
    while ((u = pfk_reassembler_pop(rx))) {
        out->survived++;
        pfk_reassembler_recycle(rx, u);
    }
}

// All units of one combination through the model.
static int run(const struct options *o, enum pfk_fec_field field, const struct impair_config *model,
               size_t size, uint8_t percent, struct outcome *out)
{
    const struct pfk_plane plane = {.field = field,
                                    .shard_bytes = SHARD_BYTES,
                                    .max_data_shards =
                                        field == PFK_FEC_GF16 ? GF16_SHARDS : GF8_SHARDS,
                                    .percent = percent,
                                    .encrypted = false};
    const struct pfk_reassembler_config rc = {.plane = plane, .bitrate_kbps = 0, .hz = 60};
    struct pfk_packetizer *tx = NULL;
    struct pfk_reassembler *rx = NULL;
    uint8_t *au = calloc(1, size + 1);
    int err = au ? pfk_packetizer_create(&tx, &plane, size + 1) : PFK_E_NOMEM;
    err = err ? err : pfk_reassembler_create(&rx, &rc);
    struct impair link;
    impair_init(&link, model);
    *out = (struct outcome){.sent = o->frames};
    for (unsigned i = 0; !err && i < o->frames; i++) {
        const struct pfk_au_meta meta = {
            .pts_ns = 1000000000u + i * 16666667ull, .flags = 1, .percent = percent};
        struct pfk_datagrams d;
        err = pfk_packetize(tx, au, size, &meta, &d);
        for (unsigned p = 0; !err && p < d.n_datagrams; p++) {
            out->datagrams++;
            if (impair_loses(&link)) {
                out->lost_datagrams++;
                continue;
            }
            uint8_t copy[MAX_DATAGRAM];
            memcpy(copy, d.base + p * d.datagram_bytes, d.datagram_bytes);
            pfk_reassembler_push(rx, copy, d.datagram_bytes, meta.pts_ns);
        }
        drain(rx, out);
    }
    struct pfk_reassembler_stats stats = {.shards_recovered = 0};
    if (rx) {
        pfk_reassembler_get_stats(rx, &stats);
    }
    out->recovered = stats.shards_recovered;
    out->theory = model->model == IMPAIR_RANDOM
                      ? o->frames * loss_theory_unit(size, SHARD_BYTES, plane.max_data_shards,
                                                     percent, model->loss)
                      : -1;
    pfk_packetizer_destroy(tx);
    pfk_reassembler_destroy(rx);
    free(au);
    return err;
}

static void print_row(const char *code, const char *model, double loss, size_t size,
                      unsigned percent, const struct outcome *r, json_t *table)
{
    char theory[48] = "-";
    if (r->theory >= 0) {
        double p = r->theory / r->sent;
        snprintf(theory, sizeof(theory), "%.1f +- %.1f", r->theory, sqrt(r->sent * p * (1 - p)));
    }
    printf("%-5s %-9s %5.1f %% %8zu %4u %% %8u %9u %6u %16s %10llu\n", code, model, loss, size,
           percent, r->sent, r->survived, r->sent - r->survived, theory,
           (unsigned long long)r->recovered);
    json_t *j = json_pack(
        "{s:s, s:s, s:f, s:I, s:i, s:i, s:i, s:I, s:I, s:I}", "code", code, "model", model,
        "loss_percent", loss, "size_bytes", (json_int_t)size, "parity_percent", (int)percent,
        "sent", (int)r->sent, "survived", (int)r->survived, "recovered", (json_int_t)r->recovered,
        "datagrams", (json_int_t)r->datagrams, "datagrams_lost", (json_int_t)r->lost_datagrams);
    json_object_set_new(j, "lost_by_theory", r->theory >= 0 ? json_real(r->theory) : json_null());
    json_array_append_new(table, j);
}

static int sweep(const struct options *o, enum pfk_fec_field field, enum impair_model model,
                 json_t *table)
{
    static const char *const models[] = {"random", "burst", "periodic"};
    for (unsigned l = 0; l < o->losses.n; l++) {
        for (unsigned s = 0; s < o->sizes.n; s++) {
            for (unsigned p = 0; p < o->percents.n; p++) {
                const struct impair_config c = {.model = model,
                                                .loss = o->losses.values[l] / 100,
                                                .burst = o->burst,
                                                .seed = o->seed + l * 100 + s * 10 + p};
                struct outcome r;
                int err = run(o, field, &c, (size_t)o->sizes.values[s],
                              (uint8_t)o->percents.values[p], &r);
                if (err) {
                    fprintf(stderr, "loss-harness: %s\n", pfk_strstatus(err));
                    return err;
                }
                print_row(field == PFK_FEC_GF16 ? "gf16" : "gf8", models[model],
                          o->losses.values[l], (size_t)o->sizes.values[s],
                          (unsigned)o->percents.values[p], &r, table);
            }
        }
    }
    return PFK_OK;
}

int main(int argc, char **argv)
{
    struct options o;
    if (parse_options(&o, argc, argv) != 0) {
        return 2;
    }
    json_t *table = json_array();
    int err = PFK_OK;
    printf("%-5s %-9s %7s %8s %6s %8s %9s %6s %16s %10s\n", "code", "loss", "share", "bytes",
           "parity", "frames", "survived", "lost", "by theory", "repaired");
    for (int field = PFK_FEC_GF16; field >= PFK_FEC_GF8; field--) {
        if (o.code && strcmp(o.code, field == PFK_FEC_GF16 ? "gf16" : "gf8") != 0) {
            continue;
        }
        enum impair_model only = IMPAIR_RANDOM;
        if (o.model) {
            impair_parse_model(o.model, &only);
        }
        for (int model = IMPAIR_RANDOM; !err && model <= IMPAIR_PERIODIC; model++) {
            if (!o.model || only == (enum impair_model)model) {
                err = sweep(&o, (enum pfk_fec_field)field, (enum impair_model)model, table);
            }
        }
    }
    if (!err && o.json && json_dump_file(table, o.json, JSON_INDENT(1)) != 0) {
        fprintf(stderr, "loss-harness: cannot write %s\n", o.json);
        err = PFK_E_IO;
    }
    json_decref(table);
    return err ? 1 : 0;
}
