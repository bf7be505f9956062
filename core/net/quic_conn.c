// SPDX-License-Identifier: MIT OR Apache-2.0
// The life of one connection: handshake, connection IDs, timers, and how it ends.
#include "core/net/quic_impl.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/udp.h"

#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t handshake_timeout_ns = 10 * NGTCP2_SECONDS;
static const uint64_t keep_alive_max_ns = 4 * NGTCP2_SECONDS;
static const uint32_t default_idle_ms = 8000;
// Of RESET_STREAM and STOP_SENDING for streams that nobody here reads (reference: section 2).
static const uint64_t foreign_stream_code = 0x70;
static const int64_t control_stream_id = 0; // the client's first bidirectional one

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

static uint64_t idle_ns(const struct pfk_quic *q)
{
    uint32_t ms = q->cfg.idle_timeout_ms ? q->cfg.idle_timeout_ms : default_idle_ms;
    return ms * (uint64_t)NGTCP2_MILLISECONDS;
}

// The shorter idle time of both ends counts (RFC 9000, section 10.1).
static void set_keep_alive(struct pfk_quic_conn *c)
{
    uint64_t idle = idle_ns(c->q);
    const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(c->conn);
    if (peer && peer->max_idle_timeout > 0 && peer->max_idle_timeout < idle) {
        idle = peer->max_idle_timeout;
    }
    ngtcp2_conn_set_keep_alive_timeout(c->conn,
                                       idle / 2 < keep_alive_max_ns ? idle / 2 : keep_alive_max_ns);
}

static int handshake_completed(ngtcp2_conn *conn, void *user_data)
{
    struct pfk_quic_conn *c = user_data;
    if (!quic_tls_finish(c)) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    c->open = true;
    set_keep_alive(c);
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
    // By its number, not by arrival: packets overtake each other.
    if (c->q->server && id == control_stream_id) {
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

static ngtcp2_callbacks make_callbacks(bool server)
{
    ngtcp2_callbacks cb = {
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .handshake_completed = handshake_completed,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_stream_data = quic_recv_stream_data,
        .acked_stream_data_offset = quic_acked_stream_data,
        .stream_open = stream_open,
        .stream_close = stream_close,
        .rand = give_random,
        .get_new_connection_id = new_connection_id,
        .remove_connection_id = remove_connection_id,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .recv_datagram = quic_recv_datagram,
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
    c->next = c->q->conns;
    c->q->conns = c;
    c->q->n_conns++;
    return PFK_OK;
}

static ngtcp2_path make_path(const struct sockaddr_storage *local,
                             const struct sockaddr_storage *remote)
{
    ngtcp2_path path = {
        .local = {(ngtcp2_sockaddr *)(uintptr_t)local, pfk_addr_bytes(local)},
        .remote = {(ngtcp2_sockaddr *)(uintptr_t)remote, pfk_addr_bytes(remote)},
    };
    return path;
}

static void fill_settings(ngtcp2_settings *s)
{
    ngtcp2_settings_default(s);
    s->initial_ts = pfk_clock_monotonic_ns();
    s->handshake_timeout = handshake_timeout_ns;
    s->max_window = s->max_stream_window = 0; // no growth: what a held stream keeps stays bounded
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
    quic_data_free(c);
    free(c->close_packet);
    free(c);
}

// --- the end ---

void quic_conn_set_reason(struct pfk_quic_conn *c, const char *reason, size_t n)
{
    n = n < sizeof(c->end_reason) - 1 ? n : sizeof(c->end_reason) - 1;
    for (size_t i = 0; i < n; i++) { // it may come from the network and go to a terminal
        uint8_t ch = (uint8_t)reason[i];
        c->end_reason[i] = ch >= 0x20 && ch < 0x7F ? (char)ch : '?';
    }
    c->end_reason[n] = 0;
}

static void end(struct pfk_quic_conn *c, enum pfk_quic_close_kind kind, uint64_t code,
                const char *reason, size_t reason_bytes)
{
    if (c->phase != QUIC_ALIVE) {
        return;
    }
    c->phase = QUIC_ENDED;
    if (!c->close_wanted) { // otherwise ours was first
        c->end_kind = kind;
        c->end_code = code;
        quic_conn_set_reason(c, reason, reason_bytes);
    }
}

void quic_conn_end(struct pfk_quic_conn *c, enum pfk_quic_close_kind kind, uint64_t code,
                   const char *reason)
{
    end(c, kind, code, reason, strlen(reason));
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

// The peer has closed.
static void end_by_peer(struct pfk_quic_conn *c)
{
    ngtcp2_ccerr e = pfk_ngtcp2_ccerr(c->conn);
    const char *reason = e.reason ? (const char *)e.reason : "";
    size_t n = e.reason ? e.reasonlen : 0;
    if (e.type == NGTCP2_CCERR_TYPE_APPLICATION) {
        end(c, PFK_QUIC_CLOSED_BY_PEER, e.error_code, reason, n);
        return;
    }
    bool tls = (e.error_code & ~(uint64_t)0xFF) == NGTCP2_CRYPTO_ERROR;
    if (n == 0) {
        const char *text =
            tls ? gnutls_alert_get_name((gnutls_alert_description_t)(e.error_code & 0xFF))
            : e.error_code == NGTCP2_CONNECTION_REFUSED ? "it takes no more connections now"
                                                        : "closed without a reason";
        reason = text ? text : "";
        n = strlen(reason);
    }
    end(c, tls ? PFK_QUIC_CLOSED_TLS : PFK_QUIC_CLOSED_TRANSPORT, e.error_code, reason, n);
}

void quic_conn_fail(struct pfk_quic_conn *c, int rv)
{
    switch (rv) {
    case NGTCP2_ERR_DRAINING:
    case NGTCP2_ERR_CLOSING:
        end_by_peer(c);
        return;
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        quic_conn_end(c, PFK_QUIC_CLOSED_IDLE, 0, c->open ? "it went silent" : "no answer");
        return;
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY:
        quic_conn_end(c, PFK_QUIC_CLOSED_TRANSPORT, 0, "dropped");
        return;
    default:
        break;
    }
    const char *text = ngtcp2_strerror(rv);
    ngtcp2_ccerr error;
    ngtcp2_ccerr_default(&error);
    if (rv == NGTCP2_ERR_CRYPTO) {
        uint8_t alert = ngtcp2_conn_get_tls_alert(c->conn);
        ngtcp2_ccerr_set_tls_alert(&error, alert, NULL, 0);
        const char *name = gnutls_alert_get_name((gnutls_alert_description_t)alert);
        text = name ? name : text;
    } else {
        ngtcp2_ccerr_set_liberr(&error, rv, NULL, 0);
    }
    write_close(c, &error);
    bool tls = rv == NGTCP2_ERR_CRYPTO || c->tls_cause;
    quic_conn_end(c, tls ? PFK_QUIC_CLOSED_TLS : PFK_QUIC_CLOSED_TRANSPORT, 0,
                  c->tls_cause ? c->tls_cause : text);
}

// --- reading and timers ---

// The closing period: say it again, more and more rarely (RFC 9000, section 10.2.1).
static void answer_late_packet(struct pfk_quic_conn *c, const struct quic_packet_info *p)
{
    c->n_late++;
    bool due = (c->n_late & (c->n_late - 1)) == 0;
    if (c->close_packet && due && c->n_close_packet <= 3 * p->n_bytes) {
        quic_send_reply(c->q, p, c->close_packet, c->n_close_packet);
    }
}

void quic_conn_read(struct pfk_quic_conn *c, const struct quic_packet_info *p)
{
    if (c->phase != QUIC_ALIVE) {
        answer_late_packet(c, p);
        return;
    }
    const ngtcp2_path path = make_path(&p->to, &p->from);
    ngtcp2_pkt_info pi = {0};
    c->busy = true;
    int rv =
        ngtcp2_conn_read_pkt(c->conn, &path, &pi, p->bytes, p->n_bytes, pfk_clock_monotonic_ns());
    c->busy = false;
    if (rv != 0) {
        quic_conn_fail(c, rv);
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
            quic_conn_fail(c, rv);
        }
    }
}

uint64_t quic_conn_deadline_ns(const struct pfk_quic_conn *c)
{
    switch (c->phase) {
    case QUIC_ALIVE: {
        uint64_t due = ngtcp2_conn_get_expiry(c->conn);
        return c->close_wanted && c->close_by_ns < due ? c->close_by_ns : due;
    }
    case QUIC_LINGER:
        return c->linger_until_ns;
    default:
        return 0;
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
