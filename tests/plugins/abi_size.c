/* SPDX-License-Identifier: Apache-2.0 */

/* A plugin whose struct ends before the callbacks that every plugin has. */

#include "plugins/plain.h"

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = offsetof(berth_plugin, list),
        .name = "abi_size",
        .version = "1.0",
        PLAIN_CALLBACKS,
};
