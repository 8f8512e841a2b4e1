/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/uplink_client.h"

#include <string.h>

#include "proof/uplink_socket.h"

const char *uplink_client_path(const Options *options) {
        return options->uplink_socket ? options->uplink_socket : "/run/berth-uplink/uplink.sock";
}

int uplink_client_open(const Options *options, sd_bus **ret) {
        const char *path = uplink_client_path(options);
        int r = uplink_socket_connect(path, ret);
        return r < 0 ? ctl_fail(CTL_UNREACHABLE, "berth-uplink cannot be reached at %s: %s", path, strerrordesc_np(-r)) : CTL_OK;
}
