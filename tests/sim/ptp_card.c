/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/ptp_card.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* When a clip names no time: 2026-01-01 00:00:00 UTC. */
#define DEFAULT_MTIME_SEC INT64_C(1767225600)

/* MTP 1.1 appendix A. */
static const struct {
        const char *extension;
        uint16_t format;
} formats[] = {
        { "txt", 0x3004 },  { "wav", 0x3008 },  { "mp3", 0x3009 }, { "avi", 0x300a }, { "mpg", 0x300b },
        { "mov", 0x300d },  { "jpg", 0x3801 },  { "mp4", 0xb982 }, { "3gp", 0xb984 },
};

uint16_t ptp_format_of(const PtpText *name) {
        char extension[4] = "";

        if (name->length < 4 || name->units[name->length - 4] != '.')
                return PTP_FORMAT_UNDEFINED;
        for (unsigned i = 0; i < 3; i++) {
                uint16_t unit = name->units[name->length - 3 + i];

                extension[i] = unit < 0x80 ? (char) tolower(unit) : '?';
        }
        for (size_t i = 0; i < ELEMENTSOF(formats); i++)
                if (text_equal(formats[i].extension, extension))
                        return formats[i].format;
        return PTP_FORMAT_UNDEFINED;
}

void ptp_card_done(PtpCard *card) {
        for (uint32_t i = 0; i < card->n_objects; i++) {
                free(card->objects[i].path);
                content_free(card->objects[i].content);
        }
        for (unsigned i = 0; i < card->n_storages; i++)
                free(card->storages[i].label);
        free(card->objects);
        free(card->by_handle);
        *card = (PtpCard) {};
}

/* ---- handles ---------------------------------------------------------------------------------------------- */

static int give_handle(PtpCard *card, uint32_t index) {
        if (card->n_handles == card->handle_capacity) {
                uint32_t capacity = MAX2(card->handle_capacity * 2, 64u);
                uint32_t *by_handle;

                by_handle = realloc(card->by_handle, capacity * sizeof(*by_handle));
                if (!by_handle)
                        return -ENOMEM;
                card->by_handle = by_handle;
                card->handle_capacity = capacity;
        }
        card->by_handle[card->n_handles++] = index;
        card->objects[index].handle = card->n_handles;
        return 0;
}

int ptp_card_power_on(PtpCard *card) {
        uint32_t first = card->n_objects > 0 ? card->power_cycles % card->n_objects : 0;
        int r;

        card->power_cycles++;
        card->n_handles = 0;
        for (uint32_t i = 0; i < card->n_objects; i++) {
                uint32_t index = (first + i) % card->n_objects;

                card->objects[index].handle = 0;
                if (card->objects[index].gone)
                        continue;
                r = give_handle(card, index);
                if (r < 0)
                        return r;
        }
        return 0;
}

PtpObject *ptp_object_find(const PtpCard *card, uint32_t handle) {
        PtpObject *object;

        if (handle == 0 || handle > card->n_handles)
                return NULL;
        object = &card->objects[card->by_handle[handle - 1]];
        return object->gone ? NULL : object;
}

uint32_t ptp_object_index(const PtpCard *card, const PtpObject *object) {
        return (uint32_t) (object - card->objects);
}

uint32_t ptp_object_parent_handle(const PtpCard *card, const PtpObject *object) {
        return object->parent == PTP_ROOT ? 0 : card->objects[object->parent].handle;
}

/* ---- storages --------------------------------------------------------------------------------------------- */

int ptp_storage_find(const PtpCard *card, uint32_t id) {
        for (unsigned i = 0; i < card->n_storages; i++)
                if (ptp_storage_id(i) == id)
                        return (int) i;
        return -1;
}

uint64_t ptp_storage_used(const PtpCard *card, unsigned storage) {
        uint64_t used = 0;

        for (uint32_t i = 0; i < card->n_objects; i++) {
                const PtpObject *object = &card->objects[i];

                if (!object->gone && object->storage == storage && object->content)
                        used += content_size(object->content);
        }
        return used;
}

/* ---- objects ---------------------------------------------------------------------------------------------- */

int ptp_object_add(PtpCard *card, const PtpObject *model, uint32_t *ret_index) {
        _cleanup_(freep) char *path = NULL;
        PtpObject *object;
        int r;

        if (card->n_objects == PTP_OBJECTS_MAX)
                return -ENOSPC;
        if (card->n_objects == card->capacity) {
                uint32_t capacity = MAX2(card->capacity * 2, 64u);
                PtpObject *objects;

                objects = realloc(card->objects, capacity * sizeof(*objects));
                if (!objects)
                        return -ENOMEM;
                card->objects = objects;
                card->capacity = capacity;
        }
        path = strdup(model->path);
        if (!path)
                return -ENOMEM;
        object = &card->objects[card->n_objects];
        *object = *model;
        object->gone = false;
        object->unique = ++card->next_unique;
        r = give_handle(card, card->n_objects);
        if (r < 0)
                return r;
        object->path = TAKE_PTR(path);
        *ret_index = card->n_objects++;
        return 0;
}

void ptp_object_remove(PtpCard *card, PtpObject *object) {
        uint32_t index = ptp_object_index(card, object);

        object->gone = true;
        if (object->content) {
                object->content = content_free(object->content);
                return;
        }
        /* A child always comes after its folder. */
        for (uint32_t i = index + 1; i < card->n_objects; i++)
                if (!card->objects[i].gone && card->objects[i].parent == index)
                        ptp_object_remove(card, &card->objects[i]);
}

PtpObject *ptp_clip_find(const PtpCard *card, const char *path, uint64_t nth) {
        for (uint32_t i = 0; i < card->n_objects; i++) {
                PtpObject *object = &card->objects[i];

                if (!object->gone && object->content && text_equal(object->path, path) && nth-- == 0)
                        return object;
        }
        return NULL;
}

static bool name_equal(const PtpText *a, const PtpText *b) {
        return a->length == b->length && memcmp(a->units, b->units, a->length * sizeof(a->units[0])) == 0;
}

/* The folder of this name, made when it is not there. */
static int folder_ensure(PtpCard *card, PtpObject *folder, uint32_t *ret_index) {
        for (uint32_t i = 0; i < card->n_objects; i++) {
                const PtpObject *object = &card->objects[i];

                if (!object->gone && !object->content && object->storage == folder->storage && object->parent == folder->parent &&
                    name_equal(&object->name, &folder->name)) {
                        *ret_index = i;
                        return 0;
                }
        }
        return ptp_object_add(card, folder, ret_index);
}

/* Makes the folders of `path` and gives the last one; *ret_name is what follows the last '/'. */
static int folders_ensure(PtpCard *card, const char *path, const PtpObject *clip, uint32_t *ret_parent, const char **ret_name) {
        PtpObject folder = {
                .parent = PTP_ROOT,
                .storage = clip->storage,
                .format = PTP_FORMAT_ASSOCIATION,
                .mtime_sec = clip->mtime_sec,
        };
        const char *component = path, *slash;
        int r;

        for (; (slash = strchr(component, '/')); component = slash + 1) {
                _cleanup_(freep) char *name = strndup(component, (size_t) (slash - component));
                _cleanup_(freep) char *whole = strndup(path, (size_t) (slash - path));

                if (!name || !whole)
                        return -ENOMEM;
                folder.path = whole;
                ptp_text_set(&folder.name, name);
                r = folder_ensure(card, &folder, &folder.parent);
                if (r < 0)
                        return r;
        }
        *ret_parent = folder.parent;
        *ret_name = component;
        return 0;
}

/* ---- clips from JSON -------------------------------------------------------------------------------------- */

/* "name" and "name_utf16" override the last component of the path. */
static int name_from_json(const json_t *clip, PtpText *name, char *why, size_t why_size) {
        const json_t *units = json_object_get(clip, "name_utf16");
        const char *text = json_string_value(json_object_get(clip, "name"));

        if (text)
                ptp_text_set(name, text);
        if (!units)
                return 0;
        if (!json_is_array(units) || json_array_size(units) > PTP_TEXT_MAX) {
                snprintf(why, why_size, "\"name_utf16\" must be a list of at most %u numbers.", PTP_TEXT_MAX);
                return -EINVAL;
        }
        name->length = (uint8_t) json_array_size(units);
        for (size_t i = 0; i < name->length; i++) {
                json_int_t unit = json_integer_value(json_array_get(units, i)); /* 0 for what is no number */

                if (unit < 1 || unit > UINT16_MAX) {
                        snprintf(why, why_size, "\"name_utf16\" must have numbers from 1 to 65535.");
                        return -EINVAL;
                }
                name->units[i] = (uint16_t) unit;
        }
        return 0;
}

static int path_check(const char *path, char *why, size_t why_size) {
        if (path && path[0] != 0 && path[0] != '/' && path[strlen(path) - 1] != '/' && !strstr(path, "//"))
                return 0;
        snprintf(why, why_size, "A clip needs a \"path\" such as \"DCIM/100/A.MP4\".");
        return -EINVAL;
}

static int attributes_from_json(const json_t *clip, PtpObject *object, char *why, size_t why_size) {
        const json_t *mtime = json_object_get(clip, "mtime"), *guarded = json_object_get(clip, "protected");

        if (mtime && !json_is_integer(mtime)) {
                snprintf(why, why_size, "\"mtime\" must be seconds since 1970.");
                return -EINVAL;
        }
        if (mtime)
                object->mtime_sec = json_integer_value(mtime);
        if (guarded)
                object->is_protected = json_is_true(guarded);
        return name_from_json(clip, &object->name, why, why_size);
}

static int storage_from_json(const PtpCard *card, const json_t *clip, unsigned *storage, char *why, size_t why_size) {
        const json_t *number = json_object_get(clip, "storage");

        if (number)
                *storage = (unsigned) MIN2((uint64_t) json_integer_value(number), UINT64_C(1) << 16);
        if ((number && !json_is_integer(number)) || *storage >= card->n_storages) {
                snprintf(why, why_size, "\"storage\" must be a number from 0 to %u.", card->n_storages - 1);
                return -EINVAL;
        }
        return 0;
}

int ptp_clip_add(PtpCard *card, const json_t *clip, unsigned storage, uint32_t *ret_index, char *why, size_t why_size) {
        const char *path = json_string_value(json_object_get(clip, "path")), *name;
        PtpObject object = { .mtime_sec = DEFAULT_MTIME_SEC };
        _cleanup_(content_freep) Content *content = NULL;
        _cleanup_(freep) char *copy = NULL;
        int r;

        r = path_check(path, why, why_size);
        if (r < 0)
                return r;
        r = storage_from_json(card, clip, &storage, why, why_size);
        if (r < 0)
                return r;
        object.storage = storage;
        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        object.path = copy;
        name = strrchr(path, '/');
        ptp_text_set(&object.name, name ? name + 1 : path);
        r = attributes_from_json(clip, &object, why, why_size);
        if (r < 0)
                return r;
        r = content_from_json(clip, content_seed_of(path), &content, why, why_size);
        if (r < 0)
                return r;
        r = folders_ensure(card, path, &object, &object.parent, &name);
        if (r < 0)
                return r;
        object.format = ptp_format_of(&object.name);
        object.content = content;
        r = ptp_object_add(card, &object, ret_index);
        if (r < 0) {
                snprintf(why, why_size, "The card is full: it holds %u objects at most.", PTP_OBJECTS_MAX);
                return r;
        }
        TAKE_PTR(content);
        return 0;
}

int ptp_clip_change(PtpObject *object, const json_t *change, char *why, size_t why_size) {
        PtpObject changed = *object;
        int r;

        r = attributes_from_json(change, &changed, why, why_size);
        if (r < 0)
                return r;
        r = content_change(&changed.content, change, why, why_size);
        if (r < 0)
                return r;
        changed.format = ptp_format_of(&changed.name);
        *object = changed;
        return 0;
}
