/* SPDX-License-Identifier: Apache-2.0 */

/* A plugin that breaks one rule of the ABI, chosen by the option "what=NAME": see the names below. */

#include <stdlib.h>
#include <string.h>

#include "plugins/plain.h"

static char what[32];

static int is(const char *name) {
        return strcmp(what, name) == 0;
}

static int garbage_open(berth_host *host, const char *const *options, void **ret_state) {
        (void) plain_open(host, options, ret_state);
        if (*options && strncmp(*options, "what=", 5) == 0)
                (void) snprintf(what, sizeof(what), "%s", *options + 5);
        if (is("open_code"))
                return 77;
        if (is("open_gone"))
                return BERTH_GONE;
        return is("open_errno") ? -100000 : 0;
}

static int garbage_identify(void *state, berth_identity *ret) {
        (void) plain_identify(state, ret);
        if (is("serial_endless"))
                memset(ret->serial, 'x', sizeof(ret->serial));
        else if (is("serial_bytes"))
                memcpy(ret->serial, "\xff\xfe", 3);
        else if (is("serial_control"))
                memcpy(ret->serial, "A\x1b[2JB", 7);
        else if (is("deliver_in_identify"))
                (void) berth_host_deliver(plain_host, "x", 1);
        return 0;
}

static int garbage_health(void *state, berth_health *ret) {
        (void) state;
        if (is("battery")) {
                ret->known = BERTH_HEALTH_BATTERY;
                ret->battery_percent = 101;
        } else if (is("free")) {
                ret->known = BERTH_HEALTH_STORAGE;
                ret->storage_free_bytes = 1;
        }
        return 0;
}

static int garbage_get_owner(void *state, berth_owner *ret) {
        (void) state;
        if (is("owner_endless"))
                memset(ret->unit_name, 'x', sizeof(ret->unit_name));
        else if (is("owner_bytes"))
                memcpy(ret->officer_id, "\xff\xfe", 3);
        else if (is("owner_control"))
                memcpy(ret->officer_name, "A\x1b[2JB", 7);
        return is("owner_code") ? BERTH_GONE : 0;
}

static int garbage_enter_storage(void *state) {
        (void) state;
        return is("enter_code") ? 7 : is("enter_errno") ? -100000 : 0;
}

static int garbage_format(void *state) {
        (void) state;
        if (is("clip_in_format"))
                (void) berth_host_deliver(plain_host, "x", 1);
        return 0;
}

static int report(const char *path, uint32_t flags, size_t struct_size) {
        berth_clip clip = { .struct_size = struct_size, .path = path, .size_bytes = 100, .mtime_unix_sec = 1, .flags = flags };

        return berth_host_clip(plain_host, &clip);
}

/* More clips, or longer names, than anybody accepts; goes on whatever the worker says. */
static int report_many(size_t n, size_t name_length) {
        char *path = malloc(name_length + 1);

        memset(path, 'n', name_length);
        path[name_length] = 0;
        for (size_t i = 0; i < n; i++)
                (void) report(path, 0, sizeof(berth_clip));
        free(path);
        return 0;
}

static int garbage_list(void *state) {
        static char long_path[BERTH_PATH_MAX + 1];
        const char *path = is("path_empty")      ? ""
                           : is("path_absolute") ? "/etc/passwd"
                           : is("path_dotdot")   ? "a/../../b"
                           : is("path_dot")      ? "./a"
                           : is("path_double")   ? "a//b"
                           : is("path_control")  ? "a\nb"
                           : is("path_bytes")    ? "a\xc3(b"
                           : is("path_long")     ? long_path
                           : is("path_null")     ? NULL
                                                 : "A";

        (void) state;
        memset(long_path, 'l', sizeof(long_path) - 1);
        if (is("too_many"))
                return report_many(BERTH_CLIPS_MAX + 1000, 10);
        if (is("too_long"))
                return report_many(60000, 4000);
        /* What the worker says to it is swallowed. */
        (void) report(path, is("flags") ? 0x80 : 0, is("struct_size") ? 8 : sizeof(berth_clip));
        if (is("list_code"))
                return 3;
        return 0;
}

static int garbage_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        static const char bytes[200];

        (void) state;
        (void) clip;
        (void) offset;
        if (is("over"))
                (void) berth_host_deliver(plain_host, bytes, (size_t) length + 1);
        else if (is("over_later")) {
                (void) berth_host_deliver(plain_host, bytes, (size_t) length);
                (void) berth_host_deliver(plain_host, bytes, 1);
        } else if (is("over_bulk"))
                (void) berth_host_deliver_bulk(plain_host, 0x81, UINT64_MAX, 1000);
        else if (is("short"))
                return berth_host_deliver(plain_host, bytes, (size_t) length - 1);
        else if (is("nothing"))
                return 0;
        else if (is("clip_in_read"))
                (void) report("B", 0, sizeof(berth_clip));
        else if (is("read_code"))
                return 1000;
        return berth_host_deliver(plain_host, bytes, (size_t) length);
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "garbage",
        .version = "1.0",
        .open = garbage_open,
        .close = plain_close,
        .identify = garbage_identify,
        .health = garbage_health,
        .list = garbage_list,
        .read = garbage_read,
        .get_owner = garbage_get_owner,
        .enter_storage = garbage_enter_storage,
        .format = garbage_format,
};
