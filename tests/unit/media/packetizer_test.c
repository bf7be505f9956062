// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tests/unit/media/link.h"

#include "core/fec/gf16.h"
#include "core/fec/gf8.h"

static struct pfk_packetizer *packetizer_new(const struct pfk_plane *plane)
{
    struct pfk_packetizer *p;
    CHECK_EQ(pfk_packetizer_create(&p, plane, MAX_UNIT_BYTES), 0);
    return p;
}

static struct pfk_video_header header_of(const struct pfk_datagrams *d, unsigned i)
{
    struct pfk_reader r = pfk_reader_init(d->base + i * d->datagram_bytes, d->datagram_bytes);
    struct pfk_video_header h;
    CHECK_EQ(pfk_video_header_parse(&h, &r), 0);
    return h;
}

static const uint8_t *shard_of(const struct pfk_datagrams *d, unsigned i)
{
    return d->base + i * d->datagram_bytes + PFK_VIDEO_HEADER_BYTES;
}

// Everything the receiver's exact-geometry rule asks for, computed in another way than the code's.
static void check_layout(const struct pfk_plane *plane, const uint8_t *au, size_t n_bytes,
                         const struct pfk_au_meta *meta, const struct pfk_datagrams *d)
{
    unsigned s = plane->shard_bytes, k_max = plane->max_data_shards, n_data = 0, at = 0;
    while ((size_t)n_data * s < n_bytes || n_data == 0) {
        n_data++;
    }
    for (unsigned block = 0; block * k_max < n_data; block++) {
        for (unsigned i = block * k_max; i < n_data && i < (block + 1) * k_max; i++, at++) {
            struct pfk_video_header h = header_of(d, at);
            CHECK_EQ(h.block_index, block);
            CHECK_EQ(h.shard_index, i - block * k_max);
            CHECK_EQ(h.block_count, (n_data - 1) / k_max + 1);
            for (unsigned b = 0; b < s; b++) {
                size_t byte = (size_t)i * s + b;
                CHECK_EQ(shard_of(d, at)[b], byte < n_bytes ? au[byte] : 0);
            }
        }
    }
    for (unsigned i = 0; i < d->n_datagrams; i++) {
        struct pfk_video_header h = header_of(d, i);
        CHECK_EQ(h.pts_ns, meta->pts_ns);
        CHECK_EQ(h.au_bytes, n_bytes);
        CHECK_EQ(h.au_flags, meta->flags);
        CHECK_EQ(h.shard_bytes, s);
        CHECK_EQ(h.field, plane->field);
        bool first = h.block_index == 0 && h.shard_index == 0, last = i + 1 == d->n_datagrams;
        CHECK_EQ(h.packet_flags, 1 + (first ? 4 : 0) + (last ? 2 : 0));
        CHECK_EQ(h.shard_index < h.n_data, i < n_data);
    }
}

static void units_are_cut_as_the_reference_says(void **state)
{
    const unsigned shard_bytes[] = {2, 64, 1388, 1408, 1984};
    for (size_t c = 0; c < sizeof(shard_bytes) / sizeof(*shard_bytes); c++) {
        for (int field = 0; field < 2; field++) {
            unsigned s = shard_bytes[c], k = 4;
            struct pfk_plane plane =
                plane_of((enum pfk_fec_field)field, (uint16_t)s, (uint16_t)k, false);
            struct pfk_packetizer *p = packetizer_new(&plane);
            const size_t sizes[] = {0,     1,         s - 1,     s,         s + 1,
                                    k * s, k * s + 1, 2 * k * s, 9 * s + 1, 40 * s - 1};
            for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                struct pfk_au_meta meta = {77 + i, PFK_AU_VIDEO, (uint8_t)(i * 10)};
                uint8_t *au = unit_bytes(i, sizes[i]);
                struct pfk_datagrams d;
                CHECK_EQ(pfk_packetize(p, au, sizes[i], &meta, &d), 0);
                CHECK_EQ(d.datagram_bytes, 40 + s);
                check_layout(&plane, au, sizes[i], &meta, &d);
                free(au);
            }
            pfk_packetizer_destroy(p);
        }
    }
}

static void an_empty_unit_is_one_zero_shard(void **state)
{
    struct pfk_plane plane = plane_of(PFK_FEC_GF16, 64, 4, false);
    struct pfk_packetizer *p = packetizer_new(&plane);
    struct pfk_au_meta meta = {1, PFK_AU_VIDEO, 0};
    struct pfk_datagrams d;
    CHECK_EQ(pfk_packetize(p, NULL, 0, &meta, &d), 0);
    CHECK_EQ(d.n_datagrams, 1);
    struct pfk_video_header h = header_of(&d, 0);
    CHECK_EQ(h.n_data, 1);
    CHECK_EQ(h.n_parity, 0);
    CHECK_EQ(h.block_count, 1);
    CHECK_EQ(h.au_bytes, 0);
    CHECK_EQ(h.packet_flags, 7);
    pfk_packetizer_destroy(p);
}

static unsigned parity_for(const struct pfk_plane *plane, unsigned k, uint8_t percent)
{
    struct pfk_packetizer *p = packetizer_new(plane);
    size_t n = (size_t)k * plane->shard_bytes;
    uint8_t *au = calloc(n, 1);
    struct pfk_au_meta meta = {1, PFK_AU_VIDEO, percent};
    struct pfk_datagrams d;
    CHECK_EQ(pfk_packetize(p, au, n, &meta, &d), 0);
    unsigned m = d.n_datagrams - k;
    CHECK_EQ(header_of(&d, 0).n_parity, m);
    free(au);
    pfk_packetizer_destroy(p);
    return m;
}

static void parity_follows_the_percent_and_the_receivers_limits(void **state)
{
    struct pfk_plane plane = plane_of(PFK_FEC_GF16, 2, 100, false);
    plane.percent = 10;
    const unsigned wants[][3] = {
        {100, 0, 0},   {100, 1, 1},  {100, 10, 10}, {1, 1, 1},   {1, 10, 1},
        {36, 20, 8},   {35, 20, 7},  {99, 10, 10},  {10, 90, 9}, {1, 90, 1},
        {100, 90, 10}, {99, 90, 11}, {90, 90, 20}, // a G1 client takes 100 + 10 shards a block
    };
    for (size_t i = 0; i < sizeof(wants) / sizeof(*wants); i++) {
        CHECK_EQ(parity_for(&plane, wants[i][0], (uint8_t)wants[i][1]), wants[i][2]);
    }
    struct pfk_plane gf8 = plane_of(PFK_FEC_GF8, 2, 200, false);
    gf8.percent = 90;
    CHECK_EQ(parity_for(&gf8, 200, 20), 40);
    CHECK_EQ(parity_for(&gf8, 200, 90), 55);
    struct pfk_plane widest = plane_of(PFK_FEC_GF16, 2, 65535, false);
    CHECK_EQ(parity_for(&widest, 65535, 50), 0);
    CHECK_EQ(parity_for(&widest, 65000, 50), 512); // 535 would need 65000 + 1024 field points
    CHECK_EQ(parity_for(&widest, 32768, 90), 29492);
    CHECK_EQ(parity_for(&widest, 32769, 90), 16384);
}

static void parity_is_the_codes_in_every_block(void **state)
{
    for (int field = 0; field < 2; field++) {
        enum { S = 66, K = 7, N = 7 + 7 + 3, M = 4 };
        struct pfk_plane plane = plane_of((enum pfk_fec_field)field, S, K, false);
        struct pfk_packetizer *p = packetizer_new(&plane);
        uint8_t *au = unit_bytes(3, N * S);
        struct pfk_au_meta meta = {1, PFK_AU_VIDEO, 50};
        struct pfk_datagrams d;
        CHECK_EQ(pfk_packetize(p, au, N * S, &meta, &d), 0);
        CHECK_EQ(d.n_datagrams, N + 4 + 4 + 2);
        struct pfk_gf16 *gf16;
        struct pfk_gf8 *gf8;
        CHECK_EQ(pfk_gf16_create(&gf16, NULL), 0);
        CHECK_EQ(pfk_gf8_create(&gf8), 0);
        for (unsigned block = 0, parity_at = N; block < 3; block++) {
            unsigned k = block < 2 ? K : 3, m = block < 2 ? 4 : 2;
            const uint8_t *data[K];
            uint8_t store[M][S], *parity[M] = {store[0], store[1], store[2], store[3]};
            for (unsigned i = 0; i < k; i++) {
                data[i] = au + (block * K + i) * S;
            }
            CHECK_EQ(field ? pfk_gf16_encode(gf16, k, m, S, data, parity)
                           : pfk_gf8_encode(gf8, k, m, S, data, parity),
                     0);
            for (unsigned j = 0; j < m; j++, parity_at++) {
                CHECK_EQ(header_of(&d, parity_at).block_index, block);
                CHECK_EQ(header_of(&d, parity_at).shard_index, k + j);
                assert_memory_equal(shard_of(&d, parity_at), store[j], S);
            }
        }
        pfk_gf16_destroy(gf16);
        pfk_gf8_destroy(gf8);
        free(au);
        pfk_packetizer_destroy(p);
    }
}

static void counters_run_as_the_reference_says(void **state)
{
    struct pfk_plane plane = plane_of(PFK_FEC_GF16, 64, 4, false);
    struct pfk_packetizer *p = packetizer_new(&plane);
    uint8_t au[640] = {0};
    uint32_t packets = 0, video = 0, probe = 0;
    for (int i = 0; i < 50; i++) {
        bool filler = i % 3 == 1;
        struct pfk_au_meta meta = {(uint64_t)i, filler ? PFK_AU_PROBE : PFK_AU_VIDEO, 20};
        struct pfk_datagrams d;
        CHECK_EQ(pfk_packetizer_next_index(p), video);
        CHECK_EQ(pfk_packetize(p, au, 10u * (unsigned)i, &meta, &d), 0);
        for (unsigned j = 0; j < d.n_datagrams; j++) {
            CHECK_EQ(header_of(&d, j).packet_counter, packets++);
            CHECK_EQ(header_of(&d, j).frame_index, filler ? probe : video);
        }
        *(filler ? &probe : &video) += 1;
    }
    pfk_packetizer_destroy(p);
}

static void sealing_takes_each_datagram_once_and_in_order(void **state)
{
    struct pfk_plane plane = plane_of(PFK_FEC_GF16, 64, 4, true);
    struct pfk_packetizer *p = packetizer_new(&plane);
    struct pfk_aead *aead;
    CHECK_EQ(pfk_aead_create(&aead, &plane.key, PFK_HOST_TO_CLIENT), 0);
    uint8_t au[640] = {0};
    uint64_t want = 0;
    for (int unit = 0; unit < 3; unit++) {
        // Filler takes its sequence numbers from the same row as video.
        struct pfk_au_meta meta = {1, unit == 1 ? PFK_AU_PROBE : PFK_AU_VIDEO, 0};
        struct pfk_datagrams d;
        CHECK_EQ(pfk_packetize(p, au, sizeof(au), &meta, &d), 0);
        CHECK_EQ(d.n_datagrams, 10);
        CHECK_EQ(d.datagram_bytes, 64 + 64);
        CHECK_EQ(pfk_packetizer_seal(p, 0, 11), PFK_E_INVALID);
        CHECK_EQ(pfk_packetizer_seal(p, 11, 0), PFK_E_INVALID);
        CHECK_EQ(pfk_packetizer_seal(p, 0, 4), 0);
        CHECK_EQ(pfk_packetizer_seal(p, 3, 2), PFK_E_INVALID);
        CHECK_EQ(pfk_packetizer_seal(p, 4, 6), 0);
        CHECK_EQ(pfk_packetizer_seal(p, 0, 10), PFK_E_INVALID);
        for (unsigned i = 0; i < d.n_datagrams; i++) {
            uint64_t sequence;
            uint8_t *bytes = d.base + i * d.datagram_bytes;
            CHECK_EQ(pfk_aead_open(aead, bytes, d.datagram_bytes, &sequence), 0);
            CHECK_EQ(sequence, want++);
            CHECK_EQ(bytes[PFK_SEQ_BYTES + 36], PFK_VIDEO_MAGIC);
        }
    }
    pfk_aead_destroy(aead);
    pfk_packetizer_destroy(p);
}

static void what_no_header_can_say_is_refused(void **state)
{
    struct pfk_plane plane = plane_of(PFK_FEC_GF16, 2, 1, false);
    struct pfk_packetizer *p = packetizer_new(&plane);
    uint8_t *au = calloc(MAX_UNIT_BYTES + 1, 1);
    struct pfk_au_meta meta = {1, PFK_AU_VIDEO, 0};
    struct pfk_datagrams d;
    CHECK_EQ(pfk_packetize(p, au, MAX_UNIT_BYTES + 1, &meta, &d), PFK_E_SIZE);
    CHECK_EQ(pfk_packetize(p, au, 2 * 65535 + 1, &meta, &d), PFK_E_SIZE);
    meta.percent = 91;
    CHECK_EQ(pfk_packetize(p, au, 2, &meta, &d), PFK_E_SIZE);
    // A refused unit takes no index.
    CHECK_EQ(pfk_packetizer_next_index(p), 0);
    meta.percent = 0;
    CHECK_EQ(pfk_packetize(p, au, 2 * 65535, &meta, &d), 0);
    CHECK_EQ(d.n_datagrams, 65535);
    CHECK_EQ(header_of(&d, 65534).block_index, 65534);
    CHECK_EQ(header_of(&d, 65534).block_count, 65535);
    free(au);
    pfk_packetizer_destroy(p);
}

static void impossible_planes_are_refused(void **state)
{
    struct pfk_plane planes[7];
    for (int i = 0; i < 7; i++) {
        planes[i] = plane_of(PFK_FEC_GF16, 1408, 4096, true);
    }
    planes[0].shard_bytes = 0;
    planes[1].shard_bytes = 1407;
    planes[2].shard_bytes = 1986;
    planes[3].max_data_shards = 0;
    planes[4].percent = 91;
    planes[5].field = PFK_FEC_GF8;
    planes[6] = plane_of(PFK_FEC_GF8, 1408, 256, true);
    for (int i = 0; i < 7; i++) {
        struct pfk_packetizer *p = (struct pfk_packetizer *)planes;
        struct pfk_reassembler *r = (struct pfk_reassembler *)planes;
        struct pfk_reassembler_config cfg = {.plane = planes[i]};
        CHECK_EQ(pfk_packetizer_create(&p, &planes[i], 1000), PFK_E_INVALID);
        CHECK_EQ(pfk_reassembler_create(&r, &cfg), PFK_E_INVALID);
        CHECK(!p && !r);
    }
    pfk_packetizer_destroy(NULL);
    pfk_reassembler_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_are_cut_as_the_reference_says),
        cmocka_unit_test(an_empty_unit_is_one_zero_shard),
        cmocka_unit_test(parity_follows_the_percent_and_the_receivers_limits),
        cmocka_unit_test(parity_is_the_codes_in_every_block),
        cmocka_unit_test(counters_run_as_the_reference_says),
        cmocka_unit_test(sealing_takes_each_datagram_once_and_in_order),
        cmocka_unit_test(what_no_header_can_say_is_refused),
        cmocka_unit_test(impossible_planes_are_refused),
    };
    return cmocka_run_group_tests_name("packetizer", tests, NULL, NULL);
}
