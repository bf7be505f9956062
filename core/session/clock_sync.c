// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/session/clock_sync.h"

static void accept_batch(struct pfk_clock_sync *s, int64_t offset_ns, uint64_t rtt_ns)
{
    s->has_offset = true;
    s->offset_ns = offset_ns;
    s->rtt_ns = rtt_ns;
    s->n_rejected = 0;
    if (!s->best_rtt_ns || rtt_ns < s->best_rtt_ns) {
        s->best_rtt_ns = rtt_ns;
    }
}

// A later batch must not be much worse than the best one; after three such, the best of them wins,
// so that a route that really got longer is believed in the end.
static void judge_batch(struct pfk_clock_sync *s)
{
    uint64_t limit = s->best_rtt_ns + s->best_rtt_ns / 2;
    if (limit < 2000000u) {
        limit = 2000000u;
    }
    if (!s->has_offset || s->batch_rtt_ns <= limit) {
        accept_batch(s, s->batch_offset_ns, s->batch_rtt_ns);
        return;
    }
    if (s->n_rejected == 0 || s->batch_rtt_ns < s->rejected_rtt_ns) {
        s->rejected_rtt_ns = s->batch_rtt_ns;
        s->rejected_offset_ns = s->batch_offset_ns;
    }
    if (++s->n_rejected == 3) {
        s->best_rtt_ns = s->rejected_rtt_ns;
        accept_batch(s, s->rejected_offset_ns, s->rejected_rtt_ns);
    }
}

static void end_batch(struct pfk_clock_sync *s, uint64_t wall_ns)
{
    if (s->batch_has) {
        judge_batch(s);
    }
    s->batch_has = false;
    s->awaiting = false;
    s->round = 0;
    s->first_batch_done = true;
    s->next_round_ns = wall_ns + PFK_CLOCK_BATCH_EVERY_NS;
}

bool pfk_clock_sync_poll(struct pfk_clock_sync *s, uint64_t wall_ns, uint64_t *t1_ns,
                         uint64_t *wait_ns)
{
    // Before t1, or a batch further away than any: our clock has been set back.
    if (s->awaiting && (wall_ns >= s->round_deadline_ns || wall_ns < s->t1_ns)) {
        end_batch(s, wall_ns);
    }
    if (s->next_round_ns > wall_ns && s->next_round_ns - wall_ns > PFK_CLOCK_BATCH_EVERY_NS) {
        s->next_round_ns = wall_ns;
    }
    if (s->awaiting) {
        *wait_ns = s->round_deadline_ns - wall_ns;
        return false;
    }
    if (wall_ns < s->next_round_ns) {
        *wait_ns = s->next_round_ns - wall_ns;
        return false;
    }
    s->awaiting = true;
    s->t1_ns = wall_ns;
    s->round_deadline_ns = wall_ns + PFK_CLOCK_ROUND_LIMIT_NS;
    *t1_ns = wall_ns;
    return true;
}

void pfk_clock_sync_echo(struct pfk_clock_sync *s, uint64_t t1_ns, uint64_t t2_ns, uint64_t t3_ns,
                         uint64_t wall_ns)
{
    // t4 before t1 or t3 before t2: a clock was set meanwhile, or the peer lies.
    if (!s->awaiting || t1_ns != s->t1_ns || wall_ns < t1_ns || t3_ns < t2_ns) {
        return;
    }
    uint64_t there_and_back = wall_ns - t1_ns;
    uint64_t inside = t3_ns - t2_ns;
    uint64_t rtt_ns = there_and_back > inside ? there_and_back - inside : 0;
    // ((t2 - t1) + (t3 - t4)) / 2, in unsigned steps so that no hostile value overflows.
    int64_t there_ns = (int64_t)(t2_ns - t1_ns);
    int64_t back_ns = (int64_t)(t3_ns - wall_ns);
    if (!s->batch_has || rtt_ns < s->batch_rtt_ns) {
        s->batch_has = true;
        s->batch_rtt_ns = rtt_ns;
        s->batch_offset_ns = there_ns + (back_ns - there_ns) / 2;
    }
    s->awaiting = false;
    if (++s->round == PFK_CLOCK_ROUNDS) {
        end_batch(s, wall_ns);
    } else {
        s->next_round_ns = s->first_batch_done ? wall_ns + PFK_CLOCK_ROUND_SPACING_NS : wall_ns;
    }
}
