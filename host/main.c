// SPDX-License-Identifier: MIT OR Apache-2.0
// punktfunk-host: a table of subcommands.
#include "core/base/status.h"
#include "host/display/display.h"
#include "host/native/native.h"
#include "host/native/report.h"
#include "host/settings/settings.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static void log_to_stderr(void *opaque, enum pfk_log_level level, const char *text)
{
    if ((uint32_t)level > *(const uint32_t *)opaque) {
        return;
    }
    struct timespec now;
    struct tm tm;
    char stamp[32] = "";
    clock_gettime(CLOCK_REALTIME, &now);
    if (localtime_r(&now.tv_sec, &tm)) {
        strftime(stamp, sizeof(stamp), "%H:%M:%S", &tm);
    }
    fprintf(stderr, "%s.%03ld %-5s %s\n", stamp, now.tv_nsec / 1000000, level_names[level], text);
}

static void print_usage(FILE *to)
{
    fputs("Usage: punktfunk-host serve [options]\n"
          "       punktfunk-host --help | --version\n"
          "\n"
          "Streams a Linux desktop to punktfunk/1 clients. For each client it makes a virtual "
          "output\n"
          "of exactly the client's size and refresh rate, captures and encodes it, and sends it\n"
          "protected against loss and encrypted.\n"
          "\n"
          "  punktfunk-host serve                        an own desktop with a test card, on "
          "loopback\n"
          "  punktfunk-host serve --command weston-terminal\n"
          "  punktfunk-host serve --listen 0.0.0.0       for other machines: no pairing yet!\n"
          "\n"
          "`punktfunk-host serve --help` lists all options.\n",
          to);
}

static void print_serve_help(FILE *to)
{
    fputs("Usage: punktfunk-host serve [options]\n"
          "\n"
          "Each option is also an environment variable (--fec-percent is PUNKTFUNK_FEC_PERCENT) "
          "and a\n"
          "line `name = value` in host.conf in the config folder. An option wins over the "
          "environment,\n"
          "the environment over host.conf. Defaults are in [brackets].\n"
          "\n",
          to);
    settings_print_help(to);
}

static int serve_until_signal(const struct settings *s, const sigset_t *signals,
                              const struct pfk_log *log)
{
    struct pfk_identity *identity = NULL;
    struct display *display = NULL;
    struct native *native = NULL;
    int err = pfk_identity_open(&identity, PFK_IDENTITY_HOST, s->config_dir, log);
    if (!err) {
        err = report_check(s->report, log);
    }
    if (!err && s->source == SOURCE_DESKTOP) {
        const struct display_config dc = {
            .compositor = s->compositor == COMPOSITOR_SWAY ? "sway" : "auto",
            .own_desktop = s->own_desktop,
            .command = s->command,
            .user = s->desktop_user,
            .state_dir = s->config_dir,
            .log = *log,
        };
        err = display_open(&display, &dc);
    }
    if (!err) {
        err = native_start(&native, s, identity, display, log);
    }
    if (!err) {
        char hex[65];
        pfk_fingerprint_hex(pfk_identity_fingerprint(identity), hex);
        pfk_logf(log, PFK_LOG_INFO, "fingerprint %s", hex);
        pfk_logf(log, PFK_LOG_INFO, "ready: UDP %s port %u", s->listen, native_port(native));
        int sig = 0;
        sigwait(signals, &sig);
        pfk_logf(log, PFK_LOG_INFO, "%s: ending",
                 sig == SIGINT   ? "interrupted"
                 : sig == SIGHUP ? "its terminal is gone"
                                 : "terminated");
    }
    native_stop(native);
    display_close(display);
    pfk_identity_destroy(identity);
    return err ? 1 : 0;
}

static int cmd_serve(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_serve_help(stdout);
            return 0;
        }
    }
    struct settings s;
    char error[700];
    if (settings_load(&s, argc, argv, error, sizeof(error)) != PFK_OK) {
        fprintf(stderr, "punktfunk-host: %s\n", error);
        return 2;
    }
    const struct pfk_log log = {log_to_stderr, &s.log_level};
    // Every thread is made with these blocked, so that only sigwait() sees them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    if (signal(SIGHUP, SIG_IGN) == SIG_DFL) { // its terminal is closed, and nohup was not wanted
        signal(SIGHUP, SIG_DFL);
        sigaddset(&signals, SIGHUP);
    }
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return serve_until_signal(&s, &signals, &log);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {{"serve", cmd_serve}};

int main(int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_usage(stdout);
        return 0;
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        puts("punktfunk-host " PFK_VERSION);
        return 0;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    if (argc >= 2) {
        fprintf(stderr, "punktfunk-host: unknown command \"%s\"\n", argv[1]);
    }
    print_usage(stderr);
    return 2;
}
