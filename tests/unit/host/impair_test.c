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

// A run of this seed is repeatable under another load and with other settings.
static void losses_depend_on_seed_and_number_alone(void **state)
{
    const struct impair_config plain = {.loss = 0.1, .seed = 3};
    struct impair_config busy = plain;
    busy.jitter_ns = 5000;
    busy.duplicate = 0.2;
    busy.reorder = 0.2;
    busy.rate_bps = 1000000;
    busy.queue_bytes = 3000;
    struct impair a, b, other;
    impair_init(&a, &plain);
    impair_init(&b, &busy);
    const struct impair_config seeded = {.loss = 0.1, .seed = 4};
    impair_init(&other, &seeded);
    unsigned differ = 0;
    for (uint64_t n = 0; n < 2000; n++) {
        bool lost = impair_packet(&a, 100, 0).lost;
        CHECK_EQ(impair_packet(&b, 1400, n * 977 % 5000).lost, lost);
        differ += impair_packet(&other, 100, 0).lost != lost;
    }
    CHECK(differ > 200);
}

static void heavy_loss_is_reached_in_longer_runs(void **state)
{
    for (int percent = 60; percent <= 100; percent += 10) {
        unsigned runs;
        unsigned got = count(
            (struct impair_config){
                .model = IMPAIR_BURST, .loss = percent / 100.0, .burst = 1, .seed = 9},
            &runs);
        CHECK(got >= N * (percent - 1) / 100.0 && got <= N * (percent + 1) / 100.0);
    }
}

static void periodic_losses_are_evenly_spaced(void **state)
{
    struct impair i;
    const struct impair_config cfg = {.model = IMPAIR_PERIODIC, .loss = 0.04};
    impair_init(&i, &cfg);
    for (int n = 1; n <= 10000; n++) {
        CHECK_EQ(impair_loses(&i), n % 25 == 0);
    }
}

static void delays_stay_within_what_was_asked_for(void **state)
{
    struct impair i;
    const struct impair_config cfg = {.delay_ns = 5000000,
                                      .jitter_ns = 1000000,
                                      .reorder = 0.1,
                                      .reorder_ns = 2000000,
                                      .duplicate = 0.05,
                                      .seed = 8};
    impair_init(&i, &cfg);
    unsigned reordered = 0, duplicated = 0;
    for (int n = 0; n < N; n++) {
        struct impair_fate f = impair_packet(&i, 1000, (uint64_t)n * 1000);
        uint64_t least = 5000000 + (f.reordered ? 2000000 : 0);
        CHECK(f.delay_ns >= least && f.delay_ns < least + 1000000);
        reordered += f.reordered;
        duplicated += f.copies == 2;
    }
    CHECK(reordered > N * 9 / 100 && reordered < N * 11 / 100);
    CHECK(duplicated > N * 4 / 100 && duplicated < N * 6 / 100);
}

static void without_jitter_packets_keep_their_order(void **state)
{
    struct impair i;
    const struct impair_config cfg = {.delay_ns = 5000000, .rate_bps = 10000000, .seed = 8};
    impair_init(&i, &cfg);
    uint64_t before = 0;
    for (uint64_t n = 0; n < 5000; n++) {
        uint64_t now = n * 500000, due = now + impair_packet(&i, n % 1400, now).delay_ns;
        CHECK(due >= before);
        before = due;
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
        cmocka_unit_test(losses_depend_on_seed_and_number_alone),
        cmocka_unit_test(heavy_loss_is_reached_in_longer_runs),
        cmocka_unit_test(periodic_losses_are_evenly_spaced),
        cmocka_unit_test(delays_stay_within_what_was_asked_for),
        cmocka_unit_test(without_jitter_packets_keep_their_order),
        cmocka_unit_test(a_limited_link_queues_and_then_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
