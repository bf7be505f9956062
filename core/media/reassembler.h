// SPDX-License-Identifier: MIT OR Apache-2.0
// Datagrams to access units, with every limit of the reference page's section 5.6 tested before
// anything is allocated. Pure: no clock, no socket.
#ifndef PFK_MEDIA_REASSEMBLER_H
#define PFK_MEDIA_REASSEMBLER_H

#include "core/media/packetizer.h"

/** Why a datagram was not used, or that it was: counted in pfk_reassembler_stats.outcome[]. */
enum pfk_rx_outcome {
    PFK_RX_ACCEPTED,  // a new shard was stored
    PFK_RX_LATE,      // its access unit is finished, given up or stale, or its block done: ignored
    PFK_RX_DUPLICATE, // this shard is already here
    PFK_RX_SHORT,     // below 24 bytes, above 2048, or plain text below 40 + S
    PFK_RX_NOT_AUTHENTIC,
    PFK_RX_REPLAYED,  // sequence seen before, or older than the window
    PFK_RX_MALFORMED, // byte 36 or shard bytes (rule 1)
    PFK_RX_GEOMETRY,  // rules 2 to 4
    PFK_RX_MISMATCH,  // disagrees with the unit's or the block's first packet (rule 6)
    PFK_RX_MEMORY,    // rule 7
    PFK_RX_OUTCOMES
};

struct pfk_reassembler_config {
    struct pfk_plane plane;
    uint32_t bitrate_kbps; // Welcome's; 0 = unknown. With hz it bounds the access unit (F)
    uint32_t hz;
};

/** A finished access unit. */
struct pfk_unit {
    uint8_t *bytes;
    size_t n_bytes;
    uint64_t pts_ns;
    uint32_t index;                 // frame index
    uint32_t flags;                 // PFK_AU_*
    uint32_t n_shards, n_recovered; // data shards in all, and those that parity restored
    uint64_t first_rx_ns,
        last_rx_ns;       // arrival of the first and of the last shard used (caller's clock)
    uint64_t complete_ns; // for the caller to fill in
};

struct pfk_reassembler_stats {
    uint64_t outcome[PFK_RX_OUTCOMES];
    uint64_t bytes_received;   // of authentic datagrams, whole
    uint64_t frames_completed; // video access units handed out
    uint64_t frames_lost;      // video units that never completed: see pfk_reassembler_push()
    uint64_t shards_recovered; // data shards rebuilt by parity
    uint64_t shards_late;      // of those, how many arrived afterwards
    // Filler is counted, never put together. Its bytes are those of the units themselves: no
    // header, padding or parity, as the host counts what it offered.
    uint64_t probe_packets, probe_bytes;
};

struct pfk_reassembler;

int pfk_reassembler_create(struct pfk_reassembler **out, const struct pfk_reassembler_config *cfg);
void pfk_reassembler_destroy(struct pfk_reassembler *r);

/**
 * Take one datagram.
 * A video unit is lost, and counted once, when it is still incomplete while a unit more than 64
 * indexes or 120 ms of pts newer has arrived. Indexes count from 0: one of which nothing ever
 * arrived is lost too, once it is more than 64 behind (its pts is not known). Streamed units
 * (section 5.7) are not taken: the client does not offer that.
 * @datagram  scratch of the caller, decrypted in place
 * @now_ns    arrival time on any one clock
 */
enum pfk_rx_outcome pfk_reassembler_push(struct pfk_reassembler *r, uint8_t *datagram, size_t bytes,
                                         uint64_t now_ns);

/**
 * The next finished video unit in order of completion, or NULL. The caller owns it until
 * pfk_reassembler_recycle(), which may come from the same thread only.
 */
struct pfk_unit *pfk_reassembler_pop(struct pfk_reassembler *r);
void pfk_reassembler_recycle(struct pfk_reassembler *r, struct pfk_unit *unit);

void pfk_reassembler_get_stats(const struct pfk_reassembler *r, struct pfk_reassembler_stats *out);

#endif
