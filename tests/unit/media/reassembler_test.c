// SPDX-License-Identifier: MIT OR Apache-2.0
// The edges: every bit of a header, both ends of each window, wrapping, what hostile hosts may
// hold.
#include "tests/unit/media/plain_link.h"

#include "core/media/unit.h"

static void the_references_sealed_datagram_is_a_unit(void **state)
{
    const char *const sealed_hex[] = {
        "0000000000000005 c6ac8ac88ac7f1822c02ed2861e1d979b6d5556cdae34b473b81d8ca3178a86ae30aac74"
        "d81410518cf75a02dcb352d32d028d309c154910ff4e9d59",
        "0000000000000005 5d8ca94cd35ae022997e751558eb2b106477ae2749e4365b3447343392c2af8ffb4d2ab1"
        "fbe093e6bf4ed3f6742936231e276ee0a8f28d9fe7020dac"};
    for (int cipher = 0; cipher < 2; cipher++) {
        struct pfk_plane plane = plane_of(PFK_FEC_GF16, 4, 4096, true);
        plane.key = (struct pfk_aead_key){(enum pfk_cipher)cipher, {0}, {0x9a, 2, 3, 4}};
        for (unsigned i = 0; i < 32; i++) {
            plane.key.key[i] = (uint8_t)i;
        }
        struct link l = link_of(plane);
        uint8_t bytes[68];
        CHECK_EQ(from_hex(sealed_hex[cipher], bytes, sizeof(bytes)), 68);
        CHECK_EQ(pfk_reassembler_push(l.rx, bytes, 68, 4711), PFK_RX_ACCEPTED);
        struct pfk_unit *u = pfk_reassembler_pop(l.rx);
        CHECK(u);
        CHECK_EQ(u->index, 7);
        CHECK_EQ(u->pts_ns, 0x1122334455667788u);
        CHECK_EQ(u->flags, 5);
        CHECK_EQ(u->n_bytes, 3);
        CHECK_EQ(u->n_shards, 1);
        CHECK_EQ(u->first_rx_ns, 4711);
        CHECK_EQ(u->last_rx_ns, 4711);
        assert_memory_equal(u->bytes, "abc", 3);
        pfk_reassembler_recycle(l.rx, u);
        link_free(&l);
    }
}

// What the reference makes of datagram 1 of unit 100 (five shards in two blocks, one parity a
// block) with one header bit flipped, after datagram 0 has arrived.
static enum pfk_rx_outcome outcome_of_flip(unsigned byte, unsigned bit)
{
    switch (byte) {
    case 8:
    case 9:
    case 10:
        // Another unit. 100 has bits 2, 5 and 6 set: clearing them gives older indexes, in the
        // window.
        return PFK_RX_ACCEPTED;
    case 11:
        return bit == 7 ? PFK_RX_LATE : PFK_RX_ACCEPTED; // 2^31 away is not newer
    case 16: // 140h bytes; only 100h makes another geometry of block 0
        return bit == 6 ? PFK_RX_GEOMETRY : PFK_RX_MISMATCH;
    case 17:
    case 18:
    case 19:
    case 24:
    case 25:
    case 26:
    case 27:
    case 28:
    case 29:
    case 31:
    case 33:
        return PFK_RX_GEOMETRY;
    case 30: // 2 parity shards; at most K + ceil(0.9 K) = 8 shards: 3 and 0 fit but disagree
        return bit <= 1 ? PFK_RX_MISMATCH : PFK_RX_GEOMETRY;
    case 32: // shard 1 becomes 0 (here already), 3, 5 (parity) or too high
        return bit == 0 ? PFK_RX_DUPLICATE : bit <= 2 ? PFK_RX_ACCEPTED : PFK_RX_GEOMETRY;
    case 34:
    case 35:
    case 36:
        return PFK_RX_MALFORMED;
    default:
        return PFK_RX_ACCEPTED; // pts, packet counter, flags, version, field, packet flags
    }
}

static void every_header_bit_has_its_outcome(void **state)
{
    enum { BYTES = 5 * S };
    struct link l = link_new(PFK_FEC_GF16, S, K, false);
    struct pfk_reassembler_config cfg = {.plane = l.plane, .bitrate_kbps = 20000, .hz = 60};
    struct sent s = {0};
    uint8_t *au = unit_bytes(1, BYTES);
    struct pfk_au_meta meta = {1000000000, PFK_AU_VIDEO, 50};
    for (int i = 0; i <= 100; i++) {
        free(s.bytes);
        s = send_bytes(&l, au, BYTES, &meta);
    }
    for (unsigned bit = 0; bit < 8 * PFK_VIDEO_HEADER_BYTES; bit++) {
        pfk_reassembler_destroy(l.rx);
        CHECK_EQ(pfk_reassembler_create(&l.rx, &cfg), 0);
        CHECK_EQ(push(&l, &s, 0), PFK_RX_ACCEPTED);
        datagram(&s, 1)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum pfk_rx_outcome want = outcome_of_flip(bit / 8, bit % 8), got = push(&l, &s, 1);
        if (got != want) {
            print_error("bit %u of byte %u\n", bit % 8, bit / 8);
        }
        CHECK_EQ(got, want);
        CHECK_EQ(stats_of(&l).outcome[got], want == PFK_RX_ACCEPTED ? 2 : 1);
        datagram(&s, 1)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        push_all(&l, &s);
        // Only an index far ahead ends the true unit; it is then one of those lost.
        struct pfk_unit *u = pfk_reassembler_pop(l.rx);
        bool far_ahead = bit >= 8 * 8 + 7 && bit < 8 * 11 + 7;
        CHECK_EQ(u == NULL, far_ahead);
        if (u && bit / 8 != 32) { // a shard in another's place is the plain plane's own risk
            assert_memory_equal(u->bytes, au, BYTES);
        }
        pfk_reassembler_recycle(l.rx, u);
    }
    free(au);
    free(s.bytes);
    link_free(&l);
}

static void lengths_are_judged_before_contents(void **state)
{
    struct link plain = link_new(PFK_FEC_GF16, 1984, 4, false);
    struct link sealed = link_new(PFK_FEC_GF16, 1984, 4, true);
    struct sent p = send_unit(&plain, 10, 0), s = send_unit(&sealed, 10, 0);
    CHECK_EQ(s.datagram_bytes, 2048);
    uint8_t bytes[2049] = {0};
    memcpy(bytes, s.bytes, 2048);
    CHECK_EQ(push_bytes(&sealed, bytes, 2049), PFK_RX_SHORT);
    CHECK_EQ(push_bytes(&sealed, bytes, 23), PFK_RX_SHORT);
    CHECK_EQ(push_bytes(&sealed, bytes, 0), PFK_RX_SHORT);
    CHECK_EQ(push_bytes(&sealed, bytes, 24), PFK_RX_NOT_AUTHENTIC);
    CHECK_EQ(push_bytes(&sealed, bytes, 2047), PFK_RX_NOT_AUTHENTIC);
    CHECK_EQ(stats_of(&sealed).bytes_received, 0);
    CHECK_EQ(push_bytes(&sealed, bytes, 2048), PFK_RX_ACCEPTED);
    CHECK_EQ(stats_of(&sealed).bytes_received, 2048);
    for (size_t n = 0; n < p.datagram_bytes; n++) {
        CHECK_EQ(push_bytes(&plain, p.bytes, n), PFK_RX_SHORT);
    }
    // More than 40 + S is no fault: later versions may append.
    memcpy(bytes, p.bytes, p.datagram_bytes);
    CHECK_EQ(push_bytes(&plain, bytes, p.datagram_bytes + 1), PFK_RX_ACCEPTED);
    CHECK(take_unit(&plain, 0, 10));
    CHECK(take_unit(&sealed, 0, 10));
    free(p.bytes);
    free(s.bytes);
    link_free(&plain);
    link_free(&sealed);
}

// An authentic datagram can be too short for a header and a shard; its sequence is used up.
static void a_short_authentic_datagram_is_short(void **state)
{
    struct link l = link_new(PFK_FEC_GF16, S, K, true);
    struct pfk_aead *aead;
    CHECK_EQ(pfk_aead_create(&aead, &l.plane.key, PFK_HOST_TO_CLIENT), 0);
    for (unsigned n = 0; n < DATAGRAM; n++) {
        uint8_t bytes[DATAGRAM + PFK_SEAL_BYTES] = {0};
        bytes[PFK_SEQ_BYTES + 36] = PFK_VIDEO_MAGIC;
        CHECK_EQ(pfk_aead_seal(aead, n, bytes, n), 0);
        CHECK_EQ(push_bytes(&l, bytes, n + PFK_SEAL_BYTES), PFK_RX_SHORT);
        CHECK_EQ(push_bytes(&l, bytes, n + PFK_SEAL_BYTES), PFK_RX_REPLAYED);
    }
    pfk_aead_destroy(aead);
    link_free(&l);
}

static void shuffle(unsigned *order, unsigned n, uint64_t *rng)
{
    for (unsigned i = n; i > 1; i--) {
        unsigned j = (unsigned)(splitmix64(rng) % i), t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

// Several units at once in any order, each datagram twice: all come out whole, and late shards
// never exceed recovered ones.
static void interleaved_units_complete_in_any_order(void **state)
{
    enum { UNITS = 6 };
    for (uint64_t seed = 1; seed <= 30; seed++) {
        uint64_t rng = seed;
        struct link l = link_new(seed % 2 ? PFK_FEC_GF16 : PFK_FEC_GF8, S, K, seed % 3 != 0);
        struct sent sent[UNITS];
        size_t sizes[UNITS];
        unsigned order[2 * UNITS * 64], n = 0;
        for (unsigned u = 0; u < UNITS; u++) {
            sizes[u] = splitmix64(&rng) % 1200;
            sent[u] = send_unit(&l, sizes[u], (uint8_t)(splitmix64(&rng) % 51));
            for (unsigned i = 0; i < 2 * sent[u].n; i++) {
                order[n++] = u << 16 | i / 2;
            }
        }
        shuffle(order, n, &rng);
        for (unsigned i = 0; i < n; i++) {
            push(&l, &sent[order[i] >> 16], order[i] & 0xFFFF);
        }
        bool seen[UNITS] = {false};
        for (struct pfk_unit *u; (u = pfk_reassembler_pop(l.rx));) {
            CHECK(u->index < UNITS && !seen[u->index]);
            seen[u->index] = true;
            uint8_t *want = unit_bytes(u->index, sizes[u->index]);
            CHECK_EQ(u->n_bytes, sizes[u->index]);
            assert_memory_equal(u->bytes, want, u->n_bytes);
            free(want);
            pfk_reassembler_recycle(l.rx, u);
        }
        struct pfk_reassembler_stats s = stats_of(&l);
        CHECK_EQ(s.frames_completed, UNITS);
        CHECK_EQ(s.frames_lost, 0);
        // Everything arrived in the end, so every rebuilt shard was late.
        CHECK_EQ(s.shards_late, s.shards_recovered);
        for (unsigned u = 0; u < UNITS; u++) {
            free(sent[u].bytes);
        }
        link_free(&l);
    }
}

// Block 0 is rebuilt and its shard arrives while block 1 is open: late once, wherever it is
// counted.
static void late_shards_count_once_across_blocks(void **state)
{
    struct link l = link_new(PFK_FEC_GF16, S, K, true);
    struct sent s = send_unit(&l, 2 * K * S, 50); // data 0-7, parity 8-9 and 10-11
    for (unsigned i = 1; i < 4; i++) {
        push(&l, &s, i);
    }
    CHECK_EQ(push(&l, &s, 8), PFK_RX_ACCEPTED);
    CHECK_EQ(stats_of(&l).shards_recovered, 1);
    CHECK_EQ(push(&l, &s, 9), PFK_RX_LATE); // its block is done
    CHECK_EQ(stats_of(&l).shards_late, 0);
    CHECK_EQ(push(&l, &s, 0), PFK_RX_LATE);
    CHECK_EQ(stats_of(&l).shards_late, 1);
    for (unsigned i = 6; i < 8; i++) {
        push(&l, &s, i);
    }
    push(&l, &s, 10);
    CHECK_EQ(push(&l, &s, 11), PFK_RX_ACCEPTED);
    CHECK(take_unit(&l, 0, 2 * K * S));
    CHECK_EQ(stats_of(&l).shards_recovered, 3);
    CHECK_EQ(push(&l, &s, 4), PFK_RX_LATE);
    CHECK_EQ(push(&l, &s, 5), PFK_RX_LATE);
    CHECK_EQ(stats_of(&l).shards_late, 3);
    free(s.bytes);
    // The next unit takes the same buffers and counts from nothing again.
    s = send_unit(&l, 2 * K * S, 50);
    for (unsigned i = 1; i < s.n - 1; i++) {
        push(&l, &s, i);
    }
    CHECK(take_unit(&l, 1, 2 * K * S));
    CHECK_EQ(push(&l, &s, s.n - 1), PFK_RX_LATE); // parity is nobody's loss
    CHECK_EQ(stats_of(&l).shards_late, 3);
    CHECK_EQ(push(&l, &s, 0), PFK_RX_LATE);
    CHECK_EQ(stats_of(&l).shards_recovered, 4);
    CHECK_EQ(stats_of(&l).shards_late, 4);
    free(s.bytes);
    link_free(&l);
}

static void filler_leaves_video_alone(void **state)
{
    struct link l = link_new(PFK_FEC_GF16, S, K, true);
    uint8_t filler[100] = {0};
    struct pfk_au_meta meta = {1, PFK_AU_PROBE, 50};
    for (uint32_t i = 0; i < 300; i++) {
        struct sent f = send_bytes(&l, filler, sizeof(filler), &meta);
        CHECK_EQ(f.n, 3);
        push_all(&l, &f);
        free(f.bytes);
        struct sent s = send_unit(&l, 300, 20);
        push_all(&l, &s);
        CHECK(take_unit(&l, i, 300));
        free(s.bytes);
    }
    struct pfk_reassembler_stats s = stats_of(&l);
    CHECK_EQ(s.probe_packets, 900);
    CHECK_EQ(s.probe_bytes, 300 * 100);
    CHECK_EQ(s.frames_completed, 300);
    CHECK_EQ(s.frames_lost, 0);
    CHECK_EQ(s.outcome[PFK_RX_REPLAYED], 0);
    link_free(&l);
}

// A host that sends only parity, and as much of it as the rules allow, is held to the bound too.
static void hoarded_parity_is_bounded(void **state)
{
    enum { WIDE_S = 1408, WIDE_K = 4096, M = 3000 };
    struct link l = link_new(PFK_FEC_GF16, WIDE_S, WIDE_K, false);
    uint8_t bytes[PFK_VIDEO_HEADER_BYTES + WIDE_S] = {0};
    uint64_t accepted = 0, refused = 0;
    for (uint32_t unit = 0; unit < 12; unit++) {
        for (uint16_t j = 0; j < M; j++) {
            struct pfk_video_header h = {.pts_ns = 1000000000,
                                         .frame_index = unit,
                                         .au_bytes = WIDE_K * WIDE_S,
                                         .au_flags = PFK_AU_VIDEO,
                                         .block_count = 1,
                                         .n_data = WIDE_K,
                                         .n_parity = M,
                                         .shard_index = (uint16_t)(WIDE_K + j),
                                         .shard_bytes = WIDE_S};
            struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
            pfk_video_header_emit(&h, &w);
            enum pfk_rx_outcome o = pfk_reassembler_push(l.rx, bytes, sizeof(bytes), 0);
            accepted += o == PFK_RX_ACCEPTED;
            refused += o == PFK_RX_MEMORY;
        }
    }
    uint64_t n_open = (accepted + M - 1) / M;                  // each with room for its data
    CHECK((accepted + n_open * WIDE_K) * WIDE_S <= 32u << 20); // 4 F
    CHECK(accepted >= M);
    CHECK_EQ(accepted + refused, 12 * M);
    // The window moves on: memory is there again.
    struct sent s = send_unit(&l, 100, 0);
    put_u32(s.bytes + 8, 100);
    CHECK_EQ(push(&l, &s, 0), PFK_RX_ACCEPTED);
    CHECK_EQ(stats_of(&l).frames_completed, 1);
    free(s.bytes);
    drain(&l);
    link_free(&l);
}

// Units of every size come and go: neither the open ones nor the pool get past their bounds, and
// small units do not sit on the buffers of great ones.
static void the_pool_keeps_its_bounds(void **state)
{
    enum { BOUND = 1 << 20, OPEN = 20 };
    struct pfk_unit_pool pool;
    pfk_unit_pool_init(&pool, BOUND);
    struct pfk_plane plane = plane_of(PFK_FEC_GF16, S, K, false);
    struct pfk_rx_unit *open[OPEN] = {NULL};
    uint64_t rng = 1, n_refused = 0;
    uint8_t shard[S] = {0};
    for (int i = 0; i < 20000; i++) {
        unsigned at = (unsigned)(splitmix64(&rng) % OPEN);
        if (open[at]) {
            pfk_unit_close(&pool, open[at]);
            pfk_unit_return(&pool, open[at]);
            open[at] = NULL;
        } else {
            uint64_t bytes = splitmix64(&rng) % (1u << splitmix64(&rng) % 20);
            struct pfk_geometry g = pfk_geometry_of(&plane, bytes);
            open[at] = pfk_unit_open(&pool, &g, S);
            n_refused += !open[at];
            if (open[at]) {
                memset(open[at]->pub.bytes, 0xAB, g.n_data * S);
                struct pfk_rx_block *b = &open[at]->blocks[g.n_blocks - 1];
                if (pfk_unit_start_block(&pool, open[at], b, K, 3)) {
                    pfk_unit_add_parity(&pool, open[at], b, 1, shard, S);
                }
            }
        }
        CHECK(pool.open_bytes <= BOUND);
        CHECK(pool.kept_bytes <= BOUND / 2);
        CHECK(pool.n_kept <= 8);
    }
    CHECK(n_refused > 0);
    for (int i = 0; i < OPEN; i++) {
        if (open[i]) {
            pfk_unit_close(&pool, open[i]);
            pfk_unit_free(open[i]);
        }
    }
    CHECK_EQ(pool.open_bytes, 0);
    pfk_unit_pool_finish(&pool);
}

static void small_units_leave_great_buffers_alone(void **state)
{
    struct pfk_unit_pool pool;
    pfk_unit_pool_init(&pool, 64 << 20);
    struct pfk_plane plane = plane_of(PFK_FEC_GF16, S, K, false);
    struct pfk_geometry great = pfk_geometry_of(&plane, 8 << 20);
    struct pfk_geometry small = pfk_geometry_of(&plane, 1000);
    struct pfk_rx_unit *a = pfk_unit_open(&pool, &great, S);
    pfk_unit_close(&pool, a);
    pfk_unit_return(&pool, a);
    struct pfk_rx_unit *b = pfk_unit_open(&pool, &small, S);
    CHECK(b != a);
    CHECK(pool.open_bytes < 100000);
    struct pfk_rx_unit *c = pfk_unit_open(&pool, &great, S);
    CHECK(c == a); // but a great one takes them again
    pfk_unit_free(b);
    pfk_unit_free(c);
    pfk_unit_pool_finish(&pool);
}

static void one_byte_over_the_largest_unit_is_refused(void **state)
{
    // 8 MiB are no multiple of 1408: one byte more needs no other shard.
    struct link l = link_new(PFK_FEC_GF16, 1408, 4096, false);
    for (uint32_t over = 0; over < 2; over++) {
        uint8_t bytes[PFK_VIDEO_HEADER_BYTES + 1408] = {0};
        struct pfk_video_header h = {.au_bytes = (8u << 20) + over,
                                     .au_flags = PFK_AU_VIDEO,
                                     .frame_index = over,
                                     .block_count = 2,
                                     .n_data = 4096,
                                     .shard_bytes = 1408};
        struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
        pfk_video_header_emit(&h, &w);
        CHECK_EQ(push_bytes(&l, bytes, sizeof(bytes)), over ? PFK_RX_GEOMETRY : PFK_RX_ACCEPTED);
    }
    link_free(&l);
}

static void a_block_beyond_the_fields_points_is_lost_alone(void **state)
{
    // 65000 + 535 shards are within the wire's limits, but 65000 + 1024 points are not in the
    // field.
    struct link l = link_new(PFK_FEC_GF16, 2, 65535, false);
    uint8_t bytes[PFK_VIDEO_HEADER_BYTES + 2] = {0};
    for (unsigned i = 1; i <= 65000; i++) {
        struct pfk_video_header h = {.pts_ns = 1000000000,
                                     .au_bytes = 130000,
                                     .au_flags = PFK_AU_VIDEO,
                                     .block_count = 1,
                                     .n_data = 65000,
                                     .n_parity = 535,
                                     .shard_index = (uint16_t)i,
                                     .shard_bytes = 2};
        struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
        pfk_video_header_emit(&h, &w);
        CHECK_EQ(pfk_reassembler_push(l.rx, bytes, sizeof(bytes), 0), PFK_RX_ACCEPTED);
    }
    CHECK(!pfk_reassembler_pop(l.rx));
    CHECK_EQ(stats_of(&l).frames_lost, 1);
    struct sent s = send_unit(&l, 2, 0);
    put_u32(s.bytes + 8, 1);
    CHECK_EQ(push(&l, &s, 0), PFK_RX_ACCEPTED);
    CHECK_EQ(stats_of(&l).frames_completed, 1);
    free(s.bytes);
    drain(&l);
    link_free(&l);
}

static void the_largest_unit_follows_bitrate_and_rate(void **state)
{
    const struct {
        uint32_t kbps, hz, mib;
    } cases[] = {{0, 60, 64},   {20000, 60, 8},   {2000000, 60, 15},
                 {20000, 0, 9}, {8000000, 1, 64}, {UINT32_MAX, 1, 64}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pfk_reassembler_config cfg = {.plane = plane_of(PFK_FEC_GF16, 1024, 4096, false),
                                             .bitrate_kbps = cases[i].kbps,
                                             .hz = cases[i].hz};
        const unsigned sizes[] = {1, cases[i].mib, cases[i].mib + 1};
        for (size_t size = 0; size < 3; size++) {
            unsigned mib = sizes[size];
            struct link l = {0};
            CHECK_EQ(pfk_reassembler_create(&l.rx, &cfg), 0);
            uint8_t bytes[PFK_VIDEO_HEADER_BYTES + 1024] = {0};
            unsigned n = mib << 10;
            struct pfk_video_header h = {.au_bytes = mib << 20,
                                         .au_flags = PFK_AU_VIDEO,
                                         .block_count = (uint16_t)((n + 4095) / 4096),
                                         .n_data = (uint16_t)(n < 4096 ? n : 4096),
                                         .shard_bytes = 1024};
            struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
            pfk_video_header_emit(&h, &w);
            CHECK_EQ(push_bytes(&l, bytes, sizeof(bytes)),
                     mib <= cases[i].mib ? PFK_RX_ACCEPTED : PFK_RX_GEOMETRY);
            pfk_reassembler_destroy(l.rx);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_references_sealed_datagram_is_a_unit),
        cmocka_unit_test(every_header_bit_has_its_outcome),
        cmocka_unit_test(lengths_are_judged_before_contents),
        cmocka_unit_test(a_short_authentic_datagram_is_short),
        cmocka_unit_test(interleaved_units_complete_in_any_order),
        cmocka_unit_test(late_shards_count_once_across_blocks),
        cmocka_unit_test(filler_leaves_video_alone),
        cmocka_unit_test(hoarded_parity_is_bounded),
        cmocka_unit_test(the_pool_keeps_its_bounds),
        cmocka_unit_test(small_units_leave_great_buffers_alone),
        cmocka_unit_test(one_byte_over_the_largest_unit_is_refused),
        cmocka_unit_test(a_block_beyond_the_fields_points_is_lost_alone),
        cmocka_unit_test(the_largest_unit_follows_bitrate_and_rate),
    };
    return cmocka_run_group_tests_name("reassembler", tests, NULL, NULL);
}
