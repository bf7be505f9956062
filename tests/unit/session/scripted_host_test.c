// SPDX-License-Identifier: MIT OR Apache-2.0
// The public ABI against a host that misbehaves at each step of a session, over real sockets.
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/media/packetizer.h"
#include "core/net/quic.h"
#include "core/net/udp.h"
#include "core/wire/control.h"
#include "core/wire/video_header.h"
#include "punktfunk_core.h"
#include "tests/unit/check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>

enum script {
    CLOSE_AT_OPEN,
    CLOSE_AT_HELLO,
    REFUSE_AT_HELLO,
    SILENT_AFTER_HELLO,
    GARBAGE_FOR_WELCOME,
    BAD_WELCOME, // `spoil` makes it so
    WELCOME_AND_CLOSE,
    CLOSE_AT_START,
    STREAM,
    STREAM_AND_CLOSE
};

enum { N_BURST = 1500, UNIT_BYTES = 32 };

struct host {
    enum script script;
    void (*spoil)(struct pfk_welcome *w);
    struct pfk_quic *quic;
    struct pfk_udp *udp;
    struct pfk_packetizer *packetizer;
    struct pfk_deframer deframer;
    pthread_t thread;
    atomic_bool stop;
    bool said_hello, sends;
    struct sockaddr_storage to;
    _Atomic uint64_t closed_with; // plus one
};

static struct pfk_identity *host_id;

static const struct pfk_plane plane = {.field = PFK_FEC_GF16,
                                       .shard_bytes = 64,
                                       .max_data_shards = 16,
                                       .encrypted = true,
                                       .key = {.key = {1, 2, 3}, .salt = {4}}};

static void send_welcome(struct host *h, struct pfk_quic_conn *c)
{
    struct pfk_welcome welcome = {.version = PFK_PROTOCOL_VERSION,
                                  .video_port = pfk_udp_port(h->udp),
                                  .mode = {640, 480, 60},
                                  .fec_field = 1,
                                  .max_data_shards = plane.max_data_shards,
                                  .shard_bytes = plane.shard_bytes,
                                  .encrypted = 1,
                                  .key = {1, 2, 3},
                                  .salt = {4},
                                  .bitrate_kbps = 1000,
                                  .bit_depth = 8,
                                  .primaries = 1,
                                  .transfer = 1,
                                  .matrix = 1,
                                  .chroma = 1,
                                  .audio_channels = 2,
                                  .codec = PFK_CODEC_H264};
    if (h->spoil) {
        h->spoil(&welcome);
    }
    uint8_t frame[256];
    struct pfk_writer w = pfk_writer_init(frame, sizeof(frame));
    uint8_t *mark = pfk_frame_begin(&w);
    pfk_welcome_emit(&welcome, &w);
    pfk_frame_end(&w, mark);
    (void)pfk_quic_send(c, frame, (size_t)(w.p - frame));
}

static void send_units(struct host *h, unsigned n)
{
    const uint8_t unit[UNIT_BYTES] = {0};
    for (unsigned i = 0; i < n; i++) {
        const struct pfk_au_meta meta = {.pts_ns = pfk_clock_wall_ns(),
                                         .flags = PFK_AU_VIDEO | PFK_AU_KEYFRAME};
        struct pfk_datagrams d;
        CHECK_EQ(pfk_packetize(h->packetizer, unit, sizeof(unit), &meta, &d), PFK_OK);
        CHECK_EQ(pfk_packetizer_seal(h->packetizer, 0, d.n_datagrams), PFK_OK);
        (void)pfk_udp_send(h->udp, &h->to, d.base, d.datagram_bytes, d.n_datagrams);
    }
}

static void take_message(struct host *h, struct pfk_quic_conn *c, const uint8_t *body, size_t n)
{
    struct pfk_start start;
    if (!h->said_hello) {
        h->said_hello = true;
        switch (h->script) {
        case CLOSE_AT_HELLO:
            pfk_quic_close(c, PFK_CLOSE_NORMAL, "");
            break;
        case REFUSE_AT_HELLO:
            pfk_quic_close(c, PFK_CLOSE_SETUP_FAILED, "the test wants it");
            break;
        case SILENT_AFTER_HELLO:
            break;
        case GARBAGE_FOR_WELCOME:
            (void)pfk_quic_send(c, "\x05\x00hello", 7);
            break;
        case WELCOME_AND_CLOSE:
            send_welcome(h, c);
            pfk_quic_close(c, PFK_CLOSE_ERROR, "changed my mind");
            break;
        default:
            send_welcome(h, c);
            break;
        }
    } else if (!h->sends && pfk_start_parse(&start, body, n) == PFK_OK) {
        if (h->script == CLOSE_AT_START) {
            pfk_quic_close(c, PFK_CLOSE_SETUP_FAILED, "no capture");
            return;
        }
        h->to = *pfk_quic_conn_peer(c);
        ((struct sockaddr_in *)&h->to)->sin_port = htons(start.video_port);
        h->sends = true;
        if (h->script == STREAM_AND_CLOSE) {
            send_units(h, 10);
            pfk_quic_close(c, PFK_CLOSE_NORMAL, "");
        }
    }
}

static void on_open(void *opaque, struct pfk_quic_conn *c)
{
    struct host *h = opaque;
    if (h->script == CLOSE_AT_OPEN) {
        pfk_quic_close(c, PFK_CLOSE_BUSY, "in use");
    }
}

static void on_stream(void *opaque, struct pfk_quic_conn *c, const uint8_t *bytes, size_t n)
{
    struct host *h = opaque;
    while (n > 0) {
        const uint8_t *body;
        size_t body_bytes, used = pfk_deframe(&h->deframer, bytes, n, &body, &body_bytes);
        bytes += used;
        n -= used;
        if (body) {
            take_message(h, c, body, body_bytes);
        }
    }
}

static void on_close(void *opaque, struct pfk_quic_conn *c, enum pfk_quic_close_kind kind,
                     uint64_t code, const char *reason)
{
    struct host *h = opaque;
    h->sends = false;
    atomic_store(&h->closed_with, code + 1);
}

static void *run_host(void *arg)
{
    struct host *h = arg;
    while (!atomic_load(&h->stop)) {
        (void)pfk_quic_step(h->quic, h->sends ? 1 : -1);
        if (h->sends && h->script == STREAM) {
            send_units(h, N_BURST);
        }
    }
    return NULL;
}

static void host_start(struct host *h, enum script script)
{
    h->script = script;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct pfk_quic_config qc = {
        .identity = host_id,
        .callbacks = {.on_open = on_open, .on_stream = on_stream, .on_close = on_close},
        .opaque = h};
    struct pfk_udp_config uc = {.buffer_bytes = 4 << 20};
    memcpy(&qc.bind, &in, sizeof(in));
    memcpy(&uc.bind, &in, sizeof(in));
    CHECK_EQ(pfk_quic_listen(&h->quic, &qc), PFK_OK);
    CHECK_EQ(pfk_udp_open(&h->udp, &uc), PFK_OK);
    CHECK_EQ(pfk_packetizer_create(&h->packetizer, &plane, 1 << 16), PFK_OK);
    CHECK_EQ(pthread_create(&h->thread, NULL, run_host, h), 0);
}

static void host_stop(struct host *h)
{
    atomic_store(&h->stop, true);
    pfk_quic_wake(h->quic);
    pthread_join(h->thread, NULL);
    pfk_quic_destroy(h->quic);
    pfk_udp_close(h->udp);
    pfk_packetizer_destroy(h->packetizer);
}

static int dial_name(const struct host *h, const char *name, PunktfunkConnection **c,
                     PunktfunkEnd *end, uint32_t timeout_ms)
{
    const PunktfunkConnectConfig cfg = {.struct_size = sizeof(cfg),
                                        .host = name,
                                        .port = pfk_quic_port(h->quic),
                                        .width_px = 640,
                                        .height_px = 480,
                                        .refresh_hz = 60,
                                        .timeout_ms = timeout_ms};
    *end = (PunktfunkEnd){.struct_size = sizeof(*end)};
    *c = NULL;
    return punktfunk_connect(c, &cfg, end);
}

static int dial(const struct host *h, PunktfunkConnection **c, PunktfunkEnd *end,
                uint32_t timeout_ms)
{
    return dial_name(h, "127.0.0.1", c, end, timeout_ms);
}

// Dials a host of that script, which must fail; what it said is in *end.
static int refused(enum script script, void (*spoil)(struct pfk_welcome *), PunktfunkEnd *end)
{
    struct host h = {.spoil = spoil};
    PunktfunkConnection *c;
    host_start(&h, script);
    int err = dial(&h, &c, end, script == SILENT_AFTER_HELLO ? 300 : 20000);
    host_stop(&h);
    CHECK(err != PUNKTFUNK_OK);
    CHECK(!c);
    CHECK_EQ(end->status, err);
    CHECK(end->text[0]);
    return err;
}

static void a_host_that_closes_before_welcome_is_a_failure(void **state)
{
    PunktfunkEnd end;
    CHECK_EQ(refused(CLOSE_AT_OPEN, NULL, &end), PUNKTFUNK_E_BUSY);
    CHECK_EQ(end.by_host, 1);
    CHECK_EQ(refused(CLOSE_AT_HELLO, NULL, &end), PUNKTFUNK_E_CLOSED);
    CHECK_EQ(end.close_code, PFK_CLOSE_NORMAL);
    CHECK_EQ(refused(REFUSE_AT_HELLO, NULL, &end), PUNKTFUNK_E_CLOSED);
    CHECK(strstr(end.text, "the test wants it"));
}

static void a_silent_host_is_a_time_out(void **state)
{
    PunktfunkEnd end;
    CHECK_EQ(refused(SILENT_AFTER_HELLO, NULL, &end), PUNKTFUNK_E_TIMEOUT);
}

static void no_port(struct pfk_welcome *w)
{
    w->video_port = 0;
}

static void odd_shards(struct pfk_welcome *w)
{
    w->shard_bytes = 1407;
}

static void no_key(struct pfk_welcome *w)
{
    memset(w->key, 0, sizeof(w->key));
}

static void a_bad_welcome_breaks_the_protocol(void **state)
{
    PunktfunkEnd end;
    CHECK_EQ(refused(GARBAGE_FOR_WELCOME, NULL, &end), PUNKTFUNK_E_PROTOCOL);
    CHECK_EQ(refused(BAD_WELCOME, no_port, &end), PUNKTFUNK_E_PROTOCOL);
    CHECK_EQ(refused(BAD_WELCOME, odd_shards, &end), PUNKTFUNK_E_PROTOCOL);
    CHECK_EQ(refused(BAD_WELCOME, no_key, &end), PUNKTFUNK_E_PROTOCOL);
}

// Pulls until the end and returns why it ended.
static PunktfunkEnd drain(PunktfunkConnection *c, unsigned *n_units)
{
    PunktfunkUnit u = {.struct_size = sizeof(u)};
    int err;
    while ((err = punktfunk_next_unit(c, &u, 20000)) == PUNKTFUNK_OK) {
        CHECK_EQ(u.n_bytes, UNIT_BYTES);
        *n_units += 1;
    }
    CHECK_EQ(err, PUNKTFUNK_E_CLOSED);
    PunktfunkEnd end = {.struct_size = sizeof(end)};
    CHECK_EQ(punktfunk_get_end(c, &end), PUNKTFUNK_OK);
    return end;
}

// Both in one turn of the client's loop, mostly: it must not write to a connection that is over.
static void a_close_right_behind_the_welcome_is_taken(void **state)
{
    for (int i = 0; i < 30; i++) {
        struct host h = {0};
        PunktfunkConnection *c;
        PunktfunkEnd end;
        unsigned n = 0;
        host_start(&h, WELCOME_AND_CLOSE);
        if (dial(&h, &c, &end, 20000) == PUNKTFUNK_OK) {
            end = drain(c, &n);
        }
        CHECK_EQ(end.status, PUNKTFUNK_E_CLOSED);
        CHECK_EQ(end.by_host, 1);
        punktfunk_connection_free(c);
        host_stop(&h);
    }
}

static void a_close_at_start_ends_the_pulls(void **state)
{
    struct host h = {0};
    PunktfunkConnection *c;
    PunktfunkEnd end;
    unsigned n = 0;
    host_start(&h, CLOSE_AT_START);
    CHECK_EQ(dial(&h, &c, &end, 20000), PUNKTFUNK_OK);
    end = drain(c, &n);
    CHECK_EQ(n, 0);
    CHECK_EQ(end.close_code, PFK_CLOSE_SETUP_FAILED);
    CHECK(strstr(end.text, "no capture"));
    PunktfunkTiming t = {.struct_size = sizeof(t)};
    CHECK_EQ(punktfunk_next_timing(c, &t, 0), PUNKTFUNK_E_CLOSED);
    CHECK_EQ(punktfunk_request_keyframe(c), PUNKTFUNK_E_CLOSED);
    punktfunk_disconnect(c);
    punktfunk_connection_free(c);
    host_stop(&h);
}

// Where it also means ::1, that comes first in the resolver's answer.
static void localhost_is_dialled_over_ipv4(void **state)
{
    struct host h = {0};
    PunktfunkConnection *c;
    PunktfunkEnd end;
    host_start(&h, STREAM);
    CHECK_EQ(dial_name(&h, "localhost", &c, &end, 3000), PUNKTFUNK_OK);
    punktfunk_connection_free(c);
    host_stop(&h);
}

static void a_normal_end_is_no_error(void **state)
{
    struct host h = {0};
    PunktfunkConnection *c;
    PunktfunkEnd end;
    unsigned n = 0;
    host_start(&h, STREAM_AND_CLOSE);
    CHECK_EQ(dial(&h, &c, &end, 20000), PUNKTFUNK_OK);
    end = drain(c, &n);
    CHECK_EQ(end.status, PUNKTFUNK_OK);
    CHECK_EQ(end.by_host, 1);
    punktfunk_connection_free(c);
    host_stop(&h);
}

struct puller {
    PunktfunkConnection *c;
    pthread_t thread;
    bool timings;
    unsigned n;
    _Atomic unsigned n_so_far;
    int err;
};

static void *pull(void *arg)
{
    struct puller *p = arg;
    PunktfunkUnit u = {.struct_size = sizeof(u)};
    PunktfunkTiming t = {.struct_size = sizeof(t)};
    do {
        p->err = p->timings ? punktfunk_next_timing(p->c, &t, 5) : punktfunk_next_unit(p->c, &u, 5);
        atomic_fetch_add(&p->n_so_far, p->err == PUNKTFUNK_OK);
    } while (p->err == PUNKTFUNK_OK || p->err == PUNKTFUNK_E_TIMEOUT);
    return NULL;
}

// Two pulls run, small units come in bursts far above what waits, and a third thread ends it.
static void a_disconnect_ends_both_pulls(void **state)
{
    for (int i = 0; i < 10; i++) {
        struct host h = {0};
        PunktfunkEnd end;
        PunktfunkConnection *c;
        host_start(&h, STREAM);
        CHECK_EQ(dial(&h, &c, &end, 20000), PUNKTFUNK_OK);
        struct puller unit = {.c = c}, timing = {.c = c, .timings = true};
        CHECK_EQ(pthread_create(&unit.thread, NULL, pull, &unit), 0);
        CHECK_EQ(pthread_create(&timing.thread, NULL, pull, &timing), 0);
        while (atomic_load(&unit.n_so_far) < 200) {
            PunktfunkStats stats = {.struct_size = sizeof(stats)};
            CHECK_EQ(punktfunk_get_stats(c, &stats), PUNKTFUNK_OK);
            CHECK_EQ(punktfunk_request_keyframe(c), PUNKTFUNK_OK);
            sched_yield();
        }
        punktfunk_disconnect(c);
        punktfunk_disconnect(c);
        pthread_join(unit.thread, NULL);
        pthread_join(timing.thread, NULL);
        CHECK_EQ(unit.err, PUNKTFUNK_E_CLOSED);
        CHECK_EQ(timing.err, PUNKTFUNK_E_CLOSED);
        CHECK_EQ(punktfunk_get_end(c, &end), PUNKTFUNK_OK);
        CHECK_EQ(end.status, PUNKTFUNK_OK);
        punktfunk_connection_free(c);
        while (!atomic_load(&h.closed_with)) {
            sched_yield();
        }
        CHECK_EQ(h.closed_with - 1, PFK_CLOSE_USER_STOP);
        host_stop(&h);
    }
}

static int make_identity(void **state)
{
    const struct pfk_log quiet = {0};
    return pfk_identity_open(&host_id, PFK_IDENTITY_HOST, NULL, &quiet);
}

static int drop_identity(void **state)
{
    pfk_identity_destroy(host_id);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_closes_before_welcome_is_a_failure),
        cmocka_unit_test(a_silent_host_is_a_time_out),
        cmocka_unit_test(a_bad_welcome_breaks_the_protocol),
        cmocka_unit_test(a_close_right_behind_the_welcome_is_taken),
        cmocka_unit_test(a_close_at_start_ends_the_pulls),
        cmocka_unit_test(localhost_is_dialled_over_ipv4),
        cmocka_unit_test(a_normal_end_is_no_error),
        cmocka_unit_test(a_disconnect_ends_both_pulls),
    };
    return cmocka_run_group_tests(tests, make_identity, drop_identity);
}
