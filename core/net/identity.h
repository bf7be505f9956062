// SPDX-License-Identifier: MIT OR Apache-2.0
// Certificate, key and fingerprint (reference: punktfunk/1 section 2).
#ifndef PFK_NET_IDENTITY_H
#define PFK_NET_IDENTITY_H

#include "core/base/log.h"

#include <gnutls/gnutls.h>
#include <stddef.h>
#include <stdint.h>

#define PFK_FINGERPRINT_BYTES 32

enum pfk_identity_kind {
    PFK_IDENTITY_HOST,  // RSA-2048, SHA-256: one certificate for both protocols
    PFK_IDENTITY_CLIENT // ECDSA P-256
};

/** Immutable after creation; any thread may read it. */
struct pfk_identity;

/**
 * Load `dir`/cert.pem and key.pem, or make them (X.509 v3, self-signed, long-lived) and store them,
 * key and certificate with mode 0600, each written to a temporary name and renamed; dir is made
 * with 0700. A key file without its certificate, or a pair that does not match, is an error and
 * never replaced.
 * @dir  NULL: make one in memory only
 * 0; PFK_E_IO, PFK_E_MALFORMED (both logged with cause and remedy); PFK_E_NOMEM.
 */
int pfk_identity_open(struct pfk_identity **out, enum pfk_identity_kind kind, const char *dir,
                      const struct pfk_log *log);
void pfk_identity_destroy(struct pfk_identity *id);

/** SHA-256 over the DER of the certificate. */
const uint8_t *pfk_identity_fingerprint(const struct pfk_identity *id);

/** Borrowed, for TLS servers and clients of this process. */
gnutls_certificate_credentials_t pfk_identity_credentials(const struct pfk_identity *id);

/** 64 lower-case hex digits and a NUL. */
void pfk_fingerprint_hex(const uint8_t fp[PFK_FINGERPRINT_BYTES], char text[65]);

/** Parses 64 hex digits, either case, colons allowed between bytes. 0 or PFK_E_MALFORMED. */
int pfk_fingerprint_parse(const char *text, uint8_t fp[PFK_FINGERPRINT_BYTES]);

#endif
