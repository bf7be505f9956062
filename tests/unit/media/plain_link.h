// SPDX-License-Identifier: MIT OR Apache-2.0
// Datagrams written by hand for a plain data plane: nothing but their headers decides.
#ifndef TESTS_UNIT_MEDIA_PLAIN_LINK_H
#define TESTS_UNIT_MEDIA_PLAIN_LINK_H

#include "tests/unit/media/link.h"

enum { S = 64, K = 4, DATAGRAM = PFK_VIDEO_HEADER_BYTES + S };

// A plain datagram written by hand; each test sets what it is about.
static inline struct pfk_video_header header_of(uint32_t index, uint32_t au_bytes)
{
    uint32_t n = au_bytes ? (au_bytes + S - 1) / S : 1;
    return (struct pfk_video_header){
        .pts_ns = 1000000000 + (uint64_t)index,
        .frame_index = index,
        .au_bytes = au_bytes,
        .au_flags = PFK_AU_VIDEO,
        .block_count = (uint16_t)((n + K - 1) / K),
        .n_data = (uint16_t)(n < K ? n : K),
        .shard_bytes = S,
        .field = 1,
        .packet_flags = 1,
    };
}

static inline enum pfk_rx_outcome push_header(struct link *l, const struct pfk_video_header *h)
{
    uint8_t bytes[DATAGRAM] = {0};
    struct pfk_writer w = pfk_writer_init(bytes, sizeof(bytes));
    pfk_video_header_emit(h, &w);
    CHECK(!w.bad);
    return push_bytes(l, bytes, sizeof(bytes));
}

// One whole unit of one shard.
static inline enum pfk_rx_outcome push_index(struct link *l, uint32_t index)
{
    struct pfk_video_header h = header_of(index, 10);
    return push_header(l, &h);
}

// The first of two shards: the unit stays open.
static inline enum pfk_rx_outcome push_half(struct link *l, uint32_t index, uint64_t pts_ns,
                                            unsigned shard)
{
    struct pfk_video_header h = header_of(index, 2 * S);
    h.pts_ns = pts_ns;
    h.shard_index = (uint16_t)shard;
    return push_header(l, &h);
}

static inline void drain(struct link *l)
{
    for (struct pfk_unit *u; (u = pfk_reassembler_pop(l->rx));) {
        pfk_reassembler_recycle(l->rx, u);
    }
}

#endif
