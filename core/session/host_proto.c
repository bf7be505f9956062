// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/session/host_proto.h"

#include "core/base/status.h"

#include <stdlib.h>

enum {
    MODE_MIN_PX = 2,
    MODE_MAX_PX = 8192,
    MAX_FRAME_BYTES = 2 + 128, // our longest: Welcome with a ChaCha key
    HELD_BYTES = 512,          // answers that wait for the end of the clock rounds
    CLOCK_ROUNDS = 8
};

static const uint64_t message_timeout_ns = 10000000000u; // Hello and Start
static const uint64_t keyframe_spacing_ns = 750000000u;
static const uint64_t clock_round_ns = 2000000000u; // after this a client gives a round up

enum state { AWAIT_HELLO, HELLO_HELD, AWAIT_START, STREAMING, CLOSED };

struct pfk_host_proto {
    struct pfk_host_proto_config cfg;
    enum state state;
    uint64_t deadline_ns; // for Hello or Start
    struct pfk_mode mode; // of the Welcome
    uint32_t bitrate_kbps;

    // Deployed clients run the clock rounds in lock step and lose whatever else comes before the
    // last echo (reference: section 1), so other answers wait for it.
    unsigned n_echoes;
    uint64_t quiet_until_ns;
    size_t n_held;
    uint8_t held[HELD_BYTES];

    bool keyframe_wanted;
    bool keyframe_ever;
    uint64_t keyframe_last_ns;

    struct pfk_deframer deframer;
};

uint32_t pfk_bitrate_clamp(uint32_t wish_kbps, uint32_t default_kbps)
{
    if (wish_kbps == 0) {
        wish_kbps = default_kbps ? default_kbps : PFK_BITRATE_DEFAULT_KBPS;
    }
    if (wish_kbps < PFK_BITRATE_MIN_KBPS) {
        return PFK_BITRATE_MIN_KBPS;
    }
    return wish_kbps > PFK_BITRATE_MAX_KBPS ? PFK_BITRATE_MAX_KBPS : wish_kbps;
}

int pfk_host_proto_create(struct pfk_host_proto **out, const struct pfk_host_proto_config *cfg)
{
    *out = NULL;
    struct pfk_host_proto *p = calloc(1, sizeof(*p));
    if (!p) {
        return PFK_E_NOMEM;
    }
    p->cfg = *cfg;
    p->state = AWAIT_HELLO;
    p->deadline_ns = cfg->now_ns + message_timeout_ns;
    *out = p;
    return PFK_OK;
}

void pfk_host_proto_destroy(struct pfk_host_proto *p)
{
    free(p);
}

static void fail(struct pfk_host_proto *p, uint64_t code, const char *reason)
{
    if (p->state != CLOSED) {
        p->state = CLOSED;
        p->cfg.callbacks.close(p->cfg.opaque, code, reason);
    }
}

static void send_now(struct pfk_host_proto *p, const uint8_t *bytes, size_t n)
{
    p->cfg.callbacks.send(p->cfg.opaque, bytes, n);
}

static bool clock_rounds_done(const struct pfk_host_proto *p, uint64_t now_ns)
{
    return p->n_echoes >= CLOCK_ROUNDS || now_ns >= p->quiet_until_ns;
}

static void flush_held(struct pfk_host_proto *p)
{
    if (p->n_held) {
        send_now(p, p->held, p->n_held);
        p->n_held = 0;
    }
}

static void answer(struct pfk_host_proto *p, const struct pfk_control *m, uint64_t now_ns)
{
    uint8_t frame[MAX_FRAME_BYTES];
    struct pfk_writer w = pfk_writer_init(frame, sizeof(frame));
    uint8_t *mark = pfk_frame_begin(&w);
    pfk_control_emit(m, &w);
    pfk_frame_end(&w, mark);
    size_t n = (size_t)(w.p - frame);
    if (m->type == PFK_CTL_CLOCK_ECHO || clock_rounds_done(p, now_ns)) {
        send_now(p, frame, n);
    } else if (p->n_held + n <= sizeof(p->held)) {
        memcpy(p->held + p->n_held, frame, n);
        p->n_held += n;
    } else {
        pfk_logf(&p->cfg.log, PFK_LOG_DEBUG, "control: too many requests before the clock rounds");
    }
}

// The merged request is due at once when the last key frame is long enough ago, otherwise from
// poll.
static void serve_keyframe(struct pfk_host_proto *p, uint64_t now_ns)
{
    if (p->keyframe_wanted &&
        (!p->keyframe_ever || now_ns - p->keyframe_last_ns >= keyframe_spacing_ns)) {
        p->keyframe_wanted = false;
        p->keyframe_ever = true;
        p->keyframe_last_ns = now_ns;
        p->cfg.callbacks.on_keyframe(p->cfg.opaque);
    }
}

static bool mode_is_legal(const struct pfk_mode *m)
{
    return m->width_px % 2 == 0 && m->width_px >= MODE_MIN_PX && m->width_px <= MODE_MAX_PX &&
           m->height_px % 2 == 0 && m->height_px >= MODE_MIN_PX && m->height_px <= MODE_MAX_PX &&
           m->hz >= 1;
}

static void handle_hello(struct pfk_host_proto *p, const uint8_t *body, size_t n)
{
    struct pfk_control pairing;
    if (pfk_control_parse(&pairing, body, n) == PFK_OK && pairing.type == PFK_CTL_PAIR_REQUEST) {
        fail(p, PFK_CLOSE_PAIR_NOT_ARMED, "pairing is not armed on this host");
        return;
    }
    struct pfk_hello hello;
    if (pfk_hello_parse(&hello, body, n) != PFK_OK) {
        fail(p, PFK_CLOSE_ERROR, "the first message is not a Hello");
    } else if (hello.version != PFK_PROTOCOL_VERSION) {
        fail(p, PFK_CLOSE_VERSION, "this host speaks version 2 of punktfunk/1");
    } else if (!mode_is_legal(&hello.mode)) {
        fail(p, PFK_CLOSE_SETUP_FAILED,
             "the mode is not possible: sizes are even, 2 to 8192, and the rate is at least 1 Hz");
    } else {
        p->state = HELLO_HELD;
        p->cfg.callbacks.on_hello(p->cfg.opaque, &hello);
    }
}

static void handle_start(struct pfk_host_proto *p, const uint8_t *body, size_t n, uint64_t now_ns)
{
    struct pfk_start start;
    if (pfk_start_parse(&start, body, n) != PFK_OK || start.video_port == 0) {
        fail(p, PFK_CLOSE_ERROR, "the message after Welcome is not a Start with a port");
        return;
    }
    p->state = STREAMING;
    p->quiet_until_ns = now_ns + clock_round_ns;
    p->cfg.callbacks.on_start(p->cfg.opaque, start.video_port);
}

static void handle_control(struct pfk_host_proto *p, const struct pfk_control *m, uint64_t now_ns)
{
    struct pfk_control reply = {0};
    switch (m->type) {
    case PFK_CTL_RECONFIGURE:
        reply.type = PFK_CTL_RECONFIGURED; // not accepted: the mode stays what it is
        reply.reconfigured.mode = p->mode;
        answer(p, &reply, now_ns);
        break;
    case PFK_CTL_REQUEST_KEYFRAME:
    case PFK_CTL_RFI_REQUEST: // the encoder keeps one reference: a key frame is the way out
        p->keyframe_wanted = true;
        serve_keyframe(p, now_ns);
        break;
    case PFK_CTL_LOSS_REPORT:
        p->cfg.callbacks.on_loss(p->cfg.opaque, m->loss_ppm);
        break;
    case PFK_CTL_SET_BITRATE:
        p->bitrate_kbps = pfk_bitrate_clamp(m->bitrate_kbps, p->cfg.default_bitrate_kbps);
        reply.type = PFK_CTL_BITRATE_CHANGED;
        reply.bitrate_kbps = p->bitrate_kbps;
        answer(p, &reply, now_ns);
        p->cfg.callbacks.on_bitrate(p->cfg.opaque, p->bitrate_kbps);
        break;
    case PFK_CTL_PROBE_REQUEST:
        reply.type = PFK_CTL_PROBE_RESULT; // all zero: declined
        answer(p, &reply, now_ns);
        break;
    default:
        break; // host-to-client types, and pairing on a session's connection: ignored
    }
}

static void handle_clock_probe(struct pfk_host_proto *p, uint64_t t1_ns, uint64_t now_ns,
                               uint64_t wall_ns)
{
    struct pfk_control echo = {.type = PFK_CTL_CLOCK_ECHO,
                               .clock_echo = {.t1 = t1_ns, .t2 = wall_ns, .t3 = wall_ns}};
    answer(p, &echo, now_ns);
    if (p->n_echoes < CLOCK_ROUNDS) {
        p->n_echoes++;
        p->quiet_until_ns = now_ns + clock_round_ns;
        if (p->n_echoes == CLOCK_ROUNDS) {
            flush_held(p);
        }
    }
}

static void handle(struct pfk_host_proto *p, const uint8_t *body, size_t n, uint64_t now_ns,
                   uint64_t wall_ns)
{
    struct pfk_control m;
    if (p->state == AWAIT_HELLO) {
        handle_hello(p, body, n);
    } else if (p->state == HELLO_HELD || p->state == CLOSED) {
        return; // a held client hears nothing
    } else if (pfk_control_parse(&m, body, n) == PFK_OK) {
        if (m.type == PFK_CTL_CLOCK_PROBE) {
            handle_clock_probe(p, m.clock_probe_t1, now_ns, wall_ns);
        } else if (p->state == STREAMING) {
            handle_control(p, &m, now_ns);
        }
    } else if (p->state == AWAIT_START && !pfk_control_is_typed(body, n)) {
        handle_start(p, body, n, now_ns);
    } else {
        pfk_logf(&p->cfg.log, PFK_LOG_DEBUG, "control: dropped a message of %zu bytes", n);
    }
}

void pfk_host_proto_receive(struct pfk_host_proto *p, const uint8_t *bytes, size_t n,
                            uint64_t now_ns, uint64_t wall_ns)
{
    while (n > 0 && p->state != CLOSED) {
        const uint8_t *body;
        size_t body_bytes;
        size_t used = pfk_deframe(&p->deframer, bytes, n, &body, &body_bytes);
        bytes += used;
        n -= used;
        if (body) {
            handle(p, body, body_bytes, now_ns, wall_ns);
        }
    }
}

void pfk_host_proto_welcome(struct pfk_host_proto *p, const struct pfk_welcome *welcome,
                            uint64_t now_ns)
{
    if (p->state != HELLO_HELD) {
        return;
    }
    p->state = AWAIT_START;
    p->deadline_ns = now_ns + message_timeout_ns;
    p->mode = welcome->mode;
    p->bitrate_kbps = welcome->bitrate_kbps;
    uint8_t frame[MAX_FRAME_BYTES];
    struct pfk_writer w = pfk_writer_init(frame, sizeof(frame));
    uint8_t *mark = pfk_frame_begin(&w);
    pfk_welcome_emit(welcome, &w);
    pfk_frame_end(&w, mark);
    send_now(p, frame, (size_t)(w.p - frame));
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t pfk_host_proto_poll(struct pfk_host_proto *p, uint64_t now_ns)
{
    if (p->state == AWAIT_HELLO || p->state == AWAIT_START) {
        if (now_ns < p->deadline_ns) {
            return p->deadline_ns;
        }
        fail(p, PFK_CLOSE_ERROR,
             p->state == AWAIT_HELLO ? "no Hello within 10 s" : "no Start within 10 s");
    }
    if (p->state != STREAMING) {
        return UINT64_MAX;
    }
    uint64_t next = UINT64_MAX;
    if (p->n_held && clock_rounds_done(p, now_ns)) {
        flush_held(p);
    } else if (p->n_held) {
        next = p->quiet_until_ns;
    }
    serve_keyframe(p, now_ns);
    if (p->keyframe_wanted) {
        next = earlier(next, p->keyframe_last_ns + keyframe_spacing_ns);
    }
    return next;
}
