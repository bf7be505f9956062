// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tests/unit/check.h"

#include "core/base/status.h"
#include "core/fec/gf8.h"

static void the_references_vector_holds(void **state)
{
    struct pfk_gf8 *fec;
    CHECK_EQ(pfk_gf8_create(&fec), 0);
    const uint8_t a = 0x0A, b = 0x14, c = 0x1E, d = 0x28;
    const uint8_t *data[4] = {&a, &b, &c, &d};
    uint8_t p0 = 1, p1 = 1, *parity[2] = {&p0, &p1};
    CHECK_EQ(pfk_gf8_encode(fec, 4, 2, 1, data, parity), 0);
    CHECK_EQ(p0, 0x88);
    CHECK_EQ(p1, 0x00);
    pfk_gf8_destroy(fec);
}

// Plain arithmetic modulo 11Dh, apart from the library under test.
static uint8_t slow_mul(uint8_t a, uint8_t b)
{
    unsigned product = 0;
    for (unsigned bit = 0; bit < 8; bit++) {
        product ^= b >> bit & 1 ? (unsigned)a << bit : 0;
    }
    for (unsigned bit = 15; bit >= 8; bit--) {
        product ^= product >> bit & 1 ? 0x11Du << (bit - 8) : 0;
    }
    return (uint8_t)product;
}

static void parity_is_the_cauchy_sum(void **state)
{
    struct pfk_gf8 *fec;
    CHECK_EQ(pfk_gf8_create(&fec), 0);
    enum { K = 13, M = 5 };
    uint8_t in[K], out[M];
    const uint8_t *data[K];
    uint8_t *parity[M];
    for (unsigned i = 0; i < K; i++) {
        in[i] = (uint8_t)(37 * i + 11);
        data[i] = &in[i];
    }
    for (unsigned j = 0; j < M; j++) {
        parity[j] = &out[j];
    }
    CHECK_EQ(pfk_gf8_encode(fec, K, M, 1, data, parity), 0);
    for (unsigned j = 0; j < M; j++) {
        uint8_t want = 0;
        for (unsigned i = 0; i < K; i++) {
            for (unsigned inverse = 1; inverse < 256; inverse++) {
                if (slow_mul((uint8_t)inverse, (uint8_t)((M + i) ^ j)) == 1) {
                    want ^= slow_mul((uint8_t)inverse, in[i]);
                }
            }
        }
        CHECK_EQ(out[j], want);
    }
    pfk_gf8_destroy(fec);
}

static void losses_within_the_parity_are_repaired(void **state)
{
    struct pfk_gf8 *fec;
    CHECK_EQ(pfk_gf8_create(&fec), 0);
    const unsigned geometries[][2] = {{1, 1}, {4, 2}, {50, 10}, {200, 55}, {1, 254}, {150, 30}};
    uint64_t seed = 5;
    for (size_t g = 0; g < sizeof(geometries) / sizeof(*geometries); g++) {
        unsigned k = geometries[g][0], m = geometries[g][1];
        enum { BYTES = 77 };
        uint8_t store[255][BYTES], copy[255][BYTES];
        uint8_t *data[255], *parity[255];
        for (unsigned i = 0; i < k + m; i++) {
            for (unsigned b = 0; b < BYTES; b++) {
                store[i][b] = (uint8_t)splitmix64(&seed);
            }
            *(i < k ? &data[i] : &parity[i - k]) = store[i];
        }
        CHECK_EQ(pfk_gf8_encode(fec, k, m, BYTES, (const uint8_t *const *)data, parity), 0);
        memcpy(copy, store, sizeof(copy));
        for (int round = 0; round < 20; round++) {
            bool have[255];
            const uint8_t *got[255];
            memset(have, 1, sizeof(have));
            for (unsigned j = 0; j < m; j++) {
                got[j] = parity[j];
            }
            for (unsigned n = 0; n < m; n++) {
                unsigned i = (unsigned)(splitmix64(&seed) % (k + m));
                if (i < k) {
                    have[i] = false;
                    memset(data[i], 0, BYTES);
                } else {
                    got[i - k] = NULL;
                }
            }
            CHECK_EQ(pfk_gf8_decode(fec, k, m, BYTES, data, have, got), 0);
            assert_memory_equal(store, copy, (size_t)k * BYTES);
        }
    }
    pfk_gf8_destroy(fec);
}

static void limits_are_kept(void **state)
{
    struct pfk_gf8 *fec;
    CHECK_EQ(pfk_gf8_create(&fec), 0);
    uint8_t byte = 1, out = 0xAA, *in[2] = {&byte, &byte};
    const uint8_t *data[2] = {&byte, &byte}, *none[1] = {NULL};
    uint8_t *parity[1] = {&out};
    bool have[2] = {false, true};
    CHECK_EQ(pfk_gf8_encode(fec, 0, 1, 1, data, parity), PFK_E_INVALID);
    CHECK_EQ(pfk_gf8_encode(fec, 255, 1, 1, data, parity), PFK_E_INVALID);
    CHECK_EQ(pfk_gf8_encode(fec, 1, 1, 0, data, parity), PFK_E_INVALID);
    CHECK_EQ(pfk_gf8_encode(fec, 1, 0, 1, data, parity), 0);
    CHECK_EQ(pfk_gf8_decode(fec, 2, 1, 1, in, have, none), PFK_E_UNRECOVERABLE);
    CHECK_EQ(out, 0xAA);
    pfk_gf8_destroy(fec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_references_vector_holds),
        cmocka_unit_test(parity_is_the_cauchy_sum),
        cmocka_unit_test(losses_within_the_parity_are_repaired),
        cmocka_unit_test(limits_are_kept),
    };
    return cmocka_run_group_tests_name("gf8", tests, NULL, NULL);
}
