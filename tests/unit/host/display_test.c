// SPDX-License-Identifier: MIT OR Apache-2.0
// Own desktops and their outputs, with the real sway.
#include "tests/unit/host/desktop_fixture.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "host/desktop/testcard_layout.h"
#include "host/display/desktop.h"
#include "host/display/sway_ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct display *open_display(struct fixture *f)
{
    struct display *d;
    CHECK_EQ(display_open(&d, &f->cfg), PFK_OK);
    CHECK(d->own);
    CHECK(d->pid > 0);
    return d;
}

static struct display_output *create(struct display *d, uint32_t w, uint32_t h, uint32_t hz)
{
    struct display_output *o;
    CHECK_EQ(display_output_create(d, &o, w, h, hz), PFK_OK);
    CHECK_EQ(o->width_px, w);
    CHECK_EQ(o->height_px, h);
    CHECK_EQ(o->hz, hz);
    return o;
}

// Through a connection of its own: what sway says, not what we remember.
static json_t *outputs_of(const struct display *d)
{
    char path[128];
    fixture_desktop_folder(d, path);
    strcat(path, "/sway.sock");
    int fd = sway_ipc_connect(path);
    CHECK(fd >= 0);
    json_t *outputs;
    CHECK_EQ(sway_ipc_request(fd, SWAY_IPC_GET_OUTPUTS, NULL, &outputs), PFK_OK);
    close(fd);
    return outputs;
}

// An idle output is off, or - with sway 1.7 - slow.
static void check_n_outputs(const struct display *d, size_t n_all, size_t n_live)
{
    json_t *outputs = outputs_of(d), *o;
    size_t i, live = 0;
    json_array_foreach(outputs, i, o)
    {
        const json_t *mode = json_object_get(o, "current_mode");
        live += json_is_true(json_object_get(o, "active")) &&
                json_integer_value(json_object_get(mode, "refresh")) >= 10000;
    }
    CHECK_EQ(json_array_size(outputs), n_all);
    CHECK_EQ(live, n_live);
    json_decref(outputs);
}

static struct process_id identify(pid_t pid)
{
    struct process_id id;
    CHECK(process_identify(pid, &id));
    return id;
}

static void check_card(const struct frame *f, uint32_t w, uint32_t h)
{
    CHECK_EQ(f->width_px, w);
    CHECK_EQ(f->height_px, h);
    for (unsigned p = 0; p < TESTCARD_N_PATCHES; p++) {
        struct testcard_rect r = testcard_patch(p, w, h);
        for (uint32_t y = r.y; y < r.y + r.h; y++) {
            for (uint32_t x = r.x; x < r.x + r.w; x++) {
                const uint8_t *px = f->pixels + (size_t)y * f->stride_bytes + (size_t)x * 4;
                CHECK_EQ(px[2] << 16 | px[1] << 8 | px[0], testcard_patch_rgb(p));
            }
        }
    }
}

// The card fills the output, alive.
static void check_output_shows_card(struct fixture *f, struct display *d, struct display_output *o)
{
    struct capture *c = fixture_capture(f, d, o);
    uint32_t counter = 0;
    for (int i = 0; i < 30; i++) {
        struct frame *frame = fixture_next_card(c, &counter);
        check_card(frame, o->width_px, o->height_px);
        frame_unref(frame);
    }
    capture_close(c);
}

static void an_output_has_the_wanted_mode_and_shows_the_card(void **state)
{
    struct display *d = open_display(*state);
    struct display_output *o = create(d, 1280, 720, 60);
    check_output_shows_card(*state, d, o);
    display_output_destroy(o);
    display_close(d);
}

static void a_removed_output_is_used_again_in_another_mode(void **state)
{
    static const uint32_t modes[][3] = {
        {1280, 720, 60}, {800, 600, 30}, {1920, 1080, 60}, {320, 240, 120}, {1280, 720, 60}};
    struct display *d = open_display(*state);
    char name[64] = "";
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct display_output *o = create(d, modes[i][0], modes[i][1], modes[i][2]);
        if (i > 0) {
            assert_string_equal(o->name, name);
        }
        strcpy(name, o->name);
        check_n_outputs(d, 1, 1);
        check_output_shows_card(*state, d, o);
        display_output_destroy(o);
        check_n_outputs(d, 1, 0);
    }
    display_close(d);
}

static void there_are_only_as_many_outputs_as_were_live_at_once(void **state)
{
    struct display *d = open_display(*state);
    for (int i = 0; i < 5; i++) {
        struct display_output *a = create(d, 640, 480, 60), *b = create(d, 1024, 768, 60);
        CHECK(strcmp(a->name, b->name) != 0);
        check_n_outputs(d, 2, 2);
        display_output_destroy(i % 2 ? a : b);
        display_output_destroy(i % 2 ? b : a);
        check_n_outputs(d, 2, 0);
    }
    display_close(d);
}

static void outputs_do_not_overlap(void **state)
{
    struct display *d = open_display(*state);
    struct display_output *o[3] = {create(d, 640, 480, 60), create(d, 1024, 768, 60), NULL};
    display_output_destroy(o[0]);
    o[0] = create(d, 1920, 1080, 60); // the one in use again is wider than before
    o[2] = create(d, 800, 600, 60);
    json_t *outputs = outputs_of(d);
    json_int_t left[3], right[3];
    for (size_t i = 0; i < 3; i++) {
        const json_t *rect = json_object_get(json_array_get(outputs, i), "rect");
        left[i] = json_integer_value(json_object_get(rect, "x"));
        right[i] = left[i] + json_integer_value(json_object_get(rect, "width"));
        for (size_t j = 0; j < i; j++) {
            CHECK(right[i] <= left[j] || right[j] <= left[i]);
        }
    }
    json_decref(outputs);
    for (int i = 0; i < 3; i++) {
        display_output_destroy(o[i]);
    }
    display_close(d);
}

static void outputs_used_again_stay_near_the_origin(void **state)
{
    struct display *d = open_display(*state);
    struct display_output *o[2] = {create(d, 640, 480, 60), create(d, 640, 480, 60)};
    for (int i = 0; i < 10; i++) { // the one stays while the other goes and comes
        display_output_destroy(o[i % 2]);
        o[i % 2] = create(d, 640, 480, 60);
    }
    json_t *outputs = outputs_of(d), *output;
    size_t i;
    json_array_foreach(outputs, i, output)
    {
        CHECK(json_integer_value(json_object_get(json_object_get(output, "rect"), "x")) <= 640);
    }
    json_decref(outputs);
    display_output_destroy(o[0]);
    display_output_destroy(o[1]);
    display_close(d);
}

static void closing_leaves_no_process_no_folder_and_no_record(void **state)
{
    struct fixture *f = *state;
    f->cfg.command = "sleep 1000 & setsid sleep 1000 & exec sleep 1000";
    struct display *d = open_display(f);
    display_output_destroy(create(d, 640, 480, 60));
    char folder[108], record[96];
    fixture_desktop_folder(d, folder);
    struct stat st;
    CHECK(stat(folder, &st) == 0);
    CHECK_EQ(st.st_mode & 07777, 0700);
    if (geteuid() == 0) { // sway does not run as root
        CHECK(st.st_uid != 0);
    }
    snprintf(record, sizeof(record), "%s/desktop.json", f->folder);
    CHECK(access(record, F_OK) == 0);
    struct process_id compositor = identify(d->pid);
    display_close(d);
    CHECK(!process_alive(compositor));
    CHECK(access(folder, F_OK) != 0);
    CHECK_EQ(process_signal_in_folder(folder, 0), 0);
    CHECK(access(record, F_OK) != 0);
}

// A child process that has a desktop and can be killed.
struct victim {
    struct process_id host, supervisor, compositor;
    char folder[108];
};

static struct victim start_victim(struct fixture *f)
{
    int report[2];
    struct victim v = {{0}};
    CHECK(pipe2(report, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct display *d;
        struct display_output *o;
        if (display_open(&d, &f->cfg) || display_output_create(d, &o, 640, 480, 60)) {
            _exit(1);
        }
        fixture_desktop_folder(d, v.folder);
        process_identify(getpid(), &v.host);
        process_identify(d->pid, &v.compositor);
        char path[96];
        snprintf(path, sizeof(path), "%s/desktop.json", f->folder);
        json_t *record = json_load_file(path, 0, NULL);
        process_identify((pid_t)json_integer_value(json_object_get(
                             json_object_get(json_array_get(record, 0), "supervisor"), "pid")),
                         &v.supervisor);
        ssize_t n = write(report[1], &v, sizeof(v));
        for (;;) {
            (void)n;
            pause();
        }
    }
    close(report[1]);
    CHECK_EQ(read(report[0], &v, sizeof(v)), sizeof(v));
    close(report[0]);
    CHECK(v.supervisor.pid > 0 && v.compositor.pid > 0);
    return v;
}

static void kill_victim(const struct victim *v)
{
    kill(v->host.pid, SIGKILL);
    CHECK_EQ(waitpid(v->host.pid, NULL, 0), v->host.pid);
}

static void a_killed_host_takes_its_desktop_with_it(void **state)
{
    struct victim v = start_victim(*state);
    kill_victim(&v);
    CHECK(fixture_all_gone(v.compositor, v.folder));
}

static void the_next_start_ends_what_a_killed_host_left(void **state)
{
    struct fixture *f = *state;
    struct victim v = start_victim(f);
    // The worst case: nobody is left to clean up, and the compositor does not listen.
    process_signal(v.compositor, SIGSTOP);
    process_signal(v.supervisor, SIGKILL);
    kill_victim(&v);
    CHECK(process_alive(v.compositor));
    CHECK(access(v.folder, F_OK) == 0);
    struct display *d = open_display(f);
    CHECK(!process_alive(v.compositor));
    CHECK(access(v.folder, F_OK) != 0);
    CHECK_EQ(process_signal_in_folder(v.folder, 0), 0);
    display_close(d);
}

static void a_start_leaves_the_desktops_of_living_hosts_alone(void **state)
{
    struct fixture *f = *state;
    struct victim same_folder = start_victim(f);
    void *other = NULL;
    CHECK_EQ(fixture_setup(&other), 0);
    struct victim other_folder = start_victim(other);
    struct display *d = open_display(f);
    CHECK(process_alive(same_folder.compositor));
    CHECK(process_alive(other_folder.compositor));
    struct display_output *o = create(d, 640, 480, 60);
    check_output_shows_card(f, d, o);
    display_output_destroy(o);
    display_close(d);
    CHECK(process_alive(same_folder.compositor));
    CHECK(process_alive(other_folder.compositor));
    kill_victim(&same_folder);
    kill_victim(&other_folder);
    CHECK(fixture_all_gone(same_folder.compositor, same_folder.folder));
    CHECK(fixture_all_gone(other_folder.compositor, other_folder.folder));
    CHECK_EQ(fixture_teardown(&other), 0);
}

static void a_record_that_names_strangers_harms_nobody(void **state)
{
    struct fixture *f = *state;
    char path[96], keep[96], text[512];
    snprintf(keep, sizeof(keep), "%s/keep", f->folder);
    CHECK(mkdir(keep, 0700) == 0);
    pid_t stranger = fork();
    if (stranger == 0) {
        for (;;) {
            pause();
        }
    }
    // Its number is right, its start time is not: the number went to somebody else.
    snprintf(text, sizeof(text),
             "[{\"host\":{\"pid\":%d,\"start\":1},\"supervisor\":{\"pid\":%d,\"start\":1},"
             "\"compositor\":{\"pid\":%d,\"start\":1},\"folder\":\"%s\"},"
             "{\"folder\":\"/tmp/punktfunk-/../x\"},{\"folder\":7},null,5]",
             stranger, stranger, stranger, keep);
    snprintf(path, sizeof(path), "%s/desktop.json", f->folder);
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
    desktop_clean_leftovers(f->folder, &f->cfg.log);
    CHECK_EQ(waitpid(stranger, NULL, WNOHANG), 0);
    CHECK(access(keep, F_OK) == 0);
    CHECK(access(path, F_OK) != 0);
    kill(stranger, SIGKILL);
    waitpid(stranger, NULL, 0);
}

static void a_missing_sway_is_said_with_its_remedy(void **state)
{
    struct fixture *f = *state;
    struct display *d;
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "/nonexistent", 1);
    int err = display_open(&d, &f->cfg);
    setenv("PATH", path, 1);
    free(path);
    CHECK_EQ(err, PFK_E_UNSUPPORTED);
    CHECK(d == NULL);
    CHECK(strstr(f->log, "apt install sway") != NULL);
    CHECK(strchr(f->log, '\n') == strrchr(f->log, '\n')); // one line
}

// `script` in the place of sway. Returns display_open()'s result.
static int open_with_other_sway(struct fixture *f, const char *script)
{
    char bin[80], program[96], path[4096];
    struct display *d;
    snprintf(bin, sizeof(bin), "%s/bin", f->folder);
    snprintf(program, sizeof(program), "%s/sway", bin);
    CHECK(chmod(f->folder, 0755) == 0 && mkdir(bin, 0755) == 0);
    FILE *file = fopen(program, "w");
    CHECK(file && fputs(script, file) >= 0 && fclose(file) == 0 && chmod(program, 0755) == 0);
    char *before = strdup(getenv("PATH"));
    snprintf(path, sizeof(path), "%s:%s", bin, before);
    setenv("PATH", path, 1);
    int err = display_open(&d, &f->cfg);
    setenv("PATH", before, 1);
    free(before);
    CHECK(d == NULL);
    return err;
}

static void a_compositor_that_ends_is_quoted(void **state)
{
    struct fixture *f = *state;
    CHECK_EQ(open_with_other_sway(f, "#!/bin/sh\necho 'the seat is broken' >&2\nexit 3\n"),
             PFK_E_CLOSED);
    CHECK(strstr(f->log, "the seat is broken") != NULL);
    CHECK(strchr(f->log, '\n') == strrchr(f->log, '\n'));
}

static void a_compositor_that_never_comes_up_is_given_up(void **state)
{
    struct fixture *f = *state;
    CHECK_EQ(open_with_other_sway(f, "#!/bin/sh\necho 'thinking'\nexec sleep 1000\n"),
             PFK_E_TIMEOUT);
    CHECK(strstr(f->log, "thinking") != NULL);
}

static void only_root_chooses_the_account(void **state)
{
    static const char *const bad[] = {"no-such-account-here", "root"};
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        struct display *d;
        f->cfg.user = bad[i];
        if (geteuid() == 0) {
            CHECK_EQ(display_open(&d, &f->cfg), PFK_E_INVALID);
            CHECK(strstr(f->log, bad[i]) != NULL);
        } else { // everybody else's desktop is their own
            display_close(open_display(f));
        }
    }
}

static void an_unknown_compositor_is_refused(void **state)
{
    struct fixture *f = *state;
    struct display *d;
    f->cfg.compositor = "no-such-compositor";
    CHECK_EQ(display_open(&d, &f->cfg), PFK_E_UNSUPPORTED);
    CHECK(f->log[0] != '\0');
}

static void a_dead_compositor_is_an_error_and_still_closes(void **state)
{
    struct fixture *f = *state;
    struct display *d = open_display(f);
    struct display_output *o = create(d, 640, 480, 60), *more;
    struct process_id compositor = identify(d->pid);
    process_signal(compositor, SIGKILL);
    CHECK(process_wait_gone(compositor, PATIENCE_MS));
    CHECK(display_output_create(d, &more, 640, 480, 60) < 0);
    CHECK(f->log[0] != '\0');
    display_output_destroy(o);
    display_close(d);
}

// The desktop of one display is the session that the other one was started in.
static void a_running_session_is_used_and_left_as_it_was(void **state)
{
    struct fixture *f = *state;
    f->cfg.command = "exec sleep 1000";
    struct display *session = open_display(f), *d;
    struct display_output *users = create(session, 1024, 768, 60);
    char folder[108], ipc[128];
    fixture_desktop_folder(session, folder);
    snprintf(ipc, sizeof(ipc), "%s/sway.sock", folder);
    setenv("SWAYSOCK", ipc, 1);
    setenv("XDG_RUNTIME_DIR", folder, 1);
    setenv("WAYLAND_DISPLAY", strrchr(session->wayland_socket, '/') + 1, 1);
    f->cfg.own_desktop = false;
    int err = display_open(&d, &f->cfg);
    unsetenv("SWAYSOCK");
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("WAYLAND_DISPLAY");
    CHECK_EQ(err, PFK_OK);
    CHECK(!d->own);
    CHECK_EQ(d->pid, 0);
    assert_string_equal(d->wayland_socket, session->wayland_socket);
    for (int i = 0; i < 3; i++) {
        struct display_output *o = create(d, 800, 600, 60);
        CHECK(strcmp(o->name, users->name) != 0);
        check_n_outputs(session, 2, 2);
        display_output_destroy(o);
        check_n_outputs(session, 2, 1);
    }
    display_close(d);
    check_n_outputs(session, 2, 1);
    display_output_destroy(users);
    display_close(session);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_output_has_the_wanted_mode_and_shows_the_card),
        TEST(a_removed_output_is_used_again_in_another_mode),
        TEST(there_are_only_as_many_outputs_as_were_live_at_once),
        TEST(outputs_do_not_overlap),
        TEST(outputs_used_again_stay_near_the_origin),
        TEST(closing_leaves_no_process_no_folder_and_no_record),
        TEST(a_killed_host_takes_its_desktop_with_it),
        TEST(the_next_start_ends_what_a_killed_host_left),
        TEST(a_start_leaves_the_desktops_of_living_hosts_alone),
        TEST(a_record_that_names_strangers_harms_nobody),
        TEST(a_missing_sway_is_said_with_its_remedy),
        TEST(a_compositor_that_ends_is_quoted),
        TEST(a_compositor_that_never_comes_up_is_given_up),
        TEST(only_root_chooses_the_account),
        TEST(an_unknown_compositor_is_refused),
        TEST(a_dead_compositor_is_an_error_and_still_closes),
        TEST(a_running_session_is_used_and_left_as_it_was),
    };
    return fixture_main(argc, argv, "display", tests, sizeof(tests) / sizeof(tests[0]));
}
