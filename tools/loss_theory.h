// SPDX-License-Identifier: MIT OR Apache-2.0
// What independent packet loss should cost, to compare with what was measured.
#ifndef TOOLS_LOSS_THEORY_H
#define TOOLS_LOSS_THEORY_H

#include "core/media/packetizer.h"

/**
 * Chance that a block of k data and m parity shards cannot be restored: that more than m of its
 * k + m packets are lost, each on its own with probability `loss` (0 to 1).
 */
double loss_theory_block(unsigned k, unsigned m, double loss);

/**
 * Chance that an access unit is lost: that any of its blocks is. Cut and protected as the
 * packetizer would on this plane with this FEC percent (0 to 90).
 */
double loss_theory_unit(const struct pfk_plane *plane, size_t unit_bytes, unsigned percent,
                        double loss);

#endif
