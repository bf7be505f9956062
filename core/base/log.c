// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Texts may hold names from the network, and end in terminals: control characters and those that
// turn the writing direction around become question marks (in place; a character may take several
// bytes).
static void clean(char *text)
{
    static const char *const unwanted[] = {"\xD8\x9C",     "\xE2\x80\x8E", "\xE2\x80\x8F",
                                           "\xE2\x80\xAA", "\xE2\x80\xAB", "\xE2\x80\xAC",
                                           "\xE2\x80\xAD", "\xE2\x80\xAE", "\xE2\x81\xA6",
                                           "\xE2\x81\xA7", "\xE2\x81\xA8", "\xE2\x81\xA9"};
    char *to = text;
    for (const char *p = text; *p;) {
        unsigned char c = (unsigned char)*p;
        size_t n = c < 0x20 || c == 0x7F                                                    ? 1
                   : c == 0xC2 && (unsigned char)p[1] >= 0x80 && (unsigned char)p[1] < 0xA0 ? 2
                                                                                            : 0;
        for (size_t i = 0; n == 0 && i < sizeof(unwanted) / sizeof(unwanted[0]); i++) {
            size_t length = strlen(unwanted[i]);
            n = strncmp(p, unwanted[i], length) == 0 ? length : 0;
        }
        *to++ = n ? '?' : *p;
        p += n ? n : 1;
    }
    *to = 0;
}

void pfk_logf(const struct pfk_log *log, enum pfk_log_level level, const char *fmt, ...)
{
    if (!log || !log->fn) {
        return;
    }
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    clean(text);
    log->fn(log->opaque, level, text);
}
