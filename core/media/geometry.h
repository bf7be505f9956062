// SPDX-License-Identifier: MIT OR Apache-2.0
// How an access unit is cut into blocks and shards (reference: section 5.3): one place for both
// ends.
#ifndef PFK_MEDIA_GEOMETRY_H
#define PFK_MEDIA_GEOMETRY_H

#include "core/media/packetizer.h"

#define PFK_MAX_SHARD_BYTES 1984u
#define PFK_MAX_PERCENT 90u

struct pfk_geometry {
    uint64_t n_data;   // data shards in all
    uint64_t n_blocks; // each of K but the last
};

static inline struct pfk_geometry pfk_geometry_of(const struct pfk_plane *plane, uint64_t au_bytes)
{
    uint64_t n = (au_bytes + plane->shard_bytes - 1) / plane->shard_bytes;
    n = n ? n : 1;
    return (struct pfk_geometry){n, (n + plane->max_data_shards - 1) / plane->max_data_shards};
}

/** Data shards of one block. */
static inline unsigned pfk_geometry_block_k(const struct pfk_plane *plane,
                                            const struct pfk_geometry *g, uint64_t block)
{
    uint64_t left = g->n_data - block * plane->max_data_shards;
    return (unsigned)(left < plane->max_data_shards ? left : plane->max_data_shards);
}

static inline unsigned pfk_percent_of(unsigned k, unsigned percent)
{
    return (k * percent + 99) / 100;
}

/** Largest k + m: what the code allows, and what receivers accept who allow K and `percent` of it.
 */
static inline unsigned pfk_geometry_max_shards(const struct pfk_plane *plane, unsigned percent)
{
    unsigned limit = plane->field == PFK_FEC_GF16 ? 65535u : 255u;
    unsigned sum = plane->max_data_shards + pfk_percent_of(plane->max_data_shards, percent);
    return sum < limit ? sum : limit;
}

static inline unsigned pfk_pow2_ceil(unsigned n)
{
    return n <= 1 ? 1 : 1u << (32 - __builtin_clz(n - 1));
}

/** Does the code's field have points for k + m shards? GF(2^16) aligns data behind a power of two
 * of parity (or parity behind data, where there is more of it), so k + m <= 65535 is not enough.
 */
static inline bool pfk_geometry_codable(const struct pfk_plane *plane, unsigned k, unsigned m)
{
    if (plane->field == PFK_FEC_GF8) {
        return k + m <= 255;
    }
    unsigned k2 = pfk_pow2_ceil(k), m2 = pfk_pow2_ceil(m);
    return k + m <= 65535 && (m == 0 || (k2 >= m2 ? k + m2 : k2 + m) <= 65536);
}

/** Parity shards of a block of k: what `percent` asks for, within what every receiver accepts. */
static inline unsigned pfk_geometry_block_m(const struct pfk_plane *plane, unsigned k,
                                            unsigned percent)
{
    unsigned want = pfk_percent_of(k, percent);
    unsigned most = pfk_geometry_max_shards(plane, plane->percent);
    most = most > k ? most - k : 0;
    unsigned m = want < most ? want : most;
    return pfk_geometry_codable(plane, k, m) ? m : pfk_pow2_ceil(m) / 2;
}

static inline bool pfk_plane_valid(const struct pfk_plane *plane)
{
    return plane->shard_bytes >= 2 && plane->shard_bytes % 2 == 0 &&
           plane->shard_bytes <= PFK_MAX_SHARD_BYTES && plane->max_data_shards >= 1 &&
           plane->percent <= PFK_MAX_PERCENT &&
           (plane->field == PFK_FEC_GF16 || plane->max_data_shards <= 255);
}

#endif
