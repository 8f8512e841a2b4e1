/* SPDX-License-Identifier: Apache-2.0 */

/* A plugin that needs a function of a newer worker. */

#include "plugins/plain.h"

extern int berth_host_of_tomorrow(void);

static int open_tomorrow(berth_host *host, const char *const *options, void **ret_state) {
        (void) plain_open(host, options, ret_state);
        return berth_host_of_tomorrow();
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "abi_undefined",
        .version = "1.0",
        .open = open_tomorrow,
        .close = plain_close,
        .identify = plain_identify,
        .list = plain_list,
        .read = plain_read,
};
