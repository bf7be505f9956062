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
