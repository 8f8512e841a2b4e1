/* SPDX-License-Identifier: Apache-2.0 */

/* Objects that a host sends to the simulated PTP camera (ISO 15740, 10.4.12 and 10.4.13). They are kept in memory. */

#include "sim/ptp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define ANY_STORAGE 0u
#define PARENT_CHOICE 0u
#define PARENT_ROOT UINT32_MAX

/* Where the object is to go. */
static PtpResponse choose_place(const PtpCamera *camera, const PtpTransaction *t, PtpObject *object) {
        const PtpCard *card = &camera->card;
        int storage = t->parameters[0] == ANY_STORAGE ? 0 : ptp_storage_find(card, t->parameters[0]);
        const PtpObject *folder;

        object->parent = PTP_ROOT;
        if (storage < 0 || card->n_storages == 0)
                return PTP_INVALID_STORAGE_ID;
        object->storage = (unsigned) storage;
        if (card->storages[storage].is_read_only)
                return PTP_STORE_READ_ONLY;
        if (t->parameters[1] == PARENT_CHOICE || t->parameters[1] == PARENT_ROOT)
                return PTP_OK;
        folder = ptp_object_find(card, t->parameters[1]);
        if (!folder || folder->content || folder->storage != object->storage)
                return PTP_INVALID_PARENT;
        object->parent = ptp_object_index(card, folder);
        return PTP_OK;
}

/* Of the dataset the camera keeps format, protection, size, name and time. */
static bool read_info(const PtpCamera *camera, const PtpTransaction *t, PtpObject *object, uint32_t *ret_size) {
        PtpReader reader = { .data = t->received.data, .size = t->received.size };
        _cleanup_(freep) char *date = NULL;
        PtpText text;

        (void) ptp_get_u32(&reader); /* storage */
        object->format = ptp_get_u16(&reader);
        object->is_protected = ptp_get_u16(&reader) != 0;
        *ret_size = ptp_get_u32(&reader);
        /* Thumbnail 14, image 12, parent 4, association 6, sequence 4. */
        for (size_t skipped = 0; skipped < 40; skipped += sizeof(uint32_t))
                (void) ptp_get_u32(&reader);
        ptp_get_text(&reader, &object->name);
        ptp_get_text(&reader, &text);
        if (reader.failed || object->name.length == 0)
                return false;
        object->mtime_sec = ptp_clock_usec(camera) / (int64_t) USEC_PER_SEC;
        ptp_get_text(&reader, &text);
        date = ptp_text_to_utf8(&text);
        if (date && !reader.failed)
                (void) ptp_date_parse(date, camera->zone_minutes, &object->mtime_sec);
        return true;
}

static char *make_path(const PtpCamera *camera, const PtpObject *object) {
        _cleanup_(freep) char *name = ptp_text_to_utf8(&object->name);

        if (!name)
                return NULL;
        if (object->parent == PTP_ROOT)
                return TAKE_PTR(name);
        return text_format("%s/%s", camera->card.objects[object->parent].path, name);
}

void ptp_forget_announced(PtpCamera *camera) {
        PtpObject *object = ptp_object_find(&camera->card, camera->announced);

        camera->announced = 0;
        if (object)
                ptp_object_remove(&camera->card, object);
}

PtpResponse ptp_send_object_info(PtpCamera *camera, PtpTransaction *t) {
        PtpCard *card = &camera->card;
        _cleanup_(freep) char *path = NULL;
        PtpObject object = {};
        uint32_t index, size;
        PtpResponse r;

        ptp_forget_announced(camera);
        r = choose_place(camera, t, &object);
        if (r != PTP_OK)
                return r;
        if (!read_info(camera, t, &object, &size))
                return PTP_INVALID_PARAMETER;
        if (size > CONTENT_MEMORY_MAX || size + ptp_storage_used(card, object.storage) > card->storages[object.storage].total_bytes)
                return PTP_STORE_FULL;
        object.path = path = make_path(camera, &object);
        if (!path)
                return PTP_GENERAL_ERROR;
        if (object.format != PTP_FORMAT_ASSOCIATION && content_new_zero(0, &object.content) < 0)
                return PTP_GENERAL_ERROR;
        if (ptp_object_add(card, &object, &index) < 0) {
                content_free(object.content);
                return PTP_STORE_FULL;
        }
        camera->announced = object.content ? card->objects[index].handle : 0;
        camera->announced_size = size;
        t->answers[0] = ptp_storage_id(object.storage);
        t->answers[1] = ptp_object_parent_handle(card, &object);
        t->answers[2] = card->objects[index].handle;
        t->n_answers = 3;
        return PTP_OK;
}

PtpResponse ptp_send_object(PtpCamera *camera, PtpTransaction *t) {
        PtpObject *object = ptp_object_find(&camera->card, camera->announced);
        PtpResponse r = PTP_OK;
        Content *content;

        if (!object)
                return PTP_NO_VALID_OBJECT_INFO;
        if (t->overflowed || t->received.failed)
                r = PTP_STORE_FULL;
        else if (t->received.size != camera->announced_size)
                r = PTP_INCOMPLETE_TRANSFER;
        else if (content_new_memory(t->received.data, t->received.size, &content) < 0)
                r = PTP_GENERAL_ERROR;
        if (r != PTP_OK) {
                ptp_forget_announced(camera);
                return r;
        }
        camera->announced = 0;
        t->received = (PtpWriter) {};
        content_free(object->content);
        object->content = content;
        return PTP_OK;
}
