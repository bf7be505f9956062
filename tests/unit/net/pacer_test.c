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

// Walks the whole schedule: every byte leaves once, due times never fall and end within the frame.
static void walk(const struct pfk_pacer_config *cfg, size_t unit, uint64_t start)
{
    struct pfk_pace p = pfk_pace_begin(cfg, unit, start);
    uint64_t before = start;
    size_t at = 0, steps = 0;
    while (at < unit && steps++ < 100000) {
        size_t burst = pfk_pace_burst(&p, at, unit);
        uint64_t due = pfk_pace_due_ns(&p, at);
        CHECK(burst > 0 && burst <= unit - at);
        CHECK(due >= before);
        CHECK(cfg->hz == 0 || due - start <= 900000000u / cfg->hz + 1);
        before = due;
        at += burst;
    }
    CHECK(at == unit || steps > 100000);
    CHECK_EQ(pfk_pace_burst(&p, unit, unit), 0);
    CHECK_EQ(pfk_pace_burst(&p, unit + 1, unit), 0);
}

static void every_byte_leaves_in_time_at_the_limits(void **state)
{
    static const uint32_t rates[] = {0, 1, 20000, 4000000, UINT32_MAX};
    static const uint32_t rhythms[] = {0, 1, 60, 1000, UINT32_MAX};
    static const uint32_t bursts[] = {0, 1, 1472, UINT32_MAX};
    static const size_t units[] = {
        1, 128 * 1024, 128 * 1024 + 1, 512 * 1024 + 1, (size_t)1 << 30, (size_t)1 << 40};
    for (int r = 0; r < 5; r++) {
        for (int h = 0; h < 5; h++) {
            for (int b = 0; b < 4; b++) {
                for (int u = 0; u < 6; u++) {
                    const struct pfk_pacer_config cfg = {rates[r], rhythms[h], bursts[b]};
                    walk(&cfg, units[u], (uint64_t)1 << 60);
                }
            }
        }
    }
}

static void an_empty_unit_needs_no_burst(void **state)
{
    const struct pfk_pacer_config cfg = {.bitrate_kbps = 20000, .hz = 60};
    struct pfk_pace p = pfk_pace_begin(&cfg, 0, 5);
    CHECK_EQ(pfk_pace_burst(&p, 0, 0), 0);
    CHECK_EQ(pfk_pace_due_ns(&p, 0), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_units_leave_at_once),
        cmocka_unit_test(a_quarter_of_a_large_unit_leaves_at_once),
        cmocka_unit_test(the_next_frame_bounds_the_time),
        cmocka_unit_test(without_a_rate_nothing_is_paced),
        cmocka_unit_test(every_byte_leaves_in_time_at_the_limits),
        cmocka_unit_test(an_empty_unit_needs_no_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
