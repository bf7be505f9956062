// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tools/loss_theory.h"

#include <math.h>

double loss_theory_block(unsigned k, unsigned m, double p)
{
    if (p <= 0) {
        return 0;
    }
    if (p >= 1) {
        return 1;
    }
    // Summed in logarithms: n choose i overflows soon.
    unsigned n = k + m;
    double lost = 0;
    for (unsigned i = m + 1; i <= n; i++) {
        lost += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) + i * log(p) +
                    (n - i) * log1p(-p));
    }
    return lost > 1 ? 1 : lost;
}

static unsigned parity(unsigned k, unsigned max_data_shards, unsigned percent)
{
    unsigned m = (k * percent + 99) / 100;
    unsigned most = max_data_shards + (max_data_shards * percent + 99) / 100 - k;
    return m < most ? m : most;
}

double loss_theory_unit(size_t unit_bytes, size_t shard_bytes, unsigned max_data_shards,
                        unsigned percent, double p)
{
    size_t n = unit_bytes ? (unit_bytes + shard_bytes - 1) / shard_bytes : 1;
    double survives = 1;
    while (n > 0) {
        unsigned k = n < max_data_shards ? (unsigned)n : max_data_shards;
        survives *= 1 - loss_theory_block(k, parity(k, max_data_shards, percent), p);
        n -= k;
    }
    return 1 - survives;
}
