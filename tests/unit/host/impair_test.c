// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tools/impair.h"

#include "tests/unit/check.h"

enum { N = 200000 };

static unsigned count(struct impair_config cfg, unsigned *runs)
{
    struct impair i;
    impair_init(&i, &cfg);
    unsigned lost = 0;
    bool before = false;
    *runs = 0;
    for (int n = 0; n < N; n++) {
        bool now = impair_loses(&i);
        lost += now;
        *runs += now && !before;
        before = now;
    }
    return lost;
}

static void shares_are_what_was_asked_for(void **state)
{
    for (int model = 0; model < 3; model++) {
        for (int percent = 0; percent <= 50; percent += 5) {
            unsigned runs;
            double want = N * percent / 100.0;
            unsigned got = count((struct impair_config){.model = (enum impair_model)model,
                                                        .loss = percent / 100.0,
                                                        .burst = 4,
                                                        .seed = 5},
                                 &runs);
            CHECK(got >= want * 0.93 && got <= want * 1.07);
            if (model == IMPAIR_BURST && percent) {
                CHECK((double)got / runs > 3.6 && (double)got / runs < 4.4);
            }
        }
    }
}

static void the_same_seed_loses_the_same_packets(void **state)
{
    struct impair a, b;
    const struct impair_config cfg = {.loss = 0.3, .jitter_ns = 1000, .duplicate = 0.1, .seed = 77};
    impair_init(&a, &cfg);
    impair_init(&b, &cfg);
    for (int n = 0; n < 1000; n++) {
        struct impair_fate x = impair_packet(&a, 100, 0), y = impair_packet(&b, 100, 0);
        CHECK_EQ(x.lost, y.lost);
        CHECK_EQ(x.copies, y.copies);
        CHECK_EQ(x.delay_ns, y.delay_ns);
    }
}

static void a_limited_link_queues_and_then_drops(void **state)
{
    struct impair i;
    const struct impair_config cfg = {.rate_bps = 8000000, .queue_bytes = 10000};
    impair_init(&i, &cfg);
    for (int n = 0; n < 10; n++) { // 1000 bytes take a millisecond
        CHECK_EQ(impair_packet(&i, 1000, 0).delay_ns, (uint64_t)(n + 1) * 1000000);
    }
    CHECK(impair_packet(&i, 1000, 0).over_rate);
    CHECK(!impair_packet(&i, 1000, 1000000).over_rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_what_was_asked_for),
        cmocka_unit_test(the_same_seed_loses_the_same_packets),
        cmocka_unit_test(a_limited_link_queues_and_then_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
