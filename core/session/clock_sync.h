// SPDX-License-Identifier: MIT OR Apache-2.0
// Host clock minus client clock from probe rounds (reference: section 7, "Clock"). Pure: time is an
// argument.
#ifndef PFK_SESSION_CLOCK_SYNC_H
#define PFK_SESSION_CLOCK_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#define PFK_CLOCK_ROUNDS 8
#define PFK_CLOCK_ROUND_LIMIT_NS 2000000000u  // a round without an echo ends the batch
#define PFK_CLOCK_BATCH_EVERY_NS 60000000000u // a new batch each minute
#define PFK_CLOCK_ROUND_SPACING_NS 7000000u   // between the rounds of a later batch

/** Zero-initialise, then call pfk_clock_sync_poll() until it says nothing is due. */
struct pfk_clock_sync {
    // result
    bool has_offset;
    int64_t offset_ns; // host minus client
    uint64_t rtt_ns;   // of the round the offset comes from
    bool first_batch_done;

    // the running batch
    bool awaiting;
    unsigned round;
    uint64_t t1_ns, round_deadline_ns, next_round_ns;
    bool batch_has;
    int64_t batch_offset_ns;
    uint64_t batch_rtt_ns;

    // what later batches are held against
    uint64_t best_rtt_ns;
    unsigned n_rejected;
    int64_t rejected_offset_ns;
    uint64_t rejected_rtt_ns;
};

/**
 * Is a probe due? Then *t1_ns is its time stamp and it must be sent now. Otherwise *wait_ns tells
 * when to ask again.
 * @wall_ns  the client's wall clock
 */
bool pfk_clock_sync_poll(struct pfk_clock_sync *s, uint64_t wall_ns, uint64_t *t1_ns,
                         uint64_t *wait_ns);

/** An echo came at wall_ns (t4). One that matches no open round is ignored. */
void pfk_clock_sync_echo(struct pfk_clock_sync *s, uint64_t t1_ns, uint64_t t2_ns, uint64_t t3_ns,
                         uint64_t wall_ns);

#endif
