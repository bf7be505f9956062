// SPDX-License-Identifier: MIT OR Apache-2.0
// The host's protocol machine in virtual time.
#include "core/session/host_proto.h"

#include "core/base/status.h"
#include "tests/unit/check.h"

static const uint64_t ms = 1000000;

struct peer {
    struct pfk_host_proto *p;
    uint64_t now_ns;
    struct pfk_deframer deframer;
    struct pfk_control got[64];
    unsigned n_got, n_welcomes;
    unsigned n_hellos, n_starts, n_keyframes, n_losses, n_bitrates, n_closes;
    uint16_t start_port;
    uint32_t loss_ppm, kbps;
    uint64_t close_code;
};

static void on_send(void *opaque, const uint8_t *bytes, size_t n)
{
    struct peer *t = opaque;
    CHECK_EQ(t->n_closes, 0);
    while (n) {
        const uint8_t *body;
        size_t body_bytes, used = pfk_deframe(&t->deframer, bytes, n, &body, &body_bytes);
        bytes += used;
        n -= used;
        struct pfk_welcome w;
        if (body && pfk_welcome_parse(&w, body, body_bytes) == PFK_OK) {
            t->n_welcomes++;
        } else if (body) {
            CHECK(t->n_got < 64);
            CHECK_EQ(pfk_control_parse(&t->got[t->n_got++], body, body_bytes), PFK_OK);
        }
    }
}

static void on_close(void *opaque, uint64_t code, const char *reason)
{
    struct peer *t = opaque;
    t->n_closes++;
    t->close_code = code;
    CHECK(reason[0]);
}

static void on_hello(void *opaque, const struct pfk_hello *h)
{
    ((struct peer *)opaque)->n_hellos++;
}

static void on_start(void *opaque, uint16_t port)
{
    ((struct peer *)opaque)->n_starts++;
    ((struct peer *)opaque)->start_port = port;
}

static void on_keyframe(void *opaque)
{
    ((struct peer *)opaque)->n_keyframes++;
}

static void on_loss(void *opaque, uint32_t ppm)
{
    ((struct peer *)opaque)->n_losses++;
    ((struct peer *)opaque)->loss_ppm = ppm;
}

static void on_bitrate(void *opaque, uint32_t kbps)
{
    ((struct peer *)opaque)->n_bitrates++;
    ((struct peer *)opaque)->kbps = kbps;
}

static struct peer *peer_open(void)
{
    struct peer *t = calloc(1, sizeof(*t));
    t->now_ns = 1000 * ms;
    const struct pfk_host_proto_config cfg = {
        .callbacks = {on_send, on_close, on_hello, on_start, on_keyframe, on_loss, on_bitrate},
        .opaque = t,
        .now_ns = t->now_ns,
    };
    CHECK_EQ(pfk_host_proto_create(&t->p, &cfg), PFK_OK);
    return t;
}

static void peer_close(struct peer *t)
{
    pfk_host_proto_destroy(t->p);
    free(t);
}

static void say_bytes(struct peer *t, const uint8_t *bytes, size_t n)
{
    pfk_host_proto_receive(t->p, bytes, n, t->now_ns, 5000 + t->now_ns);
}

#define SAY(t, emit, message)                                                                      \
    do {                                                                                           \
        uint8_t frame_[512];                                                                       \
        struct pfk_writer w_ = pfk_writer_init(frame_, sizeof(frame_));                            \
        uint8_t *mark_ = pfk_frame_begin(&w_);                                                     \
        emit(message, &w_);                                                                        \
        pfk_frame_end(&w_, mark_);                                                                 \
        say_bytes(t, frame_, (size_t)(w_.p - frame_));                                             \
    } while (0)

static const struct pfk_hello hello = {
    .version = 2, .mode = {1280, 720, 60}, .audio_channels = 2, .codecs = 1};
static const struct pfk_welcome welcome = {.version = 2,
                                           .video_port = 9,
                                           .mode = {1280, 720, 60},
                                           .bitrate_kbps = 20000,
                                           .shard_bytes = 1408};
static const struct pfk_start start = {4321};

static void clock_round(struct peer *t, uint64_t t1)
{
    const struct pfk_control probe = {.type = PFK_CTL_CLOCK_PROBE, .clock_probe_t1 = t1};
    SAY(t, pfk_control_emit, &probe);
}

static struct peer *peer_streaming(void)
{
    struct peer *t = peer_open();
    SAY(t, pfk_hello_emit, &hello);
    pfk_host_proto_welcome(t->p, &welcome, t->now_ns);
    SAY(t, pfk_start_emit, &start);
    for (uint64_t i = 0; i < 8; i++) {
        clock_round(t, i);
    }
    CHECK_EQ(t->n_got, 8);
    t->n_got = 0;
    return t;
}

static void a_session_is_set_up_in_order(void **state)
{
    struct peer *t = peer_open();
    SAY(t, pfk_hello_emit, &hello);
    CHECK_EQ(t->n_hellos, 1);
    CHECK_EQ(t->n_welcomes, 0);
    clock_round(t, 1); // a held client hears nothing
    CHECK_EQ(t->n_got, 0);
    t->now_ns += 60000 * ms; // and waits as long as it takes
    CHECK_EQ(pfk_host_proto_poll(t->p, t->now_ns), UINT64_MAX);
    pfk_host_proto_welcome(t->p, &welcome, t->now_ns);
    CHECK_EQ(t->n_welcomes, 1);
    SAY(t, pfk_start_emit, &start);
    CHECK_EQ(t->n_starts, 1);
    CHECK_EQ(t->start_port, 4321);
    CHECK_EQ(t->n_closes, 0);
    peer_close(t);
}

static void clock_probes_are_answered_at_once_with_wall_clock(void **state)
{
    struct peer *t = peer_open();
    SAY(t, pfk_hello_emit, &hello);
    pfk_host_proto_welcome(t->p, &welcome, t->now_ns);
    SAY(t, pfk_start_emit, &start);
    clock_round(t, 77);
    CHECK_EQ(t->n_got, 1);
    CHECK_EQ(t->got[0].type, PFK_CTL_CLOCK_ECHO);
    CHECK_EQ(t->got[0].clock_echo.t1, 77);
    CHECK_EQ(t->got[0].clock_echo.t2, 5000 + t->now_ns);
    CHECK(t->got[0].clock_echo.t3 >= t->got[0].clock_echo.t2);
    peer_close(t);
}

static void nothing_but_echoes_is_written_before_the_eighth(void **state)
{
    struct peer *t = peer_open();
    SAY(t, pfk_hello_emit, &hello);
    pfk_host_proto_welcome(t->p, &welcome, t->now_ns);
    SAY(t, pfk_start_emit, &start);
    const struct pfk_control rate = {.type = PFK_CTL_SET_BITRATE, .bitrate_kbps = 1000};
    for (uint64_t i = 0; i < 8; i++) {
        SAY(t, pfk_control_emit, &rate);
        CHECK_EQ(t->n_got, i);
        clock_round(t, i);
    }
    CHECK_EQ(t->n_got, 16); // eight echoes, then the eight answers that waited
    for (int i = 0; i < 16; i++) {
        CHECK_EQ(t->got[i].type, i < 8 ? PFK_CTL_CLOCK_ECHO : PFK_CTL_BITRATE_CHANGED);
    }
    peer_close(t);
}

static void answers_wait_no_longer_than_a_client_would(void **state)
{
    struct peer *t = peer_open();
    SAY(t, pfk_hello_emit, &hello);
    pfk_host_proto_welcome(t->p, &welcome, t->now_ns);
    SAY(t, pfk_start_emit, &start);
    const struct pfk_control rate = {.type = PFK_CTL_SET_BITRATE, .bitrate_kbps = 1000};
    SAY(t, pfk_control_emit, &rate);
    CHECK_EQ(pfk_host_proto_poll(t->p, t->now_ns), t->now_ns + 2000 * ms);
    t->now_ns += 2000 * ms;
    pfk_host_proto_poll(t->p, t->now_ns);
    CHECK_EQ(t->n_got, 1);
    peer_close(t);
}

static void key_frames_are_merged_to_one_each_750_ms(void **state)
{
    struct peer *t = peer_streaming();
    const struct pfk_control request = {.type = PFK_CTL_REQUEST_KEYFRAME};
    const struct pfk_control rfi = {.type = PFK_CTL_RFI_REQUEST, .rfi = {5, 6}};
    SAY(t, pfk_control_emit, &request);
    CHECK_EQ(t->n_keyframes, 1); // the first at once
    for (int i = 0; i < 10; i++) {
        t->now_ns += 10 * ms;
        SAY(t, pfk_control_emit, i % 2 ? &request : &rfi);
    }
    CHECK_EQ(t->n_keyframes, 1);
    uint64_t due = pfk_host_proto_poll(t->p, t->now_ns);
    CHECK_EQ(due, t->now_ns + 650 * ms);
    t->now_ns = due;
    pfk_host_proto_poll(t->p, t->now_ns);
    CHECK_EQ(t->n_keyframes, 2); // none is forgotten
    t->now_ns += 5000 * ms;
    CHECK_EQ(pfk_host_proto_poll(t->p, t->now_ns), UINT64_MAX);
    CHECK_EQ(t->n_keyframes, 2);
    peer_close(t);
}

static void requests_get_their_answers(void **state)
{
    struct peer *t = peer_streaming();
    struct pfk_control m = {.type = PFK_CTL_RECONFIGURE, .reconfigure = {800, 600, 30}};
    SAY(t, pfk_control_emit, &m);
    CHECK_EQ(t->got[0].type, PFK_CTL_RECONFIGURED); // declined: the mode stays
    CHECK_EQ(t->got[0].reconfigured.accepted, 0);
    CHECK_EQ(t->got[0].reconfigured.mode.width_px, 1280);
    m = (struct pfk_control){.type = PFK_CTL_PROBE_REQUEST, .probe_request = {2000000, 800}};
    SAY(t, pfk_control_emit, &m);
    CHECK_EQ(t->got[1].type, PFK_CTL_PROBE_RESULT);
    CHECK_EQ(t->got[1].probe_result.bytes, 0);
    CHECK_EQ(t->got[1].probe_result.packets, 0);
    const uint32_t wishes[][2] = {{0, 20000}, {1, 500}, {12345, 12345}, {0xFFFFFFFF, 8000000}};
    for (unsigned i = 0; i < 4; i++) {
        m = (struct pfk_control){.type = PFK_CTL_SET_BITRATE, .bitrate_kbps = wishes[i][0]};
        SAY(t, pfk_control_emit, &m);
        CHECK_EQ(t->got[2 + i].type, PFK_CTL_BITRATE_CHANGED);
        CHECK_EQ(t->got[2 + i].bitrate_kbps, wishes[i][1]);
        CHECK_EQ(t->kbps, wishes[i][1]);
    }
    m = (struct pfk_control){.type = PFK_CTL_LOSS_REPORT, .loss_ppm = 31000};
    SAY(t, pfk_control_emit, &m);
    CHECK_EQ(t->loss_ppm, 31000);
    CHECK_EQ(t->n_got, 6);
    peer_close(t);
}

static void bad_messages_are_dropped_and_the_stream_lives(void **state)
{
    struct peer *t = peer_streaming();
    static const uint8_t junk[] = "\x05\0PKFcx"      // unknown type
                                  "\x06\0PKFc\x03\0" // key frame request with a byte too much
                                  "\x04\0PKFc"       // no type
                                  "\x00\0"           // nothing
                                  "\x03\0abc"
                                  "\x05\0PKF1\x03";
    say_bytes(t, junk, sizeof(junk) - 1);
    CHECK_EQ(t->n_closes, 0);
    CHECK_EQ(t->n_keyframes, 0);
    SAY(t, pfk_hello_emit, &hello); // a second Hello is no reason to stop either
    CHECK_EQ(t->n_hellos, 1);
    const struct pfk_control request = {.type = PFK_CTL_REQUEST_KEYFRAME};
    SAY(t, pfk_control_emit, &request);
    CHECK_EQ(t->n_keyframes, 1);
    peer_close(t);
}

// Before Start too an unknown typed message is dropped; anything else is no Start.
static void unknown_messages_before_start_are_dropped(void **state)
{
    struct peer *t = peer_open();
    SAY(t, pfk_hello_emit, &hello);
    pfk_host_proto_welcome(t->p, &welcome, t->now_ns);
    say_bytes(t, (const uint8_t *)"\x06\0PKFc\x32\1", 8);
    CHECK_EQ(t->n_closes, 0);
    SAY(t, pfk_start_emit, &start);
    CHECK_EQ(t->n_starts, 1);
    peer_close(t);
}

static void wrong_first_messages_get_their_codes(void **state)
{
    struct peer *t = peer_open();
    struct pfk_hello h = hello;
    h.version = 3;
    SAY(t, pfk_hello_emit, &h);
    CHECK_EQ(t->close_code, 0x67);
    CHECK_EQ(t->n_closes, 1);
    SAY(t, pfk_hello_emit, &hello); // too late
    CHECK_EQ(t->n_hellos, 0);
    peer_close(t);

    static const struct pfk_mode bad[] = {{0, 720, 60},    {1281, 720, 60}, {1280, 719, 60},
                                          {8194, 720, 60}, {1280, 0, 60},   {1280, 720, 0}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        t = peer_open();
        h = hello;
        h.mode = bad[i];
        SAY(t, pfk_hello_emit, &h);
        CHECK_EQ(t->close_code, 0x68);
        peer_close(t);
    }

    t = peer_open();
    const struct pfk_control pair = {.type = PFK_CTL_PAIR_REQUEST};
    SAY(t, pfk_control_emit, &pair);
    CHECK_EQ(t->close_code, 0x60); // not armed
    peer_close(t);

    t = peer_open();
    say_bytes(t, (const uint8_t *)"\x03\0GET", 5);
    CHECK_EQ(t->close_code, 1);
    peer_close(t);

    t = peer_open();
    SAY(t, pfk_hello_emit, &hello);
    pfk_host_proto_welcome(t->p, &welcome, t->now_ns);
    const struct pfk_start no_port = {0};
    SAY(t, pfk_start_emit, &no_port);
    CHECK_EQ(t->close_code, 1);
    CHECK_EQ(t->n_starts, 0);
    peer_close(t);
}

static void silence_ends_the_set_up_after_ten_seconds(void **state)
{
    struct peer *t = peer_open();
    uint64_t due = pfk_host_proto_poll(t->p, t->now_ns);
    CHECK_EQ(due, t->now_ns + 10000 * ms);
    pfk_host_proto_poll(t->p, due - 1);
    CHECK_EQ(t->n_closes, 0);
    pfk_host_proto_poll(t->p, due);
    CHECK_EQ(t->n_closes, 1);
    peer_close(t);

    t = peer_open();
    SAY(t, pfk_hello_emit, &hello);
    t->now_ns += 20000 * ms;
    pfk_host_proto_welcome(t->p, &welcome, t->now_ns);
    CHECK_EQ(pfk_host_proto_poll(t->p, t->now_ns), t->now_ns + 10000 * ms);
    pfk_host_proto_poll(t->p, t->now_ns + 10000 * ms);
    CHECK_EQ(t->n_closes, 1);
    peer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_set_up_in_order),
        cmocka_unit_test(clock_probes_are_answered_at_once_with_wall_clock),
        cmocka_unit_test(nothing_but_echoes_is_written_before_the_eighth),
        cmocka_unit_test(answers_wait_no_longer_than_a_client_would),
        cmocka_unit_test(key_frames_are_merged_to_one_each_750_ms),
        cmocka_unit_test(requests_get_their_answers),
        cmocka_unit_test(bad_messages_are_dropped_and_the_stream_lives),
        cmocka_unit_test(unknown_messages_before_start_are_dropped),
        cmocka_unit_test(wrong_first_messages_get_their_codes),
        cmocka_unit_test(silence_ends_the_set_up_after_ten_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
