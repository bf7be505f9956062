// SPDX-License-Identifier: MIT OR Apache-2.0
// The two clocks in use. core/fec, core/wire and core/media never read them: time is an argument.
#ifndef PFK_BASE_CLOCK_H
#define PFK_BASE_CLOCK_H

#include <stdint.h>

/** Unix epoch, ns: pts, clock probes and audio time stamps (reference: section 7, "Clock"). */
uint64_t pfk_clock_wall_ns(void);

/** CLOCK_MONOTONIC, ns: timers, deadlines, the compositor's presentation stamps. */
uint64_t pfk_clock_monotonic_ns(void);

/** Sleep until that moment of the monotonic clock. */
void pfk_clock_sleep_until_ns(uint64_t monotonic_ns);

#endif
