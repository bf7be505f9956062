// SPDX-License-Identifier: MIT OR Apache-2.0
// The control thread: the QUIC connection, clock rounds, loss reports, recovery requests.
#include "core/session/client.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/session/fec_rate.h"

#include <stdio.h>

static const uint64_t recovery_spacing_ns = CLIENT_RECOVERY_SPACING_MS * 1000000ull;

void client_send_control(struct PunktfunkConnection *c, const struct pfk_control *m)
{
    uint8_t frame[256];
    struct pfk_writer w = pfk_writer_init(frame, sizeof(frame));
    uint8_t *mark = pfk_frame_begin(&w);
    pfk_control_emit(m, &w);
    pfk_frame_end(&w, mark);
    if (c->conn) {
        (void)pfk_quic_send(c->conn, frame, (size_t)(w.p - frame)); // failure shows in on_close
    }
}

static void on_open(void *opaque, struct pfk_quic_conn *conn)
{
    struct PunktfunkConnection *c = opaque;
    c->conn = conn;
    c->has_host = true;
    const uint8_t *fp = pfk_quic_conn_fingerprint(conn);
    if (fp) {
        memcpy(c->host_fingerprint, fp, sizeof(c->host_fingerprint));
    }
}

static void take_welcome(struct PunktfunkConnection *c, const uint8_t *body, size_t n)
{
    int err = pfk_welcome_parse(&c->welcome, body, n);
    if (err) {
        client_finish(c, PFK_E_PROTOCOL, false, 0,
                      err == PFK_E_UNSUPPORTED
                          ? "The host chose a cipher that this client does not know."
                          : "The host's answer is not a Welcome; is it a punktfunk host?");
        pfk_quic_close(c->conn, PFK_CLOSE_ERROR, "bad Welcome");
        return;
    }
    c->has_welcome = true;
}

static void on_stream(void *opaque, struct pfk_quic_conn *conn, const uint8_t *bytes, size_t n)
{
    struct PunktfunkConnection *c = opaque;
    while (n > 0 && !atomic_load_explicit(&c->ended, memory_order_relaxed)) {
        const uint8_t *body;
        size_t body_bytes;
        size_t used = pfk_deframe(&c->deframer, bytes, n, &body, &body_bytes);
        bytes += used;
        n -= used;
        struct pfk_control m;
        if (!body) {
            continue;
        }
        if (!c->has_welcome) {
            take_welcome(c, body, body_bytes);
        } else if (pfk_control_parse(&m, body, body_bytes) == PFK_OK &&
                   m.type == PFK_CTL_CLOCK_ECHO) {
            pfk_clock_sync_echo(&c->clock, m.clock_echo.t1, m.clock_echo.t2, m.clock_echo.t3,
                                pfk_clock_wall_ns());
            if (c->clock.has_offset) {
                atomic_store(&c->clock_offset_ns, c->clock.offset_ns);
                atomic_store(&c->clock_rtt_ns, c->clock.rtt_ns);
            }
        } // the other answers belong to requests that this client does not make
    }
}

static void on_datagram(void *opaque, struct pfk_quic_conn *conn, const uint8_t *bytes, size_t n)
{
    struct PunktfunkConnection *c = opaque;
    struct pfk_timing t;
    if (n == 0 || bytes[0] != PFK_TAG_TIMING || pfk_timing_parse(&t, bytes, n) != PFK_OK) {
        return; // other planes come with later versions
    }
    uint32_t tail = atomic_load_explicit(&c->timings.tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&c->timings.head, memory_order_acquire);
    if (tail - head == CLIENT_READY_TIMINGS) {
        return; // nobody pulls them
    }
    c->timings.slots[tail % CLIENT_READY_TIMINGS] = (PunktfunkTiming){
        .struct_size = sizeof(PunktfunkTiming),
        .has = (t.has_stages ? 1u : 0u) | (t.has_detail ? 2u : 0u),
        .pts_ns = t.pts_ns,
        .total_us = t.total_us,
        .capture_us = t.capture_us,
        .queue_us = t.queue_us,
        .convert_us = t.convert_us,
        .encode_us = t.encode_us,
        .pace_us = t.pace_us,
    };
    atomic_store_explicit(&c->timings.tail, tail + 1, memory_order_release);
    sem_post(&c->timing_count);
}

static void on_close(void *opaque, struct pfk_quic_conn *conn, enum pfk_quic_close_kind kind,
                     uint64_t code, const char *reason)
{
    struct PunktfunkConnection *c = opaque;
    char text[256];
    c->conn = NULL;
    switch (kind) {
    case PFK_QUIC_CLOSED_BY_PEER: {
        bool normal = code == PFK_CLOSE_NORMAL || code == PFK_CLOSE_APP_EXITED;
        // Without a stream no end is a good one: the application asked for a stream.
        int status = normal && c->has_welcome                                        ? PFK_OK
                     : normal                                                        ? PFK_E_CLOSED
                     : code == PFK_CLOSE_BUSY                                        ? PFK_E_BUSY
                     : code >= PFK_CLOSE_PAIR_NOT_ARMED && code < PFK_CLOSE_REPLACED ? PFK_E_AUTH
                     : code == PFK_CLOSE_VERSION ? PFK_E_UNSUPPORTED
                                                 : PFK_E_CLOSED;
        bool cause = !normal && reason && reason[0];
        snprintf(text, sizeof(text), "%s%s%.120s%s", pfk_close_text(code),
                 cause ? " The host says: " : "", cause ? reason : "", cause ? "." : "");
        client_finish(c, status, true, code, text);
        break;
    }
    case PFK_QUIC_CLOSED_BY_US:
        client_finish(c, PFK_OK, false, code, "Stopped.");
        break;
    case PFK_QUIC_CLOSED_IDLE:
        client_finish(c, PFK_E_TIMEOUT, false, 0,
                      c->has_host ? "The host does not answer any more. Check that it runs and "
                                    "the network."
                                  : CLIENT_NO_ANSWER);
        break;
    case PFK_QUIC_CLOSED_TLS:
        snprintf(text, sizeof(text),
                 "The host could not be trusted, or is no punktfunk host: %.120s.",
                 reason && reason[0] ? reason : "TLS handshake failed");
        client_finish(c, PFK_E_AUTH, false, 0, text);
        break;
    case PFK_QUIC_CLOSED_TRANSPORT:
        snprintf(text, sizeof(text), "The connection broke: %.120s.",
                 reason && reason[0] ? reason : "transport error");
        client_finish(c, PFK_E_IO, false, code, text);
        break;
    }
}

const struct pfk_quic_callbacks client_quic_callbacks = {
    .on_open = on_open, .on_stream = on_stream, .on_datagram = on_datagram, .on_close = on_close};

static void report_loss(struct PunktfunkConnection *c)
{
    uint64_t received = atomic_load(&c->packets_received);
    uint64_t recovered = atomic_load(&c->shards_recovered);
    uint64_t late = atomic_load(&c->shards_late);
    uint64_t lost = atomic_load(&c->frames_lost);
    const struct pfk_control m = {
        .type = PFK_CTL_LOSS_REPORT,
        .loss_ppm = pfk_loss_ppm(received - c->reported_received, recovered - c->reported_recovered,
                                 late - c->reported_late, lost != c->reported_lost)};
    client_send_control(c, &m);
    c->reported_received = received;
    c->reported_recovered = recovered;
    c->reported_late = late;
    c->reported_lost = lost;
}

// At most one recovery request each 100 ms; what is wanted meanwhile waits.
static void request_recovery(struct PunktfunkConnection *c, uint64_t now_ns)
{
    const uint32_t kinds = CLIENT_WANT_KEYFRAME | CLIENT_WANT_RFI;
    if (now_ns < c->next_recovery_ns || !(atomic_load(&c->wants) & kinds)) {
        return;
    }
    uint32_t wants = atomic_fetch_and(&c->wants, ~kinds);
    struct pfk_control m = {.type = PFK_CTL_REQUEST_KEYFRAME};
    if (!(wants & CLIENT_WANT_KEYFRAME)) {
        m.type = PFK_CTL_RFI_REQUEST;
        m.rfi.first = atomic_load(&c->rfi_first);
        m.rfi.last = atomic_load(&c->rfi_last);
    }
    client_send_control(c, &m);
    atomic_fetch_add(&c->keyframe_requests, 1);
    c->next_recovery_ns = now_ns + recovery_spacing_ns;
}

// Everything that is due; returns how long the next step may wait.
static int tick(struct PunktfunkConnection *c)
{
    uint64_t now = pfk_clock_monotonic_ns();
    uint64_t t1, wait;
    while (pfk_clock_sync_poll(&c->clock, pfk_clock_wall_ns(), &t1, &wait)) {
        const struct pfk_control m = {.type = PFK_CTL_CLOCK_PROBE, .clock_probe_t1 = t1};
        client_send_control(c, &m);
    }
    if (now >= c->next_report_ns) {
        report_loss(c);
        c->next_report_ns = now + PFK_LOSS_REPORT_EVERY_NS;
    }
    request_recovery(c, now);
    uint64_t report = c->next_report_ns - now;
    wait = wait < report ? wait : report;
    if (atomic_load(&c->wants) & (CLIENT_WANT_KEYFRAME | CLIENT_WANT_RFI)) {
        uint64_t recovery = c->next_recovery_ns > now ? c->next_recovery_ns - now : 0;
        wait = wait < recovery ? wait : recovery;
    }
    return (int)(wait / 1000000u) + 1;
}

void *client_control_run(void *arg)
{
    struct PunktfunkConnection *c = arg;
    pthread_setname_np(pthread_self(), "pfk-control");
    c->next_report_ns = pfk_clock_monotonic_ns() + PFK_LOSS_REPORT_EVERY_NS;
    while (!atomic_load(&c->ended)) {
        if (atomic_load(&c->wants) & CLIENT_WANT_STOP) {
            pfk_quic_close(c->conn, PFK_CLOSE_USER_STOP, "user stop");
            client_finish(c, PFK_OK, false, PFK_CLOSE_USER_STOP, "Stopped.");
            break;
        }
        if (pfk_quic_step(c->quic, tick(c)) != PFK_OK) {
            client_finish(c, PFK_E_IO, false, 0, "The network socket failed.");
        }
    }
    if (c->conn) { // the data thread has ended it: the host must not stream to nobody
        pfk_quic_close(c->conn, PFK_CLOSE_ERROR, "the client's video socket failed");
    }
    return NULL;
}
