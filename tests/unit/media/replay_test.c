// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tests/unit/check.h"

#include "core/media/replay.h"

static struct pfk_replay *replay_new(void)
{
    struct pfk_replay *r = calloc(1, sizeof(*r));
    CHECK(r);
    return r;
}

static void each_number_is_fresh_once(void **state)
{
    struct pfk_replay *r = replay_new();
    for (uint64_t s = 0; s < 1000; s++) {
        CHECK(pfk_replay_fresh(r, s));
        CHECK(!pfk_replay_fresh(r, s));
    }
    for (uint64_t s = 0; s < 1000; s++) {
        CHECK(!pfk_replay_fresh(r, s));
    }
    free(r);
}

static void the_window_is_131072_deep(void **state)
{
    struct pfk_replay *r = replay_new();
    CHECK(pfk_replay_fresh(r, 1000000));
    CHECK(pfk_replay_fresh(r, 1000000 - 131071));
    CHECK(!pfk_replay_fresh(r, 1000000 - 131071));
    CHECK(!pfk_replay_fresh(r, 1000000 - 131072));
    CHECK(!pfk_replay_fresh(r, 0));
    free(r);
}

static void a_great_jump_forgets_everything_before(void **state)
{
    for (int64_t extra = -2; extra <= 2; extra++) {
        struct pfk_replay *r = replay_new();
        for (uint64_t s = 0; s < 200; s++) {
            CHECK(pfk_replay_fresh(r, s));
        }
        uint64_t to = (uint64_t)(199 + 131072 + extra);
        CHECK(pfk_replay_fresh(r, to));
        // The slots of the old numbers now belong to these.
        for (uint64_t s = to - 131071; s < to - 131071 + 300; s++) {
            CHECK_EQ(pfk_replay_fresh(r, s), s > 199);
        }
        free(r);
    }
}

static void the_first_and_last_numbers_work(void **state)
{
    struct pfk_replay *r = replay_new();
    CHECK(pfk_replay_fresh(r, 0));
    CHECK(!pfk_replay_fresh(r, 0));
    CHECK(pfk_replay_fresh(r, UINT64_MAX));
    CHECK(!pfk_replay_fresh(r, UINT64_MAX));
    CHECK(pfk_replay_fresh(r, UINT64_MAX - 131071));
    CHECK(!pfk_replay_fresh(r, UINT64_MAX - 131072));
    CHECK(!pfk_replay_fresh(r, 0));
    free(r);
}

// A random walk with jumps of every size, against a plain list of what was seen.
static void it_agrees_with_a_plain_list(void **state)
{
    enum { SPACE = 2000000, STEPS = 20000 };
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct pfk_replay *r = replay_new();
        bool *seen = calloc(SPACE, 1);
        CHECK(seen);
        uint64_t rng = seed, newest = 0;
        bool any = false;
        for (int i = 0; i < STEPS; i++) {
            uint64_t draw = splitmix64(&rng), reach = 1u << draw % 19;
            uint64_t ahead = (draw >> 32) % reach, s;
            if (draw >> 31 & 1) {
                s = newest + ahead;
            } else {
                s = newest > ahead ? newest - ahead : 0;
            }
            s = s < SPACE ? s : SPACE - 1;
            bool want = !any || s > newest || (newest - s < PFK_REPLAY_DEPTH && !seen[s]);
            CHECK_EQ(pfk_replay_fresh(r, s), want);
            seen[s] = true;
            newest = !any || s > newest ? s : newest;
            any = true;
        }
        free(seen);
        free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_is_fresh_once),
        cmocka_unit_test(the_window_is_131072_deep),
        cmocka_unit_test(a_great_jump_forgets_everything_before),
        cmocka_unit_test(the_first_and_last_numbers_work),
        cmocka_unit_test(it_agrees_with_a_plain_list),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
