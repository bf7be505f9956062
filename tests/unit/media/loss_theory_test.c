// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tests/unit/media/link.h"

#include "tools/loss_theory.h"

#include <math.h>

#define CHECK_NEAR(got, want, part)                                                                \
    do {                                                                                           \
        double got_ = (got), want_ = (want);                                                       \
        if (!(fabs(got_ - want_) <= (part)*fabs(want_))) {                                         \
            print_error("%s: got %.15g, want %.15g\n", #got, got_, want_);                         \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static void small_blocks_are_what_one_counts_by_hand(void **state)
{
    CHECK_NEAR(loss_theory_block(1, 0, 0.03), 0.03, 1e-12);
    CHECK_NEAR(loss_theory_block(1, 1, 0.1), 0.01, 1e-12);
    CHECK_NEAR(loss_theory_block(2, 1, 0.5), 0.5, 1e-12); // 2 or 3 of 3
    CHECK_NEAR(loss_theory_block(3, 0, 0.2), 1 - 0.8 * 0.8 * 0.8, 1e-12);
    CHECK_NEAR(loss_theory_block(2, 2, 0.9), 4 * 0.1 * 0.729 + 0.6561, 1e-12);
    CHECK_EQ(loss_theory_block(5, 2, 0) == 0, 1);
    CHECK_EQ(loss_theory_block(5, 2, 1) == 1, 1);
}

// Every pattern of losses of a block of up to 16, added up.
static void it_agrees_with_every_pattern_counted(void **state)
{
    for (unsigned k = 1; k <= 8; k++) {
        for (unsigned m = 0; m <= 8; m++) {
            for (double p = 0.01; p < 1; p += 0.18) {
                double want = 0;
                for (unsigned mask = 0; mask < 1u << (k + m); mask++) {
                    unsigned lost = (unsigned)__builtin_popcount(mask);
                    want += lost > m ? pow(p, lost) * pow(1 - p, k + m - lost) : 0;
                }
                CHECK_NEAR(loss_theory_block(k, m, p), want, 1e-9);
            }
        }
    }
}

static void tiny_chances_keep_their_digits(void **state)
{
    CHECK_NEAR(loss_theory_block(1, 9, 1e-3), 1e-30, 1e-9);
    double large = loss_theory_block(4096, 820, 0.03);
    CHECK(large >= 0 && large < 1e-200);
    CHECK_NEAR(loss_theory_block(4096, 10, 0.5), 1, 1e-12);
}

static void a_unit_is_lost_with_any_of_its_blocks(void **state)
{
    double full = loss_theory_block(4, 2, 0.1), rest = loss_theory_block(1, 1, 0.1);
    CHECK_NEAR(loss_theory_unit(400, 100, 4, 50, 0.1), full, 1e-9);
    CHECK_NEAR(loss_theory_unit(801, 100, 4, 50, 0.1), 1 - (1 - full) * (1 - full) * (1 - rest),
               1e-9);
    CHECK_NEAR(loss_theory_unit(0, 100, 4, 0, 0.1), 0.1, 1e-9);
    CHECK_NEAR(loss_theory_unit(1000, 100, 4, 50, 1), 1, 1e-9);
}

// The real thing, 20000 units at a loss that takes about a tenth of them: within five sigma.
static void the_stream_loses_what_the_theory_says(void **state)
{
    enum { UNITS = 20000, BYTES = 900 };
    for (int field = 0; field < 2; field++) {
        struct link l = link_new((enum pfk_fec_field)field, 64, 10, false);
        double chance = loss_theory_unit(BYTES, 64, 10, 30, 0.1);
        uint8_t au[BYTES] = {0}, copy[PFK_VIDEO_HEADER_BYTES + 64];
        uint64_t rng = 2;
        for (unsigned i = 0; i < UNITS; i++) {
            struct pfk_au_meta meta = {1000000000 + i * (uint64_t)FRAME_NS, PFK_AU_VIDEO, 30};
            struct pfk_datagrams d;
            CHECK_EQ(pfk_packetize(l.tx, au, BYTES, &meta, &d), 0);
            for (unsigned at = 0; at < d.n_datagrams; at++) {
                if (splitmix64(&rng) % 1000 >= 100) {
                    memcpy(copy, d.base + at * d.datagram_bytes, d.datagram_bytes);
                    pfk_reassembler_push(l.rx, copy, d.datagram_bytes, i);
                }
            }
            pfk_reassembler_recycle(l.rx, pfk_reassembler_pop(l.rx));
        }
        double lost = UNITS - (double)stats_of(&l).frames_completed;
        double sigma = sqrt(UNITS * chance * (1 - chance));
        if (fabs(lost - UNITS * chance) > 5 * sigma) {
            print_error("lost %.0f, theory %.1f +- %.1f\n", lost, UNITS * chance, sigma);
            fail();
        }
        link_free(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_blocks_are_what_one_counts_by_hand),
        cmocka_unit_test(it_agrees_with_every_pattern_counted),
        cmocka_unit_test(tiny_chances_keep_their_digits),
        cmocka_unit_test(a_unit_is_lost_with_any_of_its_blocks),
        cmocka_unit_test(the_stream_loses_what_the_theory_says),
    };
    return cmocka_run_group_tests_name("loss theory", tests, NULL, NULL);
}
