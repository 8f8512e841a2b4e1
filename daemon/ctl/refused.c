/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl refused`: what lies in a bay and is not touched, and why. */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/property.h"
#include "ctl/rack_view.h"
#include "ctl/table.h"

typedef struct Refused {
        uint32_t bay;
        char *port_path, *state, *reason, *serial, *model;
        char *usb_id, *manufacturer, *product, *usb_serial, *descriptors, *problem;
        char **interfaces;
} Refused;

static const Property refused_properties[] = {
        PROPERTY(Refused, "Bay", "bay", UINT32, bay),
        PROPERTY(Refused, "PortPath", "port_path", STRING, port_path),
        PROPERTY(Refused, "State", "state", STRING, state),
        PROPERTY(Refused, "Reason", "reason", STRING, reason),
        PROPERTY(Refused, "Serial", "serial", MAYBE, serial),
        PROPERTY(Refused, "Model", "model", MAYBE, model),
        PROPERTY(Refused, "UsbId", "usb_id", MAYBE, usb_id),
        PROPERTY(Refused, "Manufacturer", "manufacturer", MAYBE, manufacturer),
        PROPERTY(Refused, "Product", "product", MAYBE, product),
        PROPERTY(Refused, "UsbSerial", "usb_serial", MAYBE, usb_serial),
        PROPERTY(Refused, "Interfaces", "interfaces", LIST, interfaces),
        PROPERTY(Refused, "Descriptors", "descriptors", MAYBE, descriptors),
        PROPERTY(Refused, "Problem", "problem", MAYBE, problem),
};

static const Column columns[] = {
        { .title = "BAY", .right = true },
        { .title = "PORT", .drop_rank = 2 },
        { .title = "STATE" },
        { .title = "CAMERA", .min_width = 8, .keep_end = true },
        { .title = "MODEL", .min_width = 8, .drop_rank = 1 },
        { .title = "REASON", .min_width = 20 },
};

static void add_row(Table *table, const Refused *refused) {
        table_row(table);
        table_cellf(table, STYLE_PLAIN, "%u", refused->bay);
        table_cell(table, STYLE_PLAIN, refused->port_path);
        table_cell(table, rack_view_style(refused->state), refused->state);
        table_cell(table, STYLE_PLAIN, refused->serial ? refused->serial : "-");
        table_cell(table, STYLE_PLAIN, refused->model ? refused->model : "-");
        table_cell(table, STYLE_PLAIN, refused->reason);
}

/* Has this interface been named already? */
static bool is_repeated(char *const *interfaces, size_t i) {
        for (size_t k = 0; k < i; k++)
                if (text_equal(interfaces[k], interfaces[i]))
                        return true;
        return false;
}

/* What a model file would have to say, were it a camera: text of the device's, so made safe. */
static void add_model(Lines *models, const Refused *r) {
        char product[128];
        if (!text_equal(r->state, "refused") || !r->usb_id || (r->problem && *r->problem) || !r->interfaces)
                return;
        text_sanitise(r->product ? r->product : "", product, sizeof(product));
        (void) lines_add(models, text_format("\nBay %u: if that is a camera, its model begins with\n  [model NAME]", r->bay));
        (void) lines_add(models, text_format("  match = %s", r->usb_id));
        if (product[0])
                (void) lines_add(models, text_format("  match_product = %s", product));
        for (size_t i = 0; r->interfaces[i]; i++)
                if (!is_repeated(r->interfaces, i))
                        (void) lines_add(models, text_format("  interface = %s", r->interfaces[i]));
}

/* Reads one entry into the table, or into the JSON array when there is one. */
static int take_entry(sd_bus_message *reply, Table *table, Lines *models, json_t *array) {
        Refused refused = { 0 };
        int r = properties_init(refused_properties, ELEMENTSOF(refused_properties), &refused);
        if (r >= 0)
                r = properties_read(refused_properties, ELEMENTSOF(refused_properties), &refused, reply);
        if (r >= 0 && array) {
                json_t *entry = json_object();
                if (!entry ||
                    properties_to_json(refused_properties, ELEMENTSOF(refused_properties), &refused, entry) < 0 ||
                    json_array_append(array, entry) < 0)
                        r = -ENOMEM;
                json_decref(entry);
        } else if (r >= 0) {
                add_row(table, &refused);
                add_model(models, &refused);
        }
        properties_clear(refused_properties, ELEMENTSOF(refused_properties), &refused);
        return r;
}

static int take_all(sd_bus_message *reply, Table *table, Lines *models, json_t *array, size_t *ret_n) {
        size_t n = 0;
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "a{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_at_end(reply, false)) == 0) {
                r = take_entry(reply, table, models, array);
                if (r < 0)
                        return r;
                n++;
        }
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

static int print_table(Table *table, const Lines *models) {
        int exit_code = table_print(table);
        for (size_t i = 0; i < models->n && exit_code == CTL_OK; i++)
                puts(models->lines[i]);
        return exit_code;
}

int verb_refused(const Options *options) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        _cleanup_(lines_clear) Lines models = { 0 };
        _cleanup_(json_decrefp) json_t *array = options->json ? json_array() : NULL;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListRefused", &reply, "");
        if (exit_code != CTL_OK)
                return exit_code;

        size_t n = 0;
        int r = table_new(columns, ELEMENTSOF(columns), &table);
        if (r >= 0 && options->json && !array)
                r = -ENOMEM;
        if (r >= 0)
                r = take_all(reply, table, &models, array, &n);
        if (r < 0)
                return bus_client_report(NULL, r);
        if (options->json)
                return json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("refused"), "refused", array), false);
        if (n == 0) {
                puts("Nothing is refused.");
                return CTL_OK;
        }
        return print_table(table, &models);
}
