// SPDX-License-Identifier: MIT OR Apache-2.0
// The 40-byte header inside every data-plane datagram (reference: section 5.2).
#ifndef PFK_WIRE_VIDEO_HEADER_H
#define PFK_WIRE_VIDEO_HEADER_H

#include "core/base/bytes.h"

#define PFK_VIDEO_HEADER_BYTES 40
#define PFK_VIDEO_MAGIC 0xC9

/** Access unit flags, offset 20. */
enum pfk_au_flag {
    PFK_AU_VIDEO = 0x01,
    PFK_AU_KEYFRAME = 0x04,
    PFK_AU_PROBE = 0x08,
    PFK_AU_RECOVERY_POINT = 0x10,
    PFK_AU_RECOVERY_ANCHOR = 0x20,
    PFK_AU_CHUNK_ALIGNED = 0x40,
    PFK_AU_SLICE_STREAMED = 0x80,
    PFK_AU_REPEAT = 0x100
};

/** Packet flags, offset 39. */
enum pfk_packet_flag { PFK_PACKET_ALWAYS = 1, PFK_PACKET_LAST = 2, PFK_PACKET_FIRST = 4 };

struct pfk_video_header {
    uint64_t pts_ns;
    uint32_t frame_index;
    uint32_t packet_counter;
    uint32_t au_bytes;
    uint32_t au_flags;
    uint16_t block_index, block_count;
    uint16_t n_data, n_parity; // k and m of this block
    uint16_t shard_index, shard_bytes;
    uint8_t field; // FEC field
    uint8_t packet_flags;
};

/** 0 or PFK_E_MALFORMED (short, or byte 36 is not C9h). Reads 40 bytes; limits are the
 * reassembler's. */
int pfk_video_header_parse(struct pfk_video_header *h, struct pfk_reader *r);
void pfk_video_header_emit(const struct pfk_video_header *h, struct pfk_writer *w);

#endif
