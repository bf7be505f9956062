// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/wire/video_header.h"

#include "core/base/status.h"

int pfk_video_header_parse(struct pfk_video_header *h, struct pfk_reader *r)
{
    h->pts_ns = pfk_read_u64le(r);
    h->frame_index = pfk_read_u32le(r);
    h->packet_counter = pfk_read_u32le(r);
    h->au_bytes = pfk_read_u32le(r);
    h->au_flags = pfk_read_u32le(r);
    h->block_index = pfk_read_u16le(r);
    h->block_count = pfk_read_u16le(r);
    h->n_data = pfk_read_u16le(r);
    h->n_parity = pfk_read_u16le(r);
    h->shard_index = pfk_read_u16le(r);
    h->shard_bytes = pfk_read_u16le(r);
    uint8_t magic = pfk_read_u8(r);
    pfk_read_u8(r); // version, not checked by anybody
    h->field = pfk_read_u8(r);
    h->packet_flags = pfk_read_u8(r);
    return r->bad || magic != PFK_VIDEO_MAGIC ? PFK_E_MALFORMED : 0;
}

void pfk_video_header_emit(const struct pfk_video_header *h, struct pfk_writer *w)
{
    pfk_write_u64le(w, h->pts_ns);
    pfk_write_u32le(w, h->frame_index);
    pfk_write_u32le(w, h->packet_counter);
    pfk_write_u32le(w, h->au_bytes);
    pfk_write_u32le(w, h->au_flags);
    pfk_write_u16le(w, h->block_index);
    pfk_write_u16le(w, h->block_count);
    pfk_write_u16le(w, h->n_data);
    pfk_write_u16le(w, h->n_parity);
    pfk_write_u16le(w, h->shard_index);
    pfk_write_u16le(w, h->shard_bytes);
    pfk_write_u8(w, PFK_VIDEO_MAGIC);
    pfk_write_u8(w, 1);
    pfk_write_u8(w, h->field);
    pfk_write_u8(w, h->packet_flags);
}
