/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl firmware` without a word: what this dock goes by, and of which images it has copies. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/firmware.h"
#include "ctl/json_out.h"
#include "ctl/objects.h"
#include "ctl/property.h"
#include "ctl/table.h"

typedef struct DockImage {
        char *model, *version, *floor, *sha256;
        uint64_t size_bytes;
        bool here;
} DockImage;

static const Property image_properties[] = {
        PROPERTY(DockImage, "Model", "model", STRING, model),
        PROPERTY(DockImage, "Version", "version", STRING, version),
        PROPERTY(DockImage, "Floor", "floor", STRING, floor),
        PROPERTY(DockImage, "SizeBytes", "size_bytes", UINT64, size_bytes),
        PROPERTY(DockImage, "Sha256", "sha256", STRING, sha256),
        PROPERTY(DockImage, "Here", "here", BOOL, here),
};

static const Column image_columns[] = {
        { .title = "MODEL", .min_width = 8 },
        { .title = "VERSION", .min_width = 6 },
        { .title = "SIZE", .right = true },
        { .title = "COPY" },
};

typedef struct DockCatalog {
        bool follows;
        uint64_t number;
        int64_t expires_usec;
        char *trouble;
        DockImage *images;
        size_t n_images;
} DockCatalog;

static const Property catalog_properties[] = {
        PROPERTY(DockCatalog, "Follows", "follows", BOOL, follows),
        PROPERTY(DockCatalog, "Number", "version", UINT64, number),
        PROPERTY(DockCatalog, "ExpiresUsec", "expires", INT64, expires_usec),
        PROPERTY(DockCatalog, "Trouble", "trouble", STRING, trouble),
};

static void dock_catalog_done(DockCatalog *c) {
        for (size_t i = 0; i < c->n_images; i++)
                properties_clear(image_properties, ELEMENTSOF(image_properties), &c->images[i]);
        free(c->images);
        properties_clear(catalog_properties, ELEMENTSOF(catalog_properties), c);
}

static int take_image(void *userdata, const char *path, sd_bus_message *m) {
        DockCatalog *c = userdata;
        DockImage *larger = reallocarray(c->images, c->n_images + 1, sizeof(*larger));
        int r;

        (void) path;
        if (!larger)
                return -ENOMEM;
        c->images = larger;
        memset(&larger[c->n_images], 0, sizeof(*larger));
        r = properties_init(image_properties, ELEMENTSOF(image_properties), &larger[c->n_images++]);
        return r < 0 ? r : properties_read(image_properties, ELEMENTSOF(image_properties), &larger[c->n_images - 1], m);
}

static int compare_images(const void *a, const void *b) {
        const DockImage *x = a, *y = b;
        int r = strcmp(x->model, y->model);

        return r != 0 ? r : strverscmp(x->version, y->version);
}

static int load_catalog(sd_bus *bus, DockCatalog *c) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *properties = NULL, *objects = NULL;
        int r, exit_code = bus_client_properties(bus, NULL, DOCK_CATALOG_INTERFACE, &properties);

        if (exit_code == CTL_OK)
                exit_code = bus_client_call(bus, BUS_OBJECT_MANAGER, "GetManagedObjects", &objects, "");
        if (exit_code != CTL_OK)
                return exit_code;
        r = properties_init(catalog_properties, ELEMENTSOF(catalog_properties), c);
        if (r >= 0)
                r = properties_read(catalog_properties, ELEMENTSOF(catalog_properties), c, properties);
        if (r >= 0)
                r = objects_each(objects, DOCK_FIRMWARE_INTERFACE, take_image, c);
        if (r < 0)
                return bus_client_report(NULL, r);
        if (c->n_images > 1)
                qsort(c->images, c->n_images, sizeof(*c->images), compare_images);
        return CTL_OK;
}

static int print_images(const DockCatalog *c) {
        _cleanup_(table_freep) Table *table = NULL;
        char size[16];
        int r = table_new(image_columns, ELEMENTSOF(image_columns), &table);

        if (r < 0)
                return bus_client_report(NULL, r);
        for (size_t i = 0; i < c->n_images; i++) {
                table_row(table);
                table_cell(table, STYLE_PLAIN, c->images[i].model);
                table_cell(table, STYLE_PLAIN, c->images[i].version);
                table_cell(table, STYLE_PLAIN, text_bytes(c->images[i].size_bytes, size));
                table_cell(table, STYLE_PLAIN, c->images[i].here ? "on the dock" : "in the store");
        }
        return table_print(table);
}

static int print_dock(const DockCatalog *c) {
        char text[UTC_TEXT_SIZE], safe[600];

        if (!c->follows) {
                puts("The dock follows no firmware catalog: it has no key to believe one by.");
                return CTL_OK;
        }
        if (c->number > 0)
                printf("Version %" PRIu64 " of the firmware catalog, good until %.10s\n", c->number, utc_text(c->expires_usec, text));
        else
                puts("The dock has not found a firmware catalog in the store yet.");
        text_sanitise(c->trouble, safe, sizeof(safe));
        if (safe[0])
                printf("Trouble: %s\n", safe);
        return c->number > 0 ? print_images(c) : CTL_OK;
}

static int print_dock_json(const DockCatalog *c) {
        _cleanup_(json_decrefp) json_t *images = json_array();
        char text[UTC_TEXT_SIZE];
        int r = images ? 0 : -ENOMEM;

        for (size_t i = 0; i < c->n_images && r >= 0; i++) {
                json_t *object = json_object();

                r = object && properties_to_json(image_properties, ELEMENTSOF(image_properties), &c->images[i], object) >= 0 &&
                    json_array_append(images, object) >= 0 ? 0 : -ENOMEM;
                json_decref(object);
        }
        if (r < 0)
                return bus_client_report(NULL, r);
        return json_out(json_pack("{s:s, s:b, s:I, s:s, s:s, s:O}", "schema", JSON_SCHEMA("dock-firmware"), "follows", (int) c->follows,
                                  "version", (json_int_t) c->number, "expires", c->number > 0 ? utc_text(c->expires_usec, text) : "",
                                  "trouble", c->trouble, "images", images), false);
}

int firmware_dock(const Options *o) {
        _cleanup_(dock_catalog_done) DockCatalog catalog = { 0 };
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        int exit_code = bus_client_open(o, &bus);

        if (exit_code == CTL_OK)
                exit_code = load_catalog(bus, &catalog);
        if (exit_code != CTL_OK)
                return exit_code;
        return o->json ? print_dock_json(&catalog) : print_dock(&catalog);
}
