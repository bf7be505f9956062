// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/capture/capture.h"

#include "core/base/status.h"
#include "host/capture/wayland.h"

#include <string.h>

// Preferred first.
static const struct capture_impl *const impls[] = {&capture_ext_image_copy,
                                                   &capture_wlr_screencopy};

int capture_open(struct capture **out, const struct capture_config *cfg, const char *name)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof(impls) / sizeof(impls[0]); i++) {
        if (name && strcmp(name, impls[i]->name) != 0) {
            continue;
        }
        int err = impls[i]->open(out, cfg);
        if (err != PFK_E_UNSUPPORTED) {
            if (!err) {
                pfk_logf(&cfg->log, PFK_LOG_DEBUG, "capturing %s by %s", cfg->output,
                         impls[i]->name);
            }
            return err; // opened, or a failure that another back end would meet too
        }
    }
    if (name) {
        pfk_logf(&cfg->log, PFK_LOG_ERROR,
                 "this compositor does not offer %s; leave the choice to the host", name);
    } else {
        pfk_logf(&cfg->log, PFK_LOG_ERROR,
                 "this compositor offers neither ext-image-copy-capture nor wlr-screencopy 3; use "
                 "sway 1.7 or later");
    }
    return PFK_E_UNSUPPORTED;
}

int capture_next(struct capture *c, struct frame **out, int timeout_ms)
{
    return c->impl->next(c, out, timeout_ms);
}

void capture_wake(struct capture *c)
{
    c->impl->wake(c);
}

void capture_close(struct capture *c)
{
    if (c) {
        c->impl->close(c);
    }
}
