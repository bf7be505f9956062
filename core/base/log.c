// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/base/log.h"

#include <stdarg.h>
#include <stdio.h>

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
    log->fn(log->opaque, level, text);
}
