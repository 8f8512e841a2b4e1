/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl refused`: what lies in a bay and is not touched, and why. */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/list.h"
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

static void show(Table *table, const void *entry, void *userdata) {
        add_row(table, entry);
        add_model(userdata, entry);
}

static int print(const List *list, const Lines *models) {
        int exit_code = list_print(list, JSON_SCHEMA("refused"), "refused", "Nothing is refused.");
        for (size_t i = 0; i < models->n && exit_code == CTL_OK; i++)
                puts(models->lines[i]);
        return exit_code;
}

int verb_refused(const Options *options) {
        static const ListKind kind = { refused_properties, ELEMENTSOF(refused_properties), sizeof(Refused),
                                       columns,            ELEMENTSOF(columns),            show };
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(lines_clear) Lines models = { 0 };
        _cleanup_(list_done) List list = { 0 };
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListRefused", &reply, "");
        if (exit_code != CTL_OK)
                return exit_code;

        int r = list_begin(&kind, options->json, &models, &list);
        if (r >= 0)
                r = list_read(&list, reply, NULL);
        if (r < 0)
                return bus_client_report(NULL, r);
        return print(&list, &models);
}
