// SPDX-License-Identifier: MIT OR Apache-2.0
// Access units on their way from the encode thread to the send thread: a fixed pool between two
// single-producer rings. No lock, and no allocation once the units have grown to their size.
#ifndef HOST_SESSION_UNIT_QUEUE_H
#define HOST_SESSION_UNIT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit {
    uint8_t *bytes;
    size_t n_bytes, room_bytes;
    bool keyframe;
    uint64_t pts_ns;     // wall clock at capture, unique in the session
    uint64_t ready_ns;   // wall clock: picture in the host's memory
    uint64_t start_ns;   // wall clock: taken up by the encoder
    uint64_t encoded_ns; // wall clock: this unit put into the queue
    uint64_t convert_ns; // duration
};

struct unit_queue;

int unit_queue_create(struct unit_queue **out);
void unit_queue_destroy(struct unit_queue *q); // both threads have ended

/** Producer: a unit with room for n_bytes, or NULL when the consumer is behind (or out of memory).
 */
struct unit *unit_queue_take(struct unit_queue *q, size_t n_bytes);
/** Producer: hand it over. */
void unit_queue_put(struct unit_queue *q, struct unit *u);
/** Producer: nothing follows. @status  0 or the error that ended it. */
void unit_queue_end(struct unit_queue *q, int status);

/** Consumer: the next unit; waits. NULL when nothing follows, with the producer's status. */
struct unit *unit_queue_next(struct unit_queue *q, int *status);
/** Consumer: done with it. */
void unit_queue_return(struct unit_queue *q, struct unit *u);

#endif
