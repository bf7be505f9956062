// SPDX-License-Identifier: MIT OR Apache-2.0
// Every setting of the host is one row in one table (settings.c): flag, environment variable, key
// in host.conf, range, default and help all come from it. A flag wins over the environment, the
// environment over host.conf, host.conf over the default.
#ifndef HOST_SETTINGS_SETTINGS_H
#define HOST_SETTINGS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SETTINGS_TEXT_MAX 512
#define FEC_PERCENT_AUTO UINT32_MAX

enum source_kind { SOURCE_DESKTOP, SOURCE_SYNTHETIC };
enum compositor_kind { COMPOSITOR_AUTO, COMPOSITOR_SWAY };

struct settings {
    char config_dir[SETTINGS_TEXT_MAX];
    char listen[SETTINGS_TEXT_MAX];
    uint32_t port, data_port;
    uint32_t sessions;
    uint32_t idle_timeout_ms;
    uint32_t compositor; // enum compositor_kind
    bool own_desktop;
    char command[SETTINGS_TEXT_MAX];
    char desktop_user[SETTINGS_TEXT_MAX];
    uint32_t bitrate_kbps;
    char encoder_preset[SETTINGS_TEXT_MAX];
    uint32_t fec_percent; // FEC_PERCENT_AUTO or 0 to 90
    uint32_t shard_bytes; // 0 = by the client's address family
    uint32_t source;      // enum source_kind
    uint32_t synthetic_bytes, synthetic_hz, synthetic_frames;
    bool stage_timing;
    uint32_t drop_every;
    bool plain_udp;
    uint32_t log_level;
    char report[SETTINGS_TEXT_MAX];
};

/** Describes one row to programs that generate or check something from the table. */
struct setting_info {
    const char *flag;     // "fec-percent"; the environment name is PUNKTFUNK_FEC_PERCENT
    const char *value;    // placeholder of its value: "PERCENT"; NULL = a switch
    const char *choices;  // "auto sway", or NULL
    const char *fallback; // default as text
    const char *help;
};

/**
 * Read all sources in their order of precedence.
 * @argc, argv  what follows the subcommand
 * @error       one line with cause and remedy when it fails
 * 0; PFK_E_INVALID (unknown setting, value out of range); PFK_E_IO (host.conf cannot be read).
 */
int settings_load(struct settings *s, int argc, char **argv, char *error, size_t error_bytes);

/** Options as --help shows them. */
void settings_print_help(FILE *to);

/** Rows in the table's order; NULL past the last. */
const struct setting_info *settings_row(size_t i);

#endif
