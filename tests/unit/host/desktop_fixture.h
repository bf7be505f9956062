// SPDX-License-Identifier: MIT OR Apache-2.0
// An own headless desktop for tests: everything it writes lies in a folder of its own, so tests run
// beside each other. As root, the test card lies where only root can read it, as in a private build
// tree; and the whole group runs a second time as a plain user.
#ifndef TESTS_UNIT_HOST_DESKTOP_FIXTURE_H
#define TESTS_UNIT_HOST_DESKTOP_FIXTURE_H

#include "host/capture/capture.h"
#include "host/display/display.h"
#include "host/display/process.h"

#include "tests/unit/check.h"

#define PATIENCE_MS 20000 // how long a busy machine may take for what is usually instant

struct fixture {
    char folder[64]; // state_dir, and the test card
    struct display_config cfg;
    char log[4096]; // errors and warnings, a line each
};

/** cmocka's setup and teardown; *state is a struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/** XDG_RUNTIME_DIR of the desktop. */
void fixture_desktop_folder(const struct display *d, char out[108]);

/** Waits until nothing of the desktop is left: no process, no folder. */
bool fixture_all_gone(struct process_id compositor, const char *desktop_folder);

/** Pictures of the output, not yet of anything in particular. */
struct capture *fixture_capture(struct fixture *f, const struct display *d,
                                const struct display_output *o);

/** The next picture that shows the test card with a counter after `*counter`, which it updates. The
 * caller unrefs it. */
struct frame *fixture_next_card(struct capture *c, uint32_t *counter);

/** main() of a test program: runs the group, as root twice; skips it all where there is no sway. */
int fixture_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests,
                 size_t n_tests);

#endif
