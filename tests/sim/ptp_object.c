/* SPDX-License-Identifier: Apache-2.0 */

/* Objects of the simulated PTP camera: listing, reading, deleting, receiving (ISO 15740, 10.4.6 to 10.4.15 and 10.4.27). */

#include "sim/ptp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define ANY_STORAGE UINT32_MAX
#define ANY_FORMAT 0u
#define ALL_OBJECTS UINT32_MAX
/* As the parent of what is asked for. */
#define PARENT_ANY 0u
#define PARENT_ROOT UINT32_MAX

#define SIZE_UNKNOWN_32 UINT32_MAX
#define HANDLES_DEFAULT UINT64_C(1000000)
#define HANDLES_MAX UINT64_C(16000000)

uint64_t ptp_told_size(PtpCamera *camera, const PtpObject *object) {
        const PtpFault *lie = &camera->faults.faults[PTP_FAULT_SIZE_LIE];
        uint64_t size = object->content ? content_size(object->content) : 0;

        if (!object->content || (lie->path && !text_equal(lie->path, object->path)))
                return size;
        lie = ptp_fault_take(&camera->faults, PTP_FAULT_SIZE_LIE);
        if (!lie)
                return size;
        if (lie->has_size)
                return lie->size;
        return size + (uint64_t) (lie->has_delta ? lie->delta : 4096);
}

/* ---- listing ---------------------------------------------------------------------------------------------- */

typedef struct Selection {
        int storage; /* -1: any */
        uint32_t format;
        bool any_parent;
        uint32_t parent; /* index */
} Selection;

static PtpResponse select_objects(const PtpCamera *camera, const PtpTransaction *t, Selection *ret) {
        const PtpObject *folder;
        Selection s = { .storage = -1, .format = t->parameters[1], .parent = PTP_ROOT };

        if (t->parameters[0] != ANY_STORAGE) {
                s.storage = ptp_storage_find(&camera->card, t->parameters[0]);
                if (s.storage < 0)
                        return PTP_INVALID_STORAGE_ID;
        }
        s.any_parent = t->parameters[2] == PARENT_ANY;
        if (!s.any_parent && t->parameters[2] != PARENT_ROOT) {
                folder = ptp_object_find(&camera->card, t->parameters[2]);
                if (!folder)
                        return PTP_INVALID_OBJECT_HANDLE;
                if (folder->content)
                        return PTP_INVALID_PARENT;
                s.parent = ptp_object_index(&camera->card, folder);
        }
        *ret = s;
        return PTP_OK;
}

static bool is_selected(const Selection *s, const PtpObject *object) {
        return !object->gone && (s->storage < 0 || object->storage == (unsigned) s->storage) &&
               (s->format == ANY_FORMAT || s->format == object->format) && (s->any_parent || s->parent == object->parent);
}

PtpResponse ptp_get_num_objects(PtpCamera *camera, PtpTransaction *t) {
        Selection selection;
        PtpResponse r;

        r = select_objects(camera, t, &selection);
        if (r != PTP_OK)
                return r;
        for (uint32_t i = 0; i < camera->card.n_objects; i++)
                t->answers[0] += is_selected(&selection, &camera->card.objects[i]);
        t->n_answers = 1;
        return PTP_OK;
}

static void put_huge_handle_list(PtpTransaction *t, const PtpFault *fault) {
        uint64_t n = fault->handles ? MIN2(fault->handles, HANDLES_MAX) : HANDLES_DEFAULT;

        ptp_put_u32(&t->dataset, (uint32_t) (fault->claim ? fault->claim : n));
        for (uint32_t i = 1; i <= n; i++)
                ptp_put_u32(&t->dataset, i);
}

PtpResponse ptp_get_object_handles(PtpCamera *camera, PtpTransaction *t) {
        const PtpCard *card = &camera->card;
        const PtpFault *fault;
        Selection selection;
        uint32_t n = 0;
        PtpResponse r;

        fault = ptp_fault_take(&camera->faults, PTP_FAULT_HUGE_HANDLE_LIST);
        if (fault) {
                put_huge_handle_list(t, fault);
                return PTP_OK;
        }
        r = select_objects(camera, t, &selection);
        if (r != PTP_OK)
                return r;
        for (uint32_t i = 0; i < card->n_objects; i++)
                n += is_selected(&selection, &card->objects[i]);
        ptp_put_u32(&t->dataset, n);
        for (uint32_t i = 0; i < card->n_objects; i++)
                if (is_selected(&selection, &card->objects[i]))
                        ptp_put_u32(&t->dataset, card->objects[i].handle);
        return PTP_OK;
}

PtpResponse ptp_get_object_info(PtpCamera *camera, PtpTransaction *t) {
        const PtpObject *object = ptp_object_find(&camera->card, t->parameters[0]);
        char date[PTP_DATE_SIZE];
        PtpWriter *w = &t->dataset;

        if (!object)
                return PTP_INVALID_OBJECT_HANDLE;
        ptp_put_u32(w, ptp_storage_id(object->storage));
        ptp_put_u16(w, object->format);
        ptp_put_u16(w, object->is_protected);
        ptp_put_u32(w, (uint32_t) MIN2(ptp_told_size(camera, object), (uint64_t) SIZE_UNKNOWN_32));
        ptp_put_u16(w, 0); /* no thumbnail: format, size, width, height */
        ptp_put_u32(w, 0);
        ptp_put_u32(w, 0);
        ptp_put_u32(w, 0);
        ptp_put_u32(w, 0); /* no image: width, height, depth */
        ptp_put_u32(w, 0);
        ptp_put_u32(w, 0);
        ptp_put_u32(w, ptp_object_parent_handle(&camera->card, object));
        ptp_put_u16(w, !object->content); /* association type: generic folder, or none */
        ptp_put_u32(w, 0); /* association description */
        ptp_put_u32(w, 0); /* sequence number */
        ptp_put_text(w, &object->name);
        ptp_put_string(w, ptp_date(camera, object->mtime_sec, date));
        ptp_put_string(w, date);
        ptp_put_string(w, ""); /* keywords */
        return PTP_OK;
}

/* ---- reading ---------------------------------------------------------------------------------------------- */

/* Sends at most `size` bytes of the object from `offset`. */
static PtpResponse give_range(PtpCamera *camera, PtpTransaction *t, uint64_t offset, uint64_t size) {
        const PtpObject *object = ptp_object_find(&camera->card, t->parameters[0]);

        if (!object || !object->content)
                return PTP_INVALID_OBJECT_HANDLE;
        if (offset > content_size(object->content))
                return PTP_INVALID_PARAMETER;
        t->object = object->handle;
        t->object_offset = offset;
        t->payload_size = MIN2(size, content_size(object->content) - offset);
        return PTP_OK;
}

PtpResponse ptp_get_object(PtpCamera *camera, PtpTransaction *t) {
        return give_range(camera, t, 0, UINT64_MAX);
}

PtpResponse ptp_get_thumb(PtpCamera *camera, PtpTransaction *t) {
        return ptp_object_find(&camera->card, t->parameters[0]) ? PTP_NO_THUMBNAIL : PTP_INVALID_OBJECT_HANDLE;
}

/* The response tells how many bytes were sent. */
static PtpResponse give_part(PtpCamera *camera, PtpTransaction *t, uint64_t offset, uint32_t size) {
        PtpResponse r;

        r = give_range(camera, t, offset, size);
        if (r != PTP_OK)
                return r;
        t->answers[0] = (uint32_t) t->payload_size;
        t->n_answers = 1;
        return PTP_OK;
}

PtpResponse ptp_get_partial_object(PtpCamera *camera, PtpTransaction *t) {
        return give_part(camera, t, t->parameters[1], t->parameters[2]);
}

PtpResponse ptp_get_partial_object64(PtpCamera *camera, PtpTransaction *t) {
        return give_part(camera, t, t->parameters[1] | (uint64_t) t->parameters[2] << 32, t->parameters[3]);
}

/* ---- deleting --------------------------------------------------------------------------------------------- */

static PtpResponse may_delete(const PtpCamera *camera, const PtpObject *object) {
        if (camera->card.storages[object->storage].is_read_only)
                return PTP_STORE_READ_ONLY;
        return object->is_protected ? PTP_OBJECT_WRITE_PROTECTED : PTP_OK;
}

/* Whether something that stays lies beneath the folder. */
static bool is_held(const PtpCamera *camera, uint32_t folder) {
        const PtpCard *card = &camera->card;

        for (uint32_t i = folder + 1; i < card->n_objects; i++) {
                const PtpObject *object = &card->objects[i];

                if (!object->gone && object->parent == folder &&
                    (may_delete(camera, object) != PTP_OK || (!object->content && is_held(camera, i))))
                        return true;
        }
        return false;
}

/* A folder goes with all that is in it, or, when something in it must stay, loses the rest. */
static PtpResponse delete_one(PtpCamera *camera, PtpObject *object) {
        uint32_t index = ptp_object_index(&camera->card, object);
        PtpResponse r;

        r = may_delete(camera, object);
        if (r != PTP_OK)
                return r;
        if (!object->content && is_held(camera, index)) {
                for (uint32_t i = index + 1; i < camera->card.n_objects; i++)
                        if (!camera->card.objects[i].gone && camera->card.objects[i].parent == index)
                                (void) delete_one(camera, &camera->card.objects[i]);
                return PTP_PARTIAL_DELETION;
        }
        ptp_object_remove(&camera->card, object);
        camera->counters.deletes++;
        return PTP_OK;
}

static PtpResponse delete_all(PtpCamera *camera, int storage, uint32_t format) {
        bool kept = false;

        for (uint32_t i = 0; i < camera->card.n_objects; i++) {
                PtpObject *object = &camera->card.objects[i];

                if (object->gone || (storage >= 0 && object->storage != (unsigned) storage) ||
                    (format == ANY_FORMAT ? object->parent != PTP_ROOT : object->format != format))
                        continue;
                if (delete_one(camera, object) != PTP_OK)
                        kept = true;
        }
        return kept ? PTP_PARTIAL_DELETION : PTP_OK;
}

PtpResponse ptp_delete_object(PtpCamera *camera, PtpTransaction *t) {
        const PtpFault *denied = ptp_fault_take(&camera->faults, PTP_FAULT_DELETE_DENIED);
        PtpObject *object;

        if (denied)
                return denied->code ? (PtpResponse) denied->code : PTP_ACCESS_DENIED;
        if (ptp_fault_take(&camera->faults, PTP_FAULT_DELETE_LIES))
                return PTP_OK;
        if (t->parameters[0] == ALL_OBJECTS)
                return delete_all(camera, -1, t->parameters[1]);
        object = ptp_object_find(&camera->card, t->parameters[0]);
        return object ? delete_one(camera, object) : PTP_INVALID_OBJECT_HANDLE;
}

PtpResponse ptp_format_store(PtpCamera *camera, PtpTransaction *t) {
        int storage = ptp_storage_find(&camera->card, t->parameters[0]);

        if (storage < 0)
                return PTP_INVALID_STORAGE_ID;
        if (camera->card.storages[storage].is_read_only)
                return PTP_STORE_READ_ONLY;
        for (uint32_t i = 0; i < camera->card.n_objects; i++)
                if (!camera->card.objects[i].gone && camera->card.objects[i].storage == (unsigned) storage)
                        ptp_object_remove(&camera->card, &camera->card.objects[i]);
        return PTP_OK;
}
