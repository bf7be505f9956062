// SPDX-License-Identifier: MIT OR Apache-2.0
// Set-up of a client's connection, on the caller's thread: everything up to Start.
#include "core/session/client.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/base/utf8.h"

#include <netdb.h>
#include <stdio.h>

enum { CONNECT_BUDGET_MS = 15000, STEP_MS = 100 };

// A host that starts at the same moment gets that long, and QUIC's second try.
static const uint64_t refused_after_ns = 1500000000u;

static int resolve(struct PunktfunkConnection *c, const char *host, uint16_t port)
{
    char service[8], text[256];
    c->port = port ? port : PUNKTFUNK_DEFAULT_PORT;
    snprintf(service, sizeof(service), "%u", c->port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    int err = getaddrinfo(host, service, &hints, &found);
    if (err != 0 || !found) {
        snprintf(text, sizeof(text), "Cannot find the host \"%.100s\": %s. Check name and network.",
                 host, gai_strerror(err));
        client_finish(c, PFK_E_IO, false, 0, text);
        return PFK_E_IO;
    }
    // IPv4 where a name has both: hosts of this protocol are dialled over it (reference: section
    // 1), and "localhost" often comes with ::1 first, where a host rarely listens.
    const struct addrinfo *best = found;
    while (best->ai_next && best->ai_family != AF_INET) {
        best = best->ai_next;
    }
    if (best->ai_family != AF_INET) {
        best = found;
    }
    memcpy(&c->server, best->ai_addr, best->ai_addrlen);
    freeaddrinfo(found);
    return PFK_OK;
}

static void fill_hello(struct pfk_hello *h, const PunktfunkConnectConfig *cfg)
{
    *h = (struct pfk_hello){
        .version = PFK_PROTOCOL_VERSION,
        .mode = {cfg->width_px, cfg->height_px, cfg->refresh_hz},
        .bitrate_kbps = cfg->bitrate_kbps,
        .video_caps = PFK_VIDEO_CAP_TIMING | PFK_VIDEO_CAP_PROBE_SPACE,
        .audio_channels = 2,
        .codecs = (uint8_t)(cfg->codecs ? cfg->codecs : PUNKTFUNK_CODEC_H264),
    };
    if (cfg->device_name) {
        size_t n = strlen(cfg->device_name);
        n = pfk_utf8_cut((const uint8_t *)cfg->device_name, n, PFK_NAME_MAX);
        memcpy(h->name, cfg->device_name, n);
    }
}

// Is this something our reassembler may be configured with?
static const char *welcome_fault(const struct pfk_welcome *w)
{
    static const uint8_t no_key[16];
    if (w->video_port == 0) {
        return "no video port";
    }
    if (w->mode.width_px == 0 || w->mode.height_px == 0 || w->mode.hz == 0) {
        return "no video mode";
    }
    if (w->shard_bytes < 2 || w->shard_bytes > 1984 || w->shard_bytes % 2) {
        return "an impossible shard size";
    }
    if (w->max_data_shards == 0 || w->fec_percent > 90) {
        return "impossible protection settings";
    }
    if (w->encrypted && w->cipher == PFK_CIPHER_AES_128_GCM && memcmp(w->key, no_key, 16) == 0) {
        return "an empty key";
    }
    return NULL;
}

static int open_data_plane(struct PunktfunkConnection *c)
{
    const struct pfk_welcome *w = &c->welcome;
    struct pfk_reassembler_config rc = {
        .plane = {.field = w->fec_field == 1 ? PFK_FEC_GF16 : PFK_FEC_GF8,
                  .shard_bytes = w->shard_bytes,
                  .max_data_shards = w->max_data_shards,
                  .percent = w->fec_percent,
                  .encrypted = w->encrypted != 0,
                  .key.cipher =
                      w->cipher == 1 ? PFK_CIPHER_CHACHA20_POLY1305 : PFK_CIPHER_AES_128_GCM},
        .bitrate_kbps = w->bitrate_kbps,
        .hz = w->mode.hz,
    };
    memcpy(rc.plane.key.salt, w->salt, sizeof(w->salt));
    if (w->cipher == 1) {
        memcpy(rc.plane.key.key, w->chacha_key, sizeof(w->chacha_key));
    } else {
        memcpy(rc.plane.key.key, w->key, sizeof(w->key));
    }
    int err = pfk_reassembler_create(&c->reassembler, &rc);
    explicit_bzero(&rc, sizeof(rc));
    if (err) {
        return err;
    }
    struct pfk_udp_config uc = {.log = c->log};
    uc.bind.ss_family = c->server.ss_family;
    err = pfk_udp_open(&c->udp, &uc);
    if (err) {
        return err;
    }
    struct sockaddr_storage peer = c->server;
    pfk_addr_set_port(&peer, w->video_port);
    return pfk_udp_connect(c->udp, &peer);
}

static void send_message(struct PunktfunkConnection *c, const struct pfk_hello *hello,
                         const struct pfk_start *start)
{
    uint8_t frame[512];
    struct pfk_writer w = pfk_writer_init(frame, sizeof(frame));
    uint8_t *mark = pfk_frame_begin(&w);
    if (hello) {
        pfk_hello_emit(hello, &w);
    } else {
        pfk_start_emit(start, &w);
    }
    pfk_frame_end(&w, mark);
    (void)pfk_quic_send(c->conn, frame,
                        (size_t)(w.p - frame)); // a dead connection tells by on_close
}

// Why waiting for the Welcome is over, in `c->end`; PFK_OK while it is not.
static int give_up(struct PunktfunkConnection *c, const PunktfunkConnectConfig *cfg,
                   uint64_t began_ns, uint64_t deadline_ns)
{
    const uint64_t now_ns = pfk_clock_monotonic_ns();
    int err = PFK_OK;
    const char *text = NULL;
    if (cfg->cancelled && cfg->cancelled(cfg->cancelled_opaque)) {
        err = PFK_E_CLOSED;
        text = "Stopped.";
    } else if (!c->conn && now_ns - began_ns >= refused_after_ns && pfk_quic_refused(c->quic)) {
        err = PFK_E_IO;
        text = "Nothing listens there. Start the host, or check its address and port.";
    } else if (now_ns >= deadline_ns) {
        err = PFK_E_TIMEOUT;
        text = c->has_host ? "The host did not set up a stream in time; it may be busy with "
                             "another client."
                           : CLIENT_NO_ANSWER;
    }
    if (err) {
        client_finish(c, err, false, 0, text);
    }
    return err;
}

static int wait_for_welcome(struct PunktfunkConnection *c, const PunktfunkConnectConfig *cfg,
                            uint64_t deadline_ns)
{
    const uint64_t began_ns = pfk_clock_monotonic_ns();
    bool said_hello = false;
    while (!c->has_welcome) {
        if (atomic_load(&c->ended)) {
            return c->end.status ? c->end.status : PFK_E_CLOSED;
        }
        int over = give_up(c, cfg, began_ns, deadline_ns);
        if (over) {
            return over;
        }
        int err = pfk_quic_step(c->quic, STEP_MS);
        if (err) {
            client_finish(c, err, false, 0, "The network socket failed.");
            return err;
        }
        if (c->conn && !said_hello && !atomic_load(&c->ended)) {
            said_hello = true;
            send_message(c, &c->hello, NULL);
        }
    }
    // The host may have closed right behind its Welcome: then there is no connection any more.
    return atomic_load(&c->ended) ? c->end.status : PFK_OK;
}

int client_handshake(struct PunktfunkConnection *c, const PunktfunkConnectConfig *cfg)
{
    uint64_t budget_ms = cfg->timeout_ms ? cfg->timeout_ms : CONNECT_BUDGET_MS;
    uint64_t deadline_ns = pfk_clock_monotonic_ns() + budget_ms * 1000000u;
    int err = resolve(c, cfg->host, cfg->port);
    if (err) {
        return err;
    }
    fill_hello(&c->hello, cfg);
    const struct pfk_identity *identity = (const struct pfk_identity *)cfg->identity;
    if (!identity) {
        err = pfk_identity_open(&c->own_identity, PFK_IDENTITY_CLIENT, NULL, &c->log);
        if (err) {
            client_finish(c, err, false, 0, "Cannot make a certificate for this device.");
            return err;
        }
        identity = c->own_identity;
    }
    struct pfk_quic_config qc = {
        .identity = identity, .callbacks = client_quic_callbacks, .opaque = c, .log = c->log};
    qc.bind.ss_family = c->server.ss_family;
    err = pfk_quic_connect(&c->quic, &qc, &c->server, cfg->pin);
    if (err) {
        client_finish(c, err, false, 0, "Cannot open a UDP socket for the connection.");
        return err;
    }
    err = wait_for_welcome(c, cfg, deadline_ns);
    if (err) {
        return err;
    }
    const char *fault = welcome_fault(&c->welcome);
    err = fault ? PFK_E_PROTOCOL : open_data_plane(c);
    if (err) {
        char text[128];
        snprintf(text, sizeof(text), "The stream cannot be set up: %s.",
                 fault ? fault : pfk_strstatus(err));
        client_finish(c, err, false, 0, text);
        if (c->conn) {
            pfk_quic_close(c->conn, PFK_CLOSE_ERROR, text);
            pfk_quic_step(c->quic, 0);
        }
        return err;
    }
    const struct pfk_start start = {pfk_udp_port(c->udp)};
    send_message(c, NULL, &start);
    c->started_ns = pfk_clock_wall_ns();
    return PFK_OK;
}
