/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/settings.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/text.h"

#define DEFAULT_SOCKET "/run/berth-uplink/uplink.sock"

UplinkSettings *uplink_settings_free(UplinkSettings *s) {
        if (!s)
                return NULL;
        free(s->socket);
        free(s->state_dir);
        free(s->path);
        free(s->mount_point);
        free(s);
        return NULL;
}

static int parse_peer_user(UplinkSettings *s, const ConfLine *line, ConfError *error) {
        const struct passwd *user;

        errno = 0;
        user = getpwnam(line->value);
        if (!user)
                return conf_error(line, error, "there is no user '%s' on this machine", line->value);
        s->peer_known = true;
        s->peer_uid = user->pw_uid;
        s->peer_gid = user->pw_gid;
        return 0;
}

static int parse_socket(UplinkSettings *s, const ConfLine *line, ConfError *error) {
        struct sockaddr_un address;
        int r;

        r = conf_path(line, &s->socket, error);
        if (r < 0)
                return r;
        /* Room for the name under which it is made first. */
        if (strlen(s->socket) + strlen(".new") >= sizeof(address.sun_path))
                return conf_error(line, error, "a socket's path may have %zu bytes at most",
                                  sizeof(address.sun_path) - strlen(".new") - 1);
        return 0;
}

static int parse_uplink(UplinkSettings *s, const ConfLine *line, ConfError *error) {
        uint64_t u;
        int r;

        if (text_equal(line->key, "socket"))
                return parse_socket(s, line, error);
        if (text_equal(line->key, "peer_user"))
                return parse_peer_user(s, line, error);
        if (text_equal(line->key, "state_dir"))
                return conf_path(line, &s->state_dir, error);
        if (text_equal(line->key, "stall"))
                return conf_span(line, USEC_PER_SEC, 3600 * USEC_PER_SEC, &s->stall_usec, error);
        if (text_equal(line->key, "transfers")) {
                r = conf_uint(line, 1, 64, &u, error);
                if (r < 0)
                        return r;
                s->transfers = (unsigned) u;
                return 0;
        }
        return conf_error(line, error, "unknown key");
}

static int parse_store(UplinkSettings *s, const ConfLine *line, ConfError *error) {
        const struct {
                const char *key;
                bool *field;
        } switches[] = {
                { "create", &s->create },
                { "read_back", &s->read_back },
                { "same_disk_is_store", &s->same_disk_is_store },
        };

        if (text_equal(line->key, "type")) {
                if (!text_equal(line->value, "dir"))
                        return conf_error(line, error, "'%s' is no kind of store that this Berth has; it has: dir", line->value);
                s->type_given = true;
                return 0;
        }
        if (text_equal(line->key, "path"))
                return conf_path(line, &s->path, error);
        if (text_equal(line->key, "mount_point"))
                return conf_path(line, &s->mount_point, error);
        for (size_t i = 0; i < ELEMENTSOF(switches); i++)
                if (text_equal(line->key, switches[i].key))
                        return conf_bool(line, switches[i].field, error);
        return conf_error(line, error, "unknown key");
}

static int parse_line(const ConfLine *line, void *userdata, ConfError *error) {
        UplinkSettings *s = userdata;

        if (line->name[0])
                return conf_error(line, error, "section [%s] takes no name", line->section);
        if (text_equal(line->section, "uplink"))
                return line->key ? parse_uplink(s, line, error) : 0;
        if (text_equal(line->section, "store"))
                return line->key ? parse_store(s, line, error) : 0;
        return conf_error(line, error, "unknown section");
}

static bool is_beneath(const char *path, const char *folder) {
        size_t n = strlen(folder);

        while (n > 0 && folder[n - 1] == '/')
                n--;
        return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == 0);
}

/* What no single line can be blamed for. */
static int check_whole(const UplinkSettings *s, const char *file, ConfError *error) {
        const char *missing = !s->type_given ? "type (type = dir)" : !s->path ? "path (path = /srv/berth)" : NULL;

        if (missing) {
                (void) snprintf(error->text, sizeof(error->text), "%s: [store] lacks %s", file, missing);
                return -EINVAL;
        }
        if (s->mount_point && !is_beneath(s->path, s->mount_point)) {
                (void) snprintf(error->text, sizeof(error->text), "%s: [store] path %s is not beneath [store] mount_point %s", file,
                                s->path, s->mount_point);
                return -EINVAL;
        }
        return 0;
}

static int fill_defaults(UplinkSettings *s) {
        const char *state = getenv("STATE_DIRECTORY");

        if (!s->socket && !(s->socket = strdup(DEFAULT_SOCKET)))
                return -ENOMEM;
        /* From systemd: StateDirectory= in the unit. */
        if (!s->state_dir && state && state[0] == '/' && !strchr(state, ':') && !(s->state_dir = strdup(state)))
                return -ENOMEM;
        return 0;
}

int uplink_settings_load(const char *path, UplinkSettings **ret, ConfError *error) {
        _cleanup_(uplink_settings_freep) UplinkSettings *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->transfers = 4;
        s->stall_usec = 60 * USEC_PER_SEC;
        s->create = s->read_back = true;
        r = conf_parse_file(path, parse_line, s, error);
        if (r < 0)
                return r;
        r = fill_defaults(s);
        if (r < 0)
                return r;
        r = check_whole(s, path, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}
