/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "msc.h"

#define PROBLEMS_LOGGED 8u

typedef struct Listing {
        Msc *msc;
        uint32_t volume;
        char path[BERTH_PATH_MAX];
        size_t prefix; /* length of what stands before each path of this volume */
        size_t n;      /* files of this volume */
} Listing;

MscFile *msc_find(Msc *msc, uint64_t handle) {
        return handle >= 1 && handle <= msc->n_files ? &msc->files[handle - 1] : NULL;
}

static int add_file(Msc *msc, uint32_t volume, uint64_t fs_handle) {
        if (msc->n_files == msc->room_files) {
                size_t room = msc->room_files > 0 ? msc->room_files * 2 : 256;
                MscFile *grown = reallocarray(msc->files, room, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                msc->files = grown;
                msc->room_files = room;
        }
        msc->files[msc->n_files++] = (MscFile){ .fs_handle = fs_handle, .volume = volume };
        return 0;
}

/* Behind the prefix, the components escaped one by one. */
static int make_path(Listing *l, const FsFile *file) {
        size_t at = l->prefix;

        for (size_t i = 0; i < file->n_names; i++) {
                ssize_t n;

                if (i > 0) {
                        if (at + 1 >= sizeof(l->path))
                                return -ENAMETOOLONG;
                        l->path[at++] = '/';
                }
                n = berth_host_escape(file->names[i].text, file->names[i].size, l->path + at, sizeof(l->path) - at);
                if (n < 0)
                        return (int) n;
                at += (size_t) n;
        }
        return 0;
}

static int on_file(void *userdata, const FsFile *file) {
        Listing *l = userdata;
        berth_clip clip = {
                .struct_size = sizeof(clip),
                .path = l->path,
                .size_bytes = file->size_bytes,
                .mtime_unix_sec = file->mtime_unix_sec == FS_TIME_UNKNOWN ? BERTH_TIME_UNKNOWN : file->mtime_unix_sec,
                .flags = file->read_only && !l->msc->options.erase_protected ? BERTH_CLIP_PROTECTED : 0,
        };
        int r;

        r = make_path(l, file);
        if (r < 0) {
                berth_host_log(l->msc->host, BERTH_LOG_ERR, "the path of a file on the camera is longer than %u bytes",
                               BERTH_PATH_MAX - 1);
                return r;
        }
        r = add_file(l->msc, l->volume, file->handle);
        if (r < 0)
                return r;
        clip.handle = l->msc->n_files;
        l->n++;
        return berth_host_clip(l->msc->host, &clip);
}

/* Folders that cannot be read. What was seen is told; a volume of which nothing was seen must not pass for an empty one. */
static int incomplete(const Listing *l, const MscVolume *v) {
        char name[MSC_NAME_SIZE];
        const char *problem;

        for (size_t i = 0; i < PROBLEMS_LOGGED && (problem = fs_problem(v->fs, i)); i++)
                berth_host_log(l->msc->host, BERTH_LOG_WARNING, "%s: %s", msc_volume_name(v, name), problem);
        if (l->n > 0)
                return 0;
        berth_host_log(l->msc->host, BERTH_LOG_ERR, "%s is damaged, and no file on it can be read: repair it on a computer",
                       msc_volume_name(v, name));
        return -EUCLEAN;
}

static int list_volume(Listing *l) {
        MscVolume *v = &l->msc->volumes[l->volume];
        char name[MSC_NAME_SIZE];
        int r;

        l->n = 0;
        l->prefix = 0;
        /* With one volume its paths are those that the camera's own screen shows. */
        if (l->msc->n_volumes > 1)
                l->prefix = (size_t) snprintf(l->path, sizeof(l->path), "unit%u-part%u/", v->unit->lun, v->partition);
        r = fs_walk(v->fs, on_file, l);
        if (r == FS_INCOMPLETE)
                return incomplete(l, v);
        if (r < 0 && fs_why(v->fs)[0])
                berth_host_log(l->msc->host, BERTH_LOG_ERR, "%s: %s", msc_volume_name(v, name), fs_why(v->fs));
        return r;
}

int msc_list(void *state) {
        Msc *msc = state;
        Listing *l;
        int r;

        /* Always anew: what lies in the camera may have changed. */
        msc_unmount(msc);
        r = msc_mount(msc);
        if (r < 0)
                return r;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->msc = msc;
        for (l->volume = 0; r == 0 && l->volume < msc->n_volumes; l->volume++)
                r = list_volume(l);
        free(l);
        return r;
}
