// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef PFK_BASE_LOG_H
#define PFK_BASE_LOG_H

enum pfk_log_level {
    PFK_LOG_ERROR = 0, // the operation failed; says cause and remedy
    PFK_LOG_WARN = 1,  // goes on, but worse than it could
    PFK_LOG_INFO = 2,  // once per session or rarer
    PFK_LOG_DEBUG = 3
};

/** Called on the thread that logs; `text` has no line end and is borrowed for the call. */
typedef void (*pfk_log_fn)(void *opaque, enum pfk_log_level level, const char *text);

/** Where messages go; passed to whoever logs, there is no global logger. Zero = silent. */
struct pfk_log {
    pfk_log_fn fn; // optional
    void *opaque;
};

/** Format and hand over one message (1023 bytes at most), control characters replaced. `log` may be NULL. Not on the hot path.
 */
void pfk_logf(const struct pfk_log *log, enum pfk_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
