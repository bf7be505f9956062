// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/native/video_sender.h"

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/wire/video_header.h"

#include <stdlib.h>

struct video_sender {
    struct video_sender_config cfg;
    struct pfk_packetizer *packetizer;
    struct sockaddr_storage peer;
    uint64_t n_offered; // datagrams, for drop_every
    _Atomic uint8_t percent;
    _Atomic uint64_t frames, keyframes, bytes, packets, dropped_for_test, send_ns;
};

int video_sender_create(struct video_sender **out, const struct video_sender_config *cfg)
{
    *out = NULL;
    struct video_sender *s = calloc(1, sizeof(*s));
    if (!s) {
        return PFK_E_NOMEM;
    }
    s->cfg = *cfg;
    atomic_init(&s->percent, cfg->plane.percent);
    int err = pfk_packetizer_create(&s->packetizer, &cfg->plane, cfg->max_unit_bytes);
    explicit_bzero(&s->cfg.plane.key, sizeof(s->cfg.plane.key));
    if (err) {
        free(s);
        return err;
    }
    *out = s;
    return PFK_OK;
}

void video_sender_destroy(struct video_sender *s)
{
    if (s) {
        pfk_packetizer_destroy(s->packetizer);
        free(s);
    }
}

void video_sender_set_peer(struct video_sender *s, const struct sockaddr_storage *peer)
{
    s->peer = *peer;
}

void video_sender_set_percent(struct video_sender *s, uint8_t percent)
{
    atomic_store_explicit(&s->percent, percent, memory_order_relaxed);
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

// Sends datagrams first .. first + n - 1, leaving out each Nth when a test asks for it.
static void send_range(struct video_sender *s, const struct pfk_datagrams *d, unsigned first,
                       unsigned n)
{
    const uint8_t *base = d->base + (size_t)first * d->datagram_bytes;
    while (n > 0) {
        unsigned run = n;
        bool leave_out = false;
        if (s->cfg.drop_every) {
            uint64_t to_next = s->cfg.drop_every - 1 - s->n_offered % s->cfg.drop_every;
            leave_out = to_next < n;
            run = leave_out ? (unsigned)to_next : n;
        }
        (void)pfk_udp_send(s->cfg.udp, &s->peer, base, d->datagram_bytes, run); // counts itself
        unsigned used = run + leave_out;
        s->n_offered += used;
        count(&s->dropped_for_test, leave_out);
        base += (size_t)used * d->datagram_bytes;
        n -= used;
    }
}

bool video_sender_send(struct video_sender *s, const struct unit *u)
{
    const uint64_t begin_ns = pfk_clock_monotonic_ns();
    const struct pfk_au_meta meta = {
        .pts_ns = u->pts_ns,
        .flags = PFK_AU_VIDEO | (u->keyframe ? PFK_AU_KEYFRAME : 0),
        .percent = atomic_load_explicit(&s->percent, memory_order_relaxed),
    };
    struct pfk_datagrams d;
    if (pfk_packetize(s->packetizer, u->bytes, u->n_bytes, &meta, &d) != PFK_OK) {
        return false;
    }
    const size_t all_bytes = d.n_datagrams * d.datagram_bytes;
    const struct pfk_pace pace = pfk_pace_begin(&s->cfg.pacer, all_bytes, begin_ns);
    unsigned sent = 0;
    while (sent < d.n_datagrams) {
        size_t at = sent * d.datagram_bytes;
        unsigned n = (unsigned)(pfk_pace_burst(&pace, at, all_bytes) / d.datagram_bytes);
        n = n == 0 ? 1 : n;
        n = n > d.n_datagrams - sent ? d.n_datagrams - sent : n;
        if (pfk_packetizer_seal(s->packetizer, sent, n) != PFK_OK) {
            return false;
        }
        uint64_t due_ns = pfk_pace_due_ns(&pace, at);
        if (due_ns > begin_ns && due_ns > pfk_clock_monotonic_ns()) {
            pfk_clock_sleep_until_ns(due_ns);
        }
        send_range(s, &d, sent, n);
        sent += n;
    }
    count(&s->frames, 1);
    count(&s->keyframes, u->keyframe);
    count(&s->bytes, u->n_bytes);
    count(&s->packets, d.n_datagrams);
    count(&s->send_ns, pfk_clock_monotonic_ns() - begin_ns);
    return true;
}

void video_sender_get_stats(const struct video_sender *s, struct video_sender_stats *out)
{
    *out = (struct video_sender_stats){
        .frames = atomic_load(&s->frames),
        .keyframes = atomic_load(&s->keyframes),
        .bytes = atomic_load(&s->bytes),
        .packets = atomic_load(&s->packets),
        .packets_dropped_for_test = atomic_load(&s->dropped_for_test),
        .send_ns = atomic_load(&s->send_ns),
    };
}
