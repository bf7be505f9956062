// SPDX-License-Identifier: MIT OR Apache-2.0
// Processes and folders of an own desktop. Nothing here allocates, because the supervisor calls it
// after fork() in a program that has threads.
#ifndef HOST_DISPLAY_PROCESS_H
#define HOST_DISPLAY_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** Names one process for good: numbers are used again, a number with its start time is not. */
struct process_id {
    pid_t pid;
    uint64_t start_ticks; // field 22 of /proc/PID/stat
};

/** False when there is none (a zombie counts as none). */
bool process_identify(pid_t pid, struct process_id *out);

/** Does exactly this process still run? */
bool process_alive(struct process_id id);

/** Signal exactly this process; nothing happens when it has ended. */
void process_signal(struct process_id id, int sig);

/** Wait until it has ended, no longer than timeout_ms. False when it still runs. */
bool process_wait_gone(struct process_id id, int timeout_ms);

/** Signal every descendant of `root` but not root itself. Returns how many there were. */
unsigned process_signal_descendants(pid_t root, int sig);

/**
 * Signal what has XDG_RUNTIME_DIR=folder in its environment: programs that left the tree. Needs the
 * right to read it (same account, or root with CAP_SYS_PTRACE). Returns how many there were.
 */
unsigned process_signal_in_folder(const char *folder, int sig);

/** Delete a folder and all in it; follows no links. False when something is left. */
bool process_remove_folder(const char *path);

#endif
