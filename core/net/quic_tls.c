// SPDX-License-Identifier: MIT OR Apache-2.0
// TLS 1.3 as section 2 of the reference wants it: one ALPN, optional client certificate, and trust
// by the fingerprint of the leaf alone.
#include "core/net/quic_impl.h"

#include "core/base/status.h"

#include <gnutls/crypto.h>
#include <string.h>

// %COMPAT: GnuTLS would refuse certificates whose key usage lacks digitalSignature; this protocol
// does not look at key usage. Nothing else that it relaxes exists in TLS 1.3 over QUIC.
static const char priority[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE:%COMPAT";

static void take_fingerprint(struct pfk_quic_conn *c)
{
    unsigned n = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(c->tls, &n);
    c->has_fingerprint =
        chain && n > 0 &&
        gnutls_hash_fast(GNUTLS_DIG_SHA256, chain[0].data, chain[0].size, c->fingerprint) == 0;
}

// Runs after CertificateVerify has proven that the peer owns the key.
static int check_server(gnutls_session_t tls)
{
    ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(tls);
    struct pfk_quic_conn *c = ref->user_data;
    take_fingerprint(c);
    if (!c->has_fingerprint) {
        c->tls_cause = "it showed no certificate";
        return GNUTLS_E_CERTIFICATE_ERROR;
    }
    if (c->has_pin && memcmp(c->pin, c->fingerprint, sizeof(c->pin)) != 0) {
        c->tls_cause = "its fingerprint is not the pinned one";
        return GNUTLS_E_CERTIFICATE_ERROR;
    }
    return 0;
}

int quic_tls_create(struct pfk_quic_conn *c, bool server)
{
    const unsigned flags = (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_TICKETS |
                           GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_NO_SIGNAL;
    if (gnutls_init(&c->tls, flags) < 0) {
        c->tls = NULL;
        return PFK_E_NOMEM;
    }
    gnutls_datum_t alpn = {(unsigned char *)(uintptr_t)PFK_QUIC_ALPN, sizeof(PFK_QUIC_ALPN) - 1};
    bool ok = gnutls_priority_set_direct(c->tls, priority, NULL) >= 0 &&
              gnutls_alpn_set_protocols(c->tls, &alpn, 1, GNUTLS_ALPN_MANDATORY) >= 0 &&
              (server ? ngtcp2_crypto_gnutls_configure_server_session(c->tls)
                      : ngtcp2_crypto_gnutls_configure_client_session(c->tls)) == 0;
    if (ok && c->q->cfg.identity) {
        ok = gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE,
                                    pfk_identity_credentials(c->q->cfg.identity)) >= 0;
    } else if (ok && !server) {
        ok = gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->q->no_certificate) >= 0;
    }
    if (ok && server) {
        gnutls_certificate_server_set_request(c->tls, GNUTLS_CERT_REQUEST); // optional
        gnutls_certificate_send_x509_rdn_sequence(c->tls, 1);               // empty CA list
    } else if (ok) {
        gnutls_session_set_verify_function(c->tls, check_server);
        ok = gnutls_server_name_set(c->tls, GNUTLS_NAME_DNS, "punktfunk", 9) >= 0;
    }
    gnutls_session_set_ptr(c->tls, &c->ref);
    return ok ? PFK_OK : PFK_E_UNSUPPORTED;
}

bool quic_tls_finish(struct pfk_quic_conn *c)
{
    gnutls_datum_t alpn;
    if (gnutls_alpn_get_selected_protocol(c->tls, &alpn) < 0 ||
        alpn.size != sizeof(PFK_QUIC_ALPN) - 1 ||
        memcmp(alpn.data, PFK_QUIC_ALPN, alpn.size) != 0) {
        c->tls_cause = "it does not speak punktfunk/1 (ALPN pkf1)";
        return false;
    }
    take_fingerprint(c);
    return true;
}
