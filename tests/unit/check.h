// SPDX-License-Identifier: MIT OR Apache-2.0
// cmocka with its includes in the right order, and checks that print both values.
#ifndef TESTS_UNIT_CHECK_H
#define TESTS_UNIT_CHECK_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** Integers of any kind; prints both as signed and in hex. */
#define CHECK_EQ(got, want)                                                                        \
    do {                                                                                           \
        long long got_ = (long long)(got), want_ = (long long)(want);                              \
        if (got_ != want_) {                                                                       \
            print_error("%s: got %lld (0x%llx), want %lld (0x%llx)\n", #got, got_, got_, want_,    \
                        want_);                                                                    \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

#define CHECK(condition) assert_true(condition)

/** Hex digits (blanks allowed) to bytes; returns their number. Fails the test when they do not fit. */
static inline size_t from_hex(const char *hex, uint8_t *out, size_t room)
{
    size_t n = 0;
    int high = -1;
    for (; *hex; hex++) {
        int v;
        if (*hex >= '0' && *hex <= '9') {
            v = *hex - '0';
        } else if (*hex >= 'a' && *hex <= 'f') {
            v = *hex - 'a' + 10;
        } else if (*hex >= 'A' && *hex <= 'F') {
            v = *hex - 'A' + 10;
        } else {
            continue;
        }
        if (high < 0) {
            high = v;
        } else {
            assert_true(n < room);
            out[n++] = (uint8_t)(high << 4 | v);
            high = -1;
        }
    }
    return n;
}

/** SplitMix64: the tests' one source of repeatable numbers (also what the FEC vectors are drawn from). */
static inline uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

#endif
