// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/session/session.h"

#include "core/base/status.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>

struct session {
    struct unit_queue *queue;
    struct source *source;
    struct session_sink sink;
    pthread_t send_thread;
    bool has_send_thread;
};

static void *send_run(void *arg)
{
    struct session *s = arg;
    pthread_setname_np(pthread_self(), "send");
    prctl(PR_SET_TIMERSLACK, 1); // the pacer's waits are tens of microseconds
    int status = PFK_OK;
    struct unit *u;
    while ((u = unit_queue_next(s->queue, &status))) {
        s->sink.unit(s->sink.opaque, u);
        unit_queue_return(s->queue, u);
    }
    s->sink.ended(s->sink.opaque, status);
    return NULL;
}

int session_start(struct session **out, const struct source_impl *impl,
                  const struct source_config *source, const struct session_sink *sink)
{
    *out = NULL;
    struct session *s = calloc(1, sizeof(*s));
    if (!s) {
        return PFK_E_NOMEM;
    }
    s->sink = *sink;
    int err = unit_queue_create(&s->queue);
    if (!err) {
        s->has_send_thread = pthread_create(&s->send_thread, NULL, send_run, s) == 0;
        err = s->has_send_thread ? PFK_OK : PFK_E_NOMEM;
    }
    if (!err) {
        struct source_config cfg = *source;
        cfg.to = s->queue;
        err = impl->start(&s->source, &cfg);
    }
    if (err) {
        session_stop(s);
        return err;
    }
    *out = s;
    return PFK_OK;
}

void session_request_keyframe(struct session *s)
{
    s->source->impl->request_keyframe(s->source);
}

void session_set_bitrate(struct session *s, uint32_t kbps)
{
    s->source->impl->set_bitrate(s->source, kbps);
}

void session_get_stats(struct session *s, struct source_stats *out)
{
    s->source->impl->get_stats(s->source, out);
}

void session_stop(struct session *s)
{
    if (!s) {
        return;
    }
    if (s->source) {
        s->source->impl->stop(s->source);
    }
    if (s->has_send_thread) {
        unit_queue_end(s->queue, PFK_OK); // when the source never started
        pthread_join(s->send_thread, NULL);
    }
    unit_queue_destroy(s->queue);
    free(s);
}
