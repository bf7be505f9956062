// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/wire/control.h"

// Copies until d->bytes holds `want` bytes; returns how many it took.
static size_t fill(struct pfk_deframer *d, size_t want, const uint8_t *bytes, size_t n)
{
    size_t take = want - d->have < n ? want - d->have : n;
    memcpy(d->bytes + d->have, bytes, take);
    d->have += take;
    return take;
}

size_t pfk_deframe(struct pfk_deframer *d, const uint8_t *bytes, size_t n, const uint8_t **body,
                   size_t *body_bytes)
{
    size_t used = 0;
    *body = NULL;
    *body_bytes = 0;
    while (used < n) {
        if (d->have < 2) {
            used += fill(d, 2, bytes + used, n - used);
            if (d->have < 2) {
                break;
            }
        }
        size_t length = (size_t)(d->bytes[0] | d->bytes[1] << 8);
        used += fill(d, 2 + length, bytes + used, n - used);
        if (d->have == 2 + length) {
            d->have = 0;
            if (length > 0) {
                *body = d->bytes + 2;
                *body_bytes = length;
                break;
            }
        }
    }
    return used;
}

uint8_t *pfk_frame_begin(struct pfk_writer *w)
{
    return pfk_write_room(w, 2);
}

void pfk_frame_end(struct pfk_writer *w, uint8_t *mark)
{
    if (w->bad) {
        return;
    }
    size_t n = (size_t)(w->p - mark) - 2;
    if (n > UINT16_MAX) { // a cut length would make the peer read the rest as further frames
        w->bad = true;
        return;
    }
    mark[0] = (uint8_t)n;
    mark[1] = (uint8_t)(n >> 8);
}
