// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/session/unit_queue.h"

#include "core/base/ring.h"
#include "core/base/status.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    N_UNITS = 4
}; // more would only be delay: a sender this far behind is better off with a key frame

struct unit_queue {
    struct unit units[N_UNITS];
    struct pfk_ring *empty, *full;
    sem_t n_full;
    atomic_int status; // of the end; valid once `ended`
    atomic_bool ended;
};

int unit_queue_create(struct unit_queue **out)
{
    *out = NULL;
    struct unit_queue *q = calloc(1, sizeof(*q));
    if (!q) {
        return PFK_E_NOMEM;
    }
    sem_init(&q->n_full, 0, 0);
    if (pfk_ring_create(&q->empty, N_UNITS) != 0 || pfk_ring_create(&q->full, N_UNITS) != 0) {
        unit_queue_destroy(q);
        return PFK_E_NOMEM;
    }
    for (int i = 0; i < N_UNITS; i++) {
        (void)pfk_ring_push(q->empty, &q->units[i]);
    }
    *out = q;
    return PFK_OK;
}

void unit_queue_destroy(struct unit_queue *q)
{
    if (!q) {
        return;
    }
    for (int i = 0; i < N_UNITS; i++) {
        free(q->units[i].bytes);
    }
    pfk_ring_destroy(q->empty);
    pfk_ring_destroy(q->full);
    sem_destroy(&q->n_full);
    free(q);
}

struct unit *unit_queue_take(struct unit_queue *q, size_t n_bytes)
{
    struct unit *u = pfk_ring_pop(q->empty);
    if (!u || u->room_bytes >= n_bytes) {
        return u;
    }
    size_t room = n_bytes + n_bytes / 2;
    uint8_t *bytes = realloc(u->bytes, room);
    if (!bytes) {
        // Goes back by the consumer's side of the ring, which is the only one that may push there.
        u->n_bytes = 0;
        unit_queue_put(q, u);
        return NULL;
    }
    u->bytes = bytes;
    u->room_bytes = room;
    return u;
}

void unit_queue_put(struct unit_queue *q, struct unit *u)
{
    (void)pfk_ring_push(q->full, u); // there are no more units than places
    sem_post(&q->n_full);
}

void unit_queue_end(struct unit_queue *q, int status)
{
    if (!atomic_load(&q->ended)) {
        atomic_store(&q->status, status);
        atomic_store(&q->ended, true);
    }
    sem_post(&q->n_full);
}

struct unit *unit_queue_next(struct unit_queue *q, int *status)
{
    for (;;) {
        while (sem_wait(&q->n_full) != 0 && errno == EINTR) {
        }
        struct unit *u = pfk_ring_pop(q->full);
        if (u && u->n_bytes == 0) {
            unit_queue_return(q, u);
        } else if (u) {
            return u;
        } else if (atomic_load(&q->ended)) {
            *status = atomic_load(&q->status);
            return NULL;
        }
    }
}

void unit_queue_return(struct unit_queue *q, struct unit *u)
{
    (void)pfk_ring_push(q->empty, u);
}
