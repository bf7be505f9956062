// SPDX-License-Identifier: MIT OR Apache-2.0
// The data thread: video socket to access units, hole punching, gap detection.
#include "core/session/client.h"

#include "core/base/clock.h"
#include "core/base/status.h"

enum { PUNCHES_FAST = 15, RFI_SPAN = 256 };

static const uint64_t punch_fast_ns = 200000000u, punch_slow_ns = 2000000000u;

static void punch_when_due(struct PunktfunkConnection *c, uint64_t now_ns)
{
    static const uint8_t punch[8] = {'P', 'F', 'p', 'u', 'n', 'c', 'h', '1'};
    if (now_ns < c->next_punch_ns) {
        return;
    }
    (void)pfk_udp_send(c->udp, NULL, punch, sizeof(punch), 1); // repeated anyway
    c->n_punches++;
    c->next_punch_ns = now_ns + (c->n_punches < PUNCHES_FAST ? punch_fast_ns : punch_slow_ns);
}

// Section 7, "Gap": what the decoder would miss before this unit.
static uint32_t note_index(struct PunktfunkConnection *c, uint32_t index)
{
    uint32_t gap = index - c->expected_index;
    if (gap >= 0x80000000u) {
        return 0; // behind: a unit that completed out of order
    }
    uint32_t want = 0;
    if (gap > RFI_SPAN) {
        want = CLIENT_WANT_KEYFRAME;
    } else if (gap > 0) {
        atomic_store(&c->rfi_first, c->expected_index);
        atomic_store(&c->rfi_last, index - 1);
        want = CLIENT_WANT_RFI;
    }
    c->expected_index = index + 1;
    return want;
}

// Hands one unit to the application, or drops it when that one does not keep up.
static uint32_t deliver(struct PunktfunkConnection *c, struct pfk_unit *unit)
{
    uint32_t want = note_index(c, unit->index);
    if (unit->flags & PUNKTFUNK_UNIT_KEYFRAME) {
        c->skip_to_keyframe = false;
    }
    if (!c->skip_to_keyframe && pfk_ring_push(c->ready, unit)) {
        sem_post(&c->ready_count);
        return want;
    }
    pfk_reassembler_recycle(c->reassembler, unit);
    atomic_fetch_add_explicit(&c->frames_dropped, 1, memory_order_relaxed);
    c->skip_to_keyframe = true;
    return CLIENT_WANT_KEYFRAME;
}

static void take_back(struct PunktfunkConnection *c)
{
    struct pfk_unit *unit;
    while ((unit = pfk_ring_pop(c->spent))) {
        pfk_reassembler_recycle(c->reassembler, unit);
    }
}

static void publish(struct PunktfunkConnection *c, const struct pfk_reassembler_stats *s)
{
    uint64_t good =
        s->outcome[PFK_RX_ACCEPTED] + s->outcome[PFK_RX_LATE] + s->outcome[PFK_RX_DUPLICATE];
    uint64_t all = 0;
    for (int i = 0; i < PFK_RX_OUTCOMES; i++) {
        all += s->outcome[i];
    }
    atomic_store_explicit(&c->packets_received, good, memory_order_relaxed);
    atomic_store_explicit(&c->packets_dropped, all - good, memory_order_relaxed);
    atomic_store_explicit(&c->bytes_received, s->bytes_received, memory_order_relaxed);
    atomic_store_explicit(&c->frames_completed, s->frames_completed, memory_order_relaxed);
    atomic_store_explicit(&c->frames_lost, s->frames_lost, memory_order_relaxed);
    atomic_store_explicit(&c->shards_recovered, s->shards_recovered, memory_order_relaxed);
    atomic_store_explicit(&c->shards_late, s->shards_late, memory_order_relaxed);
}

void *client_data_run(void *arg)
{
    struct PunktfunkConnection *c = arg;
    pthread_setname_np(pthread_self(), "pfk-data");
    uint64_t lost_before = 0;
    while (!atomic_load_explicit(&c->ended, memory_order_relaxed)) {
        uint64_t now = pfk_clock_monotonic_ns();
        punch_when_due(c, now);
        const struct pfk_udp_datagram *d = NULL;
        int wait_ms = (int)((c->next_punch_ns - now) / 1000000u) + 1;
        int n = pfk_udp_recv(c->udp, wait_ms, &d);
        if (n < 0) {
            client_finish(c, n, false, 0, "The video socket failed.");
            break;
        }
        uint64_t arrival = pfk_clock_wall_ns();
        for (int i = 0; i < n; i++) {
            pfk_reassembler_push(c->reassembler, d[i].bytes, d[i].n_bytes, arrival);
        }
        uint32_t wants = 0;
        struct pfk_unit *unit;
        take_back(c);
        while ((unit = pfk_reassembler_pop(c->reassembler))) {
            unit->complete_ns = pfk_clock_wall_ns();
            wants |= deliver(c, unit);
            take_back(c); // a batch may hold more units than `spent` has places
        }
        struct pfk_reassembler_stats stats;
        pfk_reassembler_get_stats(c->reassembler, &stats);
        publish(c, &stats);
        if (stats.frames_lost != lost_before) {
            lost_before = stats.frames_lost;
            wants |= CLIENT_WANT_KEYFRAME;
        }
        if (wants) {
            client_want(c, wants);
        }
    }
    return NULL;
}
