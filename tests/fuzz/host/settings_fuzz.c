// SPDX-License-Identifier: MIT OR Apache-2.0
// A host.conf of any contents: refused in one line, or settings within their ranges.
#include "host/settings/settings.h"

#include "core/base/status.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char dir[] = "/tmp/punktfunk-fuzz-XXXXXX", path[64], error[700] = "";
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/host.conf", dir);
    FILE *f = fopen(path, "w");
    CHECK(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    char *argv[] = {(char *)(uintptr_t) "--config-dir", dir};
    struct settings s;
    int err = settings_load(&s, 2, argv, error, sizeof(error));
    if (err) {
        CHECK(error[0] && !strchr(error, '\n'));
    } else {
        CHECK(s.port <= 65535 && s.data_port <= 65535 && s.sessions >= 1 && s.sessions <= 16);
        CHECK(s.fec_percent == FEC_PERCENT_AUTO || s.fec_percent <= 90);
        CHECK(s.bitrate_kbps >= 500 && s.bitrate_kbps <= 8000000 && s.shard_bytes <= 1984);
        CHECK(memchr(s.command, 0, sizeof(s.command)) && memchr(s.report, 0, sizeof(s.report)));
    }
    unlink(path);
    rmdir(dir);
    return 0;
}
