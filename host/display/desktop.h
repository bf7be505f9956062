// SPDX-License-Identifier: MIT OR Apache-2.0
// An own headless desktop: a private folder, an unprivileged account where needed, and a compositor
// whose every process ends with the host, however the host ends.
//
//   host ── supervisor (forked, keeps the host's rights) ── sway ── the command and what it starts
//
// The supervisor holds one end of a socket pair. When the other end closes - desktop_stop(), exit,
// SIGKILL - it ends its whole family and removes the folder. It is a subreaper, so nothing can
// leave the family by forking twice. Should the supervisor be killed as well, the next start finds
// the record in state_dir.
#ifndef HOST_DISPLAY_DESKTOP_H
#define HOST_DISPLAY_DESKTOP_H

#include "core/base/log.h"
#include "host/display/process.h"

struct desktop_config {
    const char *program;   // absolute path of the compositor
    const char *command;   // shell command; NULL or "" = the test card
    const char *user;      // account when the host is root; NULL = "nobody"
    const char *state_dir; // NULL = keep no record
    const struct pfk_log *log;
};

struct desktop {
    char folder[64];          // XDG_RUNTIME_DIR of the desktop
    char ipc_socket[96];      // sway's
    char wayland_socket[108]; // filled by desktop_wait_ready()
    char start_file[96];      // shell script that runs the command
    struct process_id supervisor, compositor;
    int lifeline; // closing it ends everything
    int log_file; // what the compositor said, readable after the folder has gone
    char *state_dir;
    const struct pfk_log *log;
};

/** Starts the compositor. 0 or a logged error; then nothing is left. */
int desktop_start(struct desktop **out, const struct desktop_config *cfg);

/** Waits for both sockets, no longer than timeout_ms. 0 or a logged error with its last words. */
int desktop_wait_ready(struct desktop *d, int timeout_ms);

/** Ends all its processes and removes the folder; bounded to about eight seconds. NULL is fine. */
void desktop_stop(struct desktop *d);

/** What hosts that are gone left behind: ends exactly those processes, removes their folders. */
void desktop_clean_leftovers(const char *state_dir, const struct pfk_log *log);

#endif
