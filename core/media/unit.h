// SPDX-License-Identifier: MIT OR Apache-2.0
// Access units being put together, and the pool that their buffers return to. Private to the
// reassembler.
#ifndef PFK_MEDIA_UNIT_H
#define PFK_MEDIA_UNIT_H

#include "core/media/geometry.h"
#include "core/media/reassembler.h"

enum pfk_shard_state { PFK_SHARD_MISSING = 0, PFK_SHARD_RECEIVED, PFK_SHARD_RECOVERED };

struct pfk_rx_block {
    uint16_t k, m;
    bool started, done; // started: its m is known
    uint32_t n_data, n_parity;
    uint32_t parity_base; // its first entry in parity_slot
};

/** Buffers stay with the unit from one use to the next. */
struct pfk_rx_unit {
    struct pfk_unit pub;      // first: the caller holds this address
    struct pfk_rx_unit *next; // in the pool or in the queue of finished ones
    size_t n_blocks, n_blocks_done, n_parity_slots, n_parity;
    uint32_t n_late;             // recovered shards that arrived after all
    uint8_t *shard_state;        // of data shards: enum pfk_shard_state
    struct pfk_rx_block *blocks; //
    uint32_t *parity_slot;       // 1 + index of the copy in `parity`, 0 = not here
    uint8_t *parity;             // copies of S bytes, in order of arrival
    size_t bytes_room, shard_state_room, blocks_room, parity_slot_room, parity_room; // in bytes
};

/** What is open counts against the bound with all its room, so that no mix of sizes gets past it.
 */
struct pfk_unit_pool {
    uint64_t bound, open_bytes;
    uint64_t kept_bound, kept_bytes;
    unsigned n_kept;
    struct pfk_rx_unit *kept; // last returned first
};

/** @bound  of all open units together; half of it again may lie in the pool */
void pfk_unit_pool_init(struct pfk_unit_pool *pool, uint64_t bound);
void pfk_unit_pool_finish(struct pfk_unit_pool *pool);

/** An empty unit with room for its data, its public fields zero; NULL: over the bound or no memory.
 */
struct pfk_rx_unit *pfk_unit_open(struct pfk_unit_pool *pool, const struct pfk_geometry *g,
                                  size_t shard_bytes);

/** No longer open: its room no longer counts. */
void pfk_unit_close(struct pfk_unit_pool *pool, struct pfk_rx_unit *u);

/** Keeps a closed unit for later, or frees it. */
void pfk_unit_return(struct pfk_unit_pool *pool, struct pfk_rx_unit *u);
void pfk_unit_free(struct pfk_rx_unit *u);

/** The first packet of a block fixes its m. False: over the bound or no memory. */
bool pfk_unit_start_block(struct pfk_unit_pool *pool, struct pfk_rx_unit *u,
                          struct pfk_rx_block *block, uint16_t k, uint16_t m);

/** Keeps a copy of parity shard j of a block that has none of it yet. False as above. */
bool pfk_unit_add_parity(struct pfk_unit_pool *pool, struct pfk_rx_unit *u,
                         struct pfk_rx_block *block, unsigned j, const uint8_t *shard,
                         size_t shard_bytes);

#endif
