// SPDX-License-Identifier: MIT OR Apache-2.0
// Pictures of a real sway's output.
#include "tests/unit/host/desktop_fixture.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "host/desktop/testcard_layout.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#define WIDTH 640
#define HEIGHT 480
#define N_HELD_MAX 16
#define LONG_MS 600000 // a wait that must be cut short

struct desktop {
    struct fixture *f;
    struct display *display;
    struct display_output *output;
    struct capture *capture;
};

// A desktop that shows the card, or with a command what that shows.
static struct desktop open_desktop(void **state, const char *command)
{
    struct desktop d = {.f = *state};
    d.f->cfg.command = command;
    CHECK_EQ(display_open(&d.display, &d.f->cfg), PFK_OK);
    CHECK_EQ(display_output_create(d.display, &d.output, WIDTH, HEIGHT, 60), PFK_OK);
    d.capture = fixture_capture(d.f, d.display, d.output);
    return d;
}

static void close_desktop(struct desktop *d)
{
    capture_close(d->capture);
    display_output_destroy(d->output);
    display_close(d->display);
}

static const uint8_t *pixel(const struct frame *f, int32_t x, int32_t y)
{
    return f->pixels + (size_t)y * f->stride_bytes + (size_t)x * 4;
}

static bool is_damaged(const struct frame *f, int32_t x, int32_t y)
{
    for (unsigned i = 0; i < f->n_damage; i++) {
        const struct frame_rect *r = &f->damage[i];
        if (x >= r->x_px && y >= r->y_px && x < r->x_px + r->width_px &&
            y < r->y_px + r->height_px) {
            return true;
        }
    }
    return f->n_damage == 0;
}

static void pictures_say_what_they_are(void **state)
{
    struct desktop d = open_desktop(state, NULL);
    uint32_t counter = 0;
    uint64_t last_ns = 0;
    for (int i = 0; i < 30; i++) {
        struct frame *f = fixture_next_card(d.capture, &counter);
        CHECK(f->fourcc == 0x34325258 || f->fourcc == 0x34325241); // XR24, AR24
        CHECK_EQ(f->width_px, WIDTH);
        CHECK_EQ(f->height_px, HEIGHT);
        CHECK(f->stride_bytes >= WIDTH * 4);
        CHECK(f->capture_ns <= f->ready_ns);
        CHECK(f->ready_ns <= pfk_clock_wall_ns());
        CHECK(f->ready_ns > last_ns);
        CHECK(!f->repeat);
        last_ns = f->ready_ns;
        frame_unref(f);
    }
    close_desktop(&d);
}

// What an encoder may leave out must really be unchanged since the picture before.
static void nothing_changes_outside_the_damage(void **state)
{
    struct desktop d = open_desktop(state, NULL);
    uint32_t counter = 0;
    struct frame *before = fixture_next_card(d.capture, &counter);
    for (int i = 0; i < 30; i++) {
        struct frame *now;
        CHECK_EQ(capture_next(d.capture, &now, PATIENCE_MS), PFK_OK);
        for (int32_t y = 0; y < HEIGHT; y++) {
            for (int32_t x = 0; x < WIDTH; x++) {
                CHECK(is_damaged(now, x, y) ||
                      memcmp(pixel(before, x, y), pixel(now, x, y), 3) == 0);
            }
        }
        frame_unref(before);
        before = now;
    }
    frame_unref(before);
    close_desktop(&d);
}

// Not every picture is said to be new everywhere. On a machine that is very busy most are, because
// the compositor then repaints everything; the picture that is not may take a while to come.
static void damage_is_less_than_everything(void **state)
{
    struct desktop d = open_desktop(state, NULL);
    const uint64_t until = pfk_clock_monotonic_ns() + PATIENCE_MS * 1000000ull;
    bool partial = false;
    while (!partial && pfk_clock_monotonic_ns() < until) {
        struct frame *now;
        CHECK_EQ(capture_next(d.capture, &now, PATIENCE_MS), PFK_OK);
        partial = now->n_damage > 0 && !(is_damaged(now, 0, 0) && is_damaged(now, 320, 240));
        frame_unref(now);
    }
    CHECK(partial);
    close_desktop(&d);
}

static void a_still_desktop_gives_a_first_picture_and_then_none(void **state)
{
    struct desktop d = open_desktop(state, "exec sleep 1000");
    struct frame *f;
    CHECK_EQ(capture_next(d.capture, &f, PATIENCE_MS), PFK_OK);
    frame_unref(f);
    int err = PFK_OK;
    for (int i = 0; i < 50 && !err; i++) { // the desktop may still be settling
        err = capture_next(d.capture, &f, 300);
        if (!err) {
            frame_unref(f);
        }
    }
    CHECK_EQ(err, PFK_E_TIMEOUT);
    CHECK(f == NULL);
    // A second capture of the same still output starts with a picture too.
    struct capture *again = fixture_capture(d.f, d.display, d.output);
    CHECK_EQ(capture_next(again, &f, PATIENCE_MS), PFK_OK);
    frame_unref(f);
    capture_close(again);
    close_desktop(&d);
}

static void no_time_to_wait_is_a_timeout_at_once(void **state)
{
    struct desktop d = open_desktop(state, NULL);
    uint32_t counter = 0;
    frame_unref(fixture_next_card(d.capture, &counter));
    unsigned n_pictures = 0;
    for (int i = 0; i < PATIENCE_MS && n_pictures == 0; i++) { // polling gets pictures too
        struct frame *f;
        int err = capture_next(d.capture, &f, 0);
        CHECK(err == PFK_OK || err == PFK_E_TIMEOUT);
        if (!err) {
            n_pictures++;
            frame_unref(f);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    CHECK_EQ(n_pictures, 1);
    close_desktop(&d);
}

static void *wake_soon(void *capture)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    capture_wake(capture);
    return NULL;
}

// Waits for the wake; LONG_MS is beyond the test's own time limit.
static void check_is_woken(struct capture *c)
{
    pthread_t waker;
    struct frame *f;
    int err;
    CHECK_EQ(pthread_create(&waker, NULL, wake_soon, c), 0);
    while ((err = capture_next(c, &f, LONG_MS)) == PFK_OK) {
        frame_unref(f);
    }
    CHECK_EQ(err, PFK_E_TIMEOUT);
    pthread_join(waker, NULL);
}

static void a_wake_ends_a_wait(void **state)
{
    struct desktop d = open_desktop(state, "exec sleep 1000");
    check_is_woken(d.capture);
    capture_wake(d.capture); // also one that comes before the wait
    struct frame *f;
    int err;
    while ((err = capture_next(d.capture, &f, LONG_MS)) == PFK_OK) {
        frame_unref(f);
    }
    CHECK_EQ(err, PFK_E_TIMEOUT);
    close_desktop(&d);
}

static void with_every_buffer_held_waits_still_end(void **state)
{
    struct desktop d = open_desktop(state, NULL);
    struct frame *held[N_HELD_MAX], *f;
    unsigned n = 0;
    while (n < N_HELD_MAX && capture_next(d.capture, &held[n], 1000) == PFK_OK) {
        n++;
    }
    CHECK(n >= 3 && n < N_HELD_MAX);
    CHECK_EQ(capture_next(d.capture, &f, 50), PFK_E_TIMEOUT);
    check_is_woken(d.capture);
    frame_unref(held[--n]); // one buffer is enough to go on
    CHECK_EQ(capture_next(d.capture, &f, PATIENCE_MS), PFK_OK);
    frame_unref(f);
    while (n) {
        frame_unref(held[--n]);
    }
    close_desktop(&d);
}

static void held_pictures_are_not_drawn_over(void **state)
{
    struct desktop d = open_desktop(state, NULL);
    uint32_t counter = 0, kept, again;
    struct frame *held = fixture_next_card(d.capture, &counter);
    kept = counter;
    for (int i = 0; i < 20; i++) {
        frame_unref(fixture_next_card(d.capture, &counter));
    }
    CHECK(testcard_read_counter(held->pixels + 1, held->stride_bytes, 4, WIDTH, HEIGHT, &again));
    CHECK_EQ(again, kept);
    frame_unref(held);
    close_desktop(&d);
}

static void pictures_outlive_capture_and_compositor(void **state)
{
    struct desktop d = open_desktop(state, NULL);
    uint32_t counter = 0, again;
    struct frame *f = fixture_next_card(d.capture, &counter);
    frame_ref(f);
    close_desktop(&d);
    CHECK(testcard_read_counter(f->pixels + 1, f->stride_bytes, 4, WIDTH, HEIGHT, &again));
    CHECK_EQ(again, counter);
    frame_unref(f);
    frame_unref(f);
}

struct returner {
    _Atomic(struct frame *) slot;
    atomic_bool stop;
};

static void *return_frames(void *arg)
{
    struct returner *r = arg;
    while (!atomic_load(&r->stop)) {
        frame_unref(atomic_exchange(&r->slot, NULL));
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    frame_unref(atomic_exchange(&r->slot, NULL));
    return NULL;
}

static void another_thread_may_give_pictures_back(void **state)
{
    struct desktop d = open_desktop(state, NULL);
    struct returner r = {.slot = NULL};
    uint32_t counter = 0;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, return_frames, &r), 0);
    for (int i = 0; i < 120; i++) {
        frame_unref(atomic_exchange(&r.slot, fixture_next_card(d.capture, &counter)));
    }
    atomic_store(&r.stop, true);
    pthread_join(thread, NULL);
    close_desktop(&d);
}

static void a_dead_compositor_closes_the_capture(void **state)
{
    struct desktop d = open_desktop(state, "exec sleep 1000");
    struct process_id compositor;
    struct frame *f;
    int err;
    CHECK(process_identify(d.display->pid, &compositor));
    process_signal(compositor, SIGKILL);
    while ((err = capture_next(d.capture, &f, LONG_MS)) == PFK_OK) {
        frame_unref(f);
    }
    CHECK_EQ(err, PFK_E_CLOSED);
    CHECK_EQ(capture_next(d.capture, &f, LONG_MS), PFK_E_CLOSED);
    close_desktop(&d);
}

static void what_cannot_be_captured_is_refused(void **state)
{
    struct desktop d = open_desktop(state, "exec sleep 1000");
    struct capture *c;
    struct capture_config cfg = {.wayland_socket = d.display->wayland_socket,
                                 .output = "NO-SUCH-OUTPUT",
                                 .log = d.f->cfg.log};
    CHECK_EQ(capture_open(&c, &cfg, NULL), PFK_E_IO);
    CHECK(c == NULL && strstr(d.f->log, "NO-SUCH-OUTPUT") != NULL);
    cfg.output = d.output->name;
    CHECK_EQ(capture_open(&c, &cfg, "no-such-capture"), PFK_E_UNSUPPORTED);
    CHECK(c == NULL && strstr(d.f->log, "no-such-capture") != NULL);
    cfg.wayland_socket = "/nonexistent/wayland-0";
    CHECK_EQ(capture_open(&c, &cfg, NULL), PFK_E_IO);
    CHECK(c == NULL && strstr(d.f->log, "/nonexistent/wayland-0") != NULL);
    close_desktop(&d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(pictures_say_what_they_are),
        TEST(nothing_changes_outside_the_damage),
        TEST(damage_is_less_than_everything),
        TEST(a_still_desktop_gives_a_first_picture_and_then_none),
        TEST(no_time_to_wait_is_a_timeout_at_once),
        TEST(a_wake_ends_a_wait),
        TEST(with_every_buffer_held_waits_still_end),
        TEST(held_pictures_are_not_drawn_over),
        TEST(pictures_outlive_capture_and_compositor),
        TEST(another_thread_may_give_pictures_back),
        TEST(a_dead_compositor_closes_the_capture),
        TEST(what_cannot_be_captured_is_refused),
    };
    return fixture_main(argc, argv, "capture", tests, sizeof(tests) / sizeof(tests[0]));
}
