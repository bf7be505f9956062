// SPDX-License-Identifier: MIT OR Apache-2.0
// Access units to the wire: packetize, seal, pace, send (reference: sections 5.1 to 5.5). The line
// that hands a packet to the kernel is in video_sender_send().
#ifndef HOST_NATIVE_VIDEO_SENDER_H
#define HOST_NATIVE_VIDEO_SENDER_H

#include "core/media/packetizer.h"
#include "core/net/pacer.h"
#include "core/net/udp.h"
#include "host/session/unit_queue.h"

#include <stdatomic.h>

struct video_sender_config {
    struct pfk_plane plane;
    struct pfk_pacer_config pacer;
    size_t max_unit_bytes;
    uint32_t drop_every; // 0 = never
    struct pfk_udp *udp; // borrowed
};

struct video_sender_stats {
    uint64_t frames, keyframes, bytes; // access units, and their bytes
    uint64_t packets, packets_dropped_for_test;
    uint64_t send_ns; // in packetize, seal and send, pacing included
};

struct video_sender;

int video_sender_create(struct video_sender **out, const struct video_sender_config *cfg);
void video_sender_destroy(struct video_sender *s);

/** Where the video goes. Before the first unit. */
void video_sender_set_peer(struct video_sender *s, const struct sockaddr_storage *peer);

/** Parity for the next units, 0 to 90. Any thread. */
void video_sender_set_percent(struct video_sender *s, uint8_t percent);

/** Send one unit, pacing included. Send thread. False when it cannot be packetized. */
bool video_sender_send(struct video_sender *s, const struct unit *u);

void video_sender_get_stats(const struct video_sender *s,
                            struct video_sender_stats *out); // any thread

#endif
