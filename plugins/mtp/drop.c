/* SPDX-License-Identifier: Apache-2.0 */

/* A firmware file onto the camera: SendObjectInfo and SendObject (ISO 15740 §10.5.12 and §10.5.13), and ResetDevice (§10.5.16). */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mtp.h"

#define NAME_MAX_UNITS 254u
#define ANNOUNCEMENT_MAX 1024u

typedef struct Place {
        uint32_t storage, folder;
        const char *rest; /* of the path: what is not there yet */
        bool whole;       /* the file itself is there: */
        uint32_t file;
} Place;

static int refuse(Mtp *mtp, int error, const char *why) {
        berth_host_log(mtp->host, BERTH_LOG_ERR, "%s", why);
        return error;
}

static size_t component(const char *path) {
        return strcspn(path, "/");
}

/* Follows the path as far as the storage has it. -EISDIR: a folder has the file's name; -ENOTDIR: a file has a folder's. */
static int follow(Mtp *mtp, uint32_t storage, const char *path, Place *ret) {
        Place p = { .storage = storage, .folder = OBJECTS_HANDLE_NONE, .rest = path };

        for (;;) {
                size_t n = component(p.rest);
                const MtpObject *o = mtp_objects_child(&mtp->objects, storage, p.folder, p.rest, n);
                bool last = p.rest[n] == 0;

                if (!o)
                        break;
                if (o->folder == last)
                        return last ? -EISDIR : -ENOTDIR;
                if (last) {
                        p.whole = true;
                        p.file = o->handle;
                        break;
                }
                p.folder = o->handle;
                p.rest += n + 1;
        }
        *ret = p;
        return 0;
}

/* The storage that has most of the path; of equals the first. What cannot be written to is none. */
static int find_place(Mtp *mtp, const char *path, uint64_t size, Place *ret) {
        uint32_t *ids = NULL;
        bool found = false, writable = false;
        size_t n = 0;
        int r;

        r = mtp_storages(mtp, &ids, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                StorageInfo info;
                Place p;

                r = mtp_storage_info(mtp, ids[i], &info);
                if (r == MTP_STORAGE_EMPTY || (r == 0 && info.access != 0)) {
                        r = 0;
                        continue;
                }
                if (r == 0)
                        r = follow(mtp, ids[i], path, &p);
                if (r != 0)
                        break;
                writable = true;
                /* What it takes the place of is deleted before. */
                if (!p.whole && info.free_bytes != UINT64_MAX && info.free_bytes < size)
                        continue;
                if (!found || p.whole > ret->whole || p.rest > ret->rest)
                        *ret = p;
                found = true;
        }
        free(ids);
        if (r < 0)
                return refuse(mtp, r, r == -EISDIR || r == -ENOTDIR ? "what has the name of the firmware file, or of its folder, is of the "
                                                                      "other kind" :
                                                                      "the camera does not describe its storages");
        if (!found)
                return writable ? refuse(mtp, -ENOSPC, "no storage of the camera has room for the firmware file") :
                                  refuse(mtp, -EROFS, "no storage of the camera can be written to");
        return 0;
}

/* *ret: the handle that it has from now on. */
static int announce(Mtp *mtp, const ObjectAnnouncement *a, uint32_t *ret) {
        uint8_t data[ANNOUNCEMENT_MAX];
        size_t size = ptp_object_info_put(data, sizeof(data), a);
        PtpResponse response;
        int r;

        if (size == 0)
                return -ENAMETOOLONG;
        r = ptp_call_send(&mtp->link, PTP_REQUEST(PTP_SEND_OBJECT_INFO, a->storage, a->parent ? a->parent : PTP_HANDLE_ALL), data, size,
                          &response);
        if (r == 0)
                r = ptp_response_error(&response);
        if (r < 0)
                return r;
        if (response.n < 3 || response.params[2] == PTP_HANDLE_NONE || response.params[2] == PTP_HANDLE_ALL)
                return -EBADMSG;
        *ret = response.params[2];
        return 0;
}

/* Makes the folders that are missing; *name is what is left: the file's. */
static int make_folders(Mtp *mtp, Place *p, const char **ret_name) {
        const char *at = p->rest;

        for (size_t n = component(at); at[n]; at += n + 1, n = component(at)) {
                char name[NAME_MAX_UNITS + 1];
                int r;

                if (n > NAME_MAX_UNITS)
                        return -ENAMETOOLONG;
                memcpy(name, at, n);
                name[n] = 0;
                r = announce(mtp, &(const ObjectAnnouncement){ .storage = p->storage, .parent = p->folder, .format = PTP_FORMAT_ASSOCIATION,
                                                               .association = PTP_ASSOCIATION_FOLDER, .name = name },
                             &p->folder);
                if (r < 0)
                        return r;
        }
        *ret_name = at;
        return 0;
}

/* What is before it is with the camera, or on its way. */
static ssize_t read_image(void *userdata, uint64_t offset, void *data, size_t length) {
        berth_host_sent(userdata, offset);
        return berth_host_image(userdata, offset, data, length);
}

/* Has it what was sent, under the name that was sent? Some cameras say yes to what they cut. */
static int look(Mtp *mtp, uint32_t handle, const char *name, uint64_t size) {
        MtpObject object;
        PtpString told;
        int r;

        r = mtp_ask_info(mtp, handle, &object, &told);
        if (r < 0)
                return r;
        if (object.folder || !object.size_known || object.size_bytes != size || told.size != strlen(name) ||
            memcmp(told.text, name, told.size) != 0)
                return refuse(mtp, -EIO, "the camera took the firmware file, and then told another name or size of it");
        return 0;
}

static int send(Mtp *mtp, const Place *p, const char *name, uint64_t size) {
        const PtpSource source = { .size = size, .read = read_image, .userdata = mtp->host };
        PtpResponse response;
        uint32_t handle;
        int r;

        r = announce(mtp, &(const ObjectAnnouncement){ .storage = p->storage, .parent = p->folder, .format = PTP_FORMAT_UNDEFINED,
                                                       .size_bytes = (uint32_t) size, .name = name },
                     &handle);
        if (r < 0)
                return r;
        r = ptp_call_source(&mtp->link, PTP_REQUEST(PTP_SEND_OBJECT), &source, &response);
        if (r == 0)
                r = ptp_response_error(&response);
        if (r == 0)
                berth_host_sent(mtp->host, size);
        if (r == 0)
                r = look(mtp, handle, name, size);
        /* A part of a file must not lie where the camera looks for firmware. */
        if (r < 0 && !mtp->link.dead)
                (void) ptp_do(&mtp->link, PTP_REQUEST(PTP_DELETE_OBJECT, handle, PTP_FORMAT_ANY));
        return r;
}

static bool is_ascii(const char *s) {
        for (; *s; s++)
                if (*s < 0x20 || *s > 0x7e)
                        return false;
        return true;
}

int mtp_drop(void *state, const char *path, uint64_t size_bytes) {
        const char *name = NULL;
        Mtp *mtp = state;
        Place place = { 0 };
        int r;

        if (!mtp_can(mtp, PTP_SEND_OBJECT_INFO) || !mtp_can(mtp, PTP_SEND_OBJECT) || !mtp_can(mtp, PTP_DELETE_OBJECT))
                return refuse(mtp, -EOPNOTSUPP, "the camera lets no file be sent to it");
        if (size_bytes >= PTP_LENGTH_UNKNOWN || !is_ascii(path))
                return refuse(mtp, -EINVAL, "a firmware file must have less than 4 GiB, and an ASCII name");
        mtp_objects_clear(&mtp->objects);
        r = mtp_walk(mtp);
        if (r >= 0)
                r = find_place(mtp, path, size_bytes, &place);
        if (r >= 0 && place.whole)
                r = ptp_do(&mtp->link, PTP_REQUEST(PTP_DELETE_OBJECT, place.file, PTP_FORMAT_ANY));
        if (r >= 0)
                r = make_folders(mtp, &place, &name);
        if (r >= 0)
                r = send(mtp, &place, name, size_bytes);
        return r == -EACCES || r == -EROFS || r == -EBUSY ? BERTH_DENIED : r;
}

int mtp_restart(void *state) {
        Mtp *mtp = state;
        int r;

        if (!mtp_can(mtp, PTP_RESET_DEVICE))
                return refuse(mtp, -EOPNOTSUPP, "the camera has no command to restart; its model file must say 'update_restart = power' or "
                                                "'hand'");
        r = ptp_do(&mtp->link, PTP_REQUEST(PTP_RESET_DEVICE));
        /* The session went with it, and so may have the camera. */
        mtp->link.dead = true;
        return r == -ENODEV ? 0 : r;
}
