/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl camera list|health|release`: all cameras that were ever docked here, how they are, and what of their footage is not stored. */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/cameras.h"
#include "ctl/json_out.h"
#include "ctl/list.h"
#include "ctl/property.h"
#include "ctl/table.h"

typedef struct ListedCamera {
        uint64_t id, unstored_clips;
        int32_t battery_percent;
        uint32_t bay;
        int64_t last_docked_usec, unstored_since_usec;
        char *serial, *manufacturer, *model, *firmware, *model_id, *state, *health, *held_back, *officer_id, *officer_name, *issued_to;
        int64_t taken_usec, due_usec;
        bool overdue;
} ListedCamera;

static const Property properties[] = {
        PROPERTY(ListedCamera, "Id", "id", UINT64, id),
        PROPERTY(ListedCamera, "Serial", "serial", STRING, serial),
        PROPERTY(ListedCamera, "Manufacturer", "manufacturer", MAYBE, manufacturer),
        PROPERTY(ListedCamera, "Model", "model", MAYBE, model),
        PROPERTY(ListedCamera, "Firmware", "firmware", MAYBE, firmware),
        PROPERTY(ListedCamera, "ModelId", "model_id", MAYBE, model_id),
        PROPERTY(ListedCamera, "BatteryPercent", "battery_percent", PERCENT, battery_percent),
        PROPERTY(ListedCamera, "Bay", "bay", UINT32, bay),
        PROPERTY(ListedCamera, "State", "state", MAYBE, state),
        PROPERTY(ListedCamera, "Health", "health", STRING, health),
        PROPERTY(ListedCamera, "HeldBack", "held_back", MAYBE, held_back),
        PROPERTY(ListedCamera, "OfficerId", "officer_id", MAYBE, officer_id),
        PROPERTY(ListedCamera, "OfficerName", "officer_name", MAYBE, officer_name),
        PROPERTY(ListedCamera, "IssuedTo", "issued_to", MAYBE, issued_to),
        PROPERTY(ListedCamera, "TakenUsec", "taken_usec", TIME, taken_usec),
        PROPERTY(ListedCamera, "DueUsec", "due_usec", TIME, due_usec),
        PROPERTY(ListedCamera, "Overdue", "overdue", BOOL, overdue),
        PROPERTY(ListedCamera, "LastDockedUsec", "last_docked_usec", INT64, last_docked_usec),
        PROPERTY(ListedCamera, "UnstoredClips", "unstored_clips", UINT64, unstored_clips),
        PROPERTY(ListedCamera, "UnstoredSinceUsec", "unstored_since_usec", TIME, unstored_since_usec),
};

static const Column columns[] = {
        { .title = "CAMERA", .min_width = 8, .keep_end = true },
        { .title = "MODEL", .min_width = 8, .drop_rank = 3 },
        { .title = "BAY", .right = true },
        { .title = "LAST DOCKED" },
        { .title = "OFFICER", .min_width = 8, .drop_rank = 2 },
        { .title = "DUE", .drop_rank = 4 },
        { .title = "HEALTH" },
        { .title = "NOT STORED", .right = true },
        { .title = "SINCE" },
        { .title = "HELD BACK", .min_width = 12, .drop_rank = 1 },
};

static void add_row(Table *table, const void *entry, void *userdata) {
        const ListedCamera *c = entry;
        (void) userdata;
        table_row(table);
        table_cell(table, STYLE_PLAIN, c->serial);
        table_cell(table, STYLE_PLAIN, c->model ? c->model : "");
        if (c->bay > 0)
                table_cellf(table, STYLE_PLAIN, "%u", (unsigned) c->bay);
        else
                table_cell(table, STYLE_PLAIN, "away");
        table_time(table, c->last_docked_usec, "");
        table_cell(table, STYLE_PLAIN, c->officer_name ? c->officer_name : c->officer_id ? c->officer_id : "");
        if (c->due_usec != PROPERTY_TIME_UNKNOWN && c->overdue)
                table_cell(table, STYLE_BAD, "overdue");
        else
                table_time(table, c->due_usec, "");
        table_cell(table, text_equal(c->health, "good") ? STYLE_GOOD : text_equal(c->health, "serious") ? STYLE_BAD : STYLE_PLAIN,
                   c->health);
        table_cellf(table, STYLE_PLAIN, "%llu", (unsigned long long) c->unstored_clips);
        table_time(table, c->unstored_clips > 0 ? c->unstored_since_usec : 0, "");
        table_cell(table, STYLE_PLAIN, c->held_back ? c->held_back : "");
}

int cameras_list(const Options *options) {
        static const ListKind kind = { properties, ELEMENTSOF(properties), sizeof(ListedCamera), columns, ELEMENTSOF(columns), add_row };
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(list_done) List list = { 0 };
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = list_begin(&kind, options->json, NULL, &list);
        if (r < 0)
                return bus_client_report(NULL, r);
        exit_code = list_read_pages(&list, bus, DOCK_MANAGER_INTERFACE, "ListCameras", NULL);
        if (exit_code != CTL_OK)
                return exit_code;
        return list_print(&list, JSON_SCHEMA("cameras"), "cameras", "No camera was ever docked here.");
}

/* ---- Findings ------------------------------------------------------------------------------------------------------ */

static int take_findings(sd_bus_message *reply, json_t *array) {
        const char *severity, *code, *text, *next;
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "(ssss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ssss)", &severity, &code, &text, &next)) > 0)
                if (json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s}", "severity", severity, "code", code, "text", text,
                                                           "next", next)) < 0)
                        return -ENOMEM;
        return r;
}

static const char *member(const json_t *finding, const char *key) {
        return json_string_value(json_object_get(finding, key));
}

static void print_findings(const json_t *findings, const char *none) {
        if (json_array_size(findings) == 0)
                puts(none);
        for (size_t i = 0; i < json_array_size(findings); i++) {
                const json_t *f = json_array_get(findings, i);
                char text[512], next[512];
                text_sanitise(member(f, "text"), text, sizeof(text));
                text_sanitise(member(f, "next"), next, sizeof(next));
                printf("%s (%s): %s\n        %s\n", member(f, "severity"), member(f, "code"), text, next);
        }
}

int cameras_health(const Options *options, const char *serial) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_decrefp) json_t *findings = json_array();
        int exit_code = bus_client_open(options, &bus);
        if (exit_code == CTL_OK)
                exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListFindings", &reply, "s", serial);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = findings ? take_findings(reply, findings) : -ENOMEM;
        if (r < 0)
                return bus_client_report(NULL, r);
        if (options->json)
                return json_out(json_pack("{s:s, s:s, s:O}", "schema", JSON_SCHEMA("health"), "serial", serial, "findings", findings),
                                false);
        print_findings(findings, "Nothing was found.");
        return CTL_OK;
}

static int take_bay_findings(sd_bus_message *reply, json_t *array) {
        const char *severity, *code, *text, *next;
        uint32_t bay;
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "(ussss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ussss)", &bay, &severity, &code, &text, &next)) > 0)
                if (json_array_append_new(array, json_pack("{s:i, s:s, s:s, s:s, s:s}", "bay", (int) bay, "severity", severity, "code",
                                                           code, "text", text, "next", next)) < 0)
                        return -ENOMEM;
        return r;
}

int bays_health(const Options *options) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_decrefp) json_t *findings = json_array();
        int exit_code = bus_client_open(options, &bus);
        if (exit_code == CTL_OK)
                exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListBayFindings", &reply, "");
        if (exit_code != CTL_OK)
                return exit_code;
        int r = findings ? take_bay_findings(reply, findings) : -ENOMEM;
        if (r < 0)
                return bus_client_report(NULL, r);
        if (options->json)
                return json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("bay-health"), "findings", findings), false);
        print_findings(findings, "Nothing was found.");
        return CTL_OK;
}

int cameras_release(const Options *options, const char *serial, const char *reason) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        return bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ReleaseCamera", &reply, "ss", serial, reason);
}
