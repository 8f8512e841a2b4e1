/* SPDX-License-Identifier: Apache-2.0 */

/* org.berth.Dock1.Catalog, and org.berth.Dock1.Firmware for each image that it has: see their XML files. */

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/view.h"
#include "service/catalog_follow.h"
#include "service/image.h"

/* ---- An image -------------------------------------------------------------------------------------------------------- */

typedef struct FirmwareView {
        char *model, *version, *floor, *sha256;
        uint64_t size_bytes;
        int here;
} FirmwareView;

typedef struct BusFirmware BusFirmware;
struct BusFirmware {
        BusFirmware *next;
        char *path;
        sd_bus_slot *slot;
        FirmwareView view;
        bool seen; /* in this look */
};

#define FIRMWARE(name, type, kind, member)                                                                        \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(BusFirmware, view) + offsetof(FirmwareView, member), SD_BUS_VTABLE_PROPERTY_##kind)

static const sd_bus_vtable firmware_vtable[] = {
        SD_BUS_VTABLE_START(0),
        FIRMWARE("Model", "s", CONST, model),
        FIRMWARE("Version", "s", CONST, version),
        FIRMWARE("Floor", "s", EMITS_CHANGE, floor),
        FIRMWARE("SizeBytes", "t", EMITS_CHANGE, size_bytes),
        FIRMWARE("Sha256", "s", EMITS_CHANGE, sha256),
        FIRMWARE("Here", "b", EMITS_CHANGE, here),
        SD_BUS_VTABLE_END,
};

static const ViewMember firmware_members[] = {
        { "Model", VIEW_TEXT, offsetof(FirmwareView, model) },
        { "Version", VIEW_TEXT, offsetof(FirmwareView, version) },
        { "Floor", VIEW_TEXT, offsetof(FirmwareView, floor) },
        { "SizeBytes", VIEW_U64, offsetof(FirmwareView, size_bytes) },
        { "Sha256", VIEW_TEXT, offsetof(FirmwareView, sha256) },
        { "Here", VIEW_BOOL, offsetof(FirmwareView, here) },
};

static BusFirmware *firmware_free(BusFirmware *f) {
        if (!f)
                return NULL;
        sd_bus_slot_unref(f->slot);
        view_clear(firmware_members, ELEMENTSOF(firmware_members), &f->view);
        free(f->path);
        free(f);
        return NULL;
}
DEFINE_CLEANUP(BusFirmware, firmware_free);

static int firmware_connect(const Bus *b, BusFirmware *f) {
        return b->bus ? sd_bus_add_object_vtable(b->bus, &f->slot, f->path, BUS_FIRMWARE_INTERFACE, firmware_vtable, f) : 0;
}

static int firmware_show(const Bus *b, BusFirmware *f, const CatalogImage *image) {
        FirmwareView now = { .size_bytes = image->size_bytes, .here = images_has(manager_images(b->manager), image) };
        char hex[DIGEST_HEX_SIZE];
        int r;

        if ((r = view_text(&now.model, image->model)) >= 0 && (r = view_text(&now.version, image->version)) >= 0 &&
            (r = view_text(&now.floor, image->floor)) >= 0 &&
            (r = view_text(&now.sha256, digest_to_hex(&image->digest, hex))) >= 0)
                view_show(f->slot ? b->bus : NULL, f->path, BUS_FIRMWARE_INTERFACE, firmware_members, ELEMENTSOF(firmware_members),
                          &f->view, &now, sizeof(now));
        view_clear(firmware_members, ELEMENTSOF(firmware_members), &now);
        return r;
}

/* ---- The catalog ----------------------------------------------------------------------------------------------------- */

typedef struct CatalogView {
        int follows;
        uint64_t number;
        int64_t expires_usec;
        char *trouble;
} CatalogView;

struct BusCatalog {
        sd_bus_slot *slot;
        CatalogView view;
        bool changed;
        BusFirmware *first;
        uint64_t images_revision; /* of the copies that were looked at */
};

#define CATALOG(name, type, member)                                                                               \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(BusCatalog, view) + offsetof(CatalogView, member), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        CATALOG("Follows", "b", follows),
        CATALOG("Number", "t", number),
        CATALOG("ExpiresUsec", "x", expires_usec),
        CATALOG("Trouble", "s", trouble),
        SD_BUS_VTABLE_END,
};

static const ViewMember members[] = {
        { "Follows", VIEW_BOOL, offsetof(CatalogView, follows) },
        { "Number", VIEW_U64, offsetof(CatalogView, number) },
        { "ExpiresUsec", VIEW_I64, offsetof(CatalogView, expires_usec) },
        { "Trouble", VIEW_TEXT, offsetof(CatalogView, trouble) },
};

static int add(const Bus *b, const CatalogImage *image) {
        _cleanup_(firmware_freep) BusFirmware *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        r = sd_bus_path_encode_many(&f->path, BUS_FIRMWARE_PATH "/%/%", image->model, image->version);
        if (r >= 0)
                r = firmware_show(b, f, image);
        if (r >= 0)
                r = firmware_connect(b, f);
        if (r < 0)
                return r;
        if (b->bus && sd_bus_emit_object_added(b->bus, f->path) < 0)
                log_debug(NULL, "%s cannot be announced", f->path);
        f->seen = true;
        f->next = b->catalog->first;
        b->catalog->first = TAKE_PTR(f);
        return 0;
}

static void remove_unseen(const Bus *b) {
        for (BusFirmware **p = &b->catalog->first; *p;) {
                BusFirmware *f = *p;

                if (f->seen) {
                        f->seen = false;
                        p = &f->next;
                        continue;
                }
                if (b->bus && f->slot && sd_bus_emit_object_removed(b->bus, f->path) < 0)
                        log_debug(NULL, "%s cannot be announced as gone", f->path);
                *p = f->next;
                firmware_free(f);
        }
}

static BusFirmware *find(const BusCatalog *o, const CatalogImage *image) {
        for (BusFirmware *f = o->first; f; f = f->next)
                if (text_equal(f->view.model, image->model) && text_equal(f->view.version, image->version))
                        return f;
        return NULL;
}

static int look(const Bus *b, const Catalog *c) {
        int failed = 0;

        for (size_t i = 0; c && i < c->n_images; i++) {
                BusFirmware *f = find(b->catalog, &c->images[i]);
                int r;

                if (f)
                        f->seen = true;
                r = f ? firmware_show(b, f, &c->images[i]) : add(b, &c->images[i]);
                if (r < 0)
                        failed = r;
        }
        remove_unseen(b);
        return failed;
}

static int view_catalog(const Bus *b, CatalogView *v) {
        const CatalogFollow *follow = manager_catalog_follow(b->manager);
        const Catalog *c = catalog_follow_newest(follow);
        ConfError trouble = { 0 };

        *v = (CatalogView){
                .follows = catalog_follow_is_on(follow),
                .number = c ? c->version : 0,
                .expires_usec = c ? c->expires_usec : 0,
        };
        return view_text(&v->trouble, catalog_follow_trouble(follow, &trouble));
}

int catalog_bus_show(Bus *b) {
        BusCatalog *o = b->catalog;
        uint64_t revision = images_revision(manager_images(b->manager));
        CatalogView now;
        int r;

        if (!o->changed)
                return 0;
        r = view_catalog(b, &now);
        /* The images of a number never change: only another catalog, or another copy on the dock, makes a difference. */
        if (r >= 0 && (now.number != o->view.number || revision != o->images_revision)) {
                r = look(b, catalog_follow_newest(manager_catalog_follow(b->manager)));
                if (r >= 0)
                        o->images_revision = revision;
        }
        if (r >= 0) {
                o->changed = false;
                view_show(b->bus, BUS_FIRMWARE_PATH, BUS_CATALOG_INTERFACE, members, ELEMENTSOF(members), &o->view, &now, sizeof(now));
        }
        view_clear(members, ELEMENTSOF(members), &now);
        return r;
}

void catalog_bus_changed(Bus *b) {
        b->catalog->changed = true;
        bus_wake(b);
}

int catalog_bus_new(Bus *b) {
        b->catalog = calloc(1, sizeof(*b->catalog));
        if (!b->catalog)
                return -ENOMEM;
        b->catalog->changed = true;
        return catalog_bus_show(b);
}

void catalog_bus_free(Bus *b) {
        if (!b->catalog)
                return;
        while (b->catalog->first) {
                BusFirmware *f = b->catalog->first;

                b->catalog->first = f->next;
                firmware_free(f);
        }
        sd_bus_slot_unref(b->catalog->slot);
        view_clear(members, ELEMENTSOF(members), &b->catalog->view);
        free(b->catalog);
        b->catalog = NULL;
}

int catalog_bus_connect_all(Bus *b) {
        int r = sd_bus_add_object_vtable(b->bus, &b->catalog->slot, BUS_FIRMWARE_PATH, BUS_CATALOG_INTERFACE, vtable, b->catalog);

        for (BusFirmware *f = b->catalog->first; f && r >= 0; f = f->next)
                r = firmware_connect(b, f);
        return r;
}

void catalog_bus_disconnect_all(Bus *b) {
        if (!b->catalog)
                return;
        for (BusFirmware *f = b->catalog->first; f; f = f->next)
                f->slot = sd_bus_slot_unref(f->slot);
        b->catalog->slot = sd_bus_slot_unref(b->catalog->slot);
}
