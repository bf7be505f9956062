// SPDX-License-Identifier: MIT OR Apache-2.0
// Every parser of core/wire. The first byte chooses; what parses must be emitted and parse again
// alike.
#include "core/base/status.h"
#include "core/wire/control.h"
#include "core/wire/datagram.h"
#include "core/wire/video_header.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

// parse -> emit -> parse -> emit gives the same bytes.
#define STABLE(type, parse, emit)                                                                  \
    do {                                                                                           \
        type a_, b_;                                                                               \
        memset(&a_, 0, sizeof(a_));                                                                \
        memset(&b_, 0, sizeof(b_));                                                                \
        if (parse(&a_, bytes, n) == PFK_OK) {                                                      \
            uint8_t one_[512], two_[512];                                                          \
            struct pfk_writer w_ = pfk_writer_init(one_, sizeof(one_));                            \
            emit(&a_, &w_);                                                                        \
            CHECK(!w_.bad);                                                                        \
            size_t n_ = (size_t)(w_.p - one_);                                                     \
            CHECK(parse(&b_, one_, n_) == PFK_OK);                                                 \
            w_ = pfk_writer_init(two_, sizeof(two_));                                              \
            emit(&b_, &w_);                                                                        \
            CHECK((size_t)(w_.p - two_) == n_ && memcmp(one_, two_, n_) == 0);                     \
        }                                                                                          \
    } while (0)

static int parse_video_header(struct pfk_video_header *h, const uint8_t *bytes, size_t n)
{
    struct pfk_reader r = pfk_reader_init(bytes, n);
    return pfk_video_header_parse(h, &r);
}

// The stream in pieces as the input says must give the same messages as in one.
static void deframe(const uint8_t *bytes, size_t n)
{
    static struct pfk_deframer whole, pieces;
    memset(&whole, 0, sizeof(whole));
    memset(&pieces, 0, sizeof(pieces));
    size_t sums[2] = {0, 0}, counts[2] = {0, 0};
    for (int pass = 0; pass < 2; pass++) {
        struct pfk_deframer *d = pass ? &pieces : &whole;
        size_t at = 0;
        while (at < n) {
            size_t step = pass ? (size_t)bytes[at] % 7 + 1 : n - at;
            step = step < n - at ? step : n - at;
            size_t end = at + step;
            while (at < end) {
                const uint8_t *body;
                size_t body_bytes;
                size_t used = pfk_deframe(d, bytes + at, end - at, &body, &body_bytes);
                CHECK(used > 0 && used <= end - at);
                at += used;
                if (body) {
                    counts[pass]++;
                    for (size_t i = 0; i < body_bytes; i++) {
                        sums[pass] = sums[pass] * 31 + body[i];
                    }
                }
            }
        }
    }
    CHECK(counts[0] == counts[1] && sums[0] == sums[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0) {
        return 0;
    }
    uint8_t which = bytes[0];
    bytes++;
    n--;
    switch (which % 8) {
    case 0:
        STABLE(struct pfk_hello, pfk_hello_parse, pfk_hello_emit);
        break;
    case 1:
        STABLE(struct pfk_welcome, pfk_welcome_parse, pfk_welcome_emit);
        break;
    case 2:
        STABLE(struct pfk_start, pfk_start_parse, pfk_start_emit);
        break;
    case 3:
        STABLE(struct pfk_control, pfk_control_parse, pfk_control_emit);
        break;
    case 4:
        STABLE(struct pfk_timing, pfk_timing_parse, pfk_timing_emit);
        break;
    case 5:
        STABLE(struct pfk_input, pfk_input_parse, pfk_input_emit);
        break;
    case 6:
        STABLE(struct pfk_video_header, parse_video_header, pfk_video_header_emit);
        break;
    default:
        deframe(bytes, n);
        break;
    }
    return 0;
}
