// SPDX-License-Identifier: MIT OR Apache-2.0
// Forwards UDP between clients and a host, port by port, treating packets as a bad network would.
// What udp-relay runs, without its command line.
#ifndef TOOLS_RELAY_H
#define TOOLS_RELAY_H

#include "core/base/log.h"
#include "tools/impair.h"

#include <netinet/in.h>

enum { RELAY_MAX_PORTS = 4, RELAY_MAX_FLOWS = 64 };
enum relay_direction { RELAY_DOWN, RELAY_UP, RELAY_N_DIRECTIONS }; // host to client, client to host

struct relay_config {
    struct sockaddr_in listen, to; // addresses; the ports are below
    uint16_t ports[RELAY_MAX_PORTS];
    unsigned n_ports;
    struct impair_config impair;
    bool impaired[RELAY_N_DIRECTIONS];
    uint16_t only_port; // impair this one only; 0 = all
    struct pfk_log log;
};

/** Datagrams. received + duplicated = forwarded + lost + over_rate + not_sent + those still held.
 */
struct relay_counters {
    uint64_t received, forwarded;
    uint64_t lost, over_rate; // by the model; in front of the limited link
    uint64_t duplicated, reordered;
    uint64_t not_sent; // the relay's own: refused by the kernel, too many held, client forgotten
    uint64_t too_long; // above PFK_UDP_MAX_DATAGRAM: not even received
};

struct relay;

/**
 * Binds every port. 0, PFK_E_INVALID, PFK_E_NOMEM, or an error of pfk_udp_open(), logged. Takes all
 * its memory here, except for one socket per client address, RELAY_MAX_FLOWS at most: the longest
 * silent client makes room for a new one.
 */
int relay_open(struct relay **out, const struct relay_config *cfg);

/** Forwards until relay_stop() or for `seconds` (0 = without end). */
void relay_run(struct relay *r, double seconds);

/** Any thread, and in a signal handler. */
void relay_stop(struct relay *r);

/** Of ports[port]; not while relay_run() runs. */
const struct relay_counters *relay_count(const struct relay *r, unsigned port,
                                         enum relay_direction d);

void relay_close(struct relay *r);

#endif
