// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs the program that the other tests trust (its path is the argument) over streams whose faults
// are known.
#include "core/base/status.h"
#include "host/desktop/testcard_draw.h"
#include "host/encode/encode.h"
#include "tests/unit/check.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define XR24 0x34325258u

static const char *program;
static char folder[] = "/tmp/stream-check-test-XXXXXX";
static char stream[64], png[64], json[64];

static void no_release(struct frame *f)
{
}

enum card { CARD, CARD_TINTED, GREY };

// Adds one picture per counter, with an encoder of its own, to the stream.
static void add_pictures(uint32_t w, uint32_t h, enum card card, const uint32_t *counters, size_t n)
{
    const struct encode_config cfg = {
        .codec = ENCODE_H264, .width_px = w, .height_px = h, .hz = 60, .bitrate_kbps = 10000};
    struct encode *e;
    CHECK_EQ(encode_open(&e, &cfg), PFK_OK);
    struct testcard_image image = {malloc((size_t)w * h * 4), (size_t)w * 4, w, h};
    struct frame f = {.fourcc = XR24,
                      .width_px = w,
                      .height_px = h,
                      .stride_bytes = w * 4,
                      .pixels = image.bgrx,
                      .refs = 1,
                      .release = no_release};
    FILE *to = fopen(stream, "ab");
    CHECK(to != NULL);
    for (size_t i = 0; i < n; i++) {
        testcard_draw(&image, counters[i]);
        for (size_t b = 0; card != CARD && b < (size_t)w * h * 4; b++) {
            image.bgrx[b] = card == GREY                         ? 128
                            : b % 4 == 2 && image.bgrx[b] == 128 ? 136
                                                                 : image.bgrx[b];
        }
        struct encode_unit u;
        CHECK_EQ(encode_frame(e, &f, i, false, &u), PFK_OK);
        CHECK_EQ(fwrite(u.bytes, 1, u.n_bytes, to), u.n_bytes);
    }
    CHECK_EQ(fclose(to), 0);
    free(image.bgrx);
    encode_close(e);
}

// Exit status of `stream-check STREAM options`, its output away.
static int run(const char *options)
{
    char command[1024];
    int n = snprintf(command, sizeof(command), "'%s' '%s' %s >/dev/null 2>&1", program, stream,
                     options);
    CHECK(n > 0 && n < (int)sizeof(command));
    int status = system(command);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static json_t *result(void)
{
    char option[128];
    snprintf(option, sizeof(option), "--json %s", json);
    (void)run(option);
    json_t *j = json_load_file(json, 0, NULL);
    CHECK(j != NULL);
    return j;
}

static long number(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);
    CHECK(json_is_integer(v));
    return (long)json_integer_value(v);
}

static int clear(void **state)
{
    unlink(stream);
    unlink(png);
    unlink(json);
    return 0;
}

static void a_good_stream_meets_every_condition(void **state)
{
    static const uint32_t counters[] = {100, 101, 102, 103};
    add_pictures(640, 360, CARD, counters, 4);
    char options[256];
    snprintf(options, sizeof(options),
             "--expect-width 640 --expect-height 360 --min-pictures 4 --expect-counter "
             "--patch-tolerance 3 --png %s",
             png);
    CHECK_EQ(run(options), 0);
    uint8_t head[24] = {0};
    FILE *f = fopen(png, "rb");
    CHECK(f != NULL);
    CHECK_EQ(fread(head, 1, sizeof(head), f), sizeof(head));
    fclose(f);
    assert_memory_equal(head, "\x89PNG\r\n\x1a\n", 8);
    CHECK_EQ(head[18] << 8 | head[19], 640); // IHDR
    CHECK_EQ(head[22] << 8 | head[23], 360);
    json_t *j = result();
    CHECK_EQ(number(j, "pictures"), 4);
    CHECK_EQ(number(j, "keyframes"), 1);
    CHECK_EQ(number(j, "first_counter"), 100);
    CHECK_EQ(number(j, "last_counter"), 103);
    CHECK_EQ(number(j, "missing"), 0);
    assert_string_equal(json_string_value(json_object_get(j, "matrix")), "bt709");
    CHECK(json_is_false(json_object_get(j, "full_range")));
    CHECK(json_is_false(json_object_get(j, "reordered")));
    json_decref(j);
}

static void each_condition_fails_alone(void **state)
{
    static const uint32_t counters[] = {1, 2};
    add_pictures(640, 360, CARD, counters, 2);
    CHECK_EQ(run(""), 0);
    CHECK_EQ(run("--expect-width 642"), 1);
    CHECK_EQ(run("--expect-height 640"), 1);
    CHECK_EQ(run("--min-pictures 3"), 1);
    CHECK_EQ(run("--patch-tolerance 0"), 1); // nothing comes back exactly
    CHECK_EQ(run("--png /nonexistent/a.png"), 1);
    CHECK_EQ(run("--json /nonexistent/a.json"), 1);
}

static void a_condition_that_is_no_number_is_refused(void **state)
{
    static const uint32_t one = 1;
    add_pictures(640, 360, CARD, &one, 1);
    CHECK_EQ(run("--expect-width wide"), 2);
    CHECK_EQ(run("--expect-height 360p"), 2);
    CHECK_EQ(run("--min-pictures ''"), 2);
    CHECK_EQ(run("--min-pictures 0.5"), 2);
    CHECK_EQ(run("--patch-tolerance -1"), 2);
    CHECK_EQ(run("--patch-tolerance nan"), 2);
    CHECK_EQ(run("--no-such-option"), 2);
    CHECK_EQ(run("another-file"), 2);
    CHECK_EQ(run("--help"), 0);
}

static void counters_are_told_apart(void **state)
{
    static const uint32_t counters[] = {5, 6, 6, 9, 7, 9, 10};
    add_pictures(640, 360, CARD, counters, 7);
    json_t *j = result();
    CHECK_EQ(number(j, "distinct"), 4); // 5, 6, 9, 10
    CHECK_EQ(number(j, "repeated"), 1);
    CHECK_EQ(number(j, "backward"), 1);
    CHECK_EQ(number(j, "missing"), 2); // by the time 10 came: 7 was late, 8 never came
    CHECK_EQ(number(j, "unreadable"), 0);
    json_decref(j);
    CHECK_EQ(run("--min-pictures 4"), 0);
    CHECK_EQ(run("--min-pictures 5"), 1);
    CHECK_EQ(run("--expect-counter"), 1);
}

static void pictures_without_the_card_count_only_before_it(void **state)
{
    static const uint32_t counters[] = {5, 6};
    add_pictures(640, 360, GREY, counters, 2);
    CHECK_EQ(run(""), 0);
    CHECK_EQ(run("--expect-counter"), 1); // none at all
    CHECK_EQ(run("--patch-tolerance 255"), 1);
    add_pictures(640, 360, CARD, counters, 2);
    CHECK_EQ(run("--expect-counter"), 0);
    add_pictures(640, 360, GREY, counters, 1);
    CHECK_EQ(run("--expect-counter"), 1);
    json_t *j = result();
    CHECK_EQ(number(j, "before_card"), 2);
    CHECK_EQ(number(j, "unreadable"), 1);
    json_decref(j);
}

static void a_wrong_colour_is_seen_in_any_picture(void **state)
{
    static const uint32_t counters[] = {1, 2, 3};
    add_pictures(640, 360, CARD, counters, 1);
    CHECK_EQ(run("--patch-tolerance 3"), 0);
    add_pictures(640, 360, CARD_TINTED, counters + 1, 1); // grey 128 turned to 136 in red
    add_pictures(640, 360, CARD, counters + 2, 1);
    CHECK_EQ(run("--patch-tolerance 3"), 1);
    CHECK_EQ(run("--patch-tolerance 11"), 0);
}

static void a_stream_of_several_sizes_is_read_through(void **state)
{
    static const uint32_t counters[] = {1, 2, 3, 4};
    add_pictures(640, 360, CARD, counters, 1);
    add_pictures(800, 600, CARD, counters + 1, 3);
    json_t *j = result();
    const json_t *sizes = json_object_get(j, "sizes");
    CHECK_EQ(json_array_size(sizes), 2);
    CHECK_EQ(number(json_array_get(sizes, 0), "width"), 640);
    CHECK_EQ(number(json_array_get(sizes, 0), "pictures"), 1);
    CHECK_EQ(number(json_array_get(sizes, 1), "height"), 600);
    CHECK_EQ(number(json_array_get(sizes, 1), "pictures"), 3);
    json_decref(j);
    CHECK_EQ(run("--expect-counter --patch-tolerance 3 --min-pictures 4"), 0);
    CHECK_EQ(run("--expect-width 640"), 1);
}

static void what_is_no_stream_fails(void **state)
{
    CHECK_EQ(run(""), 1); // no file
    FILE *f = fopen(stream, "wb");
    CHECK(f != NULL);
    CHECK_EQ(fclose(f), 0);
    CHECK_EQ(run(""), 1); // an empty one
    f = fopen(stream, "wb");
    CHECK(f != NULL);
    for (int i = 0; i < 5000; i++) {
        fputc(i % 251, f);
    }
    CHECK_EQ(fclose(f), 0);
    CHECK_EQ(run(""), 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_good_stream_meets_every_condition, clear),
        cmocka_unit_test_setup(each_condition_fails_alone, clear),
        cmocka_unit_test_setup(a_condition_that_is_no_number_is_refused, clear),
        cmocka_unit_test_setup(counters_are_told_apart, clear),
        cmocka_unit_test_setup(pictures_without_the_card_count_only_before_it, clear),
        cmocka_unit_test_setup(a_wrong_colour_is_seen_in_any_picture, clear),
        cmocka_unit_test_setup(a_stream_of_several_sizes_is_read_through, clear),
        cmocka_unit_test_setup(what_is_no_stream_fails, clear),
    };
    if (argc != 2 || !mkdtemp(folder)) {
        fprintf(stderr, "usage: %s STREAM-CHECK, with a writable /tmp\n", argv[0]);
        return 2;
    }
    program = argv[1];
    snprintf(stream, sizeof(stream), "%s/s.h264", folder);
    snprintf(png, sizeof(png), "%s/last.png", folder);
    snprintf(json, sizeof(json), "%s/result.json", folder);
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)clear(NULL);
    rmdir(folder);
    return n_failed;
}
