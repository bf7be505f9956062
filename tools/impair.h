// SPDX-License-Identifier: MIT OR Apache-2.0
// What a bad network does to a packet, decided from a seed and virtual time: for udp-relay and
// loss-harness. Which packets are lost depends on the seed and their number alone, never on time or
// on the other settings; so does each one's jitter, reordering and duplication.
#ifndef TOOLS_IMPAIR_H
#define TOOLS_IMPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum impair_model {
    IMPAIR_RANDOM,  // each packet on its own
    IMPAIR_BURST,   // Gilbert: losses come in runs of `burst` packets on average
    IMPAIR_PERIODIC // every (1 / loss)th packet
};

struct impair_config {
    enum impair_model model;
    double loss;    // share of packets, 0 to 1
    double burst;   // mean length of a run, at least 1; longer where `loss` cannot be had otherwise
    double reorder; // share of packets that are held back by reorder_ns
    double duplicate; // share of packets that come twice
    uint64_t delay_ns, jitter_ns, reorder_ns;
    uint64_t rate_bps;  // 0 = without limit
    size_t queue_bytes; // in front of the limit; what does not fit is dropped
    uint64_t seed;
};

struct impair {
    struct impair_config cfg;
    uint64_t loss_state, shape_state;
    bool in_burst;
    uint64_t n_packets;
    uint64_t free_ns; // when the rate-limited link has sent what waits
};

struct impair_fate {
    bool lost, over_rate;
    unsigned copies; // 1 or 2
    bool reordered;
    uint64_t delay_ns;
};

void impair_init(struct impair *i, const struct impair_config *cfg);

/** One packet at virtual time now_ns. */
struct impair_fate impair_packet(struct impair *i, size_t bytes, uint64_t now_ns);

/** Is the next packet lost? Only the loss model. */
bool impair_loses(struct impair *i);

/** "random", "burst", "periodic"; false when it is none of them. */
bool impair_parse_model(const char *name, enum impair_model *out);

#endif
