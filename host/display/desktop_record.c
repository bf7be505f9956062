// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host/display/desktop_record.h"

#include "core/base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define END_TIMEOUT_MS 8000

// The record, locked: two hosts may share a state folder.
struct record {
    char path[PATH_MAX];
    int lock;
    json_t *entries;
};

static bool open_record(struct record *r, const char *state_dir)
{
    char lock_path[PATH_MAX];
    if (snprintf(r->path, sizeof(r->path), "%s/desktop.json", state_dir) >= (int)sizeof(r->path) ||
        snprintf(lock_path, sizeof(lock_path), "%s/desktop.lock", state_dir) >=
            (int)sizeof(lock_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    r->lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r->lock < 0) {
        return false;
    }
    while (flock(r->lock, LOCK_EX) != 0) {
        if (errno != EINTR) {
            close(r->lock);
            return false;
        }
    }
    // A damaged record is as good as none.
    r->entries = json_load_file(r->path, 0, NULL);
    if (!json_is_array(r->entries)) {
        json_decref(r->entries);
        r->entries = json_array();
    }
    return true;
}

static bool save_record(struct record *r)
{
    char temporary[PATH_MAX + 8];
    snprintf(temporary, sizeof(temporary), "%s.new", r->path);
    if (json_array_size(r->entries) == 0) {
        return unlink(r->path) == 0 || errno == ENOENT;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return false;
    }
    bool good = json_dumpfd(r->entries, fd, JSON_INDENT(1)) == 0 && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    if (!good || rename(temporary, r->path) != 0) {
        unlink(temporary);
        return false;
    }
    return true;
}

static void close_record(struct record *r)
{
    json_decref(r->entries);
    close(r->lock);
}

static json_t *pack_id(struct process_id id)
{
    return json_pack("{s:i, s:I}", "pid", (int)id.pid, "start", (json_int_t)id.start_ticks);
}

static struct process_id unpack_id(const json_t *entry, const char *name)
{
    const json_t *id = json_object_get(entry, name);
    json_int_t pid = json_integer_value(json_object_get(id, "pid"));
    json_int_t start = json_integer_value(json_object_get(id, "start"));
    return (struct process_id){pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0,
                               start > 0 ? (uint64_t)start : 0};
}

int desktop_record_add(const struct desktop *d)
{
    struct record r;
    struct process_id host;
    if (!process_identify(getpid(), &host) || !open_record(&r, d->state_dir)) {
        return PFK_E_IO;
    }
    json_array_append_new(r.entries, json_pack("{s:o, s:o, s:o, s:s}", "host", pack_id(host),
                                               "supervisor", pack_id(d->supervisor), "compositor",
                                               pack_id(d->compositor), "folder", d->folder));
    bool good = save_record(&r);
    close_record(&r);
    return good ? 0 : PFK_E_IO;
}

void desktop_record_remove(const struct desktop *d)
{
    struct record r;
    if (!open_record(&r, d->state_dir)) {
        return;
    }
    for (size_t i = json_array_size(r.entries); i-- > 0;) {
        const char *folder =
            json_string_value(json_object_get(json_array_get(r.entries, i), "folder"));
        if (folder && strcmp(folder, d->folder) == 0) {
            json_array_remove(r.entries, i);
        }
    }
    save_record(&r);
    close_record(&r);
}

// The record is only a file: never delete a folder that is not one of ours by name and place.
static bool is_our_folder(const char *folder)
{
    static const char *const prefixes[] = {"/run/punktfunk-", "/tmp/punktfunk-",
                                           "/var/tmp/punktfunk-"};
    for (size_t i = 0; folder && i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(folder, prefixes[i], n) == 0 && !strchr(folder + n, '/')) {
            return true;
        }
    }
    return false;
}

static void end_leftover(const json_t *entry)
{
    struct process_id supervisor = unpack_id(entry, "supervisor");
    struct process_id compositor = unpack_id(entry, "compositor");
    const char *folder = json_string_value(json_object_get(entry, "folder"));
    // It sees by itself that its host has gone and is most likely at work already.
    process_signal(supervisor, SIGTERM);
    if (!process_wait_gone(supervisor, END_TIMEOUT_MS)) {
        process_signal(supervisor, SIGKILL);
    }
    if (process_alive(compositor)) {
        process_signal_descendants(compositor.pid, SIGKILL);
        process_signal(compositor, SIGKILL);
        process_wait_gone(compositor, END_TIMEOUT_MS);
    }
    if (is_our_folder(folder)) {
        process_signal_in_folder(folder, SIGKILL);
        process_remove_folder(folder);
    }
}

void desktop_clean_leftovers(const char *state_dir, const struct pfk_log *log)
{
    struct record r;
    // Without a folder there is no record yet; desktop_record_add() says what is wrong with it.
    if (!state_dir || !open_record(&r, state_dir)) {
        return;
    }
    bool changed = false;
    for (size_t i = json_array_size(r.entries); i-- > 0;) {
        const json_t *entry = json_array_get(r.entries, i);
        if (process_alive(unpack_id(entry, "host"))) {
            continue;
        }
        pfk_logf(log, PFK_LOG_INFO, "removing the desktop that a killed host left behind (%s)",
                 json_string_value(json_object_get(entry, "folder")));
        end_leftover(entry);
        json_array_remove(r.entries, i);
        changed = true;
    }
    if (changed) {
        save_record(&r);
    }
    close_record(&r);
}
