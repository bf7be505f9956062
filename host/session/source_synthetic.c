// SPDX-License-Identifier: MIT OR Apache-2.0
// Units whose every byte the receiver can predict (reference: section 7, last item): unit i is u32
// i, then byte b = (i + b) mod 256. No compositor, no encoder: for tests of the transport.
#include "core/base/clock.h"
#include "core/base/status.h"
#include "host/session/source.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct synthetic {
    struct source base;
    struct source_config cfg;
    pthread_t thread;
    uint8_t *pattern; // unit_bytes + 256 bytes counting up: every unit is a window of it
    atomic_bool stop;
    _Atomic uint64_t units, dropped;
};

static void fill_unit(const struct synthetic *s, uint8_t *bytes, uint32_t i)
{
    memcpy(bytes, s->pattern + (i & 255), s->cfg.unit_bytes);
    for (int b = 0; b < 4; b++) {
        bytes[b] = (uint8_t)(i >> (8 * b));
    }
}

static void *run(void *arg)
{
    struct synthetic *s = arg;
    pthread_setname_np(pthread_self(), "synthetic");
    const uint64_t begin = pfk_clock_monotonic_ns();
    uint32_t i = 0;
    while (!atomic_load(&s->stop) && (s->cfg.n_units == 0 || i < s->cfg.n_units)) {
        pfk_clock_sleep_until_ns(begin + (uint64_t)i * 1000000000u / s->cfg.hz);
        struct unit *u = unit_queue_take(s->cfg.to, s->cfg.unit_bytes);
        if (!u) {
            atomic_fetch_add_explicit(&s->dropped, 1, memory_order_relaxed);
            pfk_clock_sleep_until_ns(pfk_clock_monotonic_ns() +
                                     100000); // every unit counts: this one goes late
            continue;
        }
        u->pts_ns = u->ready_ns = u->start_ns = pfk_clock_wall_ns();
        fill_unit(s, u->bytes, i);
        u->n_bytes = s->cfg.unit_bytes;
        u->keyframe = true; // each stands alone
        u->convert_ns = 0;
        u->encoded_ns = pfk_clock_wall_ns();
        unit_queue_put(s->cfg.to, u);
        atomic_fetch_add_explicit(&s->units, 1, memory_order_relaxed);
        i++;
    }
    unit_queue_end(s->cfg.to, PFK_OK);
    return NULL;
}

static int synthetic_start(struct source **out, const struct source_config *cfg)
{
    *out = NULL;
    struct synthetic *s = calloc(1, sizeof(*s));
    if (!s) {
        return PFK_E_NOMEM;
    }
    s->base.impl = &source_synthetic;
    s->cfg = *cfg;
    s->pattern = malloc(cfg->unit_bytes + 256);
    if (s->pattern) {
        for (size_t b = 0; b < cfg->unit_bytes + 256; b++) {
            s->pattern[b] = (uint8_t)b;
        }
    }
    if (!s->pattern || pthread_create(&s->thread, NULL, run, s) != 0) {
        free(s->pattern);
        free(s);
        return PFK_E_NOMEM;
    }
    *out = &s->base;
    return PFK_OK;
}

static void synthetic_request_keyframe(struct source *base)
{
}

static void synthetic_set_bitrate(struct source *base, uint32_t kbps)
{
}

static void synthetic_get_stats(struct source *base, struct source_stats *out)
{
    struct synthetic *s = (struct synthetic *)base;
    uint64_t units = atomic_load(&s->units);
    *out = (struct source_stats){
        .pictures = units, .units = units, .keyframes = units, .dropped = atomic_load(&s->dropped)};
}

static void synthetic_stop(struct source *base)
{
    struct synthetic *s = (struct synthetic *)base;
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
    free(s->pattern);
    free(s);
}

const struct source_impl source_synthetic = {
    .name = "synthetic",
    .start = synthetic_start,
    .request_keyframe = synthetic_request_keyframe,
    .set_bitrate = synthetic_set_bitrate,
    .get_stats = synthetic_get_stats,
    .stop = synthetic_stop,
};
