// SPDX-License-Identifier: MIT OR Apache-2.0
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static double kbps(const struct report *r)
{
    return r->seconds > 0 ? (double)r->video_bytes * 8e-3 / r->seconds : 0;
}

void report_print(const struct report *r, FILE *to)
{
    fprintf(to,
            "%ux%u@%u, %.1f s, first frame after %.0f ms\n"
            "frames    %" PRIu64 " expected, %" PRIu64 " received, %" PRIu64 " lost, %" PRIu64
            " not taken in time\n"
            "packets   %" PRIu64 " received, %" PRIu64 " dropped; %" PRIu64
            " shards repaired by parity\n"
            "bitrate   %.0f kbit/s of video, %.0f kbit/s on the wire\n",
            r->info.width_px, r->info.height_px, r->info.refresh_hz, r->seconds, r->first_frame_ms,
            r->frames_expected, r->frames_received, r->stats.frames_lost, r->stats.frames_dropped,
            r->stats.packets_received, r->stats.packets_dropped, r->stats.shards_recovered, kbps(r),
            r->seconds > 0 ? (double)r->stats.bytes_received * 8e-3 / r->seconds : 0);
    fprintf(to, "latency   %-24s %10s %10s %10s\n", "microseconds", "p50", "p95", "p99");
    for (int i = 0; i < N_STAGES; i++) {
        const struct percentiles *p = &r->stages[i];
        if (p->n) {
            fprintf(to, "          %-24s %10.0f %10.0f %10.0f\n", stage_names[i], p->p50, p->p95,
                    p->p99);
        }
    }
}

static json_t *latency_json(const struct report *r)
{
    json_t *all = json_object();
    for (int i = 0; i < N_STAGES; i++) {
        const struct percentiles *p = &r->stages[i];
        if (p->n) {
            json_object_set_new(
                all, stage_names[i],
                json_pack("{s:f, s:f, s:f}", "p50", p->p50, "p95", p->p95, "p99", p->p99));
        }
    }
    return all;
}

static void set(json_t *j, const char *name, uint64_t value)
{
    json_object_set_new(j, name, json_integer((json_int_t)value));
}

int report_check(const char *file)
{
    char temp[1024];
    if (strcmp(file, "-") == 0) {
        return 0;
    }
    if (snprintf(temp, sizeof(temp), "%s.part", file) >= (int)sizeof(temp)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    FILE *f = fopen(temp, "we");
    return !f || fclose(f) != 0 || unlink(temp) != 0 ? -1 : 0;
}

int report_write(const struct report *r, const char *file)
{
    json_t *j = json_object();
    set(j, "width", r->info.width_px);
    set(j, "height", r->info.height_px);
    set(j, "hz", r->info.refresh_hz);
    json_object_set_new(j, "seconds", json_real(r->seconds));
    set(j, "frames_expected", r->frames_expected);
    set(j, "frames_received", r->frames_received);
    set(j, "frames_lost", r->stats.frames_lost);
    set(j, "frames_not_taken", r->stats.frames_dropped);
    set(j, "packets_received", r->stats.packets_received);
    set(j, "packets_dropped", r->stats.packets_dropped);
    set(j, "shards_recovered", r->stats.shards_recovered);
    set(j, "keyframe_requests", r->stats.keyframe_requests);
    json_object_set_new(j, "first_frame_ms", json_real(r->first_frame_ms));
    json_object_set_new(j, "bitrate_kbps", json_real(kbps(r)));
    set(j, "wire_bytes", r->stats.bytes_received);
    json_object_set_new(j, "client_cpu_seconds", json_real(r->cpu_seconds));
    json_object_set_new(j, "latency_us", latency_json(r));
    json_object_set_new(j, "end", json_string(r->end.text));
    int rc = -1;
    if (strcmp(file, "-") == 0) {
        rc = json_dumpf(j, stdout, JSON_INDENT(2));
        if (putchar('\n') == EOF || fflush(stdout) != 0) {
            rc = -1;
        }
    } else {
        char temp[1024];
        if (snprintf(temp, sizeof(temp), "%s.part", file) >= (int)sizeof(temp)) {
            errno = ENAMETOOLONG;
        } else {
            if (json_dump_file(j, temp, JSON_INDENT(2)) == 0) {
                rc = rename(temp, file);
            }
            if (rc != 0) {
                int saved = errno;
                unlink(temp);
                errno = saved;
            }
        }
    }
    json_decref(j);
    return rc;
}
