// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tests/unit/check.h"

#include "core/session/clock_sync.h"
#include "core/session/fec_rate.h"

// A simulated link: the host's clock is `offset` ahead, each way takes `there` and `back`.
struct link {
    uint64_t now;
    int64_t offset;
    uint64_t there, back;
};

// Runs one batch; returns how many probes it sent.
static unsigned run_batch(struct pfk_clock_sync *s, struct link *l)
{
    unsigned n = 0;
    for (;;) {
        uint64_t t1, wait;
        if (!pfk_clock_sync_poll(s, l->now, &t1, &wait)) {
            if (wait > PFK_CLOCK_ROUND_SPACING_NS) {
                return n;
            }
            l->now += wait;
            continue;
        }
        n++;
        uint64_t t2 = l->now + l->there + (uint64_t)l->offset;
        l->now += l->there + l->back + 100;
        pfk_clock_sync_echo(s, t1, t2, t2 + 100, l->now);
    }
}

static void eight_rounds_find_the_offset(void **state)
{
    struct pfk_clock_sync s = {0};
    struct link l = {1790000000000000000u, -123456789, 300000, 300000};
    CHECK_EQ(run_batch(&s, &l), 8);
    CHECK(s.has_offset && s.first_batch_done);
    CHECK_EQ(s.offset_ns, -123456789);
    CHECK_EQ(s.rtt_ns, 600000);
}

static void silence_ends_the_batch(void **state)
{
    struct pfk_clock_sync s = {0};
    uint64_t t1, wait, now = 1000000000000u;
    CHECK(pfk_clock_sync_poll(&s, now, &t1, &wait));
    CHECK(!pfk_clock_sync_poll(&s, now + 1, &t1, &wait));
    CHECK(!pfk_clock_sync_poll(&s, now + PFK_CLOCK_ROUND_LIMIT_NS, &t1, &wait));
    CHECK(s.first_batch_done);
    CHECK(!s.has_offset);
    CHECK_EQ(wait, PFK_CLOCK_BATCH_EVERY_NS);
}

// Somebody sets our clock back by an hour, between batches and within a round.
static void a_clock_set_back_stalls_nothing(void **state)
{
    const uint64_t hour = 3600000000000u;
    struct pfk_clock_sync s = {0};
    struct link l = {1790000000000000000u, 0, 300000, 300000};
    uint64_t t1, wait;
    CHECK_EQ(run_batch(&s, &l), 8);
    l.now -= hour;
    l.offset = (int64_t)hour;
    CHECK_EQ(run_batch(&s, &l), 8);
    CHECK_EQ(s.offset_ns, (int64_t)hour);
    l.now += PFK_CLOCK_BATCH_EVERY_NS;
    CHECK(pfk_clock_sync_poll(&s, l.now, &t1, &wait));
    l.now -= hour;
    CHECK(!pfk_clock_sync_poll(&s, l.now, &t1, &wait)); // the round is void
    CHECK(wait <= PFK_CLOCK_BATCH_EVERY_NS);
}

static void foreign_and_absurd_echoes_are_ignored(void **state)
{
    struct pfk_clock_sync s = {0};
    uint64_t t1, wait, now = 1000000000000u;
    CHECK(pfk_clock_sync_poll(&s, now, &t1, &wait));
    pfk_clock_sync_echo(&s, t1 + 1, now, now, now + 10);
    CHECK(s.awaiting);
    pfk_clock_sync_echo(&s, t1, now + 5, now, now + 10);
    CHECK(s.awaiting);
    pfk_clock_sync_echo(&s, t1, 0, UINT64_MAX, now + 10);
    CHECK(!s.awaiting);
    pfk_clock_sync_echo(&s, t1, now, now, now + 20);
    CHECK_EQ(s.round, 1);
}

static void a_worse_route_is_believed_after_three_batches(void **state)
{
    struct pfk_clock_sync s = {0};
    struct link l = {1790000000000000000u, 1000000, 2000000, 2000000};
    run_batch(&s, &l);
    l.there = 30000000;
    for (int batch = 1; batch <= 3; batch++) {
        CHECK_EQ(s.offset_ns, 1000000);
        l.now += PFK_CLOCK_BATCH_EVERY_NS;
        CHECK_EQ(run_batch(&s, &l), 8);
    }
    CHECK_EQ(s.rtt_ns, 32000000);
    CHECK_EQ(s.offset_ns, 1000000 + 14000000);
}

static void parity_follows_the_loss_reports(void **state)
{
    CHECK_EQ(pfk_fec_percent_after(0, 0), 1);
    CHECK_EQ(pfk_fec_percent_after(1, 50000), 8);
    CHECK_EQ(pfk_fec_percent_after(1, 100000), 15);
    CHECK_EQ(pfk_fec_percent_after(10, 0), 9);
    CHECK_EQ(pfk_fec_percent_after(10, 1000000), 50);
    CHECK_EQ(pfk_fec_percent_after(10, UINT32_MAX), 50);
}

static void loss_counts_what_never_came(void **state)
{
    CHECK_EQ(pfk_loss_ppm(0, 0, 0, false), 0);
    CHECK_EQ(pfk_loss_ppm(950, 50, 0, false), 50000);
    CHECK_EQ(pfk_loss_ppm(950, 50, 50, false), 0);
    CHECK_EQ(pfk_loss_ppm(950, 50, 60, false), 0);
    CHECK_EQ(pfk_loss_ppm(0, 0, 0, true), 50000);
    CHECK_EQ(pfk_loss_ppm(0, 10, 0, true), 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_rounds_find_the_offset),
        cmocka_unit_test(silence_ends_the_batch),
        cmocka_unit_test(a_clock_set_back_stalls_nothing),
        cmocka_unit_test(foreign_and_absurd_echoes_are_ignored),
        cmocka_unit_test(a_worse_route_is_believed_after_three_batches),
        cmocka_unit_test(parity_follows_the_loss_reports),
        cmocka_unit_test(loss_counts_what_never_came),
    };
    return cmocka_run_group_tests_name("clock_sync", tests, NULL, NULL);
}
