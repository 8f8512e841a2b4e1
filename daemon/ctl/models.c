/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl model [list]`: the camera models that the running daemon goes by. */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/list.h"
#include "ctl/property.h"
#include "ctl/table.h"

typedef struct CameraModel {
        char *id, *description, *tested, *file, *plugin, *file_times, *erase, *firmware;
        char *match_manufacturer, *match_product, *match_serial;
        char **match, **options, **returns_as;
        char **interfaces, **other_interfaces, **footage, **priority, **companions_taken, **companions_ignored;
        char **charge_curve;
        bool local;
        uint32_t charge_ma, battery_mah, battery_floor_percent;
} CameraModel;

static const Property model_properties[] = {
        PROPERTY(CameraModel, "Id", "id", STRING, id),
        PROPERTY(CameraModel, "Description", "description", STRING, description),
        PROPERTY(CameraModel, "Tested", "tested", STRING, tested),
        PROPERTY(CameraModel, "File", "file", STRING, file),
        PROPERTY(CameraModel, "Local", "local", BOOL, local),
        PROPERTY(CameraModel, "Plugin", "plugin", STRING, plugin),
        PROPERTY(CameraModel, "Options", "options", LIST, options),
        PROPERTY(CameraModel, "ReturnsAs", "returns_as", LIST, returns_as),
        PROPERTY(CameraModel, "Match", "match", LIST, match),
        PROPERTY(CameraModel, "MatchManufacturer", "match_manufacturer", MAYBE, match_manufacturer),
        PROPERTY(CameraModel, "MatchProduct", "match_product", MAYBE, match_product),
        PROPERTY(CameraModel, "MatchSerial", "match_serial", MAYBE, match_serial),
        PROPERTY(CameraModel, "Interfaces", "interfaces", LIST, interfaces),
        PROPERTY(CameraModel, "OtherInterfaces", "other_interfaces", LIST, other_interfaces),
        PROPERTY(CameraModel, "Footage", "footage", LIST, footage),
        PROPERTY(CameraModel, "Priority", "priority", LIST, priority),
        PROPERTY(CameraModel, "CompanionsTaken", "companions_taken", LIST, companions_taken),
        PROPERTY(CameraModel, "CompanionsIgnored", "companions_ignored", LIST, companions_ignored),
        PROPERTY(CameraModel, "FileTimes", "file_times", STRING, file_times),
        PROPERTY(CameraModel, "Erase", "erase", STRING, erase),
        PROPERTY(CameraModel, "ChargeMa", "charge_ma", UINT32, charge_ma),
        PROPERTY(CameraModel, "BatteryMah", "battery_mah", UINT32, battery_mah),
        PROPERTY(CameraModel, "BatteryFloorPercent", "battery_floor_percent", UINT32, battery_floor_percent),
        PROPERTY(CameraModel, "ChargeCurve", "charge_curve", LIST, charge_curve),
        PROPERTY(CameraModel, "Firmware", "firmware", STRING, firmware),
};

static const Column columns[] = {
        { .title = "MODEL" },
        { .title = "PLUGIN", .drop_rank = 1 },
        { .title = "MATCH", .min_width = 9 },
        { .title = "DESCRIPTION", .min_width = 12, .drop_rank = 3 },
        { .title = "TESTED", .min_width = 12 },
        { .title = "FILE", .min_width = 12, .drop_rank = 2, .keep_end = true },
};

/* "1234:5678 1234:5679 Cam*" */
static void add_match(Table *table, const CameraModel *m) {
        char text[256] = "";
        size_t n = 0;
        for (size_t i = 0; m->match && m->match[i] && n < sizeof(text); i++)
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "", m->match[i]);
        if (m->match_product && n < sizeof(text))
                (void) snprintf(text + n, sizeof(text) - n, " '%s'", m->match_product);
        table_cell(table, STYLE_PLAIN, text);
}

static void add_row(Table *table, const void *entry, void *userdata) {
        const CameraModel *m = entry;
        (void) userdata;
        table_row(table);
        table_cell(table, STYLE_PLAIN, m->id);
        table_cell(table, STYLE_PLAIN, m->plugin);
        add_match(table, m);
        table_cell(table, STYLE_PLAIN, m->description);
        table_cell(table, STYLE_PLAIN, *m->tested ? m->tested : "its file does not say");
        table_cell(table, m->local ? STYLE_GOOD : STYLE_PLAIN, m->file);
}

static int list_models(const Options *options) {
        static const ListKind kind = { model_properties, ELEMENTSOF(model_properties), sizeof(CameraModel),
                                       columns,          ELEMENTSOF(columns),          add_row };
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(list_done) List list = { 0 };
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListModels", &reply, "");
        if (exit_code != CTL_OK)
                return exit_code;
        int r = list_begin(&kind, options->json, NULL, &list);
        if (r >= 0)
                r = list_read(&list, reply, NULL);
        if (r < 0)
                return bus_client_report(NULL, r);
        return list_print(&list, JSON_SCHEMA("models"), "models", "No camera model is known.");
}

int verb_model(const Options *options) {
        Options rest = *options;

        if (options->n_args > 0 && text_equal(options->args[0], "check")) {
                rest.args++;
                rest.n_args--;
                return model_check(&rest);
        }
        if (options->n_args > 1 || (options->n_args == 1 && !text_equal(options->args[0], "list")))
                return ctl_fail(CTL_USAGE, "'model' is followed by 'list' or 'check FILE...'");
        if (options->models_dir || options->local_models_dir || options->rules_dir)
                return ctl_fail(CTL_USAGE, "'model list' shows what the daemon goes by; folders are for 'model check'");
        return list_models(options);
}
