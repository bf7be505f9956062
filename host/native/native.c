// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/native/native.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/quic.h"
#include "core/net/udp.h"
#include "host/native/native_session.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t end_grace_ns = 1000000000u; // from the end of the stream to the close

// One control connection. It outlives neither its QUIC connection nor its session.
struct client {
    struct client *next;
    struct native *native;
    struct pfk_quic_conn *conn; // NULL once it is closed
    struct pfk_host_proto *proto;
    struct pfk_hello hello;
    bool has_hello; // it wants a session
    struct native_session *session;
    bool welcomed, ended, told_end;
    uint64_t close_at_ns; // with `ended`
    uint64_t order;       // of the Hellos: the oldest is served first
};

struct native {
    struct settings settings;
    struct display *display;
    pthread_mutex_t display_lock;
    struct pfk_log log;
    struct pfk_quic *quic;
    pthread_t thread;
    bool has_thread;
    atomic_bool stop;

    // QUIC thread.
    struct client *clients;
    uint64_t n_hellos;
};

static void wake(void *opaque)
{
    pfk_quic_wake(((struct native *)opaque)->quic);
}

static unsigned n_sessions(const struct native *n)
{
    unsigned count = 0;
    for (const struct client *c = n->clients; c; c = c->next) {
        count += c->session != NULL;
    }
    return count;
}

// --- what the protocol machine says ---

static void proto_send(void *opaque, const uint8_t *bytes, size_t n)
{
    struct client *c = opaque;
    if (c->conn && pfk_quic_send(c->conn, bytes, n) == PFK_E_AGAIN) {
        pfk_quic_close(c->conn, PFK_CLOSE_ERROR, "the client does not read");
    }
}

static void proto_close(void *opaque, uint64_t code, const char *reason)
{
    struct client *c = opaque;
    if (c->conn) {
        char text[64];
        pfk_logf(&c->native->log, PFK_LOG_WARN, "%s refused: %s",
                 pfk_addr_text(pfk_quic_conn_peer(c->conn), text), reason);
        pfk_quic_close(c->conn, code, reason);
    }
}

// A device that connects anew takes the place of its older connection.
static void replace_older(struct client *c)
{
    const uint8_t *fp = pfk_quic_conn_fingerprint(c->conn);
    for (struct client *o = fp ? c->native->clients : NULL; o; o = o->next) {
        const uint8_t *other = o != c && o->conn ? pfk_quic_conn_fingerprint(o->conn) : NULL;
        if (other && o->has_hello && memcmp(other, fp, PFK_FINGERPRINT_BYTES) == 0) {
            pfk_quic_close(o->conn, PFK_CLOSE_REPLACED, "this device has connected again");
        }
    }
}

static void on_hello(void *opaque, const struct pfk_hello *hello)
{
    struct client *c = opaque;
    c->hello = *hello;
    c->has_hello = true;
    c->order = c->native->n_hellos++;
    replace_older(c);
    char text[64];
    pfk_logf(&c->native->log, PFK_LOG_INFO, "\"%s\" at %s asks for %ux%u@%u", hello->name,
             pfk_addr_text(pfk_quic_conn_peer(c->conn), text), hello->mode.width_px,
             hello->mode.height_px, hello->mode.hz);
    if (n_sessions(c->native) >= c->native->settings.sessions) {
        pfk_logf(&c->native->log, PFK_LOG_INFO, "it waits until a session is free");
        pfk_quic_hold(c->conn, true);
    }
}

static void on_start(void *opaque, uint16_t client_port)
{
    struct client *c = opaque;
    if (c->session) {
        native_session_begin(c->session, client_port);
    }
}

static void on_keyframe(void *opaque)
{
    struct client *c = opaque;
    if (c->session) {
        native_session_request_keyframe(c->session);
    }
}

static void on_loss(void *opaque, uint32_t ppm)
{
    struct client *c = opaque;
    if (c->session) {
        native_session_report_loss(c->session, ppm);
    }
}

static void on_bitrate(void *opaque, uint32_t kbps)
{
    struct client *c = opaque;
    if (c->session) {
        native_session_set_bitrate(c->session, kbps);
    }
}

// --- what QUIC says ---

static void on_open(void *opaque, struct pfk_quic_conn *conn)
{
    struct native *n = opaque;
    struct client *c = calloc(1, sizeof(*c));
    if (!c) {
        pfk_quic_close(conn, PFK_CLOSE_ERROR, "out of memory");
        return;
    }
    c->native = n;
    c->conn = conn;
    const struct pfk_host_proto_config pc = {
        .callbacks = {.send = proto_send,
                      .close = proto_close,
                      .on_hello = on_hello,
                      .on_start = on_start,
                      .on_keyframe = on_keyframe,
                      .on_loss = on_loss,
                      .on_bitrate = on_bitrate},
        .opaque = c,
        .default_bitrate_kbps = n->settings.bitrate_kbps,
        .now_ns = pfk_clock_monotonic_ns(),
        .log = n->log,
    };
    if (pfk_host_proto_create(&c->proto, &pc) != PFK_OK) {
        free(c);
        pfk_quic_close(conn, PFK_CLOSE_ERROR, "out of memory");
        return;
    }
    c->next = n->clients;
    n->clients = c;
    pfk_quic_conn_set_user(conn, c);
}

static void on_stream(void *opaque, struct pfk_quic_conn *conn, const uint8_t *bytes, size_t n)
{
    struct client *c = pfk_quic_conn_user(conn);
    if (c) {
        pfk_host_proto_receive(c->proto, bytes, n, pfk_clock_monotonic_ns(), pfk_clock_wall_ns());
    }
}

static void on_close(void *opaque, struct pfk_quic_conn *conn, enum pfk_quic_close_kind kind,
                     uint64_t code, const char *reason)
{
    struct native *n = opaque;
    struct client *c = pfk_quic_conn_user(conn);
    if (!c) {
        return;
    }
    c->conn = NULL;
    if (c->session) {
        native_session_stop(c->session);
    }
    const char *why = kind == PFK_QUIC_CLOSED_IDLE    ? "it vanished"
                      : kind == PFK_QUIC_CLOSED_BY_US ? "closed by this host"
                      : kind == PFK_QUIC_CLOSED_BY_PEER && code == PFK_CLOSE_USER_STOP
                          ? "stopped by its user"
                      : kind == PFK_QUIC_CLOSED_BY_PEER ? "it closed the connection"
                                                        : reason;
    pfk_logf(&n->log, c->has_hello ? PFK_LOG_INFO : PFK_LOG_DEBUG,
             "\"%s\" has gone: %s (code %02llXh)", c->hello.name, why, (unsigned long long)code);
}

// --- sessions ---

static void start_session(struct client *c)
{
    struct native *n = c->native;
    const struct native_session_config sc = {
        .settings = &n->settings,
        .display = n->display,
        .display_lock = &n->display_lock,
        .hello = c->hello,
        .peer = *pfk_quic_conn_peer(c->conn),
        .local = *pfk_quic_conn_local(c->conn),
        .wake = wake,
        .wake_opaque = n,
        .log = n->log,
    };
    if (native_session_create(&c->session, &sc) != PFK_OK) {
        pfk_quic_close(c->conn, PFK_CLOSE_SETUP_FAILED, "the host is out of memory");
    }
}

// The oldest Hello that waits gets the session that is free.
static void admit(struct native *n)
{
    while (n_sessions(n) < n->settings.sessions) {
        struct client *oldest = NULL;
        for (struct client *c = n->clients; c; c = c->next) {
            if (c->conn && c->has_hello && !c->session && !c->ended &&
                (!oldest || c->order < oldest->order)) {
                oldest = c;
            }
        }
        if (!oldest) {
            return;
        }
        pfk_quic_hold(oldest->conn, false);
        if (oldest->conn) {
            start_session(oldest);
            if (!oldest->session) {
                oldest->ended = true;
            }
        }
    }
}

static void send_timings(struct client *c)
{
    struct pfk_timing t;
    while (native_session_next_timing(c->session, &t)) {
        uint8_t bytes[64];
        struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
        pfk_timing_emit(&t, &w);
        if (c->conn) {
            (void)pfk_quic_send_datagram(c->conn, bytes, (size_t)(w.p - bytes)); // unreliable
        }
    }
}

// The session's news to the client. False when the client object is done with.
static bool serve(struct client *c, uint64_t now_ns)
{
    if (c->session) {
        enum native_session_state state = native_session_state(c->session);
        send_timings(c);
        if (state == NATIVE_READY && !c->welcomed && c->conn) {
            c->welcomed = true;
            pfk_host_proto_welcome(c->proto, native_session_welcome(c->session), now_ns);
        }
        if (state == NATIVE_ENDED && !c->ended) {
            const char *reason;
            c->ended = true;
            uint64_t code = native_session_end(c->session, &reason);
            c->close_at_ns = now_ns + (code == PFK_CLOSE_NORMAL ? end_grace_ns : 0);
        }
        if (c->ended && !c->told_end && now_ns >= c->close_at_ns && c->conn &&
            state == NATIVE_ENDED) {
            const char *reason;
            c->told_end = true; // QUIC takes some turns to flush and close
            uint64_t code = native_session_end(c->session, &reason);
            if (code != PFK_CLOSE_NORMAL) {
                pfk_logf(&c->native->log, PFK_LOG_WARN, "no stream for \"%s\": %s", c->hello.name,
                         reason);
            }
            pfk_quic_close(c->conn, code, reason);
        }
        if (state == NATIVE_GONE) {
            native_session_destroy(c->session);
            c->session = NULL;
        }
    }
    return c->conn || c->session;
}

static uint64_t serve_all(struct native *n)
{
    uint64_t now = pfk_clock_monotonic_ns();
    uint64_t next = UINT64_MAX;
    for (struct client **at = &n->clients; *at;) {
        struct client *c = *at;
        if (!serve(c, now)) {
            *at = c->next;
            pfk_host_proto_destroy(c->proto);
            free(c);
            continue;
        }
        if (c->conn) {
            uint64_t due = pfk_host_proto_poll(c->proto, now);
            if (c->ended && c->close_at_ns > now && c->close_at_ns < due) {
                due = c->close_at_ns;
            }
            next = due < next ? due : next;
        }
        at = &c->next;
    }
    admit(n);
    return next;
}

static void *run(void *arg)
{
    struct native *n = arg;
    pthread_setname_np(pthread_self(), "quic");
    while (!atomic_load(&n->stop)) {
        uint64_t next = serve_all(n);
        uint64_t now = pfk_clock_monotonic_ns();
        int wait_ms = next == UINT64_MAX ? -1 : next > now ? (int)((next - now) / 1000000u) + 1 : 0;
        if (pfk_quic_step(n->quic, wait_ms) != PFK_OK) {
            pfk_logf(&n->log, PFK_LOG_ERROR, "the control socket failed; restart the host");
            break;
        }
    }
    return NULL;
}

// --- life ---

static int parse_listen(const struct settings *s, struct sockaddr_storage *out,
                        const struct pfk_log *log)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof(port), "%u", s->port);
    if (getaddrinfo(s->listen, port, &hints, &found) != 0 || !found) {
        pfk_logf(log, PFK_LOG_ERROR,
                 "listen: \"%s\" is not an address; give one such as 127.0.0.1, 0.0.0.0 or ::",
                 s->listen);
        return PFK_E_INVALID;
    }
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return PFK_OK;
}

int native_start(struct native **out, const struct settings *settings,
                 const struct pfk_identity *identity, struct display *display,
                 const struct pfk_log *log)
{
    *out = NULL;
    struct native *n = calloc(1, sizeof(*n));
    if (!n) {
        return PFK_E_NOMEM;
    }
    n->settings = *settings;
    n->display = display;
    n->log = *log;
    pthread_mutex_init(&n->display_lock, NULL);
    struct pfk_quic_config qc = {
        .identity = identity,
        .idle_timeout_ms = settings->idle_timeout_ms,
        .callbacks = {.on_open = on_open, .on_stream = on_stream, .on_close = on_close},
        .opaque = n,
        .log = *log,
    };
    int err = parse_listen(settings, &qc.bind, log);
    if (!err) {
        err = pfk_quic_listen(&n->quic, &qc);
    }
    if (!err) {
        n->has_thread = pthread_create(&n->thread, NULL, run, n) == 0;
        err = n->has_thread ? PFK_OK : PFK_E_NOMEM;
    }
    if (err) {
        native_stop(n);
        return err;
    }
    *out = n;
    return PFK_OK;
}

uint16_t native_port(const struct native *n)
{
    return pfk_quic_port(n->quic);
}

void native_stop(struct native *n)
{
    if (!n) {
        return;
    }
    if (n->has_thread) {
        atomic_store(&n->stop, true);
        pfk_quic_wake(n->quic);
        pthread_join(n->thread, NULL);
    }
    for (struct client *c = n->clients; c; c = c->next) { // all at once, then wait for each
        if (c->session) {
            native_session_stop(c->session);
        }
    }
    while (n->clients) {
        struct client *c = n->clients;
        n->clients = c->next;
        native_session_destroy(c->session);
        pfk_host_proto_destroy(c->proto);
        free(c);
    }
    pfk_quic_destroy(n->quic); // says goodbye to whoever is still there
    pthread_mutex_destroy(&n->display_lock);
    free(n);
}
