// SPDX-License-Identifier: MIT OR Apache-2.0
// punktfunk-client, headless: connects, writes the elementary stream to a file and reports what it
// saw.
#include "known_hosts.h"
#include "punktfunk_core.h"
#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PULL_MS = 100 };

struct options {
    char host[256];
    unsigned port;
    unsigned width_px, height_px, hz;
    unsigned bitrate_kbps;
    double seconds; // 0 = until the host or the user ends it
    const char *out, *json, *name, *config_dir;
    bool has_pin, quiet, verify_synthetic;
    uint8_t pin[32];
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    interrupted = 1;
}

static int is_interrupted(void *opaque)
{
    return interrupted;
}

static void usage(FILE *to)
{
    fputs(
        "Usage: punktfunk-client --connect HOST[:PORT] [options]\n"
        "\n"
        "Receives a punktfunk/1 stream without showing it: writes the access units to a file and\n"
        "reports losses, bitrate and latency.\n"
        "\n"
        "  --connect HOST[:PORT]   host to dial; [ADDRESS]:PORT for IPv6           [port 9777]\n"
        "  --mode WxH@HZ           picture size and refresh rate to ask for  [1280x720@60]\n"
        "  --out FILE              write the elementary stream (Annex B) there; - = stdout\n"
        "  --seconds S             stop after S seconds of stream    [until the host ends it]\n"
        "  --bitrate KBPS          video bitrate to ask for                [the host's default]\n"
        "  --pin FINGERPRINT       the host's fingerprint, 64 hex digits; without it the first "
        "one\n"
        "                          seen at this address is remembered and must stay the same\n"
        "  --name NAME             how the host lists this device                  [host name]\n"
        "  --config-dir FOLDER     certificate and known hosts     [~/.config/punktfunk-client]\n"
        "  --json FILE             write the report there as JSON; - = stdout\n"
        "  --verify-synthetic      check every byte of a synthetic host's units\n"
        "  --quiet                 no progress line\n"
        "  --help, --version\n"
        "\n"
        "Example: punktfunk-client --connect 127.0.0.1 --mode 1920x1080@60 --seconds 10 --out "
        "a.h264\n"
        "Exit status: 0 the stream ran and ended normally, 1 it did not, 2 wrong options.\n",
        to);
}

static bool is_stdout(const char *file)
{
    return file && strcmp(file, "-") == 0;
}

static bool parse_unsigned(const char *text, unsigned min, unsigned max, unsigned *out)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || v < min || v > max) {
        return false;
    }
    *out = (unsigned)v;
    return true;
}

// HOST, HOST:PORT, [V6], [V6]:PORT, or a bare IPv6 address.
static bool parse_host(struct options *o, const char *text)
{
    const char *host = text, *port = NULL;
    size_t n = strlen(text);
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (!close || (close[1] && close[1] != ':')) {
            return false;
        }
        host = text + 1;
        n = (size_t)(close - host);
        port = close[1] ? close + 2 : NULL;
    } else if (strchr(text, ':') && strchr(text, ':') == strrchr(text, ':')) {
        n = strcspn(text, ":");
        port = text + n + 1;
    }
    if (n == 0 || n >= sizeof(o->host) || (port && !parse_unsigned(port, 1, 65535, &o->port))) {
        return false;
    }
    memcpy(o->host, host, n);
    o->host[n] = 0;
    return true;
}

static bool parse_mode(struct options *o, const char *text)
{
    int used = 0;
    return sscanf(text, "%5ux%5u@%4u%n", &o->width_px, &o->height_px, &o->hz, &used) == 3 &&
           text[used] == 0 && o->width_px >= 2 && o->height_px >= 2 && o->width_px <= 8192 &&
           o->height_px <= 8192 && o->width_px % 2 == 0 && o->height_px % 2 == 0 && o->hz >= 1 &&
           o->hz <= 9999;
}

enum option_id {
    OPT_CONNECT = 1,
    OPT_MODE,
    OPT_OUT,
    OPT_SECONDS,
    OPT_BITRATE,
    OPT_PIN,
    OPT_NAME,
    OPT_CONFIG_DIR,
    OPT_JSON,
    OPT_VERIFY,
    OPT_QUIET,
    OPT_HELP,
    OPT_VERSION
};

static bool take_option(struct options *o, int id, const char *value)
{
    char *end;
    switch (id) {
    case OPT_CONNECT:
        return parse_host(o, value);
    case OPT_MODE:
        return parse_mode(o, value);
    case OPT_OUT:
        o->out = value;
        return true;
    case OPT_SECONDS:
        o->seconds = strtod(value, &end);
        return *end == 0 && o->seconds > 0 && o->seconds < 1e7;
    case OPT_BITRATE:
        return parse_unsigned(value, 0, 8000000, &o->bitrate_kbps);
    case OPT_PIN:
        o->has_pin = true;
        return fingerprint_parse(value, o->pin) == 0;
    case OPT_NAME:
        o->name = value;
        return true;
    case OPT_CONFIG_DIR:
        o->config_dir = value;
        return true;
    case OPT_JSON:
        o->json = value;
        return true;
    case OPT_VERIFY:
        o->verify_synthetic = true;
        return true;
    case OPT_QUIET:
        o->quiet = true;
        return true;
    default:
        return false;
    }
}

static const char *option_range(int id)
{
    switch (id) {
    case OPT_CONNECT:
        return "give a name or an address and a port from 1 to 65535, such as 192.0.2.7:9777 or "
               "[2001:db8::7]:9777";
    case OPT_MODE:
        return "give WIDTHxHEIGHT@HZ, such as 1280x720@60, with even sizes from 2 to 8192";
    case OPT_SECONDS:
        return "give a number above 0";
    case OPT_BITRATE:
        return "give kbit/s from 0 (the host's default) to 8000000";
    case OPT_PIN:
        return "give the 64 hex digits that the host prints when it starts";
    default:
        return "see --help";
    }
}

// 0 to go on, otherwise the exit status plus one.
static int parse_options(struct options *o, int argc, char **argv)
{
    static const struct option longopts[] = {
        {"connect", required_argument, NULL, OPT_CONNECT},
        {"mode", required_argument, NULL, OPT_MODE},
        {"out", required_argument, NULL, OPT_OUT},
        {"seconds", required_argument, NULL, OPT_SECONDS},
        {"bitrate", required_argument, NULL, OPT_BITRATE},
        {"pin", required_argument, NULL, OPT_PIN},
        {"name", required_argument, NULL, OPT_NAME},
        {"config-dir", required_argument, NULL, OPT_CONFIG_DIR},
        {"json", required_argument, NULL, OPT_JSON},
        {"verify-synthetic", no_argument, NULL, OPT_VERIFY},
        {"quiet", no_argument, NULL, OPT_QUIET},
        {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},
        {0},
    };
    int id, index = 0;
    while ((id = getopt_long(argc, argv, "", longopts, &index)) != -1) {
        if (id == OPT_HELP) {
            usage(stdout);
            return 1;
        }
        if (id == OPT_VERSION) {
            printf("punktfunk-client %s\n", punktfunk_version());
            return 1;
        }
        if (id == '?') { // getopt has said what is wrong
            fputs("`punktfunk-client --help` lists the options\n", stderr);
            return 3;
        }
        if (!take_option(o, id, optarg)) {
            fprintf(stderr, "punktfunk-client: \"%s\" is not possible for --%s; %s\n", optarg,
                    longopts[index].name, option_range(id));
            return 3;
        }
    }
    if (optind < argc || !o->host[0]) {
        fprintf(stderr, "punktfunk-client: %s; see --help\n",
                optind < argc ? "arguments without an option" : "--connect HOST is missing");
        return 3;
    }
    if (is_stdout(o->out) && is_stdout(o->json)) {
        fputs("punktfunk-client: --out and --json cannot both go to standard output\n", stderr);
        return 3;
    }
    return 0;
}

static void log_to_stderr(void *opaque, int level, const char *text)
{
    if (level <= PUNKTFUNK_LOG_WARN) {
        fprintf(stderr, "punktfunk-client: %s\n", text);
    }
}

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

// --- trust ---

static void default_config_dir(char path[PATH_MAX])
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (base && base[0] == '/') {
        snprintf(path, PATH_MAX, "%s/punktfunk-client", base);
    } else {
        snprintf(path, PATH_MAX, "%s/.config/punktfunk-client", home && home[0] ? home : "/root");
    }
}

// --- the stream ---

struct run {
    const struct options *o;
    PunktfunkConnection *c;
    FILE *out;
    struct timings *timings;
    pthread_t timing_thread;
    struct report report;
    bool write_failed;
    uint64_t n_corrupt; // synthetic units that differ from what they must be
    double began_s, shown_s;
};

static void *pull_timings(void *arg)
{
    struct run *r = arg;
    PunktfunkTiming t = {.struct_size = sizeof(t)};
    int err;
    while ((err = punktfunk_next_timing(r->c, &t, 1000)) == PUNKTFUNK_OK ||
           err == PUNKTFUNK_E_TIMEOUT) {
        if (err == PUNKTFUNK_OK) {
            timings_add_record(r->timings, &t);
        }
    }
    return NULL;
}

// Unit i is u32 i, then byte b = (i + b) mod 256.
static bool synthetic_unit_good(const PunktfunkUnit *u)
{
    if (u->n_bytes < 4) {
        return false;
    }
    uint32_t i = u->bytes[0] | (uint32_t)u->bytes[1] << 8 | (uint32_t)u->bytes[2] << 16 |
                 (uint32_t)u->bytes[3] << 24;
    bool good = i == u->index;
    for (size_t b = 4; good && b < u->n_bytes; b++) {
        good = u->bytes[b] == (uint8_t)(i + b);
    }
    return good;
}

static void take_unit(struct run *r, const PunktfunkUnit *u)
{
    struct report *p = &r->report;
    if (p->frames_received++ == 0) {
        p->first_frame_ms = (double)(u->complete_ns - p->info.started_ns) / 1e6;
    }
    if ((uint64_t)u->index + 1 > p->frames_expected) {
        p->frames_expected = (uint64_t)u->index + 1;
    }
    p->video_bytes += u->n_bytes;
    timings_add_unit(r->timings, u);
    if (r->o->verify_synthetic && !synthetic_unit_good(u)) {
        r->n_corrupt++;
    }
    if (r->out && !r->write_failed && fwrite(u->bytes, 1, u->n_bytes, r->out) != u->n_bytes) {
        fprintf(stderr, "punktfunk-client: cannot write %s: %s\n", r->o->out, strerror(errno));
        r->write_failed = true;
    }
}

static void show_progress(struct run *r, bool last)
{
    double now = now_s();
    if (r->o->quiet || (!last && now - r->shown_s < 0.5)) {
        return;
    }
    r->shown_s = now;
    PunktfunkStats s = {.struct_size = sizeof(s)};
    punktfunk_get_stats(r->c, &s);
    fprintf(stderr, "%s%5.1f s  %6llu frames  %llu lost  %llu repaired  %.1f Mbit/s%s",
            isatty(STDERR_FILENO) ? "\r" : "", now - r->began_s,
            (unsigned long long)r->report.frames_received, (unsigned long long)s.frames_lost,
            (unsigned long long)s.shards_recovered,
            (double)r->report.video_bytes * 8e-6 / (now - r->began_s + 1e-9),
            isatty(STDERR_FILENO) && !last ? "   " : "\n");
}

static void receive(struct run *r)
{
    PunktfunkUnit u = {.struct_size = sizeof(u)};
    bool asked_to_stop = false;
    r->began_s = r->shown_s = now_s();
    for (;;) {
        int err = punktfunk_next_unit(r->c, &u, PULL_MS);
        if (err == PUNKTFUNK_OK) {
            take_unit(r, &u);
        } else if (err != PUNKTFUNK_E_TIMEOUT) {
            break;
        }
        bool enough = r->o->seconds > 0 && now_s() - r->began_s >= r->o->seconds;
        if (!asked_to_stop && (interrupted || enough || r->write_failed)) {
            asked_to_stop = true;
            r->report.seconds = now_s() - r->began_s;
            punktfunk_disconnect(r->c);
        }
        show_progress(r, false);
    }
    if (!asked_to_stop) {
        r->report.seconds = now_s() - r->began_s;
    }
    show_progress(r, true);
}

static double cpu_seconds(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) != 0
               ? 0
               : (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                     (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int finish(struct run *r)
{
    const struct options *o = r->o;
    struct report *p = &r->report;
    bool good = !r->write_failed;
    p->info.struct_size = sizeof(p->info);
    p->stats.struct_size = sizeof(p->stats);
    p->end.struct_size = sizeof(p->end);
    punktfunk_get_stream_info(r->c, &p->info);
    punktfunk_get_stats(r->c, &p->stats);
    punktfunk_get_end(r->c, &p->end);
    p->cpu_seconds = cpu_seconds();
    if (p->info.frames_to_come > p->frames_expected && p->end.status == PUNKTFUNK_OK &&
        p->end.by_host) { // the host has told how many there are: what never began is lost too
        p->frames_expected = p->info.frames_to_come;
    }
    timings_evaluate(r->timings, p->info.clock_offset_ns, p->stages);
    // Standard output belongs to the stream or the JSON when one of them goes there.
    FILE *to = is_stdout(o->json) || is_stdout(o->out) ? stderr : stdout;
    report_print(p, to);
    if (o->verify_synthetic) {
        fprintf(to, "contents  %llu units differ from what they must be\n",
                (unsigned long long)r->n_corrupt);
        good = good && r->n_corrupt == 0;
    }
    if (o->json && report_write(p, o->json) != 0) {
        fprintf(stderr, "punktfunk-client: cannot write %s: %s\n", o->json, strerror(errno));
        good = false;
    }
    if (p->end.status != PUNKTFUNK_OK) {
        fprintf(stderr, "punktfunk-client: %s\n", p->end.text);
        good = false;
    } else if (p->frames_received == 0) {
        fprintf(stderr,
                "punktfunk-client: no video came: does a firewall between here and the host "
                "let UDP through?\n");
        good = false;
    }
    return good ? 0 : 1;
}

static int stream(const struct options *o, const PunktfunkConnectConfig *cfg,
                  const char *known_hosts, bool remember)
{
    PunktfunkEnd end = {.struct_size = sizeof(end)};
    struct run r = {.o = o, .report = {.first_frame_ms = -1}};
    if (o->json && report_check(o->json) != 0) { // now, not after an hour of streaming
        fprintf(stderr, "punktfunk-client: cannot write %s: %s\n", o->json, strerror(errno));
        return 1;
    }
    if (o->out) {
        r.out = is_stdout(o->out) ? stdout : fopen(o->out, "abe"); // emptied once there is a stream
        if (!r.out) {
            fprintf(stderr, "punktfunk-client: cannot write %s: %s\n", o->out, strerror(errno));
            return 1;
        }
    }
    int status = 1;
    r.timings = timings_create();
    int err = r.timings ? punktfunk_connect(&r.c, cfg, &end) : PUNKTFUNK_E_NOMEM;
    if (err) {
        fprintf(stderr, "punktfunk-client: %s\n",
                end.text[0] ? end.text : punktfunk_status_text(err));
        if (err == PUNKTFUNK_E_AUTH && !end.by_host && cfg->pin && !o->has_pin) {
            fprintf(stderr,
                    "The host at this address was another one before. If you know why, remove its "
                    "line from %s.\n",
                    known_hosts);
        }
        goto done;
    }
    struct stat st;
    if (r.out && r.out != stdout && fstat(fileno(r.out), &st) == 0 && S_ISREG(st.st_mode) &&
        ftruncate(fileno(r.out), 0) != 0) {
        fprintf(stderr, "punktfunk-client: cannot empty %s: %s\n", o->out, strerror(errno));
        goto done;
    }
    r.report.info.struct_size = sizeof(r.report.info);
    punktfunk_get_stream_info(r.c, &r.report.info);
    if (remember) {
        char hex[65];
        fingerprint_print(r.report.info.host_fingerprint, hex);
        fprintf(stderr, "New host, remembered by its fingerprint %s\n", hex);
        if (known_hosts_add(known_hosts, cfg->host, cfg->port, r.report.info.host_fingerprint) !=
            0) {
            fprintf(stderr, "punktfunk-client: cannot write %s: %s\n", known_hosts,
                    strerror(errno));
        }
    }
    if (pthread_create(&r.timing_thread, NULL, pull_timings, &r) != 0) {
        fprintf(stderr, "punktfunk-client: %s\n", punktfunk_status_text(PUNKTFUNK_E_NOMEM));
        goto done;
    }
    receive(&r);
    pthread_join(r.timing_thread, NULL);
    status = finish(&r);
done:
    punktfunk_connection_free(r.c);
    timings_free(r.timings);
    if (r.out && (r.out == stdout ? fflush(r.out) : fclose(r.out)) != 0) {
        fprintf(stderr, "punktfunk-client: cannot write %s: %s\n", o->out, strerror(errno));
        status = 1;
    }
    return status;
}

int main(int argc, char **argv)
{
    struct options o = {
        .port = PUNKTFUNK_DEFAULT_PORT, .width_px = 1280, .height_px = 720, .hz = 60};
    int rc = parse_options(&o, argc, argv);
    if (rc) {
        return rc - 1;
    }
    char dir[PATH_MAX], known_hosts[PATH_MAX + 16], device[256] = "";
    if (o.config_dir) {
        snprintf(dir, sizeof(dir), "%s", o.config_dir);
    } else {
        default_config_dir(dir);
    }
    snprintf(known_hosts, sizeof(known_hosts), "%s/known_hosts", dir);
    // A second Ctrl-C ends it at once.
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);

    PunktfunkIdentity *identity = NULL;
    int err = punktfunk_identity_open(&identity, dir, log_to_stderr, NULL);
    if (err) {
        return 1; // the log has cause and remedy
    }
    bool remember = false;
    if (!o.has_pin) {
        int known = known_hosts_find(known_hosts, o.host, o.port, o.pin);
        if (known < 0) {
            fprintf(stderr, "punktfunk-client: cannot read %s: %s\n", known_hosts, strerror(errno));
            punktfunk_identity_free(identity);
            return 1;
        }
        remember = known == 0;
    }
    if (gethostname(device, sizeof(device) - 1) != 0) {
        device[0] = 0;
    }
    const PunktfunkConnectConfig cfg = {
        .struct_size = sizeof(cfg),
        .host = o.host,
        .port = (uint16_t)o.port,
        .width_px = o.width_px,
        .height_px = o.height_px,
        .refresh_hz = o.hz,
        .bitrate_kbps = o.bitrate_kbps,
        .device_name = o.name ? o.name : device,
        .pin = remember ? NULL : o.pin,
        .identity = identity,
        .log = log_to_stderr,
        .cancelled = is_interrupted,
    };
    int status = stream(&o, &cfg, known_hosts, remember);
    punktfunk_identity_free(identity);
    return status;
}
