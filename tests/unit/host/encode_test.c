// SPDX-License-Identifier: MIT OR Apache-2.0
// x264 behind our interface, judged by libavcodec.
#include "host/encode/encode.h"

#include "core/base/status.h"
#include "host/desktop/testcard_draw.h"
#include "tests/unit/check.h"

#include <libavcodec/avcodec.h>
#include <math.h>

#define XR24 0x34325258u

struct picture {
    struct frame frame;
    struct testcard_image image;
};

static void no_release(struct frame *f)
{
}

static struct picture make_picture(uint32_t w, uint32_t h, uint32_t counter)
{
    struct picture p = {
        .image = {malloc((size_t)w * h * 4), (size_t)w * 4, w, h},
        .frame = {.fourcc = XR24,
                  .width_px = w,
                  .height_px = h,
                  .stride_bytes = w * 4,
                  .refs = 1,
                  .release = no_release},
    };
    testcard_draw(&p.image, counter);
    p.frame.pixels = p.image.bgrx;
    return p;
}

static struct encode *open_encoder(uint32_t w, uint32_t h, uint32_t kbps)
{
    const struct encode_config cfg = {.codec = ENCODE_H264,
                                      .width_px = w,
                                      .height_px = h,
                                      .hz = 60,
                                      .bitrate_kbps = kbps,
                                      .threads = 1};
    struct encode *e;
    CHECK_EQ(encode_open(&e, &cfg), PFK_OK);
    return e;
}

// Types of the NAL units of an access unit in order, as digits: "785" is SPS, PPS, IDR slice.
static void nal_types(const struct encode_unit *u, char *text, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i + 3 < u->n_bytes; i++) {
        if (u->bytes[i] == 0 && u->bytes[i + 1] == 0 && u->bytes[i + 2] == 1) {
            CHECK(n + 1 < room);
            text[n++] = (char)('0' + (u->bytes[i + 3] & 31));
        }
    }
    text[n] = 0;
}

struct decoder {
    AVCodecContext *codec;
    AVFrame *frame;
    AVPacket *packet;
};

static struct decoder open_decoder(void)
{
    struct decoder d = {.frame = av_frame_alloc(), .packet = av_packet_alloc()};
    d.codec = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_H264));
    // A strict decoder holds pictures back unless the stream itself says that none is reordered.
    d.codec->strict_std_compliance = FF_COMPLIANCE_STRICT;
    d.codec->thread_count = 1;
    CHECK_EQ(avcodec_open2(d.codec, NULL, NULL), 0);
    return d;
}

static void close_decoder(struct decoder *d)
{
    avcodec_free_context(&d->codec);
    av_frame_free(&d->frame);
    av_packet_free(&d->packet);
}

// One unit in must be one picture out, at once.
static void decode(struct decoder *d, const struct encode_unit *u)
{
    CHECK_EQ(av_new_packet(d->packet, (int)u->n_bytes), 0);
    memcpy(d->packet->data, u->bytes, u->n_bytes);
    CHECK_EQ(avcodec_send_packet(d->codec, d->packet), 0);
    av_packet_unref(d->packet);
    CHECK_EQ(avcodec_receive_frame(d->codec, d->frame), 0);
}

static void each_picture_comes_out_of_the_call_it_went_in(void **state)
{
    struct encode *e = open_encoder(320, 240, 4000);
    struct decoder d = open_decoder();
    for (uint32_t i = 0; i < 40; i++) {
        struct picture p = make_picture(320, 240, i * 77777);
        struct encode_unit u;
        bool ask = i == 20;
        CHECK_EQ(encode_frame(e, &p.frame, 1000 + i, ask, &u), PFK_OK);
        char types[16];
        nal_types(&u, types, sizeof(types));
        CHECK_EQ(u.pts_ns, 1000 + i);
        CHECK_EQ(u.keyframe, i == 0 || ask);
        if (u.keyframe) { // SPS, PPS, perhaps SEI, one IDR slice
            CHECK(strcmp(types, "785") == 0 || strcmp(types, "7865") == 0);
        } else {
            assert_string_equal(types, "1"); // one slice and nothing else
        }
        decode(&d, &u);
        uint32_t counter;
        CHECK(testcard_read_counter(d.frame->data[0], (size_t)d.frame->linesize[0], 1, 320, 240,
                                    &counter));
        CHECK_EQ(counter, i * 77777);
        free(p.image.bgrx);
    }
    CHECK_EQ(d.codec->has_b_frames, 0);
    CHECK_EQ(d.codec->colorspace, AVCOL_SPC_BT709);
    CHECK_EQ(d.codec->color_primaries, AVCOL_PRI_BT709);
    CHECK_EQ(d.codec->color_trc, AVCOL_TRC_BT709);
    CHECK_EQ(d.codec->color_range, AVCOL_RANGE_MPEG);
    CHECK_EQ(d.codec->chroma_sample_location, AVCHROMA_LOC_LEFT);
    close_decoder(&d);
    encode_close(e);
}

// Mean of a plane over the middle of a patch, 0 to 1 above `black`.
static double level(const AVFrame *f, int plane, struct testcard_rect r, double black, double range)
{
    int shift = plane ? 1 : 0; // 4:2:0
    double sum = 0, n = 0;
    for (uint32_t y = (r.y + r.h / 4) >> shift; y < (r.y + r.h * 3 / 4) >> shift; y++) {
        for (uint32_t x = (r.x + r.w / 4) >> shift; x < (r.x + r.w * 3 / 4) >> shift; x++) {
            sum += f->data[plane][(int)y * f->linesize[plane] + (int)x];
            n++;
        }
    }
    CHECK(n > 0);
    return (sum / n - black) / range;
}

static void check_patches(const AVFrame *f)
{
    const double kr = 0.2126, kb = 0.0722; // BT.709, as the stream says
    for (unsigned i = 0; i < TESTCARD_N_PATCHES; i++) {
        struct testcard_rect r = testcard_patch(i, (uint32_t)f->width, (uint32_t)f->height);
        double y = level(f, 0, r, 16, 219), cb = level(f, 1, r, 128, 224),
               cr = level(f, 2, r, 128, 224);
        double red = y + 2 * (1 - kr) * cr, blue = y + 2 * (1 - kb) * cb;
        double green = (y - kr * red - kb * blue) / (1 - kr - kb);
        uint32_t want = testcard_patch_rgb(i);
        CHECK(fabs(255 * red - (want >> 16)) <= 3);
        CHECK(fabs(255 * green - (want >> 8 & 255)) <= 3);
        CHECK(fabs(255 * blue - (want & 255)) <= 3);
    }
}

static void colours_come_back_within_three(void **state)
{
    struct encode *e = open_encoder(640, 360, 10000);
    struct decoder d = open_decoder();
    for (uint32_t i = 0; i < 12; i++) {
        struct picture p = make_picture(640, 360, i);
        struct encode_unit u;
        CHECK_EQ(encode_frame(e, &p.frame, i, false, &u), PFK_OK);
        decode(&d, &u);
        check_patches(d.frame); // from the first key frame on
        free(p.image.bgrx);
    }
    close_decoder(&d);
    encode_close(e);
}

static void sizes_that_are_no_multiple_of_16_are_cropped(void **state)
{
    static const uint32_t sizes[][2] = {{1278, 718}, {640, 360}, {2, 2}, {18, 34}, {4096, 2160}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct encode *e = open_encoder(sizes[i][0], sizes[i][1], 2000);
        struct decoder d = open_decoder();
        struct picture p = make_picture(sizes[i][0], sizes[i][1], 1);
        struct encode_unit u;
        CHECK_EQ(encode_frame(e, &p.frame, 1, false, &u), PFK_OK);
        decode(&d, &u);
        CHECK_EQ(d.frame->width, sizes[i][0]);
        CHECK_EQ(d.frame->height, sizes[i][1]);
        free(p.image.bgrx);
        close_decoder(&d);
        encode_close(e);
    }
}

static void impossible_configurations_are_refused(void **state)
{
    static const uint32_t sizes[][2] = {{641, 480}, {640, 481}, {0, 480}, {4098, 480}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const struct encode_config cfg = {.codec = ENCODE_H264,
                                          .width_px = sizes[i][0],
                                          .height_px = sizes[i][1],
                                          .hz = 60,
                                          .bitrate_kbps = 1000};
        struct encode *e;
        CHECK_EQ(encode_open(&e, &cfg), PFK_E_INVALID);
        CHECK(e == NULL);
    }
    const struct encode_config good = {
        .codec = ENCODE_H264, .width_px = 64, .height_px = 64, .hz = 60, .bitrate_kbps = 1000};
    struct encode_config bad[4] = {good, good, good, good};
    bad[0].hz = 0;
    bad[1].hz = UINT32_MAX;
    bad[2].bitrate_kbps = 0;
    bad[3].preset = "no-such-preset";
    struct encode *e;
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(encode_open(&e, &bad[i]), PFK_E_INVALID);
        CHECK(e == NULL);
    }
    struct encode_config av1 = good;
    av1.codec = ENCODE_AV1;
    CHECK_EQ(encode_open(&e, &av1), PFK_E_UNSUPPORTED);
    CHECK_EQ(encode_codecs(), ENCODE_H264);
}

static void unfit_frames_are_refused_and_the_next_one_is_served(void **state)
{
    struct encode *e = open_encoder(64, 64, 1000);
    struct picture p = make_picture(64, 80, 1);
    struct encode_unit u;
    CHECK_EQ(encode_frame(e, &p.frame, 1, false, &u), PFK_E_INVALID);
    p.frame.height_px = 64;
    p.frame.fourcc = 1;
    CHECK_EQ(encode_frame(e, &p.frame, 1, false, &u), PFK_E_INVALID);
    p.frame.fourcc = XR24;
    p.frame.stride_bytes = 64 * 4 - 1; // lines would overlap
    CHECK_EQ(encode_frame(e, &p.frame, 1, false, &u), PFK_E_INVALID);
    p.frame.stride_bytes = 64 * 4;
    CHECK_EQ(encode_set_bitrate(e, 0), PFK_E_INVALID);
    CHECK_EQ(encode_frame(e, &p.frame, 7, false, &u), PFK_OK);
    CHECK(u.keyframe); // the first one that was encoded
    CHECK_EQ(u.pts_ns, 7);
    free(p.image.bgrx);
    encode_close(e);
}

static void the_rate_is_kept_and_can_change(void **state)
{
    struct encode *e = open_encoder(640, 360, 3000);
    uint64_t seed = 9, bytes[2] = {0, 0};
    size_t largest = 0;
    struct picture p = make_picture(640, 360, 0);
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < 120; i++) { // two seconds of noise: more than the rate allows
            for (size_t b = 0; b < 640 * 360 * 4; b += 8) {
                uint64_t r = splitmix64(&seed) & 0x3F3F3F3F3F3F3F3F;
                memcpy(p.image.bgrx + b, &r, 8);
            }
            struct encode_unit u;
            CHECK_EQ(encode_frame(e, &p.frame, 1, false, &u), PFK_OK);
            CHECK_EQ(u.keyframe, half == 0 && i == 0);
            bytes[half] += i >= 60 ? u.n_bytes : 0;
            largest = u.n_bytes > largest ? u.n_bytes : largest;
        }
        CHECK_EQ(encode_set_bitrate(e, 9000), PFK_OK);
    }
    CHECK(bytes[0] < 3000 * 125 * 13 / 10); // one second each
    CHECK(bytes[1] > bytes[0] * 2 && bytes[1] < 9000 * 125 * 13 / 10);
    CHECK(largest < 9000 * 125 * 7 / 60); // no unit is larger than the decoder's buffer
    free(p.image.bgrx);
    encode_close(e);
}

// Only the damaged lines are converted, and that is enough.
static void damage_is_all_that_is_needed(void **state)
{
    struct encode *e = open_encoder(320, 240, 8000);
    struct decoder d = open_decoder();
    struct picture p = make_picture(320, 240, 5);
    struct encode_unit u;
    CHECK_EQ(encode_frame(e, &p.frame, 1, false, &u), PFK_OK);
    decode(&d, &u);
    for (uint32_t i = 6; i < 20; i++) {
        struct testcard_rect changed[TESTCARD_MAX_CHANGED];
        p.frame.n_damage = testcard_draw_moving(&p.image, i * 1000003, changed);
        for (unsigned k = 0; k < p.frame.n_damage; k++) {
            p.frame.damage[k] = (struct frame_rect){(int32_t)changed[k].x, (int32_t)changed[k].y,
                                                    (int32_t)changed[k].w, (int32_t)changed[k].h};
        }
        CHECK_EQ(encode_frame(e, &p.frame, i, false, &u), PFK_OK);
        decode(&d, &u);
        uint32_t counter;
        CHECK(testcard_read_counter(d.frame->data[0], (size_t)d.frame->linesize[0], 1, 320, 240,
                                    &counter));
        CHECK_EQ(counter, i * 1000003);
    }
    // Absurd rectangles are clipped.
    p.frame.n_damage = 3;
    p.frame.damage[0] = (struct frame_rect){-5, -100, 10000, 101};
    p.frame.damage[1] = (struct frame_rect){0, 239, 1, 2147483647};
    p.frame.damage[2] = (struct frame_rect){0, 500, 1, 1};
    CHECK_EQ(encode_frame(e, &p.frame, 99, false, &u), PFK_OK);
    free(p.image.bgrx);
    close_decoder(&d);
    encode_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_picture_comes_out_of_the_call_it_went_in),
        cmocka_unit_test(colours_come_back_within_three),
        cmocka_unit_test(sizes_that_are_no_multiple_of_16_are_cropped),
        cmocka_unit_test(impossible_configurations_are_refused),
        cmocka_unit_test(unfit_frames_are_refused_and_the_next_one_is_served),
        cmocka_unit_test(the_rate_is_kept_and_can_change),
        cmocka_unit_test(damage_is_all_that_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
