/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl fleet docks|cameras`: what the docks of a fleet tell of themselves in the store they share, as this dock read it. */

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/list.h"
#include "ctl/property.h"
#include "ctl/rack_view.h"
#include "ctl/table.h"

/* ---- Docks ----------------------------------------------------------------------------------------------------------- */

typedef struct ListedDock {
        char *id, *name, *trouble, *state, *store_state;
        bool own;
        int64_t told_usec, oldest_unstored_usec;
        uint64_t out, overdue, unstored_clips, cameras, left_out;
} ListedDock;

static const Property dock_properties[] = {
        PROPERTY(ListedDock, "Id", "dock_id", STRING, id),
        PROPERTY(ListedDock, "Name", "name", STRING, name),
        PROPERTY(ListedDock, "Own", "own", BOOL, own),
        PROPERTY(ListedDock, "Trouble", "trouble", MAYBE, trouble),
        PROPERTY(ListedDock, "ToldUsec", "told_usec", TIME, told_usec),
        PROPERTY(ListedDock, "State", "state", MAYBE, state),
        PROPERTY(ListedDock, "StoreState", "store_state", MAYBE, store_state),
        PROPERTY(ListedDock, "CamerasOut", "cameras_out", UINT64, out),
        PROPERTY(ListedDock, "CamerasOverdue", "cameras_overdue", UINT64, overdue),
        PROPERTY(ListedDock, "UnstoredClips", "unstored_clips", UINT64, unstored_clips),
        PROPERTY(ListedDock, "OldestUnstoredUsec", "oldest_unstored_usec", TIME, oldest_unstored_usec),
        PROPERTY(ListedDock, "Cameras", "cameras", UINT64, cameras),
        PROPERTY(ListedDock, "CamerasLeftOut", "cameras_left_out", UINT64, left_out),
};

static const Column dock_columns[] = {
        { .title = "DOCK", .min_width = 8 },
        { .title = "STATE" },
        { .title = "STORE" },
        { .title = "TOLD" },
        { .title = "OUT", .right = true },
        { .title = "OVERDUE", .right = true },
        { .title = "NOT STORED", .right = true },
        { .title = "OLDEST" },
        { .title = "TROUBLE", .min_width = 12, .drop_rank = 1 },
};

static void add_dock(Table *table, const void *entry, void *userdata) {
        const ListedDock *d = entry;
        (void) userdata;
        table_row(table);
        table_cell(table, STYLE_PLAIN, d->name);
        table_cell(table, d->state ? rack_view_style(d->state) : STYLE_BAD, d->state ? d->state : "unknown");
        table_cell(table, d->store_state ? rack_view_style(d->store_state) : STYLE_PLAIN, d->store_state ? d->store_state : "");
        table_time(table, d->told_usec, "");
        table_cellf(table, STYLE_PLAIN, "%llu", (unsigned long long) d->out);
        table_cellf(table, d->overdue > 0 ? STYLE_BAD : STYLE_PLAIN, "%llu", (unsigned long long) d->overdue);
        table_cellf(table, STYLE_PLAIN, "%llu", (unsigned long long) d->unstored_clips);
        table_time(table, d->oldest_unstored_usec, "");
        if (!d->trouble && d->left_out > 0)
                table_cellf(table, STYLE_PLAIN, "of %llu more cameras it tells nothing", (unsigned long long) d->left_out);
        else
                table_cell(table, STYLE_BAD, d->trouble ? d->trouble : "");
}

static int list_docks(const Options *options, sd_bus *bus) {
        static const ListKind kind = { dock_properties, ELEMENTSOF(dock_properties), sizeof(ListedDock), dock_columns,
                                       ELEMENTSOF(dock_columns), add_dock };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(list_done) List list = { 0 };
        int exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListFleetDocks", &reply, "");
        if (exit_code != CTL_OK)
                return exit_code;
        int r = list_begin(&kind, options->json, NULL, &list);
        if (r >= 0)
                r = list_read(&list, reply, NULL);
        if (r < 0)
                return bus_client_report(NULL, r);
        return list_print(&list, JSON_SCHEMA("fleet-docks"), "docks", "There is no dock.");
}

/* ---- Cameras --------------------------------------------------------------------------------------------------------- */

typedef struct ListedCamera {
        char *serial, *dock_id, *dock, *out_from_id, *out_from, *issued_to;
        uint32_t bay;
        bool overdue;
        int64_t last_docked_usec, taken_usec, due_usec, unstored_since_usec;
        uint64_t unstored_clips;
} ListedCamera;

static const Property camera_list_properties[] = {
        PROPERTY(ListedCamera, "Serial", "serial", STRING, serial),
        PROPERTY(ListedCamera, "DockId", "dock_id", STRING, dock_id),
        PROPERTY(ListedCamera, "Dock", "dock", STRING, dock),
        PROPERTY(ListedCamera, "Bay", "bay", UINT32, bay),
        PROPERTY(ListedCamera, "LastDockedUsec", "last_docked_usec", TIME, last_docked_usec),
        PROPERTY(ListedCamera, "OutFromId", "out_from_id", MAYBE, out_from_id),
        PROPERTY(ListedCamera, "OutFrom", "out_from", MAYBE, out_from),
        PROPERTY(ListedCamera, "IssuedTo", "issued_to", MAYBE, issued_to),
        PROPERTY(ListedCamera, "TakenUsec", "taken_usec", TIME, taken_usec),
        PROPERTY(ListedCamera, "DueUsec", "due_usec", TIME, due_usec),
        PROPERTY(ListedCamera, "Overdue", "overdue", BOOL, overdue),
        PROPERTY(ListedCamera, "UnstoredClips", "unstored_clips", UINT64, unstored_clips),
        PROPERTY(ListedCamera, "UnstoredSinceUsec", "unstored_since_usec", TIME, unstored_since_usec),
};

static const Column camera_columns[] = {
        { .title = "CAMERA", .min_width = 8, .keep_end = true },
        { .title = "LAST DOCKED" },
        { .title = "AT", .min_width = 6 },
        { .title = "BAY", .right = true },
        { .title = "TAKEN BY", .min_width = 6, .drop_rank = 1 },
        { .title = "DUE" },
        { .title = "NOT STORED", .right = true },
        { .title = "SINCE" },
};

static void add_camera(Table *table, const void *entry, void *userdata) {
        const ListedCamera *c = entry;
        (void) userdata;
        table_row(table);
        table_cell(table, STYLE_PLAIN, c->serial);
        table_time(table, c->last_docked_usec, "");
        table_cell(table, STYLE_PLAIN, c->dock);
        if (c->bay > 0)
                table_cellf(table, STYLE_PLAIN, "%u", (unsigned) c->bay);
        else
                table_cell(table, STYLE_PLAIN, "away");
        table_cell(table, STYLE_PLAIN, c->issued_to ? c->issued_to : "");
        if (c->overdue)
                table_cell(table, STYLE_BAD, "overdue");
        else
                table_time(table, c->due_usec, "");
        table_cellf(table, STYLE_PLAIN, "%llu", (unsigned long long) c->unstored_clips);
        table_time(table, c->unstored_since_usec, "");
}

static int list_cameras(const Options *options, sd_bus *bus) {
        static const ListKind kind = { camera_list_properties, ELEMENTSOF(camera_list_properties), sizeof(ListedCamera), camera_columns,
                                       ELEMENTSOF(camera_columns), add_camera };
        _cleanup_(list_done) List list = { 0 };
        int r = list_begin(&kind, options->json, NULL, &list);
        if (r < 0)
                return bus_client_report(NULL, r);
        int exit_code = list_read_pages(&list, bus, DOCK_MANAGER_INTERFACE, "ListFleetCameras", NULL);
        if (exit_code != CTL_OK)
                return exit_code;
        return list_print(&list, JSON_SCHEMA("fleet-cameras"), "cameras", "No dock of the fleet ever saw a camera.");
}

int verb_fleet(const Options *options) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        const char *what = options->n_args > 0 ? options->args[0] : "docks";
        bool docks = text_equal(what, "docks");
        if (options->n_args > 1 || (!docks && !text_equal(what, "cameras")))
                return ctl_fail(CTL_USAGE, "fleet takes docks, or cameras");
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        return docks ? list_docks(options, bus) : list_cameras(options, bus);
}
