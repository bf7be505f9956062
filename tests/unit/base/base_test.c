// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tests/unit/check.h"

#include "core/base/bytes.h"
#include "core/base/log.h"
#include "core/base/ring.h"
#include "core/base/status.h"

#include <pthread.h>

static void reader_latches_at_the_end(void **state)
{
    const uint8_t wire[] = {1, 2, 3, 4, 5, 6, 7};
    struct pfk_reader r = pfk_reader_init(wire, sizeof(wire));
    CHECK_EQ(pfk_read_u16le(&r), 0x0201);
    CHECK_EQ(pfk_read_u32le(&r), 0x06050403);
    CHECK_EQ(pfk_reader_left(&r), 1);
    CHECK(!r.bad);
    CHECK_EQ(pfk_read_u16le(&r), 0);
    CHECK(r.bad);
    CHECK_EQ(pfk_read_u8(&r), 0);
    CHECK_EQ(pfk_reader_left(&r), 0);
}

static void writer_mirrors_reader(void **state)
{
    uint8_t wire[15];
    struct pfk_writer w = pfk_writer_init(wire, sizeof(wire));
    pfk_write_u8(&w, 0xA5);
    pfk_write_u16le(&w, 0x1234);
    pfk_write_u32le(&w, 0x89ABCDEF);
    pfk_write_u64le(&w, 0x0123456789ABCDEF);
    CHECK(!w.bad);
    struct pfk_reader r = pfk_reader_init(wire, sizeof(wire));
    CHECK_EQ(pfk_read_u8(&r), 0xA5);
    CHECK_EQ(pfk_read_u16le(&r), 0x1234);
    CHECK_EQ(pfk_read_u32le(&r), 0x89ABCDEF);
    CHECK_EQ(pfk_read_u64le(&r), 0x0123456789ABCDEF);
    pfk_write_u8(&w, 1);
    CHECK(w.bad);
}

static void sequence_numbers_are_big_endian(void **state)
{
    uint8_t wire[8];
    pfk_store_u64be(wire, 5);
    CHECK_EQ(wire[7], 5);
    CHECK_EQ(wire[0], 0);
    CHECK_EQ(pfk_load_u64be(wire), 5);
}

static void ring_refuses_bad_capacities(void **state)
{
    struct pfk_ring *ring;
    const size_t bad[] = {0, 1, 3, 6, 65537, 131072};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CHECK_EQ(pfk_ring_create(&ring, bad[i]), PFK_E_INVALID);
        CHECK(!ring);
    }
}

static void ring_keeps_order_and_says_full(void **state)
{
    struct pfk_ring *ring;
    int items[5];
    CHECK_EQ(pfk_ring_create(&ring, 4), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            CHECK(pfk_ring_push(ring, &items[i]));
        }
        CHECK(!pfk_ring_push(ring, &items[4]));
        CHECK_EQ(pfk_ring_count(ring), 4);
        for (int i = 0; i < 4; i++) {
            CHECK(pfk_ring_pop(ring) == &items[i]);
        }
        CHECK(!pfk_ring_pop(ring));
    }
    pfk_ring_destroy(ring);
}

enum { RACE_ITEMS = 200000 };

static void *produce(void *arg)
{
    struct pfk_ring *ring = arg;
    for (uintptr_t i = 1; i <= RACE_ITEMS;) {
        i += pfk_ring_push(ring, (void *)i);
    }
    return NULL;
}

static void ring_hands_over_between_threads(void **state)
{
    struct pfk_ring *ring;
    pthread_t producer;
    CHECK_EQ(pfk_ring_create(&ring, 64), 0);
    CHECK_EQ(pthread_create(&producer, NULL, produce, ring), 0);
    for (uintptr_t want = 1; want <= RACE_ITEMS;) {
        void *item = pfk_ring_pop(ring);
        if (item) {
            assert_ptr_equal(item, (void *)want);
            want++;
        }
    }
    pthread_join(producer, NULL);
    CHECK_EQ(pfk_ring_count(ring), 0);
    pfk_ring_destroy(ring);
}

static void keep_text(void *opaque, enum pfk_log_level level, const char *text)
{
    snprintf(opaque, 32, "%d %s", (int)level, text);
}

static void log_reaches_its_sink_and_tolerates_none(void **state)
{
    char got[32] = "";
    struct pfk_log log = {keep_text, got};
    pfk_logf(&log, PFK_LOG_WARN, "%s %d", "port", 9777);
    assert_string_equal(got, "1 port 9777");
    pfk_logf(&log, PFK_LOG_WARN, "name %s", "a\x1b[31m\nb\xC2\x9B\xE2\x80\xAE" "c\xC3\xA9");
    assert_string_equal(got, "1 name a?[31m?b??c\xC3\xA9");
    pfk_logf(NULL, PFK_LOG_ERROR, "nobody listens");
    pfk_logf(&(struct pfk_log){0}, PFK_LOG_ERROR, "nobody listens");
}

static void every_status_has_a_text(void **state)
{
    for (int s = PFK_E_UNRECOVERABLE; s <= 0; s++) {
        CHECK(strcmp(pfk_strstatus(s), "unknown status") != 0);
    }
    assert_string_equal(pfk_strstatus(-99), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_latches_at_the_end),
        cmocka_unit_test(writer_mirrors_reader),
        cmocka_unit_test(sequence_numbers_are_big_endian),
        cmocka_unit_test(ring_refuses_bad_capacities),
        cmocka_unit_test(ring_keeps_order_and_says_full),
        cmocka_unit_test(ring_hands_over_between_threads),
        cmocka_unit_test(log_reaches_its_sink_and_tolerates_none),
        cmocka_unit_test(every_status_has_a_text),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
