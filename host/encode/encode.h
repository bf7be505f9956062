// SPDX-License-Identifier: MIT OR Apache-2.0
// Pictures to access units. One file per encoder, one row each in encode.c's table.
#ifndef HOST_ENCODE_ENCODE_H
#define HOST_ENCODE_ENCODE_H

#include "core/base/log.h"
#include "host/capture/frame.h"

enum encode_codec { ENCODE_H264 = 1, ENCODE_HEVC = 2, ENCODE_AV1 = 4 }; // bits as on the wire

struct encode_config {
    enum encode_codec codec;
    uint32_t width_px, height_px, hz;
    uint32_t bitrate_kbps;
    unsigned threads;   // 1 = one slice a picture
    const char *preset; // x264 preset name; NULL = the back end's choice
    struct pfk_log log;
};

/** One access unit; `bytes` belongs to the encoder until its next call. */
struct encode_unit {
    const uint8_t *bytes;
    size_t n_bytes;
    bool keyframe;
    uint64_t pts_ns;                // of the frame that went in
    uint64_t convert_ns, encode_ns; // how long each took
};

struct encode;

struct encode_impl {
    const char *name;
    unsigned codecs; // bits of encode_codec
    int (*open)(struct encode **out, const struct encode_config *cfg);
    int (*frame)(struct encode *e, struct frame *f, uint64_t pts_ns, bool keyframe,
                 struct encode_unit *out);
    int (*set_bitrate)(struct encode *e, uint32_t kbps);
    void (*close)(struct encode *e);
};

/** Base of every back end's object; embed it first. */
struct encode {
    const struct encode_impl *impl;
};

/** Codecs this build can encode: bits of encode_codec. */
unsigned encode_codecs(void);

/** Open the best back end. 0; PFK_E_UNSUPPORTED (codec); PFK_E_NOMEM; PFK_E_INVALID. Logged. */
int encode_open(struct encode **out, const struct encode_config *cfg);

/**
 * Convert (BT.709 limited range, 4:2:0) and encode one picture, in the call: no delay of a frame.
 * The frame has exactly the configured size, its lines all their bytes. The first unit is always a
 * key frame with parameter sets.
 * @f  borrowed for the call
 * 0; PFK_E_INVALID (other size or format); PFK_E_IO (the encoder failed; open a new one).
 */
int encode_frame(struct encode *e, struct frame *f, uint64_t pts_ns, bool keyframe,
                 struct encode_unit *out);

/** Change the rate without a key frame. 0; PFK_E_INVALID (0 kbit/s); PFK_E_UNSUPPORTED. */
int encode_set_bitrate(struct encode *e, uint32_t kbps);

void encode_close(struct encode *e);

#endif
