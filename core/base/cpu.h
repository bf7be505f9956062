// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef PFK_BASE_CPU_H
#define PFK_BASE_CPU_H

#include <stdint.h>

enum pfk_cpu_flag {
    PFK_CPU_SSSE3 = 1u << 0,
    PFK_CPU_AVX2 = 1u << 1,
    PFK_CPU_GFNI = 1u << 2,
    PFK_CPU_AVX512 = 1u << 3, // F, BW, VL and DQ together, with the OS saving the registers
    PFK_CPU_NEON = 1u << 4
};

/** What this CPU and OS can run: bits of pfk_cpu_flag. Cheap enough to call at set-up, not per
 * packet. */
uint32_t pfk_cpu_flags(void);

#endif
