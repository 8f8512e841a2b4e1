/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/conf.h"

/*
 * The listening socket: the service manager's (sd_listen_fds(3)), else a new one at `path` with mode 0660, given to `gid` when
 * `give`. A socket file that a killed process left is replaced; a living one's is not (-EADDRINUSE). Returns the descriptor;
 * *ret_own says whether the socket file is ours to remove.
 */
int listen_open(const char *path, bool give, gid_t gid, bool *ret_own, ConfError *error);
