// SPDX-License-Identifier: MIT OR Apache-2.0
// Shared by quic.c (endpoint: demultiplexing, timers), quic_socket.c, quic_conn.c (life of one
// connection over ngtcp2), quic_data.c (its stream and datagrams) and quic_tls.c (GnuTLS). One
// thread owns all of it.
#ifndef PFK_NET_QUIC_IMPL_H
#define PFK_NET_QUIC_IMPL_H

#include "core/net/quic.h"
#include "core/net/quic_compat.h"

enum {
    QUIC_CID_BYTES = 16,
    QUIC_MAX_CIDS = 16,       // own connection IDs of one connection
    QUIC_PACKET_BYTES = 1500, // written
    QUIC_READ_BYTES = 65536,
    QUIC_STREAM_WINDOW_BYTES = 131072, // the page asks for 64 KiB + 2 at least
    QUIC_CONN_WINDOW_BYTES = 1310720,
    QUIC_MAX_UNSENT_BYTES = 262144,
    QUIC_DATAGRAM_QUEUE_BYTES = 4096,
    QUIC_REASON_BYTES = 160
};

struct quic_chunk { // stream bytes, kept in place until acknowledged: ngtcp2 does not copy them
    struct quic_chunk *next;
    size_t n_bytes;
    uint8_t bytes[];
};

enum quic_phase {
    QUIC_ALIVE,
    QUIC_ENDED,  // on_close is due
    QUIC_LINGER, // told; answers late packets with the close until linger_until_ns
};

struct pfk_quic_conn {
    struct pfk_quic *q;
    struct pfk_quic_conn *next;
    void *user;
    ngtcp2_conn *conn;
    gnutls_session_t tls;
    ngtcp2_crypto_conn_ref ref;
    struct sockaddr_storage peer, local;
    uint64_t opened_ns;
    ngtcp2_cid cids[QUIC_MAX_CIDS];
    unsigned n_cids;

    bool open; // handshake done and told
    bool busy; // inside ngtcp2, which must not be entered again
    bool has_fingerprint;
    uint8_t fingerprint[PFK_FINGERPRINT_BYTES];
    bool has_pin;
    uint8_t pin[PFK_FINGERPRINT_BYTES];
    const char *tls_cause; // our own reason to refuse, static text

    int64_t stream_id;                        // -1 until there is a control stream
    struct quic_chunk *chunks, **chunks_tail; // unacknowledged, in order
    struct quic_chunk *unsent;                // first not handed to ngtcp2 in full
    size_t unsent_offset;                     // into it
    uint64_t chunks_base;                     // stream offset of the first chunk
    size_t n_unsent_bytes;
    uint8_t
        datagrams[QUIC_DATAGRAM_QUEUE_BYTES]; // each a 16-bit length and its bytes, oldest first
    size_t n_datagram_bytes;

    bool held;
    uint8_t *held_bytes; // QUIC_STREAM_WINDOW_BYTES, taken when the first byte must wait
    size_t n_held;

    // How it ended.
    enum quic_phase phase;
    bool close_wanted;
    uint64_t close_by_ns; // close_wanted: with or without the unsent bytes
    enum pfk_quic_close_kind end_kind;
    uint64_t end_code;
    char end_reason[QUIC_REASON_BYTES];
    uint64_t linger_until_ns;
    uint8_t *close_packet;
    size_t n_close_packet;
    unsigned n_late; // packets heard since
};

struct pfk_quic {
    struct pfk_quic_config cfg;
    bool server;
    bool refused; // the other machine says that nobody has the port, and nothing came since
    int fd, wake_fd;
    struct sockaddr_storage local; // bound address
    uint16_t port;
    gnutls_certificate_credentials_t no_certificate; // of a client without an identity
    uint8_t secret[32];                              // of stateless reset tokens
    struct pfk_quic_conn *conns;
    unsigned n_conns;
    uint8_t read_buffer[QUIC_READ_BYTES];
};

struct quic_packet_info {
    struct sockaddr_storage from, to;
    uint8_t *bytes;
    size_t n_bytes;
};

// quic_conn.c
int quic_conn_accept(struct pfk_quic *q, const ngtcp2_pkt_hd *hd, const struct quic_packet_info *p,
                     struct pfk_quic_conn **out);
int quic_conn_dial(struct pfk_quic *q, const struct sockaddr_storage *server, const uint8_t *pin);
void quic_conn_read(struct pfk_quic_conn *c, const struct quic_packet_info *p);
void quic_conn_expire(struct pfk_quic_conn *c, uint64_t now_ns);
uint64_t quic_conn_deadline_ns(const struct pfk_quic_conn *c);
void quic_conn_free(struct pfk_quic_conn *c);
/** It is over without a word to the peer (or after the peer's own). */
void quic_conn_end(struct pfk_quic_conn *c, enum pfk_quic_close_kind kind, uint64_t code,
                   const char *reason);
/** Printable ASCII of it, cut where it is too long. */
void quic_conn_set_reason(struct pfk_quic_conn *c, const char *reason, size_t n);
/** Send the close that pfk_quic_close() asked for and enter the end. */
void quic_conn_close_now(struct pfk_quic_conn *c);
/** ngtcp2 refuses to go on with `rv`: tell the peer why where that is due, and enter the end. */
void quic_conn_fail(struct pfk_quic_conn *c, int rv);

// quic_data.c
void quic_conn_flush(struct pfk_quic_conn *c);
void quic_data_free(struct pfk_quic_conn *c);
int quic_recv_stream_data(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t offset,
                          const uint8_t *bytes, size_t n, void *user_data, void *stream_user_data);
int quic_recv_datagram(ngtcp2_conn *conn, uint32_t flags, const uint8_t *bytes, size_t n,
                       void *user_data);
int quic_acked_stream_data(ngtcp2_conn *conn, int64_t id, uint64_t offset, uint64_t n,
                           void *user_data, void *stream_user_data);

// quic_socket.c
int quic_socket_open(struct pfk_quic *q);
int quic_socket_connect(struct pfk_quic *q, const struct sockaddr_storage *server);
/** The address packets for us carry, unless the kernel says it with each packet. */
int quic_socket_learn_local(struct pfk_quic *q);
/** 1 with a packet, 0 when there is none, negative when the socket is broken. */
int quic_socket_receive(struct pfk_quic *q, struct quic_packet_info *p);
void quic_send_packet(struct pfk_quic *q, const ngtcp2_path *path, const uint8_t *bytes, size_t n);
/** To where p came from. */
void quic_send_reply(struct pfk_quic *q, const struct quic_packet_info *p, const uint8_t *bytes,
                     size_t n);

// quic_tls.c
int quic_tls_create(struct pfk_quic_conn *c, bool server);
/** After the handshake: right ALPN? Fills the peer's fingerprint. */
bool quic_tls_finish(struct pfk_quic_conn *c);

#endif
