// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/native/report.h"

#include "core/base/status.h"
#include "core/session/fec_rate.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// Of the whole process, compositor and its programs not counted.
static long peak_resident_kb(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? u.ru_maxrss : 0;
}

static double cpu_seconds(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0) {
        return 0;
    }
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int report_check(const char *file, const struct pfk_log *log)
{
    char temp[600];
    if (!file[0]) {
        return PFK_OK;
    }
    snprintf(temp, sizeof(temp), "%s.part", file); // a setting is shorter
    FILE *f = fopen(temp, "we");
    if (!f || fclose(f) != 0 || unlink(temp) != 0) {
        pfk_logf(log, PFK_LOG_ERROR,
                 "report: cannot write %s: %s; name a file in a folder that is "
                 "there and yours to write",
                 file, strerror(errno));
        return PFK_E_IO;
    }
    return PFK_OK;
}

static void write_file(const struct session_report *r, const char *file, const struct pfk_log *log)
{
    json_t *j = json_pack(
        "{s:i, s:i, s:i, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, "
        "s:f}",
        "width", (int)r->welcome->mode.width_px, "height", (int)r->welcome->mode.height_px, "hz",
        (int)r->welcome->mode.hz, "seconds", r->seconds, "pictures_captured",
        (json_int_t)r->source->pictures, "frames_sent", (json_int_t)r->sender->frames,
        "frames_repeated", (json_int_t)r->source->repeats, "frames_dropped",
        (json_int_t)r->source->dropped, "keyframes", (json_int_t)r->sender->keyframes,
        "video_bytes", (json_int_t)r->sender->bytes, "packets", (json_int_t)r->sender->packets,
        "packets_sent", (json_int_t)r->udp->sent, "packets_send_dropped",
        (json_int_t)r->udp->send_dropped, "packets_dropped_for_test",
        (json_int_t)r->sender->packets_dropped_for_test, "wire_bytes",
        (json_int_t)r->udp->sent_bytes, "udp_path", r->udp_path, "host_rss_kb",
        (json_int_t)peak_resident_kb(), "host_cpu_seconds", cpu_seconds());
    char temp[600];
    // A name for each thread: two sessions may end at the same moment.
    int n = snprintf(temp, sizeof(temp), "%s.%d.part", file, (int)gettid());
    bool ok = j && n < (int)sizeof(temp) && json_dump_file(j, temp, JSON_INDENT(2)) == 0 &&
              rename(temp, file) == 0;
    if (!ok) {
        pfk_logf(log, PFK_LOG_WARN, "cannot write the report %s: %s; check its folder", file,
                 j ? strerror(errno) : "out of memory");
        unlink(temp);
    }
    json_decref(j);
}

void report_session(const struct session_report *r, const char *file, const struct pfk_log *log)
{
    double seconds = r->seconds > 0 ? r->seconds : 1;
    pfk_logf(
        log, PFK_LOG_INFO,
        "session ended: %.1f s, %llu pictures captured, %llu frames sent (%llu repeats, %llu key "
        "frames, %llu dropped because sending was behind), %.1f Mbit/s of video, %llu packets, "
        "%llu refused by the kernel, %.2f ms to send a frame",
        r->seconds, (unsigned long long)r->source->pictures, (unsigned long long)r->sender->frames,
        (unsigned long long)r->source->repeats, (unsigned long long)r->sender->keyframes,
        (unsigned long long)r->source->dropped, (double)r->sender->bytes * 8e-6 / seconds,
        (unsigned long long)r->sender->packets, (unsigned long long)r->udp->send_dropped,
        r->sender->frames ? (double)r->sender->send_ns / 1e6 / (double)r->sender->frames : 0);
    if (file[0]) {
        write_file(r, file, log);
    }
}
