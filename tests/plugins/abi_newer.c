/* SPDX-License-Identifier: Apache-2.0 */

/* A plugin of this ABI version, made against a header with more members at its end: it must work. */

#include "plugins/plain.h"

typedef struct newer_plugin {
        berth_plugin now;
        void *later[8];
} newer_plugin;

extern const newer_plugin newer_entry __asm__("berth_plugin_entry");
const newer_plugin newer_entry = {
        .now = {
                .abi_version = BERTH_PLUGIN_ABI,
                .struct_size = sizeof(newer_plugin),
                .name = "abi_newer",
                .version = "2.0",
                PLAIN_CALLBACKS,
        },
};
