// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/wire/datagram.h"

#include "core/base/status.h"

// Our own two fields begin with this, because other hosts may come to put others in their place.
static const uint8_t detail_mark[4] = {'P', 'F', 's', 't'};

enum { DETAIL_OFFSET = 29, DETAIL_BYTES = 12 };

int pfk_timing_parse(struct pfk_timing *t, const uint8_t *bytes, size_t n)
{
    struct pfk_reader r = pfk_reader_init(bytes, n);
    memset(t, 0, sizeof(*t));
    uint8_t tag = pfk_read_u8(&r);
    t->pts_ns = pfk_read_u64le(&r);
    t->total_us = pfk_read_u32le(&r);
    if (r.bad || tag != PFK_TAG_TIMING) {
        return PFK_E_MALFORMED;
    }
    if (n >= 25) {
        t->has_stages = true;
        t->queue_us = pfk_read_u32le(&r);
        t->encode_us = pfk_read_u32le(&r);
        t->pace_us = pfk_read_u32le(&r);
    }
    if (n >= DETAIL_OFFSET + DETAIL_BYTES &&
        memcmp(bytes + DETAIL_OFFSET, detail_mark, sizeof(detail_mark)) == 0) {
        t->has_detail = true;
        pfk_read_bytes(&r, 4 + sizeof(detail_mark)); // i32 at 25 is not for us
        t->capture_us = pfk_read_u32le(&r);
        t->convert_us = pfk_read_u32le(&r);
    }
    return 0;
}

void pfk_timing_emit(const struct pfk_timing *t, struct pfk_writer *w)
{
    pfk_write_u8(w, PFK_TAG_TIMING);
    pfk_write_u64le(w, t->pts_ns);
    pfk_write_u32le(w, t->total_us);
    if (!t->has_stages) {
        return;
    }
    pfk_write_u32le(w, t->queue_us);
    pfk_write_u32le(w, t->encode_us);
    pfk_write_u32le(w, t->pace_us);
    if (!t->has_detail) {
        return;
    }
    pfk_write_u32le(w, 0);
    pfk_write_bytes(w, detail_mark, sizeof(detail_mark));
    pfk_write_u32le(w, t->capture_us);
    pfk_write_u32le(w, t->convert_us);
}

int pfk_input_parse(struct pfk_input *e, const uint8_t *bytes, size_t n)
{
    struct pfk_reader r = pfk_reader_init(bytes, n);
    uint8_t tag = pfk_read_u8(&r);
    e->kind = pfk_read_u8(&r);
    e->code = pfk_read_u32le(&r);
    e->x = (int32_t)pfk_read_u32le(&r);
    e->y = (int32_t)pfk_read_u32le(&r);
    e->flags = pfk_read_u32le(&r);
    return r.bad || tag != PFK_TAG_INPUT ? PFK_E_MALFORMED : 0;
}

void pfk_input_emit(const struct pfk_input *e, struct pfk_writer *w)
{
    pfk_write_u8(w, PFK_TAG_INPUT);
    pfk_write_u8(w, e->kind);
    pfk_write_u32le(w, e->code);
    pfk_write_u32le(w, (uint32_t)e->x);
    pfk_write_u32le(w, (uint32_t)e->y);
    pfk_write_u32le(w, e->flags);
}
