// SPDX-License-Identifier: MIT OR Apache-2.0
// Sizes and offsets of every public struct, as this compiler lays them out.
#include "punktfunk_core.h"

#include <stdio.h>

#define SIZE(type) printf("struct %s %zu\n", #type, sizeof(type))
#define FIELD(type, field)                                                                         \
    printf("  %s.%s %zu +%zu\n", #type, #field, offsetof(type, field), sizeof(((type *)0)->field))

int main(void)
{
    printf("abi %d\n", PUNKTFUNK_ABI_VERSION);
    SIZE(PunktfunkConnectConfig);
    FIELD(PunktfunkConnectConfig, struct_size);
    FIELD(PunktfunkConnectConfig, port);
    FIELD(PunktfunkConnectConfig, reserved);
    FIELD(PunktfunkConnectConfig, host);
    FIELD(PunktfunkConnectConfig, width_px);
    FIELD(PunktfunkConnectConfig, height_px);
    FIELD(PunktfunkConnectConfig, refresh_hz);
    FIELD(PunktfunkConnectConfig, bitrate_kbps);
    FIELD(PunktfunkConnectConfig, codecs);
    FIELD(PunktfunkConnectConfig, timeout_ms);
    FIELD(PunktfunkConnectConfig, device_name);
    FIELD(PunktfunkConnectConfig, pin);
    FIELD(PunktfunkConnectConfig, identity);
    FIELD(PunktfunkConnectConfig, log);
    FIELD(PunktfunkConnectConfig, log_opaque);
    FIELD(PunktfunkConnectConfig, cancelled);
    FIELD(PunktfunkConnectConfig, cancelled_opaque);
    SIZE(PunktfunkStreamInfo);
    FIELD(PunktfunkStreamInfo, struct_size);
    FIELD(PunktfunkStreamInfo, width_px);
    FIELD(PunktfunkStreamInfo, height_px);
    FIELD(PunktfunkStreamInfo, refresh_hz);
    FIELD(PunktfunkStreamInfo, bitrate_kbps);
    FIELD(PunktfunkStreamInfo, codec);
    FIELD(PunktfunkStreamInfo, bit_depth);
    FIELD(PunktfunkStreamInfo, color_primaries);
    FIELD(PunktfunkStreamInfo, color_transfer);
    FIELD(PunktfunkStreamInfo, color_matrix);
    FIELD(PunktfunkStreamInfo, full_range);
    FIELD(PunktfunkStreamInfo, shard_bytes);
    FIELD(PunktfunkStreamInfo, fec_percent);
    FIELD(PunktfunkStreamInfo, frames_to_come);
    FIELD(PunktfunkStreamInfo, host_fingerprint);
    FIELD(PunktfunkStreamInfo, clock_offset_ns);
    FIELD(PunktfunkStreamInfo, clock_rtt_ns);
    FIELD(PunktfunkStreamInfo, started_ns);
    SIZE(PunktfunkUnit);
    FIELD(PunktfunkUnit, struct_size);
    FIELD(PunktfunkUnit, index);
    FIELD(PunktfunkUnit, flags);
    FIELD(PunktfunkUnit, shards);
    FIELD(PunktfunkUnit, shards_recovered);
    FIELD(PunktfunkUnit, reserved);
    FIELD(PunktfunkUnit, bytes);
    FIELD(PunktfunkUnit, n_bytes);
    FIELD(PunktfunkUnit, pts_ns);
    FIELD(PunktfunkUnit, received_ns);
    FIELD(PunktfunkUnit, complete_ns);
    SIZE(PunktfunkTiming);
    FIELD(PunktfunkTiming, struct_size);
    FIELD(PunktfunkTiming, has);
    FIELD(PunktfunkTiming, pts_ns);
    FIELD(PunktfunkTiming, total_us);
    FIELD(PunktfunkTiming, capture_us);
    FIELD(PunktfunkTiming, queue_us);
    FIELD(PunktfunkTiming, convert_us);
    FIELD(PunktfunkTiming, encode_us);
    FIELD(PunktfunkTiming, pace_us);
    SIZE(PunktfunkStats);
    FIELD(PunktfunkStats, struct_size);
    FIELD(PunktfunkStats, reserved);
    FIELD(PunktfunkStats, frames_completed);
    FIELD(PunktfunkStats, frames_lost);
    FIELD(PunktfunkStats, frames_dropped);
    FIELD(PunktfunkStats, packets_received);
    FIELD(PunktfunkStats, packets_dropped);
    FIELD(PunktfunkStats, bytes_received);
    FIELD(PunktfunkStats, shards_recovered);
    FIELD(PunktfunkStats, shards_late);
    FIELD(PunktfunkStats, keyframe_requests);
    SIZE(PunktfunkEnd);
    FIELD(PunktfunkEnd, struct_size);
    FIELD(PunktfunkEnd, status);
    FIELD(PunktfunkEnd, by_host);
    FIELD(PunktfunkEnd, close_code);
    FIELD(PunktfunkEnd, text);
    return 0;
}
