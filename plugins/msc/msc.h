/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The state of one mass-storage camera in one session, and the callbacks that the plugin is made of. */

#include <berth/plugin.h>

#include "fs.h"
#include "options.h"
#include "scsi.h"
#include "written.h"

#define MSC_VOLUMES_MAX 32u
#define MSC_NAME_SIZE 48u

/* A file system on a partition of a logical unit. */
typedef struct MscVolume {
        ScsiUnit *unit;
        unsigned partition; /* 0: the whole medium */
        uint64_t first;     /* of its sectors */
        Disk disk;
        Fs *fs;
        Written written; /* by what is under way */
        bool distrusted; /* it did not keep what was written to it */
} MscVolume;

/* A clip's handle is the index of it, plus one. */
typedef struct MscFile {
        uint64_t fs_handle;
        uint32_t volume;
        bool erased;
} MscFile;

typedef struct Msc {
        berth_host *host;
        MscOptions options;
        ScsiUnit units[BOT_LUNS_MAX];
        unsigned n_units;
        MscVolume volumes[MSC_VOLUMES_MAX];
        size_t n_volumes;
        bool mounted; /* `volumes` is what is there */
        MscFile *files; /* of the last list() */
        size_t n_files, room_files;
        FsExtents extents; /* of the file that was read last */
        uint64_t extents_of; /* its handle, 0: nobody's */
        BotLink link;
} Msc;

/* volumes.c */
/*
 * Finds the volumes of all units; nothing to do when that is done. -ENOMEDIUM when no unit has a medium; -EMEDIUMTYPE when
 * there is one that is neither FAT nor exFAT where footage could be; the reason is logged.
 */
int msc_mount(Msc *msc);
/* Forgets them, and what was listed of them. Writes nothing. */
void msc_unmount(Msc *msc);
/* What a person calls it: "unit 0", "partition 1 of unit 0". */
const char *msc_volume_name(const MscVolume *volume, char ret[static MSC_NAME_SIZE]);

/* listing.c, read.c, erase.c, health.c */
int msc_list(void *state);
/* NULL for a handle that list() did not give. */
MscFile *msc_find(Msc *msc, uint64_t handle);
int msc_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length);
int msc_erase(void *state, const berth_clip *clip);
int msc_health(void *state, berth_health *ret);

/* drop.c */
int msc_drop(void *state, const char *path, uint64_t size_bytes);
