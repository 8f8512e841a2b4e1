/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* uplink.conf, as one validated struct. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/conf.h"
#include "base/macro.h"

typedef struct UplinkSettings {
        /* [uplink] */
        char *socket;
        char *state_dir; /* may be NULL */
        bool peer_known;
        uid_t peer_uid;
        gid_t peer_gid;
        unsigned transfers;
        uint64_t stall_usec;
        /* [store] */
        char *path, *mount_point;
        bool type_given, create, read_back, same_disk_is_store;
} UplinkSettings;

/* Reads the file over the defaults and checks the whole. `error` names file, line, key and why. */
int uplink_settings_load(const char *path, UplinkSettings **ret, ConfError *error);
UplinkSettings *uplink_settings_free(UplinkSettings *s);
DEFINE_CLEANUP(UplinkSettings, uplink_settings_free);
