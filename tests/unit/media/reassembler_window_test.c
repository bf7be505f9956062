// SPDX-License-Identifier: MIT OR Apache-2.0
// How far behind the newest a unit may be, and when one counts as lost (reference: section 5.6).
#include "tests/unit/media/plain_link.h"

static void the_index_window_is_64_wide(void **state)
{
    struct link l = link_new(PFK_FEC_GF16, S, K, false);
    CHECK_EQ(push_half(&l, 0, 5, 0), PFK_RX_ACCEPTED);
    CHECK_EQ(push_half(&l, 64, 5, 0), PFK_RX_ACCEPTED);
    CHECK_EQ(stats_of(&l).frames_lost, 0);
    CHECK_EQ(push_half(&l, 0, 5, 1), PFK_RX_ACCEPTED); // 64 behind: still good
    CHECK_EQ(push_half(&l, 1, 5, 0), PFK_RX_ACCEPTED);
    CHECK_EQ(push_half(&l, 66, 5, 0), PFK_RX_ACCEPTED);
    CHECK_EQ(stats_of(&l).frames_lost, 1); // unit 1; unit 0 had completed
    CHECK_EQ(push_half(&l, 1, 5, 1), PFK_RX_LATE);
    CHECK_EQ(push_half(&l, 0, 5, 1), PFK_RX_LATE);
    CHECK_EQ(push_half(&l, 2, 5, 0), PFK_RX_ACCEPTED);
    drain(&l);
    link_free(&l);
}

static void the_pts_window_is_120_ms_wide(void **state)
{
    struct link l = link_new(PFK_FEC_GF16, S, K, false);
    const uint64_t t = 1000000000, ms_120 = 120000000;
    CHECK_EQ(push_half(&l, 0, t, 0), PFK_RX_ACCEPTED);
    CHECK_EQ(push_half(&l, 3, t + ms_120, 0), PFK_RX_ACCEPTED);
    CHECK_EQ(push_half(&l, 1, t, 0), PFK_RX_ACCEPTED);
    CHECK_EQ(stats_of(&l).frames_lost, 0);
    CHECK_EQ(push_half(&l, 4, t + ms_120 + 1, 0), PFK_RX_ACCEPTED);
    CHECK_EQ(stats_of(&l).frames_lost, 2);
    CHECK_EQ(push_half(&l, 0, t, 1), PFK_RX_LATE);
    CHECK_EQ(push_half(&l, 1, t, 1), PFK_RX_LATE);
    // Nothing of unit 2 had come; what comes now is stale, and lost once.
    CHECK_EQ(push_half(&l, 2, t, 0), PFK_RX_LATE);
    CHECK_EQ(push_half(&l, 2, t, 1), PFK_RX_LATE);
    CHECK_EQ(stats_of(&l).frames_lost, 3);
    CHECK_EQ(push_half(&l, 3, t + ms_120, 1), PFK_RX_ACCEPTED);
    for (uint32_t i = 5; i < 200; i++) {
        push_index(&l, i);
        drain(&l);
    }
    CHECK_EQ(stats_of(&l).frames_lost, 4); // and unit 4, which stayed half
    link_free(&l);
}

static void units_never_seen_are_lost_too(void **state)
{
    struct link l = link_new(PFK_FEC_GF16, S, K, false);
    push_index(&l, 10);
    CHECK_EQ(stats_of(&l).frames_lost, 0);
    push_index(&l, 74); // 0 to 9 leave, the tenth was whole
    CHECK_EQ(stats_of(&l).frames_lost, 10);
    push_index(&l, 75);
    CHECK_EQ(stats_of(&l).frames_lost, 10);
    push_index(&l, 1000075); // a great jump: 11 to 73, then 76 to 1000010
    CHECK_EQ(stats_of(&l).frames_lost, 10 + 63 + (1000010 - 75));
    push_index(&l, 1000074);
    CHECK_EQ(stats_of(&l).frames_completed, 5);
    drain(&l);
    link_free(&l);
    // A jump a little wider than the window, from a full one, for every width around it.
    for (uint32_t jump = 60; jump < 200; jump++) {
        l = link_new(PFK_FEC_GF8, S, K, false);
        for (uint32_t i = 0; i <= 100; i++) {
            push_index(&l, i);
            drain(&l);
        }
        push_index(&l, 100 + jump);
        CHECK_EQ(stats_of(&l).frames_lost, jump > 65 ? jump - 65 : 0);
        CHECK_EQ(push_index(&l, 100 + jump), PFK_RX_LATE);
        CHECK_EQ(push_index(&l, 100 + jump - 64), jump <= 64 ? PFK_RX_LATE : PFK_RX_ACCEPTED);
        drain(&l);
        link_free(&l);
    }
}

static void a_stream_may_start_anywhere_beyond_the_half_circle(void **state)
{
    const uint32_t firsts[] = {0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof(firsts) / sizeof(*firsts); i++) {
        struct link l = link_new(PFK_FEC_GF16, S, K, false);
        for (uint32_t n = 0; n < 200; n++) {
            CHECK_EQ(push_index(&l, firsts[i] + n), PFK_RX_ACCEPTED);
            CHECK_EQ(push_index(&l, firsts[i] + n), PFK_RX_LATE);
            CHECK_EQ(push_index(&l, firsts[i] - 1), PFK_RX_LATE);
            drain(&l);
        }
        CHECK_EQ(stats_of(&l).frames_lost, 0);
        CHECK_EQ(stats_of(&l).frames_completed, 200);
        link_free(&l);
    }
}

static void newer_means_less_than_half_the_circle_ahead(void **state)
{
    struct link l = link_new(PFK_FEC_GF16, S, K, false);
    push_index(&l, 1000);
    CHECK_EQ(push_index(&l, 1000 + 0x80000000u), PFK_RX_LATE);
    CHECK_EQ(push_index(&l, 1000 + 0x7FFFFFFFu), PFK_RX_ACCEPTED);
    CHECK_EQ(push_index(&l, 1000 + 0x7FFFFFFFu + 0x7FFFFFFFu), PFK_RX_ACCEPTED);
    CHECK_EQ(push_index(&l, 1000), PFK_RX_ACCEPTED); // once around
    CHECK_EQ(push_index(&l, 998), PFK_RX_LATE);      // that was the one before the wrap
    drain(&l);
    link_free(&l);
}

static void loss_across_the_wrap_is_counted_once(void **state)
{
    struct link l = link_new(PFK_FEC_GF16, S, K, false);
    uint32_t lost = 0;
    for (uint32_t n = 0; n < 400; n++) {
        uint32_t index = 0xFFFFFF40u + n;
        if (n % 7 == 3) {
            lost += n + 64 < 399; // those behind the last window
        } else if (n % 7 == 5) {
            push_half(&l, index, 1000000000, 0);
            lost += n + 64 < 399;
        } else {
            push_index(&l, index);
        }
        drain(&l);
    }
    CHECK_EQ(stats_of(&l).frames_lost, lost);
    link_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_window_is_64_wide),
        cmocka_unit_test(the_pts_window_is_120_ms_wide),
        cmocka_unit_test(units_never_seen_are_lost_too),
        cmocka_unit_test(a_stream_may_start_anywhere_beyond_the_half_circle),
        cmocka_unit_test(newer_means_less_than_half_the_circle_ahead),
        cmocka_unit_test(loss_across_the_wrap_is_counted_once),
    };
    return cmocka_run_group_tests_name("reassembler_window", tests, NULL, NULL);
}
