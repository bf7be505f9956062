// SPDX-License-Identifier: MIT OR Apache-2.0
// Trust on first use: which fingerprint was seen at which host and port. One line each,
// `host:port fingerprint`.
#ifndef CLIENT_KNOWN_HOSTS_H
#define CLIENT_KNOWN_HOSTS_H

#include <stdint.h>

/** 1 and the fingerprint; 0 when the host is new; -1 with errno when the file cannot be read. */
int known_hosts_find(const char *file, const char *host, unsigned port, uint8_t fingerprint[32]);

/** 0; -1 with errno. */
int known_hosts_add(const char *file, const char *host, unsigned port,
                    const uint8_t fingerprint[32]);

/** 64 hex digits, colons allowed between bytes. 0 or -1. */
int fingerprint_parse(const char *text, uint8_t fingerprint[32]);
void fingerprint_print(const uint8_t fingerprint[32], char text[65]);

#endif
