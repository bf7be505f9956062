// SPDX-License-Identifier: MIT OR Apache-2.0
#include "known_hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int fingerprint_parse(const char *text, uint8_t fingerprint[32])
{
    uint8_t parsed[32];
    int at = 0;
    for (int i = 0; i < 32; i++) {
        unsigned byte;
        int used = 0;
        if (i > 0 && text[at] == ':') {
            at++;
        }
        if (strspn(text + at, "0123456789abcdefABCDEF") < 2 ||
            sscanf(text + at, "%2x%n", &byte, &used) != 1) {
            return -1;
        }
        parsed[i] = (uint8_t)byte;
        at += used;
    }
    if (text[at]) {
        return -1;
    }
    memcpy(fingerprint, parsed, sizeof(parsed));
    return 0;
}

void fingerprint_print(const uint8_t fingerprint[32], char text[65])
{
    for (int i = 0; i < 32; i++) {
        snprintf(text + 2 * i, 3, "%02x", fingerprint[i]);
    }
}

int known_hosts_find(const char *file, const char *host, unsigned port, uint8_t fingerprint[32])
{
    FILE *f = fopen(file, "re");
    if (!f) {
        return errno == ENOENT ? 0 : -1;
    }
    char line[512], wanted[300];
    snprintf(wanted, sizeof(wanted), "%s:%u ", host, port);
    size_t n = strlen(wanted);
    int found = 0;
    while (!found && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\r\n")] = 0;
        found = strncmp(line, wanted, n) == 0 && fingerprint_parse(line + n, fingerprint) == 0;
    }
    int err = !ferror(f) ? 0
              : errno    ? errno
                         : EIO; // unreadable is not "never seen": that would trust anybody
    fclose(f);
    errno = err;
    return err ? -1 : found;
}

int known_hosts_add(const char *file, const char *host, unsigned port,
                    const uint8_t fingerprint[32])
{
    char line[400], hex[65];
    fingerprint_print(fingerprint, hex);
    int fd = open(file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    // The last line may lack its end: an editor left it so, or the disk was full.
    char last;
    off_t size = lseek(fd, 0, SEEK_END);
    bool open_line = size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
    int n = snprintf(line, sizeof(line), "%s%s:%u %s\n", open_line ? "\n" : "", host, port, hex);
    ssize_t written = write(fd, line, (size_t)n); // one line in one call
    int err = errno;
    if (close(fd) != 0 || written != n) {
        errno = written < 0 ? err : ENOSPC;
        return -1;
    }
    return 0;
}
