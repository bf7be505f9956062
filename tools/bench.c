// SPDX-License-Identifier: MIT OR Apache-2.0
// bench: what the core costs on this machine. Rates are the best of many short runs; delays are
// medians; what is compared runs alternately in one process, so that ratios hold on a busy machine.
#include "core/base/clock.h"
#include "core/base/cpu.h"
#include "core/base/status.h"
#include "core/fec/gf16.h"
#include "core/fec/gf8.h"
#include "core/media/reassembler.h"
#include "core/net/udp.h"
#include "host/encode/convert.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARD = 1408, N_SETS = 40 }; // 40 frames of 1.7 MB: more than the caches hold

static json_t *results;

static void result(const char *name, double value, const char *unit, const char *of)
{
    printf("%-36s %12.2f %-8s %s\n", name, value, unit, of);
    fflush(stdout);
    json_array_append_new(results, json_pack("{s:s, s:f, s:s, s:s}", "name", name, "value", value,
                                             "unit", unit, "of", of));
}

static void *must(void *p)
{
    if (!p) {
        fputs("bench: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

// Best time of one call in ns, from runs of about 20 ms each.
static double best_ns(void (*fn)(void *), void *arg, double seconds)
{
    uint64_t end = pfk_clock_monotonic_ns() + (uint64_t)(seconds * 1e9);
    double best = 1e18;
    unsigned n = 1;
    do {
        uint64_t begin = pfk_clock_monotonic_ns();
        for (unsigned i = 0; i < n; i++) {
            fn(arg);
        }
        double took = (double)(pfk_clock_monotonic_ns() - begin);
        best = took / n < best ? took / n : best;
        if (took < 5e6) {
            n *= 2;
        }
    } while (pfk_clock_monotonic_ns() < end);
    return best;
}

// --- FEC ---

struct fec_bench {
    struct pfk_gf16 *fec;
    struct pfk_gf8 *gf8;
    unsigned k, m, n_lost;
    uint8_t *memory;
    uint8_t **data, **parity;
    bool *have;
    const uint8_t **arrived;
    uint8_t *copy;
    unsigned set;
    unsigned n_sets; // 1 = one hot block over and over, N_SETS = memory changes as a stream's does
};

static void fec_open(struct fec_bench *b, unsigned k, unsigned m, const char *row)
{
    size_t all = (size_t)(k + m) * SHARD;
    *b = (struct fec_bench){.k = k, .m = m, .n_sets = N_SETS};
    if (pfk_gf16_create(&b->fec, row) != PFK_OK || pfk_gf8_create(&b->gf8) != PFK_OK) {
        must(NULL);
    }
    b->memory = must(malloc(all * N_SETS));
    b->copy = must(malloc((size_t)k * SHARD * N_SETS));
    for (size_t i = 0; i < all * N_SETS; i++) {
        b->memory[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    memset(b->copy, 1, (size_t)k * SHARD * N_SETS);
    b->data = must(calloc((size_t)k * N_SETS, sizeof(*b->data)));
    b->parity = must(calloc((size_t)m * N_SETS, sizeof(*b->parity)));
    b->have = must(calloc(k, sizeof(*b->have)));
    b->arrived = must(calloc(m, sizeof(*b->arrived)));
    for (unsigned s = 0; s < N_SETS; s++) {
        for (unsigned i = 0; i < k; i++) {
            b->data[s * k + i] = b->memory + s * all + (size_t)i * SHARD;
        }
        for (unsigned i = 0; i < m; i++) {
            b->parity[s * m + i] = b->memory + s * all + (size_t)(k + i) * SHARD;
        }
    }
}

static void fec_close(struct fec_bench *b)
{
    pfk_gf16_destroy(b->fec);
    pfk_gf8_destroy(b->gf8);
    free(b->memory);
    free(b->copy);
    free(b->data);
    free(b->parity);
    free(b->have);
    free(b->arrived);
}

static void run_encode16(void *arg)
{
    struct fec_bench *b = arg;
    b->set = (b->set + 1) % b->n_sets;
    pfk_gf16_encode(b->fec, b->k, b->m, SHARD, (const uint8_t *const *)(b->data + b->set * b->k),
                    b->parity + b->set * b->m);
}

static void run_encode8(void *arg)
{
    struct fec_bench *b = arg;
    b->set = (b->set + 1) % b->n_sets;
    pfk_gf8_encode(b->gf8, b->k, b->m, SHARD, (const uint8_t *const *)(b->data + b->set * b->k),
                   b->parity + b->set * b->m);
}

static void run_decode16(void *arg)
{
    struct fec_bench *b = arg;
    pfk_gf16_decode(b->fec, b->k, b->m, SHARD, b->data, b->have, b->arrived);
}

static void run_memcpy(void *arg)
{
    struct fec_bench *b = arg;
    b->set = (b->set + 1) % b->n_sets;
    size_t bytes = (size_t)b->k * SHARD;
    memcpy(b->copy + b->set * bytes, b->data[b->set * b->k], bytes);
    __asm__ volatile("" : : "r"(b->copy) : "memory"); // or the compiler sees that nobody reads it
}

static double mb_per_s(const struct fec_bench *b, double ns)
{
    return (double)b->k * SHARD / ns * 1e3;
}

static void bench_fec(void)
{
    struct fec_bench b, c;
    char of[64];
    snprintf(of, sizeof(of), "row %s", pfk_gf16_row_at(0));
    fec_open(&b, 1000, 200, NULL);
    fec_open(&c, 1000, 200, "c");
    // As a stream's frames lie in changing memory, and as one block over and over in the caches.
    for (int hot = 0; hot < 2; hot++) {
        double best = 0, portable = 0, copy = 0;
        b.n_sets = c.n_sets = hot ? 1 : N_SETS;
        for (int i = 0; i < 3; i++) { // alternately, best of each
            double e = mb_per_s(&b, best_ns(run_encode16, &b, 0.5));
            double p = mb_per_s(&c, best_ns(run_encode16, &c, 0.5));
            double m = mb_per_s(&b, best_ns(run_memcpy, &b, 0.3));
            best = e > best ? e : best;
            portable = p > portable ? p : portable;
            copy = m > copy ? m : copy;
        }
        const char *memory = hot ? "one block in the caches" : "40 blocks in turn";
        result(hot ? "gf16_encode_1000_200_hot" : "gf16_encode_1000_200", best, "MB/s", of);
        result(hot ? "gf16_encode_1000_200_c_hot" : "gf16_encode_1000_200_c", portable, "MB/s",
               "row c");
        result(hot ? "memcpy_1000_hot" : "memcpy_1000", copy, "MB/s", memory);
        result(hot ? "gf16_encode_over_c_hot" : "gf16_encode_over_c", best / portable, "ratio",
               "wanted: 5 or more");
        result(hot ? "gf16_encode_over_memcpy_hot" : "gf16_encode_over_memcpy", best / copy,
               "ratio", "wanted: 0.25 or more");
    }
    static const unsigned losses[] = {1, 100};
    for (int l = 0; l < 2; l++) {
        for (unsigned i = 0; i < b.k; i++) {
            b.have[i] = i % (b.k / losses[l]) != 0 || i / (b.k / losses[l]) >= losses[l];
        }
        for (unsigned i = 0; i < b.m; i++) {
            b.arrived[i] = b.parity[i];
        }
        char name[64];
        snprintf(name, sizeof(name), "gf16_decode_1000_200_lost_%u", losses[l]);
        result(name, mb_per_s(&b, best_ns(run_decode16, &b, 1)), "MB/s", of);
    }
    fec_close(&b);
    fec_close(&c);
    static const unsigned shapes[][2] = {{36, 8}, {50, 10}, {300, 60}};
    for (int i = 0; i < 3; i++) {
        char name[64];
        fec_open(&b, shapes[i][0], shapes[i][1], NULL);
        snprintf(name, sizeof(name), "gf16_encode_%u_%u", shapes[i][0], shapes[i][1]);
        result(name, mb_per_s(&b, best_ns(run_encode16, &b, 0.7)), "MB/s", of);
        if (i == 1) {
            result("gf8_encode_50_10", mb_per_s(&b, best_ns(run_encode8, &b, 0.7)), "MB/s",
                   "ISA-L");
        }
        fec_close(&b);
    }
}

// --- transport ---

enum { BURST_ROUNDS = 1500, BURST_GAP_NS = 1500000 };

struct transport {
    struct pfk_udp *tx, *rx;
    struct pfk_packetizer *packetizer;
    struct pfk_reassembler *reassembler;
    struct sockaddr_storage to;
    const uint8_t *au;
    size_t au_bytes, datagram_bytes;
    unsigned n_datagrams;
    bool raw; // the same datagrams, neither protected nor sealed nor put together
    _Atomic uint64_t complete_ns;
    sem_t complete;
    atomic_bool stop;
};

static void *receive(void *arg)
{
    struct transport *t = arg;
    unsigned n_raw = 0;
    while (!atomic_load(&t->stop)) {
        const struct pfk_udp_datagram *d;
        int n = pfk_udp_recv(t->rx, 100, &d);
        bool whole = false;
        if (t->raw) {
            n_raw += n > 0 ? (unsigned)n : 0;
            whole = n_raw >= t->n_datagrams;
            n_raw = whole ? 0 : n_raw;
        }
        for (int i = 0; i < n && !t->raw; i++) {
            pfk_reassembler_push(t->reassembler, d[i].bytes, d[i].n_bytes, 1);
        }
        struct pfk_unit *u;
        while (!t->raw && (u = pfk_reassembler_pop(t->reassembler))) {
            whole = true;
            pfk_reassembler_recycle(t->reassembler, u);
        }
        if (whole) {
            atomic_store(&t->complete_ns, pfk_clock_monotonic_ns());
            sem_post(&t->complete);
        }
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void wait_ns(uint64_t ns)
{
    const struct timespec ts = {0, (long)ns};
    nanosleep(&ts, NULL);
}

// Hand over to complete, one unit after the other; medians in microseconds.
static double send_units(struct transport *t, uint8_t *raw_burst, double *samples)
{
    for (unsigned i = 0; i < BURST_ROUNDS; i++) {
        struct pfk_datagrams d = {raw_burst, t->datagram_bytes, t->n_datagrams};
        uint64_t begin = pfk_clock_monotonic_ns();
        if (!t->raw) {
            const struct pfk_au_meta meta = {.pts_ns = begin, .flags = 5, .percent = 20};
            pfk_packetize(t->packetizer, t->au, t->au_bytes, &meta, &d);
            pfk_packetizer_seal(t->packetizer, 0, d.n_datagrams);
        }
        pfk_udp_send(t->tx, &t->to, d.base, d.datagram_bytes, d.n_datagrams);
        sem_wait(&t->complete);
        samples[i] = (double)(atomic_load(&t->complete_ns) - begin) / 1e3;
        wait_ns(BURST_GAP_NS); // frames come apart: both sides go to sleep in between
    }
    qsort(samples, BURST_ROUNDS, sizeof(*samples), by_value);
    return samples[BURST_ROUNDS / 2];
}

static double transport_run(struct transport *t, bool raw, uint8_t *raw_burst, double *samples)
{
    pthread_t thread;
    t->raw = raw;
    atomic_store(&t->stop, false);
    if (pthread_create(&thread, NULL, receive, t) != 0) {
        must(NULL);
    }
    double p50 = send_units(t, raw_burst, samples);
    atomic_store(&t->stop, true);
    pfk_udp_wake(t->rx);
    pthread_join(thread, NULL);
    return p50;
}

static void bench_transport(void)
{
    const size_t au_bytes = 50000;
    const struct pfk_plane plane = {.field = PFK_FEC_GF16,
                                    .shard_bytes = SHARD,
                                    .max_data_shards = 4096,
                                    .percent = 20,
                                    .encrypted = true,
                                    .key = {.cipher = PFK_CIPHER_AES_128_GCM, .key = {1}}};
    const struct pfk_reassembler_config rc = {.plane = plane, .bitrate_kbps = 20000, .hz = 60};
    struct pfk_udp_config uc = {.bind = {.ss_family = AF_INET}};
    ((struct sockaddr_in *)&uc.bind)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct transport t = {.au = must(calloc(1, au_bytes)), .au_bytes = au_bytes};
    if (pfk_udp_open(&t.tx, &uc) || pfk_udp_open(&t.rx, &uc) ||
        pfk_packetizer_create(&t.packetizer, &plane, au_bytes) ||
        pfk_reassembler_create(&t.reassembler, &rc)) {
        must(NULL);
    }
    t.to = uc.bind;
    ((struct sockaddr_in *)&t.to)->sin_port = htons(pfk_udp_port(t.rx));
    t.datagram_bytes = SHARD + 64;
    unsigned k = (unsigned)((au_bytes + SHARD - 1) / SHARD);
    t.n_datagrams = k + (k * 20 + 99) / 100;
    uint8_t *burst = must(calloc(t.n_datagrams, t.datagram_bytes));
    double *samples = must(malloc(BURST_ROUNDS * sizeof(*samples)));
    sem_init(&t.complete, 0, 0);
    double full = transport_run(&t, false, burst, samples);
    double raw = transport_run(&t, true, burst, samples);
    double full2 = transport_run(&t, false, burst, samples);
    double raw2 = transport_run(&t, true, burst, samples);
    full = full2 < full ? full2 : full;
    raw = raw2 < raw ? raw2 : raw;
    char of[96];
    snprintf(of, sizeof(of), "%u datagrams, 20 %% parity, AES-128-GCM, %s", t.n_datagrams,
             pfk_udp_path(t.tx));
    result("transport_50k_p50_us", full, "us", of);
    result("raw_burst_50k_p50_us", raw, "us", "the same datagrams, calls and threads");
    result("transport_50k_over_raw", full / raw, "ratio", "wanted: 6 or less");
    sem_destroy(&t.complete);
    pfk_udp_close(t.tx);
    pfk_udp_close(t.rx);
    pfk_packetizer_destroy(t.packetizer);
    pfk_reassembler_destroy(t.reassembler);
    free(burst);
    free(samples);
    free((void *)(uintptr_t)t.au);
}

// --- sealing and conversion ---

struct seal_bench {
    struct pfk_packetizer *p;
    uint8_t *au;
    size_t bytes;
};

static void run_packetize(void *arg)
{
    struct seal_bench *b = arg;
    const struct pfk_au_meta meta = {.pts_ns = 1, .flags = 5, .percent = 20};
    struct pfk_datagrams d;
    pfk_packetize(b->p, b->au, b->bytes, &meta, &d);
    pfk_packetizer_seal(b->p, 0, d.n_datagrams);
}

static void bench_packetize(void)
{
    const struct pfk_plane plane = {.field = PFK_FEC_GF16,
                                    .shard_bytes = SHARD,
                                    .max_data_shards = 4096,
                                    .percent = 20,
                                    .encrypted = true,
                                    .key = {.cipher = PFK_CIPHER_AES_128_GCM, .key = {1}}};
    static const size_t sizes[] = {50000, 1 << 20};
    for (int i = 0; i < 2; i++) {
        struct seal_bench b = {.au = must(calloc(1, sizes[i])), .bytes = sizes[i]};
        if (pfk_packetizer_create(&b.p, &plane, sizes[i])) {
            must(NULL);
        }
        result(i ? "packetize_seal_1m_us" : "packetize_seal_50k_us",
               best_ns(run_packetize, &b, 0.7) / 1e3, "us", "20 % parity, AES-128-GCM");
        pfk_packetizer_destroy(b.p);
        free(b.au);
    }
}

struct convert_bench {
    const struct convert_row *row;
    uint8_t *px, *yuv;
    uint32_t w, h;
};

static void run_convert(void *arg)
{
    struct convert_bench *b = arg;
    const size_t luma = (size_t)b->w * b->h;
    const struct convert_target to = {b->yuv, b->yuv + luma, b->yuv + luma * 5 / 4, b->w, b->w / 2};
    convert_lines(b->row, b->px, (size_t)b->w * 4, b->w, 0, b->h, &to);
}

static void bench_convert(void)
{
    struct convert_bench b = {.w = 1920, .h = 1080};
    b.px = must(calloc(1, (size_t)b.w * b.h * 4));
    b.yuv = must(calloc(1, (size_t)b.w * b.h * 3 / 2));
    for (unsigned r = 0; r < n_convert_rows; r++) {
        char name[64];
        b.row = &convert_rows[r];
        if ((b.row->cpu_flags & pfk_cpu_flags()) == b.row->cpu_flags) {
            snprintf(name, sizeof(name), "convert_1080p_%s_us", b.row->name);
            result(name, best_ns(run_convert, &b, 0.5) / 1e3, "us", "BGRx to I420, whole picture");
        }
    }
    free(b.px);
    free(b.yuv);
}

int main(int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fputs(
            "Usage: bench [FILE.json]\n\nMeasures FEC, sealing, transport over loopback and colour "
            "conversion.\n",
            stderr);
        return 2;
    }
    results = json_array();
    bench_fec();
    bench_packetize();
    bench_transport();
    bench_convert();
    int rc = argc == 2 ? json_dump_file(results, argv[1], JSON_INDENT(1)) : 0;
    json_decref(results);
    return rc ? 1 : 0;
}
