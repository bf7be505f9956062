// SPDX-License-Identifier: MIT OR Apache-2.0
// A client's connection from inside: the object behind PunktfunkConnection, its two threads and who
// touches what. The public functions are in abi.c.
#ifndef PFK_SESSION_CLIENT_H
#define PFK_SESSION_CLIENT_H

#include "core/base/ring.h"
#include "core/media/reassembler.h"
#include "core/net/quic.h"
#include "core/net/udp.h"
#include "core/session/clock_sync.h"
#include "core/wire/control.h"
#include "core/wire/datagram.h"
#include "punktfunk_core.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum {
    CLIENT_READY_UNITS = 64,    // complete units that wait for the application
    CLIENT_READY_TIMINGS = 256, // host timing records that wait for it
    CLIENT_RECOVERY_SPACING_MS = 100
};

/** What the data thread asks the control thread to tell the host. */
enum client_want {
    CLIENT_WANT_KEYFRAME = 1u << 0,
    CLIENT_WANT_RFI = 1u << 1,
    CLIENT_WANT_STOP = 1u << 2 // the application has called punktfunk_disconnect()
};

#define CLIENT_NO_ANSWER                                                                           \
    "The host does not answer. Check its address, that it runs, and that its firewall lets UDP "   \
    "through to its port."

/** Fixed-size queue of values from one thread to one other. */
struct client_timings {
    _Atomic uint32_t head, tail; // written by the consumer; by the producer
    PunktfunkTiming slots[CLIENT_READY_TIMINGS];
};

struct PunktfunkConnection {
    // Fixed before the threads start.
    struct pfk_log log;
    punktfunk_log_fn user_log;
    void *user_log_opaque;
    struct pfk_identity *own_identity; // thrown away with the connection
    struct pfk_hello hello;
    struct pfk_welcome welcome;
    struct sockaddr_storage server;
    uint16_t port; // of `server`
    uint8_t host_fingerprint[PFK_FINGERPRINT_BYTES];
    uint64_t started_ns;
    struct pfk_udp *udp;
    struct pfk_quic *quic;
    struct pfk_reassembler *reassembler; // data thread
    pthread_t control_thread, data_thread;
    bool has_control_thread, has_data_thread;

    // Control thread (the connecting thread until that one runs).
    struct pfk_quic_conn *conn; // NULL before the handshake and after the close
    bool has_host;              // it was connected once
    bool has_welcome;
    struct pfk_clock_sync clock;
    uint64_t next_report_ns;
    uint64_t next_recovery_ns;
    uint64_t reported_received, reported_recovered, reported_late, reported_lost;
    struct pfk_deframer deframer;

    // Data thread.
    uint32_t expected_index;
    bool skip_to_keyframe; // the application fell behind: deltas are useless until the next one
    unsigned n_punches;
    uint64_t next_punch_ns;

    // Any thread.
    _Atomic uint32_t wants;               // client_want bits
    _Atomic uint32_t rfi_first, rfi_last; // valid with CLIENT_WANT_RFI
    atomic_bool ended;                    // pulls drain what waits, then return CLOSED
    _Atomic int64_t clock_offset_ns;
    _Atomic uint64_t clock_rtt_ns;
    _Atomic uint64_t frames_completed, frames_lost, frames_dropped, packets_received,
        packets_dropped, bytes_received, shards_recovered, shards_late, keyframe_requests;
    pthread_mutex_t end_lock;
    PunktfunkEnd end;

    // Data thread to application and back: units of the reassembler.
    struct pfk_ring *ready, *spent;
    sem_t ready_count;
    struct pfk_unit *held; // by the application, until its next pull
    struct client_timings timings;
    sem_t timing_count;
};

/** Resolve, shake hands, say Hello, take the Welcome, send Start. On failure `c->end` says why. */
int client_handshake(struct PunktfunkConnection *c, const PunktfunkConnectConfig *cfg);

/** Threads; `arg` is the connection. They end after client_finish(). */
void *client_control_run(void *arg);
void *client_data_run(void *arg);

/** Control stream and datagrams, called by the QUIC endpoint. */
extern const struct pfk_quic_callbacks client_quic_callbacks;

void client_send_control(struct PunktfunkConnection *c, const struct pfk_control *m);

/** Ask the control thread for something. */
void client_want(struct PunktfunkConnection *c, uint32_t wants);

/** The connection is over; the first call counts. Wakes everybody. Any thread. */
void client_finish(struct PunktfunkConnection *c, int status, bool by_host, uint64_t code,
                   const char *text);

#endif
