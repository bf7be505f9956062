// SPDX-License-Identifier: MIT OR Apache-2.0
// Bounds-checked little-endian reader and writer with a sticky error: check `bad` once at the end.
#ifndef PFK_BASE_BYTES_H
#define PFK_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Reads past the end give 0 and latch `bad`. */
struct pfk_reader {
    const uint8_t *p;
    const uint8_t *end;
    bool bad;
};

/** Writes past the end are dropped and latch `bad`. */
struct pfk_writer {
    uint8_t *p;
    uint8_t *end;
    bool bad;
};

static inline struct pfk_reader pfk_reader_init(const void *bytes, size_t n)
{
    return (struct pfk_reader){bytes, (const uint8_t *)bytes + n, false};
}

static inline size_t pfk_reader_left(const struct pfk_reader *r)
{
    return r->bad ? 0 : (size_t)(r->end - r->p);
}

/** The next n bytes in place, or NULL (latched) when fewer are left. */
static inline const uint8_t *pfk_read_bytes(struct pfk_reader *r, size_t n)
{
    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}

static inline uint8_t pfk_read_u8(struct pfk_reader *r)
{
    const uint8_t *p = pfk_read_bytes(r, 1);
    return p ? p[0] : 0;
}

static inline uint16_t pfk_read_u16le(struct pfk_reader *r)
{
    const uint8_t *p = pfk_read_bytes(r, 2);
    return p ? (uint16_t)(p[0] | p[1] << 8) : 0;
}

static inline uint32_t pfk_read_u32le(struct pfk_reader *r)
{
    const uint8_t *p = pfk_read_bytes(r, 4);
    return p ? p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24 : 0;
}

static inline uint64_t pfk_read_u64le(struct pfk_reader *r)
{
    uint64_t low = pfk_read_u32le(r);
    return low | (uint64_t)pfk_read_u32le(r) << 32;
}

static inline struct pfk_writer pfk_writer_init(void *bytes, size_t n)
{
    return (struct pfk_writer){bytes, (uint8_t *)bytes + n, false};
}

/** Room for n bytes in place, or NULL (latched). */
static inline uint8_t *pfk_write_room(struct pfk_writer *w, size_t n)
{
    if (w->bad || (size_t)(w->end - w->p) < n) {
        w->bad = true;
        return NULL;
    }
    uint8_t *p = w->p;
    w->p += n;
    return p;
}

static inline void pfk_write_bytes(struct pfk_writer *w, const void *bytes, size_t n)
{
    uint8_t *p = pfk_write_room(w, n);
    if (p && n) {
        memcpy(p, bytes, n);
    }
}

static inline void pfk_write_u8(struct pfk_writer *w, uint8_t v)
{
    pfk_write_bytes(w, &v, 1);
}

static inline void pfk_write_u16le(struct pfk_writer *w, uint16_t v)
{
    uint8_t *p = pfk_write_room(w, 2);
    if (p) {
        p[0] = (uint8_t)v;
        p[1] = (uint8_t)(v >> 8);
    }
}

static inline void pfk_write_u32le(struct pfk_writer *w, uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
                              (uint8_t)(v >> 24)};
    pfk_write_bytes(w, bytes, sizeof(bytes));
}

static inline void pfk_write_u64le(struct pfk_writer *w, uint64_t v)
{
    pfk_write_u32le(w, (uint32_t)v);
    pfk_write_u32le(w, (uint32_t)(v >> 32));
}

/** Big-endian u64 at p: the data plane's sequence number is the only one on the wire. */
static inline uint64_t pfk_load_u64be(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static inline void pfk_store_u64be(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--) {
        p[i] = (uint8_t)v;
        v >>= 8;
    }
}

#endif
