// SPDX-License-Identifier: MIT OR Apache-2.0
// One connection: ngtcp2's callbacks, the control stream and datagrams, and how it ends.
#include "core/net/quic_impl.h"

#include "core/base/clock.h"
#include "core/base/status.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t handshake_timeout_ns = 10 * NGTCP2_SECONDS;
static const uint64_t keep_alive_max_ns = 4 * NGTCP2_SECONDS;
static const uint32_t default_idle_ms = 8000;
static const uint64_t foreign_stream_code =
    0x70; // RESET_STREAM, STOP_SENDING (reference: section 2)

// --- ngtcp2 callbacks ---

static void give_random(uint8_t *dest, size_t n, const ngtcp2_rand_ctx *ctx)
{
    if (gnutls_rnd(GNUTLS_RND_NONCE, dest, n) < 0) {
        memset(dest, 0, n); // PATH_CHALLENGE and grease bits only; keys come from TLS
    }
}

static int new_connection_id(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t n,
                             void *user_data)
{
    struct pfk_quic_conn *c = user_data;
    if (c->n_cids == QUIC_MAX_CIDS || gnutls_rnd(GNUTLS_RND_RANDOM, cid->data, n) < 0) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    cid->datalen = n;
    if (ngtcp2_crypto_generate_stateless_reset_token(token, c->q->secret, sizeof(c->q->secret),
                                                     cid) != 0) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    c->cids[c->n_cids++] = *cid;
    return 0;
}

static int remove_connection_id(ngtcp2_conn *conn, const ngtcp2_cid *cid, void *user_data)
{
    struct pfk_quic_conn *c = user_data;
    for (unsigned i = 0; i < c->n_cids; i++) {
        if (ngtcp2_cid_eq(&c->cids[i], cid)) {
            c->cids[i] = c->cids[--c->n_cids];
            break;
        }
    }
    return 0;
}

static int handshake_completed(ngtcp2_conn *conn, void *user_data)
{
    struct pfk_quic_conn *c = user_data;
    if (!quic_tls_finish(c)) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    c->open = true;
    if (c->q->cfg.callbacks.on_open) {
        c->q->cfg.callbacks.on_open(c->q->cfg.opaque, c);
    }
    return 0;
}

static bool is_peers_stream(const struct pfk_quic_conn *c, int64_t id)
{
    return ((id & 1) == 1) != c->q->server; // odd IDs are the server's
}

static int stream_open(ngtcp2_conn *conn, int64_t id, void *user_data)
{
    struct pfk_quic_conn *c = user_data;
    bool bidirectional = (id & 2) == 0;
    if (c->q->server && bidirectional && c->stream_id < 0) {
        c->stream_id = id;
    } else {
        (void)pfk_ngtcp2_shutdown_stream(conn, id, foreign_stream_code);
    }
    return 0;
}

static int stream_close(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t code,
                        void *user_data, void *stream_user_data)
{
    struct pfk_quic_conn *c = user_data;
    if (is_peers_stream(c, id) && (id & 2) == 0) {
        ngtcp2_conn_extend_max_streams_bidi(conn, 1);
    }
    return 0;
}

static void release_credit(struct pfk_quic_conn *c, size_t n)
{
    (void)ngtcp2_conn_extend_max_stream_offset(c->conn, c->stream_id, n);
    ngtcp2_conn_extend_max_offset(c->conn, n);
}

static int recv_stream_data(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t offset,
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

static int recv_datagram(ngtcp2_conn *conn, uint32_t flags, const uint8_t *bytes, size_t n,
                         void *user_data)
{
    struct pfk_quic_conn *c = user_data;
    if (c->open && !c->close_wanted && c->q->cfg.callbacks.on_datagram) {
        c->q->cfg.callbacks.on_datagram(c->q->cfg.opaque, c, bytes, n);
    }
    return 0;
}

static int acked_stream_data(ngtcp2_conn *conn, int64_t id, uint64_t offset, uint64_t n,
                             void *user_data, void *stream_user_data)
{
    struct pfk_quic_conn *c = user_data;
    if (id != c->stream_id) {
        return 0;
    }
    c->acked_bytes = offset + n;
    while (c->chunks && c->chunks != c->unsent &&
           c->chunks_base + c->chunks->n_bytes <= c->acked_bytes) {
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

static ngtcp2_callbacks make_callbacks(bool server)
{
    ngtcp2_callbacks cb = {
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .handshake_completed = handshake_completed,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_stream_data = recv_stream_data,
        .acked_stream_data_offset = acked_stream_data,
        .stream_open = stream_open,
        .stream_close = stream_close,
        .rand = give_random,
        .get_new_connection_id = new_connection_id,
        .remove_connection_id = remove_connection_id,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .recv_datagram = recv_datagram,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    };
    if (server) {
        cb.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    } else {
        cb.client_initial = ngtcp2_crypto_client_initial_cb;
        cb.recv_retry = ngtcp2_crypto_recv_retry_cb;
    }
    return cb;
}

// --- creation ---

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct pfk_quic_conn *)ref->user_data)->conn;
}

static uint64_t idle_ns(const struct pfk_quic *q)
{
    uint32_t ms = q->cfg.idle_timeout_ms ? q->cfg.idle_timeout_ms : default_idle_ms;
    return ms * (uint64_t)NGTCP2_MILLISECONDS;
}

static void fill_params(const struct pfk_quic *q, ngtcp2_transport_params *p)
{
    ngtcp2_transport_params_default(p);
    p->initial_max_stream_data_bidi_local = QUIC_STREAM_WINDOW_BYTES;
    p->initial_max_stream_data_bidi_remote = QUIC_STREAM_WINDOW_BYTES;
    p->initial_max_data = QUIC_CONN_WINDOW_BYTES;
    p->initial_max_streams_bidi = 100;
    p->initial_max_streams_uni = 0;
    p->max_idle_timeout = idle_ns(q);
    p->max_datagram_frame_size = 65535;
    p->active_connection_id_limit = 4;
}

static struct pfk_quic_conn *conn_create(struct pfk_quic *q, const struct sockaddr_storage *peer)
{
    struct pfk_quic_conn *c = calloc(1, sizeof(*c));
    if (c) {
        c->q = q;
        c->peer = *peer;
        c->stream_id = -1;
        c->chunks_tail = &c->chunks;
        c->datagrams_tail = &c->datagrams;
        c->opened_ns = pfk_clock_monotonic_ns();
        c->ref = (ngtcp2_crypto_conn_ref){.get_conn = get_conn, .user_data = c};
    }
    return c;
}

static int conn_start(struct pfk_quic_conn *c, bool server)
{
    int err = quic_tls_create(c, server);
    if (err) {
        return err;
    }
    ngtcp2_conn_set_tls_native_handle(c->conn, c->tls);
    uint64_t idle = idle_ns(c->q);
    ngtcp2_conn_set_keep_alive_timeout(c->conn,
                                       idle / 2 < keep_alive_max_ns ? idle / 2 : keep_alive_max_ns);
    c->next = c->q->conns;
    c->q->conns = c;
    c->q->n_conns++;
    return PFK_OK;
}

static socklen_t addr_bytes(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static ngtcp2_path make_path(const struct sockaddr_storage *local,
                             const struct sockaddr_storage *remote)
{
    ngtcp2_path path = {
        .local = {(ngtcp2_sockaddr *)(uintptr_t)local, addr_bytes(local)},
        .remote = {(ngtcp2_sockaddr *)(uintptr_t)remote, addr_bytes(remote)},
    };
    return path;
}

static void fill_settings(ngtcp2_settings *s)
{
    ngtcp2_settings_default(s);
    s->initial_ts = pfk_clock_monotonic_ns();
    s->handshake_timeout = handshake_timeout_ns;
}

int quic_conn_accept(struct pfk_quic *q, const ngtcp2_pkt_hd *hd, const struct quic_packet_info *p,
                     struct pfk_quic_conn **out)
{
    *out = NULL;
    struct pfk_quic_conn *c = conn_create(q, &p->from);
    if (!c) {
        return PFK_E_NOMEM;
    }
    ngtcp2_settings settings;
    fill_settings(&settings);
    ngtcp2_transport_params params;
    fill_params(q, &params);
    pfk_ngtcp2_set_original_dcid(&params, &hd->dcid);
    const ngtcp2_callbacks callbacks = make_callbacks(true);
    const ngtcp2_path path = make_path(&p->to, &p->from);
    ngtcp2_cid scid = {.datalen = QUIC_CID_BYTES};
    int err = PFK_E_NOMEM;
    if (gnutls_rnd(GNUTLS_RND_RANDOM, scid.data, QUIC_CID_BYTES) == 0 &&
        ngtcp2_crypto_generate_stateless_reset_token(params.stateless_reset_token, q->secret,
                                                     sizeof(q->secret), &scid) == 0) {
        params.stateless_reset_token_present = 1;
        c->cids[c->n_cids++] = scid;
        c->cids[c->n_cids++] = hd->dcid; // the client's Initials still carry it
        if (ngtcp2_conn_server_new(&c->conn, &hd->scid, &scid, &path, hd->version, &callbacks,
                                   &settings, &params, NULL, c) == 0) {
            err = conn_start(c, true);
        }
    }
    if (err) {
        quic_conn_free(c);
        return err;
    }
    *out = c;
    return PFK_OK;
}

int quic_conn_dial(struct pfk_quic *q, const struct sockaddr_storage *server, const uint8_t *pin)
{
    struct pfk_quic_conn *c = conn_create(q, server);
    if (!c) {
        return PFK_E_NOMEM;
    }
    if (pin) {
        c->has_pin = true;
        memcpy(c->pin, pin, sizeof(c->pin));
    }
    ngtcp2_settings settings;
    fill_settings(&settings);
    ngtcp2_transport_params params;
    fill_params(q, &params);
    const ngtcp2_callbacks callbacks = make_callbacks(false);
    const ngtcp2_path path = make_path(&q->local, server);
    ngtcp2_cid scid = {.datalen = QUIC_CID_BYTES}, dcid = {.datalen = QUIC_CID_BYTES};
    int err = PFK_E_NOMEM;
    if (gnutls_rnd(GNUTLS_RND_RANDOM, scid.data, QUIC_CID_BYTES) == 0 &&
        gnutls_rnd(GNUTLS_RND_RANDOM, dcid.data, QUIC_CID_BYTES) == 0) {
        c->cids[c->n_cids++] = scid;
        if (ngtcp2_conn_client_new(&c->conn, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &callbacks,
                                   &settings, &params, NULL, c) == 0) {
            err = conn_start(c, false);
        }
    }
    if (err) {
        quic_conn_free(c);
    }
    return err;
}

void quic_conn_free(struct pfk_quic_conn *c)
{
    if (!c) {
        return;
    }
    if (c->conn) {
        ngtcp2_conn_del(c->conn);
    }
    if (c->tls) {
        gnutls_deinit(c->tls);
    }
    while (c->chunks) {
        struct quic_chunk *next = c->chunks->next;
        free(c->chunks);
        c->chunks = next;
    }
    while (c->datagrams) {
        struct quic_datagram *next = c->datagrams->next;
        free(c->datagrams);
        c->datagrams = next;
    }
    free(c->held_bytes);
    free(c->close_packet);
    free(c);
}

// --- the end ---

void quic_conn_end(struct pfk_quic_conn *c, enum pfk_quic_close_kind kind, uint64_t code,
                   const char *reason, size_t reason_bytes)
{
    if (c->phase != QUIC_ALIVE) {
        return;
    }
    c->phase = QUIC_ENDED;
    c->end_kind = kind;
    c->end_code = code;
    size_t n = reason_bytes < sizeof(c->end_reason) - 1 ? reason_bytes : sizeof(c->end_reason) - 1;
    for (size_t i = 0; i < n; i++) { // it may come from the network and go to a terminal
        uint8_t ch = (uint8_t)reason[i];
        c->end_reason[i] = ch >= 0x20 && ch < 0x7F ? (char)ch : '?';
    }
    c->end_reason[n] = 0;
}

static void write_close(struct pfk_quic_conn *c, const ngtcp2_ccerr *error)
{
    uint8_t packet[QUIC_PACKET_BYTES];
    ngtcp2_path_storage ps;
    ngtcp2_path_storage_zero(&ps);
    ngtcp2_pkt_info pi;
    uint64_t now = pfk_clock_monotonic_ns();
    ngtcp2_ssize n = ngtcp2_conn_write_connection_close(c->conn, &ps.path, &pi, packet,
                                                        sizeof(packet), error, now);
    if (n <= 0) {
        return;
    }
    quic_send_packet(c->q, &ps.path, packet, (size_t)n);
    c->close_packet = malloc((size_t)n);
    if (c->close_packet) {
        memcpy(c->close_packet, packet, (size_t)n);
        c->n_close_packet = (size_t)n;
        c->linger_until_ns = now + 3 * ngtcp2_conn_get_pto(c->conn);
    }
}

void quic_conn_close_now(struct pfk_quic_conn *c)
{
    ngtcp2_ccerr error;
    ngtcp2_ccerr_default(&error);
    ngtcp2_ccerr_set_application_error(&error, c->end_code, (const uint8_t *)c->end_reason,
                                       strlen(c->end_reason));
    write_close(c, &error);
    c->phase = QUIC_ENDED;
}

// ngtcp2 refuses to go on: tell the peer why where that is due.
static void fail(struct pfk_quic_conn *c, int rv)
{
    if (rv == NGTCP2_ERR_DRAINING || rv == NGTCP2_ERR_CLOSING) {
        ngtcp2_ccerr e = pfk_ngtcp2_ccerr(c->conn);
        bool application = e.type == NGTCP2_CCERR_TYPE_APPLICATION;
        bool crypto = !application && (e.error_code & ~(uint64_t)0xFF) == NGTCP2_CRYPTO_ERROR;
        const char *reason = (const char *)e.reason;
        size_t n = e.reason ? e.reasonlen : 0;
        if (crypto && n == 0) {
            reason = gnutls_alert_get_name((gnutls_alert_description_t)(e.error_code & 0xFF));
            n = reason ? strlen(reason) : 0;
        }
        quic_conn_end(c,
                      application ? PFK_QUIC_CLOSED_BY_PEER
                      : crypto    ? PFK_QUIC_CLOSED_TLS
                                  : PFK_QUIC_CLOSED_TRANSPORT,
                      e.error_code, reason ? reason : "", n);
        return;
    }
    if (rv == NGTCP2_ERR_IDLE_CLOSE || rv == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
        quic_conn_end(c, PFK_QUIC_CLOSED_IDLE, 0, "time-out", 8);
        return;
    }
    if (rv == NGTCP2_ERR_DROP_CONN || rv == NGTCP2_ERR_RETRY) {
        quic_conn_end(c, PFK_QUIC_CLOSED_TRANSPORT, 0, "dropped", 7);
        return;
    }
    const char *text = c->tls_cause ? c->tls_cause : ngtcp2_strerror(rv);
    bool tls = rv == NGTCP2_ERR_CRYPTO || c->tls_cause;
    ngtcp2_ccerr error;
    ngtcp2_ccerr_default(&error);
    if (rv == NGTCP2_ERR_CRYPTO) {
        uint8_t alert = ngtcp2_conn_get_tls_alert(c->conn);
        ngtcp2_ccerr_set_tls_alert(&error, alert, NULL, 0);
        const char *name = gnutls_alert_get_name((gnutls_alert_description_t)alert);
        text = c->tls_cause ? c->tls_cause : name ? name : text;
    } else {
        ngtcp2_ccerr_set_liberr(&error, rv, NULL, 0);
    }
    write_close(c, &error);
    quic_conn_end(c, tls ? PFK_QUIC_CLOSED_TLS : PFK_QUIC_CLOSED_TRANSPORT, 0, text, strlen(text));
}

// --- reading, timers, writing ---

void quic_conn_read(struct pfk_quic_conn *c, const struct quic_packet_info *p)
{
    const ngtcp2_path path = make_path(&p->to, &p->from);
    if (c->phase != QUIC_ALIVE) {
        if (c->close_packet) { // the closing period: say it again, RFC 9000 section 10.2.1
            quic_send_packet(c->q, &path, c->close_packet, c->n_close_packet);
        }
        return;
    }
    ngtcp2_pkt_info pi = {0};
    int rv =
        ngtcp2_conn_read_pkt(c->conn, &path, &pi, p->bytes, p->n_bytes, pfk_clock_monotonic_ns());
    if (rv != 0) {
        fail(c, rv);
        return;
    }
    const ngtcp2_path *now = ngtcp2_conn_get_path(c->conn);
    memcpy(&c->peer, now->remote.addr, now->remote.addrlen);
    memcpy(&c->local, now->local.addr, now->local.addrlen);
}

void quic_conn_expire(struct pfk_quic_conn *c, uint64_t now_ns)
{
    if (c->phase == QUIC_ALIVE && ngtcp2_conn_get_expiry(c->conn) <= now_ns) {
        int rv = ngtcp2_conn_handle_expiry(c->conn, now_ns);
        if (rv != 0) {
            fail(c, rv);
        }
    }
}

uint64_t quic_conn_deadline_ns(const struct pfk_quic_conn *c)
{
    switch (c->phase) {
    case QUIC_ALIVE:
        return ngtcp2_conn_get_expiry(c->conn);
    case QUIC_LINGER:
        return c->linger_until_ns;
    default:
        return 0;
    }
}

static void drop_datagram(struct pfk_quic_conn *c)
{
    struct quic_datagram *d = c->datagrams;
    c->datagrams = d->next;
    c->n_datagram_bytes -= d->n_bytes;
    if (!c->datagrams) {
        c->datagrams_tail = &c->datagrams;
    }
    free(d);
}

// One packet with the oldest datagram: its bytes, 0 when it must wait, negative when it is over.
static ngtcp2_ssize write_datagram(struct pfk_quic_conn *c, ngtcp2_path_storage *ps,
                                   uint8_t *packet)
{
    ngtcp2_pkt_info pi;
    int accepted = 0;
    const ngtcp2_vec vec = {c->datagrams->bytes, c->datagrams->n_bytes};
    ngtcp2_ssize n =
        ngtcp2_conn_writev_datagram(c->conn, &ps->path, &pi, packet, QUIC_PACKET_BYTES, &accepted,
                                    0, 0, &vec, 1, pfk_clock_monotonic_ns());
    if (accepted || n == NGTCP2_ERR_INVALID_ARGUMENT || n == NGTCP2_ERR_INVALID_STATE) {
        drop_datagram(c); // sent, or never sendable to this peer
        return n < 0 ? 1 : n;
    }
    return n;
}

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
        c->unsent_offset += (size_t)taken;
        c->n_unsent_bytes -= (size_t)taken;
        if (c->unsent_offset == c->unsent->n_bytes) {
            c->unsent = c->unsent->next;
            c->unsent_offset = 0;
        }
    }
    if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED || n == NGTCP2_ERR_STREAM_SHUT_WR ||
        n == NGTCP2_ERR_STREAM_NOT_FOUND) {
        *blocked = true; // its bytes wait; acknowledgements and the like still go
        return 1;
    }
    return n;
}

void quic_conn_flush(struct pfk_quic_conn *c)
{
    if (c->phase != QUIC_ALIVE) {
        return;
    }
    uint8_t packet[QUIC_PACKET_BYTES];
    bool blocked = false, datagrams_wait = false;
    for (;;) {
        ngtcp2_path_storage ps;
        ngtcp2_path_storage_zero(&ps);
        bool datagram = c->open && c->datagrams && !datagrams_wait;
        ngtcp2_ssize n =
            datagram ? write_datagram(c, &ps, packet) : write_stream(c, &ps, packet, &blocked);
        if (n < 0) {
            fail(c, (int)n);
            return;
        }
        if (n == 0 && datagram) {
            datagrams_wait = true;
        } else if (n == 0) {
            break;
        } else if (ps.path.remote.addrlen > 0) {
            quic_send_packet(c->q, &ps.path, packet, (size_t)n);
        }
    }
    ngtcp2_conn_update_pkt_tx_time(c->conn, pfk_clock_monotonic_ns());
    if (c->close_wanted) {
        quic_conn_close_now(c);
    }
}

// --- the public part of a connection ---

void pfk_quic_conn_set_user(struct pfk_quic_conn *c, void *user)
{
    c->user = user;
}

void *pfk_quic_conn_user(const struct pfk_quic_conn *c)
{
    return c->user;
}

const struct sockaddr_storage *pfk_quic_conn_peer(const struct pfk_quic_conn *c)
{
    return &c->peer;
}

const struct sockaddr_storage *pfk_quic_conn_local(const struct pfk_quic_conn *c)
{
    return &c->local;
}

const uint8_t *pfk_quic_conn_fingerprint(const struct pfk_quic_conn *c)
{
    return c->has_fingerprint ? c->fingerprint : NULL;
}

int pfk_quic_send(struct pfk_quic_conn *c, const void *bytes, size_t n)
{
    if (c->phase != QUIC_ALIVE || c->close_wanted) {
        return PFK_E_CLOSED;
    }
    if (c->stream_id < 0) {
        if (c->q->server || ngtcp2_conn_open_bidi_stream(c->conn, &c->stream_id, NULL) != 0) {
            return PFK_E_CLOSED;
        }
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

int pfk_quic_send_datagram(struct pfk_quic_conn *c, const void *bytes, size_t n)
{
    if (c->phase != QUIC_ALIVE || c->close_wanted) {
        return PFK_E_CLOSED;
    }
    if (n > PFK_QUIC_MAX_DATAGRAM) {
        return PFK_E_SIZE;
    }
    const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(c->conn);
    if (!peer || peer->max_datagram_frame_size < n + 1 + 2) { // type and length of the frame
        return PFK_E_UNSUPPORTED;
    }
    struct quic_datagram *d = malloc(sizeof(*d) + n);
    if (!d) {
        return PFK_E_NOMEM;
    }
    d->next = NULL;
    d->n_bytes = n;
    memcpy(d->bytes, bytes, n);
    while (c->datagrams && c->n_datagram_bytes + n > QUIC_DATAGRAM_QUEUE_BYTES) {
        drop_datagram(c); // the oldest: what is late is worth least
    }
    *c->datagrams_tail = d;
    c->datagrams_tail = &d->next;
    c->n_datagram_bytes += n;
    return PFK_OK;
}

void pfk_quic_close(struct pfk_quic_conn *c, uint64_t code, const char *reason)
{
    if (c->phase != QUIC_ALIVE || c->close_wanted) {
        return;
    }
    c->close_wanted = true;
    c->end_kind = PFK_QUIC_CLOSED_BY_US;
    c->end_code = code;
    snprintf(c->end_reason, sizeof(c->end_reason), "%s", reason ? reason : "");
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
