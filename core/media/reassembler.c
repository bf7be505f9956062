// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/media/reassembler.h"

#include "core/base/status.h"
#include "core/fec/gf16.h"
#include "core/fec/gf8.h"
#include "core/media/geometry.h"
#include "core/media/replay.h"
#include "core/wire/video_header.h"

#include <stdlib.h>
#include <string.h>

enum {
    WINDOW_FRAMES = 64,
    SLOTS = 128, // a power of two above WINDOW_FRAMES + 1, so that no two live indexes share one
    POOL_UNITS = 8,
    MAX_DATAGRAM = 2048
};

static const uint64_t window_ns = 120000000;

enum { MISSING = 0, RECEIVED = 1, RECOVERED = 2 }; // state of a data shard

struct block {
    uint16_t k, m;
    bool started, done; // started: its m is known
    uint32_t n_data, n_parity;
    uint32_t parity_base; // its first entry in unit.parity_slot
};

// A unit being put together; after completion only `pub` matters. Buffers stay with it in the pool.
struct unit {
    struct pfk_unit pub; // first: the caller holds this address
    struct unit *next;   // in the pool or in the queue of finished ones
    size_t bytes_room;
    uint8_t *have; // n_shards states, then as many again for the FEC decoder's flags
    size_t have_room;
    struct block *blocks;
    size_t n_blocks, blocks_done, blocks_room;
    uint32_t *parity_slot; // 1 + index of the copy in `parity`, 0 = not here
    size_t n_parity_slots, parity_slot_room;
    uint8_t *parity; // copies of S bytes
    size_t n_parity, parity_room;
    size_t charged; // bytes counted against the memory bound
};

enum slot_state { SLOT_EMPTY = 0, SLOT_OPEN, SLOT_DONE, SLOT_LOST };

struct slot {
    enum slot_state state;
    uint32_t recovered; // of a finished unit: rebuilt shards that have not come late yet
    struct unit *unit;  // while open
};

struct pfk_reassembler {
    struct pfk_reassembler_config cfg;
    struct pfk_aead *aead;
    struct pfk_gf16 *gf16;
    struct pfk_gf8 *gf8;
    struct pfk_replay replay;
    uint64_t max_au_bytes, max_blocks, memory_bound, memory_used;
    unsigned max_shards;
    uint32_t base, span; // live indexes: base .. base + span - 1, at most WINDOW_FRAMES + 1
    uint64_t newest_pts_ns;
    struct slot slots[SLOTS];
    struct unit *pool, *done_head, **done_tail;
    unsigned n_pool;
    uint8_t **data_ptr; // scratch for one block
    const uint8_t **parity_ptr;
    size_t ptr_room;
    struct pfk_reassembler_stats stats;
};

// Largest access unit accepted, F of section 5.6.
static uint64_t au_limit(uint32_t bitrate_kbps, uint32_t hz)
{
    const uint64_t least = 8u << 20, most = 64u << 20;
    uint64_t f = 4ull * bitrate_kbps * 125 / (hz ? hz : 1);
    return bitrate_kbps == 0 || f > most ? most : f < least ? least : f;
}

int pfk_reassembler_create(struct pfk_reassembler **out, const struct pfk_reassembler_config *cfg)
{
    *out = NULL;
    if (!pfk_plane_valid(&cfg->plane)) {
        return PFK_E_INVALID;
    }
    struct pfk_reassembler *r = calloc(1, sizeof(*r));
    if (!r) {
        return PFK_E_NOMEM;
    }
    r->cfg = *cfg;
    r->max_au_bytes = au_limit(cfg->bitrate_kbps, cfg->hz);
    struct pfk_geometry g = pfk_geometry_of(&cfg->plane, r->max_au_bytes);
    r->max_blocks = g.n_blocks;
    r->memory_bound = 4 * r->max_au_bytes;
    r->max_shards = cfg->plane.field == PFK_FEC_GF16
                        ? pfk_geometry_max_shards(&cfg->plane, PFK_MAX_PERCENT)
                        : PFK_GF8_MAX_SHARDS;
    r->done_tail = &r->done_head;
    int err = cfg->plane.field == PFK_FEC_GF16 ? pfk_gf16_create(&r->gf16, NULL)
                                               : pfk_gf8_create(&r->gf8);
    if (err == 0 && cfg->plane.encrypted) {
        err = pfk_aead_create(&r->aead, &cfg->plane.key, PFK_HOST_TO_CLIENT);
    }
    if (err != 0) {
        pfk_reassembler_destroy(r);
        return err;
    }
    *out = r;
    return 0;
}

static void unit_free(struct unit *u)
{
    if (u) {
        free(u->pub.bytes);
        free(u->have);
        free(u->blocks);
        free(u->parity_slot);
        free(u->parity);
        free(u);
    }
}

void pfk_reassembler_destroy(struct pfk_reassembler *r)
{
    if (!r) {
        return;
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        unit_free(r->slots[i].unit);
    }
    for (struct unit *u = r->pool, *next; u; u = next) {
        next = u->next;
        unit_free(u);
    }
    for (struct unit *u = r->done_head, *next; u; u = next) {
        next = u->next;
        unit_free(u);
    }
    pfk_aead_destroy(r->aead);
    pfk_gf16_destroy(r->gf16);
    pfk_gf8_destroy(r->gf8);
    free(r->data_ptr);
    free(r->parity_ptr);
    free(r);
}

static void pool_put(struct pfk_reassembler *r, struct unit *u)
{
    if (r->n_pool == POOL_UNITS) {
        unit_free(u);
        return;
    }
    u->next = r->pool;
    r->pool = u;
    r->n_pool++;
}

// The pooled unit whose buffer fits best, or a new one.
static struct unit *pool_get(struct pfk_reassembler *r, size_t bytes)
{
    struct unit **best = NULL;
    for (struct unit **at = &r->pool; *at; at = &(*at)->next) {
        bool fits = (*at)->bytes_room >= bytes;
        bool best_fits = best && (*best)->bytes_room >= bytes;
        bool better = fits ? !best_fits || (*at)->bytes_room < (*best)->bytes_room
                           : !best_fits && (!best || (*at)->bytes_room > (*best)->bytes_room);
        best = better ? at : best;
    }
    if (!best) {
        return calloc(1, sizeof(struct unit));
    }
    struct unit *u = *best;
    *best = u->next;
    r->n_pool--;
    return u;
}

// Grows *p to at least n items of `size`, in powers of two. The contents survive.
static bool grow(void *p, size_t *room, size_t n, size_t size)
{
    void **at = p;
    if (n <= *room) {
        return true;
    }
    size_t want = *room ? *room : 64;
    while (want < n) {
        want *= 2;
    }
    void *bigger = realloc(*at, want * size);
    if (!bigger) {
        return false;
    }
    *at = bigger;
    *room = want;
    return true;
}

static bool charge(struct pfk_reassembler *r, struct unit *u, uint64_t bytes)
{
    if (bytes > r->memory_bound - r->memory_used) {
        return false;
    }
    r->memory_used += bytes;
    u->charged += bytes;
    return true;
}

static void uncharge(struct pfk_reassembler *r, struct unit *u)
{
    r->memory_used -= u->charged;
    u->charged = 0;
}

// A unit leaves the window: lost when it did not complete, also when nothing of it ever came.
static void retire(struct pfk_reassembler *r, struct slot *s)
{
    if (s->state == SLOT_OPEN || s->state == SLOT_EMPTY) {
        r->stats.frames_lost++;
    }
    if (s->unit) {
        uncharge(r, s->unit);
        pool_put(r, s->unit);
    }
    *s = (struct slot){0};
}

static void give_up(struct pfk_reassembler *r, struct slot *s)
{
    retire(r, s);
    s->state = SLOT_LOST;
}

static bool older_than_window(uint64_t pts_ns, uint64_t newest_pts_ns)
{
    return newest_pts_ns > pts_ns && newest_pts_ns - pts_ns > window_ns;
}

// The index `offset` above base is the newest of all: the window moves up to it.
static void advance(struct pfk_reassembler *r, uint32_t offset, uint64_t pts_ns)
{
    r->newest_pts_ns = pts_ns;
    r->span = offset + 1;
    if (r->span > WINDOW_FRAMES + 1) {
        uint32_t leaving = r->span - (WINDOW_FRAMES + 1);
        uint32_t known = leaving < SLOTS ? leaving : SLOTS;
        for (uint32_t i = 0; i < known; i++) {
            retire(r, &r->slots[(r->base + i) % SLOTS]);
        }
        r->stats.frames_lost += leaving - known; // of a great jump: nothing of these was ever seen
        r->base += leaving;
        r->span = WINDOW_FRAMES + 1;
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slots[i];
        if (s->state == SLOT_OPEN && older_than_window(s->unit->pub.pts_ns, pts_ns)) {
            give_up(r, s);
        }
    }
}

// Rules 2 to 4: everything the header claims, before memory is taken because of it.
static bool geometry_good(const struct pfk_reassembler *r, const struct pfk_video_header *h)
{
    const struct pfk_plane *plane = &r->cfg.plane;
    unsigned shards = (unsigned)h->n_data + h->n_parity;
    if (h->n_data < 1 || h->n_data > plane->max_data_shards || shards > r->max_shards ||
        h->shard_index >= shards) {
        return false;
    }
    if (h->au_bytes > r->max_au_bytes || h->block_index >= h->block_count ||
        h->block_count > r->max_blocks) {
        return false;
    }
    struct pfk_geometry g = pfk_geometry_of(plane, h->au_bytes);
    return h->block_count == g.n_blocks &&
           h->n_data == pfk_geometry_block_k(plane, &g, h->block_index);
}

static struct unit *unit_open(struct pfk_reassembler *r, const struct pfk_video_header *h,
                              uint64_t now_ns)
{
    struct pfk_geometry g = pfk_geometry_of(&r->cfg.plane, h->au_bytes);
    size_t n = (size_t)g.n_data, bytes = n * r->cfg.plane.shard_bytes;
    struct unit *u = pool_get(r, bytes);
    if (!u) {
        return NULL;
    }
    bool room = charge(r, u, bytes + 2 * n + g.n_blocks * sizeof(*u->blocks)) &&
                grow(&u->pub.bytes, &u->bytes_room, bytes, 1) &&
                grow(&u->have, &u->have_room, 2 * n, 1) &&
                grow(&u->blocks, &u->blocks_room, g.n_blocks, sizeof(*u->blocks));
    if (!room) {
        uncharge(r, u);
        pool_put(r, u);
        return NULL;
    }
    memset(u->have, MISSING, n);
    memset(u->blocks, 0, g.n_blocks * sizeof(*u->blocks));
    u->n_blocks = g.n_blocks;
    u->blocks_done = u->n_parity_slots = u->n_parity = 0;
    u->next = NULL;
    uint8_t *buffer = u->pub.bytes;
    u->pub = (struct pfk_unit){
        .bytes = buffer,
        .n_bytes = h->au_bytes,
        .pts_ns = h->pts_ns,
        .index = h->frame_index,
        .flags = h->au_flags,
        .n_shards = (uint32_t)n,
        .first_rx_ns = now_ns,
    };
    return u;
}

static uint8_t *shard_of(const struct pfk_reassembler *r, const struct unit *u, size_t shard)
{
    return u->pub.bytes + shard * r->cfg.plane.shard_bytes;
}

static enum pfk_rx_outcome store_data(struct pfk_reassembler *r, struct unit *u, struct block *b,
                                      const struct pfk_video_header *h, const uint8_t *payload)
{
    size_t shard = (size_t)h->block_index * r->cfg.plane.max_data_shards + h->shard_index;
    if (u->have[shard] == RECOVERED) {
        u->have[shard] = RECEIVED;
        r->stats.shards_late++;
        return PFK_RX_LATE;
    }
    if (u->have[shard] == RECEIVED) {
        return PFK_RX_DUPLICATE;
    }
    memcpy(shard_of(r, u, shard), payload, r->cfg.plane.shard_bytes);
    u->have[shard] = RECEIVED;
    b->n_data++;
    return PFK_RX_ACCEPTED;
}

static enum pfk_rx_outcome store_parity(struct pfk_reassembler *r, struct unit *u, struct block *b,
                                        const struct pfk_video_header *h, const uint8_t *payload)
{
    size_t bytes = r->cfg.plane.shard_bytes;
    uint32_t *slot = &u->parity_slot[b->parity_base + h->shard_index - b->k];
    if (b->done) {
        return PFK_RX_LATE;
    }
    if (*slot) {
        return PFK_RX_DUPLICATE;
    }
    if (!charge(r, u, bytes) || !grow(&u->parity, &u->parity_room, (u->n_parity + 1) * bytes, 1)) {
        return PFK_RX_MEMORY;
    }
    memcpy(u->parity + u->n_parity * bytes, payload, bytes);
    *slot = (uint32_t)++u->n_parity;
    b->n_parity++;
    return PFK_RX_ACCEPTED;
}

// Rebuilds the missing data shards of a block that has k shards in all. False: the block is lost.
static bool repair(struct pfk_reassembler *r, struct unit *u, size_t block)
{
    struct block *b = &u->blocks[block];
    size_t bytes = r->cfg.plane.shard_bytes, first = block * r->cfg.plane.max_data_shards;
    size_t room = r->ptr_room;
    if (!grow(&r->data_ptr, &room, r->max_shards, sizeof(*r->data_ptr)) ||
        !grow(&r->parity_ptr, &r->ptr_room, r->max_shards, sizeof(*r->parity_ptr))) {
        return false;
    }
    bool *have = (bool *)(u->have + u->pub.n_shards);
    for (unsigned i = 0; i < b->k; i++) {
        r->data_ptr[i] = shard_of(r, u, first + i);
        have[i] = u->have[first + i] != MISSING;
    }
    for (unsigned j = 0; j < b->m; j++) {
        uint32_t slot = u->parity_slot[b->parity_base + j];
        r->parity_ptr[j] = slot ? u->parity + (slot - 1) * bytes : NULL;
    }
    int err = r->gf16
                  ? pfk_gf16_decode(r->gf16, b->k, b->m, bytes, r->data_ptr, have, r->parity_ptr)
                  : pfk_gf8_decode(r->gf8, b->k, b->m, bytes, r->data_ptr, have, r->parity_ptr);
    for (unsigned i = 0; err == 0 && i < b->k; i++) {
        if (!have[i]) {
            u->have[first + i] = RECOVERED;
            u->pub.n_recovered++;
        }
    }
    return err == 0;
}

static void finish(struct pfk_reassembler *r, struct slot *s)
{
    struct unit *u = s->unit;
    uint32_t late = 0; // of the rebuilt ones, those that came while other blocks were still open
    for (size_t i = 0; u->n_blocks > 1 && i < u->pub.n_shards; i++) {
        late += u->have[i] == RECOVERED;
    }
    uncharge(r, u);
    *s = (struct slot){SLOT_DONE, u->n_blocks > 1 ? late : u->pub.n_recovered, NULL};
    r->stats.frames_completed++;
    r->stats.shards_recovered += u->pub.n_recovered;
    *r->done_tail = u;
    r->done_tail = &u->next;
}

static bool block_matches(struct pfk_reassembler *r, struct unit *u, struct block *b,
                          const struct pfk_video_header *h)
{
    if (b->started) {
        return b->m == h->n_parity;
    }
    size_t n = u->n_parity_slots + h->n_parity;
    if (!grow(&u->parity_slot, &u->parity_slot_room, n, sizeof(*u->parity_slot))) {
        return false;
    }
    memset(u->parity_slot + u->n_parity_slots, 0, h->n_parity * sizeof(*u->parity_slot));
    *b = (struct block){.k = h->n_data,
                        .m = h->n_parity,
                        .started = true,
                        .parity_base = (uint32_t)u->n_parity_slots};
    u->n_parity_slots = n;
    return true;
}

static enum pfk_rx_outcome store(struct pfk_reassembler *r, struct slot *s,
                                 const struct pfk_video_header *h, const uint8_t *payload,
                                 uint64_t now_ns)
{
    struct unit *u = s->unit;
    struct block *b = &u->blocks[h->block_index];
    if (u->pub.n_bytes != h->au_bytes || !block_matches(r, u, b, h)) {
        return PFK_RX_MISMATCH;
    }
    enum pfk_rx_outcome outcome =
        h->shard_index < b->k ? store_data(r, u, b, h, payload) : store_parity(r, u, b, h, payload);
    if (outcome != PFK_RX_ACCEPTED || b->done || b->n_data + b->n_parity < b->k) {
        return outcome;
    }
    if (b->n_data < b->k && !repair(r, u, h->block_index)) {
        give_up(r, s);
        return outcome;
    }
    b->done = true;
    u->pub.last_rx_ns = now_ns;
    if (++u->blocks_done == u->n_blocks) {
        finish(r, s);
    }
    return outcome;
}

// Rules 5 to 7.
static enum pfk_rx_outcome place(struct pfk_reassembler *r, const struct pfk_video_header *h,
                                 const uint8_t *payload, uint64_t now_ns)
{
    uint32_t offset = h->frame_index - r->base;
    if (offset >= 1u << 31) {
        return PFK_RX_LATE;
    }
    if (offset >= r->span) {
        advance(r, offset, h->pts_ns);
    }
    struct slot *s = &r->slots[h->frame_index % SLOTS];
    if (s->state == SLOT_EMPTY && older_than_window(h->pts_ns, r->newest_pts_ns)) {
        give_up(r, s);
    }
    if (s->state == SLOT_DONE || s->state == SLOT_LOST) {
        if (s->recovered > 0 && h->shard_index < h->n_data) {
            s->recovered--;
            r->stats.shards_late++;
        }
        return PFK_RX_LATE;
    }
    if (s->state == SLOT_EMPTY) {
        s->unit = unit_open(r, h, now_ns);
        if (!s->unit) {
            return PFK_RX_MEMORY;
        }
        s->state = SLOT_OPEN;
    }
    return store(r, s, h, payload, now_ns);
}

static enum pfk_rx_outcome open_datagram(struct pfk_reassembler *r, uint8_t *datagram,
                                         size_t *n_bytes, uint8_t **text)
{
    if (*n_bytes > MAX_DATAGRAM || *n_bytes < PFK_SEAL_BYTES) {
        return PFK_RX_SHORT;
    }
    *text = datagram;
    if (!r->aead) {
        return PFK_RX_ACCEPTED;
    }
    uint64_t sequence;
    if (pfk_aead_open(r->aead, datagram, *n_bytes, &sequence) != 0) {
        return PFK_RX_NOT_AUTHENTIC;
    }
    if (!pfk_replay_fresh(&r->replay, sequence)) {
        return PFK_RX_REPLAYED;
    }
    *text = datagram + PFK_SEQ_BYTES;
    *n_bytes -= PFK_SEAL_BYTES;
    return PFK_RX_ACCEPTED;
}

static enum pfk_rx_outcome take(struct pfk_reassembler *r, uint8_t *datagram, size_t bytes,
                                uint64_t now_ns)
{
    uint8_t *text;
    size_t n = bytes;
    enum pfk_rx_outcome outcome = open_datagram(r, datagram, &n, &text);
    if (outcome != PFK_RX_ACCEPTED) {
        return outcome;
    }
    r->stats.bytes_received += bytes;
    if (n < PFK_VIDEO_HEADER_BYTES + (size_t)r->cfg.plane.shard_bytes) {
        return PFK_RX_SHORT;
    }
    struct pfk_reader reader = pfk_reader_init(text, n);
    struct pfk_video_header h;
    if (pfk_video_header_parse(&h, &reader) != 0 || h.shard_bytes != r->cfg.plane.shard_bytes) {
        return PFK_RX_MALFORMED;
    }
    if (!geometry_good(r, &h)) {
        return PFK_RX_GEOMETRY;
    }
    if (h.au_flags & PFK_AU_PROBE) {
        r->stats.probe_packets++;
        r->stats.probe_bytes += r->cfg.plane.shard_bytes;
        return PFK_RX_ACCEPTED;
    }
    return place(r, &h, reader.p, now_ns);
}

enum pfk_rx_outcome pfk_reassembler_push(struct pfk_reassembler *r, uint8_t *datagram, size_t bytes,
                                         uint64_t now_ns)
{
    enum pfk_rx_outcome outcome = take(r, datagram, bytes, now_ns);
    r->stats.outcome[outcome]++;
    return outcome;
}

struct pfk_unit *pfk_reassembler_pop(struct pfk_reassembler *r)
{
    struct unit *u = r->done_head;
    if (!u) {
        return NULL;
    }
    r->done_head = u->next;
    if (!r->done_head) {
        r->done_tail = &r->done_head;
    }
    u->next = NULL;
    return &u->pub;
}

void pfk_reassembler_recycle(struct pfk_reassembler *r, struct pfk_unit *unit)
{
    if (unit) {
        pool_put(r, (struct unit *)unit);
    }
}

void pfk_reassembler_get_stats(const struct pfk_reassembler *r, struct pfk_reassembler_stats *out)
{
    *out = r->stats;
}
