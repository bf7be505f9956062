// SPDX-License-Identifier: MIT OR Apache-2.0
// The punktfunk/1 front end: the QUIC thread with everybody's control streams, and one worker
// thread for each session, which sets up, streams and tears down. It translates the protocol to a
// session's neutral calls and back.
#ifndef HOST_NATIVE_NATIVE_H
#define HOST_NATIVE_NATIVE_H

#include "core/base/log.h"
#include "core/net/identity.h"
#include "host/display/display.h"
#include "host/settings/settings.h"

struct native;

/**
 * Bind the control port and start serving.
 * @display  borrowed; NULL with the synthetic source
 * 0; PFK_E_BUSY, PFK_E_IO, PFK_E_INVALID (all logged with cause and remedy); PFK_E_NOMEM.
 */
int native_start(struct native **out, const struct settings *settings,
                 const struct pfk_identity *identity, struct display *display,
                 const struct pfk_log *log);

uint16_t native_port(const struct native *n);

/** Ends all sessions (clients hear code 0) and every thread. NULL is fine. */
void native_stop(struct native *n);

#endif
