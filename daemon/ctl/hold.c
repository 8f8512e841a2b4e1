/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl hold`: what is deleted nowhere, by somebody's order. */

#include <errno.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/list.h"
#include "ctl/property.h"
#include "ctl/table.h"

typedef struct Hold {
        uint64_t id, clip_id, stored, locked, unlockable;
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
        PROPERTY(Hold, "StoredClips", "stored_clips", UINT64, stored),
        PROPERTY(Hold, "LockedClips", "locked_clips", UINT64, locked),
        PROPERTY(Hold, "UnlockableClips", "unlockable_clips", UINT64, unlockable),
};

static const Column columns[] = {
        { .title = "CLIP", .right = true },
        { .title = "CAMERA", .min_width = 8, .keep_end = true },
        { .title = "CASE", .min_width = 8 },
        { .title = "SINCE" },
        { .title = "BY" },
        { .title = "IN THE STORE" },
        { .title = "PATH", .min_width = 12, .keep_end = true, .drop_rank = 2 },
        { .title = "REASON", .min_width = 12, .drop_rank = 1 },
};

/* What the store was told of it. */
static void add_store(Table *table, const Hold *h) {
        if (h->stored == 0)
                table_cell(table, STYLE_PLAIN, "-");
        else if (h->locked == h->stored)
                table_cell(table, STYLE_PLAIN, "locked");
        else if (h->unlockable == h->stored)
                table_cell(table, STYLE_PLAIN, "knows no lock");
        else
                table_cellf(table, STYLE_PLAIN, "%llu of %llu locked", (unsigned long long) h->locked, (unsigned long long) h->stored);
}

static void add_row(Table *table, const void *entry, void *userdata) {
        const Hold *h = entry;
        (void) userdata;
        table_row(table);
        if (h->clip_id > 0)
                table_cellf(table, STYLE_PLAIN, "%llu", (unsigned long long) h->clip_id);
        else
                table_cell(table, STYLE_PLAIN, "all");
        table_cell(table, STYLE_PLAIN, h->serial);
        table_cell(table, STYLE_PLAIN, h->case_name);
        table_time(table, h->since_usec, "");
        if (h->operator_name)
                table_cell(table, STYLE_PLAIN, h->operator_name);
        else
                table_cellf(table, STYLE_PLAIN, "%u", (unsigned) h->operator_uid);
        add_store(table, h);
        table_cell(table, STYLE_PLAIN, h->path ? h->path : "");
        table_cell(table, STYLE_PLAIN, h->reason);
}

static int list(const Options *options, sd_bus *bus) {
        static const ListKind kind = { properties, ELEMENTSOF(properties), sizeof(Hold), columns, ELEMENTSOF(columns), add_row };
        _cleanup_(list_done) List list = { 0 };
        int r = list_begin(&kind, options->json, NULL, &list);
        if (r < 0)
                return bus_client_report(NULL, r);
        int exit_code = list_read_pages(&list, bus, DOCK_MANAGER_INTERFACE, "ListHolds", NULL);
        return exit_code != CTL_OK ? exit_code : list_print(&list, JSON_SCHEMA("holds"), "holds", "Nothing is held.");
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
