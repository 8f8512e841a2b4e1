/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A plain, blocking client of berth-uplink's socket (base/wire_uplink.h), for root and the daemon's user. */

#include <systemd/sd-bus.h>

#include "base/conf.h"
#include "base/digest.h"

int uplink_socket_connect(const char *path, sd_bus **ret);
/* A small text of the store; the caller frees. -ENOENT when there is none, -EBADMSG when it is none, else -EIO: with a sentence. */
int uplink_socket_fetch(sd_bus *bus, const char *key, char **ret, ConfError *error);

/* The others as well: -ENOENT, -EEXIST when something else lies there (or what lies there is damaged), else -EIO. */
int uplink_socket_keep(sd_bus *bus, const char *key, const char *text, ConfError *error);
/* One answer's worth of keys after `after`; a negative result of `each` ends it, and is returned. -EOPNOTSUPP: this store lists nothing. */
int uplink_socket_list(sd_bus *bus, const char *prefix, const char *after, int (*each)(void *userdata, const char *key), void *userdata,
                       bool *ret_more, ConfError *error);
int uplink_socket_put_image(sd_bus *bus, int fd, uint64_t size_bytes, const Digest *digest, bool *ret_was_there, ConfError *error);
