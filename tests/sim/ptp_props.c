/* SPDX-License-Identifier: Apache-2.0 */

/* MTP object properties of the simulated PTP camera (MTP 1.1 appendix B, operations 0x9801 to 0x9805). */

#include "sim/ptp.h"

#include <errno.h>
#include <string.h>

enum {
        PROP_STORAGE_ID = 0xdc01,
        PROP_OBJECT_FORMAT = 0xdc02,
        PROP_PROTECTION_STATUS = 0xdc03,
        PROP_OBJECT_SIZE = 0xdc04,
        PROP_ASSOCIATION_TYPE = 0xdc05,
        PROP_OBJECT_FILE_NAME = 0xdc07,
        PROP_DATE_CREATED = 0xdc08,
        PROP_DATE_MODIFIED = 0xdc09,
        PROP_PARENT_OBJECT = 0xdc0b,
        PROP_PERSISTENT_UNIQUE_ID = 0xdc41,
        PROP_NAME = 0xdc44,
        PROP_DATE_ADDED = 0xdc4e,
};

#define ALL_PROPS UINT32_MAX
#define ALL_OBJECTS UINT32_MAX
#define ALL_LEVELS UINT32_MAX
#define ROOT 0u

static const struct {
        uint16_t code;
        PtpDataType type;
} props[] = {
        { PROP_STORAGE_ID, PTP_TYPE_U32 },          { PROP_OBJECT_FORMAT, PTP_TYPE_U16 },
        { PROP_PROTECTION_STATUS, PTP_TYPE_U16 },   { PROP_OBJECT_SIZE, PTP_TYPE_U64 },
        { PROP_ASSOCIATION_TYPE, PTP_TYPE_U16 },    { PROP_OBJECT_FILE_NAME, PTP_TYPE_STRING },
        { PROP_DATE_CREATED, PTP_TYPE_STRING },     { PROP_DATE_MODIFIED, PTP_TYPE_STRING },
        { PROP_PARENT_OBJECT, PTP_TYPE_U32 },       { PROP_PERSISTENT_UNIQUE_ID, PTP_TYPE_U128 },
        { PROP_NAME, PTP_TYPE_STRING },             { PROP_DATE_ADDED, PTP_TYPE_STRING },
};

PtpResponse ptp_get_object_props_supported(PtpCamera *camera, PtpTransaction *t) {
        (void) camera;
        ptp_put_u32(&t->dataset, ELEMENTSOF(props));
        for (size_t i = 0; i < ELEMENTSOF(props); i++)
                ptp_put_u16(&t->dataset, props[i].code);
        return PTP_OK;
}

/* The default value of a type: zero, or an empty string. */
static void put_default(PtpWriter *w, PtpDataType type) {
        static const uint8_t zero[16] = {};
        size_t size = type == PTP_TYPE_STRING ? 1 : type == PTP_TYPE_U16 ? 2 : type == PTP_TYPE_U32 ? 4 : type == PTP_TYPE_U64 ? 8 : 16;

        ptp_put_bytes(w, zero, size);
}

PtpResponse ptp_get_object_prop_desc(PtpCamera *camera, PtpTransaction *t) {
        PtpWriter *w = &t->dataset;

        (void) camera;
        for (size_t i = 0; i < ELEMENTSOF(props); i++) {
                if (props[i].code != t->parameters[0])
                        continue;
                ptp_put_u16(w, props[i].code);
                ptp_put_u16(w, (uint16_t) props[i].type);
                ptp_put_u8(w, 0); /* get only */
                put_default(w, props[i].type);
                ptp_put_u32(w, 0); /* group */
                ptp_put_u8(w, 0);  /* no form */
                return PTP_OK;
        }
        return PTP_INVALID_OBJECT_PROP;
}

/* What stays the same of an object in every session, and differs from every other's. */
static void put_unique_id(const PtpCamera *camera, const PtpObject *object, PtpWriter *w) {
        ptp_put_u64(w, content_seed_of(camera->ptp_serial));
        ptp_put_u32(w, object->unique);
        ptp_put_u32(w, ptp_storage_id(object->storage));
}

static PtpResponse put_value(PtpCamera *camera, const PtpObject *object, uint32_t code, PtpWriter *w) {
        char date[PTP_DATE_SIZE];

        switch (code) {
        case PROP_STORAGE_ID:
                ptp_put_u32(w, ptp_storage_id(object->storage));
                break;
        case PROP_OBJECT_FORMAT:
                ptp_put_u16(w, object->format);
                break;
        case PROP_PROTECTION_STATUS:
                ptp_put_u16(w, object->is_protected);
                break;
        case PROP_OBJECT_SIZE:
                ptp_put_u64(w, ptp_told_size(camera, object));
                break;
        case PROP_ASSOCIATION_TYPE:
                ptp_put_u16(w, object->content ? 0 : 1);
                break;
        case PROP_OBJECT_FILE_NAME:
        case PROP_NAME:
                ptp_put_text(w, &object->name);
                break;
        case PROP_DATE_CREATED:
        case PROP_DATE_MODIFIED:
        case PROP_DATE_ADDED:
                ptp_put_string(w, ptp_date(camera, object->mtime_sec, date));
                break;
        case PROP_PARENT_OBJECT:
                ptp_put_u32(w, ptp_object_parent_handle(&camera->card, object));
                break;
        case PROP_PERSISTENT_UNIQUE_ID:
                put_unique_id(camera, object, w);
                break;
        default:
                return PTP_INVALID_OBJECT_PROP;
        }
        return PTP_OK;
}

PtpResponse ptp_get_object_prop_value(PtpCamera *camera, PtpTransaction *t) {
        const PtpObject *object = ptp_object_find(&camera->card, t->parameters[0]);

        if (!object)
                return PTP_INVALID_OBJECT_HANDLE;
        return put_value(camera, object, t->parameters[1], &t->dataset);
}

/* ---- GetObjectPropList ------------------------------------------------------------------------------------ */

/* The objects asked for: one, or all, or those in a folder (0: the root), with or without what is beneath them. */
typedef struct Scope {
        uint32_t handle, depth, format;
        uint32_t index; /* of `handle` */
} Scope;

static bool is_in_scope(const PtpCamera *camera, const Scope *s, uint32_t index) {
        const PtpObject *object = &camera->card.objects[index];
        bool is_everything = s->handle == ALL_OBJECTS || (s->handle == ROOT && s->depth == ALL_LEVELS);
        uint32_t up = object->parent;

        if (object->gone || (s->format != 0 && s->format != object->format))
                return false;
        if (is_everything || (s->handle != ROOT && s->index == index))
                return true;
        if (s->depth == 0)
                return false;
        for (uint32_t level = 1; level < s->depth && up != s->index && up != PTP_ROOT; level++)
                up = camera->card.objects[up].parent;
        return up == s->index;
}

static PtpResponse put_props(PtpCamera *camera, const PtpObject *object, uint32_t code, PtpWriter *w, uint32_t *n) {
        PtpResponse r;

        for (size_t i = 0; i < ELEMENTSOF(props); i++) {
                if (code != ALL_PROPS && code != props[i].code)
                        continue;
                ptp_put_u32(w, object->handle);
                ptp_put_u16(w, props[i].code);
                ptp_put_u16(w, (uint16_t) props[i].type);
                r = put_value(camera, object, props[i].code, w);
                if (r != PTP_OK)
                        return r;
                (*n)++;
        }
        return PTP_OK;
}

/* Parameters: object, format, property, group, depth. */
PtpResponse ptp_get_object_prop_list(PtpCamera *camera, PtpTransaction *t) {
        Scope scope = { .handle = t->parameters[0], .format = t->parameters[1], .depth = t->parameters[4], .index = PTP_ROOT };
        const PtpObject *object;
        PtpWriter *w = &t->dataset;
        uint32_t n = 0;
        PtpResponse r;

        if (t->parameters[2] == 0)
                return t->parameters[3] == 0 ? PTP_INVALID_PARAMETER : PTP_GROUP_UNSUPPORTED;
        if (scope.handle != ROOT && scope.handle != ALL_OBJECTS) {
                object = ptp_object_find(&camera->card, scope.handle);
                if (!object)
                        return PTP_INVALID_OBJECT_HANDLE;
                scope.index = ptp_object_index(&camera->card, object);
        }
        ptp_put_u32(w, 0);
        for (uint32_t i = 0; i < camera->card.n_objects; i++) {
                if (!is_in_scope(camera, &scope, i))
                        continue;
                r = put_props(camera, &camera->card.objects[i], t->parameters[2], w, &n);
                if (r != PTP_OK)
                        return r;
        }
        for (size_t i = 0; !w->failed && i < sizeof(n); i++)
                w->data[i] = (uint8_t) (n >> 8 * i);
        return PTP_OK;
}
