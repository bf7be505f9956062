// SPDX-License-Identifier: MIT OR Apache-2.0
// sway 1.7 makes headless outputs but cannot remove one, and its wlroots (0.15) cannot even switch
// one off ("Unsupported output state fields: 0x8"): there it is parked, small and slow, and used
// again. Later versions disable it. Either way there are never more outputs than were live at once.
#include "host/display/sway.h"

#include "core/base/status.h"
#include "host/display/desktop.h"
#include "host/display/sway_ipc.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A parked output ticks four times a second: no load, and soon awake, since the new rate counts
// from the next tick on.
enum {
    READY_TIMEOUT_MS = 5000,
    REASON_BYTES = 200,
    PARKED_WIDTH = 320,
    PARKED_HEIGHT = 200,
    PARKED_HZ = 4
};

struct sway {
    struct display base;
    struct desktop *desktop; // NULL in the user's session
    char ipc_socket[108];
    int ipc;
    bool command_started;
    struct pfk_log log;
};

struct sway_output {
    struct display_output base;
};

static bool find_program(const char *name, char path[PATH_MAX])
{
    const char *list = getenv("PATH");
    for (const char *p = list ? list : "/usr/bin"; *p;) {
        size_t n = strcspn(p, ":");
        int len = snprintf(path, PATH_MAX, "%.*s/%s", (int)n, p, name);
        if (len < PATH_MAX && access(path, X_OK) == 0) {
            return true;
        }
        p += n + (p[n] == ':');
    }
    return false;
}

// Was this host started inside a sway session?
static const char *session_socket(const struct display_config *cfg)
{
    const char *ipc = getenv("SWAYSOCK");
    return !cfg->own_desktop && ipc && ipc[0] && getenv("WAYLAND_DISPLAY") ? ipc : NULL;
}

static bool sway_probe(const struct display_config *cfg, char *why, size_t why_bytes)
{
    char path[PATH_MAX];
    if (session_socket(cfg) || find_program("sway", path)) {
        return true;
    }
    snprintf(why, why_bytes,
             "sway is not installed; `apt install sway`, or start the host inside a "
             "sway session");
    return false;
}

static int open_session(struct sway *s, const char *ipc)
{
    const char *name = getenv("WAYLAND_DISPLAY");
    const char *dir = getenv("XDG_RUNTIME_DIR");
    int n = name[0] == '/'
                ? snprintf(s->base.wayland_socket, sizeof(s->base.wayland_socket), "%s", name)
                : snprintf(s->base.wayland_socket, sizeof(s->base.wayland_socket), "%s/%s",
                           dir ? dir : "", name);
    if (n >= (int)sizeof(s->base.wayland_socket) || strlen(ipc) >= sizeof(s->ipc_socket)) {
        return PFK_E_SIZE;
    }
    strcpy(s->ipc_socket, ipc);
    s->command_started = true; // the user's session shows what the user wants
    return PFK_OK;
}

static int open_own(struct sway *s, const struct display_config *cfg)
{
    char program[PATH_MAX], why[REASON_BYTES];
    if (!find_program("sway", program)) {
        (void)sway_probe(cfg, why, sizeof(why));
        pfk_logf(&s->log, PFK_LOG_ERROR, "%s", why);
        return PFK_E_UNSUPPORTED;
    }
    const struct desktop_config dc = {.program = program,
                                      .command = cfg->command,
                                      .user = cfg->user,
                                      .state_dir = cfg->state_dir,
                                      .log = &s->log};
    int err = desktop_start(&s->desktop, &dc);
    if (!err) {
        err = desktop_wait_ready(s->desktop, READY_TIMEOUT_MS);
    }
    if (err) {
        return err;
    }
    s->base.own = true;
    s->base.pid = s->desktop->compositor.pid;
    strcpy(s->base.wayland_socket, s->desktop->wayland_socket);
    strcpy(s->ipc_socket, s->desktop->ipc_socket);
    return PFK_OK;
}

static void sway_close(struct display *d)
{
    struct sway *s = (struct sway *)d;
    if (s->ipc >= 0) {
        close(s->ipc);
    }
    desktop_stop(s->desktop);
    free(s);
}

static int sway_open(struct display **out, const struct display_config *cfg)
{
    *out = NULL;
    struct sway *s = calloc(1, sizeof(*s));
    if (!s) {
        return PFK_E_NOMEM;
    }
    s->base.impl = &display_sway;
    s->ipc = -1;
    s->log = cfg->log;
    const char *session = session_socket(cfg);
    int err = session ? open_session(s, session) : open_own(s, cfg);
    if (!err) {
        s->ipc = sway_ipc_connect(s->ipc_socket);
        if (s->ipc < 0) {
            err = s->ipc;
            pfk_logf(
                &s->log, PFK_LOG_ERROR,
                "cannot reach sway at %s; unset SWAYSOCK or give own-desktop to start an own one",
                s->ipc_socket);
        }
    }
    if (err) {
        sway_close(&s->base);
        return err;
    }
    *out = &s->base;
    return PFK_OK;
}

// Runs a command; reconnects once, since a time-out leaves the connection out of step.
#define COMMAND(s, reason, ...)                                                                    \
    command_result(s, reason, sway_ipc_command((s)->ipc, reason, REASON_BYTES, __VA_ARGS__))

static int command_result(struct sway *s, const char *reason, int err)
{
    if (err == PFK_E_UNSUPPORTED) {
        pfk_logf(&s->log, PFK_LOG_ERROR, "sway refuses: %s", reason);
    } else if (err) {
        pfk_logf(&s->log, PFK_LOG_ERROR, "sway does not answer (%s)", pfk_strstatus(err));
        close(s->ipc);
        s->ipc = sway_ipc_connect(s->ipc_socket);
    }
    return err;
}

static json_t *get_outputs(struct sway *s)
{
    json_t *outputs = NULL;
    int err = sway_ipc_request(s->ipc, SWAY_IPC_GET_OUTPUTS, NULL, &outputs);
    if (err) {
        (void)command_result(s, "", err);
        return NULL;
    }
    return outputs;
}

static const char *output_name(const json_t *output)
{
    const char *name = json_string_value(json_object_get(output, "name"));
    return name ? name : "";
}

static json_t *find_output(json_t *outputs, const char *name)
{
    size_t i;
    json_t *o;
    json_array_foreach(outputs, i, o)
    {
        if (strcmp(output_name(o), name) == 0) {
            return o;
        }
    }
    return NULL;
}

static bool is_parked(const json_t *output)
{
    const json_t *mode = json_object_get(output, "current_mode");
    return json_integer_value(json_object_get(mode, "width")) == PARKED_WIDTH &&
           json_integer_value(json_object_get(mode, "height")) == PARKED_HEIGHT &&
           json_integer_value(json_object_get(mode, "refresh")) == PARKED_HZ * 1000;
}

// A headless output that nobody uses, or a new one.
static int take_output(struct sway *s, char *name, size_t name_bytes)
{
    char reason[REASON_BYTES];
    json_t *before = get_outputs(s);
    if (!before) {
        return PFK_E_CLOSED;
    }
    size_t i;
    json_t *o;
    name[0] = 0;
    json_array_foreach(before, i, o)
    {
        if (strncmp(output_name(o), "HEADLESS-", 9) == 0 &&
            (!json_is_true(json_object_get(o, "active")) || is_parked(o))) {
            snprintf(name, name_bytes, "%s", output_name(o));
            break;
        }
    }
    int err = PFK_OK;
    if (!name[0] && !(err = COMMAND(s, reason, "create_output"))) {
        json_t *after = get_outputs(s);
        json_array_foreach(after, i, o)
        {
            if (!find_output(before, output_name(o))) {
                snprintf(name, name_bytes, "%s", output_name(o));
            }
        }
        json_decref(after);
        err = name[0] ? PFK_OK : PFK_E_IO;
    }
    json_decref(before);
    return err;
}

// The leftmost column of this width that no other output is in.
static int free_x(struct sway *s, const char *own_name, uint32_t width_px)
{
    json_t *outputs = get_outputs(s);
    json_int_t x = 0;
    for (bool moved = true; moved;) {
        moved = false;
        size_t i;
        json_t *o;
        json_array_foreach(outputs, i, o)
        {
            const json_t *rect = json_object_get(o, "rect");
            json_int_t left = json_integer_value(json_object_get(rect, "x"));
            json_int_t right = left + json_integer_value(json_object_get(rect, "width"));
            if (json_is_true(json_object_get(o, "active")) &&
                strcmp(output_name(o), own_name) != 0 && x < right &&
                left < x + (json_int_t)width_px) {
                x = right;
                moved = true;
            }
        }
    }
    json_decref(outputs);
    return (int)x;
}

static int read_mode(struct sway *s, struct display_output *o)
{
    json_t *outputs = get_outputs(s);
    json_t *now = find_output(outputs, o->name);
    const json_t *mode = json_object_get(now, "current_mode");
    o->width_px = (uint32_t)json_integer_value(json_object_get(mode, "width"));
    o->height_px = (uint32_t)json_integer_value(json_object_get(mode, "height"));
    json_int_t millihz = json_integer_value(json_object_get(mode, "refresh"));
    o->hz = (uint32_t)((millihz + 500) / 1000);
    bool live = json_is_true(json_object_get(now, "active"));
    json_decref(outputs);
    return live ? PFK_OK : PFK_E_IO;
}

static int start_command(struct sway *s)
{
    char reason[REASON_BYTES];
    if (s->command_started) {
        return PFK_OK;
    }
    s->command_started = true;
    return COMMAND(s, reason, "exec %s", s->desktop->start_file);
}

static void sway_output_destroy(struct display_output *o)
{
    struct sway *s = (struct sway *)o->display;
    char reason[REASON_BYTES];
    if (COMMAND(s, reason, "output %s disable", o->name) == PFK_OK) {
        json_t *outputs = get_outputs(s);
        if (json_is_true(json_object_get(find_output(outputs, o->name), "active"))) {
            (void)COMMAND(s, reason, "output %s enable mode --custom %ux%u@%uHz", o->name,
                          PARKED_WIDTH, PARKED_HEIGHT, PARKED_HZ);
        }
        json_decref(outputs);
    }
    free(o);
}

static int sway_output_create(struct display *d, struct display_output **out, uint32_t width_px,
                              uint32_t height_px, uint32_t hz)
{
    struct sway *s = (struct sway *)d;
    char reason[REASON_BYTES];
    *out = NULL;
    struct sway_output *o = calloc(1, sizeof(*o));
    if (!o) {
        return PFK_E_NOMEM;
    }
    o->base.display = d;
    int err = take_output(s, o->base.name, sizeof(o->base.name));
    if (err) {
        free(o);
        return err;
    }
    const char *name = o->base.name;
    err = COMMAND(s, reason, "output %s enable mode --custom %ux%u@%uHz scale 1 pos %d 0", name,
                  width_px, height_px, hz, free_x(s, name, width_px));
    if (!err) {
        err = start_command(s);
    }
    if (!err) {
        err = read_mode(s, &o->base);
    }
    if (!err && (o->base.width_px != width_px || o->base.height_px != height_px)) {
        pfk_logf(&s->log, PFK_LOG_ERROR, "sway made %s %ux%u instead of %ux%u", name,
                 o->base.width_px, o->base.height_px, width_px, height_px);
        err = PFK_E_UNSUPPORTED;
    }
    if (err) {
        sway_output_destroy(&o->base);
        return err;
    }
    *out = &o->base;
    return PFK_OK;
}

const struct display_impl display_sway = {
    .name = "sway",
    .probe = sway_probe,
    .open = sway_open,
    .close = sway_close,
    .output_create = sway_output_create,
    .output_destroy = sway_output_destroy,
};
