// SPDX-License-Identifier: MIT OR Apache-2.0
// A virtual output, captured and encoded. The capture thread puts pictures in a slot where the
// newest wins; the encode thread takes what is there, so a slow encoder never builds a queue.
#include "core/base/clock.h"
#include "core/base/status.h"
#include "host/capture/capture.h"
#include "host/encode/encode.h"
#include "host/session/source.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// An unchanged picture goes out again this often, so that a client that lost the last one recovers.
static const uint64_t repeat_every_ns = 100000000u;
enum { CAPTURE_WAIT_MS = 500 };

struct desktop {
    struct source base;
    struct source_config cfg;
    struct capture *capture;
    struct encode *encode;
    pthread_t capture_thread, encode_thread;
    bool has_capture_thread, has_encode_thread;
    atomic_bool stop;

    // From capture to encode.
    _Atomic(struct frame *) slot;
    sem_t work; // posted for a new picture, a request, the end
    atomic_int capture_status;

    // From anywhere to encode.
    atomic_bool keyframe_wanted;
    _Atomic uint32_t bitrate_wanted; // 0 = no change

    // Encode thread.
    struct frame *held;
    uint64_t last_pts_ns, last_unit_ns; // wall, monotonic

    _Atomic uint64_t pictures, units, repeats, dropped, keyframes;
};

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void *capture_run(void *arg)
{
    struct desktop *d = arg;
    pthread_setname_np(pthread_self(), "capture");
    while (!atomic_load(&d->stop)) {
        struct frame *f = NULL;
        int err = capture_next(d->capture, &f, CAPTURE_WAIT_MS);
        if (err == PFK_OK) {
            count(&d->pictures);
            struct frame *missed = atomic_exchange(&d->slot, NULL);
            if (missed) { // nobody took it, so its damage is the new one's too
                f->n_damage = 0;
                frame_unref(missed);
            }
            atomic_store(&d->slot, f);
            sem_post(&d->work);
        } else if (err != PFK_E_TIMEOUT) {
            atomic_store(&d->capture_status, err);
            sem_post(&d->work);
            break;
        }
    }
    return NULL;
}

// Waits for something to do, at most until the held picture is to be repeated.
static void await_work(struct desktop *d)
{
    uint64_t due = d->last_unit_ns + repeat_every_ns;
    const struct timespec until = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
    if (!d->held) {
        while (sem_wait(&d->work) != 0 && errno == EINTR) {
        }
    } else if (sem_clockwait(&d->work, CLOCK_MONOTONIC, &until) != 0) {
        return;
    }
    while (sem_trywait(&d->work) == 0) { // whatever it was, one look at the slot serves all
    }
}

// Encodes the held picture into a unit of the queue.
static int encode_held(struct desktop *d, bool repeat)
{
    struct frame *f = d->held;
    uint64_t start_ns = pfk_clock_wall_ns();
    uint64_t captured_ns = repeat ? start_ns : f->capture_ns;
    uint64_t pts_ns = captured_ns > d->last_pts_ns ? captured_ns : d->last_pts_ns + 1;
    bool keyframe = atomic_exchange(&d->keyframe_wanted, false);
    struct encode_unit e;
    int err = encode_frame(d->encode, f, pts_ns, keyframe, &e);
    if (err) {
        return err;
    }
    d->last_pts_ns = pts_ns;
    d->last_unit_ns = pfk_clock_monotonic_ns();
    struct unit *u = unit_queue_take(d->cfg.to, e.n_bytes);
    if (!u) { // later units refer to this one: start again
        count(&d->dropped);
        atomic_store(&d->keyframe_wanted, true);
        return PFK_OK;
    }
    memcpy(u->bytes, e.bytes, e.n_bytes);
    u->n_bytes = e.n_bytes;
    u->keyframe = e.keyframe;
    u->pts_ns = pts_ns;
    u->ready_ns = repeat ? pts_ns : f->ready_ns;
    u->start_ns = start_ns;
    u->convert_ns = e.convert_ns;
    u->encoded_ns = pfk_clock_wall_ns();
    unit_queue_put(d->cfg.to, u);
    count(&d->units);
    if (repeat) {
        count(&d->repeats);
    }
    if (e.keyframe) {
        count(&d->keyframes);
    }
    return PFK_OK;
}

static void *encode_run(void *arg)
{
    struct desktop *d = arg;
    pthread_setname_np(pthread_self(), "encode");
    int err = PFK_OK;
    while (!err && !atomic_load(&d->stop)) {
        await_work(d);
        if (atomic_load(&d->stop)) {
            break;
        }
        uint32_t kbps = atomic_exchange(&d->bitrate_wanted, 0);
        if (kbps) {
            (void)encode_set_bitrate(d->encode, kbps); // otherwise the rate stays: harmless
        }
        struct frame *f = atomic_exchange(&d->slot, NULL);
        bool repeat = !f;
        if (f) {
            frame_unref(d->held);
            d->held = f;
        }
        bool due =
            f || (d->held && (atomic_load(&d->keyframe_wanted) ||
                              pfk_clock_monotonic_ns() >= d->last_unit_ns + repeat_every_ns));
        err = due ? encode_held(d, repeat) : PFK_OK;
        if (!err) {
            err = atomic_load(&d->capture_status);
        }
    }
    unit_queue_end(d->cfg.to, err);
    return NULL;
}

static void desktop_stop(struct source *base)
{
    struct desktop *d = (struct desktop *)base;
    atomic_store(&d->stop, true);
    if (d->has_capture_thread) {
        capture_wake(d->capture);
        pthread_join(d->capture_thread, NULL);
    }
    sem_post(&d->work);
    if (d->has_encode_thread) {
        pthread_join(d->encode_thread, NULL);
    }
    frame_unref(atomic_exchange(&d->slot, NULL));
    frame_unref(d->held);
    capture_close(d->capture);
    encode_close(d->encode);
    sem_destroy(&d->work);
    free(d);
}

static int desktop_start(struct source **out, const struct source_config *cfg)
{
    *out = NULL;
    struct desktop *d = calloc(1, sizeof(*d));
    if (!d) {
        return PFK_E_NOMEM;
    }
    d->base.impl = &source_desktop;
    d->cfg = *cfg;
    sem_init(&d->work, 0, 0);
    const struct encode_config ec = {.codec = ENCODE_H264,
                                     .width_px = cfg->width_px,
                                     .height_px = cfg->height_px,
                                     .hz = cfg->hz,
                                     .bitrate_kbps = cfg->bitrate_kbps,
                                     .threads = 1,
                                     .preset = cfg->encoder_preset,
                                     .log = cfg->log};
    const struct capture_config cc = {.wayland_socket = cfg->output->display->wayland_socket,
                                      .output = cfg->output->name,
                                      .width_px = cfg->width_px,
                                      .height_px = cfg->height_px,
                                      .hz = cfg->hz,
                                      .cursor = true,
                                      .log = cfg->log};
    int err = encode_open(&d->encode, &ec);
    if (!err) {
        err = capture_open(&d->capture, &cc, NULL);
    }
    if (!err) {
        d->has_encode_thread = pthread_create(&d->encode_thread, NULL, encode_run, d) == 0;
        d->has_capture_thread =
            d->has_encode_thread && pthread_create(&d->capture_thread, NULL, capture_run, d) == 0;
        err = d->has_capture_thread ? PFK_OK : PFK_E_NOMEM;
    }
    if (err) {
        desktop_stop(&d->base);
        return err;
    }
    *out = &d->base;
    return PFK_OK;
}

static void desktop_request_keyframe(struct source *base)
{
    struct desktop *d = (struct desktop *)base;
    atomic_store(&d->keyframe_wanted, true);
    sem_post(&d->work);
}

static void desktop_set_bitrate(struct source *base, uint32_t kbps)
{
    struct desktop *d = (struct desktop *)base;
    atomic_store(&d->bitrate_wanted, kbps);
    sem_post(&d->work);
}

static void desktop_get_stats(struct source *base, struct source_stats *out)
{
    struct desktop *d = (struct desktop *)base;
    *out = (struct source_stats){.pictures = atomic_load(&d->pictures),
                                 .units = atomic_load(&d->units),
                                 .repeats = atomic_load(&d->repeats),
                                 .dropped = atomic_load(&d->dropped),
                                 .keyframes = atomic_load(&d->keyframes)};
}

const struct source_impl source_desktop = {
    .name = "desktop",
    .start = desktop_start,
    .request_keyframe = desktop_request_keyframe,
    .set_bitrate = desktop_set_bitrate,
    .get_stats = desktop_get_stats,
    .stop = desktop_stop,
};
