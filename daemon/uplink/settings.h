/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* uplink.conf, as one validated struct. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/conf.h"
#include "base/macro.h"
#include "uplink/pace.h"

#define UPLINK_DEFAULT_SOCKET "/run/berth-uplink/uplink.sock"

typedef enum StoreType {
        STORE_NONE,
        STORE_DIR,
        STORE_S3,
        STORE_TUS,
        _STORE_TYPE_MAX,
} StoreType;

typedef struct UplinkSettings {
        /* [uplink] */
        char *socket;
        char *state_dir; /* may be NULL */
        bool peer_known;
        uid_t peer_uid;
        gid_t peer_gid;
        unsigned transfers;
        uint64_t stall_usec;
        PaceRule limits[PACE_RULES_MAX];
        size_t n_limits;
        /* [store] */
        StoreType type;
        bool read_back;
        /* … of type dir */
        char *path, *mount_point;
        bool create, same_disk_is_store;
        /* … of type s3; what is not set is NULL */
        char *endpoint, *region, *bucket, *prefix, *credentials;
        bool virtual_host, plain_http, sole_writer, content_md5;
        uint64_t part_size_bytes; /* 0: by the clip's size */
        char *storage_class, *encryption, *encryption_key, *kms_key, *tags, *lock_mode;
        bool customer_key; /* encryption = sse-c */
        uint64_t retention_sec;
        bool legal_hold;
        char *ca_file, *client_certificate, *client_key, *proxy;
        /* … of type tus, which has some of the above as well */
        char *url;
        json_t *written; /* what the file says: a list of {key, value, origin}, secrets left out */
} UplinkSettings;

/*
 * Reads the file, and then its drop-ins in order of their names, over the defaults, and checks the whole. `error` names file, line, key and
 * why.
 */
int uplink_settings_load(const char *path, UplinkSettings **ret, ConfError *error);
/* settings_show.c: one line of the file for `written`. */
int uplink_settings_note(UplinkSettings *s, const ConfLine *line);
/*
 * The settings with where each comes from, as `berthd --show` prints its own: JSON, the caller's; NULL when out of memory. A key that is
 * not of the store's type is left out; of a URL that has a password in it, that is.
 */
char *uplink_settings_show(const UplinkSettings *s, const char *path);
UplinkSettings *uplink_settings_free(UplinkSettings *s);
DEFINE_CLEANUP(UplinkSettings, uplink_settings_free);
