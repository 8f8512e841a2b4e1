/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mtp.h"
#include "ptp_date.h"

int mtp_date_parse(const Mtp *mtp, const PtpString *text, PtpDate *ret) {
        PtpDate date;
        int r;

        r = ptp_date_parse(text->text, text->size, mtp->options.local_time ? 0 : mtp->options.utc_offset_minutes, &date);
        if (r < 0)
                return r;
        if (mtp->options.local_time && !date.zoned)
                date.unix_sec = berth_host_local_to_utc(date.unix_sec);
        *ret = date;
        return 0;
}

/* The first of two dates that is one. */
static int64_t object_mtime(const Mtp *mtp, const PtpString *modified, const PtpString *captured) {
        const PtpString *dates[] = { modified, captured };

        for (size_t i = 0; i < 2; i++) {
                PtpDate date;

                if (mtp_date_parse(mtp, dates[i], &date) == 0)
                        return date.unix_sec;
        }
        return BERTH_TIME_UNKNOWN;
}

/* ---- GetObjectPropList ---- */

#define HAS_STORAGE (1u << 0)
#define HAS_FORMAT (1u << 1)
#define HAS_SIZE (1u << 2)
#define HAS_NAME (1u << 3)
#define HAS_PARENT (1u << 4)
#define HAS_ALL (HAS_STORAGE | HAS_FORMAT | HAS_SIZE | HAS_NAME | HAS_PARENT)

/* The object whose properties are just coming; they come object by object. */
typedef struct Gather {
        Mtp *mtp;
        uint32_t found_in;
        MtpObject object;
        unsigned has;
        PtpString name, modified, created;
        int (*flush)(struct Gather *gather);
        ssize_t n; /* flushed */
} Gather;

static void gather_begin(Gather *g, uint32_t handle) {
        g->object = (MtpObject){ .handle = handle, .found_in = g->found_in, .from_list = true };
        g->has = 0;
        g->name.size = g->modified.size = g->created.size = 0;
}

static int gather_end(Gather *g) {
        if (g->object.handle == PTP_HANDLE_NONE || (g->has & HAS_ALL) != HAS_ALL)
                return 0;
        g->object.mtime_unix_sec = object_mtime(g->mtp, &g->modified, &g->created);
        return g->flush(g);
}

static int gather_prop(void *userdata, const ObjectProp *prop) {
        Gather *g = userdata;
        uint64_t v = (uint64_t) prop->value.number;
        bool text = prop->value.is_text;

        if (prop->handle != g->object.handle) {
                int r = gather_end(g);

                if (r < 0)
                        return r;
                gather_begin(g, prop->handle);
        }
        if (prop->code == MTP_PROP_STORAGE && !text) {
                g->object.storage = (uint32_t) v;
                g->has |= HAS_STORAGE;
        } else if (prop->code == MTP_PROP_FORMAT && !text) {
                g->object.folder = v == PTP_FORMAT_ASSOCIATION;
                g->has |= HAS_FORMAT;
        } else if (prop->code == MTP_PROP_PROTECTION && !text)
                g->object.protection = (uint16_t) v;
        else if (prop->code == MTP_PROP_PARENT && !text) {
                g->object.parent = (uint32_t) v;
                g->has |= HAS_PARENT;
        } else if (prop->code == MTP_PROP_SIZE && !text && v != PTP_LENGTH_UNKNOWN) {
                g->object.size_bytes = v;
                g->object.size_known = true;
                g->has |= HAS_SIZE;
        } else if (prop->code == MTP_PROP_FILE_NAME && text) {
                g->name = prop->value.text;
                g->has |= HAS_NAME;
        } else if (prop->code == MTP_PROP_DATE_MODIFIED && text)
                g->modified = prop->value.text;
        else if (prop->code == MTP_PROP_DATE_CREATED && text)
                g->created = prop->value.text;
        return 0;
}

/* All properties of the object (depth 0) or of those right below it (depth 1). */
static int gather_run(Gather *g, uint32_t handle, uint32_t depth) {
        uint8_t *data = NULL;
        size_t size;
        int r;

        r = ptp_receive(&g->mtp->link, PTP_REQUEST(MTP_GET_OBJECT_PROP_LIST, handle, 0, MTP_PROP_ALL, 0, depth),
                        LIST_MAX, &data, &size);
        if (r < 0)
                return r;
        gather_begin(g, PTP_HANDLE_NONE);
        r = ptp_object_prop_list_parse(data, size, gather_prop, g);
        free(data);
        return r < 0 ? r : gather_end(g);
}

static int flush_child(Gather *g) {
        int r;

        r = mtp_objects_add(&g->mtp->objects, &g->object, g->name.text, g->name.size);
        if (r == -EEXIST || r == -EINVAL) /* the folder itself; a handle that names no object */
                return 0;
        if (r == 0)
                g->n++;
        return r;
}

ssize_t mtp_ask_children(Mtp *mtp, uint32_t folder) {
        Gather g = { .mtp = mtp, .found_in = folder, .flush = flush_child };
        int r;

        if (mtp->options.no_prop_list || !mtp_can(mtp, MTP_GET_OBJECT_PROP_LIST))
                return 0;
        r = gather_run(&g, folder, 1);
        if (r < 0 && (mtp->link.dead || r == -E2BIG || r == -ENOMEM))
                return r;
        if (r < 0)
                berth_host_log(mtp->host, BERTH_LOG_DEBUG, "GetObjectPropList is of no use here: %s",
                               strerror(-r));
        return g.n;
}

static int flush_one(Gather *g) {
        g->n++;
        return -EALREADY; /* the one that was wanted */
}

int mtp_ask_props(Mtp *mtp, uint32_t handle, MtpObject *ret, PtpString *ret_name) {
        Gather g = { .mtp = mtp, .flush = flush_one };
        int r;

        r = gather_run(&g, handle, 0);
        if (r < 0 && r != -EALREADY)
                return r;
        if (g.n == 0 || g.object.handle != handle)
                return -ENODATA;
        *ret = g.object;
        *ret_name = g.name;
        return 0;
}

/* ---- GetObjectInfo ---- */

/*
 * The size as an object property, for objects whose ObjectInfo has no room for it. -ENODATA when the camera does not
 * tell it in 64 bits.
 */
static int ask_size(Mtp *mtp, uint32_t handle, uint64_t *ret) {
        PropertyValue value;
        uint8_t *data = NULL;
        size_t size;
        int r;

        if (!mtp_can(mtp, MTP_GET_OBJECT_PROP_VALUE))
                return -ENODATA;
        r = ptp_receive(&mtp->link, PTP_REQUEST(MTP_GET_OBJECT_PROP_VALUE, handle, MTP_PROP_SIZE), DATASET_MAX, &data,
                        &size);
        if (r == -EOPNOTSUPP || r == -EIO || r == -EPROTO)
                return mtp->link.dead ? r : -ENODATA;
        if (r < 0)
                return r;
        r = size == 8 ? ptp_property_value_parse(data, size, PTP_TYPE_UINT64, &value) : -ENODATA;
        free(data);
        if (r < 0)
                return -ENODATA;
        *ret = (uint64_t) value.number;
        return 0;
}

int mtp_ask_info(Mtp *mtp, uint32_t handle, MtpObject *ret, PtpString *ret_name) {
        MtpObject object;
        ObjectInfo info;
        uint8_t *data = NULL;
        size_t size;
        int r;

        r = ptp_receive(&mtp->link, PTP_REQUEST(PTP_GET_OBJECT_INFO, handle), DATASET_MAX, &data, &size);
        if (r < 0)
                return r;
        r = ptp_object_info_parse(data, size, &info);
        free(data);
        if (r < 0)
                return r;
        object = (MtpObject){
                .handle = handle,
                .storage = info.storage,
                .parent = info.parent,
                .protection = info.protection,
                .folder = info.format == PTP_FORMAT_ASSOCIATION,
                .size_known = info.size_bytes != PTP_LENGTH_UNKNOWN,
                .size_bytes = info.size_bytes,
                .mtime_unix_sec = object_mtime(mtp, &info.modified, &info.captured),
        };
        if (!object.folder && !object.size_known) {
                r = ask_size(mtp, handle, &object.size_bytes);
                if (r < 0 && r != -ENODATA)
                        return r;
                object.size_known = r == 0;
        }
        *ret = object;
        *ret_name = info.name;
        return 0;
}
