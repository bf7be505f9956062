// SPDX-License-Identifier: MIT OR Apache-2.0
// Single-producer single-consumer ring of pointers: wait-free, no lock, no allocation after create.
#ifndef PFK_BASE_RING_H
#define PFK_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

struct pfk_ring;

/** @capacity  power of two, 2 to 65536. Free with pfk_ring_destroy(). 0, PFK_E_INVALID or
 * PFK_E_NOMEM. */
int pfk_ring_create(struct pfk_ring **out, size_t capacity);

/** Does not touch what is still queued: drain first. NULL is fine. */
void pfk_ring_destroy(struct pfk_ring *ring);

/** Producer thread only. False when full; the item stays the caller's. */
bool pfk_ring_push(struct pfk_ring *ring, void *item);

/** Consumer thread only. NULL when empty. */
void *pfk_ring_pop(struct pfk_ring *ring);

/** Items queued right now; a lower or upper bound seen from the other thread. */
size_t pfk_ring_count(const struct pfk_ring *ring);

#endif
