// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/net/pacer.h"

enum { HEAD_MIN_BYTES = 128 * 1024, BURST_DEFAULT_BYTES = 64 * 1024 };

struct pfk_pace pfk_pace_begin(const struct pfk_pacer_config *cfg, size_t unit_bytes,
                               uint64_t now_ns)
{
    struct pfk_pace pace = {
        .start_ns = now_ns,
        .head_bytes = unit_bytes / 4 > HEAD_MIN_BYTES ? unit_bytes / 4 : HEAD_MIN_BYTES,
        .burst_bytes = cfg->burst_bytes ? cfg->burst_bytes : BURST_DEFAULT_BYTES};
    if (cfg->bitrate_kbps == 0 || cfg->hz == 0 || unit_bytes <= pace.head_bytes) {
        pace.head_bytes = unit_bytes;
        return pace;
    }
    double at_rate = 8e6 / (3.0 * cfg->bitrate_kbps);
    double before_next = 0.9e9 / cfg->hz / (double)(unit_bytes - pace.head_bytes);
    pace.ns_per_byte = at_rate < before_next ? at_rate : before_next;
    return pace;
}

size_t pfk_pace_burst(const struct pfk_pace *pace, size_t sent_bytes, size_t unit_bytes)
{
    size_t left = sent_bytes < unit_bytes ? unit_bytes - sent_bytes : 0;
    size_t burst =
        sent_bytes < pace->head_bytes ? pace->head_bytes - sent_bytes : pace->burst_bytes;
    return left < burst ? left : burst;
}

uint64_t pfk_pace_due_ns(const struct pfk_pace *pace, size_t sent_bytes)
{
    if (sent_bytes <= pace->head_bytes) {
        return pace->start_ns;
    }
    return pace->start_ns + (uint64_t)(pace->ns_per_byte * (double)(sent_bytes - pace->head_bytes));
}
