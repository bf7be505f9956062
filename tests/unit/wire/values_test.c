// SPDX-License-Identifier: MIT OR Apache-2.0
// What the messages carry: defaults, limits, unknown values, and that no byte is lost on the way.
#include "core/base/status.h"
#include "core/base/utf8.h"
#include "core/wire/control.h"
#include "core/wire/datagram.h"
#include "core/wire/video_header.h"
#include "tests/unit/check.h"

// Parses, emits; returns the number of bytes emitted, 0 when the message does not parse.
typedef size_t (*pass_fn)(const uint8_t *bytes, size_t n, struct pfk_writer *w);

#define PASS(name, type)                                                                           \
    static size_t pass_##name(const uint8_t *bytes, size_t n, struct pfk_writer *w)                \
    {                                                                                              \
        const uint8_t *start = w->p;                                                               \
        type m;                                                                                    \
        if (pfk_##name##_parse(&m, bytes, n) != PFK_OK) {                                          \
            return 0;                                                                              \
        }                                                                                          \
        pfk_##name##_emit(&m, w);                                                                  \
        return (size_t)(w->p - start);                                                             \
    }
PASS(welcome, struct pfk_welcome)
PASS(start, struct pfk_start)
PASS(control, struct pfk_control)
PASS(timing, struct pfk_timing)
PASS(input, struct pfk_input)

static size_t pass_video_header(const uint8_t *bytes, size_t n, struct pfk_writer *w)
{
    struct pfk_reader r = pfk_reader_init(bytes, n);
    struct pfk_video_header h;
    if (pfk_video_header_parse(&h, &r) != PFK_OK) {
        return 0;
    }
    const uint8_t *start = w->p;
    pfk_video_header_emit(&h, w);
    return (size_t)(w->p - start);
}

// `fixed`: leading bytes that are not content. `keep`: offset that has one legal value, or 0.
static const struct {
    pass_fn pass;
    const char *head;
    size_t fixed, keep, bytes;
} plain[] = {
    {pass_start, "504b4631", 4, 0, 6},
    {pass_control, "504b466301", 5, 0, 17},
    {pass_control, "504b466302", 5, 0, 18},
    {pass_control, "504b466304", 5, 0, 9},
    {pass_control, "504b466305", 5, 0, 9},
    {pass_control, "504b466306", 5, 0, 9},
    {pass_control, "504b466307", 5, 0, 13},
    {pass_control, "504b466310002100", 8, 0, 41},
    {pass_control, "504b4663112100", 7, 0, 72},
    {pass_control, "504b466312", 5, 0, 37},
    {pass_control, "504b466313", 5, 0, 6},
    {pass_control, "504b466320", 5, 0, 13},
    {pass_control, "504b466321", 5, 0, 29},
    {pass_control, "504b466330", 5, 0, 13},
    {pass_control, "504b466331", 5, 0, 29},
    {pass_timing, "cf", 1, 0, 13},
    {pass_timing, "cf", 1, 0, 25},
    {pass_input, "c8", 1, 0, 18},
    {pass_welcome, "504b4631", 4, 0, 64}, // up to where unknown values have a meaning
    {pass_video_header, "", 0, 36, 40},
};

enum { N_PLAIN = sizeof(plain) / sizeof(plain[0]) };

// Every field is as wide as the table says, and no two share a byte.
static void random_content_survives_parse_and_emit(void **state)
{
    uint64_t seed = 1;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < N_PLAIN; i++) {
            uint8_t in[128], out[128];
            for (size_t b = 0; b < sizeof(in); b++) {
                in[b] = (uint8_t)splitmix64(&seed);
            }
            CHECK_EQ(from_hex(plain[i].head, in, sizeof(in)), plain[i].fixed);
            if (plain[i].keep) {
                in[36] = PFK_VIDEO_MAGIC;
                in[37] = 1;
            }
            struct pfk_writer w = pfk_writer_init(out, sizeof(out));
            size_t n = plain[i].pass(in, plain[i].bytes, &w);
            CHECK(n >= plain[i].bytes); // a Welcome is filled up to 68
            assert_memory_equal(out, in, plain[i].bytes);
        }
    }
}

// A buffer of any size below the message's latches `bad`, and nothing is written behind it.
static void short_buffers_latch_bad_for_every_message(void **state)
{
    for (int i = 0; i < N_PLAIN; i++) {
        uint8_t in[128] = {0}, out[128];
        from_hex(plain[i].head, in, sizeof(in));
        in[36] = plain[i].keep ? PFK_VIDEO_MAGIC : in[36];
        struct pfk_writer w = pfk_writer_init(out, sizeof(out));
        size_t n = plain[i].pass(in, plain[i].bytes, &w);
        CHECK(n > 0);
        for (size_t room = 0; room < n; room++) {
            memset(out, 0xEE, sizeof(out));
            w = pfk_writer_init(out, room);
            plain[i].pass(in, plain[i].bytes, &w);
            CHECK(w.bad);
            CHECK_EQ(out[room], 0xEE);
        }
    }
}

static struct pfk_hello bare_hello(void)
{
    struct pfk_hello h;
    memset(&h, 0, sizeof(h)); // padding too: the structs are compared whole
    h.version = PFK_PROTOCOL_VERSION;
    h.mode = (struct pfk_mode){1280, 720, 60};
    h.audio_channels = 2;
    return h;
}

// Reference, section 3.1: a field is there when it, or a later one, is not at its default.
static void hello_ends_at_its_last_field_off_default(void **state)
{
    static const size_t lengths[] = {20, 21, 22, 26, 28, 29, 29, 30, 31, 32, 60, 33};
    for (size_t field = 0; field < sizeof(lengths) / sizeof(lengths[0]); field++) {
        struct pfk_hello h = bare_hello();
        h.compositor = field == 1 ? 2 : 0;
        h.pad_type = field == 2 ? 4 : 0;
        h.bitrate_kbps = field == 3 ? 5000 : 0;
        h.name[0] = field == 4 ? 'n' : 0;
        h.launch[0] = field == 5 ? 'l' : 0;
        h.video_caps = field == 6 ? 8 : 0;
        h.audio_channels = field == 7 ? 8 : 2;
        h.codecs = field == 8 ? 3 : 0;
        h.preferred_codec = field == 9 ? 1 : 0;
        h.has_hdr = field == 10;
        memset(h.hdr, field == 10 ? 0x5A : 0, sizeof(h.hdr));
        h.client_caps = field == 11 ? 1 : 0;
        uint8_t bytes[128];
        struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
        pfk_hello_emit(&h, &w);
        CHECK_EQ(w.p - bytes, lengths[field]);
        struct pfk_hello p;
        CHECK_EQ(pfk_hello_parse(&p, bytes, lengths[field]), PFK_OK);
        assert_memory_equal(&p, &h, sizeof(h));
        for (size_t room = 0; room < lengths[field]; room++) {
            w = pfk_writer_init(bytes, room);
            pfk_hello_emit(&h, &w);
            CHECK(w.bad);
        }
    }
}

static void placeholders_are_the_defaults(void **state)
{
    uint8_t want[64], got[64];
    size_t n = from_hex("504b4631 02000000 00050000 d0020000 3c000000 00 00 00000000 00 00"
                        "00 02 00 00 01",
                        want, sizeof(want));
    struct pfk_hello h = bare_hello();
    h.client_caps = 1;
    struct pfk_writer w = pfk_writer_init(got, sizeof(got));
    pfk_hello_emit(&h, &w);
    CHECK_EQ(w.p - got, n);
    assert_memory_equal(got, want, n);
}

static void full_hello_survives_parse_and_emit(void **state)
{
    struct pfk_hello h = bare_hello();
    h.compositor = 2;
    h.pad_type = 10;
    h.bitrate_kbps = 0x12345678;
    memset(h.name, 'n', PFK_NAME_MAX);
    memset(h.launch, 'l', PFK_LAUNCH_MAX);
    h.video_caps = 0xFF;
    h.audio_channels = 6;
    h.codecs = 0x0F;
    h.preferred_codec = 8;
    h.has_hdr = true;
    memset(h.hdr, 0x77, sizeof(h.hdr));
    h.client_caps = 0xFB;
    uint8_t bytes[512];
    struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
    pfk_hello_emit(&h, &w);
    CHECK_EQ(w.p - bytes, 28 + 64 + 128 + 4 + 28 + 1);
    struct pfk_hello p;
    CHECK_EQ(pfk_hello_parse(&p, bytes, (size_t)(w.p - bytes)), PFK_OK);
    assert_memory_equal(&p, &h, sizeof(h));
}

// The fields behind both strings stay where the raw lengths put them, however long those are.
static void raw_lengths_place_what_follows_even_over_the_limits(void **state)
{
    static const uint8_t names[] = {0, 1, 64, 65, 200, 255}, launches[] = {0, 1, 128, 129, 255};
    for (size_t i = 0; i < sizeof(names); i++) {
        for (size_t k = 0; k < sizeof(launches); k++) {
            uint8_t bytes[26 + 1 + 255 + 1 + 255 + 4] = "PKF1";
            size_t n = 26;
            bytes[n++] = names[i];
            memset(bytes + n, 'n', names[i]);
            n += names[i];
            bytes[n++] = launches[k];
            memset(bytes + n, 'l', launches[k]);
            n += launches[k];
            memcpy(bytes + n, (const uint8_t[]){0x38, 6, 3, 1}, 4);
            struct pfk_hello h;
            CHECK_EQ(pfk_hello_parse(&h, bytes, n + 4), PFK_OK);
            CHECK_EQ(strlen(h.name), names[i] <= PFK_NAME_MAX ? names[i] : 0);
            CHECK_EQ(strlen(h.launch), launches[k] <= PFK_LAUNCH_MAX ? launches[k] : 0);
            CHECK_EQ(h.video_caps, 0x38);
            CHECK_EQ(h.audio_channels, 6);
            CHECK_EQ(h.codecs, 3);
            CHECK_EQ(h.preferred_codec, 1);
        }
    }
}

static void unknown_wishes_in_a_hello_are_the_defaults(void **state)
{
    for (int v = 0; v < 256; v++) {
        uint8_t bytes[30] = "PKF1";
        bytes[20] = bytes[21] = bytes[29] = (uint8_t)v;
        struct pfk_hello h;
        CHECK_EQ(pfk_hello_parse(&h, bytes, sizeof(bytes)), PFK_OK);
        CHECK_EQ(h.compositor, v <= 6 ? v : 0);
        CHECK_EQ(h.pad_type, v <= 10 ? v : 0);
        CHECK_EQ(h.audio_channels, v == 6 || v == 8 ? v : 2);
    }
}

static void unknown_formats_in_a_welcome_are_the_defaults(void **state)
{
    for (int v = 0; v < 256; v++) {
        uint8_t bytes[68] = "PKF1";
        bytes[64] = bytes[66] = (uint8_t)v;
        struct pfk_welcome m;
        CHECK_EQ(pfk_welcome_parse(&m, bytes, sizeof(bytes)), PFK_OK);
        CHECK_EQ(m.chroma, v == 3 ? 3 : 1);
        CHECK_EQ(m.codec, v == 1 || v == 4 || v == 8 ? v : 2);
    }
}

static void chacha_welcome_carries_both_keys(void **state)
{
    uint8_t in[101], out[128];
    uint64_t seed = 7;
    for (size_t i = 0; i < sizeof(in); i++) {
        in[i] = (uint8_t)splitmix64(&seed);
    }
    memcpy(in, "PKF1", 4);
    in[64] = 1;
    in[66] = PFK_CODEC_H264;
    in[68] = 1;
    struct pfk_writer w = pfk_writer_init(out, sizeof(out));
    CHECK_EQ(pass_welcome(in, sizeof(in), &w), sizeof(in));
    assert_memory_equal(out, in, sizeof(in));
    // What later hosts write behind either form is ignored.
    uint8_t longer[160] = {0};
    memcpy(longer, in, sizeof(in));
    w = pfk_writer_init(out, sizeof(out));
    CHECK_EQ(pass_welcome(longer, sizeof(longer), &w), sizeof(in));
    longer[68] = 0;
    w = pfk_writer_init(out, sizeof(out));
    CHECK_EQ(pass_welcome(longer, sizeof(longer), &w), 68);
}

// Even a name that fills its array, without the NUL, is cut, and not inside a character.
static void emitted_names_are_cut_between_characters(void **state)
{
    struct pfk_hello h = bare_hello(), p;
    memset(h.name, 'a', sizeof(h.name));
    memset(h.launch, 'b', sizeof(h.launch));
    memcpy(h.name + 63, "\xC3\xA4", 2);    // bytes 64 and 65: the character does not fit
    memcpy(h.launch + 127, "\xC3\xA4", 2); // 128 and 129
    uint8_t bytes[512];
    struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
    pfk_hello_emit(&h, &w);
    CHECK_EQ(pfk_hello_parse(&p, bytes, (size_t)(w.p - bytes)), PFK_OK);
    CHECK_EQ(strlen(p.name), 63);
    CHECK_EQ(strlen(p.launch), 127);

    struct pfk_control m = {.type = PFK_CTL_PAIR_REQUEST}, q;
    memcpy(m.pair_request.name, h.name, sizeof(h.name));
    w = pfk_writer_init(bytes, sizeof(bytes));
    pfk_control_emit(&m, &w);
    CHECK_EQ(w.p - bytes, 6 + 63 + 2 + 33);
    CHECK_EQ(pfk_control_parse(&q, bytes, (size_t)(w.p - bytes)), PFK_OK);
    CHECK_EQ(strlen(q.pair_request.name), 63);
}

static size_t pair_request(uint8_t *out, const uint8_t *name, uint8_t n)
{
    size_t at = from_hex("504b466310", out, 5);
    out[at++] = n;
    memcpy(out + at, name, n);
    at += n;
    out[at++] = 33;
    out[at++] = 0;
    memset(out + at, 0x41, 33);
    return at + 33;
}

static void pair_request_names_have_the_same_limits(void **state)
{
    uint8_t bytes[512], name[255];
    memset(name, 'n', sizeof(name));
    static const uint8_t lengths[] = {0, 1, 63, 64, 65, 255};
    struct pfk_control m;
    for (size_t i = 0; i < sizeof(lengths); i++) {
        size_t n = pair_request(bytes, name, lengths[i]);
        CHECK_EQ(pfk_control_parse(&m, bytes, n), PFK_OK);
        CHECK_EQ(strlen(m.pair_request.name), lengths[i] <= PFK_NAME_MAX ? lengths[i] : 0);
        CHECK_EQ(m.pair_request.message[32], 0x41);
        CHECK_EQ(pfk_control_parse(&m, bytes, n - 1), PFK_E_MALFORMED);
        CHECK_EQ(pfk_control_parse(&m, bytes, n + 1), PFK_E_MALFORMED);
    }
    size_t n = pair_request(bytes, (const uint8_t *)"ok\xFF", 3);
    CHECK_EQ(pfk_control_parse(&m, bytes, n), PFK_OK);
    assert_string_equal(m.pair_request.name, "");
}

static void malformed_utf8_counts_as_no_name(void **state)
{
    static const struct {
        const char *hex;
        bool good;
    } names[] = {
        {"41", true},        {"c3a4", true},      {"e282ac", true},    {"f09f9880", true},
        {"ed9fbf", true},    {"ee8080", true},    {"f48fbfbf", true},  {"e0a080", true},
        {"f0908080", true},  {"00", false},       {"410042", false},   {"80", false},
        {"c3", false},       {"c0af", false},     {"c1bf", false},     {"e08080", false},
        {"e09fbf", false},   {"eda080", false},   {"edbfbf", false},   {"e282", false},
        {"f08fbfbf", false}, {"f4908080", false}, {"f5808080", false}, {"ff", false},
        {"41c328", false},   {"e28228", false},   {"f09f9828", false},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint8_t bytes[64] = "PKF1";
        size_t n = from_hex(names[i].hex, bytes + 27, 16);
        bytes[26] = (uint8_t)n;
        struct pfk_hello h;
        CHECK_EQ(pfk_hello_parse(&h, bytes, 27 + n), PFK_OK);
        CHECK_EQ(strlen(h.name), names[i].good ? n : 0);
    }
}

static void timing_is_emitted_in_its_three_lengths(void **state)
{
    struct pfk_timing t = {.pts_ns = 0x1122334455667788,
                           .total_us = 1,
                           .queue_us = 2,
                           .encode_us = 3,
                           .pace_us = 4,
                           .capture_us = 5,
                           .convert_us = 6};
    uint8_t want[64], got[64];
    CHECK_EQ(from_hex("cf 8877665544332211 01000000 02000000 03000000 04000000 00000000"
                      "50467374 05000000 06000000",
                      want, sizeof(want)),
             41);
    for (int form = 0; form < 3; form++) {
        t.has_stages = form >= 1;
        t.has_detail = form == 2;
        size_t n = form == 0 ? 13 : form == 1 ? 25 : 41;
        struct pfk_writer w = pfk_writer_init(got, sizeof(got));
        pfk_timing_emit(&t, &w);
        CHECK_EQ(w.p - got, n);
        assert_memory_equal(got, want, n);
    }
    struct pfk_timing p;
    CHECK_EQ(pfk_timing_parse(&p, want, 41), PFK_OK);
    CHECK_EQ(p.capture_us, 5);
    CHECK_EQ(p.convert_us, 6);
}

static void datagrams_with_another_tag_are_malformed(void **state)
{
    for (int tag = 0; tag < 256; tag++) {
        const uint8_t bytes[37] = {(uint8_t)tag};
        struct pfk_input e;
        struct pfk_timing t;
        CHECK_EQ(pfk_input_parse(&e, bytes, 18), tag == 0xC8 ? PFK_OK : PFK_E_MALFORMED);
        CHECK_EQ(pfk_timing_parse(&t, bytes, 37), tag == 0xCF ? PFK_OK : PFK_E_MALFORMED);
    }
}

static void the_largest_frame_is_65535_bytes(void **state)
{
    static uint8_t room[2 + 65536];
    for (size_t body = 65535; body <= 65536; body++) {
        struct pfk_writer w = pfk_writer_init(room, sizeof(room));
        uint8_t *mark = pfk_frame_begin(&w);
        pfk_write_room(&w, body);
        pfk_frame_end(&w, mark);
        CHECK_EQ(w.bad, body == 65536);
    }
    // No room for the prefix: there is no mark to fill in.
    struct pfk_writer w = pfk_writer_init(room, 1);
    uint8_t *mark = pfk_frame_begin(&w);
    CHECK(mark == NULL);
    pfk_frame_end(&w, mark);
    CHECK(w.bad);
}

static void later_close_codes_have_their_sentence(void **state)
{
    const char *unknown = pfk_close_text(0x70);
    for (uint64_t code = 0x6C; code <= 0x6F; code++) {
        assert_string_not_equal(pfk_close_text(code), unknown);
    }
    assert_string_equal(pfk_close_text(0x41), unknown);
    assert_string_equal(pfk_close_text(0x100000000), unknown); // codes have 62 bits
    assert_string_equal(pfk_close_text(UINT64_MAX), unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_content_survives_parse_and_emit),
        cmocka_unit_test(short_buffers_latch_bad_for_every_message),
        cmocka_unit_test(hello_ends_at_its_last_field_off_default),
        cmocka_unit_test(placeholders_are_the_defaults),
        cmocka_unit_test(full_hello_survives_parse_and_emit),
        cmocka_unit_test(raw_lengths_place_what_follows_even_over_the_limits),
        cmocka_unit_test(unknown_wishes_in_a_hello_are_the_defaults),
        cmocka_unit_test(unknown_formats_in_a_welcome_are_the_defaults),
        cmocka_unit_test(chacha_welcome_carries_both_keys),
        cmocka_unit_test(emitted_names_are_cut_between_characters),
        cmocka_unit_test(pair_request_names_have_the_same_limits),
        cmocka_unit_test(malformed_utf8_counts_as_no_name),
        cmocka_unit_test(timing_is_emitted_in_its_three_lengths),
        cmocka_unit_test(datagrams_with_another_tag_are_malformed),
        cmocka_unit_test(the_largest_frame_is_65535_bytes),
        cmocka_unit_test(later_close_codes_have_their_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
