// SPDX-License-Identifier: MIT OR Apache-2.0
// The public functions of punktfunk_core.h.
#include "core/session/client.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/wire/video_header.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

_Static_assert(PUNKTFUNK_FINGERPRINT_BYTES == PFK_FINGERPRINT_BYTES, "one fingerprint size");
_Static_assert(PUNKTFUNK_E_PROTOCOL == (int)PFK_E_PROTOCOL, "status numbers are the library's");
_Static_assert(PUNKTFUNK_LOG_DEBUG == (int)PFK_LOG_DEBUG, "log levels are the library's");
_Static_assert(PUNKTFUNK_UNIT_KEYFRAME == (int)PFK_AU_KEYFRAME, "unit flags are the wire's");

uint32_t punktfunk_abi_version(void)
{
    return PUNKTFUNK_ABI_VERSION;
}

const char *punktfunk_version(void)
{
    return PFK_VERSION;
}

const char *punktfunk_status_text(int status)
{
    return pfk_strstatus(status);
}

// Hands the library's log lines to the application's callback.
struct log_bridge {
    punktfunk_log_fn fn;
    void *opaque;
};

static void bridge_log(void *opaque, enum pfk_log_level level, const char *text)
{
    const struct log_bridge *b = opaque;
    b->fn(b->opaque, (int)level, text);
}

int punktfunk_identity_open(PunktfunkIdentity **out, const char *dir, punktfunk_log_fn log,
                            void *log_opaque)
{
    if (!out) {
        return PFK_E_INVALID;
    }
    *out = NULL;
    struct log_bridge bridge = {log, log_opaque};
    struct pfk_log pl = {log ? bridge_log : NULL, &bridge};
    struct pfk_identity *id = NULL;
    int err = pfk_identity_open(&id, PFK_IDENTITY_CLIENT, dir, &pl);
    *out = (PunktfunkIdentity *)id;
    return err;
}

void punktfunk_identity_free(PunktfunkIdentity *identity)
{
    pfk_identity_destroy((struct pfk_identity *)identity);
}

void punktfunk_identity_fingerprint(const PunktfunkIdentity *identity,
                                    uint8_t fingerprint[PUNKTFUNK_FINGERPRINT_BYTES])
{
    memcpy(fingerprint, pfk_identity_fingerprint((const struct pfk_identity *)identity),
           PFK_FINGERPRINT_BYTES);
}

// Structs of other versions: an older caller's is shorter, so only what it has room for is written.
static int copy_out(void *to, const void *from, size_t ours)
{
    uint32_t theirs;
    memcpy(&theirs, to, sizeof(theirs));
    if (theirs < sizeof(theirs)) {
        return PFK_E_INVALID;
    }
    size_t n = theirs < ours ? theirs : ours;
    memcpy((uint8_t *)to + sizeof(theirs), (const uint8_t *)from + sizeof(theirs),
           n - sizeof(theirs));
    return PFK_OK;
}

// An older caller's struct is shorter (the rest is default), a newer one's longer (its additions
// must be default here).
static int copy_in(void *to, size_t ours, const void *from)
{
    uint32_t theirs;
    memcpy(&theirs, from, sizeof(theirs));
    if (theirs < sizeof(theirs)) {
        return PFK_E_INVALID;
    }
    for (size_t i = ours; i < theirs; i++) {
        if (((const uint8_t *)from)[i] != 0) {
            return PFK_E_UNSUPPORTED;
        }
    }
    memset(to, 0, ours);
    memcpy(to, from, theirs < ours ? theirs : ours);
    return PFK_OK;
}

static void connection_log(void *opaque, enum pfk_log_level level, const char *text)
{
    const struct PunktfunkConnection *c = opaque;
    c->user_log(c->user_log_opaque, (int)level, text);
}

void client_want(struct PunktfunkConnection *c, uint32_t wants)
{
    // What is already asked for needs no second wake: the data thread must not flood the other.
    if ((atomic_fetch_or(&c->wants, wants) & wants) != wants) {
        pfk_quic_wake(c->quic);
    }
}

void client_finish(struct PunktfunkConnection *c, int status, bool by_host, uint64_t code,
                   const char *text)
{
    pthread_mutex_lock(&c->end_lock);
    if (!atomic_load(&c->ended)) {
        c->end = (PunktfunkEnd){.struct_size = sizeof(c->end),
                                .status = status,
                                .by_host = by_host,
                                .close_code = (uint32_t)code};
        snprintf(c->end.text, sizeof(c->end.text), "%s", text);
        atomic_store(&c->ended, true);
    }
    pthread_mutex_unlock(&c->end_lock);
    if (c->quic) {
        pfk_quic_wake(c->quic);
    }
    if (c->udp) {
        pfk_udp_wake(c->udp);
    }
    sem_post(&c->ready_count);
    sem_post(&c->timing_count);
}

static bool config_is_legal(const PunktfunkConnectConfig *cfg)
{
    return cfg->host && cfg->host[0] && cfg->width_px % 2 == 0 && cfg->width_px >= 2 &&
           cfg->width_px <= 8192 && cfg->height_px % 2 == 0 && cfg->height_px >= 2 &&
           cfg->height_px <= 8192 && cfg->refresh_hz >= 1 && (cfg->codecs & ~7u) == 0;
}

static int start_threads(struct PunktfunkConnection *c)
{
    if (pthread_create(&c->data_thread, NULL, client_data_run, c) != 0) {
        return PFK_E_NOMEM;
    }
    c->has_data_thread = true;
    if (pthread_create(&c->control_thread, NULL, client_control_run, c) != 0) {
        return PFK_E_NOMEM;
    }
    c->has_control_thread = true;
    return PFK_OK;
}

int punktfunk_connect(PunktfunkConnection **out, const PunktfunkConnectConfig *config,
                      PunktfunkEnd *end)
{
    PunktfunkConnectConfig cfg;
    if (!out || !config) {
        return PFK_E_INVALID;
    }
    *out = NULL;
    int err = copy_in(&cfg, sizeof(cfg), config);
    if (err || !config_is_legal(&cfg)) {
        return err ? err : PFK_E_INVALID;
    }
    struct PunktfunkConnection *c = calloc(1, sizeof(*c));
    if (!c) {
        return PFK_E_NOMEM;
    }
    pthread_mutex_init(&c->end_lock, NULL);
    sem_init(&c->ready_count, 0, 0);
    sem_init(&c->timing_count, 0, 0);
    c->user_log = cfg.log;
    c->user_log_opaque = cfg.log_opaque;
    c->log = (struct pfk_log){cfg.log ? connection_log : NULL, c};
    c->end.status = PFK_E_AGAIN;
    err = pfk_ring_create(&c->ready, CLIENT_READY_UNITS);
    if (!err) {
        // The application returns at most what `ready` holds and the one it looks at.
        err = pfk_ring_create(&c->spent, 2 * CLIENT_READY_UNITS);
    }
    if (!err) {
        err = client_handshake(c, &cfg);
    }
    if (!err) {
        err = start_threads(c);
    }
    if (err) {
        client_finish(c, err, false, 0, pfk_strstatus(err)); // unless the cause is known already
        if (end && copy_out(end, &c->end, sizeof(c->end)) != PFK_OK) {
            err = PFK_E_INVALID;
        }
        punktfunk_connection_free(c);
        return err;
    }
    *out = c;
    return PFK_OK;
}

int punktfunk_get_stream_info(const PunktfunkConnection *c, PunktfunkStreamInfo *info)
{
    if (!c || !info) {
        return PFK_E_INVALID;
    }
    const struct pfk_welcome *w = &c->welcome;
    PunktfunkStreamInfo now = {
        .width_px = w->mode.width_px,
        .height_px = w->mode.height_px,
        .refresh_hz = w->mode.hz,
        .bitrate_kbps = w->bitrate_kbps,
        .codec = w->codec,
        .bit_depth = w->bit_depth,
        .color_primaries = w->primaries,
        .color_transfer = w->transfer,
        .color_matrix = w->matrix,
        .full_range = w->full_range,
        .shard_bytes = w->shard_bytes,
        .fec_percent = w->fec_percent,
        .frames_to_come = w->n_frames,
        .clock_offset_ns = atomic_load(&c->clock_offset_ns),
        .clock_rtt_ns = atomic_load(&c->clock_rtt_ns),
        .started_ns = c->started_ns,
    };
    memcpy(now.host_fingerprint, c->host_fingerprint, sizeof(now.host_fingerprint));
    return copy_out(info, &now, sizeof(now));
}

// Waits for one token of `sem`, which is posted for each item and once or more at the end.
static int await(const struct PunktfunkConnection *c, sem_t *sem, uint32_t timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int rc;
    do {
        rc = timeout_ms ? sem_clockwait(sem, CLOCK_MONOTONIC, &until) : sem_trywait(sem);
    } while (rc != 0 && errno == EINTR);
    // The end is known a moment before it is posted: who has heard of it must not be told to wait.
    return rc == 0 ? PFK_OK : atomic_load(&c->ended) ? PFK_E_CLOSED : PFK_E_TIMEOUT;
}

int punktfunk_next_unit(PunktfunkConnection *c, PunktfunkUnit *unit, uint32_t timeout_ms)
{
    if (!c || !unit) {
        return PFK_E_INVALID;
    }
    if (c->held) {
        (void)pfk_ring_push(c->spent, c->held); // has room for every unit that can be out
        c->held = NULL;
    }
    int err = await(c, &c->ready_count, timeout_ms);
    if (err) {
        return err;
    }
    struct pfk_unit *u = pfk_ring_pop(c->ready);
    if (!u) {
        sem_post(&c->ready_count); // the token of the end: keep it for the next caller
        return PFK_E_CLOSED;
    }
    c->held = u;
    const PunktfunkUnit now = {
        .index = u->index,
        .flags = u->flags & (PUNKTFUNK_UNIT_VIDEO | PUNKTFUNK_UNIT_KEYFRAME |
                             PUNKTFUNK_UNIT_RECOVERY_POINT | PUNKTFUNK_UNIT_RECOVERY_ANCHOR),
        .shards = u->n_shards,
        .shards_recovered = u->n_recovered,
        .bytes = u->bytes,
        .n_bytes = u->n_bytes,
        .pts_ns = u->pts_ns,
        .received_ns = u->last_rx_ns,
        .complete_ns = u->complete_ns,
    };
    return copy_out(unit, &now, sizeof(now));
}

int punktfunk_next_timing(PunktfunkConnection *c, PunktfunkTiming *timing, uint32_t timeout_ms)
{
    if (!c || !timing) {
        return PFK_E_INVALID;
    }
    int err = await(c, &c->timing_count, timeout_ms);
    if (err) {
        return err;
    }
    uint32_t head = atomic_load_explicit(&c->timings.head, memory_order_relaxed);
    if (head == atomic_load_explicit(&c->timings.tail, memory_order_acquire)) {
        sem_post(&c->timing_count);
        return PFK_E_CLOSED;
    }
    err = copy_out(timing, &c->timings.slots[head % CLIENT_READY_TIMINGS], sizeof(PunktfunkTiming));
    atomic_store_explicit(&c->timings.head, head + 1, memory_order_release);
    return err;
}

int punktfunk_request_keyframe(PunktfunkConnection *c)
{
    if (!c) {
        return PFK_E_INVALID;
    }
    if (atomic_load(&c->ended)) {
        return PFK_E_CLOSED;
    }
    client_want(c, CLIENT_WANT_KEYFRAME);
    return PFK_OK;
}

int punktfunk_get_stats(const PunktfunkConnection *c, PunktfunkStats *stats)
{
    if (!c || !stats) {
        return PFK_E_INVALID;
    }
    const PunktfunkStats now = {
        .frames_completed = atomic_load(&c->frames_completed),
        .frames_lost = atomic_load(&c->frames_lost),
        .frames_dropped = atomic_load(&c->frames_dropped),
        .packets_received = atomic_load(&c->packets_received),
        .packets_dropped = atomic_load(&c->packets_dropped),
        .bytes_received = atomic_load(&c->bytes_received),
        .shards_recovered = atomic_load(&c->shards_recovered),
        .shards_late = atomic_load(&c->shards_late),
        .keyframe_requests = atomic_load(&c->keyframe_requests),
    };
    return copy_out(stats, &now, sizeof(now));
}

int punktfunk_get_end(const PunktfunkConnection *c, PunktfunkEnd *end)
{
    if (!c || !end) {
        return PFK_E_INVALID;
    }
    PunktfunkEnd now = {.status = PFK_E_AGAIN};
    if (atomic_load(&c->ended)) {
        now = c->end; // written before `ended`, never again
    }
    return copy_out(end, &now, sizeof(now));
}

void punktfunk_disconnect(PunktfunkConnection *c)
{
    if (c && !atomic_load(&c->ended)) {
        client_want(c, CLIENT_WANT_STOP);
    }
}

void punktfunk_connection_free(PunktfunkConnection *c)
{
    if (!c) {
        return;
    }
    if (c->has_control_thread) {
        punktfunk_disconnect(c);
        pthread_join(c->control_thread, NULL);
    }
    if (c->has_data_thread) {
        client_finish(c, PFK_OK, false, 0,
                      "Stopped."); // no-op when the control thread has ended it
        pthread_join(c->data_thread, NULL);
    }
    pfk_quic_destroy(c->quic);
    pfk_udp_close(c->udp);
    if (c->reassembler) {
        struct pfk_unit *u;
        while ((u = pfk_ring_pop(c->ready)) || (u = pfk_ring_pop(c->spent))) {
            pfk_reassembler_recycle(c->reassembler, u);
        }
        if (c->held) {
            pfk_reassembler_recycle(c->reassembler, c->held);
        }
        pfk_reassembler_destroy(c->reassembler);
    }
    pfk_ring_destroy(c->ready);
    pfk_ring_destroy(c->spent);
    pfk_identity_destroy(c->own_identity);
    explicit_bzero(&c->welcome, sizeof(c->welcome));
    sem_destroy(&c->ready_count);
    sem_destroy(&c->timing_count);
    pthread_mutex_destroy(&c->end_lock);
    free(c);
}
