/* SPDX-License-Identifier: Apache-2.0 */

/* A plugin made for an ABI that does not exist yet. */

#include "plugins/plain.h"

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI + 1,
        .struct_size = sizeof(berth_plugin),
        .name = "abi_version",
        .version = "1.0",
        PLAIN_CALLBACKS,
};
