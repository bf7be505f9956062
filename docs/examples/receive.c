// SPDX-License-Identifier: MIT OR Apache-2.0
// Writes ten seconds of a host's desktop, as H.264, to stdout:
//   cc receive.c -o receive $(pkg-config --cflags --libs punktfunk-core)
//   ./receive 127.0.0.1 | ffplay -f h264 -
#include <punktfunk_core.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
    PunktfunkConnectConfig config = {0}; // what is not named has its default
    PunktfunkConnection *connection = NULL;
    PunktfunkEnd end = {0};
    PunktfunkUnit unit = {0};
    config.struct_size = sizeof(config);
    end.struct_size = sizeof(end);
    unit.struct_size = sizeof(unit);
    config.host = argc > 1 ? argv[1] : "127.0.0.1";
    config.port = (uint16_t)(argc > 2 ? atoi(argv[2]) : 0);
    config.width_px = 1280;
    config.height_px = 720;
    config.refresh_hz = 60;
    if (punktfunk_connect(&connection, &config, &end) != PUNKTFUNK_OK) {
        fprintf(stderr, "receive: %s\n", end.text); // one sentence with cause and remedy
        return 1;
    }
    const time_t until = time(NULL) + 10;
    int status;
    while ((status = punktfunk_next_unit(connection, &unit, 100)) != PUNKTFUNK_E_CLOSED) {
        if (status == PUNKTFUNK_OK) { // its bytes are ours until the next pull
            fwrite(unit.bytes, 1, unit.n_bytes, stdout);
        }
        if (time(NULL) >= until) {
            punktfunk_disconnect(connection); // the pulls give what still waits, then CLOSED
        }
    }
    punktfunk_get_end(connection, &end);
    fprintf(stderr, "receive: %s\n", end.text);
    punktfunk_connection_free(connection);
    return end.status == PUNKTFUNK_OK ? 0 : 1;
}
