// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/base/clock.h"

#include <time.h>

static uint64_t now_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t pfk_clock_wall_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}

uint64_t pfk_clock_monotonic_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

void pfk_clock_sleep_until_ns(uint64_t monotonic_ns)
{
    const struct timespec ts = {(time_t)(monotonic_ns / 1000000000u),
                                (long)(monotonic_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) != 0) {
    }
}
