// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/settings/settings.h"

#include "core/base/status.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { TEXT, NUMBER, SWITCH, CHOICE, AUTO_NUMBER }; // AUTO_NUMBER: "auto" or a number

struct row {
    struct setting_info info;
    enum kind kind;
    size_t offset;
    uint32_t min, max;
};

#define AT(field) offsetof(struct settings, field)
#define HELP(flag, value, choices, fallback, help)                                                 \
    {                                                                                              \
        flag, value, choices, fallback, help                                                       \
    }

static const struct row rows[] = {
    {HELP("config-dir", "FOLDER", NULL, "~/.config/punktfunk",
          "certificate, host.conf and the record of what a killed host left behind"),
     TEXT, AT(config_dir), 0, 0},
    {HELP("listen", "ADDRESS", NULL, "127.0.0.1",
          "address to listen on; there is no pairing yet, so 0.0.0.0 or :: lets anybody in who "
          "reaches this machine"),
     TEXT, AT(listen), 0, 0},
    {HELP("port", "PORT", NULL, "9777", "UDP port of the control connection"), NUMBER, AT(port), 0,
     65535},
    {HELP("data-port", "PORT", NULL, "0",
          "UDP port of the video, 0 = any free one for each session"),
     NUMBER, AT(data_port), 0, 65535},
    {HELP("sessions", "N", NULL, "1", "streams at a time; further clients wait"), NUMBER,
     AT(sessions), 1, 16},
    {HELP("idle-timeout", "MS", NULL, "8000", "a client that is silent for so long is gone"),
     NUMBER, AT(idle_timeout_ms), 1000, 3600000},
    {HELP("compositor", "NAME", "auto sway", "auto", "which compositor makes the virtual output"),
     CHOICE, AT(compositor), 0, 0},
    {HELP("own-desktop", NULL, NULL, "off",
          "start an own headless desktop even inside a running session"),
     SWITCH, AT(own_desktop), 0, 0},
    {HELP("command", "COMMAND", NULL, "",
          "shell command that an own desktop runs; empty = the test card"),
     TEXT, AT(command), 0, 0},
    {HELP("desktop-user", "ACCOUNT", NULL, "nobody",
          "account of an own desktop when the host runs as root"),
     TEXT, AT(desktop_user), 0, 0},
    {HELP("bitrate", "KBPS", NULL, "20000",
          "video bitrate for clients that do not ask for one, 500 to 8000000"),
     NUMBER, AT(bitrate_kbps), 500, 8000000},
    {HELP("encoder-preset", "NAME", "auto ultrafast superfast veryfast faster", "auto",
          "x264 preset: slower ones look better and cost delay; auto = superfast, or ultrafast "
          "above 80 "
          "million pixels a second"),
     TEXT, AT(encoder_preset), 0, 0},
    {HELP("fec-percent", "PERCENT", NULL, "auto",
          "parity per data, 0 to 90, or auto: follow the client's loss reports"),
     AUTO_NUMBER, AT(fec_percent), 0, 90},
    {HELP("shard-bytes", "BYTES", NULL, "0",
          "video bytes of a datagram, even, 64 to 1984; 0 = 1408, or 1388 over IPv6"),
     NUMBER, AT(shard_bytes), 0, 1984},
    {HELP("source", "NAME", "desktop synthetic", "desktop",
          "what is streamed; synthetic units need neither compositor nor encoder"),
     CHOICE, AT(source), 0, 0},
    {HELP("synthetic-bytes", "BYTES", NULL, "65536", "size of a synthetic unit"), NUMBER,
     AT(synthetic_bytes), 4, 16777216},
    {HELP("synthetic-hz", "HZ", NULL, "60", "synthetic units a second"), NUMBER, AT(synthetic_hz),
     1, 1000},
    {HELP("synthetic-frames", "N", NULL, "600", "synthetic units in a session; 0 = without end"),
     NUMBER, AT(synthetic_frames), 0, 1000000000},
    {HELP("stage-timing", NULL, NULL, "off",
          "tell clients the time of capture and of colour conversion too"),
     SWITCH, AT(stage_timing), 0, 0},
    {HELP("drop-every", "N", NULL, "0", "for tests: do not send every Nth video datagram"), NUMBER,
     AT(drop_every), 0, 1000000},
    {HELP("plain-udp", NULL, NULL, "off", "for tests: one system call a datagram"), SWITCH,
     AT(plain_udp), 0, 0},
    {HELP("log-level", "LEVEL", "error warn info debug", "info", "what is written to stderr"),
     CHOICE, AT(log_level), 0, 0},
    {HELP("report", "FILE", NULL, "",
          "write the numbers of each session there, as JSON, at its end"),
     TEXT, AT(report), 0, 0},
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

const struct setting_info *settings_row(size_t i)
{
    return i < N_ROWS ? &rows[i].info : NULL;
}

static const struct row *find_row(const char *flag, size_t n)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strlen(rows[i].info.flag) == n && strncmp(rows[i].info.flag, flag, n) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static void *field(struct settings *s, const struct row *row)
{
    return (char *)s + row->offset;
}

// The value's index in "one two three", or -1.
static int choice_index(const char *choices, const char *value)
{
    int i = 0;
    size_t n = strlen(value);
    for (const char *p = choices; *p; i++) {
        size_t word = strcspn(p, " ");
        if (word == n && strncmp(p, value, n) == 0) {
            return i;
        }
        p += word + (p[word] == ' ');
    }
    return -1;
}

static bool parse_number(const char *value, uint32_t min, uint32_t max, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end || errno || v < min || v > max) {
        return false;
    }
    *out = (uint32_t)v;
    return true;
}

static int parse_switch(const char *value)
{
    static const char *const on[] = {"on", "1", "true", "yes"};
    static const char *const off[] = {"off", "0", "false", "no", ""};
    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
        if (strcmp(value, on[i]) == 0) {
            return 1;
        }
    }
    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
        if (strcmp(value, off[i]) == 0) {
            return 0;
        }
    }
    return -1;
}

static void describe_range(const struct row *row, char *text, size_t n)
{
    switch (row->kind) {
    case TEXT:
        if (row->info.choices) {
            snprintf(text, n, "one of: %s", row->info.choices);
        } else {
            snprintf(text, n, "at most %d bytes", SETTINGS_TEXT_MAX - 1);
        }
        break;
    case NUMBER:
        snprintf(text, n, "a number from %u to %u", row->min, row->max);
        break;
    case AUTO_NUMBER:
        snprintf(text, n, "auto, or a number from %u to %u", row->min, row->max);
        break;
    case SWITCH:
        snprintf(text, n, "on or off");
        break;
    case CHOICE:
        snprintf(text, n, "one of: %s", row->info.choices);
        break;
    }
}

static bool assign(struct settings *s, const struct row *row, const char *value)
{
    uint32_t *number = field(s, row);
    int index;
    switch (row->kind) {
    case TEXT:
        if (strlen(value) >= SETTINGS_TEXT_MAX ||
            (row->info.choices && choice_index(row->info.choices, value) < 0)) {
            return false;
        }
        strcpy(field(s, row), value);
        return true;
    case AUTO_NUMBER:
        if (strcmp(value, "auto") == 0) {
            *number = FEC_PERCENT_AUTO;
            return true;
        }
        return parse_number(value, row->min, row->max, number);
    case NUMBER:
        return parse_number(value, row->min, row->max, number);
    case SWITCH:
        index = parse_switch(value);
        *(bool *)field(s, row) = index == 1;
        return index >= 0;
    case CHOICE:
        index = choice_index(row->info.choices, value);
        *number = (uint32_t)index;
        return index >= 0;
    }
    return false;
}

static int set(struct settings *s, const struct row *row, const char *value, const char *where,
               char *error, size_t error_bytes)
{
    if (assign(s, row, value)) {
        return PFK_OK;
    }
    char range[128];
    describe_range(row, range, sizeof(range));
    snprintf(error, error_bytes, "%s: \"%.60s\" is not possible for %s; give %s", where, value,
             row->info.flag, range);
    return PFK_E_INVALID;
}

static const char *env_name(const struct row *row, char *name, size_t n)
{
    snprintf(name, n, "PUNKTFUNK_%s", row->info.flag);
    for (char *p = name; *p; p++) {
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    }
    return name;
}

// Where settings that no source names are taken from.
static void set_defaults(struct settings *s)
{
    memset(s, 0, sizeof(*s));
    for (size_t i = 0; i < N_ROWS; i++) {
        if (rows[i].info.fallback[0] != '~') {
            (void)assign(s, &rows[i], rows[i].info.fallback); // the table's own values are legal
        }
    }
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (base && base[0] == '/') {
        snprintf(s->config_dir, sizeof(s->config_dir), "%s/punktfunk", base);
    } else {
        snprintf(s->config_dir, sizeof(s->config_dir), "%s/.config/punktfunk",
                 home && home[0] ? home : "/root");
    }
}

struct conf {
    struct settings *s;
    const char *path;
    char *error;
    size_t error_bytes;
    int err;
};

static int on_conf_line(void *opaque, const char *section, const char *name, const char *value)
{
    struct conf *c = opaque;
    if (c->err) {
        return 1;
    }
    if (section[0]) {
        snprintf(c->error, c->error_bytes, "%s: remove the line [%.60s]; settings have no sections",
                 c->path, section);
        c->err = PFK_E_INVALID;
        return 1;
    }
    const struct row *row = find_row(name, strlen(name));
    if (!row || row->offset == AT(config_dir)) {
        snprintf(c->error, c->error_bytes,
                 "%s: unknown setting \"%.60s\"; `punktfunk-host serve --help` lists them", c->path,
                 name);
        c->err = PFK_E_INVALID;
        return 1;
    }
    c->err = set(c->s, row, value, c->path, c->error, c->error_bytes);
    return 1;
}

static int load_conf(struct settings *s, char *error, size_t error_bytes)
{
    char path[SETTINGS_TEXT_MAX + 16];
    snprintf(path, sizeof(path), "%s/host.conf", s->config_dir);
    FILE *f = fopen(path, "re");
    if (!f) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return PFK_OK;
        }
        snprintf(error, error_bytes, "cannot read %.300s: %s; check who owns it", path,
                 strerror(errno));
        return PFK_E_IO;
    }
    struct conf c = {s, path, error, error_bytes, PFK_OK};
    int line = ini_parse_file(f, on_conf_line, &c);
    fclose(f);
    if (!c.err && line != 0) {
        snprintf(error, error_bytes, "%.300s, line %d: write `name = value`", path, line);
        return PFK_E_INVALID;
    }
    return c.err;
}

// A misspelt variable would otherwise be without effect and without a word. PUNKTFUNK_TEST* is the
// tests' own.
static int check_env_names(char *error, size_t error_bytes)
{
    for (char **e = environ; *e; e++) {
        size_t n = strcspn(*e, "=");
        bool known = strncmp(*e, "PUNKTFUNK_", 10) != 0 || strncmp(*e, "PUNKTFUNK_TEST", 14) == 0;
        for (size_t i = 0; !known && i < N_ROWS; i++) {
            char name[64];
            known = strlen(env_name(&rows[i], name, sizeof(name))) == n && !strncmp(*e, name, n);
        }
        if (!known) {
            snprintf(error, error_bytes,
                     "unknown setting %.*s in the environment; `punktfunk-host serve --help` lists "
                     "them",
                     n > 60 ? 60 : (int)n, *e);
            return PFK_E_INVALID;
        }
    }
    return PFK_OK;
}

static int load_env(struct settings *s, char *error, size_t error_bytes)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        char name[64];
        const char *value = getenv(env_name(&rows[i], name, sizeof(name)));
        if (value) {
            int err = set(s, &rows[i], value, name, error, error_bytes);
            if (err) {
                return err;
            }
        }
    }
    return PFK_OK;
}

// @only  NULL, or the one row to take (config-dir, which says where host.conf is)
static int load_args(struct settings *s, int argc, char **argv, const struct row *only, char *error,
                     size_t error_bytes)
{
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        size_t n = strcspn(arg, "=");
        const struct row *row = strncmp(arg, "--", 2) == 0 ? find_row(arg + 2, n - 2) : NULL;
        if (!row) {
            snprintf(error, error_bytes,
                     "unknown setting \"%.60s\"; `punktfunk-host serve --help` lists them", arg);
            return PFK_E_INVALID;
        }
        const char *value = arg[n] == '=' ? arg + n + 1 : NULL;
        if (!value && row->kind == SWITCH) {
            value = "on";
        } else if (!value) {
            if (++i == argc) {
                snprintf(error, error_bytes, "%s needs a value: --%s %s", arg, row->info.flag,
                         row->info.value);
                return PFK_E_INVALID;
            }
            value = argv[i];
        }
        if (!only || row == only) {
            int err = set(s, row, value, "command line", error, error_bytes);
            if (err) {
                return err;
            }
        }
    }
    return PFK_OK;
}

static int check_together(const struct settings *s, char *error, size_t error_bytes)
{
    if (s->shard_bytes != 0 && (s->shard_bytes < 64 || s->shard_bytes % 2)) {
        snprintf(error, error_bytes,
                 "shard-bytes: %u is not possible; give 0 or an even number from "
                 "64 to 1984",
                 s->shard_bytes);
        return PFK_E_INVALID;
    }
    if (s->data_port && s->data_port == s->port) {
        snprintf(error, error_bytes,
                 "data-port: %u is the port of the control connection; give another one, or 0",
                 s->data_port);
        return PFK_E_INVALID;
    }
    if (s->data_port && s->sessions > 1) {
        snprintf(
            error, error_bytes,
            "data-port: one fixed port serves one session; set sessions to 1 or data-port to 0");
        return PFK_E_INVALID;
    }
    return PFK_OK;
}

int settings_load(struct settings *s, int argc, char **argv, char *error, size_t error_bytes)
{
    set_defaults(s);
    const struct row *dir = find_row("config-dir", strlen("config-dir"));
    char name[64];
    const char *from_env = getenv(env_name(dir, name, sizeof(name)));
    int err = from_env ? set(s, dir, from_env, name, error, error_bytes) : PFK_OK;
    if (!err) {
        err = load_args(s, argc, argv, dir, error, error_bytes);
    }
    if (!err) {
        err = load_conf(s, error, error_bytes);
    }
    if (!err) {
        err = check_env_names(error, error_bytes);
    }
    if (!err) {
        err = load_env(s, error, error_bytes);
    }
    if (!err) {
        err = load_args(s, argc, argv, NULL, error, error_bytes);
    }
    return err ? err : check_together(s, error, error_bytes);
}

// Folds a text at 74 columns.
static void print_folded(FILE *to, const char *text)
{
    const size_t width = 74;
    while (*text) {
        size_t n = strlen(text);
        if (n > width) {
            n = width;
            while (n > 0 && text[n] != ' ') {
                n--;
            }
        }
        fprintf(to, "      %.*s\n", (int)n, text);
        text += n;
        text += *text == ' ';
    }
}

void settings_print_help(FILE *to)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct setting_info *r = &rows[i].info;
        fprintf(to, "  --%s%s%s", r->flag, r->value ? " " : "", r->value ? r->value : "");
        if (r->choices) {
            fprintf(to, "  (%s)", r->choices);
        }
        fprintf(to, "%s%s%s\n", r->fallback[0] ? "  [" : "", r->fallback,
                r->fallback[0] ? "]" : "");
        print_folded(to, r->help);
    }
}
