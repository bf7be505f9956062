// SPDX-License-Identifier: MIT OR Apache-2.0
// When each burst of an access unit may leave (reference: section 5.3, "Pacing"). Pure arithmetic;
// the send thread does the waiting.
#ifndef PFK_NET_PACER_H
#define PFK_NET_PACER_H

#include <stddef.h>
#include <stdint.h>

struct pfk_pacer_config {
    uint32_t bitrate_kbps; // of the encoder; 0 = no pacing
    uint32_t hz;
    uint32_t burst_bytes; // largest burst after the first; 0 = 64 KiB
};

/** Burst schedule of one access unit. */
struct pfk_pace {
    uint64_t start_ns;
    double ns_per_byte; // 0 = everything at once
    size_t head_bytes;  // leave at once
    size_t burst_bytes;
};

/**
 * max(128 KiB, a quarter of the unit) at once; the rest at three times the bitrate, or faster where
 * that would go past 90 % of the time to the next frame.
 */
struct pfk_pace pfk_pace_begin(const struct pfk_pacer_config *cfg, size_t unit_bytes,
                               uint64_t now_ns);

/** How many bytes may go in the burst that starts at offset `sent_bytes` of the unit. */
size_t pfk_pace_burst(const struct pfk_pace *pace, size_t sent_bytes, size_t unit_bytes);

/** When that burst is due (same clock as now_ns; <= start_ns for the head). */
uint64_t pfk_pace_due_ns(const struct pfk_pace *pace, size_t sent_bytes);

#endif
