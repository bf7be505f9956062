// SPDX-License-Identifier: MIT OR Apache-2.0
// Where a frame's time went: units and the host's timing records, joined by pts.
#ifndef CLIENT_TIMINGS_H
#define CLIENT_TIMINGS_H

#include "punktfunk_core.h"

#include <jansson.h>
#include <stdio.h>

enum stage {
    STAGE_TOTAL,   // compositor's stamp to access unit whole
    STAGE_CAPTURE, // stamp to picture in the host's memory (with the host's stage-timing)
    STAGE_CONVERT, // colour conversion (with the host's stage-timing)
    STAGE_ENCODE,  // without conversion where that is known
    STAGE_QUEUE,   // waiting between the host's stages
    STAGE_SEND,    // protect, seal, send, pacing included
    STAGE_NETWORK, // last packet sent to last needed packet received; parity may arrive later, so
                   // this can be below zero
    STAGE_REASSEMBLE, // last needed packet received to access unit whole
    N_STAGES
};

extern const char *const stage_names[N_STAGES];

struct timings;

struct percentiles {
    size_t n;
    double p50, p95, p99; // microseconds
};

struct timings *timings_create(void);
void timings_free(struct timings *t);
void timings_add_unit(struct timings *t, const PunktfunkUnit *u);
void timings_add_record(struct timings *t, const PunktfunkTiming *r);

/** @offset_ns  host clock minus ours, from the stream info at the end */
void timings_evaluate(struct timings *t, int64_t offset_ns, struct percentiles out[N_STAGES]);

#endif
