/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A plain, blocking client of berth-uplink's socket (base/wire_uplink.h), for root and the daemon's user. */

#include <systemd/sd-bus.h>

#include "base/conf.h"

int uplink_socket_connect(const char *path, sd_bus **ret);
/* A small text of the store; the caller frees. -ENOENT when there is none, -EBADMSG when it is none, else -EIO: with a sentence. */
int uplink_socket_fetch(sd_bus *bus, const char *key, char **ret, ConfError *error);
