/* SPDX-License-Identifier: Apache-2.0 */

/* A plugin that cannot read. */

#include "plugins/plain.h"

static int (*const not_used)(void *, const berth_clip *, uint64_t, uint64_t) __attribute__((unused)) = plain_read;

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "abi_callback",
        .version = "1.0",
        .open = plain_open,
        .close = plain_close,
        .identify = plain_identify,
        .list = plain_list,
};
