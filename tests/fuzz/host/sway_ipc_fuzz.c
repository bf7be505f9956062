// SPDX-License-Identifier: MIT OR Apache-2.0
// Replies of a compositor that says anything at all.
#include "host/display/sway_ipc.h"

#include "core/base/status.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    int pair[2];
    if (n > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) {
        return 0;
    }
    // Everything is there at once and then the end, so that no call waits.
    if (n == 0 || write(pair[1], bytes, n) == (ssize_t)n) {
        shutdown(pair[1], SHUT_WR);
        json_t *reply = NULL;
        int err = sway_ipc_request(pair[0], SWAY_IPC_GET_OUTPUTS, NULL, &reply);
        if ((err == PFK_OK) != (reply != NULL)) {
            abort();
        }
        json_decref(reply);
        char reason[64];
        (void)sway_ipc_command(pair[0], reason, sizeof(reason), "nop");
    }
    close(pair[0]);
    close(pair[1]);
    return 0;
}
