// SPDX-License-Identifier: MIT OR Apache-2.0
#include "timings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char *const stage_names[N_STAGES] = {"capture_to_reassembled",
                                           "capture",
                                           "convert",
                                           "encode",
                                           "queue",
                                           "send",
                                           "network",
                                           "reassemble"};

struct unit_times {
    uint64_t pts_ns, received_ns, complete_ns;
};

struct timings {
    struct unit_times *units;
    size_t n_units, units_room;
    PunktfunkTiming *records;
    size_t n_records, records_room;
};

struct timings *timings_create(void)
{
    return calloc(1, sizeof(struct timings));
}

void timings_free(struct timings *t)
{
    if (t) {
        free(t->units);
        free(t->records);
        free(t);
    }
}

// Room for one more; without memory the sample is left out.
static bool grow(void **items, size_t *room, size_t n, size_t item_bytes)
{
    if (n < *room) {
        return 1;
    }
    size_t more = *room ? 2 * *room : 4096;
    void *bigger = realloc(*items, more * item_bytes);
    if (!bigger) {
        return 0;
    }
    *items = bigger;
    *room = more;
    return 1;
}

void timings_add_unit(struct timings *t, const PunktfunkUnit *u)
{
    if (grow((void **)&t->units, &t->units_room, t->n_units, sizeof(*t->units))) {
        t->units[t->n_units++] = (struct unit_times){u->pts_ns, u->received_ns, u->complete_ns};
    }
}

void timings_add_record(struct timings *t, const PunktfunkTiming *r)
{
    if (grow((void **)&t->records, &t->records_room, t->n_records, sizeof(*t->records))) {
        t->records[t->n_records++] = *r;
    }
}

static int by_unit_pts(const void *a, const void *b)
{
    uint64_t x = ((const struct unit_times *)a)->pts_ns, y = ((const struct unit_times *)b)->pts_ns;
    return x < y ? -1 : x > y;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static struct percentiles percentiles_of(double *values, size_t n)
{
    struct percentiles p = {.n = n};
    if (n) {
        qsort(values, n, sizeof(*values), by_value);
        p.p50 = values[(n - 1) * 50 / 100];
        p.p95 = values[(n - 1) * 95 / 100];
        p.p99 = values[(n - 1) * 99 / 100];
    }
    return p;
}

struct samples {
    double *values[N_STAGES];
    size_t n[N_STAGES];
};

static void add(struct samples *s, enum stage stage, double us)
{
    s->values[stage][s->n[stage]++] = us;
}

static void add_record(struct samples *s, const PunktfunkTiming *r, const struct unit_times *u,
                       int64_t offset_ns)
{
    double arrived_us = ((double)((int64_t)(u->received_ns - u->pts_ns) + offset_ns)) / 1e3;
    add(s, STAGE_NETWORK, arrived_us - r->total_us);
    if (r->has & 1) {
        add(s, STAGE_QUEUE, r->queue_us);
        add(s, STAGE_ENCODE, (double)r->encode_us - (r->has & 2 ? r->convert_us : 0));
        add(s, STAGE_SEND, r->pace_us);
    }
    if (r->has & 2) {
        add(s, STAGE_CAPTURE, r->capture_us);
        add(s, STAGE_CONVERT, r->convert_us);
    }
}

void timings_evaluate(struct timings *t, int64_t offset_ns, struct percentiles out[N_STAGES])
{
    struct samples s = {.n = {0}};
    size_t most = t->n_units + t->n_records;
    memset(out, 0, N_STAGES * sizeof(*out));
    int ok = 1;
    for (int i = 0; i < N_STAGES; i++) {
        s.values[i] = malloc((most + 1) * sizeof(double));
        ok = ok && s.values[i];
    }
    if (ok) {
        if (t->n_units) {
            qsort(t->units, t->n_units, sizeof(*t->units), by_unit_pts);
        }
        for (size_t i = 0; i < t->n_units; i++) {
            const struct unit_times *u = &t->units[i];
            add(&s, STAGE_TOTAL,
                ((double)((int64_t)(u->complete_ns - u->pts_ns) + offset_ns)) / 1e3);
            add(&s, STAGE_REASSEMBLE, (double)(int64_t)(u->complete_ns - u->received_ns) / 1e3);
        }
        for (size_t i = 0; i < t->n_records; i++) {
            const struct unit_times key = {.pts_ns = t->records[i].pts_ns};
            const struct unit_times *u =
                !t->n_units ? NULL
                            : bsearch(&key, t->units, t->n_units, sizeof(*t->units), by_unit_pts);
            if (u) {
                add_record(&s, &t->records[i], u, offset_ns);
            }
        }
        for (int i = 0; i < N_STAGES; i++) {
            out[i] = percentiles_of(s.values[i], s.n[i]);
        }
    }
    for (int i = 0; i < N_STAGES; i++) {
        free(s.values[i]);
    }
}
