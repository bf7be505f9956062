// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/wire/handshake.h"

#include "core/base/status.h"
#include "core/base/utf8.h"

static const uint8_t magic[4] = {'P', 'K', 'F', '1'};

static bool read_magic(struct pfk_reader *r)
{
    const uint8_t *p = pfk_read_bytes(r, sizeof(magic));
    return p && memcmp(p, magic, sizeof(magic)) == 0;
}

// Takes u8 length + bytes. A string over its limit or not UTF-8 counts as none, but its raw length
// still moves the fields behind it. False when the message ends before or inside it.
static bool read_string(struct pfk_reader *r, char *out, size_t limit)
{
    out[0] = 0;
    if (pfk_reader_left(r) == 0) {
        return false;
    }
    size_t n = pfk_read_u8(r);
    const uint8_t *p = pfk_read_bytes(r, n);
    if (!p) {
        return false;
    }
    if (n <= limit && pfk_utf8_valid(p, n)) {
        memcpy(out, p, n);
        out[n] = 0;
    }
    return true;
}

static void write_string(struct pfk_writer *w, const char *text, size_t limit)
{
    size_t n = pfk_utf8_cut((const uint8_t *)text, strnlen(text, limit + 1), limit);
    pfk_write_u8(w, (uint8_t)n);
    pfk_write_bytes(w, text, n);
}

// One byte if the message is long enough, the given default otherwise.
static uint8_t read_optional_u8(struct pfk_reader *r, uint8_t absent)
{
    return pfk_reader_left(r) >= 1 ? pfk_read_u8(r) : absent;
}

static uint32_t read_optional_u32(struct pfk_reader *r, uint32_t absent)
{
    if (pfk_reader_left(r) >= 4) {
        return pfk_read_u32le(r);
    }
    r->p = r->end; // a field cut in two is absent, and so is all behind it
    return absent;
}

int pfk_hello_parse(struct pfk_hello *h, const uint8_t *body, size_t n)
{
    struct pfk_reader r = pfk_reader_init(body, n);
    memset(h, 0, sizeof(*h));
    h->audio_channels = 2;
    if (!read_magic(&r)) {
        return PFK_E_MALFORMED;
    }
    h->version = pfk_read_u32le(&r);
    h->mode.width_px = pfk_read_u32le(&r);
    h->mode.height_px = pfk_read_u32le(&r);
    h->mode.hz = pfk_read_u32le(&r);
    if (r.bad) {
        return PFK_E_MALFORMED;
    }
    uint8_t compositor = read_optional_u8(&r, 0);
    h->compositor = compositor <= 6 ? compositor : 0;
    uint8_t pad_type = read_optional_u8(&r, 0);
    h->pad_type = pad_type <= 10 ? pad_type : 0;
    h->bitrate_kbps = read_optional_u32(&r, 0);
    if (!read_string(&r, h->name, PFK_NAME_MAX) || !read_string(&r, h->launch, PFK_LAUNCH_MAX)) {
        return 0;
    }
    h->video_caps = read_optional_u8(&r, 0);
    uint8_t channels = read_optional_u8(&r, 2);
    h->audio_channels = channels == 6 || channels == 8 ? channels : 2;
    h->codecs = read_optional_u8(&r, 0);
    h->preferred_codec = read_optional_u8(&r, 0);
    // The one block without a placeholder: it is there when 28 bytes are; what follows is always
    // shorter.
    if (pfk_reader_left(&r) >= PFK_HDR_BYTES) {
        h->has_hdr = true;
        memcpy(h->hdr, pfk_read_bytes(&r, PFK_HDR_BYTES), PFK_HDR_BYTES);
    }
    h->client_caps = read_optional_u8(&r, 0);
    return 0;
}

void pfk_hello_emit(const struct pfk_hello *h, struct pfk_writer *w)
{
    // How many of the optional fields must be there: up to the last one that is not at its default.
    unsigned n = h->client_caps           ? 10
                 : h->has_hdr             ? 9
                 : h->preferred_codec     ? 8
                 : h->codecs              ? 7
                 : h->audio_channels != 2 ? 6
                 : h->video_caps          ? 5
                 : h->launch[0]           ? 4
                 : h->name[0]             ? 3
                 : h->bitrate_kbps        ? 2
                 : h->pad_type            ? 1
                 : h->compositor          ? 0
                                          : UINT32_MAX;
    pfk_write_bytes(w, magic, sizeof(magic));
    pfk_write_u32le(w, h->version);
    pfk_write_u32le(w, h->mode.width_px);
    pfk_write_u32le(w, h->mode.height_px);
    pfk_write_u32le(w, h->mode.hz);
    if (n == UINT32_MAX) {
        return;
    }
    for (unsigned field = 0; field <= n; field++) {
        switch (field) {
        case 0:
            pfk_write_u8(w, h->compositor);
            break;
        case 1:
            pfk_write_u8(w, h->pad_type);
            break;
        case 2:
            pfk_write_u32le(w, h->bitrate_kbps);
            break;
        case 3:
            write_string(w, h->name, PFK_NAME_MAX);
            break;
        case 4:
            write_string(w, h->launch, PFK_LAUNCH_MAX);
            break;
        case 5:
            pfk_write_u8(w, h->video_caps);
            break;
        case 6:
            pfk_write_u8(w, h->audio_channels);
            break;
        case 7:
            pfk_write_u8(w, h->codecs);
            break;
        case 8:
            pfk_write_u8(w, h->preferred_codec);
            break;
        case 9:
            if (h->has_hdr) {
                pfk_write_bytes(w, h->hdr, PFK_HDR_BYTES);
            }
            break;
        default:
            pfk_write_u8(w, h->client_caps);
            break;
        }
    }
}

int pfk_welcome_parse(struct pfk_welcome *m, const uint8_t *body, size_t n)
{
    struct pfk_reader r = pfk_reader_init(body, n);
    memset(m, 0, sizeof(*m));
    if (!read_magic(&r)) {
        return PFK_E_MALFORMED;
    }
    m->version = pfk_read_u32le(&r);
    m->video_port = pfk_read_u16le(&r);
    m->mode.width_px = pfk_read_u32le(&r);
    m->mode.height_px = pfk_read_u32le(&r);
    m->mode.hz = pfk_read_u32le(&r);
    m->fec_field = pfk_read_u8(&r);
    m->fec_percent = pfk_read_u8(&r);
    m->max_data_shards = pfk_read_u16le(&r);
    m->shard_bytes = pfk_read_u16le(&r);
    m->encrypted = pfk_read_u8(&r);
    const uint8_t *key = pfk_read_bytes(&r, sizeof(m->key));
    const uint8_t *salt = pfk_read_bytes(&r, sizeof(m->salt));
    m->n_frames = pfk_read_u32le(&r);
    if (r.bad) {
        return PFK_E_MALFORMED;
    }
    memcpy(m->key, key, sizeof(m->key));
    memcpy(m->salt, salt, sizeof(m->salt));
    m->compositor = read_optional_u8(&r, 0);
    m->pad_type = read_optional_u8(&r, 0);
    m->bitrate_kbps = read_optional_u32(&r, 0);
    m->bit_depth = read_optional_u8(&r, 8);
    m->primaries = read_optional_u8(&r, 1);
    m->transfer = read_optional_u8(&r, 1);
    m->matrix = read_optional_u8(&r, 1);
    m->full_range = read_optional_u8(&r, 0);
    uint8_t chroma = read_optional_u8(&r, 1);
    m->chroma = chroma == 3 ? 3 : 1;
    m->audio_channels = read_optional_u8(&r, 2);
    uint8_t codec = read_optional_u8(&r, PFK_CODEC_HEVC);
    bool one_codec =
        codec == PFK_CODEC_H264 || codec == PFK_CODEC_AV1 || codec == PFK_CODEC_WAVELET;
    m->codec = one_codec ? codec : PFK_CODEC_HEVC;
    m->host_caps = read_optional_u8(&r, 0);
    m->cipher = read_optional_u8(&r, 0);
    if (m->cipher == 0) {
        return 0;
    }
    const uint8_t *chacha = pfk_read_bytes(&r, sizeof(m->chacha_key));
    if (m->cipher != 1 || !chacha) {
        return PFK_E_UNSUPPORTED;
    }
    memcpy(m->chacha_key, chacha, sizeof(m->chacha_key));
    return 0;
}

void pfk_welcome_emit(const struct pfk_welcome *m, struct pfk_writer *w)
{
    pfk_write_bytes(w, magic, sizeof(magic));
    pfk_write_u32le(w, m->version);
    pfk_write_u16le(w, m->video_port);
    pfk_write_u32le(w, m->mode.width_px);
    pfk_write_u32le(w, m->mode.height_px);
    pfk_write_u32le(w, m->mode.hz);
    pfk_write_u8(w, m->fec_field);
    pfk_write_u8(w, m->fec_percent);
    pfk_write_u16le(w, m->max_data_shards);
    pfk_write_u16le(w, m->shard_bytes);
    pfk_write_u8(w, m->encrypted);
    pfk_write_bytes(w, m->key, sizeof(m->key));
    pfk_write_bytes(w, m->salt, sizeof(m->salt));
    pfk_write_u32le(w, m->n_frames);
    pfk_write_u8(w, m->compositor);
    pfk_write_u8(w, m->pad_type);
    pfk_write_u32le(w, m->bitrate_kbps);
    pfk_write_u8(w, m->bit_depth);
    pfk_write_u8(w, m->primaries);
    pfk_write_u8(w, m->transfer);
    pfk_write_u8(w, m->matrix);
    pfk_write_u8(w, m->full_range);
    pfk_write_u8(w, m->chroma);
    pfk_write_u8(w, m->audio_channels);
    pfk_write_u8(w, m->codec);
    pfk_write_u8(w, m->host_caps);
    if (m->cipher == 1) {
        pfk_write_u8(w, m->cipher);
        pfk_write_bytes(w, m->chacha_key, sizeof(m->chacha_key));
    }
}

int pfk_start_parse(struct pfk_start *m, const uint8_t *body, size_t n)
{
    struct pfk_reader r = pfk_reader_init(body, n);
    if (!read_magic(&r)) {
        return PFK_E_MALFORMED;
    }
    m->video_port = pfk_read_u16le(&r);
    return r.bad ? PFK_E_MALFORMED : 0;
}

void pfk_start_emit(const struct pfk_start *m, struct pfk_writer *w)
{
    pfk_write_bytes(w, magic, sizeof(magic));
    pfk_write_u16le(w, m->video_port);
}
