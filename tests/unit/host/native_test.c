// SPDX-License-Identifier: MIT OR Apache-2.0
// The host with the synthetic source against clients that leave at each step, over real sockets.
#include "host/native/native.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/quic.h"
#include "core/wire/control.h"
#include "punktfunk_core.h"
#include "tests/unit/check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <unistd.h>

enum step { AT_OPEN, AT_HELLO, AT_WELCOME, AT_START, AT_STREAM_END };

struct client {
    struct pfk_quic *quic;
    struct pfk_quic_conn *conn;
    struct pfk_deframer deframer;
    struct pfk_welcome welcome;
    bool open, has_welcome, closed;
    uint64_t code;
    char reason[200];
};

static struct pfk_identity *host_id;
static const struct pfk_log quiet;

static void on_open(void *opaque, struct pfk_quic_conn *c)
{
    ((struct client *)opaque)->open = true;
    ((struct client *)opaque)->conn = c;
}

static void on_stream(void *opaque, struct pfk_quic_conn *conn, const uint8_t *bytes, size_t n)
{
    struct client *c = opaque;
    while (n > 0) {
        const uint8_t *body;
        size_t body_bytes, used = pfk_deframe(&c->deframer, bytes, n, &body, &body_bytes);
        bytes += used;
        n -= used;
        if (body && !c->has_welcome) {
            c->has_welcome = pfk_welcome_parse(&c->welcome, body, body_bytes) == PFK_OK;
        }
    }
}

static void on_close(void *opaque, struct pfk_quic_conn *conn, enum pfk_quic_close_kind kind,
                     uint64_t code, const char *reason)
{
    struct client *c = opaque;
    c->conn = NULL;
    c->closed = true;
    c->code = code;
    snprintf(c->reason, sizeof(c->reason), "%s", reason);
}

static struct sockaddr_storage loopback(uint16_t port)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    memcpy(&a, &in, sizeof(in));
    return a;
}

static void client_dial(struct client *c, const struct native *n, const struct pfk_identity *id)
{
    const struct sockaddr_storage server = loopback(native_port(n));
    struct pfk_quic_config cfg = {
        .identity = id,
        .bind = loopback(0),
        .callbacks = {.on_open = on_open, .on_stream = on_stream, .on_close = on_close},
        .opaque = c};
    CHECK_EQ(pfk_quic_connect(&c->quic, &cfg, &server, NULL), PFK_OK);
}

// Until *flag, or the close, or 20 s have passed.
static void client_wait(struct client *c, const bool *flag)
{
    const uint64_t until = pfk_clock_monotonic_ns() + 20000000000u;
    while (!*flag && !c->closed && pfk_clock_monotonic_ns() < until) {
        CHECK_EQ(pfk_quic_step(c->quic, 50), PFK_OK);
    }
}

static void client_hello(struct client *c, struct pfk_mode mode, uint8_t codecs)
{
    const struct pfk_hello hello = {.version = PFK_PROTOCOL_VERSION,
                                    .mode = mode,
                                    .name = "test",
                                    .audio_channels = 2,
                                    .codecs = codecs};
    uint8_t frame[256];
    struct pfk_writer w = pfk_writer_init(frame, sizeof(frame));
    uint8_t *mark = pfk_frame_begin(&w);
    pfk_hello_emit(&hello, &w);
    pfk_frame_end(&w, mark);
    CHECK_EQ(pfk_quic_send(c->conn, frame, (size_t)(w.p - frame)), PFK_OK);
}

static void client_start(struct client *c, uint16_t port)
{
    const struct pfk_start start = {port};
    uint8_t frame[64];
    struct pfk_writer w = pfk_writer_init(frame, sizeof(frame));
    uint8_t *mark = pfk_frame_begin(&w);
    pfk_start_emit(&start, &w);
    pfk_frame_end(&w, mark);
    CHECK_EQ(pfk_quic_send(c->conn, frame, (size_t)(w.p - frame)), PFK_OK);
}

static struct settings synthetic(void)
{
    struct settings s;
    char error[256];
    const char *const args[] = {
        "--source", "synthetic", "--synthetic-frames", "5", "--synthetic-bytes", "100",
        "--port",   "0"};
    CHECK_EQ(settings_load(&s, 8, (char **)(uintptr_t)args, error, sizeof(error)), PFK_OK);
    return s;
}

static unsigned n_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d)) {
        n++;
    }
    if (d) {
        closedir(d);
    }
    return n;
}

// A whole session through the public ABI: is the host still in order?
static void one_good_session(const struct native *n)
{
    const PunktfunkConnectConfig cfg = {.struct_size = sizeof(cfg),
                                        .host = "127.0.0.1",
                                        .port = native_port(n),
                                        .width_px = 640,
                                        .height_px = 480,
                                        .refresh_hz = 60};
    PunktfunkConnection *c = NULL;
    PunktfunkEnd end = {.struct_size = sizeof(end)};
    PunktfunkUnit u = {.struct_size = sizeof(u)};
    CHECK_EQ(punktfunk_connect(&c, &cfg, &end), PUNKTFUNK_OK);
    unsigned got = 0;
    while (punktfunk_next_unit(c, &u, 20000) == PUNKTFUNK_OK) {
        got++;
    }
    CHECK_EQ(punktfunk_get_end(c, &end), PUNKTFUNK_OK);
    punktfunk_connection_free(c);
    CHECK_EQ(end.status, PUNKTFUNK_OK);
    CHECK_EQ(got, 5);
}

// Goes as far as `step`, then leaves.
static void client_leaves(const struct native *n, enum step step)
{
    struct client c = {0};
    client_dial(&c, n, NULL);
    client_wait(&c, &c.open);
    CHECK(c.open);
    if (step >= AT_HELLO) {
        client_hello(&c, (struct pfk_mode){640, 480, 60}, PFK_CODEC_H264);
        CHECK_EQ(pfk_quic_step(c.quic, 0), PFK_OK);
    }
    if (step >= AT_WELCOME) {
        client_wait(&c, &c.has_welcome);
        CHECK(c.has_welcome);
    }
    if (step >= AT_START) {
        client_start(&c, 9);
        CHECK_EQ(pfk_quic_step(c.quic, 0), PFK_OK);
    }
    if (step == AT_STREAM_END) { // nobody punches: 2.5 s, five units, then the host's second
        const uint64_t until = pfk_clock_monotonic_ns() + 3100000000u;
        while (pfk_clock_monotonic_ns() < until && !c.closed) {
            CHECK_EQ(pfk_quic_step(c.quic, 50), PFK_OK);
        }
    }
    if (c.conn) {
        pfk_quic_close(c.conn, step % 2 ? PFK_CLOSE_USER_STOP : PFK_CLOSE_NORMAL, "");
    }
    pfk_quic_destroy(c.quic);
}

static void clients_may_leave_at_every_step(void **state)
{
    struct settings s = synthetic();
    struct native *n;
    CHECK_EQ(native_start(&n, &s, host_id, NULL, &quiet), PFK_OK);
    unsigned before = n_descriptors();
    one_good_session(n);
    for (int i = 0; i < 40; i++) {
        client_leaves(n, (enum step)(i % AT_STREAM_END));
    }
    client_leaves(n, AT_STREAM_END);
    one_good_session(n);
    // The last session is torn down while nobody waits for it.
    const uint64_t until = pfk_clock_monotonic_ns() + 20000000000u;
    while (n_descriptors() > before && pfk_clock_monotonic_ns() < until) {
        usleep(10000);
    }
    CHECK_EQ(n_descriptors(), before);
    native_stop(n);
}

static void the_host_may_end_at_every_step(void **state)
{
    struct settings s = synthetic();
    s.synthetic_frames = 0;
    for (int i = 0; i < 12; i++) {
        enum step step = (enum step)(i % AT_STREAM_END);
        struct native *n;
        struct client c = {0}, waits = {0};
        CHECK_EQ(native_start(&n, &s, host_id, NULL, &quiet), PFK_OK);
        client_dial(&c, n, NULL);
        client_wait(&c, &c.open);
        if (step >= AT_HELLO) {
            client_hello(&c, (struct pfk_mode){640, 480, 60}, PFK_CODEC_H264);
            CHECK_EQ(pfk_quic_step(c.quic, 0), PFK_OK);
        }
        if (step >= AT_WELCOME) {
            client_wait(&c, &c.has_welcome);
            client_dial(&waits, n, NULL);
            client_wait(&waits, &waits.open);
            client_hello(&waits, (struct pfk_mode){640, 480, 60}, PFK_CODEC_H264);
            CHECK_EQ(pfk_quic_step(waits.quic, 0), PFK_OK);
        }
        if (step >= AT_START) {
            client_start(&c, 9);
            CHECK_EQ(pfk_quic_step(c.quic, 10), PFK_OK);
        }
        native_stop(n);
        client_wait(&c, &c.closed);
        CHECK(c.closed);
        if (step >= AT_WELCOME) { // before the host's handshake is done QUIC hides the code
            CHECK_EQ(c.code, PFK_CLOSE_NORMAL);
        }
        pfk_quic_destroy(c.quic);
        pfk_quic_destroy(waits.quic);
    }
}

static void a_waiting_client_is_served_when_the_other_leaves(void **state)
{
    struct settings s = synthetic();
    struct native *n;
    struct client first = {0}, second = {0};
    CHECK_EQ(native_start(&n, &s, host_id, NULL, &quiet), PFK_OK);
    client_dial(&first, n, NULL);
    client_wait(&first, &first.open);
    client_hello(&first, (struct pfk_mode){640, 480, 60}, PFK_CODEC_H264);
    client_wait(&first, &first.has_welcome);
    client_dial(&second, n, NULL);
    client_wait(&second, &second.open);
    client_hello(&second, (struct pfk_mode){640, 480, 60}, PFK_CODEC_H264);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(pfk_quic_step(second.quic, 20), PFK_OK);
    }
    CHECK(!second.has_welcome);
    pfk_quic_destroy(first.quic);
    client_wait(&second, &second.has_welcome);
    CHECK(second.has_welcome);
    pfk_quic_destroy(second.quic);
    native_stop(n);
}

static int make_identity(void **state)
{
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
        cmocka_unit_test(clients_may_leave_at_every_step),
        cmocka_unit_test(the_host_may_end_at_every_step),
        cmocka_unit_test(a_waiting_client_is_served_when_the_other_leaves),
    };
    return cmocka_run_group_tests(tests, make_identity, drop_identity);
}
