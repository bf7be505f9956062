// SPDX-License-Identifier: MIT OR Apache-2.0
#include "core/base/status.h"

const char *pfk_strstatus(int status)
{
    switch ((enum pfk_status)status) {
    case PFK_OK:
        return "ok";
    case PFK_E_INVALID:
        return "invalid argument";
    case PFK_E_NOMEM:
        return "out of memory";
    case PFK_E_MALFORMED:
        return "malformed data";
    case PFK_E_AGAIN:
        return "try again";
    case PFK_E_SIZE:
        return "wrong size";
    case PFK_E_TIMEOUT:
        return "timed out";
    case PFK_E_CLOSED:
        return "closed";
    case PFK_E_IO:
        return "input/output error";
    case PFK_E_AUTH:
        return "not authentic";
    case PFK_E_UNSUPPORTED:
        return "not supported";
    case PFK_E_BUSY:
        return "busy";
    case PFK_E_PROTOCOL:
        return "protocol violation";
    case PFK_E_UNRECOVERABLE:
        return "more lost than parity can repair";
    }
    return "unknown status";
}
