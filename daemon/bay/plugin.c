/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/plugin.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "base/wire_bay.h"

/* What ABI version 1 had from the start. Members appended later lie beyond it. */
#define STRUCT_SIZE_MIN (offsetof(berth_plugin, erase) + sizeof(((berth_plugin *) NULL)->erase))

static int copy_text(const char *path, const char *what, const char *from, char ret[static BERTH_TEXT_MAX], Fault *fault) {
        if (!from || from[0] == 0 || strnlen(from, BERTH_TEXT_MAX) >= BERTH_TEXT_MAX || !text_is_printable(from))
                return fault_set(fault, WIRE_BAY_E_PLUGIN,
                                 "%s: its %s is not a printable text of less than %u bytes", path, what, BERTH_TEXT_MAX);
        memcpy(ret, from, strlen(from) + 1);
        return 0;
}

static int check_required(const char *path, const berth_plugin *calls, Fault *fault) {
        const char *missing = !calls->open       ? "open"
                              : !calls->close    ? "close"
                              : !calls->identify ? "identify"
                              : !calls->list     ? "list"
                              : !calls->read     ? "read"
                                                 : NULL;

        if (missing)
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "%s: the required callback %s() is missing", path, missing);
        return 0;
}

int plugin_check(const char *path, const berth_plugin *entry, Plugin *ret, Fault *fault) {
        Plugin p = {};
        int r;

        /* The version first: another one may have another layout behind it. */
        if (entry->abi_version != BERTH_PLUGIN_ABI)
                return fault_set(fault, WIRE_BAY_E_PLUGIN,
                                 "%s: made for plugin ABI %u, and this Berth speaks ABI %u: build it against this Berth's <berth/plugin.h>",
                                 path, entry->abi_version, BERTH_PLUGIN_ABI);
        if (entry->struct_size < STRUCT_SIZE_MIN || entry->struct_size > 65536)
                return fault_set(fault, WIRE_BAY_E_PLUGIN,
                                 "%s: says that its struct has %u bytes, where ABI %u has at least %zu: "
                                 "set struct_size to sizeof(berth_plugin)",
                                 path, entry->struct_size, BERTH_PLUGIN_ABI, STRUCT_SIZE_MIN);
        memcpy(&p.calls, entry, MIN2((size_t) entry->struct_size, sizeof(p.calls)));
        r = copy_text(path, "name", p.calls.name, p.name, fault);
        if (r < 0)
                return r;
        r = copy_text(path, "version", p.calls.version, p.version, fault);
        if (r < 0)
                return r;
        r = check_required(path, &p.calls, fault);
        if (r < 0)
                return r;
        *ret = p;
        return 0;
}

int plugin_load(const char *path, Plugin *ret, Fault *fault) {
        const berth_plugin *entry;
        void *library;
        int r;

        /* Everything is bound now: afterwards the sandbox lets nothing be loaded. */
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "cannot load the plugin: %s", dlerror());
        entry = dlsym(library, BERTH_PLUGIN_SYMBOL);
        if (!entry)
                r = fault_set(fault, WIRE_BAY_E_PLUGIN, "%s: exports no %s, so it is no camera plugin", path, BERTH_PLUGIN_SYMBOL);
        else
                r = plugin_check(path, entry, ret, fault);
        if (r >= 0)
                ret->library = library;
        return r;
}
