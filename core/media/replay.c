// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/media/replay.h"

#include <string.h>

// Forgets the numbers that leave the window when `newest` moves up to `sequence`; a word at a time,
// so that a sender who skips far ahead again and again does not get much work out of us.
static void advance(struct pfk_replay *r, uint64_t sequence)
{
    if (sequence - r->newest >= PFK_REPLAY_DEPTH) {
        memset(r->seen, 0, sizeof(r->seen));
    } else {
        for (uint64_t left = sequence - r->newest, s = r->newest + 1; left > 0;) {
            uint64_t n = 64 - s % 64 < left ? 64 - s % 64 : left;
            r->seen[s % PFK_REPLAY_DEPTH / 64] &= ~(~0ull >> (64 - n) << s % 64);
            s += n;
            left -= n;
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
