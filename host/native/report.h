// SPDX-License-Identifier: MIT OR Apache-2.0
// The numbers of a finished session, as one log line and, where asked for, as a JSON file.
#ifndef HOST_NATIVE_REPORT_H
#define HOST_NATIVE_REPORT_H

#include "core/base/log.h"
#include "core/wire/handshake.h"
#include "host/native/video_sender.h"
#include "host/session/source.h"

struct session_report {
    const struct pfk_welcome *welcome;
    const char *client_name;
    double seconds;
    const struct source_stats *source;
    const struct video_sender_stats *sender;
    const struct pfk_udp_stats *udp;
    const char *udp_path;
};

/** Can that file be written? Before a session, so that nobody waits for it in vain; logged. */
int report_check(const char *file, const struct pfk_log *log);

/** @file  "" = no file. Written to a temporary name and renamed; failure is logged. */
void report_session(const struct session_report *r, const char *file, const struct pfk_log *log);

#endif
