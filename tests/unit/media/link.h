// SPDX-License-Identifier: MIT OR Apache-2.0
// A packetizer and a reassembler with nothing in between: the tests are the network.
#ifndef TESTS_UNIT_MEDIA_LINK_H
#define TESTS_UNIT_MEDIA_LINK_H

#include "tests/unit/check.h"

#include "core/base/status.h"
#include "core/media/packetizer.h"
#include "core/media/reassembler.h"
#include "core/wire/video_header.h"

enum { MAX_UNIT_BYTES = 4 << 20, FRAME_NS = 16666667 };

struct link {
    struct pfk_plane plane;
    struct pfk_packetizer *tx;
    struct pfk_reassembler *rx;
};

/** The datagrams of one unit, kept beyond the packetizer's next call. */
struct sent {
    uint8_t *bytes;
    size_t datagram_bytes;
    unsigned n;
};

static inline struct pfk_plane plane_of(enum pfk_fec_field field, uint16_t shard_bytes,
                                        uint16_t max_data_shards, bool encrypted)
{
    struct pfk_plane plane = {
        .field = field,
        .shard_bytes = shard_bytes,
        .max_data_shards = max_data_shards,
        .percent = 50,
        .encrypted = encrypted,
        .key = {.cipher = PFK_CIPHER_AES_128_GCM, .key = {1, 2, 3}, .salt = {0x81, 4, 5, 6}},
    };
    return plane;
}

static inline struct link link_of(struct pfk_plane plane)
{
    struct link l = {.plane = plane};
    struct pfk_reassembler_config cfg = {.plane = plane, .bitrate_kbps = 20000, .hz = 60};
    CHECK_EQ(pfk_packetizer_create(&l.tx, &plane, MAX_UNIT_BYTES), 0);
    CHECK_EQ(pfk_reassembler_create(&l.rx, &cfg), 0);
    return l;
}

static inline struct link link_new(enum pfk_fec_field field, uint16_t shard_bytes,
                                   uint16_t max_data_shards, bool encrypted)
{
    return link_of(plane_of(field, shard_bytes, max_data_shards, encrypted));
}

static inline void link_free(struct link *l)
{
    pfk_packetizer_destroy(l->tx);
    pfk_reassembler_destroy(l->rx);
}

/** Bytes of a unit that tell it from every other one. Exact size, so that sanitizers see overruns.
 */
static inline uint8_t *unit_bytes(uint64_t seed, size_t n)
{
    uint8_t *au = malloc(n ? n : 1);
    CHECK(au);
    for (size_t i = 0; i < n; i++) {
        au[i] = (uint8_t)splitmix64(&seed);
    }
    return au;
}

static inline struct sent send_bytes(struct link *l, const uint8_t *au, size_t n,
                                     const struct pfk_au_meta *meta)
{
    struct pfk_datagrams d;
    CHECK_EQ(pfk_packetize(l->tx, au, n, meta, &d), 0);
    CHECK_EQ(pfk_packetizer_seal(l->tx, 0, d.n_datagrams), 0);
    struct sent s = {malloc(d.n_datagrams * d.datagram_bytes), d.datagram_bytes, d.n_datagrams};
    CHECK(s.bytes);
    memcpy(s.bytes, d.base, s.n * s.datagram_bytes);
    return s;
}

/** The next video unit: bytes from its index, pts in step with it. */
static inline struct sent send_unit(struct link *l, size_t n, uint8_t percent)
{
    uint32_t index = pfk_packetizer_next_index(l->tx);
    struct pfk_au_meta meta = {1000000000 + index * (uint64_t)FRAME_NS, PFK_AU_VIDEO, percent};
    uint8_t *au = unit_bytes(index, n);
    struct sent s = send_bytes(l, au, n, &meta);
    free(au);
    return s;
}

static inline uint8_t *datagram(const struct sent *s, unsigned i)
{
    return s->bytes + i * s->datagram_bytes;
}

/** Pushes a copy of any bytes; a copy, because opening happens in place. */
static inline enum pfk_rx_outcome push_bytes(struct link *l, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    CHECK(copy);
    memcpy(copy, bytes, n);
    enum pfk_rx_outcome outcome = pfk_reassembler_push(l->rx, copy, n, 0);
    free(copy);
    return outcome;
}

static inline enum pfk_rx_outcome push(struct link *l, const struct sent *s, unsigned i)
{
    return push_bytes(l, datagram(s, i), s->datagram_bytes);
}

static inline void push_all(struct link *l, const struct sent *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        push(l, s, i);
    }
}

/** Takes one finished unit, which must be that of send_unit(). False: there is none. */
static inline bool take_unit(struct link *l, uint32_t index, size_t n)
{
    struct pfk_unit *u = pfk_reassembler_pop(l->rx);
    if (!u) {
        return false;
    }
    CHECK_EQ(u->index, index);
    CHECK_EQ(u->n_bytes, n);
    CHECK_EQ(u->pts_ns, 1000000000 + index * (uint64_t)FRAME_NS);
    uint8_t *want = unit_bytes(index, n);
    assert_memory_equal(u->bytes, want, n);
    free(want);
    pfk_reassembler_recycle(l->rx, u);
    return true;
}

static inline struct pfk_reassembler_stats stats_of(const struct link *l)
{
    struct pfk_reassembler_stats s;
    pfk_reassembler_get_stats(l->rx, &s);
    return s;
}

static inline void put_u16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, v & 0xFFFF);
    put_u16(p + 2, v >> 16);
}

static inline void put_u64(uint8_t *p, uint64_t v)
{
    put_u32(p, (uint32_t)v);
    put_u32(p + 4, (uint32_t)(v >> 32));
}

#endif
