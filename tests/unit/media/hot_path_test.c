// SPDX-License-Identifier: MIT OR Apache-2.0
// After a stream has settled, neither end allocates: not for a packet, not for a frame. The C
// library's allocator is counted; under a sanitizer, which brings its own, the streams only run.
#include "tests/unit/media/link.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define COUNTS 0
#endif
#endif
#if !defined(COUNTS) && defined(__GLIBC__)
#define COUNTS 1
#elif !defined(COUNTS)
#define COUNTS 0
#endif

static unsigned long n_allocations;

#if COUNTS
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

void *malloc(size_t n)
{
    n_allocations++;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    n_allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    n_allocations++;
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    n_allocations++;
    return __libc_memalign(alignment, n);
}
#endif

static void the_count_counts(void **state)
{
    unsigned long before = n_allocations;
    void *volatile p = malloc(10);
    p = realloc(p, 20);
    free(p);
    CHECK_EQ(n_allocations - before, COUNTS ? 2 : 0);
}

// One frame through both ends, every `lose`th datagram missing. Allocates nothing itself.
static void stream_frame(struct link *l, const uint8_t *au, size_t n, unsigned i, unsigned lose)
{
    struct pfk_au_meta meta = {1000000000 + i * (uint64_t)FRAME_NS, PFK_AU_VIDEO, 20};
    struct pfk_datagrams d;
    CHECK_EQ(pfk_packetize(l->tx, au, n, &meta, &d), 0);
    CHECK_EQ(pfk_packetizer_seal(l->tx, 0, d.n_datagrams), 0);
    for (unsigned at = 0; at < d.n_datagrams; at++) {
        if (at % lose) {
            pfk_reassembler_push(l->rx, d.base + at * d.datagram_bytes, d.datagram_bytes, i);
        }
    }
    struct pfk_unit *u = pfk_reassembler_pop(l->rx);
    CHECK(u);
    pfk_reassembler_recycle(l->rx, u);
}

static void a_settled_stream_allocates_nothing(void **state)
{
    enum { LARGEST = 200000, WARM_UP = 21, FRAMES = 200 };
    uint8_t *au = unit_bytes(1, LARGEST);
    for (int cipher = 0; cipher < 2; cipher++) {
        for (int field = 0; field < 2; field++) {
            struct pfk_plane plane = plane_of((enum pfk_fec_field)field, 1408, 150, true);
            plane.key.cipher = (enum pfk_cipher)cipher;
            struct link l = link_of(plane);
            unsigned i = 0;
            for (; i < WARM_UP; i++) {
                stream_frame(&l, au, i % 2 ? LARGEST : LARGEST / 5, i, 8);
            }
            unsigned long before = n_allocations;
            for (; i < WARM_UP + FRAMES; i++) {
                // Key frames and delta frames of every size, with and without loss; but GF(2^8)
                // sizes its matrices anew whenever the numbers of shards change.
                size_t n = field == PFK_FEC_GF8 ? LARGEST / 5
                           : i % 10             ? LARGEST / 5 - 97 * i
                                                : LARGEST - 131 * i;
                stream_frame(&l, au, n, i, i % 3 ? 8 : 1000);
            }
            CHECK_EQ(n_allocations - before, 0);
            CHECK_EQ(stats_of(&l).frames_completed, WARM_UP + FRAMES);
            CHECK(stats_of(&l).shards_recovered > 100);
            link_free(&l);
        }
    }
    free(au);
}

static void dropped_datagrams_allocate_nothing(void **state)
{
    struct link l = link_new(PFK_FEC_GF16, 64, 4, true);
    struct sent s = send_unit(&l, 200, 50);
    push_all(&l, &s);
    uint8_t bytes[64 + 64];
    unsigned long before = n_allocations;
    for (unsigned i = 0; i < 1000; i++) {
        memcpy(bytes, s.bytes, sizeof(bytes));
        bytes[i % sizeof(bytes)] ^= 1;
        CHECK_EQ(pfk_reassembler_push(l.rx, bytes, sizeof(bytes), 0), PFK_RX_NOT_AUTHENTIC);
        memcpy(bytes, s.bytes, sizeof(bytes));
        CHECK_EQ(pfk_reassembler_push(l.rx, bytes, sizeof(bytes), 0), PFK_RX_REPLAYED);
    }
    CHECK_EQ(n_allocations - before, 0);
    free(s.bytes);
    link_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_count_counts),
        cmocka_unit_test(a_settled_stream_allocates_nothing),
        cmocka_unit_test(dropped_datagrams_allocate_nothing),
    };
    return cmocka_run_group_tests_name("hot path", tests, NULL, NULL);
}
