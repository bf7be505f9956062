// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/display/sway_ipc.h"

#include "core/base/clock.h"
#include "core/base/status.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_NS 3000000000ull
#define MAX_REPLY_BYTES (16u << 20)
#define MAGIC "i3-ipc"
#define MAGIC_BYTES 6u
#define HEADER_BYTES (MAGIC_BYTES + 8)

int sway_ipc_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return PFK_E_SIZE;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return PFK_E_IO;
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return PFK_E_IO;
    }
    return fd;
}

// Wait until the socket is ready for `events`, no longer than the deadline.
static int wait_for(int fd, short events, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = pfk_clock_monotonic_ns();
        if (now >= deadline_ns) {
            return PFK_E_TIMEOUT;
        }
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, (int)((deadline_ns - now) / 1000000 + 1));
        if (n > 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return PFK_E_IO;
        }
    }
}

static int send_all(int fd, const void *bytes, size_t n, uint64_t deadline_ns)
{
    const uint8_t *p = bytes;
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return errno == EPIPE || errno == ECONNRESET ? PFK_E_CLOSED : PFK_E_IO;
        }
        int err = wait_for(fd, POLLOUT, deadline_ns);
        if (err) {
            return err;
        }
    }
    return 0;
}

static int receive_all(int fd, void *bytes, size_t n, uint64_t deadline_ns)
{
    uint8_t *p = bytes;
    while (n) {
        ssize_t got = recv(fd, p, n, 0);
        if (got > 0) {
            p += got;
            n -= (size_t)got;
            continue;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            return PFK_E_CLOSED;
        }
        int err = wait_for(fd, POLLIN, deadline_ns);
        if (err) {
            return err;
        }
    }
    return 0;
}

// The framing's two numbers are in the machine's own byte order.
static int receive_reply(int fd, uint32_t type, uint64_t deadline_ns, json_t **reply)
{
    uint8_t header[HEADER_BYTES];
    int err = receive_all(fd, header, sizeof(header), deadline_ns);
    if (err) {
        return err;
    }
    uint32_t n_bytes, got_type;
    memcpy(&n_bytes, header + MAGIC_BYTES, 4);
    memcpy(&got_type, header + MAGIC_BYTES + 4, 4);
    if (memcmp(header, MAGIC, MAGIC_BYTES) != 0 || got_type != type || n_bytes > MAX_REPLY_BYTES) {
        return PFK_E_MALFORMED;
    }
    char *text = malloc((size_t)n_bytes + 1);
    if (!text) {
        return PFK_E_NOMEM;
    }
    err = receive_all(fd, text, n_bytes, deadline_ns);
    if (!err) {
        *reply = json_loadb(text, n_bytes, JSON_DISABLE_EOF_CHECK, NULL);
        err = *reply ? 0 : PFK_E_MALFORMED;
    }
    free(text);
    return err;
}

int sway_ipc_request(int fd, enum sway_ipc_type type, const char *payload, json_t **reply)
{
    uint64_t deadline_ns = pfk_clock_monotonic_ns() + TIMEOUT_NS;
    uint32_t n_bytes = payload ? (uint32_t)strlen(payload) : 0, wire_type = type;
    uint8_t header[HEADER_BYTES];
    memcpy(header, MAGIC, MAGIC_BYTES);
    memcpy(header + MAGIC_BYTES, &n_bytes, 4);
    memcpy(header + MAGIC_BYTES + 4, &wire_type, 4);
    int err = send_all(fd, header, sizeof(header), deadline_ns);
    if (!err && n_bytes) {
        err = send_all(fd, payload, n_bytes, deadline_ns);
    }
    return err ? err : receive_reply(fd, wire_type, deadline_ns, reply);
}

int sway_ipc_command(int fd, char *error, size_t error_bytes, const char *fmt, ...)
{
    char command[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(command, sizeof(command), fmt, args);
    va_end(args);
    error[0] = '\0';
    if (n < 0 || (size_t)n >= sizeof(command)) {
        return PFK_E_SIZE;
    }
    json_t *reply;
    int err = sway_ipc_request(fd, SWAY_IPC_COMMAND, command, &reply);
    if (err) {
        return err;
    }
    // One result per command; an empty list means that nothing was run.
    err = json_array_size(reply) ? 0 : PFK_E_UNSUPPORTED;
    size_t i;
    json_t *result;
    json_array_foreach(reply, i, result)
    {
        if (!json_is_true(json_object_get(result, "success"))) {
            const char *words = json_string_value(json_object_get(result, "error"));
            snprintf(error, error_bytes, "%s", words ? words : "no reason given");
            err = PFK_E_UNSUPPORTED;
            break;
        }
    }
    json_decref(reply);
    return err;
}
