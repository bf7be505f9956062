// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tests/unit/check.h"

#include "core/base/status.h"
#include "core/fec/gf16.h"
#include "core/fec/gf16_internal.h"

#include <gnutls/crypto.h>

// A block in memory: exact-size shards, so that the sanitizer sees a byte too many.
struct block {
    unsigned k, m;
    size_t bytes;
    uint8_t **data, **parity;
};

static struct block block_new(unsigned k, unsigned m, size_t bytes)
{
    struct block b = {k, m, bytes, calloc(k, sizeof(void *)), calloc(m + 1, sizeof(void *))};
    for (unsigned i = 0; i < k; i++) {
        b.data[i] = malloc(bytes);
    }
    for (unsigned j = 0; j < m; j++) {
        b.parity[j] = malloc(bytes);
        memset(b.parity[j], 0xEE, bytes);
    }
    return b;
}

static void block_free(struct block *b)
{
    for (unsigned i = 0; i < b->k; i++) {
        free(b->data[i]);
    }
    for (unsigned j = 0; j < b->m; j++) {
        free(b->parity[j]);
    }
    free(b->data);
    free(b->parity);
}

static void block_fill(struct block *b, uint64_t seed)
{
    for (unsigned i = 0; i < b->k; i++) {
        for (size_t at = 0; at < b->bytes; at += 8) {
            uint64_t v = splitmix64(&seed);
            for (size_t n = 0; n < 8 && at + n < b->bytes; n++) {
                b->data[i][at + n] = (uint8_t)(v >> 8 * n);
            }
        }
    }
}

static int encode(struct pfk_gf16 *fec, struct block *b)
{
    return pfk_gf16_encode(fec, b->k, b->m, b->bytes, (const uint8_t *const *)b->data, b->parity);
}

static struct pfk_gf16 *fec_new(const char *row)
{
    struct pfk_gf16 *fec;
    CHECK_EQ(pfk_gf16_create(&fec, row), 0);
    return fec;
}

static void parity_sha256(const struct block *b, uint8_t digest[32])
{
    gnutls_hash_hd_t hash;
    CHECK_EQ(gnutls_hash_init(&hash, GNUTLS_DIG_SHA256), 0);
    for (unsigned j = 0; j < b->m; j++) {
        gnutls_hash(hash, b->parity[j], b->bytes);
    }
    gnutls_hash_deinit(hash, digest);
}

static void the_field_is_the_references(void **state)
{
    struct pfk_gf16_field *f = malloc(sizeof(*f));
    pfk_gf16_field_init(f);
    CHECK_EQ(pfk_gf16_mul(f, 2, 2), 3);
    CHECK_EQ(pfk_gf16_mul(f, 2, 3), 1);
    CHECK_EQ(pfk_gf16_mul(f, 0x1234, 0x5678), 0x35C9);
    CHECK_EQ(pfk_gf16_mul(f, 0xFFFF, 0xFFFF), 0x8000);
    for (unsigned v = 1; v < 65536; v++) {
        CHECK_EQ(pfk_gf16_mul(f, (uint16_t)v, pfk_gf16_div(f, 1, (uint16_t)v)), 1);
        CHECK_EQ(pfk_gf16_mul(f, 0, (uint16_t)v), 0);
    }
    free(f);
}

// Symbols in a shard to pairs, times a constant, and back: the product of the symbols.
static void rows_multiply_symbols(void **state)
{
    uint16_t constants[64] = {0, 1, 2, 255, 256, 257, 65535};
    uint64_t seed = 5;
    for (size_t i = 7; i < 64; i++) {
        constants[i] = (uint16_t)splitmix64(&seed);
    }
    uint8_t *in = aligned_alloc(64, 128), *y = aligned_alloc(64, 128), *x = aligned_alloc(64, 128);
    for (unsigned row = 0; pfk_gf16_row_at(row); row++) {
        struct pfk_gf16 *fec = fec_new(pfk_gf16_row_at(row));
        for (size_t c = 0; c < 64; c++) {
            for (unsigned i = 0; i < 128; i++) {
                in[i] = (uint8_t)splitmix64(&seed);
            }
            fec->row->convert(y, in, &fec->convert, 128);
            memset(x, 0, 128);
            fec->row->muladd(x, y, pfk_gf16_times(fec, constants[c]), 128);
            fec->row->mul(y, pfk_gf16_times(fec, constants[c]), 128);
            assert_memory_equal(x, y, 128);
            fec->row->convert(y, x, &fec->convert, 128);
            for (unsigned i = 0; i < 128; i += i % 64 == 31 ? 33 : 1) {
                uint16_t want =
                    pfk_gf16_mul(&fec->field, constants[c], (uint16_t)(in[i] | in[i + 32] << 8));
                CHECK_EQ(y[i] | y[i + 32] << 8, want);
            }
        }
        pfk_gf16_destroy(fec);
    }
    free(in);
    free(x);
    free(y);
}

// One symbol set to 1 in data shard i reads the coefficient of (j, i) from parity j.
static void coefficient_rows_are_the_references(void **state)
{
    const struct {
        unsigned k, m;
        uint16_t rows[2][5];
    } cases[] = {
        {2, 2, {{3, 2}, {2, 3}}},
        {3, 2, {{3, 2, 5}, {2, 3, 4}}},
        {5, 2, {{3, 2, 5, 4, 7}, {2, 3, 4, 5, 6}}},
    };
    struct pfk_gf16 *fec = fec_new(NULL);
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        for (unsigned i = 0; i < cases[c].k; i++) {
            struct block b = block_new(cases[c].k, cases[c].m, 2);
            for (unsigned d = 0; d < b.k; d++) {
                b.data[d][0] = d == i;
                b.data[d][1] = 0;
            }
            CHECK_EQ(encode(fec, &b), 0);
            for (unsigned j = 0; j < b.m; j++) {
                CHECK_EQ(b.parity[j][0] | b.parity[j][1] << 8, cases[c].rows[j][i]);
            }
            block_free(&b);
        }
    }
    pfk_gf16_destroy(fec);
}

static void vectors_of_the_reference_hold_on_every_row(void **state)
{
    const struct {
        unsigned k, m;
        size_t bytes;
        const char *parity0, *sha256;
    } vectors[] = {
        {1, 2, 64, "00070e151c232a31",
         "5ac4501b389d8dea363ca8b614988eaa3894e9d5572bf67a7ba8f9572258d88d"},
        {3, 1, 66, "21646f727d000b0e",
         "016a884e8c4f8fcad4c34f4114aa272bd7f1f7ff5944b4a4730ff5b1967c649d"},
        {2, 2, 64, "c4148106a79e0b8c",
         "dc7ca4e3e8ec6100a90617511b6a7d1ba221b983dc08bd88203490a42787fa38"},
        {5, 2, 1408, "21545f019604c66b",
         "a081cad5c3922c1e4b97da9c89788d65889c6c4686633cdbc5e6a6effb7f2c28"},
        {4, 3, 1388, "56a78c8132e7ad60",
         "c662dc5dee673f815cbac28cbee4f745347e23e1c2d20e11368035e7c3d76f43"},
        {100, 10, 1408, "be4664f0cbd920e2",
         "9e277bdb4a1ec4a8d7e081e6e63ff5beab84a79b57ba526e9f60f7daea60d3eb"},
        {4096, 410, 64, "3e4e4f86231aeb30",
         "18de19af9bec2816f4c6db7decc002d24b4033c3e507106003a55d65d8ff1a5a"},
    };
    for (unsigned row = 0; pfk_gf16_row_at(row); row++) {
        struct pfk_gf16 *fec = fec_new(pfk_gf16_row_at(row));
        for (size_t v = 0; v < sizeof(vectors) / sizeof(*vectors); v++) {
            struct block b = block_new(vectors[v].k, vectors[v].m, vectors[v].bytes);
            for (unsigned i = 0; i < b.k; i++) {
                for (size_t at = 0; at < b.bytes; at++) {
                    b.data[i][at] = (uint8_t)(31 * i + 7 * at);
                }
            }
            CHECK_EQ(encode(fec, &b), 0);
            uint8_t want[32], got[32];
            from_hex(vectors[v].parity0, want, 8);
            assert_memory_equal(b.parity[0], want, 8);
            from_hex(vectors[v].sha256, want, 32);
            parity_sha256(&b, got);
            assert_memory_equal(got, want, 32);
            block_free(&b);
        }
        pfk_gf16_destroy(fec);
    }
}

static void every_row_agrees_with_c(void **state)
{
    struct pfk_gf16 *c = fec_new("c");
    uint64_t seed = 1;
    for (unsigned row = 0; pfk_gf16_row_at(row); row++) {
        struct pfk_gf16 *fec = fec_new(pfk_gf16_row_at(row));
        for (int round = 0; round < 60; round++) {
            unsigned k = 1 + (unsigned)(splitmix64(&seed) % 300);
            unsigned m = 1 + (unsigned)(splitmix64(&seed) % (round % 3 ? 40 : 400));
            size_t bytes = 2 * (1 + splitmix64(&seed) % 400);
            struct block a = block_new(k, m, bytes), b = block_new(k, m, bytes);
            block_fill(&a, seed);
            block_fill(&b, seed);
            CHECK_EQ(encode(c, &a), 0);
            CHECK_EQ(encode(fec, &b), 0);
            for (unsigned j = 0; j < m; j++) {
                assert_memory_equal(a.parity[j], b.parity[j], bytes);
            }
            block_free(&a);
            block_free(&b);
        }
        pfk_gf16_destroy(fec);
    }
    pfk_gf16_destroy(c);
}

// Wipes the given shards, decodes, compares with what was there.
static void lose_and_repair(struct pfk_gf16 *fec, struct block *b, const bool lost_data[],
                            const bool lost_parity[])
{
    const uint8_t *parity[4096];
    uint8_t **before = calloc(b->k, sizeof(void *));
    bool have[4096];
    for (unsigned i = 0; i < b->k; i++) {
        have[i] = !lost_data[i];
        if (!have[i]) {
            before[i] = malloc(b->bytes);
            memcpy(before[i], b->data[i], b->bytes);
            memset(b->data[i], 0xDD, b->bytes);
        }
    }
    for (unsigned j = 0; j < b->m; j++) {
        parity[j] = lost_parity[j] ? NULL : b->parity[j];
    }
    CHECK_EQ(pfk_gf16_decode(fec, b->k, b->m, b->bytes, b->data, have, parity), 0);
    for (unsigned i = 0; i < b->k; i++) {
        if (!have[i]) {
            assert_memory_equal(b->data[i], before[i], b->bytes);
            free(before[i]);
        }
    }
    free(before);
}

static void every_loss_within_the_parity_is_repaired(void **state)
{
    const unsigned geometries[][2] = {{1, 1}, {1, 3}, {2, 2}, {3, 2}, {5, 3},
                                      {4, 4}, {3, 6}, {2, 7}, {8, 3}};
    for (unsigned row = 0; pfk_gf16_row_at(row); row++) {
        struct pfk_gf16 *fec = fec_new(pfk_gf16_row_at(row));
        for (size_t g = 0; g < sizeof(geometries) / sizeof(*geometries); g++) {
            struct block b = block_new(geometries[g][0], geometries[g][1], 70);
            unsigned n = b.k + b.m;
            block_fill(&b, g);
            CHECK_EQ(encode(fec, &b), 0);
            for (unsigned mask = 0; mask < 1u << n; mask++) {
                bool lost[16];
                for (unsigned i = 0; i < n; i++) {
                    lost[i] = mask >> i & 1;
                }
                if ((unsigned)__builtin_popcount(mask) <= b.m) {
                    lose_and_repair(fec, &b, lost, lost + b.k);
                }
            }
            block_free(&b);
        }
        pfk_gf16_destroy(fec);
    }
}

static void random_losses_of_large_blocks_are_repaired(void **state)
{
    const unsigned geometries[][3] = {{1000, 200, 1408}, {300, 60, 1388}, {36, 8, 1408},
                                      {20, 300, 66},     {255, 51, 1200}, {64, 64, 128},
                                      {2000, 100, 34}};
    uint64_t seed = 7;
    for (unsigned row = 0; pfk_gf16_row_at(row); row++) {
        struct pfk_gf16 *fec = fec_new(pfk_gf16_row_at(row));
        for (size_t g = 0; g < sizeof(geometries) / sizeof(*geometries); g++) {
            struct block b = block_new(geometries[g][0], geometries[g][1], geometries[g][2]);
            block_fill(&b, g);
            CHECK_EQ(encode(fec, &b), 0);
            const unsigned counts[] = {1, 2, 4, 8, b.m / 2, b.m};
            for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
                bool lost[4096] = {false};
                unsigned want = counts[c] < b.m ? counts[c] : b.m;
                for (unsigned n = 0; n < want;) {
                    unsigned i = (unsigned)(splitmix64(&seed) % (b.k + b.m));
                    n += !lost[i];
                    lost[i] = true;
                }
                lose_and_repair(fec, &b, lost, lost + b.k);
            }
            block_free(&b);
        }
        pfk_gf16_destroy(fec);
    }
}

static void too_many_losses_leave_the_data_alone(void **state)
{
    struct pfk_gf16 *fec = fec_new(NULL);
    struct block b = block_new(6, 3, 64);
    block_fill(&b, 3);
    CHECK_EQ(encode(fec, &b), 0);
    bool have[6] = {true, false, false, false, false, true};
    const uint8_t *parity[3] = {b.parity[0], b.parity[1], b.parity[2]};
    uint8_t before[64];
    memcpy(before, b.data[2], 64);
    CHECK_EQ(pfk_gf16_decode(fec, 6, 3, 64, b.data, have, parity), PFK_E_UNRECOVERABLE);
    have[4] = true;
    parity[1] = NULL;
    CHECK_EQ(pfk_gf16_decode(fec, 6, 3, 64, b.data, have, parity), PFK_E_UNRECOVERABLE);
    assert_memory_equal(before, b.data[2], 64);
    block_free(&b);
    pfk_gf16_destroy(fec);
}

static void impossible_geometries_are_refused(void **state)
{
    struct pfk_gf16 *fec = fec_new(NULL);
    uint8_t bytes[64] = {0}, out[64];
    memset(out, 0xAA, sizeof(out));
    const uint8_t *data[1] = {bytes};
    uint8_t *parity[1] = {out};
    bool have[1] = {false};
    uint8_t *in[1] = {bytes};
    const unsigned bad[][3] = {{0, 1, 64},
                               {65535, 1, 64},
                               {1, 65535, 64},
                               {1, 1, 0},
                               {1, 1, 63},
                               {1, 1, 1},
                               // 32768 points for the smaller side leave no room for the larger
                               {40000, 20000, 64},
                               {20000, 40000, 64}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CHECK_EQ(pfk_gf16_encode(fec, bad[i][0], bad[i][1], bad[i][2], data, parity),
                 PFK_E_INVALID);
        CHECK_EQ(pfk_gf16_decode(fec, bad[i][0], bad[i][1], bad[i][2], in, have, data),
                 PFK_E_INVALID);
    }
    CHECK_EQ(out[0], 0xAA);
    CHECK_EQ(pfk_gf16_encode(fec, 1, 0, 64, data, parity), 0);
    CHECK_EQ(out[0], 0xAA);
    pfk_gf16_destroy(fec);
    CHECK_EQ(pfk_gf16_create(&fec, "no such row"), PFK_E_UNSUPPORTED);
    CHECK(!fec);
}

static void round_trip_large(unsigned k, unsigned m)
{
    struct pfk_gf16 *fec = fec_new(NULL);
    struct block b = block_new(k, m, 2);
    block_fill(&b, 11);
    CHECK_EQ(encode(fec, &b), 0);
    bool *have = malloc(b.k);
    memset(have, 1, b.k);
    uint8_t before[2] = {b.data[k - 1][0], b.data[k - 1][1]};
    have[k - 1] = have[0] = have[17] = false;
    memset(b.data[k - 1], 0, 2);
    CHECK_EQ(pfk_gf16_decode(fec, b.k, b.m, 2, b.data, have, (const uint8_t *const *)b.parity), 0);
    assert_memory_equal(b.data[k - 1], before, 2);
    free(have);
    block_free(&b);
    pfk_gf16_destroy(fec);
}

// Up to the last point of the field, in both forms.
static void largest_blocks_round_trip(void **state)
{
    round_trip_large(61439, 4096);
    round_trip_large(32768, 32767);
    round_trip_large(4096, 61439);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_field_is_the_references),
        cmocka_unit_test(rows_multiply_symbols),
        cmocka_unit_test(coefficient_rows_are_the_references),
        cmocka_unit_test(vectors_of_the_reference_hold_on_every_row),
        cmocka_unit_test(every_row_agrees_with_c),
        cmocka_unit_test(every_loss_within_the_parity_is_repaired),
        cmocka_unit_test(random_losses_of_large_blocks_are_repaired),
        cmocka_unit_test(too_many_losses_leave_the_data_alone),
        cmocka_unit_test(impossible_geometries_are_refused),
        cmocka_unit_test(largest_blocks_round_trip),
    };
    return cmocka_run_group_tests_name("gf16", tests, NULL, NULL);
}
