// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/display/desktop.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "host/display/desktop_record.h"
#include "host/display/desktop_supervisor.h"
#include "host/display/sway_ipc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ENV = 512, STOP_TIMEOUT_MS = 8000, LAST_WORDS_BYTES = 400 };

static const char sway_config[] = "# Written by punktfunk-host for its own headless desktop.\n"
                                  "xwayland disable\n"
                                  "default_border none\n"
                                  "default_floating_border none\n"
                                  "hide_edge_borders both\n"
                                  "seat * hide_cursor 1000\n"
                                  "focus_on_window_activation focus\n";

// --- the account ---

struct account {
    bool change;
    uid_t uid;
    gid_t gid;
    gid_t groups[DESKTOP_MAX_GROUPS];
    int n_groups;
    char name[64];
};

// sway refuses to run as root, so a host of root gives the desktop to somebody else.
static int find_account(struct account *a, const char *user, const struct pfk_log *log)
{
    *a = (struct account){.change = geteuid() == 0};
    if (!a->change) {
        return PFK_OK;
    }
    user = user && user[0] ? user : "nobody";
    const struct passwd *pw = getpwnam(user);
    if (!pw || pw->pw_uid == 0) {
        pfk_logf(log, PFK_LOG_ERROR,
                 "desktop-user: %s account \"%s\"; sway does not run as root: name another one",
                 pw ? "root is the" : "there is no", user);
        return PFK_E_INVALID;
    }
    a->uid = pw->pw_uid;
    a->gid = pw->pw_gid;
    snprintf(a->name, sizeof(a->name), "%s", user);
    a->n_groups = DESKTOP_MAX_GROUPS;
    if (getgrouplist(user, pw->pw_gid, a->groups, &a->n_groups) < 0) {
        a->n_groups = 1;
        a->groups[0] = pw->pw_gid;
    }
    return PFK_OK;
}

// --- the folder ---

static int write_file(const struct desktop *d, const char *name, const char *text, mode_t mode)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", d->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return PFK_E_IO;
    }
    size_t n = strlen(text);
    bool ok = write(fd, text, n) == (ssize_t)n && fchmod(fd, mode) == 0;
    return close(fd) == 0 && ok ? PFK_OK : PFK_E_IO;
}

// The desktop's account may not be able to read the place where the program lies, so it gets a
// copy.
static int copy_program(const struct desktop *d, const char *from, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", d->folder, name);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    struct stat st;
    bool ok = out >= 0 && fstat(in, &st) == 0;
    for (off_t left = ok ? st.st_size : 0; ok && left > 0;) {
        char bytes[65536];
        ssize_t n = read(in, bytes, sizeof(bytes));
        ok = n > 0 && write(out, bytes, (size_t)n) == n;
        left -= n;
    }
    ok = ok && fchmod(out, 0755) == 0;
    if (out >= 0) {
        ok = close(out) == 0 && ok;
    }
    if (in >= 0) {
        close(in);
    }
    return ok ? PFK_OK : PFK_E_IO;
}

// In the build tree it lies beside the host, installed in libexec.
static bool find_testcard(char path[PATH_MAX])
{
    const char *named = getenv("PUNKTFUNK_TESTCARD");
    if (named && named[0]) {
        snprintf(path, PATH_MAX, "%s", named);
        return access(path, X_OK) == 0;
    }
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = n > 0 ? (self[n] = 0, strrchr(self, '/')) : NULL;
    if (!slash) {
        return false;
    }
    *slash = 0;
    static const char *const places[] = {"desktop", "../libexec/punktfunk", "."};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int len = snprintf(path, PATH_MAX, "%s/%s/punktfunk-testcard", self, places[i]);
        if (len < PATH_MAX && access(path, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

// @testcard  where it lies, when the command is empty
static int write_command(const struct desktop *d, const char *command, const char *testcard)
{
    char *script = NULL;
    int err = PFK_OK;
    if (command && command[0]) {
        if (asprintf(&script, "#!/bin/sh\n%s\n", command) < 0) {
            return PFK_E_NOMEM;
        }
    } else {
        err = copy_program(d, testcard, "testcard");
        if (err || asprintf(&script, "#!/bin/sh\nexec %s/testcard\n", d->folder) < 0) {
            return err ? err : PFK_E_NOMEM;
        }
    }
    err = write_file(d, "start", script, 0755);
    free(script);
    return err;
}

static int make_folder(struct desktop *d)
{
    static const char *const templates[] = {"/run/punktfunk-XXXXXX", "/tmp/punktfunk-XXXXXX"};
    const char *made = NULL;
    for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]) && !made; i++) {
        snprintf(d->folder, sizeof(d->folder), "%s", templates[i]);
        made = mkdtemp(d->folder);
    }
    if (!made) {
        pfk_logf(d->log, PFK_LOG_ERROR, "cannot make a folder for the desktop in /run or /tmp: %s",
                 strerror(errno));
        d->folder[0] = 0;
        return PFK_E_IO;
    }
    snprintf(d->ipc_socket, sizeof(d->ipc_socket), "%s/sway.sock", d->folder);
    snprintf(d->start_file, sizeof(d->start_file), "%s/start", d->folder);
    return PFK_OK;
}

static int open_log(struct desktop *d)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/sway.log", d->folder);
    d->log_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return d->log_file >= 0 ? PFK_OK : PFK_E_IO;
}

static int fill_folder(struct desktop *d, const struct desktop_config *cfg, const struct account *a)
{
    char testcard[PATH_MAX] = "";
    if (!(cfg->command && cfg->command[0]) && !find_testcard(testcard)) {
        pfk_logf(
            d->log, PFK_LOG_ERROR,
            "punktfunk-testcard is not beside punktfunk-host: install both, or name a command");
        return PFK_E_IO;
    }
    int err = write_file(d, "config", sway_config, 0644);
    if (!err) {
        err = write_command(d, cfg->command, testcard);
    }
    if (!err) {
        err = open_log(d);
    }
    if (!err && a->change && chown(d->folder, a->uid, a->gid) != 0) {
        err = PFK_E_IO;
    }
    if (err) {
        pfk_logf(d->log, PFK_LOG_ERROR, "cannot prepare the desktop's folder %s: %s", d->folder,
                 strerror(errno));
    }
    return err;
}

// --- the environment ---

struct environment {
    char *list[MAX_ENV + 1];
    int n;
};

static void env_add(struct environment *e, const char *name, const char *value)
{
    if (value && e->n < MAX_ENV && asprintf(&e->list[e->n], "%s=%s", name, value) >= 0) {
        e->n++;
    }
    e->list[e->n] = NULL;
}

static void env_free(struct environment *e)
{
    for (int i = 0; i < e->n; i++) {
        free(e->list[i]);
    }
}

// Variables of the session that the host was started from, which would lead out of the new one.
static bool leads_out(const char *variable)
{
    static const char *const names[] = {
        "DISPLAY=",         "WAYLAND_DISPLAY=", "SWAYSOCK=",
        "I3SOCK=",          "XAUTHORITY=",      "WLR_",
        "XDG_RUNTIME_DIR=", "XDG_SESSION_",     "XDG_CURRENT_DESKTOP=",
        "DBUS_SESSION_",    "PUNKTFUNK_",       "NOTIFY_SOCKET="};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strncmp(variable, names[i], strlen(names[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void fill_environment(struct environment *e, const struct desktop *d,
                             const struct account *a)
{
    if (a->change) {
        env_add(e, "PATH", getenv("PATH"));
        env_add(e, "LANG", getenv("LANG"));
        env_add(e, "HOME", d->folder);
        env_add(e, "USER", a->name);
        env_add(e, "LOGNAME", a->name);
    } else {
        for (char **v = environ; *v && e->n < MAX_ENV - 16; v++) {
            if (!leads_out(*v) && (e->list[e->n] = strdup(*v))) {
                e->n++;
            }
        }
    }
    env_add(e, "XDG_RUNTIME_DIR", d->folder);
    env_add(e, "SWAYSOCK", d->ipc_socket);
    env_add(e, "XDG_SESSION_TYPE", "wayland");
    env_add(e, "XDG_CURRENT_DESKTOP", "sway");
    env_add(e, "WLR_BACKENDS", "headless");
    env_add(e, "WLR_HEADLESS_OUTPUTS", "0");
    env_add(e, "WLR_LIBINPUT_NO_DEVICES", "1");
    env_add(e, "WLR_RENDERER", "pixman");
}

// --- start and stop ---

static int spawn(struct desktop *d, const struct desktop_config *cfg, const struct account *a)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        pfk_logf(d->log, PFK_LOG_ERROR, "cannot start %s: %s", cfg->program, strerror(errno));
        return PFK_E_IO;
    }
    struct environment env = {.n = 0};
    fill_environment(&env, d, a);
    char config[PATH_MAX];
    snprintf(config, sizeof(config), "%s/config", d->folder);
    char *argv[] = {(char *)(uintptr_t)cfg->program, (char *)(uintptr_t) "-c", config, NULL};
    struct desktop_plan plan = {.folder = d->folder,
                                .argv = argv,
                                .envp = env.list,
                                .change_account = a->change,
                                .uid = a->uid,
                                .gid = a->gid,
                                .n_groups = a->n_groups,
                                .lifeline = pair[1],
                                .log_file = d->log_file};
    memcpy(plan.groups, a->groups, sizeof(plan.groups));
    pid_t pid = fork();
    if (pid == 0) {
        desktop_supervise(&plan);
    }
    struct desktop_report report = {0, pid < 0 ? errno : 0};
    close(pair[1]);
    env_free(&env);
    d->lifeline = pair[0];
    if (pid < 0) {
        pfk_logf(d->log, PFK_LOG_ERROR, "cannot start %s: %s", cfg->program,
                 strerror(report.error));
        return PFK_E_IO;
    }
    if (!process_identify(pid, &d->supervisor)) {
        d->supervisor = (struct process_id){pid, 0}; // ended already: still ours to reap
    }
    if (recv(d->lifeline, &report, sizeof(report), 0) != sizeof(report) || !report.compositor) {
        pfk_logf(d->log, PFK_LOG_ERROR, "cannot start %s: %s", cfg->program,
                 strerror(report.error ? report.error : EIO));
        return PFK_E_IO;
    }
    (void)process_identify(report.compositor,
                           &d->compositor); // if it has ended, wait_ready() tells
    return PFK_OK;
}

int desktop_start(struct desktop **out, const struct desktop_config *cfg)
{
    *out = NULL;
    struct account account;
    struct desktop *d = calloc(1, sizeof(*d));
    if (!d) {
        return PFK_E_NOMEM;
    }
    d->lifeline = d->log_file = -1;
    d->log = cfg->log;
    d->state_dir = cfg->state_dir ? strdup(cfg->state_dir) : NULL;
    int err = find_account(&account, cfg->user, cfg->log);
    if (!err) {
        err = make_folder(d);
    }
    if (!err) {
        err = fill_folder(d, cfg, &account);
    }
    if (!err) {
        err = spawn(d, cfg, &account);
    }
    if (!err && d->state_dir && desktop_record_add(d) != PFK_OK) {
        pfk_logf(d->log, PFK_LOG_WARN,
                 "cannot note the desktop in %s: %s; should this host be killed together with its "
                 "helper, the desktop stays behind",
                 d->state_dir, strerror(errno));
    }
    if (err) {
        desktop_stop(d);
        return err;
    }
    *out = d;
    return PFK_OK;
}

static bool find_wayland_socket(struct desktop *d)
{
    DIR *dir = opendir(d->folder);
    if (!dir) {
        return false;
    }
    bool found = false;
    for (const struct dirent *e; !found && (e = readdir(dir));) {
        if (strncmp(e->d_name, "wayland-", 8) == 0 && !strchr(e->d_name + 8, '.')) {
            int n = snprintf(d->wayland_socket, sizeof(d->wayland_socket), "%s/%s", d->folder,
                             e->d_name);
            found = n < (int)sizeof(d->wayland_socket);
        }
    }
    closedir(dir);
    return found;
}

// The end of what the compositor wrote, on one line.
static const char *last_words(const struct desktop *d, char text[LAST_WORDS_BYTES])
{
    off_t size = lseek(d->log_file, 0, SEEK_END);
    off_t from = size > LAST_WORDS_BYTES - 1 ? size - (LAST_WORDS_BYTES - 1) : 0;
    ssize_t n = pread(d->log_file, text, LAST_WORDS_BYTES - 1, from);
    n = n < 0 ? 0 : n;
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' ')) {
        n--;
    }
    for (ssize_t i = 0; i < n; i++) {
        text[i] = text[i] == '\n' ? '|' : (unsigned char)text[i] < 0x20 ? ' ' : text[i];
    }
    text[n] = 0;
    return n ? text : "it said nothing";
}

int desktop_wait_ready(struct desktop *d, int timeout_ms)
{
    char words[LAST_WORDS_BYTES];
    const uint64_t until = pfk_clock_monotonic_ns() + (uint64_t)timeout_ms * 1000000u;
    for (;;) {
        int fd = sway_ipc_connect(d->ipc_socket);
        if (fd >= 0) {
            close(fd);
            if (find_wayland_socket(d)) {
                return PFK_OK;
            }
        }
        bool ended = !process_alive(d->compositor);
        if (ended || pfk_clock_monotonic_ns() >= until) {
            if (ended) { // its words are complete when the supervisor has ended too
                (void)process_wait_gone(d->supervisor, STOP_TIMEOUT_MS);
            }
            pfk_logf(d->log, PFK_LOG_ERROR, "the compositor %s; its last words: %s",
                     ended ? "ended at once" : "does not come up", last_words(d, words));
            return ended ? PFK_E_CLOSED : PFK_E_TIMEOUT;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

void desktop_stop(struct desktop *d)
{
    if (!d) {
        return;
    }
    if (d->lifeline >= 0) {
        close(d->lifeline);
    }
    if (d->supervisor.pid > 0) {
        if (!process_wait_gone(d->supervisor, STOP_TIMEOUT_MS)) {
            process_signal_descendants(d->supervisor.pid, SIGKILL);
            process_signal(d->supervisor, SIGKILL);
        }
        while (waitpid(d->supervisor.pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (d->folder[0]) {
        process_remove_folder(d->folder); // usually gone already
    }
    if (d->state_dir) {
        desktop_record_remove(d);
    }
    if (d->log_file >= 0) {
        close(d->log_file);
    }
    free(d->state_dir);
    free(d);
}
