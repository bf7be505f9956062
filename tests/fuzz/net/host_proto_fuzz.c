// SPDX-License-Identifier: MIT OR Apache-2.0
// The host's protocol machine fed with whatever a client could write on its control stream.
#include "core/session/host_proto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

struct watch {
    struct pfk_host_proto *p;
    bool closed, welcome_due;
};

static void on_send(void *opaque, const uint8_t *bytes, size_t n)
{
    if (((struct watch *)opaque)->closed || n < 2) {
        abort();
    }
}

static void on_close(void *opaque, uint64_t code, const char *reason)
{
    struct watch *w = opaque;
    if (w->closed) {
        abort();
    }
    w->closed = true;
}

static void on_hello(void *opaque, const struct pfk_hello *h)
{
    ((struct watch *)opaque)->welcome_due = true;
    if (h->mode.width_px % 2 || h->mode.width_px > 8192 || h->mode.hz == 0) {
        abort();
    }
}

static void on_start(void *opaque, uint16_t port)
{
    if (port == 0) {
        abort();
    }
}

static void on_keyframe(void *opaque)
{
}

static void on_loss(void *opaque, uint32_t ppm)
{
}

static void on_bitrate(void *opaque, uint32_t kbps)
{
    if (kbps < PFK_BITRATE_MIN_KBPS || kbps > PFK_BITRATE_MAX_KBPS) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct watch w = {0};
    const struct pfk_host_proto_config cfg = {
        .callbacks = {on_send, on_close, on_hello, on_start, on_keyframe, on_loss, on_bitrate},
        .opaque = &w};
    if (pfk_host_proto_create(&w.p, &cfg) != 0) {
        return 0;
    }
    uint64_t now = 0;
    for (size_t at = 0; at < n;) { // in pieces of up to 64 bytes, some time apart
        size_t piece = (size_t)bytes[at] % 64 + 1;
        piece = piece < n - at ? piece : n - at;
        now += (uint64_t)piece * 10000000;
        pfk_host_proto_receive(w.p, bytes + at, piece, now, now);
        if (w.welcome_due) {
            const struct pfk_welcome welcome = {.version = 2, .mode = {1280, 720, 60}};
            w.welcome_due = false;
            pfk_host_proto_welcome(w.p, &welcome, now);
        }
        pfk_host_proto_poll(w.p, now);
        at += piece;
    }
    pfk_host_proto_destroy(w.p);
    return 0;
}
