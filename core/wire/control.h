// SPDX-License-Identifier: MIT OR Apache-2.0
// Typed messages of the control stream (reference: section 3.4). Bodies without the length prefix.
#ifndef PFK_WIRE_CONTROL_H
#define PFK_WIRE_CONTROL_H

#include "core/wire/handshake.h"

enum pfk_control_type {
    PFK_CTL_RECONFIGURE = 0x01,
    PFK_CTL_RECONFIGURED = 0x02,
    PFK_CTL_REQUEST_KEYFRAME = 0x03,
    PFK_CTL_LOSS_REPORT = 0x04,
    PFK_CTL_SET_BITRATE = 0x05,
    PFK_CTL_BITRATE_CHANGED = 0x06,
    PFK_CTL_RFI_REQUEST = 0x07,
    PFK_CTL_PAIR_REQUEST = 0x10,
    PFK_CTL_PAIR_CHALLENGE = 0x11,
    PFK_CTL_PAIR_PROOF = 0x12,
    PFK_CTL_PAIR_RESULT = 0x13,
    PFK_CTL_PROBE_REQUEST = 0x20,
    PFK_CTL_PROBE_RESULT = 0x21,
    PFK_CTL_CLOCK_PROBE = 0x30,
    PFK_CTL_CLOCK_ECHO = 0x31
};

/** Application close codes (reference: section 2). */
enum pfk_close_code {
    PFK_CLOSE_NORMAL = 0x00,
    PFK_CLOSE_ERROR = 0x01,
    PFK_CLOSE_BUSY = 0x42,
    PFK_CLOSE_USER_STOP = 0x51,
    PFK_CLOSE_APP_EXITED = 0x52,
    PFK_CLOSE_PAIR_NOT_ARMED = 0x60,
    PFK_CLOSE_PAIR_OTHER_DEVICE = 0x61,
    PFK_CLOSE_PAIR_COOLDOWN = 0x62,
    PFK_CLOSE_CERTIFICATE_NEEDED = 0x63,
    PFK_CLOSE_DENIED = 0x64,
    PFK_CLOSE_APPROVAL_TIMEOUT = 0x65,
    PFK_CLOSE_REPLACED = 0x66,
    PFK_CLOSE_VERSION = 0x67,
    PFK_CLOSE_SETUP_FAILED = 0x68,
    PFK_CLOSE_ACCESS_EXPIRED = 0x69,
    PFK_CLOSE_LAUNCH_DENIED = 0x6A,
    PFK_CLOSE_POWER_OFF = 0x6B,
    PFK_CLOSE_PROFILE_FIRST = 0x6C, // to LAST: profile and seat errors of later hosts
    PFK_CLOSE_PROFILE_LAST = 0x6F
};

/** One sentence for a user, such as "The host is busy with another client."; never NULL. */
const char *pfk_close_text(uint64_t code);

struct pfk_control {
    enum pfk_control_type type;
    union {
        struct pfk_mode reconfigure;
        struct {
            uint8_t accepted;
            struct pfk_mode mode;
        } reconfigured;
        uint32_t loss_ppm;
        uint32_t bitrate_kbps; // SetBitrate, BitrateChanged
        struct {
            uint32_t first, last;
        } rfi;
        struct {
            char name[PFK_NAME_MAX + 1];
            uint8_t message[33];
        } pair_request;
        struct {
            uint8_t message[33];
            uint8_t confirmation[32];
        } pair_challenge;
        uint8_t pair_proof[32];
        uint8_t pair_ok;
        struct {
            uint32_t rate_kbps, duration_ms;
        } probe_request;
        struct {
            uint64_t bytes;
            uint32_t n_units, ms, packets, dropped;
        } probe_result;
        uint64_t clock_probe_t1;
        struct {
            uint64_t t1, t2, t3;
        } clock_echo;
    };
};

/**
 * 0; PFK_E_MALFORMED (wrong magic or length: drop the message, keep the stream); PFK_E_UNSUPPORTED
 * (a type this version does not know: drop it too).
 */
int pfk_control_parse(struct pfk_control *m, const uint8_t *body, size_t n);

/** Does it begin as a typed message, whatever follows? */
bool pfk_control_is_typed(const uint8_t *body, size_t n);
void pfk_control_emit(const struct pfk_control *m, struct pfk_writer *w);

/**
 * Cuts the control stream into messages: u16 length, body. Frames straddle packets; a zero-length
 * one is skipped. Fixed memory (64 KiB), bounded by the format itself.
 */
struct pfk_deframer {
    size_t have;
    uint8_t bytes[2 + 65535];
};

/** Takes bytes up to the end of the next message; returns how many it used. Call again with the
 * rest. */
size_t pfk_deframe(struct pfk_deframer *d, const uint8_t *bytes, size_t n, const uint8_t **body,
                   size_t *body_bytes); // *body NULL: no message complete yet

/** Starts a frame in w; pfk_frame_end() fills the length in. w is bad after it when there was no
 * room, or when the body is over 65535 bytes. */
uint8_t *pfk_frame_begin(struct pfk_writer *w);
void pfk_frame_end(struct pfk_writer *w, uint8_t *mark);

#endif
