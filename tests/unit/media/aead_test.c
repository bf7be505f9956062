// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tests/unit/check.h"

#include "core/base/status.h"
#include "core/media/aead.h"

enum { PLAIN = 44, SEALED = PLAIN + PFK_SEAL_BYTES };

static const char *const plain_hex =
    "8877665544332211 07000000 09000000 03000000 05000000 0000 0100 0100 0100 0000 0400 c9 01 01 05"
    "61626300";

static const struct {
    enum pfk_cipher cipher;
    const char *sealed_hex;
} vectors[] = {
    {PFK_CIPHER_AES_128_GCM,
     "0000000000000005 "
     "c6ac8ac88ac7f1822c02ed2861e1d979b6d5556cdae34b473b81d8ca3178a86ae30aac74d8141051"
     "8cf75a02dcb352d32d028d309c154910ff4e9d59"},
    {PFK_CIPHER_CHACHA20_POLY1305,
     "0000000000000005 "
     "5d8ca94cd35ae022997e751558eb2b106477ae2749e4365b3447343392c2af8ffb4d2ab1fbe093e6"
     "bf4ed3f6742936231e276ee0a8f28d9fe7020dac"},
};
enum { N_VECTORS = sizeof(vectors) / sizeof(*vectors) };

static struct pfk_aead_key vector_key(enum pfk_cipher cipher)
{
    struct pfk_aead_key key = {.cipher = cipher, .salt = {0x9a, 0x02, 0x03, 0x04}};
    for (unsigned i = 0; i < sizeof(key.key); i++) {
        key.key[i] = (uint8_t)i;
    }
    return key;
}

static struct pfk_aead *aead_new(enum pfk_cipher cipher, enum pfk_direction direction)
{
    struct pfk_aead_key key = vector_key(cipher);
    struct pfk_aead *aead;
    CHECK_EQ(pfk_aead_create(&aead, &key, direction), 0);
    return aead;
}

static void sealing_gives_the_references_bytes(void **state)
{
    for (unsigned v = 0; v < N_VECTORS; v++) {
        struct pfk_aead *aead = aead_new(vectors[v].cipher, PFK_HOST_TO_CLIENT);
        uint8_t want[SEALED], got[SEALED];
        CHECK_EQ(from_hex(vectors[v].sealed_hex, want, sizeof(want)), SEALED);
        // Twice: nothing of the first packet may linger in the context.
        for (int round = 0; round < 2; round++) {
            CHECK_EQ(from_hex(plain_hex, got + PFK_SEQ_BYTES, PLAIN), PLAIN);
            CHECK_EQ(pfk_aead_seal(aead, 5, got, PLAIN), 0);
            assert_memory_equal(got, want, SEALED);
        }
        pfk_aead_destroy(aead);
    }
}

static void opening_gives_the_plain_text_back(void **state)
{
    for (unsigned v = 0; v < N_VECTORS; v++) {
        struct pfk_aead *aead = aead_new(vectors[v].cipher, PFK_HOST_TO_CLIENT);
        uint8_t want[PLAIN], got[SEALED];
        from_hex(plain_hex, want, sizeof(want));
        from_hex(vectors[v].sealed_hex, got, sizeof(got));
        uint64_t sequence = 0;
        CHECK_EQ(pfk_aead_open(aead, got, SEALED, &sequence), 0);
        CHECK_EQ(sequence, 5);
        assert_memory_equal(got + PFK_SEQ_BYTES, want, PLAIN);
        pfk_aead_destroy(aead);
    }
}

static void every_corrupted_bit_is_not_authentic(void **state)
{
    for (unsigned v = 0; v < N_VECTORS; v++) {
        struct pfk_aead *aead = aead_new(vectors[v].cipher, PFK_HOST_TO_CLIENT);
        uint8_t good[SEALED], bad[SEALED];
        from_hex(vectors[v].sealed_hex, good, sizeof(good));
        uint64_t sequence;
        for (unsigned bit = 0; bit < 8 * SEALED; bit++) {
            memcpy(bad, good, SEALED);
            bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
            CHECK_EQ(pfk_aead_open(aead, bad, SEALED, &sequence), PFK_E_AUTH);
        }
        CHECK_EQ(pfk_aead_open(aead, good, SEALED, &sequence), 0);
        pfk_aead_destroy(aead);
    }
}

static void every_truncation_is_refused(void **state)
{
    for (unsigned v = 0; v < N_VECTORS; v++) {
        struct pfk_aead *aead = aead_new(vectors[v].cipher, PFK_HOST_TO_CLIENT);
        uint8_t bytes[SEALED];
        uint64_t sequence;
        for (size_t n = 0; n < SEALED; n++) {
            from_hex(vectors[v].sealed_hex, bytes, sizeof(bytes));
            CHECK_EQ(pfk_aead_open(aead, bytes, n, &sequence),
                     n < PFK_SEAL_BYTES ? PFK_E_MALFORMED : PFK_E_AUTH);
        }
        pfk_aead_destroy(aead);
    }
}

// The salt of the vectors has its top bit set: OR-ing the direction in would make both ways equal.
static void the_direction_replaces_the_salts_top_bit(void **state)
{
    struct pfk_aead_key key = vector_key(PFK_CIPHER_AES_128_GCM);
    struct pfk_aead *host, *client, *other_salt;
    CHECK_EQ(pfk_aead_create(&host, &key, PFK_HOST_TO_CLIENT), 0);
    CHECK_EQ(pfk_aead_create(&client, &key, PFK_CLIENT_TO_HOST), 0);
    key.salt[0] ^= 0x80;
    CHECK_EQ(pfk_aead_create(&other_salt, &key, PFK_CLIENT_TO_HOST), 0);
    uint8_t a[SEALED] = {0}, b[SEALED] = {0}, c[SEALED] = {0};
    CHECK_EQ(pfk_aead_seal(host, 1, a, PLAIN), 0);
    CHECK_EQ(pfk_aead_seal(client, 1, b, PLAIN), 0);
    CHECK_EQ(pfk_aead_seal(other_salt, 1, c, PLAIN), 0);
    CHECK(memcmp(a, b, SEALED) != 0);
    assert_memory_equal(b, c, SEALED);
    uint64_t sequence;
    CHECK_EQ(pfk_aead_open(host, b, SEALED, &sequence), PFK_E_AUTH);
    pfk_aead_destroy(host);
    pfk_aead_destroy(client);
    pfk_aead_destroy(other_salt);
}

static void the_sequence_is_big_endian_and_uses_all_eight_bytes(void **state)
{
    struct pfk_aead *aead = aead_new(PFK_CIPHER_AES_128_GCM, PFK_HOST_TO_CLIENT);
    uint8_t bytes[PFK_SEAL_BYTES];
    const uint8_t want[] = {1, 2, 3, 4, 5, 6, 7, 8};
    CHECK_EQ(pfk_aead_seal(aead, 0x0102030405060708u, bytes, 0), 0);
    assert_memory_equal(bytes, want, sizeof(want));
    uint64_t sequence = 0;
    CHECK_EQ(pfk_aead_open(aead, bytes, sizeof(bytes), &sequence), 0);
    CHECK_EQ(sequence, 0x0102030405060708u);
    pfk_aead_destroy(aead);
    pfk_aead_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealing_gives_the_references_bytes),
        cmocka_unit_test(opening_gives_the_plain_text_back),
        cmocka_unit_test(every_corrupted_bit_is_not_authentic),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(the_direction_replaces_the_salts_top_bit),
        cmocka_unit_test(the_sequence_is_big_endian_and_uses_all_eight_bytes),
    };
    return cmocka_run_group_tests_name("aead", tests, NULL, NULL);
}
