// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef PFK_BASE_STATUS_H
#define PFK_BASE_STATUS_H

/** Every fallible core function returns 0 or one of these; numbers are stable (public ABI). */
enum pfk_status {
    PFK_OK = 0,
    PFK_E_INVALID = -1,       // an argument is out of its documented range
    PFK_E_NOMEM = -2,         // out of memory, or over a configured memory bound
    PFK_E_MALFORMED = -3,     // bytes from the network or a file do not parse
    PFK_E_AGAIN = -4,         // would block; queue full
    PFK_E_SIZE = -5,          // a buffer is too small or an input too large
    PFK_E_TIMEOUT = -6,       // the deadline passed
    PFK_E_CLOSED = -7,        // the session or connection has ended
    PFK_E_IO = -8,            // the operating system refused; the log has errno
    PFK_E_AUTH = -9,          // wrong tag, wrong fingerprint, not paired
    PFK_E_UNSUPPORTED = -10,  // not available on this machine or in this build
    PFK_E_BUSY = -11,         // somebody else has it
    PFK_E_PROTOCOL = -12,     // the peer broke the protocol
    PFK_E_UNRECOVERABLE = -13 // more shards lost than parity can repair
};

/** Short lower-case English text for a status; never NULL. Any thread. */
const char *pfk_strstatus(int status);

#endif
