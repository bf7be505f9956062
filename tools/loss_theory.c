// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tools/loss_theory.h"

#include "core/media/geometry.h"

#include <math.h>

// Chance of exactly i losses among n, 0 < loss < 1. In logarithms: the factors overflow long before
// the product.
static double chance_of(unsigned n, unsigned i, double loss)
{
    double ways = lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0);
    return exp(ways + i * log(loss) + (n - i) * log1p(-loss));
}

double loss_theory_block(unsigned k, unsigned m, double loss)
{
    unsigned n = k + m;
    if (loss <= 0) {
        return 0;
    }
    if (loss >= 1) {
        return 1;
    }
    // Sum the tail that does not hold the mean, so that a small chance keeps all its digits.
    double sum = 0;
    if (loss * n < m + 1.0) {
        for (unsigned i = m + 1; i <= n; i++) {
            double chance = chance_of(n, i, loss);
            sum += chance;
            if (chance < sum * 1e-17) {
                break;
            }
        }
        return sum;
    }
    for (unsigned i = m + 1; i-- > 0;) {
        double chance = chance_of(n, i, loss);
        sum += chance;
        if (chance < sum * 1e-17) {
            break;
        }
    }
    return sum < 1 ? 1 - sum : 0;
}

double loss_theory_unit(const struct pfk_plane *plane, size_t unit_bytes, unsigned percent,
                        double loss)
{
    struct pfk_geometry g = pfk_geometry_of(plane, unit_bytes);
    double survive_log = 0; // all blocks must survive
    for (uint64_t b = 0; b < g.n_blocks; b++) {
        unsigned k = pfk_geometry_block_k(plane, &g, b);
        survive_log += log1p(-loss_theory_block(k, pfk_geometry_block_m(plane, k, percent), loss));
    }
    return -expm1(survive_log);
}
