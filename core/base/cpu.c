// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/base/cpu.h"

uint32_t pfk_cpu_flags(void)
{
    uint32_t flags = 0;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    flags |= __builtin_cpu_supports("ssse3") ? PFK_CPU_SSSE3 : 0;
    flags |= __builtin_cpu_supports("avx2") ? PFK_CPU_AVX2 : 0;
    flags |= __builtin_cpu_supports("gfni") ? PFK_CPU_GFNI : 0;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        flags |= PFK_CPU_AVX512;
    }
#elif defined(__aarch64__)
    flags |= PFK_CPU_NEON;
#endif
    return flags;
}
