// SPDX-License-Identifier: MIT OR Apache-2.0
// What the kernel may answer and loopback never does. This program's own sendmmsg() and sendto()
// come before libc's; they give the answers that a test wrote down and leave the rest to the
// kernel.
#include "core/net/udp.h"

#include "core/base/status.h"
#include "tests/unit/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REAL = 0, N = 120, SIZE = 1400, PER_MESSAGE = 65507 / SIZE };

// Answers in order: REAL, a number of messages to take, or a negative errno. After the last:
// `after`.
static int answers[64];
static int n_answers, next_answer, after, n_calls;

static void answer_with(const int *script, int n, int last)
{
    for (int i = 0; i < n; i++) {
        answers[i] = script[i];
    }
    n_answers = n;
    next_answer = n_calls = 0;
    after = last;
}

static int answer(void)
{
    n_calls++;
    return next_answer < n_answers ? answers[next_answer++] : after;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    int a = answer();
    if (a < 0) {
        errno = -a;
        return -1;
    }
    n = a > 0 && (unsigned)a < n ? (unsigned)a : n;
    return (int)syscall(SYS_sendmmsg, fd, messages, n, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t n, int flags, __CONST_SOCKADDR_ARG to,
               socklen_t to_bytes)
{
    int a = answer();
    if (a < 0) {
        errno = -a;
        return -1;
    }
    return syscall(SYS_sendto, fd, bytes, n, flags, to.__sockaddr__, to_bytes);
}

static struct sockaddr_storage loopback(uint16_t port)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    memcpy(&a, &in, sizeof(in));
    return a;
}

struct pair {
    struct pfk_udp *tx, *rx;
    struct sockaddr_storage to;
    uint8_t bytes[N * SIZE];
};

static bool open_pair(struct pair *p, bool plain)
{
    struct pfk_udp_config cfg = {.bind = loopback(0), .buffer_bytes = 212992};
    p->tx = p->rx = NULL;
    bool ok = pfk_udp_open(&p->rx, &cfg) == PFK_OK;
    cfg.plain = plain;
    ok = ok && pfk_udp_open(&p->tx, &cfg) == PFK_OK;
    for (size_t i = 0; i < sizeof(p->bytes); i++) {
        p->bytes[i] = (uint8_t)(i / SIZE + i % 251);
    }
    if (ok) {
        p->to = loopback(pfk_udp_port(p->rx));
    }
    answer_with(NULL, 0, REAL);
    return ok;
}

static void close_pair(struct pair *p)
{
    pfk_udp_close(p->tx);
    pfk_udp_close(p->rx);
}

// Takes `want` datagrams and compares them with those from `first` on; false when one is amiss.
static bool arrive(struct pair *p, unsigned first, unsigned want)
{
    for (unsigned got = 0; got < want;) {
        const struct pfk_udp_datagram *d;
        int n = pfk_udp_recv(p->rx, 10000, &d);
        if (n <= 0 || got + (unsigned)n > want) {
            return false;
        }
        for (int i = 0; i < n; i++, got++) {
            const uint8_t *sent = p->bytes + (size_t)(first + got) * SIZE;
            if (d[i].n_bytes != SIZE || memcmp(d[i].bytes, sent, SIZE) != 0) {
                return false;
            }
        }
    }
    const struct pfk_udp_datagram *d;
    return pfk_udp_recv(p->rx, 0, &d) == 0;
}

static void check_counts(const struct pair *p, unsigned sent, unsigned dropped)
{
    struct pfk_udp_stats s;
    pfk_udp_get_stats(p->tx, &s);
    CHECK_EQ(s.sent, sent);
    CHECK_EQ(s.send_dropped, dropped);
    CHECK_EQ(s.sent_bytes, (uint64_t)sent * SIZE);
    CHECK_EQ(s.send_calls, n_calls);
}

static struct pair pair; // 168 kB

static bool has_offload(void)
{
    return strcmp(pfk_udp_path(pair.tx), "gso") == 0;
}

static void a_partly_taken_batch_goes_on_where_it_stopped(void **state)
{
    CHECK(open_pair(&pair, false));
    answer_with((const int[]){1, 2, 1}, 3, REAL);
    CHECK_EQ(pfk_udp_send(pair.tx, &pair.to, pair.bytes, SIZE, N), N);
    CHECK(arrive(&pair, 0, N));
    check_counts(&pair, N, 0);
    close_pair(&pair);
}

static void a_full_buffer_drops_the_rest_counts_it_and_does_not_retry(void **state)
{
    static const int errors[] = {EAGAIN, ENOBUFS};
    for (int e = 0; e < 2; e++) {
        CHECK(open_pair(&pair, false));
        unsigned first = has_offload() ? PER_MESSAGE : 1;
        answer_with((const int[]){1, -errors[e]}, 2, REAL);
        CHECK_EQ(pfk_udp_send(pair.tx, &pair.to, pair.bytes, SIZE, N), first);
        CHECK_EQ(n_calls, 2);
        check_counts(&pair, first, N - first);
        CHECK(arrive(&pair, 0, first));
        close_pair(&pair);

        CHECK(open_pair(&pair, true));
        answer_with((const int[]){REAL, REAL, -errors[e]}, 3, REAL);
        CHECK_EQ(pfk_udp_send(pair.tx, &pair.to, pair.bytes, SIZE, N), 2);
        CHECK_EQ(n_calls, 3);
        check_counts(&pair, 2, N - 2);
        CHECK(arrive(&pair, 0, 2));
        close_pair(&pair);
    }
}

static void refused_offload_is_given_up_once_and_costs_nothing(void **state)
{
    static const int errors[] = {EIO, EINVAL, EMSGSIZE, EOPNOTSUPP};
    for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
        CHECK(open_pair(&pair, false));
        if (!has_offload()) {
            close_pair(&pair);
            skip();
        }
        answer_with((const int[]){-errors[e]}, 1, REAL);
        CHECK_EQ(pfk_udp_send(pair.tx, &pair.to, pair.bytes, SIZE, N), N);
        assert_string_equal(pfk_udp_path(pair.tx), "mmsg");
        CHECK(arrive(&pair, 0, N));
        check_counts(&pair, N, 0);
        // For good: the next batch does not ask again.
        int before = n_calls;
        answer_with(NULL, 0, REAL);
        n_calls = before;
        CHECK_EQ(pfk_udp_send(pair.tx, &pair.to, pair.bytes, SIZE, 32), 32);
        CHECK_EQ(n_calls, before + 1);
        CHECK(arrive(&pair, 0, 32));
        close_pair(&pair);
    }
}

static void an_old_icmp_error_costs_no_datagram(void **state)
{
    for (int plain = 0; plain < 2; plain++) {
        CHECK(open_pair(&pair, plain));
        answer_with((const int[]){-ECONNREFUSED, REAL, -EHOSTUNREACH}, 3, REAL);
        CHECK_EQ(pfk_udp_send(pair.tx, &pair.to, pair.bytes, SIZE, N), N);
        CHECK(arrive(&pair, 0, N));
        check_counts(&pair, N, 0);
        close_pair(&pair);
    }
}

static void a_lost_route_ends_and_counts_every_datagram(void **state)
{
    for (int plain = 0; plain < 2; plain++) {
        CHECK(open_pair(&pair, plain));
        answer_with(NULL, 0, -ENETUNREACH);
        CHECK_EQ(pfk_udp_send(pair.tx, &pair.to, pair.bytes, SIZE, N), 0);
        CHECK(n_calls <= 3 * N);
        check_counts(&pair, 0, N);
        answer_with(NULL, 0, REAL); // and it comes back
        CHECK_EQ(pfk_udp_send(pair.tx, &pair.to, pair.bytes, SIZE, N), N);
        CHECK(arrive(&pair, 0, N));
        close_pair(&pair);
    }
}

// --- a route that is narrower than the datagrams ---

enum { CHILD_OK, CHILD_SKIP, CHILD_FAILED };

static bool narrow_loopback(void)
{
    struct ifreq up = {.ifr_name = "lo"}, mtu = {.ifr_name = "lo"};
    mtu.ifr_mtu = 1300;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &up) == 0;
    up.ifr_flags |= IFF_UP;
    ok = ok && ioctl(fd, SIOCSIFFLAGS, &up) == 0 && ioctl(fd, SIOCSIFMTU, &mtu) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static int send_through_narrow_route(void)
{
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return CHILD_SKIP;
    }
    if (!narrow_loopback()) {
        return CHILD_SKIP;
    }
    bool ok = open_pair(&pair, false) &&
              pfk_udp_send(pair.tx, &pair.to, pair.bytes, SIZE, N) == N && arrive(&pair, 0, N) &&
              strcmp(pfk_udp_path(pair.tx), "mmsg") == 0;
    close_pair(&pair);
    return ok ? CHILD_OK : CHILD_FAILED;
}

// The kernel refuses to segment such datagrams but sends them in fragments: a client behind a
// tunnel has a picture. In a network of its own, so that no other test sees the small MTU.
static void datagrams_longer_than_the_mtu_still_leave(void **state)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        _exit(send_through_narrow_route());
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_SKIP) {
        skip();
    }
    CHECK_EQ(WEXITSTATUS(status), CHILD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partly_taken_batch_goes_on_where_it_stopped),
        cmocka_unit_test(a_full_buffer_drops_the_rest_counts_it_and_does_not_retry),
        cmocka_unit_test(refused_offload_is_given_up_once_and_costs_nothing),
        cmocka_unit_test(an_old_icmp_error_costs_no_datagram),
        cmocka_unit_test(a_lost_route_ends_and_counts_every_datagram),
        cmocka_unit_test(datagrams_longer_than_the_mtu_still_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
