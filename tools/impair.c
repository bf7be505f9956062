// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tools/impair.h"

#include <string.h>

// SplitMix64: one word of state, and every seed is as good as another.
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

// Draws even for a share of nothing, so that one setting does not shift what another one gets.
static bool happens(uint64_t *state, double share)
{
    return (double)(next(state) >> 11) * 0x1p-53 < share;
}

void impair_init(struct impair *i, const struct impair_config *cfg)
{
    *i = (struct impair){.cfg = *cfg, .loss_state = cfg->seed, .shape_state = ~cfg->seed};
    if (i->cfg.burst < 1) {
        i->cfg.burst = 1;
    }
}

// Two states: a run ends with 1 / burst, and begins so often that the share of lost packets is
// `loss`. Where even one good packet between two runs would be too many, the runs get longer.
static bool burst_loses(struct impair *i)
{
    double loss = i->cfg.loss;
    if (loss >= 1) {
        return true;
    }
    double leave = 1 / i->cfg.burst, enter = leave * loss / (1 - loss);
    if (enter > 1) {
        leave /= enter;
        enter = 1;
    }
    i->in_burst = i->in_burst ? !happens(&i->loss_state, leave) : happens(&i->loss_state, enter);
    return i->in_burst;
}

bool impair_loses(struct impair *i)
{
    uint64_t n = i->n_packets++;
    switch (i->cfg.model) {
    case IMPAIR_RANDOM:
        return happens(&i->loss_state, i->cfg.loss);
    case IMPAIR_BURST:
        return i->cfg.loss > 0 && burst_loses(i);
    case IMPAIR_PERIODIC:
        return i->cfg.loss > 0 && (uint64_t)((double)(n + 1) * i->cfg.loss + 1e-9) !=
                                      (uint64_t)((double)n * i->cfg.loss + 1e-9);
    }
    return false;
}

static bool over_rate(struct impair *i, size_t bytes, uint64_t now_ns, uint64_t *wait_ns)
{
    *wait_ns = 0;
    if (i->cfg.rate_bps == 0) {
        return false;
    }
    uint64_t from = i->free_ns > now_ns ? i->free_ns : now_ns;
    double queued_bytes = (double)(from - now_ns) * (double)i->cfg.rate_bps / 8e9;
    if (i->cfg.queue_bytes && queued_bytes + (double)bytes > (double)i->cfg.queue_bytes) {
        return true;
    }
    i->free_ns = from + (uint64_t)((double)bytes * 8e9 / (double)i->cfg.rate_bps);
    *wait_ns = i->free_ns - now_ns;
    return false;
}

struct impair_fate impair_packet(struct impair *i, size_t bytes, uint64_t now_ns)
{
    struct impair_fate f = {.lost = impair_loses(i)};
    uint64_t jitter = next(&i->shape_state);
    bool reordered = happens(&i->shape_state, i->cfg.reorder);
    bool duplicated = happens(&i->shape_state, i->cfg.duplicate);
    if (f.lost) {
        return f;
    }
    f.over_rate = over_rate(i, bytes, now_ns, &f.delay_ns);
    if (f.over_rate) {
        return f;
    }
    f.copies = duplicated ? 2 : 1;
    f.reordered = reordered;
    f.delay_ns += i->cfg.delay_ns;
    f.delay_ns += i->cfg.jitter_ns ? jitter % i->cfg.jitter_ns : 0;
    f.delay_ns += reordered ? i->cfg.reorder_ns : 0;
    return f;
}

bool impair_parse_model(const char *name, enum impair_model *out)
{
    static const char *const names[] = {"random", "burst", "periodic"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum impair_model)i;
            return true;
        }
    }
    return false;
}
