// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tests/unit/host/desktop_fixture.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "host/desktop/testcard_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PLAIN_USER "plain-user" // argv[1] of the second run

static void keep_line(void *opaque, enum pfk_log_level level, const char *text)
{
    struct fixture *f = opaque;
    size_t n = strlen(f->log);
    if (level <= PFK_LOG_WARN) {
        snprintf(f->log + n, sizeof(f->log) - n, "%s\n", text);
    }
}

static bool copy_file(const char *from, const char *to, mode_t mode)
{
    char bytes[65536];
    ssize_t n = -1;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    while (in >= 0 && out >= 0 && (n = read(in, bytes, sizeof(bytes))) > 0 &&
           write(out, bytes, (size_t)n) == n) {
    }
    close(in);
    return close(out) == 0 && n == 0;
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char card[96];
    strcpy(f->folder, "/tmp/pf-test-XXXXXX"); // 0700
    if (!mkdtemp(f->folder)) {
        return -1;
    }
    // The second run has it from the first.
    const char *built = getenv("TEST_TESTCARD") ? getenv("TEST_TESTCARD") : TESTCARD_PATH;
    snprintf(card, sizeof(card), "%s/punktfunk-testcard", f->folder);
    if (!copy_file(built, card, 0700)) {
        return -1;
    }
    setenv("PUNKTFUNK_TESTCARD", card, 1);
    f->cfg = (struct display_config){
        .compositor = "auto", .own_desktop = true, .state_dir = f->folder, .log = {keep_line, f}};
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    for (char *rest = f->log, *line; (line = strtok_r(rest, "\n", &rest));) {
        print_message("# logged: %s\n", line); // a comment in TAP
    }
    bool removed = process_remove_folder(f->folder);
    free(f);
    return removed ? 0 : -1;
}

static bool has_sway(void)
{
    for (const char *p = getenv("PATH"); p && *p; p += strcspn(p, ":"), p += *p == ':') {
        char path[4096];
        snprintf(path, sizeof(path), "%.*s/sway", (int)strcspn(p, ":"), p);
        if (access(path, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

void fixture_desktop_folder(const struct display *d, char out[108])
{
    strcpy(out, d->wayland_socket);
    *strrchr(out, '/') = '\0';
}

bool fixture_all_gone(struct process_id compositor, const char *desktop_folder)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
        if (!process_alive(compositor) && access(desktop_folder, F_OK) != 0 &&
            process_signal_in_folder(desktop_folder, 0) == 0) {
            return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return false;
}

struct capture *fixture_capture(struct fixture *f, const struct display *d,
                                const struct display_output *o)
{
    struct capture *c;
    const struct capture_config cfg = {.wayland_socket = d->wayland_socket,
                                       .output = o->name,
                                       .width_px = o->width_px,
                                       .height_px = o->height_px,
                                       .hz = o->hz,
                                       .log = f->cfg.log};
    CHECK_EQ(capture_open(&c, &cfg, NULL), PFK_OK);
    return c;
}

struct frame *fixture_next_card(struct capture *c, uint32_t *counter)
{
    const uint64_t until = pfk_clock_monotonic_ns() + PATIENCE_MS * 1000000ull;
    while (pfk_clock_monotonic_ns() < until) {
        struct frame *f;
        int err = capture_next(c, &f, PATIENCE_MS);
        CHECK_EQ(err, PFK_OK);
        uint32_t now;
        if (testcard_read_counter(f->pixels + 1, f->stride_bytes, 4, f->width_px, f->height_px,
                                  &now) &&
            now > *counter) {
            *counter = now;
            return f;
        }
        frame_unref(f);
    }
    fail_msg("the test card does not appear, or stands still");
    return NULL;
}

// The program itself, opened as root: a plain user may not be able to reach its folder.
_Noreturn static void become_plain_user(int program, const char *folder, int output)
{
    const struct passwd *pw = getpwnam("nobody");
    char *argv[] = {(char[]){"test"}, (char[]){PLAIN_USER}, NULL};
    setenv("TEST_TESTCARD", folder, 1);
    unsetenv("XDG_RUNTIME_DIR");
    dup2(output, 1);
    dup2(output, 2);
    if (pw && chdir("/") == 0 && setgroups(0, NULL) == 0 &&
        setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == 0 &&
        setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == 0) {
        fexecve(program, argv, environ);
    }
    perror("cannot run as a plain user");
    _exit(126);
}

static void all_of_it_holds_for_a_plain_user(void **state)
{
    char folder[] = "/tmp/pf-plain-XXXXXX", card[64], text[4096];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(card, sizeof(card), "%s/testcard", folder);
    CHECK(chmod(folder, 0755) == 0 && copy_file(TESTCARD_PATH, card, 0755));
    int output[2], program = open("/proc/self/exe", O_RDONLY);
    CHECK(program >= 0 && pipe2(output, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        become_plain_user(program, card, output[1]);
    }
    close(output[1]);
    close(program);
    for (ssize_t n; (n = read(output[0], text, sizeof(text) - 1)) > 0;) {
        text[n] = '\0';
        fprintf(stderr, "%s", text); // stdout is the outer run's report
    }
    close(output[0]);
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(process_remove_folder(folder));
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

int fixture_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests,
                 size_t n_tests)
{
    // Not cmocka's skip(): meson takes its "not ok # SKIP" for a failure.
    if (!has_sway()) {
        printf("1..0 # SKIP sway is not installed (apt install sway)\n");
        return 0;
    }
    struct CMUnitTest all[64];
    CHECK(n_tests < 64);
    memcpy(all, tests, n_tests * sizeof(all[0]));
    all[n_tests] = (struct CMUnitTest)cmocka_unit_test(all_of_it_holds_for_a_plain_user);
    bool second = argc > 1 && strcmp(argv[1], PLAIN_USER) == 0;
    return _cmocka_run_group_tests(name, all, n_tests + (!second && geteuid() == 0), NULL, NULL);
}
