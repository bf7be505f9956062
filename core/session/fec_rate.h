// SPDX-License-Identifier: MIT OR Apache-2.0
// How much parity the loss reports ask for (reference: section 5.8). Pure.
#ifndef PFK_SESSION_FEC_RATE_H
#define PFK_SESSION_FEC_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define PFK_FEC_PERCENT_START 10
#define PFK_LOSS_REPORT_EVERY_NS 750000000u

/** The host's percent after a report: 1.4 times the loss plus one, at once up, one point a report
 * down. */
static inline uint8_t pfk_fec_percent_after(uint8_t previous, uint32_t loss_ppm)
{
    if (loss_ppm > 1000000) {
        loss_ppm = 1000000;
    }
    uint32_t want = (uint32_t)((14ull * loss_ppm + 99999) / 100000) + 1;
    want = want > 50 ? 50 : want;
    uint32_t floor = previous > 0 ? previous - 1u : 0u;
    return (uint8_t)(want > floor ? want : floor);
}

/**
 * The client's figure for one window: what parity rebuilt and never came, over all that was sent; 5
 * points more when a whole frame was lost.
 */
static inline uint32_t pfk_loss_ppm(uint64_t received, uint64_t recovered, uint64_t late,
                                    bool any_frame_lost)
{
    uint64_t lost = recovered > late ? recovered - late : 0;
    uint64_t ppm = received + lost ? 1000000u * lost / (received + lost) : 0;
    ppm += any_frame_lost ? 50000u : 0u;
    return (uint32_t)(ppm > 1000000u ? 1000000u : ppm);
}

#endif
