// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/native/native_session.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/session/fec_rate.h"
#include "host/native/report.h"
#include "host/native/video_sender.h"
#include "host/session/session.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_DATA_SHARDS = 4096,
    SHARD_BYTES_IPV4 = 1408,
    SHARD_BYTES_IPV6 = 1388,
    MAX_UNIT_BYTES = 64 << 20,
    H264_MAX_PX = 4096,
    MAX_HZ = 1000,
    TIMING_QUEUE = 128 // power of two
};

static const uint64_t punch_wait_ns = 2500000000u;

// Timing records from the send thread to the QUIC thread, by value.
struct timing_queue {
    _Atomic uint32_t head, tail;
    struct pfk_timing slots[TIMING_QUEUE];
};

struct native_session {
    struct native_session_config cfg;
    pthread_t worker;
    _Atomic int state; // enum native_session_state
    sem_t news;        // for the worker: Start, stop, the source's end
    atomic_bool started, stop, source_ended;
    atomic_int source_status;
    uint16_t client_port; // valid once `started`

    // Worker; the QUIC thread reads `welcome` from NATIVE_READY on, the end from NATIVE_ENDED on.
    struct display_output *output;
    struct pfk_udp *udp;
    struct video_sender *sender;
    struct pfk_welcome welcome;
    uint64_t end_code;
    char end_reason[128];
    uint64_t begin_ns;

    // QUIC thread, while the session streams.
    pthread_mutex_t session_lock; // `session` appears and goes on the worker's thread
    struct session *session;
    uint32_t bitrate_kbps; // the client's last wish; 0 = none
    uint8_t fec_percent;
    bool fec_auto;

    struct timing_queue timings;
};

enum native_session_state native_session_state(struct native_session *s)
{
    return (enum native_session_state)atomic_load(&s->state);
}

const struct pfk_welcome *native_session_welcome(const struct native_session *s)
{
    return &s->welcome;
}

uint64_t native_session_end(const struct native_session *s, const char **reason)
{
    *reason = s->end_reason;
    return s->end_code;
}

static void set_state(struct native_session *s, enum native_session_state state)
{
    atomic_store(&s->state, state);
    s->cfg.wake(s->cfg.wake_opaque);
}

static void set_end(struct native_session *s, uint64_t code, const char *reason)
{
    s->end_code = code;
    snprintf(s->end_reason, sizeof(s->end_reason), "%s", reason);
}

static void await_news(struct native_session *s)
{
    while (sem_wait(&s->news) != 0 && errno == EINTR) {
    }
}

// --- set-up ---

static bool is_ipv6(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 &&
           !IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static bool can_decode_h264(const struct pfk_hello *h)
{
    return (h->codecs & PFK_CODEC_H264) != 0; // 0 means HEVC only
}

static int open_socket(struct native_session *s)
{
    const struct settings *cfg = s->cfg.settings;
    // On the very address that the client dialled: its socket is connected to that one.
    struct pfk_udp_config uc = {.bind = s->cfg.local, .plain = cfg->plain_udp, .log = s->cfg.log};
    pfk_addr_set_port(&uc.bind, (uint16_t)cfg->data_port);
    return pfk_udp_open(&s->udp, &uc);
}

static int make_output(struct native_session *s, const struct pfk_mode *mode)
{
    if (!s->cfg.display) {
        return PFK_OK;
    }
    pthread_mutex_lock(s->cfg.display_lock);
    int err = display_output_create(s->cfg.display, &s->output, mode->width_px, mode->height_px,
                                    mode->hz);
    pthread_mutex_unlock(s->cfg.display_lock);
    return err;
}

static void drop_output(struct native_session *s)
{
    if (s->output) {
        pthread_mutex_lock(s->cfg.display_lock);
        display_output_destroy(s->output);
        pthread_mutex_unlock(s->cfg.display_lock);
        s->output = NULL;
    }
}

static int fill_welcome(struct native_session *s)
{
    const struct settings *cfg = s->cfg.settings;
    const struct pfk_hello *h = &s->cfg.hello;
    const bool synthetic = !s->cfg.display;
    s->fec_auto = cfg->fec_percent == FEC_PERCENT_AUTO;
    s->fec_percent = s->fec_auto ? PFK_FEC_PERCENT_START : (uint8_t)cfg->fec_percent;
    s->welcome = (struct pfk_welcome){
        .version = PFK_PROTOCOL_VERSION,
        .video_port = pfk_udp_port(s->udp),
        .mode = h->mode,
        .fec_field = PFK_FEC_GF16,
        .fec_percent = s->fec_percent,
        .max_data_shards = MAX_DATA_SHARDS,
        .shard_bytes = (uint16_t)(cfg->shard_bytes        ? cfg->shard_bytes
                                  : is_ipv6(&s->cfg.peer) ? SHARD_BYTES_IPV6
                                                          : SHARD_BYTES_IPV4),
        .encrypted = 1,
        .n_frames = synthetic ? cfg->synthetic_frames : 0,
        .compositor = synthetic ? 0 : 2, // wlroots
        .bitrate_kbps = pfk_bitrate_clamp(h->bitrate_kbps, cfg->bitrate_kbps),
        .bit_depth = 8,
        .primaries = 1, // BT.709, limited range, 4:2:0
        .transfer = 1,
        .matrix = 1,
        .chroma = 1,
        .audio_channels = 2,
        .codec = PFK_CODEC_H264,
    };
    if (s->output) {
        s->welcome.mode =
            (struct pfk_mode){s->output->width_px, s->output->height_px, s->output->hz};
    } else if (synthetic) {
        s->welcome.mode.hz = cfg->synthetic_hz;
        uint64_t kbps = (uint64_t)cfg->synthetic_bytes * cfg->synthetic_hz * 8 / 1000 + 1;
        s->welcome.bitrate_kbps =
            kbps > PFK_BITRATE_MAX_KBPS ? PFK_BITRATE_MAX_KBPS : (uint32_t)kbps;
    }
    return gnutls_rnd(GNUTLS_RND_KEY, s->welcome.key, sizeof(s->welcome.key)) < 0 ||
                   gnutls_rnd(GNUTLS_RND_KEY, s->welcome.salt, sizeof(s->welcome.salt)) < 0
               ? PFK_E_IO
               : PFK_OK;
}

static int make_sender(struct native_session *s)
{
    const struct pfk_welcome *w = &s->welcome;
    struct video_sender_config vc = {
        .plane = {.field = PFK_FEC_GF16,
                  .shard_bytes = w->shard_bytes,
                  .max_data_shards = w->max_data_shards,
                  .percent = w->fec_percent,
                  .encrypted = true,
                  .key.cipher = PFK_CIPHER_AES_128_GCM},
        .pacer = {.bitrate_kbps = w->bitrate_kbps, .hz = w->mode.hz},
        .max_unit_bytes = MAX_UNIT_BYTES,
        .drop_every = s->cfg.settings->drop_every,
        .udp = s->udp,
    };
    memcpy(vc.plane.key.key, w->key, sizeof(w->key));
    memcpy(vc.plane.key.salt, w->salt, sizeof(w->salt));
    int err = video_sender_create(&s->sender, &vc);
    explicit_bzero(&vc, sizeof(vc));
    return err;
}

static bool set_up(struct native_session *s)
{
    const struct pfk_hello *h = &s->cfg.hello;
    if (s->cfg.display && !can_decode_h264(h)) {
        set_end(s, PFK_CLOSE_SETUP_FAILED,
                "this host encodes H.264 only, the client cannot decode it");
        return false;
    }
    if (s->cfg.display && (h->mode.width_px > H264_MAX_PX || h->mode.height_px > H264_MAX_PX)) {
        set_end(s, PFK_CLOSE_SETUP_FAILED, "H.264 goes up to 4096x4096");
        return false;
    }
    if (s->cfg.display && h->mode.hz > MAX_HZ) {
        set_end(s, PFK_CLOSE_SETUP_FAILED, "this host goes up to 1000 Hz");
        return false;
    }
    if (open_socket(s) != PFK_OK) {
        set_end(s, PFK_CLOSE_SETUP_FAILED, "the host cannot open its video port");
        return false;
    }
    if (make_output(s, &h->mode) != PFK_OK) {
        set_end(s, PFK_CLOSE_SETUP_FAILED, "the host cannot make a display of this mode");
        return false;
    }
    if (fill_welcome(s) != PFK_OK || make_sender(s) != PFK_OK) {
        set_end(s, PFK_CLOSE_SETUP_FAILED, "the host is out of memory");
        return false;
    }
    return true;
}

// --- streaming ---

// Waits for the client's punch and takes its source address; else Start's port (section 5.9).
static void find_peer(struct native_session *s)
{
    static const char punch[8] = {'P', 'F', 'p', 'u', 'n', 'c', 'h', '1'};
    struct sockaddr_storage to = s->cfg.peer;
    pfk_addr_set_port(&to, s->client_port);
    const uint64_t until = pfk_clock_monotonic_ns() + punch_wait_ns;
    bool found = false;
    for (uint64_t now;
         !found && !atomic_load(&s->stop) && (now = pfk_clock_monotonic_ns()) < until;) {
        const struct pfk_udp_datagram *d;
        int n = pfk_udp_recv(s->udp, (int)((until - now) / 1000000u) + 1, &d);
        if (n < 0) {
            break; // it would fail again at once; Start's port may still do
        }
        for (int i = 0; i < n && !found; i++) {
            found = d[i].n_bytes >= sizeof(punch) &&
                    memcmp(d[i].bytes, punch, sizeof(punch)) == 0 &&
                    pfk_same_ip(d[i].from, &s->cfg.peer);
            if (found) {
                to = *d[i].from;
            }
        }
    }
    video_sender_set_peer(s->sender, &to);
}

static uint32_t us_between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (uint32_t)((to_ns - from_ns) / 1000u) : 0;
}

static void queue_timing(struct native_session *s, const struct pfk_timing *t)
{
    struct timing_queue *q = &s->timings;
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    if (tail - atomic_load_explicit(&q->head, memory_order_acquire) < TIMING_QUEUE) {
        q->slots[tail % TIMING_QUEUE] = *t;
        atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
        s->cfg.wake(s->cfg.wake_opaque);
    }
}

bool native_session_next_timing(struct native_session *s, struct pfk_timing *out)
{
    struct timing_queue *q = &s->timings;
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&q->tail, memory_order_acquire)) {
        return false;
    }
    *out = q->slots[head % TIMING_QUEUE];
    atomic_store_explicit(&q->head, head + 1, memory_order_release);
    return true;
}

static void on_unit(void *opaque, const struct unit *u)
{
    struct native_session *s = opaque;
    uint64_t begin_ns = pfk_clock_wall_ns();
    if (!video_sender_send(s->sender, u)) { // later units refer to it
        native_session_request_keyframe(s);
        return;
    }
    if (!(s->cfg.hello.video_caps & PFK_VIDEO_CAP_TIMING)) {
        return;
    }
    uint64_t end_ns = pfk_clock_wall_ns();
    const struct pfk_timing t = {
        .pts_ns = u->pts_ns,
        .total_us = us_between(u->pts_ns, end_ns),
        .has_stages = true,
        .queue_us = us_between(u->ready_ns, u->start_ns) + us_between(u->encoded_ns, begin_ns),
        .encode_us = us_between(u->start_ns, u->encoded_ns),
        .pace_us = us_between(begin_ns, end_ns),
        .has_detail = s->cfg.settings->stage_timing,
        .capture_us = us_between(u->pts_ns, u->ready_ns),
        .convert_us = (uint32_t)(u->convert_ns / 1000u),
    };
    queue_timing(s, &t);
}

static void on_source_end(void *opaque, int status)
{
    struct native_session *s = opaque;
    atomic_store(&s->source_status, status);
    atomic_store(&s->source_ended, true);
    sem_post(&s->news);
}

static void stream(struct native_session *s)
{
    const struct settings *cfg = s->cfg.settings;
    const struct source_config sc = {
        .output = s->output,
        .width_px = s->welcome.mode.width_px,
        .height_px = s->welcome.mode.height_px,
        .hz = s->welcome.mode.hz,
        .bitrate_kbps = s->welcome.bitrate_kbps,
        .encoder_preset = strcmp(cfg->encoder_preset, "auto") == 0 ? NULL : cfg->encoder_preset,
        .unit_bytes = cfg->synthetic_bytes,
        .n_units = cfg->synthetic_frames,
        .log = s->cfg.log,
    };
    const struct session_sink sink = {on_unit, on_source_end, s};
    struct session *session = NULL;
    s->begin_ns = pfk_clock_monotonic_ns();
    if (session_start(&session, s->cfg.display ? &source_desktop : &source_synthetic, &sc, &sink) !=
        PFK_OK) {
        set_end(s, PFK_CLOSE_SETUP_FAILED, "the host cannot capture or encode this display");
        return;
    }
    pthread_mutex_lock(&s->session_lock);
    s->session = session;
    if (s->bitrate_kbps) { // the client has been told that it holds
        session_set_bitrate(session, s->bitrate_kbps);
    }
    pthread_mutex_unlock(&s->session_lock);
    set_state(s, NATIVE_STREAMING);
    while (!atomic_load(&s->stop) && !atomic_load(&s->source_ended)) {
        await_news(s);
    }
    pthread_mutex_lock(&s->session_lock);
    s->session = NULL;
    pthread_mutex_unlock(&s->session_lock);
    struct source_stats source_stats;
    session_get_stats(session, &source_stats);
    session_stop(session);
    struct video_sender_stats sender_stats;
    video_sender_get_stats(s->sender, &sender_stats);
    struct pfk_udp_stats udp_stats;
    pfk_udp_get_stats(s->udp, &udp_stats);
    const struct session_report report = {
        .welcome = &s->welcome,
        .client_name = s->cfg.hello.name,
        .seconds = (double)(pfk_clock_monotonic_ns() - s->begin_ns) / 1e9,
        .source = &source_stats,
        .sender = &sender_stats,
        .udp = &udp_stats,
        .udp_path = pfk_udp_path(s->udp),
    };
    report_session(&report, cfg->report, &s->cfg.log);
    if (atomic_load(&s->source_ended) && atomic_load(&s->source_status) != PFK_OK) {
        set_end(s, PFK_CLOSE_ERROR, "the display or its encoder failed; the host's log has more");
    } else {
        set_end(s, PFK_CLOSE_NORMAL, "");
    }
}

static void *run(void *arg)
{
    struct native_session *s = arg;
    pthread_setname_np(pthread_self(), "session");
    if (set_up(s)) {
        set_state(s, NATIVE_READY);
        while (!atomic_load(&s->started) && !atomic_load(&s->stop)) {
            await_news(s);
        }
        if (!atomic_load(&s->stop)) {
            find_peer(s);
        }
        if (!atomic_load(&s->stop)) {
            stream(s);
        }
    }
    drop_output(s);
    set_state(s, NATIVE_ENDED);
    while (!atomic_load(&s->stop)) { // the QUIC thread tells the client, then lets go
        await_news(s);
    }
    set_state(s, NATIVE_GONE);
    return NULL;
}

// --- the QUIC thread's side ---

int native_session_create(struct native_session **out, const struct native_session_config *cfg)
{
    *out = NULL;
    struct native_session *s = calloc(1, sizeof(*s));
    if (!s) {
        return PFK_E_NOMEM;
    }
    s->cfg = *cfg;
    sem_init(&s->news, 0, 0);
    pthread_mutex_init(&s->session_lock, NULL);
    if (pthread_create(&s->worker, NULL, run, s) != 0) {
        pthread_mutex_destroy(&s->session_lock);
        sem_destroy(&s->news);
        free(s);
        return PFK_E_NOMEM;
    }
    *out = s;
    return PFK_OK;
}

void native_session_begin(struct native_session *s, uint16_t client_port)
{
    s->client_port = client_port;
    atomic_store(&s->started, true);
    sem_post(&s->news);
}

void native_session_request_keyframe(struct native_session *s)
{
    pthread_mutex_lock(&s->session_lock);
    if (s->session) { // before it streams there is nothing to repair: it begins with a key frame
        session_request_keyframe(s->session);
    }
    pthread_mutex_unlock(&s->session_lock);
}

void native_session_set_bitrate(struct native_session *s, uint32_t kbps)
{
    pthread_mutex_lock(&s->session_lock);
    s->bitrate_kbps = kbps; // for a stream that is yet to start
    if (s->session) {
        session_set_bitrate(s->session, kbps);
    }
    pthread_mutex_unlock(&s->session_lock);
}

void native_session_report_loss(struct native_session *s, uint32_t ppm)
{
    if (s->fec_auto && native_session_state(s) == NATIVE_STREAMING) {
        s->fec_percent = pfk_fec_percent_after(s->fec_percent, ppm);
        video_sender_set_percent(s->sender, s->fec_percent);
    }
}

void native_session_stop(struct native_session *s)
{
    atomic_store(&s->stop, true);
    sem_post(&s->news);
    if (native_session_state(s) == NATIVE_READY) {
        pfk_udp_wake(s->udp); // it may wait for the punch
    }
}

void native_session_destroy(struct native_session *s)
{
    if (!s) {
        return;
    }
    native_session_stop(s);
    pthread_join(s->worker, NULL);
    video_sender_destroy(s->sender);
    pfk_udp_close(s->udp);
    explicit_bzero(&s->welcome, sizeof(s->welcome));
    pthread_mutex_destroy(&s->session_lock);
    sem_destroy(&s->news);
    free(s);
}
