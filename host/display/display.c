// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/display/display.h"

#include "core/base/status.h"
#include "host/display/desktop.h"
#include "host/display/sway.h"

#include <string.h>

// Preferred first.
static const struct display_impl *const impls[] = {&display_sway};

int display_open(struct display **out, const struct display_config *cfg)
{
    *out = NULL;
    desktop_clean_leftovers(cfg->state_dir, &cfg->log);
    char why[200] = "";
    for (size_t i = 0; i < sizeof(impls) / sizeof(impls[0]); i++) {
        bool any = !cfg->compositor || strcmp(cfg->compositor, "auto") == 0;
        if ((any || strcmp(cfg->compositor, impls[i]->name) == 0) &&
            impls[i]->probe(cfg, why, sizeof(why))) {
            return impls[i]->open(out, cfg);
        }
    }
    pfk_logf(&cfg->log, PFK_LOG_ERROR, "no compositor to stream from: %s",
             why[0] ? why : "this build knows none of that name");
    return PFK_E_UNSUPPORTED;
}

void display_close(struct display *d)
{
    if (d) {
        d->impl->close(d);
    }
}

int display_output_create(struct display *d, struct display_output **out, uint32_t width_px,
                          uint32_t height_px, uint32_t hz)
{
    return d->impl->output_create(d, out, width_px, height_px, hz);
}

void display_output_destroy(struct display_output *o)
{
    if (o) {
        o->display->impl->output_destroy(o);
    }
}
