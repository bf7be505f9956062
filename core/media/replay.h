// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef PFK_MEDIA_REPLAY_H
#define PFK_MEDIA_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define PFK_REPLAY_DEPTH 131072u // reference: section 5.6, "Replay"

/** Which of the last PFK_REPLAY_DEPTH sequence numbers were seen. Zero-initialise. */
struct pfk_replay {
    bool any;
    uint64_t newest;
    uint64_t seen[PFK_REPLAY_DEPTH / 64];
};

/** Marks `sequence`; false when it was seen before or is older than the window. */
bool pfk_replay_fresh(struct pfk_replay *r, uint64_t sequence);

#endif
