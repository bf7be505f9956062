// SPDX-License-Identifier: MIT OR Apache-2.0
// ngtcp2 0.12 (Debian 12) and 1.x behind one set of names: those of 1.x.
#ifndef PFK_NET_QUIC_COMPAT_H
#define PFK_NET_QUIC_COMPAT_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#if NGTCP2_VERSION_NUM < 0x010000
#define PFK_NGTCP2_0 1

typedef ngtcp2_connection_close_error ngtcp2_ccerr;
#define NGTCP2_CCERR_TYPE_APPLICATION NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION
#define ngtcp2_ccerr_default ngtcp2_connection_close_error_default
#define ngtcp2_ccerr_set_application_error ngtcp2_connection_close_error_set_application_error
#define ngtcp2_ccerr_set_liberr ngtcp2_connection_close_error_set_transport_error_liberr
#define ngtcp2_ccerr_set_tls_alert ngtcp2_connection_close_error_set_transport_error_tls_alert

static inline ngtcp2_ccerr pfk_ngtcp2_ccerr(ngtcp2_conn *conn)
{
    ngtcp2_ccerr e;
    ngtcp2_conn_get_connection_close_error(conn, &e);
    return e;
}

static inline void pfk_ngtcp2_set_original_dcid(ngtcp2_transport_params *p, const ngtcp2_cid *dcid)
{
    p->original_dcid = *dcid;
}

static inline int pfk_ngtcp2_shutdown_stream(ngtcp2_conn *conn, int64_t id, uint64_t code)
{
    return ngtcp2_conn_shutdown_stream(conn, id, code);
}

#else
#define PFK_NGTCP2_0 0

static inline ngtcp2_ccerr pfk_ngtcp2_ccerr(ngtcp2_conn *conn)
{
    return *ngtcp2_conn_get_ccerr(conn);
}

static inline void pfk_ngtcp2_set_original_dcid(ngtcp2_transport_params *p, const ngtcp2_cid *dcid)
{
    p->original_dcid = *dcid;
    p->original_dcid_present = 1;
}

static inline int pfk_ngtcp2_shutdown_stream(ngtcp2_conn *conn, int64_t id, uint64_t code)
{
    return ngtcp2_conn_shutdown_stream(conn, 0, id, code);
}
#endif

#endif
