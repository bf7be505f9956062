// SPDX-License-Identifier: MIT OR Apache-2.0
// A program of somebody else's: sees the installed header and the pkg-config file, nothing more.
// Plain C99 and C++ alike.
#include <punktfunk_core.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what)
{
    fprintf(stderr, "external: %s\n", what);
    return 1;
}

int main(int argc, char **argv)
{
    PunktfunkConnectConfig cfg;
    PunktfunkConnection *c = NULL;
    PunktfunkStreamInfo info;
    PunktfunkUnit unit;
    PunktfunkStats stats;
    PunktfunkEnd end;
    unsigned units = 0;
    int err;

    if (punktfunk_abi_version() != PUNKTFUNK_ABI_VERSION || !punktfunk_version()[0]) {
        return fail("version");
    }
    memset(&cfg, 0, sizeof(cfg));
    memset(&end, 0, sizeof(end));
    end.struct_size = sizeof(end);
    if (punktfunk_connect(NULL, &cfg, NULL) != PUNKTFUNK_E_INVALID ||
        punktfunk_connect(&c, &cfg, NULL) != PUNKTFUNK_E_INVALID || c) {
        return fail("a config without struct_size must be refused");
    }
    cfg.struct_size = sizeof(cfg);
    cfg.host = "127.0.0.1";
    cfg.port = (uint16_t)atoi(argc > 1 ? argv[1] : "0");
    cfg.width_px = 1281; /* odd */
    cfg.height_px = 720;
    cfg.refresh_hz = 60;
    cfg.device_name = "external";
    if (punktfunk_connect(&c, &cfg, &end) != PUNKTFUNK_E_INVALID) {
        return fail("an odd width must be refused");
    }
    cfg.width_px = 1280;
    err = punktfunk_connect(&c, &cfg, &end);
    if (err) {
        return fail(end.text);
    }
    memset(&info, 0, sizeof(info));
    info.struct_size = sizeof(info);
    if (punktfunk_get_stream_info(c, &info) || info.width_px != 1280 || info.frames_to_come != 30) {
        return fail("stream info");
    }
    /* An older program's shorter struct is filled as far as it goes. */
    memset(&info, 0, sizeof(info));
    info.struct_size = 12;
    if (punktfunk_get_stream_info(c, &info) || info.width_px != 1280 || info.refresh_hz != 0) {
        return fail("short struct");
    }
    memset(&unit, 0, sizeof(unit));
    unit.struct_size = sizeof(unit);
    while ((err = punktfunk_next_unit(c, &unit, 10000)) == PUNKTFUNK_OK) {
        if (unit.n_bytes != 65536 || unit.index != units ||
            unit.bytes[100] != (unsigned char)(unit.index + 100)) {
            return fail("contents");
        }
        units++;
    }
    memset(&stats, 0, sizeof(stats));
    stats.struct_size = sizeof(stats);
    punktfunk_get_stats(c, &stats);
    punktfunk_get_end(c, &end);
    if (err != PUNKTFUNK_E_CLOSED || units != 30 || stats.frames_completed != 30 ||
        stats.frames_lost != 0) {
        return fail("30 units and then the end");
    }
    if (end.status != PUNKTFUNK_OK || !end.by_host || !end.text[0]) {
        return fail("the end's reason");
    }
    if (punktfunk_next_unit(c, &unit, 0) != PUNKTFUNK_E_CLOSED ||
        punktfunk_request_keyframe(c) != PUNKTFUNK_E_CLOSED) {
        return fail("calls after the end");
    }
    punktfunk_disconnect(c);
    punktfunk_connection_free(c);
    punktfunk_connection_free(NULL);
    punktfunk_identity_free(NULL);
    printf("%u units\n", units);
    return 0;
}
