// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/display/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEPTH 64     // of folders, and of parent links that are followed
#define MAX_FAMILY 32768 // more ancestors than this is a loop of reused numbers

struct stat_line {
    char state;
    pid_t parent;
    uint64_t start_ticks;
};

static ssize_t read_file(const char *path, char *out, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    size_t n = 0;
    ssize_t got;
    while (n < room - 1 && (got = read(fd, out + n, room - 1 - n)) > 0) {
        n += (size_t)got;
    }
    close(fd);
    out[n] = '\0';
    return (ssize_t)n;
}

static bool read_stat(pid_t pid, struct stat_line *out)
{
    char path[32], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (read_file(path, text, sizeof(text)) <= 0) {
        return false;
    }
    // The second field, the name, may hold anything: count from its last parenthesis.
    const char *p = strrchr(text, ')');
    if (!p || p[1] != ' ') {
        return false;
    }
    p += 2;
    out->state = *p;
    out->parent = (pid_t)strtol(p + 1, NULL, 10);
    for (int field = 3; field < 22 && p; field++) {
        p = strchr(p, ' ');
        p = p ? p + 1 : NULL;
    }
    out->start_ticks = p ? strtoull(p, NULL, 10) : 0;
    return p != NULL;
}

bool process_identify(pid_t pid, struct process_id *out)
{
    struct stat_line s;
    if (pid <= 0 || !read_stat(pid, &s) || s.state == 'Z' || s.state == 'X') {
        return false;
    }
    *out = (struct process_id){pid, s.start_ticks};
    return true;
}

bool process_alive(struct process_id id)
{
    struct process_id now;
    return process_identify(id.pid, &now) && now.start_ticks == id.start_ticks;
}

void process_signal(struct process_id id, int sig)
{
    // The descriptor pins the process: the number cannot change hands between check and signal.
    int fd = id.pid > 0 ? (int)syscall(SYS_pidfd_open, id.pid, 0) : -1;
    if (fd < 0) {
        return;
    }
    if (process_alive(id)) {
        syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
    }
    close(fd);
}

bool process_wait_gone(struct process_id id, int timeout_ms)
{
    for (int waited = 0; process_alive(id); waited += 10) {
        if (waited >= timeout_ms) {
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return true;
}

static bool descends_from(pid_t pid, pid_t root)
{
    struct stat_line s;
    for (int i = 0; i < MAX_FAMILY && pid > 1 && read_stat(pid, &s); i++) {
        if (s.parent == root) {
            return true;
        }
        pid = s.parent;
    }
    return false;
}

static bool lives_in(pid_t pid, const char *folder)
{
    char path[32], wanted[128], text[65536];
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    int want = snprintf(wanted, sizeof(wanted), "XDG_RUNTIME_DIR=%s", folder);
    ssize_t n = read_file(path, text, sizeof(text));
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(text + at) + 1) {
        if (strcmp(text + at, wanted) == 0) {
            return want > 0;
        }
    }
    return false;
}

// Every process in /proc for which the test holds; readdir() allocates, so ask the kernel.
static unsigned signal_all(bool (*test)(pid_t pid, const void *arg), const void *arg, int sig)
{
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _Alignas(struct dirent64) char entries[8192];
    ssize_t n;
    unsigned found = 0;
    while (proc >= 0 && (n = getdents64(proc, entries, sizeof(entries))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *e = (const void *)(entries + at);
            at += e->d_reclen;
            pid_t pid = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? atoi(e->d_name) : 0;
            struct process_id id;
            if (pid && pid != getpid() && process_identify(pid, &id) && test(pid, arg)) {
                process_signal(id, sig);
                found++;
            }
        }
    }
    if (proc >= 0) {
        close(proc);
    }
    return found;
}

static bool test_descends(pid_t pid, const void *root)
{
    return descends_from(pid, *(const pid_t *)root);
}

static bool test_lives_in(pid_t pid, const void *folder)
{
    return lives_in(pid, folder);
}

unsigned process_signal_descendants(pid_t root, int sig)
{
    return signal_all(test_descends, &root, sig);
}

unsigned process_signal_in_folder(const char *folder, int sig)
{
    return signal_all(test_lives_in, folder, sig);
}

static void empty_folder(int folder, int depth)
{
    _Alignas(struct dirent64) char entries[2048];
    ssize_t n;
    while (depth < MAX_DEPTH && (n = getdents64(folder, entries, sizeof(entries))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *e = (const void *)(entries + at);
            at += e->d_reclen;
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                unlinkat(folder, e->d_name, 0) == 0 || (errno != EISDIR && errno != EPERM)) {
                continue;
            }
            int below = openat(folder, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (below >= 0) {
                empty_folder(below, depth + 1);
                close(below);
            }
            unlinkat(folder, e->d_name, AT_REMOVEDIR);
        }
    }
}

bool process_remove_folder(const char *path)
{
    // Again when something appeared in it meanwhile.
    for (int attempt = 0; attempt < 3; attempt++) {
        int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0) {
            return errno == ENOENT;
        }
        empty_folder(folder, 0);
        close(folder);
        if (rmdir(path) == 0) {
            return true;
        }
    }
    return false;
}
