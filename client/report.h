// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef CLIENT_REPORT_H
#define CLIENT_REPORT_H

#include "timings.h"

struct report {
    PunktfunkStreamInfo info;
    PunktfunkStats stats;
    PunktfunkEnd end;
    double seconds;
    uint64_t frames_expected; // 1 + highest frame index seen
    uint64_t frames_received, video_bytes;
    double first_frame_ms; // from Start; below zero = none came
    double cpu_seconds;
    struct percentiles stages[N_STAGES];
};

void report_print(const struct report *r, FILE *to);

/** Can that file be written? 0; -1 with errno. */
int report_check(const char *file);

/** JSON, written to a temporary name and renamed; "-" = stdout. 0; -1 with errno. */
int report_write(const struct report *r, const char *file);

#endif
