// SPDX-License-Identifier: MIT OR Apache-2.0
// QUIC datagrams of the side planes (reference: section 6): first byte = tag. Shorter than listed
// or unknown: drop; longer: the rest is ignored.
#ifndef PFK_WIRE_DATAGRAM_H
#define PFK_WIRE_DATAGRAM_H

#include "core/base/bytes.h"

enum pfk_tag {
    PFK_TAG_INPUT = 0xC8,
    PFK_TAG_AUDIO = 0xC9,
    PFK_TAG_RUMBLE = 0xCA,
    PFK_TAG_MICROPHONE = 0xCB,
    PFK_TAG_RICH_INPUT = 0xCC,
    PFK_TAG_HID_OUTPUT = 0xCD,
    PFK_TAG_HDR = 0xCE,
    PFK_TAG_TIMING = 0xCF
};

/**
 * CFh host timing (section 6.8): one per video access unit, after its last packet.
 * Receivers ignore what follows byte 29; with the host's `stage-timing` setting two more fields
 * follow there (4 bytes "PFst", u32 capture, u32 convert), so that a client of ours can show every
 * stage.
 */
struct pfk_timing {
    uint64_t pts_ns;                       // equals the access unit's
    uint32_t total_us;                     // capture to last packet sent
    bool has_stages;                       // at least 25 bytes
    uint32_t queue_us, encode_us, pace_us; // encode includes colour conversion
    bool has_detail;                       // at least 41 bytes, "PFst" at offset 29
    uint32_t capture_us, convert_us;
};

int pfk_timing_parse(struct pfk_timing *t, const uint8_t *bytes, size_t n);
void pfk_timing_emit(const struct pfk_timing *t, struct pfk_writer *w);

/** C8h input event (section 6.1), 18 bytes. */
struct pfk_input {
    uint8_t kind;
    uint32_t code;
    int32_t x, y;
    uint32_t flags;
};

int pfk_input_parse(struct pfk_input *e, const uint8_t *bytes, size_t n);
void pfk_input_emit(const struct pfk_input *e, struct pfk_writer *w);

#endif
