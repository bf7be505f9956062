// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/settings/settings.h"

#include "core/base/status.h"
#include "tests/unit/check.h"

#include <ctype.h>
#include <unistd.h>

static char error[700];

static int load(struct settings *s, int argc, const char **argv)
{
    return settings_load(s, argc, (char **)(uintptr_t)argv, error, sizeof(error));
}

#define LOAD(s, ...)                                                                               \
    load(s, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                         \
         (const char *[]){__VA_ARGS__})

static const char *env_name(const struct setting_info *r, char *env, size_t room)
{
    snprintf(env, room, "PUNKTFUNK_%s", r->flag);
    for (char *p = env; *p; p++) {
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    }
    return env;
}

static int set_up(void **state)
{
    static char dir[] = "/tmp/punktfunk-settings-XXXXXX";
    unsetenv("XDG_CONFIG_HOME");
    *state = mkdtemp(dir);
    for (size_t i = 0; settings_row(i); i++) {
        char env[64];
        unsetenv(env_name(settings_row(i), env, sizeof(env)));
    }
    return setenv("HOME", dir, 1);
}

static int tear_down(void **state)
{
    return rmdir(*state);
}

static void defaults_are_what_the_help_says(void **state)
{
    struct settings s;
    CHECK_EQ(load(&s, 0, NULL), PFK_OK);
    assert_string_equal(s.listen, "127.0.0.1");
    CHECK_EQ(s.port, 9777);
    CHECK_EQ(s.sessions, 1);
    CHECK_EQ(s.fec_percent, FEC_PERCENT_AUTO);
    CHECK_EQ(s.bitrate_kbps, 20000);
    CHECK_EQ(s.source, SOURCE_DESKTOP);
    CHECK(!s.own_desktop && !s.stage_timing && !s.plain_udp);
    assert_string_equal(s.desktop_user, "nobody");
    char want[256];
    snprintf(want, sizeof(want), "%s/.config/punktfunk", (const char *)*state);
    assert_string_equal(s.config_dir, want);
}

// Each row by itself: its default is legal, its help says something, its environment name works.
static void every_row_is_complete(void **state)
{
    size_t i = 0;
    for (const struct setting_info *r; (r = settings_row(i)); i++) {
        char flag[64], env[64], value[128];
        snprintf(flag, sizeof(flag), "--%s", r->flag);
        env_name(r, env, sizeof(env));
        snprintf(value, sizeof(value), "%s", r->fallback);
        struct settings s;
        CHECK(strlen(r->help) > 15);
        if (r->value) {
            CHECK_EQ(LOAD(&s, flag, value), PFK_OK);
        } else {
            CHECK_EQ(LOAD(&s, flag), PFK_OK);
        }
        setenv(env, value, 1);
        CHECK_EQ(load(&s, 0, NULL), PFK_OK);
        setenv(env, "\x01 surely not a value", 1);
        int rc = load(&s, 0, NULL);
        bool free_text = r->value && !r->choices && rc == PFK_OK;
        if (!free_text) {
            CHECK_EQ(rc, PFK_E_INVALID);
            CHECK(strstr(error, env) && strstr(error, "give"));
        }
        unsetenv(env);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(settings_row(k)->flag, r->flag);
        }
    }
    CHECK(i >= 20);
}

static void wrong_values_are_named_with_what_is_possible(void **state)
{
    static const char *const wrong[][3] = {
        {"--port", "65536", "65535"},
        {"--port", "-1", "0 to"},
        {"--port", "", "number"},
        {"--port", "12x", "number"},
        {"--fec-percent", "91", "0 to 90"},
        {"--sessions", "0", "1 to"},
        {"--source", "film", "synthetic"},
        {"--log-level", "loud", "debug"},
        {"--stage-timing=maybe", NULL, "on or off"},
        {"--shard-bytes", "1407", "even"},
        {"--shard-bytes", "62", "64"},
        {"--encoder-preset", "slow", "ultrafast"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct settings s;
        int rc = wrong[i][1] ? LOAD(&s, wrong[i][0], wrong[i][1]) : LOAD(&s, wrong[i][0]);
        CHECK_EQ(rc, PFK_E_INVALID);
        CHECK(strstr(error, wrong[i][2]) != NULL);
        CHECK(strchr(error, '\n') == NULL);
    }
    struct settings s;
    CHECK_EQ(LOAD(&s, "--port"), PFK_E_INVALID);
    CHECK_EQ(LOAD(&s, "--nope", "1"), PFK_E_INVALID);
    CHECK_EQ(LOAD(&s, "port", "1"), PFK_E_INVALID);
    CHECK_EQ(LOAD(&s, "--data-port", "5000", "--sessions", "2"), PFK_E_INVALID);
    CHECK_EQ(LOAD(&s, "--data-port", "9777"), PFK_E_INVALID);
    CHECK_EQ(LOAD(&s, "--data-port", "5000", "--port", "5000"), PFK_E_INVALID);
    char longest[SETTINGS_TEXT_MAX + 1];
    memset(longest, 'x', SETTINGS_TEXT_MAX);
    longest[SETTINGS_TEXT_MAX] = 0;
    CHECK_EQ(LOAD(&s, "--command", longest), PFK_E_INVALID);
    longest[SETTINGS_TEXT_MAX - 1] = 0;
    CHECK_EQ(LOAD(&s, "--command", longest), PFK_OK);
}

static void switches_take_a_value_or_none(void **state)
{
    struct settings s;
    CHECK_EQ(LOAD(&s, "--own-desktop", "--stage-timing=off", "--plain-udp=yes"), PFK_OK);
    CHECK(s.own_desktop && !s.stage_timing && s.plain_udp);
}

static void help_shows_every_row(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    settings_print_help(f);
    fclose(f);
    for (size_t i = 0; settings_row(i); i++) {
        char flag[64];
        snprintf(flag, sizeof(flag), "  --%s", settings_row(i)->flag);
        CHECK(strstr(text, flag) != NULL);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_what_the_help_says),
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(wrong_values_are_named_with_what_is_possible),
        cmocka_unit_test(switches_take_a_value_or_none),
        cmocka_unit_test(help_shows_every_row),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
