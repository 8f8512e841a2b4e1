/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/uplink_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/wire_digest.h"
#include "base/wire_uplink.h"

#define FETCH_USEC (300 * USEC_PER_SEC)
#define IMAGE_USEC (6 * 3600 * USEC_PER_SEC)

static void bus_errorp(sd_bus_error *e) {
        sd_bus_error_free(e);
}

static void messagep(sd_bus_message **m) {
        sd_bus_message_unref(*m);
}

static void busp(sd_bus **bus) {
        sd_bus_close_unref(*bus);
}

int uplink_socket_connect(const char *path, sd_bus **ret) {
        _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(busp) sd_bus *bus = NULL;
        int r, mine;

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        mine = TAKE_FD(fd);
        r = sd_bus_set_fd(bus, mine, mine);
        if (r < 0) {
                fd_close(mine);
                return r;
        }
        if ((r = sd_bus_negotiate_fds(bus, 1)) < 0 || (r = sd_bus_start(bus)) < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

int uplink_socket_fetch(sd_bus *bus, const char *key, char **ret, ConfError *error) {
        _cleanup_(bus_errorp) sd_bus_error failure = SD_BUS_ERROR_NULL;
        _cleanup_(messagep) sd_bus_message *m = NULL, *reply = NULL;
        const char *text;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Fetch");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", key);
        if (r >= 0)
                r = sd_bus_call(bus, m, FETCH_USEC, &failure, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r < 0) {
                conf_fail(error, "%s", failure.message ? failure.message : strerror(-r));
                return sd_bus_error_has_name(&failure, WIRE_UPLINK_E_GONE)     ? -ENOENT :
                       sd_bus_error_has_name(&failure, WIRE_UPLINK_E_CONFLICT) ? -EBADMSG :
                                                                                 -EIO;
        }
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int fail(const sd_bus_error *failure, int r, ConfError *error) {
        conf_fail(error, "%s", failure->message ? failure->message : strerrordesc_np(-r));
        return sd_bus_error_has_name(failure, WIRE_UPLINK_E_GONE)     ? -ENOENT :
               sd_bus_error_has_name(failure, WIRE_UPLINK_E_CONFLICT) ? -EEXIST :
                                                                        -EIO;
}

int uplink_socket_keep(sd_bus *bus, const char *key, const char *text, ConfError *error) {
        _cleanup_(bus_errorp) sd_bus_error failure = SD_BUS_ERROR_NULL;
        _cleanup_(messagep) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Keep");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", key, text);
        if (r >= 0)
                r = sd_bus_call(bus, m, FETCH_USEC, &failure, &reply);
        return r < 0 ? fail(&failure, r, error) : 0;
}

int uplink_socket_list(sd_bus *bus, const char *prefix, const char *after, int (*each)(void *userdata, const char *key), void *userdata,
                       bool *ret_more, ConfError *error) {
        _cleanup_(bus_errorp) sd_bus_error failure = SD_BUS_ERROR_NULL;
        _cleanup_(messagep) sd_bus_message *m = NULL, *reply = NULL;
        const char *key;
        int r, more = 0, k = 0;

        r = sd_bus_message_new_method_call(bus, &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "List");
        if (r >= 0)
                r = sd_bus_message_append(m, "ssu", prefix, after, WIRE_LIST_MAX);
        if (r >= 0)
                r = sd_bus_call(bus, m, FETCH_USEC, &failure, &reply);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "s");
        while (r >= 0 && k >= 0 && (r = sd_bus_message_read(reply, "s", &key)) > 0)
                k = each(userdata, key);
        if (k < 0)
                return k;
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "b", &more);
        if (r < 0) {
                r = fail(&failure, r, error);
                return sd_bus_error_has_name(&failure, WIRE_UPLINK_E_INVALID) ? -EOPNOTSUPP : r;
        }
        *ret_more = more;
        return 0;
}

int uplink_socket_put_image(sd_bus *bus, int fd, uint64_t size_bytes, const Digest *digest, bool *ret_was_there, ConfError *error) {
        _cleanup_(bus_errorp) sd_bus_error failure = SD_BUS_ERROR_NULL;
        _cleanup_(messagep) sd_bus_message *m = NULL, *reply = NULL;
        int r, there = 0;

        r = sd_bus_message_new_method_call(bus, &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "PutImage");
        if (r >= 0)
                r = sd_bus_message_append(m, "ht", fd, size_bytes);
        if (r >= 0)
                r = wire_append_digest(m, digest);
        if (r >= 0)
                r = sd_bus_call(bus, m, IMAGE_USEC, &failure, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "b", &there);
        if (r < 0)
                return fail(&failure, r, error);
        *ret_was_there = there;
        return 0;
}
