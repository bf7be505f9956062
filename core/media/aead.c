// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/media/aead.h"

#include "core/base/bytes.h"
#include "core/base/status.h"

#include <gnutls/crypto.h>
#include <stdlib.h>

enum { NONCE_BYTES = 12, SALT_BYTES = 4 };

struct pfk_aead {
    gnutls_aead_cipher_hd_t cipher;
    uint8_t nonce[NONCE_BYTES]; // salt with the direction bit; the sequence goes behind it
};

int pfk_aead_create(struct pfk_aead **out, const struct pfk_aead_key *key,
                    enum pfk_direction direction)
{
    *out = NULL;
    struct pfk_aead *aead = calloc(1, sizeof(*aead));
    if (!aead) {
        return PFK_E_NOMEM;
    }
    bool chacha = key->cipher == PFK_CIPHER_CHACHA20_POLY1305;
    uint8_t bytes[32];
    memcpy(bytes, key->key, sizeof(bytes));
    gnutls_datum_t datum = {bytes, chacha ? 32 : 16};
    int err = gnutls_aead_cipher_init(
        &aead->cipher, chacha ? GNUTLS_CIPHER_CHACHA20_POLY1305 : GNUTLS_CIPHER_AES_128_GCM,
        &datum);
    gnutls_memset(bytes, 0, sizeof(bytes));
    if (err != 0) {
        free(aead);
        return PFK_E_UNSUPPORTED;
    }
    memcpy(aead->nonce, key->salt, SALT_BYTES);
    // The direction replaces the salt's top bit (it is not merely OR-ed in).
    aead->nonce[0] =
        (uint8_t)((key->salt[0] & 0x7F) | (direction == PFK_CLIENT_TO_HOST ? 0x80 : 0));
    *out = aead;
    return 0;
}

void pfk_aead_destroy(struct pfk_aead *aead)
{
    if (aead) {
        gnutls_aead_cipher_deinit(aead->cipher);
        gnutls_memset(aead, 0, sizeof(*aead));
        free(aead);
    }
}

int pfk_aead_seal(struct pfk_aead *aead, uint64_t sequence, uint8_t *datagram, size_t plain_bytes)
{
    pfk_store_u64be(datagram, sequence);
    memcpy(aead->nonce + SALT_BYTES, datagram, PFK_SEQ_BYTES);
    uint8_t *text = datagram + PFK_SEQ_BYTES;
    size_t sealed_bytes = plain_bytes + PFK_TAG_BYTES;
    int err =
        gnutls_aead_cipher_encrypt(aead->cipher, aead->nonce, NONCE_BYTES, datagram, PFK_SEQ_BYTES,
                                   PFK_TAG_BYTES, text, plain_bytes, text, &sealed_bytes);
    return err ? PFK_E_INVALID : 0;
}

int pfk_aead_open(struct pfk_aead *aead, uint8_t *datagram, size_t bytes, uint64_t *sequence)
{
    if (bytes < PFK_SEAL_BYTES) {
        return PFK_E_MALFORMED;
    }
    memcpy(aead->nonce + SALT_BYTES, datagram, PFK_SEQ_BYTES);
    uint8_t *text = datagram + PFK_SEQ_BYTES;
    size_t sealed_bytes = bytes - PFK_SEQ_BYTES, plain_bytes = sealed_bytes;
    int err =
        gnutls_aead_cipher_decrypt(aead->cipher, aead->nonce, NONCE_BYTES, datagram, PFK_SEQ_BYTES,
                                   PFK_TAG_BYTES, text, sealed_bytes, text, &plain_bytes);
    *sequence = pfk_load_u64be(datagram);
    return err ? PFK_E_AUTH : 0;
}
