/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the camera listed: every object of this session, files and folders, found by handle. No USB here. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OBJECTS_MAX 131072u            /* files and folders together */
#define OBJECTS_NAMES_MAX (32u << 20)  /* bytes of all their names */
#define OBJECTS_DEPTH_MAX 64u          /* folders above a file */
#define OBJECTS_HANDLE_NONE 0u

typedef struct MtpObject {
        uint32_t handle;
        uint32_t storage;
        uint32_t parent;   /* as the camera says; may be anything */
        uint32_t found_in; /* the folder whose listing named it, OBJECTS_HANDLE_NONE for the root */
        uint16_t protection;
        bool folder;
        bool size_known;
        bool from_list; /* told by GetObjectPropList, not by GetObjectInfo */
        uint64_t size_bytes;
        int64_t mtime_unix_sec; /* or BERTH_TIME_UNKNOWN */
        size_t name_size;
        char *name; /* raw, see PtpString; owned by the table */
} MtpObject;

typedef struct MtpObjects {
        MtpObject *items;
        size_t n, allocated;
        uint32_t *slots; /* open addressing: index + 1, 0 is free */
        size_t n_slots;  /* a power of two */
        size_t names;
} MtpObjects;

void mtp_objects_clear(MtpObjects *objects);
/*
 * Adds a copy of `object` with a name of its own (`name_size` bytes). 0; -EEXIST when the handle is there already;
 * -E2BIG past a limit; -EINVAL for the handles that mean "none" and "all"; -ENOMEM.
 */
int mtp_objects_add(MtpObjects *objects, const MtpObject *object, const char *name, size_t name_size);
/* NULL when the handle is unknown. Good until the next add. */
const MtpObject *mtp_objects_find(const MtpObjects *objects, uint32_t handle);
/*
 * What has this name (case does not count, as on the file systems of cameras) right in the folder, OBJECTS_HANDLE_NONE for the storage's
 * root; NULL: nothing. Good until the next add.
 */
const MtpObject *mtp_objects_child(const MtpObjects *objects, uint32_t storage, uint32_t folder, const char *name, size_t name_size);
/*
 * The path of an object as berth_clip wants it, its parents resolved. A chain of parents that loops or is deeper than
 * OBJECTS_DEPTH_MAX is cut there. Its length, or -ENAMETOOLONG.
 */
ssize_t mtp_objects_path(const MtpObjects *objects, const MtpObject *object, char *ret, size_t ret_size);
