// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/base/ring.h"

#include "core/base/status.h"

#include <stdatomic.h>
#include <stdlib.h>

struct pfk_ring {
    size_t mask;
    _Alignas(64) atomic_size_t head; // written by the consumer
    _Alignas(64) atomic_size_t tail; // written by the producer
    _Alignas(64) void *items[];
};

int pfk_ring_create(struct pfk_ring **out, size_t capacity)
{
    *out = NULL;
    if (capacity < 2 || capacity > 65536 || (capacity & (capacity - 1))) {
        return PFK_E_INVALID;
    }
    size_t bytes = (sizeof(struct pfk_ring) + capacity * sizeof(void *) + 63) & ~(size_t)63;
    struct pfk_ring *ring = aligned_alloc(64, bytes);
    if (!ring) {
        return PFK_E_NOMEM;
    }
    ring->mask = capacity - 1;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
    *out = ring;
    return 0;
}

void pfk_ring_destroy(struct pfk_ring *ring)
{
    free(ring);
}

bool pfk_ring_push(struct pfk_ring *ring, void *item)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (tail - head > ring->mask) {
        return false;
    }
    ring->items[tail & ring->mask] = item;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

void *pfk_ring_pop(struct pfk_ring *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (head == tail) {
        return NULL;
    }
    void *item = ring->items[head & ring->mask];
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return item;
}

size_t pfk_ring_count(const struct pfk_ring *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    return atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
}
