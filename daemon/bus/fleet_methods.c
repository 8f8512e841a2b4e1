/* SPDX-License-Identifier: Apache-2.0 */

/* The members of org.berth.Dock1.Manager about the fleet: its docks, and all their cameras. */

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/manager_methods.h"
#include "service/fleet_docks.h"

#define CAMERAS_DEFAULT 100u
#define CAMERAS_MAX 500u

static FleetDocks *docks_of(void *userdata) {
        return manager_fleet_docks((*(Bus **) userdata)->manager);
}

static int unreadable(sd_bus_error *ret_error, int r) {
        return sd_bus_error_setf(ret_error, BUS_E_FAILED, "What the fleet's docks tell could not be put together: %s.", strerror(-r));
}

static int append_text(sd_bus_message *m, const char *key, const char *text) {
        return text && *text ? sd_bus_message_append(m, "{sv}", key, "s", text) : 0;
}

static int append_time(sd_bus_message *m, const char *key, int64_t usec) {
        return usec > 0 ? sd_bus_message_append(m, "{sv}", key, "x", usec) : 0;
}

/* ---- Docks ----------------------------------------------------------------------------------------------------------- */

static int append_report(sd_bus_message *m, const FleetDock *d, const FleetCamera *cameras, size_t n) {
        const DockReport *report = d->report;
        uint64_t out = 0, overdue = 0;
        int r;

        for (size_t i = 0; i < n; i++) {
                out += cameras[i].out_from == d;
                overdue += cameras[i].out_from == d && cameras[i].at.overdue;
        }
        r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "State", "s", report->state, "StoreState", "s", report->store_state,
                                  "CamerasOut", "t", out, "CamerasOverdue", "t", overdue, "UnstoredClips", "t", report->unstored_clips,
                                  "Cameras", "t", (uint64_t) report->n_cameras, "CamerasLeftOut", "t", report->left_out);
        if (r >= 0)
                r = append_time(m, "ToldUsec", report->told_usec);
        return r < 0 ? r : append_time(m, "OldestUnstoredUsec", report->oldest_unstored_usec);
}

static int append_dock(sd_bus_message *m, const FleetDock *d, const FleetCamera *cameras, size_t n) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "Id", "s", d->id, "Name", "s", d->name, "Own", "b", (int) d->own);
        if (r >= 0)
                r = append_text(m, "Trouble", d->trouble);
        if (r >= 0 && d->report)
                r = append_report(m, d, cameras, n);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int manager_bus_list_fleet_docks(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) FleetCamera *cameras = NULL;
        FleetDock *first;
        size_t n = 0;
        int r;

        /* The docks come as they were put together for their cameras. */
        r = fleet_docks_cameras(docks_of(userdata), &cameras, &n, &first);
        if (r < 0)
                return unreadable(ret_error, r);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (const FleetDock *d = first; d && r >= 0; d = d->next)
                r = append_dock(reply, d, cameras, n);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

/* ---- Cameras --------------------------------------------------------------------------------------------------------- */

static int append_out(sd_bus_message *m, const FleetCamera *c) {
        int r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "OutFromId", "s", c->out_from->id, "OutFrom", "s", c->out_from->name,
                                      "IssuedTo", "s", c->out->officer_id, "Overdue", "b", (int) c->at.overdue);

        if (r >= 0)
                r = append_time(m, "TakenUsec", c->out->taken_usec);
        return r < 0 ? r : append_time(m, "DueUsec", c->out->due_usec);
}

static int append_camera(sd_bus_message *m, const FleetCamera *c) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "Serial", "s", c->serial, "DockId", "s", c->dock->id, "Dock", "s",
                                          c->dock->name, "UnstoredClips", "t", c->at.unstored_clips);
        if (r >= 0)
                r = append_time(m, "LastDockedUsec", c->seen->last_docked_usec);
        if (r >= 0 && c->seen->bay > 0)
                r = sd_bus_message_append(m, "{sv}", "Bay", "u", (uint32_t) c->seen->bay);
        if (r >= 0)
                r = append_time(m, "UnstoredSinceUsec", c->at.unstored_since_usec);
        if (r >= 0 && c->at.out)
                r = append_out(m, c);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int manager_bus_list_fleet_cameras(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) FleetCamera *cameras = NULL;
        const char *after;
        uint32_t max, told = 0;
        size_t n = 0;
        int r;

        r = sd_bus_message_read(m, "su", &after, &max);
        if (r < 0)
                return r;
        max = max == 0 ? CAMERAS_DEFAULT : MIN2(max, CAMERAS_MAX);
        r = fleet_docks_cameras(docks_of(userdata), &cameras, &n, NULL);
        if (r < 0)
                return unreadable(ret_error, r);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < n && told < max && r >= 0; i++) {
                if (strcmp(cameras[i].serial, after) <= 0)
                        continue;
                r = append_camera(reply, &cameras[i]);
                told++;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

/* ---- The signal ------------------------------------------------------------------------------------------------------ */

void manager_bus_fleet_camera_overdue(Bus *b, const char *serial, const char *dock_id, const char *dock_name, const char *officer_id,
                                      int64_t due_usec) {
        int r;

        if (!b->bus)
                return;
        r = sd_bus_emit_signal(b->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "FleetCameraOverdue", "ssssx", serial, dock_id, dock_name,
                               officer_id, due_usec);
        if (r < 0)
                log_debug(NULL, "That camera %s of another dock should be back cannot be announced: %s", serial, strerror(-r));
}
