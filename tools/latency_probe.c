// SPDX-License-Identifier: MIT OR Apache-2.0
// latency-probe: what share of the delay each stage has, from the compositor's stamp to the access
// unit whole at the client.
#include "client/timings.h"

#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct probe {
    char host[256];
    unsigned port, width_px, height_px, hz;
    double seconds;
    PunktfunkConnection *c;
    struct timings *timings;
};

static void usage(FILE *to)
{
    fputs("Usage: latency-probe [--connect HOST[:PORT]] [--mode WxH@HZ] [--seconds S]\n"
          "\n"
          "Streams for S seconds [5] from a punktfunk host [127.0.0.1:9777] and prints where the "
          "time of\n"
          "a frame goes. Start the host with --stage-timing to see capture and conversion apart.\n",
          to);
}

static int parse_options(struct probe *p, int argc, char **argv)
{
    static const struct option longopts[] = {{"connect", 1, NULL, 'c'},
                                             {"mode", 1, NULL, 'm'},
                                             {"seconds", 1, NULL, 's'},
                                             {"help", 0, NULL, 'h'},
                                             {0}};
    int id;
    while ((id = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
        bool good = true;
        if (id == 'h') {
            usage(stdout);
            exit(0);
        } else if (id == 'c') {
            good = sscanf(optarg, "%255[^:]:%u", p->host, &p->port) >= 1 && p->port < 65536;
        } else if (id == 'm') {
            good = sscanf(optarg, "%ux%u@%u", &p->width_px, &p->height_px, &p->hz) == 3;
        } else if (id == 's') {
            p->seconds = strtod(optarg, NULL);
            good = p->seconds > 0;
        } else {
            good = false;
        }
        if (!good) {
            usage(stderr);
            return -1;
        }
    }
    return 0;
}

static void *pull_timings(void *arg)
{
    struct probe *p = arg;
    PunktfunkTiming t = {.struct_size = sizeof(t)};
    int err;
    while ((err = punktfunk_next_timing(p->c, &t, 1000)) == PUNKTFUNK_OK ||
           err == PUNKTFUNK_E_TIMEOUT) {
        if (err == PUNKTFUNK_OK) {
            timings_add_record(p->timings, &t);
        }
    }
    return NULL;
}

static void stream(struct probe *p)
{
    PunktfunkUnit u = {.struct_size = sizeof(u)};
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int err;
    while ((err = punktfunk_next_unit(p->c, &u, 200)) == PUNKTFUNK_OK ||
           err == PUNKTFUNK_E_TIMEOUT) {
        if (err == PUNKTFUNK_OK) {
            timings_add_unit(p->timings, &u);
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9 >=
            p->seconds) {
            punktfunk_disconnect(p->c);
        }
    }
}

static void print_stages(const struct percentiles stages[N_STAGES])
{
    double total = stages[STAGE_TOTAL].p50;
    printf("%zu frames\n%-24s %9s %9s %9s  share of p50\n", stages[STAGE_TOTAL].n, "microseconds",
           "p50", "p95", "p99");
    for (int i = 0; i < N_STAGES; i++) {
        const struct percentiles *s = &stages[i];
        if (s->n == 0) {
            printf("%-24s %9s\n", stage_names[i], "not told");
            continue;
        }
        double share = total > 0 ? 100 * s->p50 / total : 0;
        printf("%-24s %9.0f %9.0f %9.0f  %5.1f %%  ", stage_names[i], s->p50, s->p95, s->p99,
               share);
        for (int k = 0; k < (int)(share / 2.5); k++) {
            putchar('#');
        }
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    struct probe p = {.host = "127.0.0.1",
                      .port = PUNKTFUNK_DEFAULT_PORT,
                      .width_px = 1280,
                      .height_px = 720,
                      .hz = 60,
                      .seconds = 5};
    if (parse_options(&p, argc, argv) != 0) {
        return 2;
    }
    const PunktfunkConnectConfig cfg = {.struct_size = sizeof(cfg),
                                        .host = p.host,
                                        .port = (uint16_t)p.port,
                                        .width_px = p.width_px,
                                        .height_px = p.height_px,
                                        .refresh_hz = p.hz,
                                        .device_name = "latency-probe"};
    PunktfunkEnd end = {.struct_size = sizeof(end)};
    p.timings = timings_create();
    int err = p.timings ? punktfunk_connect(&p.c, &cfg, &end) : PUNKTFUNK_E_NOMEM;
    if (err) {
        fprintf(stderr, "latency-probe: %s\n", end.text[0] ? end.text : punktfunk_status_text(err));
        timings_free(p.timings);
        return 1;
    }
    pthread_t timing_thread;
    bool has_thread = pthread_create(&timing_thread, NULL, pull_timings, &p) == 0;
    stream(&p);
    if (has_thread) {
        pthread_join(timing_thread, NULL);
    }
    PunktfunkStreamInfo info = {.struct_size = sizeof(info)};
    punktfunk_get_stream_info(p.c, &info);
    struct percentiles stages[N_STAGES];
    timings_evaluate(p.timings, info.clock_offset_ns, stages);
    print_stages(stages);
    printf("clocks agree to about %.0f us\n", (double)info.clock_rtt_ns / 2e3);
    punktfunk_connection_free(p.c);
    timings_free(p.timings);
    return stages[STAGE_TOTAL].n ? 0 : 1;
}
