/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One camera in a session, and the callbacks that the plugin is made of. */

#include <berth/plugin.h>

#include "datasets.h"
#include "objects.h"
#include "options.h"
#include "ptp_date.h"
#include "ptp_transaction.h"

#define DATASET_MAX (64u << 10)    /* of one dataset */
#define LIST_MAX (16u << 20)       /* of one answer to GetObjectPropList */
#define STORAGES_MAX 64u

typedef struct Mtp {
        berth_host *host;
        PtpLink link;
        MtpOptions options;
        DeviceInfo info;
        MtpObjects objects; /* of the last list() */
        bool exact_ends;    /* the camera refuses to be asked for a byte past an object's end */
} Mtp;

/* Does the camera name the operation, and do the codes of the vendor range mean what MTP says? */
bool mtp_can(const Mtp *mtp, uint16_t operation);

/* storage.c */
/* The ids of the camera's storages; -ENOMEDIUM when there is none. *ret_ids is new, to be freed. */
int mtp_storages(Mtp *mtp, uint32_t **ret_ids, size_t *ret_n);
/* Is that a slot that may be without a card (ISO 15740 §5.5.2)? */
bool mtp_storage_is_slot(uint32_t id);
#define MTP_STORAGE_EMPTY 1
/* 0, MTP_STORAGE_EMPTY for a slot without a card, or -errno. */
int mtp_storage_info(Mtp *mtp, uint32_t id, StorageInfo *ret);

/* listing.c */
/* Fills `objects` with all that is on the camera. */
int mtp_walk(Mtp *mtp);
int mtp_list(void *state);

/* ask.c: a date, by the zone that it names or the model's. -EINVAL for what is none. */
int mtp_date_parse(const Mtp *mtp, const PtpString *text, PtpDate *ret);
/* What the camera says about its objects. -ENOENT: there is no such object (any more). */
int mtp_ask_info(Mtp *mtp, uint32_t handle, MtpObject *ret, PtpString *ret_name);
/* The same by GetObjectPropList, when that tells all that matters; else -ENODATA. */
int mtp_ask_props(Mtp *mtp, uint32_t handle, MtpObject *ret, PtpString *ret_name);
/*
 * Adds to `objects` what GetObjectPropList tells of the objects right below `folder` (0: the roots of all storages),
 * those of which it tells all that matters. The number added, or -errno; 0 from a camera that cannot.
 */
ssize_t mtp_ask_children(Mtp *mtp, uint32_t folder);

/* read.c, erase.c, format.c */
int mtp_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length);
int mtp_erase(void *state, const berth_clip *clip);
int mtp_format(void *state);

/* drop.c: a firmware file onto the camera, and a restart */
int mtp_drop(void *state, const char *path, uint64_t size_bytes);
int mtp_restart(void *state);

/* health.c */
int mtp_health(void *state, berth_health *ret);
int mtp_set_clock(void *state, int64_t unix_sec);
/* How full a battery is; -EINVAL when the property does not say. Pure. */
int mtp_battery_percent(const PropertyDesc *desc, uint8_t *ret);
/* -EINVAL when it is no temperature. Which of those that are a camera can have, the host judges. */
int mtp_temperature(int64_t told, MtpUnit unit, int32_t *ret_decidegrees);
