/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/dock.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "ctl/property.h"

/* Far more than any dock has: what a broken daemon may make us remember. */
#define DOCK_OBJECTS_MAX 65536u

DockBay *dock_bay_free(DockBay *b) {
        if (!b)
                return NULL;
        properties_clear(bay_properties, n_bay_properties, b);
        free(b->object_path);
        free(b->told);
        free(b);
        return NULL;
}

DockCamera *dock_camera_free(DockCamera *c) {
        if (!c)
                return NULL;
        properties_clear(camera_properties, n_camera_properties, c);
        free(c->object_path);
        free(c);
        return NULL;
}

DEFINE_CLEANUP(DockBay, dock_bay_free);
DEFINE_CLEANUP(DockCamera, dock_camera_free);

int dock_new(Dock **ret) {
        Dock *d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        int r = properties_init(manager_properties, n_manager_properties, &d->manager);
        if (r < 0) {
                dock_free(d);
                return r;
        }
        *ret = d;
        return 0;
}

Dock *dock_free(Dock *d) {
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n_bays; i++)
                dock_bay_free(d->bays[i]);
        for (size_t i = 0; i < d->n_cameras; i++)
                dock_camera_free(d->cameras[i]);
        free(d->bays);
        free(d->cameras);
        properties_clear(manager_properties, n_manager_properties, &d->manager);
        free(d);
        return NULL;
}

DockBay *dock_find_bay(const Dock *d, const char *object_path) {
        for (size_t i = 0; i < d->n_bays; i++)
                if (text_equal(d->bays[i]->object_path, object_path))
                        return d->bays[i];
        return NULL;
}

static DockCamera *find_camera(const Dock *d, const char *object_path) {
        for (size_t i = 0; i < d->n_cameras; i++)
                if (text_equal(d->cameras[i]->object_path, object_path))
                        return d->cameras[i];
        return NULL;
}

static int bay_compare(const void *a, const void *b) {
        const DockBay *x = *(DockBay *const *) a, *y = *(DockBay *const *) b;
        return x->number < y->number ? -1 : x->number > y->number ? 1 : strcmp(x->object_path, y->object_path);
}

static int camera_compare(const void *a, const void *b) {
        const DockCamera *x = *(DockCamera *const *) a, *y = *(DockCamera *const *) b;
        int r = strcmp(x->serial, y->serial);
        return r != 0 ? r : strcmp(x->object_path, y->object_path);
}

static int new_bay(Dock *d, const char *object_path, DockBay **ret) {
        _cleanup_(dock_bay_freep) DockBay *b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        int r = properties_init(bay_properties, n_bay_properties, b);
        if (r < 0)
                return r;
        b->object_path = strdup(object_path);
        if (!b->object_path)
                return -ENOMEM;
        if (d->n_bays >= DOCK_OBJECTS_MAX)
                return -E2BIG;
        DockBay **bays = reallocarray(d->bays, d->n_bays + 1, sizeof(*bays));
        if (!bays)
                return -ENOMEM;
        d->bays = bays;
        *ret = d->bays[d->n_bays++] = TAKE_PTR(b);
        return 0;
}

static int new_camera(Dock *d, const char *object_path, DockCamera **ret) {
        _cleanup_(dock_camera_freep) DockCamera *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        int r = properties_init(camera_properties, n_camera_properties, c);
        if (r < 0)
                return r;
        c->object_path = strdup(object_path);
        if (!c->object_path)
                return -ENOMEM;
        if (d->n_cameras >= DOCK_OBJECTS_MAX)
                return -E2BIG;
        DockCamera **cameras = reallocarray(d->cameras, d->n_cameras + 1, sizeof(*cameras));
        if (!cameras)
                return -ENOMEM;
        d->cameras = cameras;
        *ret = d->cameras[d->n_cameras++] = TAKE_PTR(c);
        return 0;
}

/* Reads an a{sv} into the object that has this interface; passes over the interfaces of others. */
static int apply(Dock *d, const char *path, const char *interface, bool create, sd_bus_message *m, DockChange *ret) {
        DockChange change = { 0 };
        int r = 0;
        if (text_equal(interface, DOCK_MANAGER_INTERFACE) && text_equal(path, DOCK_PATH)) {
                change.noun = DOCK_MANAGER;
                r = properties_read(manager_properties, n_manager_properties, &d->manager, m);
        } else if (text_equal(interface, DOCK_TRANSFERS_INTERFACE)) {
                bool paused = d->manager.uploads_paused;
                r = properties_read(manager_properties, n_manager_properties, &d->manager, m);
                if (r < 0)
                        return r;
                /* Its progress is shown by bays. */
                ret->noun = paused != d->manager.uploads_paused ? DOCK_MANAGER : DOCK_NOTHING;
                return 0;
        } else if (text_equal(interface, DOCK_BAY_INTERFACE)) {
                change.bay = dock_find_bay(d, path);
                if (!change.bay && create)
                        r = new_bay(d, path, &change.bay);
                if (r < 0)
                        return r;
                change.noun = change.bay ? DOCK_BAY : DOCK_NOTHING;
                if (change.bay)
                        r = properties_read(bay_properties, n_bay_properties, change.bay, m);
        } else if (text_equal(interface, DOCK_CAMERA_INTERFACE)) {
                change.camera = find_camera(d, path);
                if (!change.camera && create)
                        r = new_camera(d, path, &change.camera);
                if (r < 0)
                        return r;
                change.noun = change.camera ? DOCK_CAMERA : DOCK_NOTHING;
                if (change.camera)
                        r = properties_read(camera_properties, n_camera_properties, change.camera, m);
        }
        if (r < 0)
                return r;
        if (change.noun == DOCK_NOTHING) {
                r = sd_bus_message_skip(m, "a{sv}");
                if (r < 0)
                        return r;
        }
        *ret = change;
        return 0;
}

static void sort(Dock *d) {
        if (d->n_bays > 1)
                qsort(d->bays, d->n_bays, sizeof(*d->bays), bay_compare);
        if (d->n_cameras > 1)
                qsort(d->cameras, d->n_cameras, sizeof(*d->cameras), camera_compare);
}

/* Reads an a{sa{sv}}: the interfaces of one object. *ret is the one that we know, if any. */
static int apply_interfaces(Dock *d, const char *path, sd_bus_message *m, DockChange *ret) {
        DockChange change = { 0 }, last;
        int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sa{sv}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sa{sv}")) > 0) {
                const char *interface;
                r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &interface);
                if (r < 0)
                        return r;
                r = apply(d, path, interface, true, m, &last);
                if (r < 0)
                        return r;
                if (last.noun != DOCK_NOTHING)
                        change = last;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = change;
        return 0;
}

int dock_load_manager(Dock *d, sd_bus_message *reply) {
        int r = properties_read(manager_properties, n_manager_properties, &d->manager, reply);
        return r < 0 && r != -ENOMEM ? -EBADMSG : r;
}

int dock_load_objects(Dock *d, sd_bus_message *reply) {
        DockChange change;
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "{oa{sa{sv}}}");
        if (r < 0)
                return -EBADMSG;
        while ((r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_DICT_ENTRY, "oa{sa{sv}}")) > 0) {
                const char *path;
                r = sd_bus_message_read_basic(reply, SD_BUS_TYPE_OBJECT_PATH, &path);
                if (r < 0)
                        return -EBADMSG;
                r = apply_interfaces(d, path, reply, &change);
                if (r < 0)
                        return r == -ENOMEM ? r : -EBADMSG;
                r = sd_bus_message_exit_container(reply);
                if (r < 0)
                        return -EBADMSG;
        }
        if (r < 0)
                return -EBADMSG;
        sort(d);
        d->present = true;
        return 0;
}

void dock_inherit(Dock *d, Dock *before) {
        DockManager manager = d->manager;
        /* It came with the objects. */
        before->manager.uploads_paused = d->manager.uploads_paused;
        d->manager = before->manager;
        before->manager = manager;
        for (size_t i = 0; i < before->n_bays; i++) {
                DockBay *b = dock_find_bay(d, before->bays[i]->object_path);
                if (!b)
                        continue;
                free(b->told);
                b->told = TAKE_PTR(before->bays[i]->told);
                b->copying = before->bays[i]->copying;
        }
}

int dock_properties_changed(Dock *d, sd_bus_message *signal, DockChange *ret) {
        const char *interface;
        int r = sd_bus_message_read_basic(signal, SD_BUS_TYPE_STRING, &interface);
        if (r < 0)
                return r;
        return apply(d, sd_bus_message_get_path(signal), interface, false, signal, ret);
}

int dock_interfaces_added(Dock *d, sd_bus_message *signal, DockChange *ret) {
        const char *path;
        int r = sd_bus_message_read_basic(signal, SD_BUS_TYPE_OBJECT_PATH, &path);
        if (r < 0)
                return r;
        r = apply_interfaces(d, path, signal, ret);
        if (r < 0)
                return r;
        sort(d);
        return 0;
}

static DockChange take_out(Dock *d, const char *path, const char *interface) {
        DockChange change = { 0 };
        if (text_equal(interface, DOCK_BAY_INTERFACE))
                change.bay = dock_find_bay(d, path);
        if (text_equal(interface, DOCK_CAMERA_INTERFACE))
                change.camera = find_camera(d, path);

        for (size_t i = 0; change.bay && i < d->n_bays; i++)
                if (d->bays[i] == change.bay) {
                        memmove(d->bays + i, d->bays + i + 1, (--d->n_bays - i) * sizeof(*d->bays));
                        change.noun = DOCK_BAY;
                        break;
                }
        for (size_t i = 0; change.camera && i < d->n_cameras; i++)
                if (d->cameras[i] == change.camera) {
                        memmove(d->cameras + i, d->cameras + i + 1, (--d->n_cameras - i) * sizeof(*d->cameras));
                        change.noun = DOCK_CAMERA;
                        break;
                }
        return change;
}

int dock_interfaces_removed(Dock *d, sd_bus_message *signal, DockChange *ret) {
        const char *path, *interface;
        DockChange change = { 0 };
        int r = sd_bus_message_read_basic(signal, SD_BUS_TYPE_OBJECT_PATH, &path);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(signal, SD_BUS_TYPE_ARRAY, "s");
        if (r < 0)
                return r;
        /* One object carries one of our interfaces; the rest of the list is the bus's own. */
        while (change.noun == DOCK_NOTHING &&
               (r = sd_bus_message_read_basic(signal, SD_BUS_TYPE_STRING, &interface)) > 0)
                change = take_out(d, path, interface);
        if (r < 0)
                return r;
        *ret = change;
        return 0;
}

bool dock_bay_is_working(const DockBay *b) {
        static const char *const resting[] = { "empty", "ready", "refused", "quarantined", "ejected" };
        for (size_t i = 0; i < ELEMENTSOF(resting); i++)
                if (text_equal(b->state, resting[i]))
                        return false;
        return true;
}
