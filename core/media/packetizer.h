// SPDX-License-Identifier: MIT OR Apache-2.0
// Access unit to datagrams: split, pad, protect, seal (reference: sections 5.1 to 5.5). Pure: no
// clock, no socket.
#ifndef PFK_MEDIA_PACKETIZER_H
#define PFK_MEDIA_PACKETIZER_H

#include "core/media/aead.h"

#include <stdbool.h>

enum pfk_fec_field { PFK_FEC_GF8 = 0, PFK_FEC_GF16 = 1 };

/** What Welcome fixes for the session. */
struct pfk_plane {
    enum pfk_fec_field field;
    uint16_t shard_bytes;     // S: even, 2 to 1984
    uint16_t max_data_shards; // K: at least 1
    uint8_t percent;          // Welcome's FEC percent, 0 to 90; bounds the parity of a block
    bool encrypted;
    struct pfk_aead_key key; // used when encrypted
};

/** Header fields of one access unit that the caller chooses. */
struct pfk_au_meta {
    uint64_t pts_ns; // wall clock at capture, unique per unit
    uint32_t flags;  // PFK_AU_* (core/wire/video_header.h)
    uint8_t percent; // FEC percent for this unit, 0 to 90
};

/** The datagrams of one access unit: n_datagrams of datagram_bytes each, back to back (fit for
 * GSO). */
struct pfk_datagrams {
    uint8_t *base; // owned by the packetizer, valid until its next call to pfk_packetize()
    size_t datagram_bytes;
    unsigned n_datagrams;
};

/** One session's sender state: frame index, packet counter, sequence, work memory. One thread. */
struct pfk_packetizer;

/** @max_au_bytes  bound of one access unit (memory is taken as units need it, then kept). */
int pfk_packetizer_create(struct pfk_packetizer **out, const struct pfk_plane *plane,
                          size_t max_au_bytes);
void pfk_packetizer_destroy(struct pfk_packetizer *p);

/**
 * Lay out one access unit, all data of all blocks first, then all parity, headers filled in, parity
 * computed; not sealed yet. Video and probe filler (flags PFK_AU_PROBE) count frame indexes
 * separately.
 * @au  borrowed for the call; au_bytes 0 is legal
 * 0; PFK_E_SIZE (over the bound, or more blocks than a header can name); PFK_E_NOMEM.
 */
int pfk_packetize(struct pfk_packetizer *p, const uint8_t *au, size_t au_bytes,
                  const struct pfk_au_meta *meta, struct pfk_datagrams *out);

/**
 * Seal datagrams first .. first + n - 1 of the last unit, each once, in rising order; so that the
 * first burst can leave before the last is sealed. A plain data plane has nothing to seal; the same
 * rules hold. 0; PFK_E_INVALID (no such datagrams, or sealed before: nothing is touched).
 */
int pfk_packetizer_seal(struct pfk_packetizer *p, unsigned first, unsigned n);

/** Frame index that the next video access unit will carry. */
uint32_t pfk_packetizer_next_index(const struct pfk_packetizer *p);

#endif
