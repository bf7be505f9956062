// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/base/status.h"
#include "core/wire/control.h"
#include "tests/unit/check.h"

// Reference, section 3.1: 1080p60, 20 Mbit/s, name "pc", H.264 + HEVC; with its length prefix.
static const char example[] =
    "2100 504b4631 02000000 80070000 38040000 3c000000 00 00 204e0000 02 7063 00 38 02 03";

static struct pfk_hello example_hello(void)
{
    return (struct pfk_hello){.version = 2,
                              .mode = {1920, 1080, 60},
                              .bitrate_kbps = 20000,
                              .name = "pc",
                              .video_caps = 0x38,
                              .audio_channels = 2,
                              .codecs = 3};
}

static size_t emit_hello(const struct pfk_hello *h, uint8_t *out, size_t room)
{
    struct pfk_writer w = pfk_writer_init(out, room);
    pfk_hello_emit(h, &w);
    CHECK(!w.bad);
    return (size_t)(w.p - out);
}

static void example_hello_is_emitted_and_parsed(void **state)
{
    uint8_t want[64], got[64];
    size_t n = from_hex(example, want, sizeof(want));
    struct pfk_hello h = example_hello();
    struct pfk_writer w = pfk_writer_init(got, sizeof(got));
    uint8_t *mark = pfk_frame_begin(&w);
    pfk_hello_emit(&h, &w);
    pfk_frame_end(&w, mark);
    CHECK_EQ(w.p - got, n);
    assert_memory_equal(got, want, n);
    struct pfk_hello p;
    CHECK_EQ(pfk_hello_parse(&p, want + 2, n - 2), PFK_OK);
    CHECK_EQ(p.mode.width_px, 1920);
    CHECK_EQ(p.mode.height_px, 1080);
    CHECK_EQ(p.mode.hz, 60);
    CHECK_EQ(p.bitrate_kbps, 20000);
    assert_string_equal(p.name, "pc");
    assert_string_equal(p.launch, "");
    CHECK_EQ(p.video_caps, 0x38);
    CHECK_EQ(p.audio_channels, 2);
    CHECK_EQ(p.codecs, 3);
    CHECK_EQ(p.preferred_codec, 0);
    CHECK(!p.has_hdr);
    CHECK_EQ(p.client_caps, 0);
}

// A full Hello: name 2 bytes, launch 9 bytes, HDR block, client caps.
static size_t full_hello(uint8_t *out, size_t room)
{
    struct pfk_hello h = example_hello();
    strcpy(h.launch, "steam:570");
    h.audio_channels = 6;
    h.preferred_codec = 2;
    h.has_hdr = true;
    for (int i = 0; i < PFK_HDR_BYTES; i++) {
        h.hdr[i] = (uint8_t)(0x40 + i);
    }
    h.client_caps = 0x21;
    size_t n = emit_hello(&h, out, room);
    CHECK_EQ(n, 28 + 2 + 9 + 4 + 28 + 1);
    return n;
}

// Each prefix from 20 bytes on is a Hello with the rest absent; below that it is malformed.
static void every_truncation_of_a_hello_has_its_outcome(void **state)
{
    uint8_t bytes[128];
    size_t n = full_hello(bytes, sizeof(bytes));
    const size_t name_at = 26, launch_at = name_at + 1 + 2, t = launch_at + 1 + 9;
    for (size_t cut = 0; cut <= n; cut++) {
        struct pfk_hello h;
        int rc = pfk_hello_parse(&h, bytes, cut);
        if (cut < 20) {
            CHECK_EQ(rc, PFK_E_MALFORMED);
            continue;
        }
        CHECK_EQ(rc, PFK_OK);
        CHECK_EQ(h.mode.hz, 60);
        CHECK_EQ(h.bitrate_kbps, cut >= 26 ? 20000 : 0);
        assert_string_equal(h.name, cut >= launch_at ? "pc" : "");
        assert_string_equal(h.launch, cut >= t ? "steam:570" : "");
        CHECK_EQ(h.video_caps, cut > t ? 0x38 : 0);
        CHECK_EQ(h.audio_channels, cut > t + 1 ? 6 : 2);
        CHECK_EQ(h.codecs, cut > t + 2 ? 3 : 0);
        CHECK_EQ(h.preferred_codec, cut > t + 3 ? 2 : 0);
        CHECK_EQ(h.has_hdr, cut >= t + 4 + 28);
        if (cut > t + 32) {
            CHECK_EQ(h.client_caps, 0x21);
        }
    }
}

// Only the magic decides about a long enough Hello; extra bytes are ignored.
static void every_corruption_of_a_hello_has_its_outcome(void **state)
{
    uint8_t bytes[128];
    size_t n = full_hello(bytes, sizeof(bytes));
    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            struct pfk_hello h;
            CHECK_EQ(pfk_hello_parse(&h, bytes, n), i < 4 ? PFK_E_MALFORMED : PFK_OK);
            CHECK(memchr(h.name, 0, sizeof(h.name)) && memchr(h.launch, 0, sizeof(h.launch)));
            CHECK(h.audio_channels == 2 || h.audio_channels == 6 || h.audio_channels == 8);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    }
    struct pfk_hello h;
    memset(bytes + n, 0xEE, 9);
    CHECK_EQ(pfk_hello_parse(&h, bytes, n + 9), PFK_OK);
    CHECK_EQ(h.client_caps, 0x21);
}

static void hdr_block_is_present_iff_28_bytes_follow(void **state)
{
    struct pfk_hello h = example_hello();
    h.client_caps = 0x10; // the field behind HDR, so the block's absence is a matter of length
    uint8_t bytes[128];
    size_t n = emit_hello(&h, bytes, sizeof(bytes));
    CHECK_EQ(n, 28 + 2 + 4 + 1);
    struct pfk_hello p;
    CHECK_EQ(pfk_hello_parse(&p, bytes, n), PFK_OK);
    CHECK(!p.has_hdr);
    CHECK_EQ(p.client_caps, 0x10);
    memset(bytes + n, 7, 27);
    CHECK_EQ(pfk_hello_parse(&p, bytes, n + 26), PFK_OK); // 27 after T+3
    CHECK(!p.has_hdr);
    CHECK_EQ(pfk_hello_parse(&p, bytes, n + 27), PFK_OK); // 28
    CHECK(p.has_hdr);
    CHECK_EQ(p.hdr[0], 0x10);
}

static void long_or_broken_names_count_as_none_but_keep_their_place(void **state)
{
    uint8_t bytes[256] = {0};
    size_t head =
        emit_hello(&(struct pfk_hello){.version = 2, .mode = {2, 2, 1}, .audio_channels = 2}, bytes,
                   sizeof(bytes));
    CHECK_EQ(head, 20);
    struct pfk_hello h;
    size_t n = 26;
    bytes[n++] = 65; // one too long
    memset(bytes + n, 'a', 65);
    n += 65;
    bytes[n++] = 2;
    bytes[n++] = 0xC3; // cut character
    bytes[n++] = 0x28;
    bytes[n++] = 0x08;
    CHECK_EQ(pfk_hello_parse(&h, bytes, n), PFK_OK);
    assert_string_equal(h.name, "");
    assert_string_equal(h.launch, "");
    CHECK_EQ(h.video_caps, 0x08);
    bytes[26] = 64;
    memmove(bytes + 26 + 1 + 64, bytes + 26 + 1 + 65, 4);
    CHECK_EQ(pfk_hello_parse(&h, bytes, n - 1), PFK_OK);
    CHECK_EQ(strlen(h.name), 64);
    CHECK_EQ(h.video_caps, 0x08);
}

static struct pfk_welcome example_welcome(void)
{
    struct pfk_welcome m = {.version = 2,
                            .video_port = 0x1234,
                            .mode = {1920, 1080, 60},
                            .fec_field = 1,
                            .fec_percent = 10,
                            .max_data_shards = 4096,
                            .shard_bytes = 1408,
                            .encrypted = 1,
                            .n_frames = 7,
                            .compositor = 2,
                            .pad_type = 3,
                            .bitrate_kbps = 20000,
                            .bit_depth = 10,
                            .primaries = 9,
                            .transfer = 16,
                            .matrix = 9,
                            .full_range = 1,
                            .chroma = 3,
                            .audio_channels = 8,
                            .codec = 1,
                            .host_caps = 0x05};
    for (int i = 0; i < 16; i++) {
        m.key[i] = (uint8_t)(0xA0 + i);
    }
    memcpy(m.salt, "\x9a\x02\x03\x04", 4);
    return m;
}

// By hand from the table of section 3.2.
static const char welcome_bytes[] =
    "504b4631 02000000 3412 80070000 38040000 3c000000 01 0a 0010 8005 01"
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 9a020304 07000000 02 03 204e0000 0a 09 10 09 01 03 08 01 05";

static void welcome_is_emitted_by_the_table(void **state)
{
    uint8_t want[128], got[128];
    size_t n = from_hex(welcome_bytes, want, sizeof(want));
    CHECK_EQ(n, 68);
    struct pfk_welcome m = example_welcome();
    struct pfk_writer w = pfk_writer_init(got, sizeof(got));
    pfk_welcome_emit(&m, &w);
    CHECK_EQ(w.p - got, 68);
    assert_memory_equal(got, want, 68);
    struct pfk_welcome p;
    CHECK_EQ(pfk_welcome_parse(&p, want, n), PFK_OK);
    assert_memory_equal(&p, &m, sizeof(m));
}

static void every_truncation_of_a_welcome_has_its_outcome(void **state)
{
    uint8_t bytes[128];
    size_t n = from_hex(welcome_bytes, bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= n; cut++) {
        struct pfk_welcome m;
        int rc = pfk_welcome_parse(&m, bytes, cut);
        if (cut < 53) {
            CHECK_EQ(rc, PFK_E_MALFORMED);
            continue;
        }
        CHECK_EQ(rc, PFK_OK);
        CHECK_EQ(m.compositor, cut > 53 ? 2 : 0);
        CHECK_EQ(m.bitrate_kbps, cut >= 59 ? 20000 : 0);
        CHECK_EQ(m.bit_depth, cut > 59 ? 10 : 8);
        CHECK_EQ(m.primaries, cut > 60 ? 9 : 1);
        CHECK_EQ(m.transfer, cut > 61 ? 16 : 1);
        CHECK_EQ(m.matrix, cut > 62 ? 9 : 1);
        CHECK_EQ(m.full_range, cut > 63 ? 1 : 0);
        CHECK_EQ(m.chroma, cut > 64 ? 3 : 1);
        CHECK_EQ(m.audio_channels, cut > 65 ? 8 : 2);
        CHECK_EQ(m.codec, cut > 66 ? 1 : 2);
        CHECK_EQ(m.host_caps, cut > 67 ? 5 : 0);
        CHECK_EQ(m.cipher, 0);
    }
}

static void cipher_rules_are_kept(void **state)
{
    uint8_t bytes[160];
    size_t n = from_hex(welcome_bytes, bytes, sizeof(bytes));
    struct pfk_welcome m;
    for (int cipher = 0; cipher < 256; cipher++) {
        bytes[n] = (uint8_t)cipher;
        memset(bytes + n + 1, 0x5A, 32);
        CHECK_EQ(pfk_welcome_parse(&m, bytes, n + 1 + 32),
                 cipher >= 2 ? PFK_E_UNSUPPORTED : PFK_OK);
        if (cipher == 1) {
            CHECK_EQ(m.cipher, 1);
            CHECK_EQ(m.chacha_key[31], 0x5A);
            for (size_t cut = n + 1; cut < n + 33; cut++) {
                CHECK_EQ(pfk_welcome_parse(&m, bytes, cut), PFK_E_UNSUPPORTED);
            }
        }
    }
    m = example_welcome();
    m.cipher = 1;
    memset(m.chacha_key, 3, 32);
    struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
    pfk_welcome_emit(&m, &w);
    CHECK_EQ(w.p - bytes, 101);
}

static void every_corruption_of_a_welcome_has_its_outcome(void **state)
{
    uint8_t bytes[128];
    size_t n = from_hex(welcome_bytes, bytes, sizeof(bytes));
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 0x40;
        struct pfk_welcome m;
        CHECK_EQ(pfk_welcome_parse(&m, bytes, n), i < 4 ? PFK_E_MALFORMED : PFK_OK);
        bytes[i] ^= 0x40;
    }
}

static void start_takes_six_bytes_and_ignores_more(void **state)
{
    const uint8_t bytes[] = {'P', 'K', 'F', '1', 0x39, 0x30, 1, 2};
    struct pfk_start m;
    for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
        CHECK_EQ(pfk_start_parse(&m, bytes, cut), cut < 6 ? PFK_E_MALFORMED : PFK_OK);
    }
    CHECK_EQ(m.video_port, 12345);
    uint8_t got[8];
    struct pfk_writer w = pfk_writer_init(got, sizeof(got));
    pfk_start_emit(&m, &w);
    CHECK_EQ(w.p - got, 6);
    assert_memory_equal(got, bytes, 6);
    for (int i = 0; i < 4; i++) {
        uint8_t bad[6];
        memcpy(bad, bytes, 6);
        bad[i] ^= 1;
        CHECK_EQ(pfk_start_parse(&m, bad, 6), PFK_E_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_hello_is_emitted_and_parsed),
        cmocka_unit_test(every_truncation_of_a_hello_has_its_outcome),
        cmocka_unit_test(every_corruption_of_a_hello_has_its_outcome),
        cmocka_unit_test(hdr_block_is_present_iff_28_bytes_follow),
        cmocka_unit_test(long_or_broken_names_count_as_none_but_keep_their_place),
        cmocka_unit_test(welcome_is_emitted_by_the_table),
        cmocka_unit_test(every_truncation_of_a_welcome_has_its_outcome),
        cmocka_unit_test(cipher_rules_are_kept),
        cmocka_unit_test(every_corruption_of_a_welcome_has_its_outcome),
        cmocka_unit_test(start_takes_six_bytes_and_ignores_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
