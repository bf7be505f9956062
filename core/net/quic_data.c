// SPDX-License-Identifier: MIT OR Apache-2.0
// What travels over a connection: the control stream, datagrams, and the packets that carry them.
#include "core/net/quic_impl.h"

#include "core/base/clock.h"
#include "core/base/status.h"

#include <stdlib.h>
#include <string.h>

enum { DATAGRAM_LENGTH_BYTES = 2 }; // before each one in the queue

// How long a close may wait for stream bytes that pacing holds back (reference: section 8).
static const uint64_t flush_budget_ns = 300 * NGTCP2_MILLISECONDS;

// --- receiving (called by ngtcp2) ---

static void release_credit(struct pfk_quic_conn *c, size_t n)
{
    (void)ngtcp2_conn_extend_max_stream_offset(c->conn, c->stream_id, n);
    ngtcp2_conn_extend_max_offset(c->conn, n);
}

int quic_recv_stream_data(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t offset,
                          const uint8_t *bytes, size_t n, void *user_data, void *stream_user_data)
{
    struct pfk_quic_conn *c = user_data;
    if (id != c->stream_id) {
        ngtcp2_conn_extend_max_offset(conn, n);
        return 0;
    }
    if (c->held) {
        if (!c->held_bytes) {
            c->held_bytes = malloc(QUIC_STREAM_WINDOW_BYTES);
        }
        // No credit is given back while it waits, so the window bounds it.
        if (!c->held_bytes || n > QUIC_STREAM_WINDOW_BYTES - c->n_held) {
            return NGTCP2_ERR_CALLBACK_FAILURE;
        }
        memcpy(c->held_bytes + c->n_held, bytes, n);
        c->n_held += n;
        return 0;
    }
    release_credit(c, n);
    if (n > 0 && !c->close_wanted && c->q->cfg.callbacks.on_stream) {
        c->q->cfg.callbacks.on_stream(c->q->cfg.opaque, c, bytes, n);
    }
    return 0;
}

int quic_recv_datagram(ngtcp2_conn *conn, uint32_t flags, const uint8_t *bytes, size_t n,
                       void *user_data)
{
    struct pfk_quic_conn *c = user_data;
    if (c->open && !c->close_wanted && c->q->cfg.callbacks.on_datagram) {
        c->q->cfg.callbacks.on_datagram(c->q->cfg.opaque, c, bytes, n);
    }
    return 0;
}

int quic_acked_stream_data(ngtcp2_conn *conn, int64_t id, uint64_t offset, uint64_t n,
                           void *user_data, void *stream_user_data)
{
    struct pfk_quic_conn *c = user_data;
    if (id != c->stream_id) {
        return 0;
    }
    const uint64_t acked_bytes = offset + n;
    while (c->chunks && c->chunks != c->unsent &&
           c->chunks_base + c->chunks->n_bytes <= acked_bytes) {
        struct quic_chunk *done = c->chunks;
        c->chunks = done->next;
        c->chunks_base += done->n_bytes;
        free(done);
    }
    if (!c->chunks) {
        c->chunks_tail = &c->chunks;
    }
    return 0;
}

void quic_data_free(struct pfk_quic_conn *c)
{
    while (c->chunks) {
        struct quic_chunk *next = c->chunks->next;
        free(c->chunks);
        c->chunks = next;
    }
    free(c->held_bytes);
}

// --- datagrams ---

static size_t first_datagram_bytes(const struct pfk_quic_conn *c)
{
    return (size_t)(c->datagrams[0] | c->datagrams[1] << 8);
}

static void drop_datagram(struct pfk_quic_conn *c)
{
    size_t n = DATAGRAM_LENGTH_BYTES + first_datagram_bytes(c);
    c->n_datagram_bytes -= n;
    memmove(c->datagrams, c->datagrams + n, c->n_datagram_bytes);
}

// Largest datagram that one packet carries on this path as it is known now.
static size_t datagram_room(struct pfk_quic_conn *c)
{
    const size_t overhead = 1 + 4 + 16 + 3; // flags, packet number, tag, frame type and length
    size_t taken = overhead + ngtcp2_conn_get_dcid(c->conn)->datalen;
    size_t packet = ngtcp2_conn_get_path_max_tx_udp_payload_size(c->conn);
    return packet > taken ? packet - taken : 0;
}

int pfk_quic_send_datagram(struct pfk_quic_conn *c, const void *bytes, size_t n)
{
    if (c->phase != QUIC_ALIVE || c->close_wanted) {
        return PFK_E_CLOSED;
    }
    if (n > PFK_QUIC_MAX_DATAGRAM || n > datagram_room(c)) {
        return PFK_E_SIZE;
    }
    const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(c->conn);
    if (!peer || peer->max_datagram_frame_size < n + 1 + 2) { // type and length of the frame
        return PFK_E_UNSUPPORTED;
    }
    while (c->n_datagram_bytes + DATAGRAM_LENGTH_BYTES + n > sizeof(c->datagrams)) {
        drop_datagram(c); // the oldest: what is late is worth least
    }
    uint8_t *to = c->datagrams + c->n_datagram_bytes;
    to[0] = (uint8_t)n;
    to[1] = (uint8_t)(n >> 8);
    if (n > 0) {
        memcpy(to + DATAGRAM_LENGTH_BYTES, bytes, n);
    }
    c->n_datagram_bytes += DATAGRAM_LENGTH_BYTES + n;
    return PFK_OK;
}

// One packet with the oldest datagram: its bytes, 0 when it must wait, negative when it is over.
static ngtcp2_ssize write_datagram(struct pfk_quic_conn *c, ngtcp2_path_storage *ps,
                                   uint8_t *packet)
{
    ngtcp2_pkt_info pi;
    int accepted = 0;
    const ngtcp2_vec vec = {c->datagrams + DATAGRAM_LENGTH_BYTES, first_datagram_bytes(c)};
    if (vec.len > datagram_room(c)) { // the path has become narrower: it would block all others
        drop_datagram(c);
        return 1;
    }
    const size_t n_vecs = vec.len > 0; // ngtcp2 asserts that no vector is empty
    ngtcp2_ssize n =
        ngtcp2_conn_writev_datagram(c->conn, &ps->path, &pi, packet, QUIC_PACKET_BYTES, &accepted,
                                    0, 0, &vec, n_vecs, pfk_clock_monotonic_ns());
    if (accepted || n == NGTCP2_ERR_INVALID_ARGUMENT || n == NGTCP2_ERR_INVALID_STATE) {
        drop_datagram(c); // sent, or never sendable to this peer
        return n < 0 ? 1 : n;
    }
    return n;
}

// --- the control stream ---

int pfk_quic_send(struct pfk_quic_conn *c, const void *bytes, size_t n)
{
    if (c->phase != QUIC_ALIVE || c->close_wanted) {
        return PFK_E_CLOSED;
    }
    if (c->stream_id < 0) {
        if (c->q->server || ngtcp2_conn_open_bidi_stream(c->conn, &c->stream_id, NULL) != 0) {
            c->stream_id = -1;
            return PFK_E_CLOSED;
        }
    }
    if (n == 0) {
        return PFK_OK; // an empty chunk would never be done
    }
    if (n > QUIC_MAX_UNSENT_BYTES - c->n_unsent_bytes) {
        return PFK_E_AGAIN;
    }
    struct quic_chunk *chunk = malloc(sizeof(*chunk) + n);
    if (!chunk) {
        return PFK_E_NOMEM;
    }
    chunk->next = NULL;
    chunk->n_bytes = n;
    memcpy(chunk->bytes, bytes, n);
    *c->chunks_tail = chunk;
    c->chunks_tail = &chunk->next;
    if (!c->unsent) {
        c->unsent = chunk;
        c->unsent_offset = 0;
    }
    c->n_unsent_bytes += n;
    return PFK_OK;
}

static void advance_unsent(struct pfk_quic_conn *c, size_t n)
{
    c->unsent_offset += n;
    c->n_unsent_bytes -= n;
    if (c->unsent_offset == c->unsent->n_bytes) {
        c->unsent = c->unsent->next;
        c->unsent_offset = 0;
    }
}

// One packet with stream bytes, or with whatever else is due when there are none to send.
static ngtcp2_ssize write_stream(struct pfk_quic_conn *c, ngtcp2_path_storage *ps, uint8_t *packet,
                                 bool *blocked)
{
    ngtcp2_pkt_info pi;
    ngtcp2_vec vec = {NULL, 0};
    bool has_data = c->unsent && c->stream_id >= 0 && !*blocked;
    if (has_data) {
        vec.base = c->unsent->bytes + c->unsent_offset;
        vec.len = c->unsent->n_bytes - c->unsent_offset;
    }
    ngtcp2_ssize taken = -1;
    ngtcp2_ssize n = ngtcp2_conn_writev_stream(c->conn, &ps->path, &pi, packet, QUIC_PACKET_BYTES,
                                               &taken, 0, has_data ? c->stream_id : -1, &vec,
                                               has_data ? 1 : 0, pfk_clock_monotonic_ns());
    if (taken > 0) {
        advance_unsent(c, (size_t)taken);
    }
    if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED || n == NGTCP2_ERR_STREAM_SHUT_WR ||
        n == NGTCP2_ERR_STREAM_NOT_FOUND) {
        *blocked = true; // its bytes wait; acknowledgements and the like still go
        return 1;
    }
    return n;
}

// --- the way out ---

// 0, or ngtcp2's reason to end. `blocked`: the peer takes no more stream bytes now.
static int write_all(struct pfk_quic_conn *c, bool *blocked)
{
    uint8_t packet[QUIC_PACKET_BYTES];
    bool datagrams_wait = false;
    for (;;) {
        ngtcp2_path_storage ps;
        ngtcp2_path_storage_zero(&ps);
        bool datagram = c->open && c->n_datagram_bytes > 0 && !datagrams_wait;
        ngtcp2_ssize n =
            datagram ? write_datagram(c, &ps, packet) : write_stream(c, &ps, packet, blocked);
        if (n < 0) {
            return (int)n;
        }
        if (n == 0 && datagram) {
            datagrams_wait = true;
        } else if (n == 0) {
            return 0;
        } else if (ps.path.remote.addrlen > 0) {
            quic_send_packet(c->q, &ps.path, packet, (size_t)n);
        }
    }
}

void quic_conn_flush(struct pfk_quic_conn *c)
{
    if (c->phase != QUIC_ALIVE || c->busy) {
        return;
    }
    c->busy = true;
    bool blocked = false;
    int rv = write_all(c, &blocked);
    if (rv != 0) {
        quic_conn_fail(c, rv);
    } else {
        uint64_t now = pfk_clock_monotonic_ns();
        ngtcp2_conn_update_pkt_tx_time(c->conn, now);
        // Bytes that only pacing holds back go first: they often say why this ends.
        if (c->close_wanted && (!c->unsent || blocked || now >= c->close_by_ns)) {
            quic_conn_close_now(c);
        }
    }
    c->busy = false;
}

void pfk_quic_close(struct pfk_quic_conn *c, uint64_t code, const char *reason)
{
    if (c->phase != QUIC_ALIVE || c->close_wanted) {
        return;
    }
    c->close_wanted = true;
    c->close_by_ns = pfk_clock_monotonic_ns() + flush_budget_ns;
    c->end_kind = PFK_QUIC_CLOSED_BY_US;
    c->end_code = code;
    quic_conn_set_reason(c, reason, reason ? strlen(reason) : 0);
    quic_conn_flush(c); // from within a callback: as soon as ngtcp2 has returned
}

void pfk_quic_hold(struct pfk_quic_conn *c, bool hold)
{
    c->held = hold;
    if (hold || c->n_held == 0) {
        return;
    }
    size_t n = c->n_held;
    uint8_t *bytes = c->held_bytes;
    c->n_held = 0;
    c->held_bytes = NULL;
    release_credit(c, n);
    if (!c->close_wanted && c->phase == QUIC_ALIVE && c->q->cfg.callbacks.on_stream) {
        c->q->cfg.callbacks.on_stream(c->q->cfg.opaque, c, bytes, n);
    }
    free(bytes);
}
