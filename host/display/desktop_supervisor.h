// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef HOST_DISPLAY_DESKTOP_SUPERVISOR_H
#define HOST_DISPLAY_DESKTOP_SUPERVISOR_H

#include <stdbool.h>
#include <sys/types.h>

#define DESKTOP_MAX_GROUPS 64

/** All that the two children need, made ready before fork(). */
struct desktop_plan {
    const char *folder;
    char *const *argv; // argv[0] is an absolute path
    char *const *envp;
    bool change_account;
    uid_t uid;
    gid_t gid;
    gid_t groups[DESKTOP_MAX_GROUPS];
    int n_groups;
    int lifeline; // the supervisor's end; the first message on it is a struct desktop_report
    int log_file;
};

struct desktop_report {
    pid_t compositor; // 0 = could not be started
    int error;        // errno, why not
};

/** Body of the forked supervisor; never returns. */
_Noreturn void desktop_supervise(const struct desktop_plan *plan);

#endif
