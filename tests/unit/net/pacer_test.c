// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/net/pacer.h"

#include "tests/unit/check.h"

static void small_units_leave_at_once(void **state)
{
    const struct pfk_pacer_config cfg = {.bitrate_kbps = 20000, .hz = 60};
    struct pfk_pace p = pfk_pace_begin(&cfg, 128 * 1024, 1000);
    CHECK_EQ(pfk_pace_burst(&p, 0, 128 * 1024), 128 * 1024);
    CHECK_EQ(pfk_pace_due_ns(&p, 0), 1000);
}

static void a_quarter_of_a_large_unit_leaves_at_once(void **state)
{
    const struct pfk_pacer_config cfg = {.bitrate_kbps = 800000, .hz = 10};
    const size_t unit = 4 << 20;
    struct pfk_pace p = pfk_pace_begin(&cfg, unit, 0);
    CHECK_EQ(pfk_pace_burst(&p, 0, unit), unit / 4);
    CHECK_EQ(pfk_pace_burst(&p, unit / 4, unit), 64 * 1024);
    // The rest at three times 800 Mbit/s: 3 MiB take 10.5 ms.
    uint64_t end = pfk_pace_due_ns(&p, unit);
    CHECK(end > 10400000 && end < 10600000);
    CHECK_EQ(pfk_pace_burst(&p, unit - 10, unit), 10);
}

// A unit far above the bitrate still leaves within 90 % of the time to the next frame.
static void the_next_frame_bounds_the_time(void **state)
{
    const struct pfk_pacer_config cfg = {.bitrate_kbps = 500, .hz = 60};
    const size_t unit = 1 << 20;
    struct pfk_pace p = pfk_pace_begin(&cfg, unit, 0);
    uint64_t end = pfk_pace_due_ns(&p, unit);
    CHECK(end > 14900000 && end <= 15000000);
    uint64_t before = 0;
    for (size_t at = 0; at < unit; at += pfk_pace_burst(&p, at, unit)) {
        CHECK(pfk_pace_due_ns(&p, at) >= before);
        before = pfk_pace_due_ns(&p, at);
    }
}

static void without_a_rate_nothing_is_paced(void **state)
{
    const struct pfk_pacer_config cfg = {.bitrate_kbps = 0, .hz = 60};
    struct pfk_pace p = pfk_pace_begin(&cfg, 10 << 20, 7);
    CHECK_EQ(pfk_pace_burst(&p, 0, 10 << 20), 10 << 20);
    CHECK_EQ(pfk_pace_due_ns(&p, 10 << 20), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_units_leave_at_once),
        cmocka_unit_test(a_quarter_of_a_large_unit_leaves_at_once),
        cmocka_unit_test(the_next_frame_bounds_the_time),
        cmocka_unit_test(without_a_rate_nothing_is_paced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
