// SPDX-License-Identifier: MIT OR Apache-2.0
// Packetizer and reassembler against each other and against the page, with every way a datagram can
// fail.
#include "core/media/reassembler.h"

#include "core/base/status.h"
#include "core/wire/video_header.h"
#include "tests/unit/check.h"

enum { MAX_DATAGRAMS = 8192, ROOM_BYTES = 2048 };

// A copy of one unit's datagrams, to lose, repeat, reorder and damage.
struct burst {
    uint8_t *bytes; // n of stride
    size_t stride, n_bytes;
    unsigned n;
};

static struct pfk_plane plane_of(enum pfk_fec_field field, uint16_t shard_bytes, uint16_t k,
                                 uint8_t percent, bool encrypted)
{
    struct pfk_plane p = {.field = field,
                          .shard_bytes = shard_bytes,
                          .max_data_shards = k,
                          .percent = percent,
                          .encrypted = encrypted,
                          .key.cipher = PFK_CIPHER_AES_128_GCM};
    for (int i = 0; i < 16; i++) {
        p.key.key[i] = (uint8_t)i;
    }
    memcpy(p.key.salt, "\x9a\x02\x03\x04", 4);
    return p;
}

struct link {
    struct pfk_plane plane;
    struct pfk_packetizer *tx;
    struct pfk_reassembler *rx;
    uint64_t pts_ns;
};

static void link_open(struct link *l, struct pfk_plane plane)
{
    struct pfk_reassembler_config rc = {.plane = plane, .bitrate_kbps = 20000, .hz = 60};
    l->plane = plane;
    l->pts_ns = 1000000000;
    CHECK_EQ(pfk_packetizer_create(&l->tx, &plane, 64 << 20), PFK_OK);
    CHECK_EQ(pfk_reassembler_create(&l->rx, &rc), PFK_OK);
}

static void link_close(struct link *l)
{
    pfk_packetizer_destroy(l->tx);
    pfk_reassembler_destroy(l->rx);
}

static uint8_t *make_au(size_t n, uint64_t seed)
{
    uint8_t *au = malloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        au[i] = (uint8_t)splitmix64(&seed);
    }
    return au;
}

static struct burst packetize(struct link *l, const uint8_t *au, size_t n, uint8_t percent)
{
    struct pfk_au_meta meta = {.pts_ns = l->pts_ns += 1000000, .flags = 5, .percent = percent};
    struct pfk_datagrams d;
    CHECK_EQ(pfk_packetize(l->tx, au, n, &meta, &d), PFK_OK);
    CHECK_EQ(pfk_packetizer_seal(l->tx, 0, d.n_datagrams), PFK_OK);
    CHECK(d.n_datagrams <= MAX_DATAGRAMS);
    struct burst b = {malloc(d.n_datagrams * d.datagram_bytes), d.datagram_bytes, d.datagram_bytes,
                      d.n_datagrams};
    memcpy(b.bytes, d.base, d.n_datagrams * d.datagram_bytes);
    return b;
}

// The reassembler decrypts in place, so each push gets a copy; exact size for the sanitizer.
static enum pfk_rx_outcome push(struct link *l, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    enum pfk_rx_outcome o = pfk_reassembler_push(l->rx, copy, n, 1);
    free(copy);
    return o;
}

static enum pfk_rx_outcome push_nth(struct link *l, const struct burst *b, unsigned i)
{
    return push(l, b->bytes + i * b->stride, b->n_bytes);
}

static void expect_unit(struct link *l, const uint8_t *au, size_t n, unsigned recovered)
{
    struct pfk_unit *u = pfk_reassembler_pop(l->rx);
    CHECK(u != NULL);
    CHECK_EQ(u->n_bytes, n);
    CHECK(n == 0 || memcmp(u->bytes, au, n) == 0);
    CHECK_EQ(u->flags, 5);
    CHECK_EQ(u->pts_ns, l->pts_ns);
    CHECK_EQ(u->n_recovered, recovered);
    pfk_reassembler_recycle(l->rx, u);
}

static struct pfk_reassembler_stats stats_of(struct link *l)
{
    struct pfk_reassembler_stats s;
    pfk_reassembler_get_stats(l->rx, &s);
    return s;
}

// --- splitting: section 5.3 ---

static void units_of_every_size_come_back(void **state)
{
    const uint16_t s = 64, k = 4;
    const size_t sizes[] = {0, 1, 63, 64, 65, 64 * 4 - 1, 64 * 4, 64 * 4 + 1, 64 * 11 + 5, 10000};
    for (int field = 0; field < 2; field++) {
        for (int encrypted = 0; encrypted < 2; encrypted++) {
            struct link l;
            link_open(&l, plane_of((enum pfk_fec_field)field, s, k, 50, encrypted));
            for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                uint8_t *au = make_au(sizes[i], i);
                struct burst b = packetize(&l, au, sizes[i], 50);
                size_t n = sizes[i] ? (sizes[i] + s - 1) / s : 1;
                size_t blocks = (n + k - 1) / k, rest = n - (blocks - 1) * k;
                CHECK_EQ(b.n, n + (blocks - 1) * 2 + (rest + 1) / 2);
                CHECK_EQ(b.n_bytes, 40 + s + (encrypted ? 24 : 0));
                for (unsigned p = 0; p < b.n; p++) {
                    push_nth(&l, &b, p);
                }
                expect_unit(&l, au, sizes[i], 0);
                CHECK(pfk_reassembler_pop(l.rx) == NULL);
                free(b.bytes);
                free(au);
            }
            CHECK_EQ(stats_of(&l).frames_lost, 0);
            link_close(&l);
        }
    }
}

static void headers_are_by_the_table(void **state)
{
    struct link l;
    link_open(&l, plane_of(PFK_FEC_GF16, 64, 4, 50, false));
    uint8_t *au = make_au(64 * 6, 1);
    struct burst first = packetize(&l, au, 64 * 6, 50), b = packetize(&l, au, 64 * 6, 50);
    CHECK_EQ(b.n, 6 + 2 + 1); // all data of all blocks first, then all parity
    const int block[] = {0, 0, 0, 0, 1, 1, 0, 0, 1}, shard[] = {0, 1, 2, 3, 0, 1, 4, 5, 2};
    for (unsigned i = 0; i < b.n; i++) {
        struct pfk_video_header h;
        struct pfk_reader r = pfk_reader_init(b.bytes + i * b.stride, b.n_bytes);
        CHECK_EQ(pfk_video_header_parse(&h, &r), PFK_OK);
        CHECK_EQ(h.frame_index, 1);
        CHECK_EQ(h.packet_counter, first.n + i);
        CHECK_EQ(h.au_bytes, 64 * 6);
        CHECK_EQ(h.block_index, block[i]);
        CHECK_EQ(h.block_count, 2);
        CHECK_EQ(h.shard_index, shard[i]);
        CHECK_EQ(h.n_data, block[i] ? 2 : 4);
        CHECK_EQ(h.n_parity, block[i] ? 1 : 2);
        CHECK_EQ(h.packet_flags, 1 | (i == 0 ? 4 : 0) | (i == b.n - 1 ? 2 : 0));
    }
    free(first.bytes);
    free(b.bytes);
    free(au);
    link_close(&l);
}

static void parity_stays_within_the_first_generations_limit(void **state)
{
    struct link l; // m <= K + ceil(K * Welcome percent / 100) - k
    link_open(&l, plane_of(PFK_FEC_GF16, 64, 4, 25, false));
    uint8_t au[64 * 4] = {0};
    struct burst b = packetize(&l, au, sizeof(au), 90);
    CHECK_EQ(b.n, 4 + 1);
    free(b.bytes);
    b = packetize(&l, au, 64 * 2, 90); // two data shards: ceil(1.8) = 2, limit 5 - 2 = 3
    CHECK_EQ(b.n, 2 + 2);
    free(b.bytes);
    link_close(&l);
}

// --- loss ---

// A unit completes if and only if each of its blocks has as many shards as it has data shards.
static void a_unit_completes_iff_every_block_can(void **state)
{
    uint64_t seed = 42;
    for (int field = 0; field < 2; field++) {
        struct link l;
        const uint16_t s = 66, k = 10;
        link_open(&l, plane_of((enum pfk_fec_field)field, s, k, 50, true));
        for (int round = 0; round < 300; round++) {
            size_t n_bytes = splitmix64(&seed) % (s * 35) + 1;
            uint8_t *au = make_au(n_bytes, (uint64_t)round);
            struct burst b = packetize(&l, au, n_bytes, 30);
            size_t n = (n_bytes + s - 1) / s, blocks = (n + k - 1) / k;
            unsigned have[8] = {0}, lost_data = 0;
            unsigned order[MAX_DATAGRAMS];
            for (unsigned i = 0; i < b.n; i++) {
                order[i] = i;
            }
            for (unsigned i = b.n - 1; i > 0; i--) { // any order
                unsigned j = (unsigned)(splitmix64(&seed) % (i + 1)), t = order[i];
                order[i] = order[j];
                order[j] = t;
            }
            unsigned loss = (unsigned)(splitmix64(&seed) % 50);
            for (unsigned i = 0; i < b.n; i++) {
                bool lost = splitmix64(&seed) % 100 < loss;
                unsigned p = order[i];
                size_t block = p < n ? p / k : 0;
                if (p >= n) { // parity: blocks of three (30 % of ten), the last one smaller
                    block = (p - n) / 3 < blocks - 1 ? (p - n) / 3 : blocks - 1;
                }
                have[block] += !lost;
                lost_data += lost && p < n;
                if (!lost) {
                    push_nth(&l, &b, p);
                    if (splitmix64(&seed) % 8 == 0) {
                        CHECK_EQ(push_nth(&l, &b, p), PFK_RX_REPLAYED);
                    }
                }
            }
            bool complete = true;
            for (size_t block = 0; block < blocks; block++) {
                size_t need = block + 1 < blocks ? k : n - (blocks - 1) * k;
                complete = complete && have[block] >= need;
            }
            struct pfk_unit *u = pfk_reassembler_pop(l.rx);
            CHECK_EQ(u != NULL, complete);
            if (u) {
                CHECK_EQ(u->n_bytes, n_bytes);
                assert_memory_equal(u->bytes, au, n_bytes);
                CHECK(u->n_recovered >= lost_data);
                pfk_reassembler_recycle(l.rx, u);
            }
            free(b.bytes);
            free(au);
        }
        link_close(&l);
    }
}

static void lost_units_are_counted_once_when_they_leave_the_window(void **state)
{
    struct link l;
    link_open(&l, plane_of(PFK_FEC_GF16, 64, 16, 20, true));
    uint8_t au[64 * 3] = {1};
    struct burst whole = packetize(&l, au, sizeof(au), 0);
    for (unsigned i = 0; i < whole.n; i++) {
        push_nth(&l, &whole, i);
    }
    expect_unit(&l, au, sizeof(au), 0);
    struct burst part = packetize(&l, au, sizeof(au), 0); // one datagram of it arrives
    push_nth(&l, &part, 0);
    struct burst never = packetize(&l, au, sizeof(au), 0); // nothing of it arrives
    for (int i = 0; i < 80; i++) {
        struct burst b = packetize(&l, au, sizeof(au), 0);
        for (unsigned p = 0; p < b.n; p++) {
            push_nth(&l, &b, p);
        }
        expect_unit(&l, au, sizeof(au), 0);
        free(b.bytes);
    }
    CHECK_EQ(stats_of(&l).frames_lost, 2);
    CHECK_EQ(stats_of(&l).frames_completed, 81);
    // What comes now is stale, not a new unit.
    CHECK_EQ(push_nth(&l, &part, 1), PFK_RX_LATE);
    CHECK_EQ(push_nth(&l, &never, 0), PFK_RX_LATE);
    CHECK(pfk_reassembler_pop(l.rx) == NULL);
    CHECK_EQ(stats_of(&l).frames_lost, 2);
    free(whole.bytes);
    free(part.bytes);
    free(never.bytes);
    link_close(&l);
}

static void a_unit_is_lost_after_120_ms_of_pts(void **state)
{
    struct link l;
    link_open(&l, plane_of(PFK_FEC_GF16, 64, 16, 20, true));
    uint8_t au[64 * 2] = {1};
    struct burst part = packetize(&l, au, sizeof(au), 0);
    push_nth(&l, &part, 0);
    l.pts_ns += 118000000; // the next one is 119 ms later
    struct burst b = packetize(&l, au, sizeof(au), 0);
    push_nth(&l, &b, 0);
    CHECK_EQ(stats_of(&l).frames_lost, 0);
    l.pts_ns += 1000000; // and this one 121 ms
    struct burst c = packetize(&l, au, sizeof(au), 0);
    push_nth(&l, &c, 0);
    CHECK_EQ(stats_of(&l).frames_lost, 1);
    CHECK_EQ(push_nth(&l, &part, 1), PFK_RX_LATE);
    free(part.bytes);
    free(b.bytes);
    free(c.bytes);
    link_close(&l);
}

static void shards_that_were_rebuilt_and_then_arrive_count_as_late(void **state)
{
    struct link l;
    link_open(&l, plane_of(PFK_FEC_GF16, 64, 16, 50, true));
    uint8_t au[64 * 4] = {9};
    struct burst b = packetize(&l, au, sizeof(au), 50);
    CHECK_EQ(b.n, 6);
    for (unsigned i = 1; i < 5; i++) { // data 1 to 3 and the first parity: shard 0 is rebuilt
        push_nth(&l, &b, i);
    }
    expect_unit(&l, au, sizeof(au), 1);
    CHECK_EQ(stats_of(&l).shards_recovered, 1);
    CHECK_EQ(stats_of(&l).shards_late, 0);
    CHECK_EQ(push_nth(&l, &b, 0), PFK_RX_LATE);
    CHECK_EQ(stats_of(&l).shards_late, 1);
    CHECK_EQ(push_nth(&l, &b, 5), PFK_RX_LATE); // parity is nobody's loss
    CHECK_EQ(stats_of(&l).shards_late, 1);
    free(b.bytes);
    link_close(&l);
}

static void frame_indexes_wrap(void **state)
{
    // Written by hand: one-shard units around 2^32 on a plain plane, reached in steps below 2^31.
    struct link l;
    const uint32_t indexes[] = {0x7FFF0000u, 0xFFFE0000u, 0xFFFFFFFEu, 0xFFFFFFFFu, 0, 1};
    link_open(&l, plane_of(PFK_FEC_GF16, 64, 16, 0, false));
    for (uint32_t i = 0; i < 6; i++) {
        uint8_t d[104] = {0};
        struct pfk_video_header h = {.pts_ns = 1000 + i,
                                     .frame_index = indexes[i],
                                     .au_bytes = 10,
                                     .au_flags = 1,
                                     .block_count = 1,
                                     .n_data = 1,
                                     .shard_bytes = 64,
                                     .packet_flags = 7};
        struct pfk_writer w = pfk_writer_init(d, sizeof(d));
        pfk_video_header_emit(&h, &w);
        CHECK_EQ(push(&l, d, sizeof(d)), PFK_RX_ACCEPTED);
        struct pfk_unit *u = pfk_reassembler_pop(l.rx);
        CHECK(u != NULL);
        CHECK_EQ(u->index, indexes[i]);
        pfk_reassembler_recycle(l.rx, u);
    }
    link_close(&l);
}

// --- bad input ---

static void every_damaged_datagram_is_dropped_and_the_session_lives(void **state)
{
    struct link l;
    link_open(&l, plane_of(PFK_FEC_GF16, 64, 16, 0, true));
    uint8_t au[64] = {3};
    uint64_t dropped = 0;
    for (size_t at = 0; at < 40 + 64 + 24; at++) {
        struct burst b = packetize(&l, au, sizeof(au), 0);
        CHECK_EQ(b.n, 1);
        CHECK_EQ(b.n_bytes, 40 + 64 + 24);
        for (int bit = 0; bit < 8; bit += 7) {
            b.bytes[at] ^= (uint8_t)(1 << bit);
            CHECK_EQ(push(&l, b.bytes, b.n_bytes), PFK_RX_NOT_AUTHENTIC);
            b.bytes[at] ^= (uint8_t)(1 << bit);
            dropped++;
        }
        CHECK_EQ(push(&l, b.bytes, at), at < 24 ? PFK_RX_SHORT : PFK_RX_NOT_AUTHENTIC);
        CHECK(pfk_reassembler_pop(l.rx) == NULL);
        CHECK_EQ(push(&l, b.bytes, b.n_bytes), PFK_RX_ACCEPTED);
        expect_unit(&l, au, sizeof(au), 0);
        free(b.bytes);
    }
    CHECK(stats_of(&l).outcome[PFK_RX_NOT_AUTHENTIC] >= dropped);
    CHECK_EQ(stats_of(&l).frames_lost, 0);
    link_close(&l);
}

// The plain plane has no tag, so the header's rules decide: each field's own fault, in their order.
static void each_rule_has_its_outcome(void **state)
{
    const struct pfk_video_header good = {.pts_ns = 5000,
                                          .frame_index = 3,
                                          .au_bytes = 64 * 5,
                                          .au_flags = 5,
                                          .block_count = 2,
                                          .n_data = 4,
                                          .n_parity = 2,
                                          .shard_bytes = 64,
                                          .field = 1,
                                          .packet_flags = 1};
    const struct {
        enum pfk_rx_outcome outcome;
        size_t offset, bytes;
        uint64_t value;
    } faults[] = {
        {PFK_RX_MALFORMED, 36, 1, 0xC8},      {PFK_RX_MALFORMED, 34, 2, 62},
        {PFK_RX_GEOMETRY, 28, 2, 0},          {PFK_RX_GEOMETRY, 28, 2, 5},
        {PFK_RX_GEOMETRY, 28, 2, 3},          {PFK_RX_GEOMETRY, 30, 2, 60000},
        {PFK_RX_GEOMETRY, 30, 2, 5},          {PFK_RX_GEOMETRY, 32, 2, 6},
        {PFK_RX_GEOMETRY, 24, 2, 2},          {PFK_RX_GEOMETRY, 26, 2, 0},
        {PFK_RX_GEOMETRY, 26, 2, 1},          {PFK_RX_GEOMETRY, 26, 2, 3},
        {PFK_RX_GEOMETRY, 26, 2, 65535},      {PFK_RX_GEOMETRY, 16, 4, 64 * 8 + 1},
        {PFK_RX_GEOMETRY, 16, 4, 0xFFFFFFFF}, {PFK_RX_GEOMETRY, 16, 4, 64 * 3},
    };
    for (size_t f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
        struct link l;
        link_open(&l, plane_of(PFK_FEC_GF16, 64, 4, 50, false));
        uint8_t d[40 + 64] = {0};
        struct pfk_writer w = pfk_writer_init(d, sizeof(d));
        pfk_video_header_emit(&good, &w);
        for (size_t i = 0; i < faults[f].bytes; i++) {
            d[faults[f].offset + i] = (uint8_t)(faults[f].value >> (8 * i));
        }
        CHECK_EQ(push(&l, d, sizeof(d)), faults[f].outcome);
        CHECK_EQ(stats_of(&l).outcome[faults[f].outcome], 1);
        w = pfk_writer_init(d, sizeof(d));
        pfk_video_header_emit(&good, &w);
        CHECK_EQ(push(&l, d, sizeof(d)), PFK_RX_ACCEPTED);
        CHECK_EQ(push(&l, d, sizeof(d)), PFK_RX_DUPLICATE);
        CHECK_EQ(push(&l, d, sizeof(d) - 1), PFK_RX_SHORT);
        link_close(&l);
    }
}

// Rule 6: the first packet of a unit and of a block decides; later ones must agree.
static void later_packets_must_agree_with_the_first(void **state)
{
    struct link l;
    link_open(&l, plane_of(PFK_FEC_GF16, 64, 4, 50, false));
    struct pfk_video_header h = {.pts_ns = 5000,
                                 .frame_index = 3,
                                 .au_bytes = 64 * 5,
                                 .au_flags = 5,
                                 .block_count = 2,
                                 .n_data = 4,
                                 .n_parity = 2,
                                 .shard_bytes = 64,
                                 .packet_flags = 1};
    uint8_t d[40 + 64] = {0};
    struct pfk_writer w = pfk_writer_init(d, sizeof(d));
    pfk_video_header_emit(&h, &w);
    CHECK_EQ(push(&l, d, sizeof(d)), PFK_RX_ACCEPTED);
    h.shard_index = 1;
    h.au_bytes = 64 * 5 - 1; // the same geometry, another size
    w = pfk_writer_init(d, sizeof(d));
    pfk_video_header_emit(&h, &w);
    CHECK_EQ(push(&l, d, sizeof(d)), PFK_RX_MISMATCH);
    h.au_bytes = 64 * 5;
    h.n_parity = 1;
    w = pfk_writer_init(d, sizeof(d));
    pfk_video_header_emit(&h, &w);
    CHECK_EQ(push(&l, d, sizeof(d)), PFK_RX_MISMATCH);
    h.n_parity = 2;
    w = pfk_writer_init(d, sizeof(d));
    pfk_video_header_emit(&h, &w);
    CHECK_EQ(push(&l, d, sizeof(d)), PFK_RX_ACCEPTED);
    link_close(&l);
}

// A peer that opens unit after unit without finishing one is held to four times the largest unit.
static void open_units_are_bounded_in_memory(void **state)
{
    struct link l;
    link_open(&l, plane_of(PFK_FEC_GF16, 1024, 4096, 10, false)); // F = 8 MiB
    unsigned accepted = 0, refused = 0;
    for (uint32_t i = 0; i < 30; i++) {
        const uint32_t size = 8u << 20, shards = size / 1024;
        struct pfk_video_header h = {.pts_ns = 1000 + i,
                                     .frame_index = i,
                                     .au_bytes = size,
                                     .au_flags = 1,
                                     .block_count = (uint16_t)(shards / 4096),
                                     .n_data = 4096,
                                     .shard_bytes = 1024,
                                     .packet_flags = 1};
        uint8_t d[40 + 1024] = {0};
        struct pfk_writer w = pfk_writer_init(d, sizeof(d));
        pfk_video_header_emit(&h, &w);
        enum pfk_rx_outcome o = push(&l, d, sizeof(d));
        accepted += o == PFK_RX_ACCEPTED;
        refused += o == PFK_RX_MEMORY;
    }
    CHECK(accepted >= 3 && accepted <= 4);
    CHECK_EQ(accepted + refused, 30);
    link_close(&l);
}

static void probe_filler_is_counted_and_never_put_together(void **state)
{
    struct link l;
    link_open(&l, plane_of(PFK_FEC_GF16, 64, 16, 0, true));
    uint8_t au[200] = {0};
    struct pfk_au_meta meta = {.pts_ns = 1, .flags = PFK_AU_PROBE};
    struct pfk_datagrams d;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(pfk_packetize(l.tx, au, sizeof(au), &meta, &d), PFK_OK);
        CHECK_EQ(pfk_packetizer_seal(l.tx, 0, d.n_datagrams), PFK_OK);
        for (unsigned p = 0; p < d.n_datagrams; p++) {
            push(&l, d.base + p * d.datagram_bytes, d.datagram_bytes);
        }
    }
    CHECK_EQ(stats_of(&l).probe_packets, 400);
    CHECK(pfk_reassembler_pop(l.rx) == NULL);
    CHECK_EQ(pfk_packetizer_next_index(l.tx), 0); // filler has an index space of its own
    struct burst b = packetize(&l, au, sizeof(au), 0);
    for (unsigned p = 0; p < b.n; p++) {
        push_nth(&l, &b, p);
    }
    expect_unit(&l, au, sizeof(au), 0);
    CHECK_EQ(stats_of(&l).frames_lost, 0);
    free(b.bytes);
    link_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_of_every_size_come_back),
        cmocka_unit_test(headers_are_by_the_table),
        cmocka_unit_test(parity_stays_within_the_first_generations_limit),
        cmocka_unit_test(a_unit_completes_iff_every_block_can),
        cmocka_unit_test(lost_units_are_counted_once_when_they_leave_the_window),
        cmocka_unit_test(a_unit_is_lost_after_120_ms_of_pts),
        cmocka_unit_test(shards_that_were_rebuilt_and_then_arrive_count_as_late),
        cmocka_unit_test(frame_indexes_wrap),
        cmocka_unit_test(every_damaged_datagram_is_dropped_and_the_session_lives),
        cmocka_unit_test(each_rule_has_its_outcome),
        cmocka_unit_test(later_packets_must_agree_with_the_first),
        cmocka_unit_test(open_units_are_bounded_in_memory),
        cmocka_unit_test(probe_filler_is_counted_and_never_put_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
