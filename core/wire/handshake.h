// SPDX-License-Identifier: MIT OR Apache-2.0
// Hello, Welcome, Start (reference: sections 3.1 to 3.3). Bodies without the length prefix.
#ifndef PFK_WIRE_HANDSHAKE_H
#define PFK_WIRE_HANDSHAKE_H

#include "core/base/bytes.h"

#define PFK_PROTOCOL_VERSION 2
#define PFK_NAME_MAX 64
#define PFK_LAUNCH_MAX 128
#define PFK_HDR_BYTES 28

enum pfk_codec { PFK_CODEC_H264 = 1, PFK_CODEC_HEVC = 2, PFK_CODEC_AV1 = 4, PFK_CODEC_WAVELET = 8 };

enum pfk_video_cap {
    PFK_VIDEO_CAP_10BIT = 0x01,
    PFK_VIDEO_CAP_HDR10 = 0x02,
    PFK_VIDEO_CAP_444 = 0x04,
    PFK_VIDEO_CAP_TIMING = 0x08,
    PFK_VIDEO_CAP_PROBE_SPACE = 0x10,
    PFK_VIDEO_CAP_STREAMED = 0x20,
    PFK_VIDEO_CAP_CHACHA = 0x40,
    PFK_VIDEO_CAP_SLICES = 0x80
};

struct pfk_mode {
    uint32_t width_px, height_px, hz;
};

struct pfk_hello {
    uint32_t version;
    struct pfk_mode mode;
    uint8_t compositor, pad_type;
    uint32_t bitrate_kbps;
    char name[PFK_NAME_MAX + 1];     // UTF-8, NUL-terminated; "" = none
    char launch[PFK_LAUNCH_MAX + 1]; // library id; "" = none
    uint8_t video_caps;
    uint8_t audio_channels; // 2, 6 or 8
    uint8_t codecs;         // raw: 0 means HEVC only
    uint8_t preferred_codec;
    bool has_hdr;
    uint8_t hdr[PFK_HDR_BYTES]; // body of the CEh datagram
    uint8_t client_caps;
};

struct pfk_welcome {
    uint32_t version;
    uint16_t video_port;
    struct pfk_mode mode;
    uint8_t fec_field, fec_percent;
    uint16_t max_data_shards, shard_bytes;
    uint8_t encrypted;
    uint8_t key[16], salt[4];
    uint32_t n_frames; // 0 = unbounded
    uint8_t compositor, pad_type;
    uint32_t bitrate_kbps;
    uint8_t bit_depth, primaries, transfer, matrix, full_range, chroma;
    uint8_t audio_channels, codec, host_caps, cipher;
    uint8_t chacha_key[32]; // only with cipher 1
};

struct pfk_start {
    uint16_t video_port; // the client's
};

/** 0; PFK_E_MALFORMED (short or wrong magic). Absent fields get the page's "absent" values. */
int pfk_hello_parse(struct pfk_hello *h, const uint8_t *body, size_t n);
/** Emits up to the last field that is not at its default, all earlier ones included. */
void pfk_hello_emit(const struct pfk_hello *h, struct pfk_writer *w);

/** 0; PFK_E_MALFORMED; PFK_E_UNSUPPORTED (cipher >= 2, or cipher 1 without its key). */
int pfk_welcome_parse(struct pfk_welcome *m, const uint8_t *body, size_t n);
/** 68 bytes, or 101 with ChaCha. */
void pfk_welcome_emit(const struct pfk_welcome *m, struct pfk_writer *w);

int pfk_start_parse(struct pfk_start *m, const uint8_t *body, size_t n);
void pfk_start_emit(const struct pfk_start *m, struct pfk_writer *w);

#endif
