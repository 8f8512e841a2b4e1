/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The loaded camera plugin: its callbacks, checked against the ABI of include/berth/plugin.h. */

#include <berth/plugin.h>

#include "bay/fault.h"

typedef struct Plugin {
        void *library;
        berth_plugin calls; /* members that the plugin's struct does not reach are NULL */
        char name[BERTH_TEXT_MAX], version[BERTH_TEXT_MAX];
} Plugin;

/* dlopen and checks. The library is never unloaded: its threads and destructors are not ours to know. */
int plugin_load(const char *path, Plugin *ret, Fault *fault);
/* The checks alone, for a struct that is in memory. `path` is for the sentences. */
int plugin_check(const char *path, const berth_plugin *entry, Plugin *ret, Fault *fault);
