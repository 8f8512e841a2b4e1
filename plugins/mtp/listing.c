/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mtp.h"

#define HANDLES_DATA_MAX (4u + 4u * OBJECTS_MAX)
#define ALIVE_EVERY 64u

/*
 * Which objects there are is told by GetObjectHandles alone, folder by folder; GetObjectPropList only saves asking for
 * each. So a camera whose property lists leave something out costs time and no footage.
 */
typedef struct Walk {
        Mtp *mtp;
        uint32_t storage;
        bool lists;  /* GetObjectPropList is of use */
        size_t asked;
} Walk;

static int ask_handles(Walk *walk, uint32_t folder, uint32_t **ret, size_t *ret_n) {
        uint8_t *data = NULL;
        size_t size;
        int r;

        r = ptp_receive(&walk->mtp->link, PTP_REQUEST(PTP_GET_OBJECT_HANDLES, walk->storage, 0, folder),
                        HANDLES_DATA_MAX, &data, &size);
        if (r < 0)
                return r == -EMSGSIZE ? -E2BIG : r;
        r = ptp_id_array_parse(data, size, OBJECTS_MAX, ret, ret_n);
        free(data);
        return r;
}

static int walk_object(Walk *walk, uint32_t handle, uint32_t found_in) {
        Mtp *mtp = walk->mtp;
        MtpObject object;
        PtpString name;
        int r;

        if (handle == PTP_HANDLE_NONE || handle == PTP_HANDLE_ALL || mtp_objects_find(&mtp->objects, handle))
                return 0;
        if (walk->asked++ % ALIVE_EVERY == 0)
                berth_host_alive(mtp->host);
        r = mtp_ask_info(mtp, handle, &object, &name);
        if (r == -ENOENT)
                return 0; /* deleted since the handles were told */
        if (r < 0) {
                berth_host_log(mtp->host, BERTH_LOG_ERR, "the camera does not describe object 0x%08x (%s), so its "
                               "listing is not complete", (unsigned) handle, strerror(-r));
                return r;
        }
        object.found_in = found_in;
        if (object.storage == 0) /* some cameras say it only when asked for the storages */
                object.storage = walk->storage;
        return mtp_objects_add(&mtp->objects, &object, name.text, name.size);
}

/* What lies right in one folder (PTP_HANDLE_ALL: in the root); from some cameras it is all there is, which is fine. */
static int walk_folder(Walk *walk, uint32_t folder, uint32_t *handles, size_t n) {
        uint32_t found_in = folder == PTP_HANDLE_ALL ? PTP_HANDLE_NONE : folder;
        size_t new = 0;
        int r;

        for (size_t i = 0; i < n; i++)
                new += !mtp_objects_find(&walk->mtp->objects, handles[i]);
        if (walk->lists && new > 1) {
                ssize_t added = mtp_ask_children(walk->mtp, found_in);

                if (added < 0)
                        return (int) added;
                walk->lists = added > 0;
        }
        for (size_t i = 0; i < n; i++) {
                r = walk_object(walk, handles[i], found_in);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int not_listed(const Walk *walk, int r) {
        berth_host_log(walk->mtp->host, BERTH_LOG_ERR, "the camera's storage 0x%08x cannot be listed: %s",
                       (unsigned) walk->storage, strerror(-r));
        return r;
}

static int walk_root(Walk *walk) {
        uint32_t *handles = NULL;
        size_t n = 0;
        int r;

        /* Cameras that know no root answer with an error, or nothing, but have a list of everything. */
        r = ask_handles(walk, PTP_HANDLE_ALL, &handles, &n);
        if ((r < 0 && (r == -EOPNOTSUPP || r == -EPROTO || r == -EIO || r == -ENOENT) && !walk->mtp->link.dead) ||
            (r == 0 && n == 0))
                r = ask_handles(walk, PTP_HANDLE_NONE, &handles, &n);
        if (r < 0)
                return not_listed(walk, r);
        r = walk_folder(walk, PTP_HANDLE_ALL, handles, n);
        free(handles);
        return r;
}

static int walk_folders(Walk *walk, size_t from) {
        Mtp *mtp = walk->mtp;

        /* The table grows while it is walked; each handle is in it once, so this ends. */
        for (size_t i = from; i < mtp->objects.n; i++) {
                uint32_t folder = mtp->objects.items[i].handle, *handles = NULL;
                size_t n;
                int r;

                if (!mtp->objects.items[i].folder)
                        continue;
                walk->storage = mtp->objects.items[i].storage;
                r = ask_handles(walk, folder, &handles, &n);
                if (r < 0)
                        return not_listed(walk, r);
                r = walk_folder(walk, folder, handles, n);
                free(handles);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int walk_storages(Mtp *mtp, const uint32_t *storages, size_t n) {
        Walk walk = { .mtp = mtp, .lists = true };
        bool medium = false;
        int r;

        for (size_t i = 0; i < n; i++) {
                size_t from = mtp->objects.n;

                walk.storage = storages[i];
                r = walk_root(&walk);
                if (r == -ENOMEDIUM && mtp_storage_is_slot(storages[i]))
                        continue;
                if (r == 0)
                        r = walk_folders(&walk, from);
                if (r < 0)
                        return r;
                medium = true;
        }
        /* A camera without its card must not pass for an empty one. */
        return medium ? 0 : -ENOMEDIUM;
}

static int report(Mtp *mtp) {
        char path[BERTH_PATH_MAX];
        int r;

        for (size_t i = 0; i < mtp->objects.n; i++) {
                const MtpObject *o = &mtp->objects.items[i];
                berth_clip clip = {
                        .struct_size = sizeof(clip),
                        .path = path,
                        .size_bytes = o->size_known ? o->size_bytes : 0,
                        .mtime_unix_sec = o->mtime_unix_sec,
                        .handle = o->handle,
                        .flags = (o->size_known ? 0 : BERTH_CLIP_SIZE_UNKNOWN) |
                                 (o->protection == PTP_PROTECTION_READ_ONLY ? BERTH_CLIP_PROTECTED : 0),
                };
                ssize_t n;

                if (o->folder)
                        continue;
                n = mtp_objects_path(&mtp->objects, o, path, sizeof(path));
                if (n < 0) {
                        berth_host_log(mtp->host, BERTH_LOG_ERR, "the path of object 0x%08x is longer than %u bytes",
                                       (unsigned) o->handle, BERTH_PATH_MAX - 1);
                        return (int) n;
                }
                r = berth_host_clip(mtp->host, &clip);
                if (r < 0)
                        return r;
        }
        return 0;
}

int mtp_walk(Mtp *mtp) {
        uint32_t *storages = NULL;
        size_t n;
        int r;

        mtp_objects_clear(&mtp->objects);
        r = mtp_storages(mtp, &storages, &n);
        if (r < 0) {
                berth_host_log(mtp->host, BERTH_LOG_ERR, "the camera shows no storage: %s", strerror(-r));
                return r;
        }
        r = walk_storages(mtp, storages, n);
        free(storages);
        return r;
}

int mtp_list(void *state) {
        int r = mtp_walk(state);

        return r < 0 ? r : report(state);
}
