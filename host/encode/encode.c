// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/encode/encode.h"

#include "core/base/status.h"
#include "host/encode/encode_x264.h"

// Preferred first.
static const struct encode_impl *const impls[] = {&encode_x264};

enum { N_IMPLS = sizeof(impls) / sizeof(impls[0]) };

unsigned encode_codecs(void)
{
    unsigned codecs = 0;
    for (int i = 0; i < N_IMPLS; i++) {
        codecs |= impls[i]->codecs;
    }
    return codecs;
}

int encode_open(struct encode **out, const struct encode_config *cfg)
{
    *out = NULL;
    for (int i = 0; i < N_IMPLS; i++) {
        if (impls[i]->codecs & cfg->codec) {
            return impls[i]->open(out, cfg);
        }
    }
    pfk_logf(&cfg->log, PFK_LOG_ERROR, "this build has no encoder for that codec");
    return PFK_E_UNSUPPORTED;
}

int encode_frame(struct encode *e, struct frame *f, uint64_t pts_ns, bool keyframe,
                 struct encode_unit *out)
{
    return e->impl->frame(e, f, pts_ns, keyframe, out);
}

int encode_set_bitrate(struct encode *e, uint32_t kbps)
{
    return e->impl->set_bitrate(e, kbps);
}

void encode_close(struct encode *e)
{
    if (e) {
        e->impl->close(e);
    }
}
