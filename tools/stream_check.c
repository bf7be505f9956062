// SPDX-License-Identifier: MIT OR Apache-2.0
// stream-check: decodes an elementary stream with libavcodec and says what is really in it:
// pictures, sizes, the test card's counters and colours. Conditions on the command line make it a
// test.
#include "host/desktop/testcard_layout.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

enum { MAX_SIZES = 16, PLANE_MIN_SIDE = 256 };

struct options {
    const char *file, *png, *json;
    long expect_width, expect_height, min_pictures;
    bool expect_counter;
    double patch_tolerance; // below 0: not checked
};

struct size {
    int width_px, height_px;
    long n_pictures;
};

struct result {
    long n_pictures, n_keyframes;
    struct size sizes[MAX_SIZES]; // those met first
    unsigned n_sizes;
    long n_other_sizes; // pictures of further ones
    long n_before_card; // pictures before the first one with a counter: the desktop still starts
    // After that one: a counter above all before it is a new picture, one below the last a step
    // back.
    long n_unreadable, n_distinct, n_repeated, n_backward;
    uint32_t first_counter, last_counter, highest_counter;
    double patch_error; // largest difference of a channel, of any patch of any picture
    bool full_range;
    enum AVColorSpace matrix;
    bool has_b_frames;
};

struct checker {
    struct options o;
    struct result r;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVFrame *frame, *last;
    AVPacket *packet;
};

static void usage(FILE *to)
{
    fputs("Usage: stream-check FILE [options]\n"
          "\n"
          "Decodes an H.264 elementary stream and reports pictures, sizes, the counters that the "
          "test\n"
          "card carries, and how far its colour patches are off.\n"
          "\n"
          "  --png FILE              write the last picture\n"
          "  --json FILE             write the result\n"
          "  --expect-width PX       fail unless every picture has this width\n"
          "  --expect-height PX      and this height\n"
          "  --min-pictures N        fail below N distinct pictures (by counter, if there is one)\n"
          "  --expect-counter        fail unless pictures carry a counter, all of them once the "
          "first\n"
          "                          one did, and none goes back\n"
          "  --patch-tolerance N     fail when a patch is off by more than N of 255\n"
          "\n"
          "Example: stream-check demo/stream.h264 --expect-counter --patch-tolerance 3\n",
          to);
}

// A whole argument that is a number of at least 0; a condition misread must not pass for one met.
static int parse_number(double *to, const char *option, bool whole)
{
    char *end;
    double v = strtod(optarg, &end);
    if (end == optarg || *end || !(v >= 0 && v <= INT_MAX) || (whole && v != floor(v))) {
        fprintf(stderr, "stream-check: --%s needs a %snumber, not \"%s\"\n", option,
                whole ? "whole " : "", optarg);
        return -1;
    }
    *to = v;
    return 0;
}

static int parse_options(struct options *o, int argc, char **argv)
{
    enum { PNG = 1, JSON, WIDTH, HEIGHT, MIN, COUNTER, TOLERANCE, HELP };
    static const struct option longopts[] = {
        {"png", required_argument, NULL, PNG},
        {"json", required_argument, NULL, JSON},
        {"expect-width", required_argument, NULL, WIDTH},
        {"expect-height", required_argument, NULL, HEIGHT},
        {"min-pictures", required_argument, NULL, MIN},
        {"expect-counter", no_argument, NULL, COUNTER},
        {"patch-tolerance", required_argument, NULL, TOLERANCE},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    *o = (struct options){.patch_tolerance = -1};
    int id, index = 0;
    double number = 0;
    while ((id = getopt_long(argc, argv, "", longopts, &index)) != -1) {
        bool is_number = id == WIDTH || id == HEIGHT || id == MIN || id == TOLERANCE;
        if (is_number && parse_number(&number, longopts[index].name, id != TOLERANCE) != 0) {
            return -1;
        }
        switch (id) {
        case PNG:
            o->png = optarg;
            break;
        case JSON:
            o->json = optarg;
            break;
        case WIDTH:
            o->expect_width = (long)number;
            break;
        case HEIGHT:
            o->expect_height = (long)number;
            break;
        case MIN:
            o->min_pictures = (long)number;
            break;
        case COUNTER:
            o->expect_counter = true;
            break;
        case TOLERANCE:
            o->patch_tolerance = number;
            break;
        case HELP:
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            return -1;
        }
    }
    if (optind + 1 != argc) {
        usage(stderr);
        return -1;
    }
    o->file = argv[optind];
    return 0;
}

static void count_size(struct result *r, const AVFrame *f)
{
    for (unsigned i = 0; i < r->n_sizes; i++) {
        if (r->sizes[i].width_px == f->width && r->sizes[i].height_px == f->height) {
            r->sizes[i].n_pictures++;
            return;
        }
    }
    if (r->n_sizes < MAX_SIZES) {
        r->sizes[r->n_sizes++] = (struct size){f->width, f->height, 1};
    } else {
        r->n_other_sizes++;
    }
}

// False when the picture does not show the card (yet).
static bool count_counter(struct result *r, const AVFrame *f)
{
    uint32_t counter;
    bool planar = f->format == AV_PIX_FMT_YUV420P || f->format == AV_PIX_FMT_YUVJ420P;
    if (!planar || f->width < PLANE_MIN_SIDE ||
        !testcard_read_counter(f->data[0], (size_t)f->linesize[0], 1, (uint32_t)f->width,
                               (uint32_t)f->height, &counter)) {
        if (r->n_distinct == 0) {
            r->n_before_card++;
        } else {
            r->n_unreadable++;
        }
        return false;
    }
    if (r->n_distinct == 0) {
        r->first_counter = counter;
    } else if (counter == r->last_counter) {
        r->n_repeated++;
    } else if (counter < r->last_counter) {
        r->n_backward++;
    }
    if (r->n_distinct == 0 || counter > r->highest_counter) {
        r->n_distinct++;
        r->highest_counter = counter;
    }
    r->last_counter = counter;
    return true;
}

// Counters between the first and the highest that no picture brought in order.
static long n_missing(const struct result *r)
{
    return r->n_distinct ? (long)(r->highest_counter - r->first_counter) + 1 - r->n_distinct : 0;
}

static double plane_mean(const AVFrame *f, int plane, struct testcard_rect rect)
{
    int shift = plane ? 1 : 0; // 4:2:0
    double sum = 0;
    long n = 0;
    for (uint32_t y = (rect.y + rect.h / 4) >> shift; y < (rect.y + 3 * rect.h / 4) >> shift; y++) {
        for (uint32_t x = (rect.x + rect.w / 4) >> shift; x < (rect.x + 3 * rect.w / 4) >> shift;
             x++) {
            sum += f->data[plane][y * (uint32_t)f->linesize[plane] + x];
            n++;
        }
    }
    return n ? sum / (double)n : 0;
}

// One patch's mean colour by the stream's own description (ITU-T H.273), against what was drawn.
static double patch_error(const AVFrame *f, unsigned i)
{
    struct testcard_rect rect = testcard_patch(i, (uint32_t)f->width, (uint32_t)f->height);
    bool full = f->color_range == AVCOL_RANGE_JPEG;
    double kr = f->colorspace == AVCOL_SPC_BT709 ? 0.2126 : 0.299;
    double kb = f->colorspace == AVCOL_SPC_BT709 ? 0.0722 : 0.114;
    double y = (plane_mean(f, 0, rect) - (full ? 0 : 16)) / (full ? 255 : 219);
    double cb = (plane_mean(f, 1, rect) - 128) / (full ? 255 : 224);
    double cr = (plane_mean(f, 2, rect) - 128) / (full ? 255 : 224);
    double rgb[3];
    rgb[0] = y + 2 * (1 - kr) * cr;
    rgb[2] = y + 2 * (1 - kb) * cb;
    rgb[1] = (y - kr * rgb[0] - kb * rgb[2]) / (1 - kr - kb);
    double worst = 0;
    for (int c = 0; c < 3; c++) {
        double v = rgb[c] < 0 ? 0 : rgb[c] > 1 ? 255 : 255 * rgb[c];
        double off = fabs(v - (testcard_patch_rgb(i) >> (16 - 8 * c) & 255));
        worst = off > worst ? off : worst;
    }
    return worst;
}

static bool is_keyframe(const AVFrame *f)
{
#ifdef AV_FRAME_FLAG_KEY
    return (f->flags & AV_FRAME_FLAG_KEY) != 0;
#else
    return f->key_frame != 0; // FFmpeg 5
#endif
}

static void take_picture(struct checker *c)
{
    struct result *r = &c->r;
    const AVFrame *f = c->frame;
    r->n_pictures++;
    r->n_keyframes += is_keyframe(f);
    r->full_range = f->color_range == AVCOL_RANGE_JPEG;
    r->matrix = f->colorspace;
    r->has_b_frames =
        r->has_b_frames || c->codec->has_b_frames || f->pict_type == AV_PICTURE_TYPE_B;
    count_size(r, f);
    if (count_counter(r, f)) {
        for (unsigned i = 0; i < TESTCARD_N_PATCHES; i++) {
            double e = patch_error(f, i);
            r->patch_error = e > r->patch_error ? e : r->patch_error;
        }
    }
    av_frame_unref(c->last);
    av_frame_move_ref(c->last, c->frame);
}

static int decode(struct checker *c, const AVPacket *packet)
{
    int err = avcodec_send_packet(c->codec, packet);
    while (err >= 0) {
        err = avcodec_receive_frame(c->codec, c->frame);
        if (err >= 0) {
            take_picture(c);
        }
    }
    return err == AVERROR(EAGAIN) || err == AVERROR_EOF ? 0 : err;
}

static int fail_av(const char *what, const char *file, int err)
{
    char text[128] = "";
    av_strerror(err, text, sizeof(text));
    fprintf(stderr, "stream-check: %s %s: %s\n", what, file, text);
    return -1;
}

static int decode_file(struct checker *c)
{
    const AVInputFormat *h264 = av_find_input_format("h264");
    int err = avformat_open_input(&c->format, c->o.file, h264, NULL);
    if (err < 0) {
        return fail_av("cannot open", c->o.file, err);
    }
    err = avformat_find_stream_info(c->format, NULL);
    if (err < 0 || c->format->nb_streams == 0) {
        return fail_av("no stream in", c->o.file, err);
    }
    const AVCodecParameters *par = c->format->streams[0]->codecpar;
    const AVCodec *decoder = avcodec_find_decoder(par->codec_id);
    c->codec = decoder ? avcodec_alloc_context3(decoder) : NULL;
    if (!c->codec || avcodec_parameters_to_context(c->codec, par) < 0) {
        return fail_av("no decoder for", c->o.file, AVERROR_DECODER_NOT_FOUND);
    }
    c->codec->thread_count = 1; // a picture out for each one in
    c->codec->err_recognition = AV_EF_EXPLODE;
    err = avcodec_open2(c->codec, decoder, NULL);
    if (err < 0) {
        return fail_av("cannot decode", c->o.file, err);
    }
    while ((err = av_read_frame(c->format, c->packet)) >= 0) {
        int bad = decode(c, c->packet);
        av_packet_unref(c->packet);
        if (bad) {
            return fail_av("damaged stream", c->o.file, bad);
        }
    }
    return decode(c, NULL);
}

static int write_png(const AVFrame *f, const char *file)
{
    int rc = -1;
    errno = 0; // not every failure below is one of the file
    AVFrame *rgb = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    const AVCodec *png = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *codec = png ? avcodec_alloc_context3(png) : NULL;
    struct SwsContext *sws =
        sws_getContext(f->width, f->height, f->format, f->width, f->height, AV_PIX_FMT_RGB24,
                       SWS_BICUBIC | SWS_ACCURATE_RND, NULL, NULL, NULL);
    FILE *out = fopen(file, "wbe");
    if (rgb && packet && codec && sws && out) {
        const int *matrix =
            sws_getCoefficients(f->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_ITU601);
        sws_setColorspaceDetails(sws, matrix, f->color_range == AVCOL_RANGE_JPEG, matrix, 1, 0,
                                 1 << 16, 1 << 16);
        rgb->format = codec->pix_fmt = AV_PIX_FMT_RGB24;
        rgb->width = codec->width = f->width;
        rgb->height = codec->height = f->height;
        codec->time_base = (AVRational){1, 1};
        if (av_frame_get_buffer(rgb, 0) == 0 &&
            sws_scale(sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, rgb->data,
                      rgb->linesize) == f->height &&
            avcodec_open2(codec, png, NULL) == 0 && avcodec_send_frame(codec, rgb) == 0 &&
            avcodec_send_frame(codec, NULL) == 0 && avcodec_receive_packet(codec, packet) == 0 &&
            fwrite(packet->data, 1, (size_t)packet->size, out) == (size_t)packet->size) {
            rc = 0;
        }
    }
    if (out && fclose(out) != 0) {
        rc = -1;
    }
    if (rc) {
        fprintf(stderr, "stream-check: cannot write %s: %s\n", file,
                errno ? strerror(errno) : "the picture cannot be converted to PNG");
    }
    sws_freeContext(sws);
    avcodec_free_context(&codec);
    av_packet_free(&packet);
    av_frame_free(&rgb);
    return rc;
}

static int write_json(const struct result *r, const char *file)
{
    json_t *sizes = json_array();
    for (unsigned i = 0; i < r->n_sizes; i++) {
        const struct size *size = &r->sizes[i];
        json_array_append_new(sizes,
                              json_pack("{s:i, s:i, s:I}", "width", size->width_px, "height",
                                        size->height_px, "pictures", (json_int_t)size->n_pictures));
    }
    const char *matrix = av_color_space_name(r->matrix);
    json_t *j = json_pack(
        "{s:I, s:I, s:i, s:i, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:s, s:b, s:b}",
        "pictures", (json_int_t)r->n_pictures, "keyframes", (json_int_t)r->n_keyframes, "width",
        r->sizes[0].width_px, "height", r->sizes[0].height_px, "sizes", sizes, "first_counter",
        (json_int_t)r->first_counter, "last_counter", (json_int_t)r->last_counter, "distinct",
        (json_int_t)r->n_distinct, "missing", (json_int_t)n_missing(r), "repeated",
        (json_int_t)r->n_repeated, "backward", (json_int_t)r->n_backward, "unreadable",
        (json_int_t)r->n_unreadable, "before_card", (json_int_t)r->n_before_card, "patch_error",
        r->patch_error, "matrix", matrix ? matrix : "unknown", "full_range", (int)r->full_range,
        "reordered", (int)r->has_b_frames);
    errno = 0;
    int rc = j ? json_dump_file(j, file, JSON_INDENT(2)) : -1;
    json_decref(j);
    if (rc) {
        fprintf(stderr, "stream-check: cannot write %s: %s\n", file,
                errno ? strerror(errno) : "out of memory");
    }
    return rc;
}

static int failures(const struct options *o, const struct result *r)
{
    int n = 0;
#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "stream-check: FAILED: " __VA_ARGS__);                                 \
            n++;                                                                                   \
        }                                                                                          \
    } while (0)
    EXPECT(r->n_pictures > 0, "no picture could be decoded\n");
    for (unsigned i = 0; i < r->n_sizes; i++) {
        EXPECT(!o->expect_width || r->sizes[i].width_px == o->expect_width,
               "%ld pictures are %d wide, not %ld\n", r->sizes[i].n_pictures, r->sizes[i].width_px,
               o->expect_width);
        EXPECT(!o->expect_height || r->sizes[i].height_px == o->expect_height,
               "%ld pictures are %d high, not %ld\n", r->sizes[i].n_pictures, r->sizes[i].height_px,
               o->expect_height);
    }
    EXPECT(!(o->expect_width || o->expect_height) || r->n_other_sizes == 0,
           "%ld pictures are of further sizes\n", r->n_other_sizes);
    long distinct = r->n_distinct ? r->n_distinct : r->n_pictures;
    EXPECT(distinct >= o->min_pictures, "%ld distinct pictures, %ld are needed\n", distinct,
           o->min_pictures);
    if (o->expect_counter) {
        EXPECT(r->n_distinct > 0, "no picture carries a counter\n");
        EXPECT(r->n_unreadable == 0, "%ld pictures without a readable counter\n", r->n_unreadable);
        EXPECT(r->n_backward == 0, "the counter went back %ld times\n", r->n_backward);
    }
    EXPECT(o->patch_tolerance < 0 || (r->n_distinct > 0 && r->patch_error <= o->patch_tolerance),
           "a colour patch is off by %.1f, %.1f is allowed\n", r->patch_error, o->patch_tolerance);
    EXPECT(!r->has_b_frames, "pictures are reordered\n");
#undef EXPECT
    return n;
}

static void print_result(const struct result *r)
{
    printf("%ld pictures, %ld key frames;", r->n_pictures, r->n_keyframes);
    for (unsigned i = 0; i < r->n_sizes; i++) {
        printf(" %dx%d: %ld", r->sizes[i].width_px, r->sizes[i].height_px, r->sizes[i].n_pictures);
    }
    if (r->n_other_sizes) {
        printf(" others: %ld", r->n_other_sizes);
    }
    const char *matrix = av_color_space_name(r->matrix);
    printf("; matrix %s, %s range\n", matrix ? matrix : "unknown",
           r->full_range ? "full" : "limited");
    if (r->n_distinct) {
        printf("counter %u to %u: %ld distinct, %ld missing, %ld repeated, %ld backward, %ld "
               "unreadable, %ld before the first; colour patches off by at most %.2f of 255\n",
               r->first_counter, r->last_counter, r->n_distinct, n_missing(r), r->n_repeated,
               r->n_backward, r->n_unreadable, r->n_before_card, r->patch_error);
    } else {
        printf("no test card in it\n");
    }
}

int main(int argc, char **argv)
{
    struct checker c = {0};
    if (parse_options(&c.o, argc, argv) != 0) {
        return 2;
    }
    av_log_set_level(AV_LOG_ERROR);
    c.frame = av_frame_alloc();
    c.last = av_frame_alloc();
    c.packet = av_packet_alloc();
    int status = c.frame && c.last && c.packet && decode_file(&c) == 0 ? 0 : 1;
    if (status == 0) {
        print_result(&c.r);
        status = failures(&c.o, &c.r) ? 1 : 0;
    }
    if (c.o.png && c.r.n_pictures > 0 && write_png(c.last, c.o.png) != 0) {
        status = 1;
    }
    if (c.o.json && write_json(&c.r, c.o.json) != 0) {
        status = 1;
    }
    av_frame_free(&c.frame);
    av_frame_free(&c.last);
    av_packet_free(&c.packet);
    avcodec_free_context(&c.codec);
    avformat_close_input(&c.format);
    return status;
}
