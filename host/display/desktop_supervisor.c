// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs between fork() and _exit() in a copy of a program with threads: no allocation, no locks.
#include "host/display/desktop_supervisor.h"

#include "host/display/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_LOG_BYTES (256 * 1024)
#define GRACE_MS 1000

// Descriptors that both children are put on, so that all others can be closed.
enum { FD_LIFELINE = 3, FD_LOG = 4, FD_LAST = 4 };

static void reset_signals(void)
{
    for (int sig = 1; sig < NSIG; sig++) {
        signal(sig, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// Keep only stdio (on /dev/null) and our two: sockets and ports of the host must not live on here.
static void keep_descriptors(const struct desktop_plan *plan)
{
    // Above the numbers that they go to, so that neither overwrites the other.
    int lifeline = fcntl(plan->lifeline, F_DUPFD, FD_LAST + 1);
    int log_file = fcntl(plan->log_file, F_DUPFD, FD_LAST + 1);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2; fd++) {
        dup2(null, fd);
    }
    dup2(lifeline, FD_LIFELINE);
    dup2(log_file, FD_LOG);
    close_range(FD_LAST + 1, ~0u, 0);
    fcntl(FD_LIFELINE, F_SETFD, FD_CLOEXEC);
    fcntl(FD_LOG, F_SETFD, FD_CLOEXEC);
}

static bool become(const struct desktop_plan *plan)
{
    return !plan->change_account || (setgroups((size_t)plan->n_groups, plan->groups) == 0 &&
                                     setresgid(plan->gid, plan->gid, plan->gid) == 0 &&
                                     setresuid(plan->uid, plan->uid, plan->uid) == 0);
}

_Noreturn static void run_compositor(const struct desktop_plan *plan, pid_t supervisor, int words,
                                     int failure)
{
    reset_signals();
    if (become(plan)) {
        // After the account: changing it clears this. The supervisor has one thread, so its death
        // is the process's.
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != supervisor) {
            _exit(1);
        }
        dup2(words, 1);
        dup2(words, 2);
        if (chdir(plan->folder) == 0) {
            execve(plan->argv[0], plan->argv, plan->envp);
        }
    }
    int error = errno;
    if (write(failure, &error, sizeof(error)) < 0) {
        _exit(126);
    }
    _exit(127);
}

// Start the compositor and tell the host its number, or why there is none.
static pid_t start_compositor(const struct desktop_plan *plan, int words[2])
{
    struct desktop_report report = {0};
    int failure[2] = {-1, -1};
    pid_t self = getpid();
    if (pipe2(words, O_CLOEXEC | O_NONBLOCK) != 0 || pipe2(failure, O_CLOEXEC) != 0) {
        report.error = errno;
    } else {
        // The compositor's side blocks as any program expects; ours does not.
        fcntl(words[1], F_SETFL, 0);
        report.compositor = fork();
        if (report.compositor == 0) {
            run_compositor(plan, self, words[1], failure[1]);
        }
        report.error = report.compositor < 0 ? errno : 0;
        close(words[1]);
        close(failure[1]);
        if (report.compositor > 0 &&
            read(failure[0], &report.error, sizeof(report.error)) == sizeof(report.error)) {
            report.compositor = 0;
        }
        close(failure[0]);
    }
    if (send(FD_LIFELINE, &report, sizeof(report), MSG_NOSIGNAL) != sizeof(report)) {
        return 0;
    }
    return report.compositor > 0 ? report.compositor : 0;
}

// Keep the last words only: a program that talks for hours must not fill the memory.
static bool keep_words(int words, size_t *n_kept)
{
    char text[4096];
    ssize_t n = read(words, text, sizeof(text));
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    if (*n_kept > MAX_LOG_BYTES) {
        *n_kept = ftruncate(FD_LOG, 0) == 0 ? 0 : *n_kept;
    }
    if (pwrite(FD_LOG, text, (size_t)n, (off_t)*n_kept) == n) {
        *n_kept += (size_t)n;
    }
    return true;
}

static bool reap(pid_t compositor)
{
    bool ended = false;
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        ended = ended || pid == compositor;
    }
    return ended;
}

// Until the compositor has ended, the host is gone, or somebody ends us.
static void watch(pid_t compositor, int words, int signals)
{
    size_t n_kept = 0;
    struct pollfd p[] = {{.fd = FD_LIFELINE, .events = POLLIN},
                         {.fd = signals, .events = POLLIN},
                         {.fd = words, .events = POLLIN}};
    for (;;) {
        if (poll(p, 3, -1) < 0) {
            continue;
        }
        if (p[2].revents && !keep_words(words, &n_kept)) {
            p[2].fd = -1;
        }
        struct signalfd_siginfo info;
        bool told = p[1].revents && read(signals, &info, sizeof(info)) == sizeof(info) &&
                    info.ssi_signo == SIGTERM;
        bool ended = reap(compositor);
        if (p[0].revents || told || ended) {
            while (p[2].fd >= 0 && keep_words(words, &n_kept) && poll(&p[2], 1, 0) > 0) {
            }
            return;
        }
    }
}

static void end_family(void)
{
    process_signal_descendants(getpid(), SIGTERM);
    for (int waited = 0; waited < GRACE_MS; waited += 10) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        if (process_signal_descendants(getpid(), 0) == 0) {
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    // Killed processes still need a processor to go: on a busy machine that may take a while.
    for (int i = 0; i < 500 && process_signal_descendants(getpid(), SIGKILL) > 0; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

_Noreturn void desktop_supervise(const struct desktop_plan *plan)
{
    setsid();
    prctl(PR_SET_NAME, "pf-desktop");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_DUMPABLE, 0);
    keep_descriptors(plan);
    reset_signals();
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    int words[2] = {-1, -1};
    pid_t compositor = start_compositor(plan, words);
    if (compositor > 0 && signals >= 0) {
        watch(compositor, words[0], signals);
    }
    end_family();
    process_remove_folder(plan->folder);
    _exit(0);
}
