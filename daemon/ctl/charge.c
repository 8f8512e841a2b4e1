/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl charge`: which cameras will be ready when; and when they are wanted. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/table.h"

#define DASH "-"

static const Column columns[] = {
        { .title = "BAY", .right = true },
        { .title = "CAMERA", .min_width = 8, .keep_end = true },
        { .title = "CHARGE", .right = true },
        { .title = "POWER" },
        { .title = "DOING" },
        { .title = "FULL IN", .right = true, .drop_rank = 1 },
        { .title = "READY BY" },
};

/* As the clock on the wall shows it; the day, too, when it is not today. */
static const char *local_text(int64_t wall_usec, char ret[static 32]) {
        time_t at = (time_t) (wall_usec / (int64_t) USEC_PER_SEC), now = time(NULL);
        struct tm then, today;
        if (!localtime_r(&at, &then) || !localtime_r(&now, &today))
                return DASH;
        bool same_day = then.tm_yday == today.tm_yday && then.tm_year == today.tm_year;
        (void) strftime(ret, 32, same_day ? "%H:%M" : "%a %H:%M", &then);
        return ret;
}

static void add_row(Table *t, const DockBay *b) {
        char text[32];
        bool known = b->charge_percent >= 0;
        table_row(t);
        table_cellf(t, STYLE_PLAIN, "%u", b->number);
        table_cell(t, STYLE_PLAIN, *b->serial ? b->serial : DASH);
        if (known)
                table_cellf(t, STYLE_PLAIN, "%d%%", b->charge_percent);
        else
                table_cell(t, STYLE_DIM, *b->serial ? DASH : "");
        table_cell(t, b->power ? STYLE_PLAIN : STYLE_DIM, b->power ? "on" : "off");
        table_cell(t, text_equal(b->charge, "charging") ? STYLE_BUSY : STYLE_PLAIN, b->charge);
        if (known && b->minutes_to_full >= 0)
                table_cellf(t, STYLE_PLAIN, "%d:%02d", b->minutes_to_full / 60, b->minutes_to_full % 60);
        else
                table_cell(t, STYLE_PLAIN, "");
        if (b->ready_at_usec > 0)
                table_cellf(t, b->ready_in_time ? STYLE_PLAIN : STYLE_WARN, "%s%s", local_text(b->ready_at_usec, text),
                            b->ready_in_time ? "" : " (late)");
        else
                table_cell(t, STYLE_PLAIN, "");
}

static int show(const Options *options) {
        _cleanup_(dock_freep) Dock *dock = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        char text[32];
        int exit_code = bus_client_dock(options, &dock);
        if (exit_code != CTL_OK)
                return exit_code;
        if (options->json) {
                _cleanup_(json_decrefp) json_t *bays = json_array();
                for (size_t i = 0; bays && i < dock->n_bays; i++)
                        (void) json_array_append_new(bays, json_of_bay(dock->bays[i]));
                return json_out(json_pack("{s:s, s:I, s:O}", "schema", JSON_SCHEMA("charge"), "next_shift_usec",
                                          (json_int_t) dock->manager.next_shift_usec, "bays", bays), false);
        }
        if (dock->manager.next_shift_usec > 0)
                printf("The next shift begins %s.\n\n", local_text(dock->manager.next_shift_usec, text));
        if (table_new(columns, ELEMENTSOF(columns), &table) < 0)
                return bus_client_report(NULL, -ENOMEM);
        for (size_t i = 0; i < dock->n_bays; i++)
                add_row(table, dock->bays[i]);
        return table_print(table);
}

/* "06:30": the next time that the clock on the wall shows it. */
static int parse_time(const char *word, int64_t *ret_usec) {
        time_t now = time(NULL), at;
        unsigned hour, minute;
        struct tm local;
        char tail;
        if (sscanf(word, "%2u:%2u%c", &hour, &minute, &tail) != 2 || hour > 23 || minute > 59 || !localtime_r(&now, &local))
                return -EINVAL;
        local.tm_hour = (int) hour;
        local.tm_min = (int) minute;
        local.tm_sec = 0;
        local.tm_isdst = -1;
        at = mktime(&local);
        if (at <= now) {
                local.tm_mday++;
                local.tm_isdst = -1;
                at = mktime(&local);
        }
        *ret_usec = (int64_t) at * (int64_t) USEC_PER_SEC;
        return 0;
}

int verb_charge(const Options *options) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *word = options->n_args > 0 ? options->args[0] : "list";
        int64_t at_usec = 0;
        if (text_equal(word, "list") && options->n_args <= 1)
                return show(options);
        bool by = text_equal(word, "by") && options->n_args == 2, cancel = text_equal(word, "cancel") && options->n_args == 1;
        if (!by && !cancel)
                return ctl_fail(CTL_USAGE, "charge takes list, by HH:MM, or cancel");
        if (options->json)
                return ctl_fail(CTL_USAGE, "charge %s takes no options", word);
        if (by && parse_time(options->args[1], &at_usec) < 0)
                return ctl_fail(CTL_USAGE, "'%s' is not a time of the day such as 06:30", options->args[1]);
        int exit_code = bus_client_open(options, &bus);
        return exit_code != CTL_OK ? exit_code : bus_client_call(bus, DOCK_MANAGER_INTERFACE, "CallShift", &reply, "x", at_usec);
}
