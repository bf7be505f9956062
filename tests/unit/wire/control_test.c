// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/base/status.h"
#include "core/wire/control.h"
#include "core/wire/datagram.h"
#include "core/wire/video_header.h"
#include "tests/unit/check.h"

// Every typed message once, by hand from the table of section 3.4.
static const struct {
    uint8_t type;
    const char *bytes;
} messages[] = {
    {PFK_CTL_RECONFIGURE, "504b4663 01 00050000 d0020000 3c000000"},
    {PFK_CTL_RECONFIGURED, "504b4663 02 01 00050000 d0020000 3c000000"},
    {PFK_CTL_REQUEST_KEYFRAME, "504b4663 03"},
    {PFK_CTL_LOSS_REPORT, "504b4663 04 50c30000"},
    {PFK_CTL_SET_BITRATE, "504b4663 05 204e0000"},
    {PFK_CTL_BITRATE_CHANGED, "504b4663 06 f4010000"},
    {PFK_CTL_RFI_REQUEST, "504b4663 07 05000000 09000000"},
    {PFK_CTL_PAIR_REQUEST, "504b4663 10 02 7063 2100 41 00000000000000000000000000000000"
                           "00000000000000000000000000000001"},
    {PFK_CTL_PAIR_CHALLENGE, "504b4663 11 2100 42 00000000000000000000000000000000"
                             "00000000000000000000000000000002"
                             "10101010101010101010101010101010 20202020202020202020202020202020"},
    {PFK_CTL_PAIR_PROOF, "504b4663 12 10101010101010101010101010101010"
                         "20202020202020202020202020202020"},
    {PFK_CTL_PAIR_RESULT, "504b4663 13 01"},
    {PFK_CTL_PROBE_REQUEST, "504b4663 20 80841e00 20030000"},
    {PFK_CTL_PROBE_RESULT, "504b4663 21 0102030405060708 09000000 0a000000 0b000000 0c000000"},
    {PFK_CTL_CLOCK_PROBE, "504b4663 30 8877665544332211"},
    {PFK_CTL_CLOCK_ECHO, "504b4663 31 8877665544332211 0100000000000000 0200000000000000"},
};

enum { N_MESSAGES = sizeof(messages) / sizeof(messages[0]) };

static void every_message_parses_and_is_emitted_alike(void **state)
{
    for (int i = 0; i < N_MESSAGES; i++) {
        uint8_t want[128], got[128];
        size_t n = from_hex(messages[i].bytes, want, sizeof(want));
        struct pfk_control m;
        CHECK_EQ(pfk_control_parse(&m, want, n), PFK_OK);
        CHECK_EQ(m.type, messages[i].type);
        struct pfk_writer w = pfk_writer_init(got, sizeof(got));
        pfk_control_emit(&m, &w);
        CHECK_EQ(w.p - got, n);
        assert_memory_equal(got, want, n);
    }
}

static void fields_are_where_the_table_says(void **state)
{
    uint8_t b[128];
    struct pfk_control m;
    CHECK_EQ(pfk_control_parse(&m, b, from_hex(messages[1].bytes, b, sizeof(b))), PFK_OK);
    CHECK_EQ(m.reconfigured.accepted, 1);
    CHECK_EQ(m.reconfigured.mode.width_px, 1280);
    CHECK_EQ(m.reconfigured.mode.height_px, 720);
    CHECK_EQ(m.reconfigured.mode.hz, 60);
    CHECK_EQ(pfk_control_parse(&m, b, from_hex(messages[6].bytes, b, sizeof(b))), PFK_OK);
    CHECK_EQ(m.rfi.first, 5);
    CHECK_EQ(m.rfi.last, 9);
    CHECK_EQ(pfk_control_parse(&m, b, from_hex(messages[12].bytes, b, sizeof(b))), PFK_OK);
    CHECK_EQ(m.probe_result.bytes, 0x0807060504030201);
    CHECK_EQ(m.probe_result.n_units, 9);
    CHECK_EQ(m.probe_result.ms, 10);
    CHECK_EQ(m.probe_result.packets, 11);
    CHECK_EQ(m.probe_result.dropped, 12);
    CHECK_EQ(pfk_control_parse(&m, b, from_hex(messages[14].bytes, b, sizeof(b))), PFK_OK);
    CHECK_EQ(m.clock_echo.t1, 0x1122334455667788);
    CHECK_EQ(m.clock_echo.t2, 1);
    CHECK_EQ(m.clock_echo.t3, 2);
}

// Typed messages have exact lengths; ProbeResult is read from 21 bytes on, the last two fields
// from 29.
static void wrong_lengths_are_malformed(void **state)
{
    for (int i = 0; i < N_MESSAGES; i++) {
        uint8_t b[160] = {0};
        size_t n = from_hex(messages[i].bytes, b, sizeof(b));
        for (size_t cut = 0; cut < n + 8; cut++) {
            struct pfk_control m;
            bool probe_result = messages[i].type == PFK_CTL_PROBE_RESULT && cut >= 21;
            CHECK_EQ(pfk_control_parse(&m, b, cut),
                     cut == n || probe_result ? PFK_OK : PFK_E_MALFORMED);
            if (probe_result) {
                CHECK_EQ(m.probe_result.packets, cut >= 29 ? 11 : 0);
            }
        }
    }
}

static void every_corruption_has_its_outcome(void **state)
{
    for (int i = 0; i < N_MESSAGES; i++) {
        uint8_t b[128];
        size_t n = from_hex(messages[i].bytes, b, sizeof(b));
        for (size_t at = 0; at < n; at++) {
            for (int bit = 0; bit < 8; bit++) {
                b[at] ^= (uint8_t)(1 << bit);
                struct pfk_control m;
                int rc = pfk_control_parse(&m, b, n);
                if (at < 4) {
                    CHECK_EQ(rc, PFK_E_MALFORMED);
                } else if (at == 4) { // another type: unknown, or one whose length does not fit
                    CHECK(rc == PFK_E_UNSUPPORTED || rc == PFK_E_MALFORMED ||
                          (rc == PFK_OK && m.type == b[4]));
                } else if (messages[i].type == PFK_CTL_PAIR_REQUEST &&
                           (at == 5 || at == 8 || at == 9)) {
                    CHECK_EQ(rc, PFK_E_MALFORMED); // the sizes must add up
                } else if (messages[i].type == PFK_CTL_PAIR_CHALLENGE && at < 7) {
                    CHECK_EQ(rc, PFK_E_MALFORMED);
                } else {
                    CHECK_EQ(rc, PFK_OK);
                }
                b[at] ^= (uint8_t)(1 << bit);
            }
        }
    }
}

static void unknown_types_are_told_apart(void **state)
{
    static const uint8_t later[] = {0x00, 0x08, 0x09, 0x0A, 0x0F, 0x14, 0x15, 0x22, 0x32,
                                    0x40, 0x41, 0x42, 0x50, 0x51, 0x58, 0x5C, 0xFF};
    uint8_t b[32] = {'P', 'K', 'F', 'c'};
    struct pfk_control m;
    for (size_t i = 0; i < sizeof(later); i++) {
        b[4] = later[i];
        CHECK_EQ(pfk_control_parse(&m, b, 7), PFK_E_UNSUPPORTED);
    }
}

static void deframer_takes_any_split(void **state)
{
    // "abc", a zero-length frame, 300 bytes, one byte
    uint8_t stream[2 + 3 + 2 + 2 + 300 + 2 + 1];
    struct pfk_writer w = pfk_writer_init(stream, sizeof(stream));
    const size_t sizes[] = {3, 0, 300, 1};
    for (int f = 0; f < 4; f++) {
        uint8_t *mark = pfk_frame_begin(&w);
        for (size_t i = 0; i < sizes[f]; i++) {
            pfk_write_u8(&w, (uint8_t)(f * 50 + i));
        }
        pfk_frame_end(&w, mark);
    }
    CHECK(!w.bad && w.p == w.end);
    static struct pfk_deframer d;
    for (size_t step = 1; step <= sizeof(stream); step++) {
        memset(&d, 0, sizeof(d));
        size_t n_got = 0;
        const size_t want[] = {3, 300, 1};
        for (size_t at = 0; at < sizeof(stream); at += step) {
            size_t n = sizeof(stream) - at < step ? sizeof(stream) - at : step;
            const uint8_t *p = stream + at;
            while (n) {
                const uint8_t *body;
                size_t body_bytes;
                size_t used = pfk_deframe(&d, p, n, &body, &body_bytes);
                CHECK(used > 0 && used <= n);
                p += used;
                n -= used;
                if (body) {
                    CHECK(n_got < 3);
                    CHECK_EQ(body_bytes, want[n_got]);
                    CHECK_EQ(body[body_bytes - 1],
                             (uint8_t)((n_got == 0 ? 0 : n_got + 1) * 50 + body_bytes - 1));
                    n_got++;
                }
            }
        }
        CHECK_EQ(n_got, 3);
    }
}

static void largest_frame_fits(void **state)
{
    static uint8_t stream[2 + 65535];
    static struct pfk_deframer d;
    memset(&d, 0, sizeof(d));
    stream[0] = stream[1] = 0xFF;
    stream[65536] = 9;
    const uint8_t *body;
    size_t n;
    CHECK_EQ(pfk_deframe(&d, stream, sizeof(stream), &body, &n), sizeof(stream));
    CHECK_EQ(n, 65535);
    CHECK_EQ(body[65534], 9);
}

static void every_close_code_has_a_sentence(void **state)
{
    static const uint8_t codes[] = {0,    1,    0x42, 0x51, 0x52, 0x60, 0x61, 0x62, 0x63,
                                    0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x6B};
    for (size_t i = 0; i < sizeof(codes); i++) {
        const char *text = pfk_close_text(codes[i]);
        CHECK(strlen(text) > 5 && text[strlen(text) - 1] == '.');
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(text, pfk_close_text(codes[k]));
        }
    }
    CHECK(strlen(pfk_close_text(0xDEADBEEF)) > 5);
}

static void timing_lengths_decide_what_it_has(void **state)
{
    uint8_t b[64];
    size_t n = from_hex("cf 8877665544332211 e8030000 0a000000 14000000 1e000000 00000000"
                        "50467374 28000000 32000000",
                        b, sizeof(b));
    CHECK_EQ(n, 41);
    for (size_t cut = 0; cut <= n; cut++) {
        struct pfk_timing t;
        int rc = pfk_timing_parse(&t, b, cut);
        CHECK_EQ(rc, cut < 13 ? PFK_E_MALFORMED : PFK_OK);
        if (rc == PFK_OK) {
            CHECK_EQ(t.pts_ns, 0x1122334455667788);
            CHECK_EQ(t.total_us, 1000);
            CHECK_EQ(t.has_stages, cut >= 25);
            CHECK_EQ(t.has_detail, cut >= 41);
            CHECK_EQ(t.pace_us, cut >= 25 ? 30 : 0);
            CHECK_EQ(t.convert_us, cut >= 41 ? 50 : 0);
        }
    }
    struct pfk_timing t;
    b[29] ^= 1; // somebody else's fields
    CHECK_EQ(pfk_timing_parse(&t, b, n), PFK_OK);
    CHECK(t.has_stages && !t.has_detail);
    b[0] = 0xCE;
    CHECK_EQ(pfk_timing_parse(&t, b, n), PFK_E_MALFORMED);
}

static void input_is_eighteen_bytes(void **state)
{
    uint8_t b[32] = {0}, got[18];
    size_t n = from_hex("c8 03 00000000 0a000000 f6ffffff 0005d002", b, sizeof(b));
    CHECK_EQ(n, 18);
    struct pfk_input e;
    for (size_t cut = 0; cut <= n + 3; cut++) {
        CHECK_EQ(pfk_input_parse(&e, b, cut), cut < 18 ? PFK_E_MALFORMED : PFK_OK);
    }
    CHECK_EQ(e.kind, 3);
    CHECK_EQ(e.x, 10);
    CHECK_EQ(e.y, -10);
    CHECK_EQ(e.flags, 0x02d00500);
    struct pfk_writer w = pfk_writer_init(got, sizeof(got));
    pfk_input_emit(&e, &w);
    assert_memory_equal(got, b, 18);
}

// The header of section 5.1's vector.
static void video_header_is_the_pages(void **state)
{
    uint8_t b[64];
    size_t n = from_hex("8877665544332211 07000000 09000000 03000000 05000000 0000 0100 0100 0100"
                        "0000 0400 c9 01 01 05",
                        b, sizeof(b));
    CHECK_EQ(n, 40);
    struct pfk_video_header h;
    for (size_t cut = 0; cut <= n; cut++) {
        struct pfk_reader r = pfk_reader_init(b, cut);
        CHECK_EQ(pfk_video_header_parse(&h, &r), cut < 40 ? PFK_E_MALFORMED : PFK_OK);
    }
    CHECK_EQ(h.pts_ns, 0x1122334455667788);
    CHECK_EQ(h.frame_index, 7);
    CHECK_EQ(h.packet_counter, 9);
    CHECK_EQ(h.au_bytes, 3);
    CHECK_EQ(h.au_flags, 5);
    CHECK_EQ(h.block_count, 1);
    CHECK_EQ(h.n_data, 1);
    CHECK_EQ(h.n_parity, 1);
    CHECK_EQ(h.shard_bytes, 4);
    uint8_t got[40];
    struct pfk_writer w = pfk_writer_init(got, sizeof(got));
    pfk_video_header_emit(&h, &w);
    assert_memory_equal(got, b, 40);
    for (size_t i = 0; i < 40; i++) { // only byte 36 is judged here, limits are the reassembler's
        b[i] ^= 0x10;
        struct pfk_reader r = pfk_reader_init(b, 40);
        CHECK_EQ(pfk_video_header_parse(&h, &r), i == 36 ? PFK_E_MALFORMED : PFK_OK);
        b[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_parses_and_is_emitted_alike),
        cmocka_unit_test(fields_are_where_the_table_says),
        cmocka_unit_test(wrong_lengths_are_malformed),
        cmocka_unit_test(every_corruption_has_its_outcome),
        cmocka_unit_test(unknown_types_are_told_apart),
        cmocka_unit_test(deframer_takes_any_split),
        cmocka_unit_test(largest_frame_fits),
        cmocka_unit_test(every_close_code_has_a_sentence),
        cmocka_unit_test(timing_lengths_decide_what_it_has),
        cmocka_unit_test(input_is_eighteen_bytes),
        cmocka_unit_test(video_header_is_the_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
