/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl hold`: what is deleted nowhere, by somebody's order. */

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/property.h"
#include "ctl/table.h"

#define HOLDS_A_PAGE 500u

typedef struct Hold {
        uint64_t id, clip_id;
        uint32_t operator_uid;
        int64_t since_usec;
        char *serial, *path, *case_name, *reason, *operator_name;
} Hold;

static const Property properties[] = {
        PROPERTY(Hold, "Id", "id", UINT64, id),
        PROPERTY(Hold, "ClipId", "clip_id", UINT64, clip_id),
        PROPERTY(Hold, "Serial", "serial", STRING, serial),
        PROPERTY(Hold, "Path", "path", MAYBE, path),
        PROPERTY(Hold, "Case", "case", STRING, case_name),
        PROPERTY(Hold, "Reason", "reason", STRING, reason),
        PROPERTY(Hold, "SinceUsec", "since_usec", INT64, since_usec),
        PROPERTY(Hold, "OperatorUid", "operator_uid", UINT32, operator_uid),
        PROPERTY(Hold, "Operator", "operator", MAYBE, operator_name),
};

static const Column columns[] = {
        { .title = "CLIP", .right = true },
        { .title = "CAMERA", .min_width = 8, .keep_end = true },
        { .title = "CASE", .min_width = 8 },
        { .title = "SINCE" },
        { .title = "BY" },
        { .title = "PATH", .min_width = 12, .keep_end = true, .drop_rank = 2 },
        { .title = "REASON", .min_width = 12, .drop_rank = 1 },
};

static void add_row(Table *table, const Hold *h) {
        char since[UTC_TEXT_SIZE];

        table_row(table);
        if (h->clip_id > 0)
                table_cellf(table, STYLE_PLAIN, "%llu", (unsigned long long) h->clip_id);
        else
                table_cell(table, STYLE_PLAIN, "all");
        table_cell(table, STYLE_PLAIN, h->serial);
        table_cell(table, STYLE_PLAIN, h->case_name);
        table_cellf(table, STYLE_PLAIN, "%.10s %.5s", utc_text(h->since_usec, since), since + 11);
        if (h->operator_name)
                table_cell(table, STYLE_PLAIN, h->operator_name);
        else
                table_cellf(table, STYLE_PLAIN, "%u", (unsigned) h->operator_uid);
        table_cell(table, STYLE_PLAIN, h->path ? h->path : "");
        table_cell(table, STYLE_PLAIN, h->reason);
}

/* Reads one entry into the table, or into the JSON array when there is one; *ret_id is the one to go on after. */
static int take_entry(sd_bus_message *reply, Table *table, json_t *array, uint64_t *ret_id) {
        Hold h = { 0 };
        int r = properties_init(properties, ELEMENTSOF(properties), &h);
        if (r >= 0)
                r = properties_read(properties, ELEMENTSOF(properties), &h, reply);
        if (r >= 0 && array) {
                json_t *entry = json_object();
                if (!entry || properties_to_json(properties, ELEMENTSOF(properties), &h, entry) < 0 || json_array_append(array, entry) < 0)
                        r = -ENOMEM;
                json_decref(entry);
        } else if (r >= 0)
                add_row(table, &h);
        *ret_id = h.id;
        properties_clear(properties, ELEMENTSOF(properties), &h);
        return r;
}

static int take_page(sd_bus_message *reply, Table *table, json_t *array, size_t *ret_n, uint64_t *ret_last) {
        size_t n = 0;
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "a{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_at_end(reply, false)) == 0) {
                r = take_entry(reply, table, array, ret_last);
                if (r < 0)
                        return r;
                n++;
        }
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

static int list(const Options *options, sd_bus *bus) {
        _cleanup_(table_freep) Table *table = NULL;
        _cleanup_(json_decrefp) json_t *array = options->json ? json_array() : NULL;
        size_t n, all = 0;
        uint64_t last = 0;
        int r = table_new(columns, ELEMENTSOF(columns), &table);
        if (r >= 0 && options->json && !array)
                r = -ENOMEM;
        if (r < 0)
                return bus_client_report(NULL, r);
        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                int exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListHolds", &reply, "tu", last, HOLDS_A_PAGE);
                if (exit_code != CTL_OK)
                        return exit_code;
                r = take_page(reply, table, array, &n, &last);
                if (r < 0)
                        return bus_client_report(NULL, r);
                all += n;
        } while (n == HOLDS_A_PAGE);
        if (options->json)
                return json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("holds"), "holds", array), false);
        if (all == 0) {
                puts("Nothing is held.");
                return CTL_OK;
        }
        return table_print(table);
}

int verb_hold(const Options *options) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *word = options->n_args > 0 ? options->args[0] : "list";
        bool set = text_equal(word, "set"), release = text_equal(word, "release");
        if (!set && !release && !text_equal(word, "list"))
                return ctl_fail(CTL_USAGE, "hold takes list, set or release, not '%s'", word);
        if (options->n_args > (set || release ? 2u : 1u))
                return ctl_fail(CTL_USAGE, "hold %s takes at most a reason, in quotes, so not '%s'", word,
                                options->args[options->n_args - 1]);
        bool named = options->clip > 0 || *options->camera || options->case_name;
        if (!set && !release && named)
                return ctl_fail(CTL_USAGE, "hold list lists all holds: it takes neither --clip, --camera nor --case");
        if (options->clip > 0 && *options->camera)
                return ctl_fail(CTL_USAGE, "a hold is of one clip or of one camera: either --clip or --camera");
        if (set && options->clip == 0 && !*options->camera)
                return ctl_fail(CTL_USAGE, "hold set needs --clip=ID or --camera=SERIAL");
        if (release && !named)
                return ctl_fail(CTL_USAGE, "hold release needs --clip=ID, --camera=SERIAL or --case=NAME; 'berthctl hold' lists what is "
                                           "held");
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        if (!set && !release)
                return list(options, bus);
        return bus_client_call(bus, DOCK_MANAGER_INTERFACE, set ? "SetHold" : "ReleaseHold", &reply, "tsss", options->clip,
                               options->camera, options->case_name ? options->case_name : "",
                               options->n_args > 1 ? options->args[1] : "");
}
