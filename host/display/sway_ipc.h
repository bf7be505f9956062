// SPDX-License-Identifier: MIT OR Apache-2.0
// sway's IPC: i3's framing over a Unix socket with JSON inside (sway-ipc(7)). Every call is bounded
// in time, because a hung compositor must not hang the host.
#ifndef HOST_DISPLAY_SWAY_IPC_H
#define HOST_DISPLAY_SWAY_IPC_H

#include <jansson.h>

#include <stddef.h>
#include <stdint.h>

enum sway_ipc_type {
    SWAY_IPC_COMMAND = 0,
    SWAY_IPC_GET_OUTPUTS = 3,
    SWAY_IPC_GET_TREE = 4,
    SWAY_IPC_GET_VERSION = 7,
};

/** A connected socket, or PFK_E_IO, PFK_E_SIZE (path too long). Close it with close(). */
int sway_ipc_connect(const char *path);

/**
 * One request and its reply.
 * @reply  a new reference for the caller
 * 0; PFK_E_CLOSED (sway has gone), PFK_E_TIMEOUT, PFK_E_MALFORMED, PFK_E_NOMEM, PFK_E_IO. After any
 * error the connection is out of step: close it.
 */
int sway_ipc_request(int fd, enum sway_ipc_type type, const char *payload, json_t **reply);

/**
 * Run one sway command.
 * @error  sway's own words when it refused, else empty
 * As sway_ipc_request(), and PFK_E_UNSUPPORTED when sway refused (the connection stays good).
 */
int sway_ipc_command(int fd, char *error, size_t error_bytes, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
