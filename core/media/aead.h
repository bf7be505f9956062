// SPDX-License-Identifier: MIT OR Apache-2.0
// Sealing of data-plane datagrams: 8-byte sequence, ciphertext, 16-byte tag (reference:
// section 5.1).
#ifndef PFK_MEDIA_AEAD_H
#define PFK_MEDIA_AEAD_H

#include <stddef.h>
#include <stdint.h>

#define PFK_SEQ_BYTES 8
#define PFK_TAG_BYTES 16
#define PFK_SEAL_BYTES (PFK_SEQ_BYTES + PFK_TAG_BYTES)

enum pfk_cipher { PFK_CIPHER_AES_128_GCM = 0, PFK_CIPHER_CHACHA20_POLY1305 = 1 };
enum pfk_direction { PFK_HOST_TO_CLIENT = 0, PFK_CLIENT_TO_HOST = 1 };

struct pfk_aead_key {
    enum pfk_cipher cipher;
    uint8_t key[32]; // AES uses the first 16
    uint8_t salt[4];
};

/** One key and direction. One thread at a time; seal and open allocate nothing. */
struct pfk_aead;

/** Copies the key. Free with pfk_aead_destroy(), which wipes it. 0; PFK_E_NOMEM; PFK_E_UNSUPPORTED.
 */
int pfk_aead_create(struct pfk_aead **out, const struct pfk_aead_key *key,
                    enum pfk_direction direction);
void pfk_aead_destroy(struct pfk_aead *aead);

/**
 * Seal in place: writes the sequence to the first 8 bytes, encrypts the next `plain_bytes`, writes
 * the tag behind them. @datagram has room for plain_bytes + PFK_SEAL_BYTES. Never reuse a sequence.
 * 0 or PFK_E_INVALID.
 */
int pfk_aead_seal(struct pfk_aead *aead, uint64_t sequence, uint8_t *datagram, size_t plain_bytes);

/**
 * Open in place: after success the plain text is at datagram + 8, bytes - 24 long.
 * 0; PFK_E_MALFORMED (shorter than 24); PFK_E_AUTH (the contents are then undefined).
 */
int pfk_aead_open(struct pfk_aead *aead, uint8_t *datagram, size_t bytes, uint64_t *sequence);

#endif
