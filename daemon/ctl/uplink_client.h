/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The way to the store: by berth-uplink, which alone has its credentials. What goes wrong is said on stderr. */

#include <systemd/sd-bus.h>

#include "ctl/ctl.h"

/* Which socket that is, by the options. */
const char *uplink_client_path(const Options *options);
/* A CtlExit; the caller unrefs. What may be asked is in proof/uplink_socket.h. */
int uplink_client_open(const Options *options, sd_bus **ret);
