/* SPDX-License-Identifier: Apache-2.0 */
#include "objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <berth/plugin.h>

#include "ptp.h"

void mtp_objects_clear(MtpObjects *objects) {
        for (size_t i = 0; i < objects->n; i++)
                free(objects->items[i].name);
        free(objects->items);
        free(objects->slots);
        *objects = (MtpObjects){ 0 };
}

/* The slot that holds the handle, or the free one where it belongs. */
static size_t find_slot(const MtpObjects *objects, uint32_t handle) {
        size_t mask = objects->n_slots - 1, i = (handle * UINT32_C(2654435761)) & mask;

        while (objects->slots[i] != 0 && objects->items[objects->slots[i] - 1].handle != handle)
                i = (i + 1) & mask;
        return i;
}

/* Twice as many items, and slots for twice as many as that, so that a search always meets a free one. */
static int grow(MtpObjects *objects) {
        size_t allocated = objects->allocated ? objects->allocated * 2 : 256;
        uint32_t *slots;
        MtpObject *items;

        items = realloc(objects->items, allocated * sizeof(*items));
        if (!items)
                return -ENOMEM;
        objects->items = items;
        slots = calloc(allocated * 2, sizeof(*slots));
        if (!slots)
                return -ENOMEM;
        free(objects->slots);
        objects->slots = slots;
        objects->n_slots = allocated * 2;
        objects->allocated = allocated;
        for (size_t i = 0; i < objects->n; i++)
                slots[find_slot(objects, items[i].handle)] = (uint32_t) i + 1;
        return 0;
}

int mtp_objects_add(MtpObjects *objects, const MtpObject *object, const char *name, size_t name_size) {
        char *copy;
        int r;

        if (object->handle == PTP_HANDLE_NONE || object->handle == PTP_HANDLE_ALL)
                return -EINVAL;
        if (mtp_objects_find(objects, object->handle))
                return -EEXIST;
        if (objects->n >= OBJECTS_MAX || name_size > OBJECTS_NAMES_MAX - objects->names)
                return -E2BIG;
        if (objects->n == objects->allocated) {
                r = grow(objects);
                if (r < 0)
                        return r;
        }
        copy = malloc(name_size + 1);
        if (!copy)
                return -ENOMEM;
        if (name_size > 0)
                memcpy(copy, name, name_size);
        copy[name_size] = '\0';
        objects->slots[find_slot(objects, object->handle)] = (uint32_t) objects->n + 1;
        objects->items[objects->n] = *object;
        objects->items[objects->n].name = copy;
        objects->items[objects->n].name_size = name_size;
        objects->n++;
        objects->names += name_size;
        return 0;
}

const MtpObject *mtp_objects_find(const MtpObjects *objects, uint32_t handle) {
        uint32_t slot;

        if (objects->n_slots == 0)
                return NULL;
        slot = objects->slots[find_slot(objects, handle)];
        return slot == 0 ? NULL : &objects->items[slot - 1];
}

/*
 * The folder above. The camera's own ParentObject counts when it names a folder that was listed; cameras that leave
 * it empty have at least named the object in a folder's listing.
 */
static const MtpObject *parent_of(const MtpObjects *objects, const MtpObject *object) {
        const MtpObject *parent = mtp_objects_find(objects, object->parent);

        if (parent && parent->folder && parent != object)
                return parent;
        parent = mtp_objects_find(objects, object->found_in);
        return parent && parent->folder && parent != object ? parent : NULL;
}

const MtpObject *mtp_objects_child(const MtpObjects *objects, uint32_t storage, uint32_t folder, const char *name, size_t name_size) {
        for (size_t i = 0; i < objects->n; i++) {
                const MtpObject *o = &objects->items[i], *parent = parent_of(objects, o);

                if (o->storage == storage && (parent ? parent->handle : OBJECTS_HANDLE_NONE) == folder && o->name_size == name_size &&
                    strncasecmp(o->name, name, name_size) == 0)
                        return o;
        }
        return NULL;
}

ssize_t mtp_objects_path(const MtpObjects *objects, const MtpObject *object, char *ret, size_t ret_size) {
        const MtpObject *chain[OBJECTS_DEPTH_MAX + 1];
        size_t depth = 0, used = 0;

        for (const MtpObject *o = object; o && depth <= OBJECTS_DEPTH_MAX; o = parent_of(objects, o)) {
                bool seen = false;

                for (size_t i = 0; i < depth && !seen; i++)
                        seen = chain[i] == o;
                if (seen)
                        break;
                chain[depth++] = o;
        }
        for (size_t i = depth; i > 0; i--) {
                ssize_t n;

                if (i < depth) {
                        if (used + 1 >= ret_size)
                                return -ENAMETOOLONG;
                        ret[used++] = '/';
                }
                n = berth_host_escape(chain[i - 1]->name, chain[i - 1]->name_size, ret + used, ret_size - used);
                if (n < 0)
                        return n;
                used += (size_t) n;
        }
        if (used >= ret_size)
                return -ENAMETOOLONG;
        ret[used] = '\0';
        return (ssize_t) used;
}
