// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tools/relay.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_HELD = 1 << 16,
    STAGE = 512, // datagrams that leave in one call
    SLOT_BYTES = PFK_UDP_MAX_DATAGRAM
};

struct port {
    uint16_t number;
    struct pfk_udp
        *udp; // answers leave from it: the clients' sockets are connected to this address
    bool impaired[RELAY_N_DIRECTIONS];
    struct impair impair[RELAY_N_DIRECTIONS];
    struct relay_counters counters[RELAY_N_DIRECTIONS];
    unsigned last_flow; // most datagrams come from the client that sent the one before
};

// One client socket as the host sees it.
struct flow {
    unsigned port;
    unsigned generation; // counts the clients this entry has served
    struct sockaddr_storage client;
    struct pfk_udp *udp; // connected to the host
    uint64_t last_used;
};

struct held {
    uint64_t due_ns, order;
    uint32_t slot;
    uint16_t n_bytes;
    uint8_t direction, port;
    unsigned flow, generation;
};

struct relay {
    struct relay_config cfg;
    int stop_read, stop_write;
    struct port ports[RELAY_MAX_PORTS];
    struct flow flows[RELAY_MAX_FLOWS];
    unsigned n_flows;
    uint64_t n_used;

    struct held *heap; // by due time
    uint8_t *slots;    // MAX_HELD of SLOT_BYTES; the kernel gives the memory when it is first used
    uint32_t *free_slots;
    size_t n_held, n_free;
    uint64_t n_ordered;

    // Equal datagrams on the same way, gathered for one call.
    uint8_t stage[STAGE * SLOT_BYTES];
    size_t stage_bytes; // of each
    unsigned stage_n, stage_flow;
    enum relay_direction stage_direction;
};

// --- sending ---

static void flush(struct relay *r)
{
    if (r->stage_n == 0) {
        return;
    }
    struct flow *f = &r->flows[r->stage_flow];
    struct port *p = &r->ports[f->port];
    struct relay_counters *c = &p->counters[r->stage_direction];
    unsigned sent = r->stage_direction == RELAY_UP
                        ? pfk_udp_send(f->udp, NULL, r->stage, r->stage_bytes, r->stage_n)
                        : pfk_udp_send(p->udp, &f->client, r->stage, r->stage_bytes, r->stage_n);
    c->forwarded += sent;
    c->not_sent += r->stage_n - sent;
    r->stage_n = 0;
}

static void emit(struct relay *r, unsigned flow, enum relay_direction d, const uint8_t *bytes,
                 size_t n_bytes)
{
    if (r->stage_n == STAGE || r->stage_flow != flow || r->stage_direction != d ||
        r->stage_bytes != n_bytes) {
        flush(r);
    }
    r->stage_flow = flow;
    r->stage_direction = d;
    r->stage_bytes = n_bytes;
    memcpy(r->stage + r->stage_n * n_bytes, bytes, n_bytes);
    r->stage_n++;
}

// --- holding back: a heap by due time over a fixed number of slots ---

static bool before(const struct held *a, const struct held *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void push_held(struct relay *r, struct held h)
{
    size_t i = r->n_held++;
    for (; i > 0 && before(&h, &r->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        r->heap[i] = r->heap[(i - 1) / 2];
    }
    r->heap[i] = h;
}

static struct held pop_held(struct relay *r)
{
    const struct held first = r->heap[0], last = r->heap[--r->n_held];
    size_t i = 0;
    for (size_t child = 1; child < r->n_held; child = 2 * i + 1) {
        if (child + 1 < r->n_held && before(&r->heap[child + 1], &r->heap[child])) {
            child++;
        }
        if (!before(&r->heap[child], &last)) {
            break;
        }
        r->heap[i] = r->heap[child];
        i = child;
    }
    r->heap[i] = last;
    return first;
}

static void hold(struct relay *r, unsigned flow, enum relay_direction d,
                 const struct pfk_udp_datagram *g, uint64_t due_ns)
{
    const struct flow *f = &r->flows[flow];
    if (r->n_free == 0) {
        r->ports[f->port].counters[d].not_sent++;
        return;
    }
    uint32_t slot = r->free_slots[--r->n_free];
    memcpy(r->slots + (size_t)slot * SLOT_BYTES, g->bytes, g->n_bytes);
    push_held(r, (struct held){.due_ns = due_ns,
                               .order = r->n_ordered++,
                               .slot = slot,
                               .n_bytes = (uint16_t)g->n_bytes,
                               .direction = (uint8_t)d,
                               .port = (uint8_t)f->port,
                               .flow = flow,
                               .generation = f->generation});
}

static void send_due(struct relay *r, uint64_t now_ns)
{
    while (r->n_held && r->heap[0].due_ns <= now_ns) {
        const struct held h = pop_held(r);
        if (r->flows[h.flow].generation == h.generation) {
            emit(r, h.flow, h.direction, r->slots + (size_t)h.slot * SLOT_BYTES, h.n_bytes);
        } else {
            r->ports[h.port].counters[h.direction].not_sent++;
        }
        r->free_slots[r->n_free++] = h.slot;
    }
    flush(r);
}

// --- receiving ---

static void take(struct relay *r, unsigned flow, enum relay_direction d,
                 const struct pfk_udp_datagram *g, uint64_t now_ns)
{
    struct port *p = &r->ports[r->flows[flow].port];
    struct relay_counters *c = &p->counters[d];
    c->received++;
    if (!p->impaired[d]) {
        emit(r, flow, d, g->bytes, g->n_bytes);
        return;
    }
    struct impair_fate fate = impair_packet(&p->impair[d], g->n_bytes, now_ns);
    c->lost += fate.lost;
    c->over_rate += fate.over_rate;
    c->reordered += fate.reordered;
    c->duplicated += fate.copies == 2;
    for (unsigned i = 0; i < fate.copies; i++) {
        if (fate.delay_ns == 0) {
            emit(r, flow, d, g->bytes, g->n_bytes);
        } else {
            hold(r, flow, d, g, now_ns + fate.delay_ns);
        }
    }
}

static bool same_client(const struct flow *f, unsigned port, const struct sockaddr_storage *client)
{
    const struct sockaddr_in *a = (const struct sockaddr_in *)&f->client;
    const struct sockaddr_in *b = (const struct sockaddr_in *)client;
    return f->udp && f->port == port && a->sin_port == b->sin_port &&
           a->sin_addr.s_addr == b->sin_addr.s_addr;
}

// An unused entry, or that of the longest silent client.
static unsigned choose_entry(const struct relay *r)
{
    unsigned chosen = 0;
    for (unsigned i = 0; i < RELAY_MAX_FLOWS; i++) {
        if (!r->flows[i].udp) {
            return i;
        }
        if (r->flows[i].last_used < r->flows[chosen].last_used) {
            chosen = i;
        }
    }
    return chosen;
}

static int open_flow(struct relay *r, unsigned port, const struct sockaddr_storage *client,
                     unsigned *out)
{
    unsigned i = choose_entry(r);
    struct flow *f = &r->flows[i];
    flush(r); // it may hold datagrams of the client that goes
    pfk_udp_close(f->udp);
    *f = (struct flow){.port = port, .client = *client, .generation = f->generation + 1};
    struct pfk_udp_config uc = {.bind = {.ss_family = AF_INET}};
    struct sockaddr_storage host = {0};
    struct sockaddr_in to = r->cfg.to;
    to.sin_port = htons(r->ports[port].number);
    memcpy(&host, &to, sizeof(to));
    int err = pfk_udp_open(&f->udp, &uc); // its buffers are as small as the port's, which said so
    err = err ? err : pfk_udp_connect(f->udp, &host);
    if (err) {
        pfk_udp_close(f->udp);
        f->udp = NULL;
        return err;
    }
    r->n_flows = i >= r->n_flows ? i + 1 : r->n_flows;
    *out = i;
    return PFK_OK;
}

static int find_flow(struct relay *r, unsigned port, const struct sockaddr_storage *client,
                     unsigned *out)
{
    struct port *p = &r->ports[port];
    int err = PFK_OK;
    *out = p->last_flow;
    if (!same_client(&r->flows[*out], port, client)) {
        unsigned i = 0;
        while (i < r->n_flows && !same_client(&r->flows[i], port, client)) {
            i++;
        }
        *out = i;
        err = i < r->n_flows ? PFK_OK : open_flow(r, port, client, out);
    }
    if (!err) {
        p->last_flow = *out;
        r->flows[*out].last_used = ++r->n_used;
    }
    return err;
}

// One batch from a socket; what was too long for it is added to *too_long.
static int read_batch(struct pfk_udp *udp, const struct pfk_udp_datagram **out, uint64_t *too_long)
{
    struct pfk_udp_stats begin, end;
    pfk_udp_get_stats(udp, &begin);
    int n = pfk_udp_recv(udp, 0, out);
    pfk_udp_get_stats(udp, &end);
    *too_long += end.recv_dropped - begin.recv_dropped;
    return n;
}

static void read_from_clients(struct relay *r, unsigned port)
{
    const struct pfk_udp_datagram *g;
    struct relay_counters *c = &r->ports[port].counters[RELAY_UP];
    int n = read_batch(r->ports[port].udp, &g, &c->too_long);
    uint64_t now_ns = pfk_clock_monotonic_ns();
    for (int i = 0; i < n; i++) {
        unsigned flow;
        if (find_flow(r, port, g[i].from, &flow) == PFK_OK) {
            take(r, flow, RELAY_UP, &g[i], now_ns);
        } else {
            c->received++;
            c->not_sent++;
        }
    }
    flush(r);
}

static void read_from_host(struct relay *r, unsigned flow)
{
    struct flow *f = &r->flows[flow];
    const struct pfk_udp_datagram *g;
    if (!f->udp) {
        return;
    }
    int n = read_batch(f->udp, &g, &r->ports[f->port].counters[RELAY_DOWN].too_long);
    uint64_t now_ns = pfk_clock_monotonic_ns();
    for (int i = 0; i < n; i++) {
        take(r, flow, RELAY_DOWN, &g[i], now_ns);
    }
    if (n > 0) {
        f->last_used = ++r->n_used;
    }
    flush(r);
}

// --- the loop ---

static void wait_and_read(struct relay *r, uint64_t left_ns)
{
    struct pollfd fds[1 + RELAY_MAX_PORTS + RELAY_MAX_FLOWS];
    const struct timespec wait = {(time_t)(left_ns / 1000000000u), (long)(left_ns % 1000000000u)};
    const unsigned n_ports = r->cfg.n_ports, n_flows = r->n_flows; // reading may add flows
    fds[0] = (struct pollfd){r->stop_read, POLLIN, 0};
    for (unsigned i = 0; i < n_ports; i++) {
        fds[1 + i] = (struct pollfd){pfk_udp_fd(r->ports[i].udp), POLLIN, 0};
    }
    for (unsigned i = 0; i < n_flows; i++) {
        const struct pfk_udp *udp = r->flows[i].udp;
        fds[1 + n_ports + i] = (struct pollfd){udp ? pfk_udp_fd(udp) : -1, POLLIN, 0};
    }
    if (ppoll(fds, 1 + n_ports + n_flows, left_ns == UINT64_MAX ? NULL : &wait, NULL) <= 0) {
        return;
    }
    for (unsigned i = 0; i < n_ports; i++) {
        if (fds[1 + i].revents) {
            read_from_clients(r, i);
        }
    }
    for (unsigned i = 0; i < n_flows; i++) {
        if (fds[1 + n_ports + i].revents) {
            read_from_host(r, i);
        }
    }
}

static bool stopped(const struct relay *r)
{
    uint8_t byte;
    return read(r->stop_read, &byte, 1) == 1;
}

void relay_run(struct relay *r, double seconds)
{
    const uint64_t end_ns =
        seconds > 0 ? pfk_clock_monotonic_ns() + (uint64_t)(seconds * 1e9) : UINT64_MAX;
    while (!stopped(r)) {
        uint64_t now_ns = pfk_clock_monotonic_ns();
        if (now_ns >= end_ns) {
            break;
        }
        send_due(r, now_ns);
        uint64_t until_ns = end_ns;
        if (r->n_held && r->heap[0].due_ns < until_ns) {
            until_ns = r->heap[0].due_ns;
        }
        now_ns = pfk_clock_monotonic_ns();
        wait_and_read(r, until_ns == UINT64_MAX ? UINT64_MAX
                         : until_ns > now_ns    ? until_ns - now_ns
                                                : 0);
    }
}

void relay_stop(struct relay *r)
{
    int err = errno; // a signal handler must not change it
    ssize_t n = write(r->stop_write, "", 1);
    (void)n; // full: it stops already
    errno = err;
}

const struct relay_counters *relay_count(const struct relay *r, unsigned port,
                                         enum relay_direction d)
{
    return &r->ports[port].counters[d];
}

// --- opening and closing ---

static int open_port(struct relay *r, unsigned i)
{
    struct port *p = &r->ports[i];
    struct sockaddr_in at = r->cfg.listen;
    p->number = r->cfg.ports[i];
    at.sin_port = htons(p->number);
    struct pfk_udp_config uc = {.log = r->cfg.log};
    memcpy(&uc.bind, &at, sizeof(at));
    bool chosen = !r->cfg.only_port || r->cfg.only_port == p->number;
    for (unsigned d = 0; d < RELAY_N_DIRECTIONS; d++) {
        struct impair_config c = r->cfg.impair;
        c.seed += 1000 * i + 100 * d; // no two ways lose alike
        impair_init(&p->impair[d], &c);
        p->impaired[d] = chosen && r->cfg.impaired[d];
    }
    return pfk_udp_open(&p->udp, &uc);
}

int relay_open(struct relay **out, const struct relay_config *cfg)
{
    *out = NULL;
    if (cfg->n_ports == 0 || cfg->n_ports > RELAY_MAX_PORTS) {
        return PFK_E_INVALID;
    }
    struct relay *r = calloc(1, sizeof(*r));
    if (!r) {
        return PFK_E_NOMEM;
    }
    r->cfg = *cfg;
    r->stop_read = r->stop_write = -1;
    int stop[2], err = PFK_OK;
    if (pipe2(stop, O_CLOEXEC | O_NONBLOCK) == 0) {
        r->stop_read = stop[0];
        r->stop_write = stop[1];
    } else {
        pfk_logf(&cfg->log, PFK_LOG_ERROR, "cannot open a pipe: %s; raise the limit of open files",
                 strerror(errno));
        err = PFK_E_IO;
    }
    r->heap = malloc(MAX_HELD * sizeof(*r->heap));
    r->slots = malloc((size_t)MAX_HELD * SLOT_BYTES);
    r->free_slots = malloc(MAX_HELD * sizeof(*r->free_slots));
    if (!r->heap || !r->slots || !r->free_slots) {
        err = PFK_E_NOMEM;
    }
    for (; !err && r->n_free < MAX_HELD; r->n_free++) {
        r->free_slots[r->n_free] = (uint32_t)(MAX_HELD - 1 - r->n_free);
    }
    for (unsigned i = 0; !err && i < cfg->n_ports; i++) {
        err = open_port(r, i);
    }
    if (err) {
        relay_close(r);
        return err;
    }
    *out = r;
    return PFK_OK;
}

void relay_close(struct relay *r)
{
    if (!r) {
        return;
    }
    for (unsigned i = 0; i < RELAY_MAX_PORTS; i++) {
        pfk_udp_close(r->ports[i].udp);
    }
    for (unsigned i = 0; i < RELAY_MAX_FLOWS; i++) {
        pfk_udp_close(r->flows[i].udp);
    }
    if (r->stop_read >= 0) {
        close(r->stop_read);
        close(r->stop_write);
    }
    free(r->heap);
    free(r->slots);
    free(r->free_slots);
    free(r);
}
