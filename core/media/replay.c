// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/media/replay.h"

#include <string.h>

// Forgets the numbers that leave the window when `newest` moves up to `sequence`.
static void advance(struct pfk_replay *r, uint64_t sequence)
{
    uint64_t step = sequence - r->newest;
    if (step >= PFK_REPLAY_DEPTH) {
        memset(r->seen, 0, sizeof(r->seen));
    } else {
        for (uint64_t s = r->newest + 1; s != sequence + 1; s++) {
            r->seen[s % PFK_REPLAY_DEPTH / 64] &= ~(1ull << s % 64);
        }
    }
    r->newest = sequence;
}

bool pfk_replay_fresh(struct pfk_replay *r, uint64_t sequence)
{
    if (!r->any) {
        r->any = true;
        r->newest = sequence;
    } else if (sequence > r->newest) {
        advance(r, sequence);
    } else if (r->newest - sequence >= PFK_REPLAY_DEPTH) {
        return false;
    }
    uint64_t *word = &r->seen[sequence % PFK_REPLAY_DEPTH / 64], bit = 1ull << sequence % 64;
    bool fresh = !(*word & bit);
    *word |= bit;
    return fresh;
}
