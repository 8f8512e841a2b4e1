/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl camera list|health|release`: all cameras that were ever docked here, how they are, and what of their footage is not stored. */

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/cameras.h"
#include "ctl/json_out.h"
#include "ctl/property.h"
#include "ctl/table.h"

#define CAMERAS_A_PAGE 500u

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

static void add_time(Table *table, int64_t usec) {
        char text[UTC_TEXT_SIZE];
        if (usec > 0)
                table_cellf(table, STYLE_PLAIN, "%.10s %.5s", utc_text(usec, text), text + 11);
        else
                table_cell(table, STYLE_PLAIN, "");
}

static void add_row(Table *table, const ListedCamera *c) {
        table_row(table);
        table_cell(table, STYLE_PLAIN, c->serial);
        table_cell(table, STYLE_PLAIN, c->model ? c->model : "");
        if (c->bay > 0)
                table_cellf(table, STYLE_PLAIN, "%u", (unsigned) c->bay);
        else
                table_cell(table, STYLE_PLAIN, "away");
        add_time(table, c->last_docked_usec);
        table_cell(table, STYLE_PLAIN, c->officer_name ? c->officer_name : c->officer_id ? c->officer_id : "");
        if (c->due_usec != PROPERTY_TIME_UNKNOWN && c->overdue)
                table_cell(table, STYLE_BAD, "overdue");
        else
                add_time(table, c->due_usec != PROPERTY_TIME_UNKNOWN ? c->due_usec : 0);
        table_cell(table, text_equal(c->health, "good") ? STYLE_GOOD : text_equal(c->health, "serious") ? STYLE_BAD : STYLE_PLAIN,
                   c->health);
        table_cellf(table, STYLE_PLAIN, "%llu", (unsigned long long) c->unstored_clips);
        add_time(table, c->unstored_clips > 0 ? c->unstored_since_usec : 0);
        table_cell(table, STYLE_PLAIN, c->held_back ? c->held_back : "");
}

/* Reads one entry into the table, or into the JSON array when there is one; *ret_id is the one to go on after. */
static int take_entry(sd_bus_message *reply, Table *table, json_t *array, uint64_t *ret_id) {
        ListedCamera c = { 0 };
        int r = properties_init(properties, ELEMENTSOF(properties), &c);
        if (r >= 0)
                r = properties_read(properties, ELEMENTSOF(properties), &c, reply);
        if (r >= 0 && array) {
                json_t *entry = json_object();
                if (!entry || properties_to_json(properties, ELEMENTSOF(properties), &c, entry) < 0 || json_array_append(array, entry) < 0)
                        r = -ENOMEM;
                json_decref(entry);
        } else if (r >= 0)
                add_row(table, &c);
        *ret_id = c.id;
        properties_clear(properties, ELEMENTSOF(properties), &c);
        return r;
}

static int take_page(sd_bus_message *reply, Table *table, json_t *array, size_t *ret_n, uint64_t *ret_last) {
        size_t n = 0;
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "a{sv}");
        while (r >= 0 && (r = sd_bus_message_at_end(reply, false)) == 0) {
                r = take_entry(reply, table, array, ret_last);
                n++;
        }
        *ret_n = n;
        return r < 0 ? r : 0;
}

int cameras_list(const Options *options) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        _cleanup_(json_decrefp) json_t *array = options->json ? json_array() : NULL;
        size_t n, all = 0;
        uint64_t last = 0;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = table_new(columns, ELEMENTSOF(columns), &table);
        if (r >= 0 && options->json && !array)
                r = -ENOMEM;
        if (r < 0)
                return bus_client_report(NULL, r);
        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListCameras", &reply, "tu", last, CAMERAS_A_PAGE);
                if (exit_code != CTL_OK)
                        return exit_code;
                r = take_page(reply, table, array, &n, &last);
                if (r < 0)
                        return bus_client_report(NULL, r);
                all += n;
        } while (n == CAMERAS_A_PAGE);
        if (options->json)
                return json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("cameras"), "cameras", array), false);
        if (all == 0) {
                puts("No camera was ever docked here.");
                return CTL_OK;
        }
        return table_print(table);
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
