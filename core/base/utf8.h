// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef PFK_BASE_UTF8_H
#define PFK_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes of the well-formed UTF-8 character at p (RFC 3629: no overlong form, no surrogate); 0 =
 * none. */
static inline size_t pfk_utf8_char(const uint8_t *p, size_t n)
{
    if (n == 0) {
        return 0;
    }
    if (p[0] < 0x80) {
        return 1;
    }
    size_t len = p[0] >= 0xC2 && p[0] <= 0xDF   ? 2
                 : (p[0] & 0xF0) == 0xE0        ? 3
                 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
                                                : 0;
    if (len == 0 || n < len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    bool bad = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
               (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F);
    return bad ? 0 : len;
}

/** Well-formed throughout and without a NUL? */
static inline bool pfk_utf8_valid(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = p[i] ? pfk_utf8_char(p + i, n - i) : 0;
        if (len == 0) {
            return false;
        }
        i += len;
    }
    return true;
}

/** Longest prefix of n bytes at most `limit` long that does not cut a character in two. */
static inline size_t pfk_utf8_cut(const uint8_t *p, size_t n, size_t limit)
{
    if (n <= limit) {
        return n;
    }
    while (limit > 0 && (p[limit] & 0xC0) == 0x80) {
        limit--;
    }
    return limit;
}

#endif
