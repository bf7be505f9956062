// SPDX-License-Identifier: MIT OR Apache-2.0
// What independent loss does to an access unit, by the binomial distribution.
#ifndef TOOLS_LOSS_THEORY_H
#define TOOLS_LOSS_THEORY_H

#include <stddef.h>

/** Probability that a block of k data and m parity shards cannot be restored at loss p. */
double loss_theory_block(unsigned k, unsigned m, double p);

/** Probability that a unit is lost: blocks of K data shards and parity by section 5.3's rule. */
double loss_theory_unit(size_t unit_bytes, size_t shard_bytes, unsigned max_data_shards,
                        unsigned percent, double p);

#endif
