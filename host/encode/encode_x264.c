// SPDX-License-Identifier: MIT OR Apache-2.0
// x264 through its own API, tuned for delay: a picture goes in, its access unit comes out of the
// same call. A program linked with it is under the GPL as a whole.
#include "host/encode/encode_x264.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "host/encode/convert.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <x264.h>

#define FOURCC(a, b, c, d)                                                                         \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

enum {
    SUPERFAST_MAX_PX_PER_S = 80000000,
    MAX_SIDE_PX = 4096,
    MAX_HZ = 1000,
    MAX_KBPS = 1000000, // of level 6.2 in High profile, the highest that x264 knows
    // The decoder's buffer in frames: an access unit is at most so much larger than the average
    // one. One frame would keep every unit equal, but then a key frame looks bad for a second; six
    // lets a key frame have its size and still leave within six frame times at the bitrate.
    BUFFER_FRAMES = 6
};

struct encode_x264_state {
    struct encode base;
    struct encode_config cfg;
    x264_t *x264;
    x264_param_t param;
    x264_picture_t picture;
    const struct convert_row *convert;
    bool converted_before; // the planes hold the previous picture
    int64_t n_pictures;
};

// x264 logs printf-style, with a line end; only what a user should hear passes.
static void on_log(void *opaque, int level, const char *fmt, va_list args)
{
    char text[512];
    if (level > X264_LOG_WARNING) {
        return;
    }
    int n = vsnprintf(text, sizeof(text), fmt, args);
    n = n < 0 ? 0 : n >= (int)sizeof(text) ? (int)sizeof(text) - 1 : n;
    while (n > 0 && text[n - 1] == '\n') {
        text[--n] = 0;
    }
    pfk_logf(opaque, level == X264_LOG_ERROR ? PFK_LOG_ERROR : PFK_LOG_WARN, "x264: %s", text);
}

static void set_rate(x264_param_t *p, uint32_t kbps, uint32_t hz)
{
    kbps = kbps < MAX_KBPS ? kbps : MAX_KBPS;
    p->rc.i_rc_method = X264_RC_ABR;
    p->rc.i_bitrate = (int)kbps;
    p->rc.i_vbv_max_bitrate = (int)kbps;
    p->rc.i_vbv_buffer_size = (int)((uint64_t)kbps * BUFFER_FRAMES / hz);
    if (p->rc.i_vbv_buffer_size < 1) {
        p->rc.i_vbv_buffer_size = 1;
    }
}

// Everything that a configuration can have wrong: x264 itself would say it on stderr, or leak what
// it had allocated when it refuses to open.
static int check_config(const struct encode_config *cfg)
{
    if (cfg->width_px % 2 || cfg->height_px % 2 || cfg->width_px < 2 || cfg->height_px < 2 ||
        cfg->width_px > MAX_SIDE_PX || cfg->height_px > MAX_SIDE_PX) {
        pfk_logf(&cfg->log, PFK_LOG_ERROR,
                 "x264 cannot encode %ux%u: sides are even and at most %d pixels", cfg->width_px,
                 cfg->height_px, MAX_SIDE_PX);
        return PFK_E_INVALID;
    }
    if (cfg->hz == 0 || cfg->hz > MAX_HZ || cfg->bitrate_kbps == 0) {
        pfk_logf(&cfg->log, PFK_LOG_ERROR,
                 "x264 cannot encode %u Hz at %u kbit/s: 1 to %d Hz, at least 1 kbit/s", cfg->hz,
                 cfg->bitrate_kbps, MAX_HZ);
        return PFK_E_INVALID;
    }
    if (cfg->preset) {
        int i = 0;
        while (x264_preset_names[i] && strcmp(x264_preset_names[i], cfg->preset) != 0) {
            i++;
        }
        if (!x264_preset_names[i]) {
            pfk_logf(&cfg->log, PFK_LOG_ERROR,
                     "x264 knows no preset \"%s\"; try ultrafast, superfast or veryfast",
                     cfg->preset);
            return PFK_E_INVALID;
        }
    }
    return PFK_OK;
}

// superfast looks better, but on one core of today a dense picture of 1080p60 takes it longer than
// the time to the next one.
static const char *preset_of(const struct encode_config *cfg)
{
    if (cfg->preset) {
        return cfg->preset;
    }
    return (uint64_t)cfg->width_px * cfg->height_px * cfg->hz > SUPERFAST_MAX_PX_PER_S
               ? "ultrafast"
               : "superfast";
}

static int fill_param(struct encode_x264_state *s)
{
    x264_param_t *p = &s->param;
    const struct encode_config *cfg = &s->cfg;
    if (x264_param_default_preset(p, preset_of(cfg), "zerolatency") != 0) {
        return PFK_E_INVALID;
    }
    p->pf_log = on_log;
    p->p_log_private = &s->cfg.log;
    p->i_log_level = X264_LOG_WARNING;
    p->i_width = (int)cfg->width_px;
    p->i_height = (int)cfg->height_px;
    p->i_csp = X264_CSP_I420;
    p->i_fps_num = cfg->hz;
    p->i_fps_den = 1;
    p->i_timebase_num = 1;
    p->i_timebase_den = cfg->hz;
    p->b_vfr_input = 0;
    p->i_threads = cfg->threads ? (int)cfg->threads : 1;
    p->b_sliced_threads = p->i_threads > 1;
    p->i_slice_count = p->i_threads > 1 ? p->i_threads : 1;
    p->i_bframe = 0;
    p->rc.i_lookahead = 0;
    p->i_sync_lookahead = 0;
    p->rc.b_mb_tree = 0;
    p->i_keyint_max = X264_KEYINT_MAX_INFINITE;
    p->i_scenecut_threshold = 0;
    p->i_frame_reference = 1;
    p->analyse.i_weighted_pred = X264_WEIGHTP_NONE;
    p->b_repeat_headers = 1;
    p->b_annexb = 1;
    p->b_aud = 0;
    p->b_intra_refresh = 0;
    p->vui.i_colorprim = 1; // BT.709 throughout, limited range, chroma at the left
    p->vui.i_transfer = 1;
    p->vui.i_colmatrix = 1;
    p->vui.b_fullrange = 0;
    p->vui.i_chroma_loc = 0;
    set_rate(p, cfg->bitrate_kbps, cfg->hz);
    return x264_param_apply_profile(p, "high") == 0 ? PFK_OK : PFK_E_INVALID;
}

static void x264_close_state(struct encode *base)
{
    struct encode_x264_state *s = (struct encode_x264_state *)base;
    if (s->x264) {
        x264_encoder_close(s->x264);
    }
    x264_picture_clean(&s->picture);
    free(s);
}

static int x264_open_state(struct encode **out, const struct encode_config *cfg)
{
    *out = NULL;
    int err = check_config(cfg);
    if (err) {
        return err;
    }
    struct encode_x264_state *s = calloc(1, sizeof(*s));
    if (!s) {
        return PFK_E_NOMEM;
    }
    s->base.impl = &encode_x264;
    s->cfg = *cfg;
    s->convert = convert_best();
    x264_picture_init(&s->picture);
    err = fill_param(s);
    if (!err && x264_picture_alloc(&s->picture, X264_CSP_I420, (int)cfg->width_px,
                                   (int)cfg->height_px) != 0) {
        x264_picture_init(&s->picture);
        err = PFK_E_NOMEM;
    }
    if (!err) {
        s->x264 = x264_encoder_open(&s->param);
        err = s->x264 ? PFK_OK : PFK_E_IO;
    }
    if (err) {
        x264_close_state(&s->base);
        return err;
    }
    *out = &s->base;
    return PFK_OK;
}

// Converts what changed since the previous picture, in whole lines.
static void convert_frame(struct encode_x264_state *s, const struct frame *f)
{
    const x264_image_t *img = &s->picture.img;
    const struct convert_target to = {img->plane[0], img->plane[1], img->plane[2],
                                      (size_t)img->i_stride[0], (size_t)img->i_stride[1]};
    if (f->n_damage == 0 || !s->converted_before) {
        convert_lines(s->convert, f->pixels, f->stride_bytes, f->width_px, 0, f->height_px, &to);
        s->converted_before = true;
        return;
    }
    uint32_t done = 0; // lines above are up to date
    while (done < f->height_px) {
        // The nearest damage at or below `done`, widened by what overlaps it.
        uint32_t first = f->height_px, end = 0;
        for (unsigned i = 0; i < f->n_damage; i++) {
            const struct frame_rect *r = &f->damage[i];
            int64_t top = r->y_px > 0 ? r->y_px : 0;
            int64_t bottom = (int64_t)r->y_px + r->height_px;
            bottom = bottom < f->height_px ? bottom : f->height_px;
            top = top > done ? top : done;
            if (bottom > top && (uint32_t)top < first) {
                first = (uint32_t)top;
                end = (uint32_t)bottom;
            }
        }
        if (end == 0) {
            break;
        }
        first &= ~1u;
        end = (end + 1) & ~1u;
        convert_lines(s->convert, f->pixels, f->stride_bytes, f->width_px, first, end, &to);
        done = end;
    }
}

static int x264_frame(struct encode *base, struct frame *f, uint64_t pts_ns, bool keyframe,
                      struct encode_unit *out)
{
    struct encode_x264_state *s = (struct encode_x264_state *)base;
    if (f->width_px != s->cfg.width_px || f->height_px != s->cfg.height_px ||
        f->stride_bytes < 4 * f->width_px ||
        (f->fourcc != FOURCC('X', 'R', '2', '4') && f->fourcc != FOURCC('A', 'R', '2', '4'))) {
        return PFK_E_INVALID;
    }
    uint64_t begin = pfk_clock_monotonic_ns();
    convert_frame(s, f);
    uint64_t converted = pfk_clock_monotonic_ns();
    s->picture.i_pts = s->n_pictures++;
    s->picture.i_type = keyframe ? X264_TYPE_IDR : X264_TYPE_AUTO;
    x264_nal_t *nals;
    int n_nals;
    x264_picture_t encoded;
    int bytes = x264_encoder_encode(s->x264, &nals, &n_nals, &s->picture, &encoded);
    if (bytes <= 0 || n_nals <= 0) {
        return PFK_E_IO;
    }
    *out = (struct encode_unit){
        .bytes = nals[0].p_payload, // x264 lays all NAL units of a picture back to back
        .n_bytes = (size_t)bytes,
        .keyframe = encoded.b_keyframe != 0,
        .pts_ns = pts_ns,
        .convert_ns = converted - begin,
        .encode_ns = pfk_clock_monotonic_ns() - converted,
    };
    return PFK_OK;
}

static int x264_set_bitrate(struct encode *base, uint32_t kbps)
{
    struct encode_x264_state *s = (struct encode_x264_state *)base;
    x264_param_t now;
    if (kbps == 0) {
        return PFK_E_INVALID;
    }
    x264_encoder_parameters(s->x264, &now);
    set_rate(&now, kbps, s->cfg.hz);
    return x264_encoder_reconfig(s->x264, &now) == 0 ? PFK_OK : PFK_E_UNSUPPORTED;
}

const struct encode_impl encode_x264 = {
    .name = "x264",
    .codecs = ENCODE_H264,
    .open = x264_open_state,
    .frame = x264_frame,
    .set_bitrate = x264_set_bitrate,
    .close = x264_close_state,
};
