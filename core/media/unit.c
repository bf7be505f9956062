// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/media/unit.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_KEPT = 8, SMALLEST_ROOM = 4096, ROOM_STEP = 65536, SPARE_ROOM = 256 << 10 };

void pfk_unit_pool_init(struct pfk_unit_pool *pool, uint64_t bound)
{
    *pool = (struct pfk_unit_pool){.bound = bound, .kept_bound = bound / 2};
}

void pfk_unit_pool_finish(struct pfk_unit_pool *pool)
{
    for (struct pfk_rx_unit *u = pool->kept, *next; u; u = next) {
        next = u->next;
        pfk_unit_free(u);
    }
    *pool = (struct pfk_unit_pool){0};
}

void pfk_unit_free(struct pfk_rx_unit *u)
{
    if (u) {
        free(u->pub.bytes);
        free(u->shard_state);
        free(u->blocks);
        free(u->parity_slot);
        free(u->parity);
        free(u);
    }
}

static uint64_t room_of(const struct pfk_rx_unit *u)
{
    return (uint64_t)u->bytes_room + u->shard_state_room + u->blocks_room + u->parity_slot_room +
           u->parity_room;
}

// Small buffers in powers of two, great ones in steps: the bound is not spent on slack.
static size_t rounded(size_t bytes)
{
    size_t room = SMALLEST_ROOM;
    while (room < bytes && room < ROOM_STEP) {
        room *= 2;
    }
    return room >= bytes ? room : (bytes + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
}

// Makes *p (the address of a pointer) at least `bytes` long. `keep`: with its contents, for an open
// unit.
static bool grow(struct pfk_unit_pool *pool, void *p, size_t *room, size_t bytes, bool keep)
{
    if (bytes <= *room) {
        return true;
    }
    size_t want = rounded(keep && bytes < *room + *room / 2 ? *room + *room / 2 : bytes);
    uint64_t more = want - *room;
    if (more > pool->bound - pool->open_bytes) {
        return false;
    }
    void *old;
    memcpy(&old, p, sizeof(old)); // *p has another type than void *
    void *bigger = keep ? realloc(old, want) : malloc(want);
    if (!bigger) {
        return false;
    }
    if (!keep) {
        free(old);
    }
    memcpy(p, &bigger, sizeof(bigger));
    *room = want;
    pool->open_bytes += more;
    return true;
}

// The smallest kept unit that holds `bytes`, else the greatest; none whose room is out of
// proportion, or small units would fill the bound with the buffers of great ones.
static struct pfk_rx_unit *take_kept(struct pfk_unit_pool *pool, size_t bytes)
{
    struct pfk_rx_unit **best = NULL;
    for (struct pfk_rx_unit **at = &pool->kept; *at; at = &(*at)->next) {
        if (room_of(*at) > 3 * (uint64_t)bytes + SPARE_ROOM) {
            continue;
        }
        size_t room = (*at)->bytes_room, best_room = best ? (*best)->bytes_room : 0;
        bool better = room >= bytes ? best_room < bytes || room < best_room : room > best_room;
        best = !best || better ? at : best;
    }
    if (!best) {
        return NULL;
    }
    struct pfk_rx_unit *u = *best;
    *best = u->next;
    pool->n_kept--;
    pool->kept_bytes -= room_of(u);
    return u;
}

struct pfk_rx_unit *pfk_unit_open(struct pfk_unit_pool *pool, const struct pfk_geometry *g,
                                  size_t shard_bytes)
{
    size_t n = (size_t)g->n_data, n_blocks = (size_t)g->n_blocks, bytes = n * shard_bytes;
    struct pfk_rx_unit *u = take_kept(pool, bytes);
    if (u && room_of(u) > pool->bound - pool->open_bytes) {
        pfk_unit_free(u);
        return NULL;
    }
    if (!u) {
        u = calloc(1, sizeof(*u));
        if (!u) {
            return NULL;
        }
    }
    pool->open_bytes += room_of(u);
    if (!grow(pool, &u->pub.bytes, &u->bytes_room, bytes, false) ||
        !grow(pool, &u->shard_state, &u->shard_state_room, n, false) ||
        !grow(pool, &u->blocks, &u->blocks_room, n_blocks * sizeof(*u->blocks), false)) {
        pfk_unit_close(pool, u);
        pfk_unit_return(pool, u);
        return NULL;
    }
    memset(u->shard_state, PFK_SHARD_MISSING, n);
    memset(u->blocks, 0, n_blocks * sizeof(*u->blocks));
    u->pub = (struct pfk_unit){.bytes = u->pub.bytes};
    u->next = NULL;
    u->n_blocks = n_blocks;
    u->n_blocks_done = u->n_parity_slots = u->n_parity = 0;
    u->n_late = 0;
    return u;
}

void pfk_unit_close(struct pfk_unit_pool *pool, struct pfk_rx_unit *u)
{
    pool->open_bytes -= room_of(u);
}

void pfk_unit_return(struct pfk_unit_pool *pool, struct pfk_rx_unit *u)
{
    u->next = pool->kept;
    pool->kept = u;
    pool->n_kept++;
    pool->kept_bytes += room_of(u);
    while (pool->n_kept > MAX_KEPT || pool->kept_bytes > pool->kept_bound) {
        struct pfk_rx_unit **last = &pool->kept;
        while ((*last)->next) {
            last = &(*last)->next;
        }
        pool->kept_bytes -= room_of(*last);
        pool->n_kept--;
        pfk_unit_free(*last);
        *last = NULL;
    }
}

bool pfk_unit_start_block(struct pfk_unit_pool *pool, struct pfk_rx_unit *u,
                          struct pfk_rx_block *block, uint16_t k, uint16_t m)
{
    size_t n = u->n_parity_slots + m, size = sizeof(*u->parity_slot);
    if (!grow(pool, &u->parity_slot, &u->parity_slot_room, n * size, true)) {
        return false;
    }
    if (m) {
        memset(u->parity_slot + u->n_parity_slots, 0, m * size);
    }
    *block = (struct pfk_rx_block){
        .k = k, .m = m, .started = true, .parity_base = (uint32_t)u->n_parity_slots};
    u->n_parity_slots = n;
    return true;
}

bool pfk_unit_add_parity(struct pfk_unit_pool *pool, struct pfk_rx_unit *u,
                         struct pfk_rx_block *block, unsigned j, const uint8_t *shard,
                         size_t shard_bytes)
{
    if (!grow(pool, &u->parity, &u->parity_room, (u->n_parity + 1) * shard_bytes, true)) {
        return false;
    }
    memcpy(u->parity + u->n_parity * shard_bytes, shard, shard_bytes);
    u->parity_slot[block->parity_base + j] = (uint32_t)++u->n_parity;
    block->n_parity++;
    return true;
}
