/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/bus.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/bus_private.h"
#include "bus/view.h"
#include "service/timer.h"

#define RECONNECT_USEC USEC_PER_SEC

/* ---- What changed --------------------------------------------------------------------------------------------- */

void bus_wake(Bus *b) {
        int r = sd_event_source_set_enabled(b->flush, SD_EVENT_ONESHOT);

        if (r < 0)
                log_warning(NULL, "Changes cannot be announced on the bus: %s", strerror(-r));
}

static int show_all(Bus *b) {
        uint64_t now = clock_boottime_usec(), wake = UINT64_MAX;
        int r, failed = 0;

        r = bay_bus_show_all(b, now, &wake);
        if (r < 0)
                failed = r;
        r = manager_bus_show(b, now, &wake);
        if (r < 0)
                failed = r;
        r = camera_bus_show_all(b);
        if (r < 0)
                failed = r;
        r = roster_bus_show(b);
        if (r < 0)
                failed = r;
        r = catalog_bus_show(b);
        if (r < 0)
                failed = r;
        r = transfer_bus_show_all(b, now, &wake);
        if (r < 0)
                failed = r;
        r = job_bus_show_all(b, now, &wake);
        if (r < 0)
                failed = r;
        r = rollout_bus_show_all(b, now, &wake);
        if (r < 0)
                failed = r;
        /* Out of memory: what was not shown stays marked, and gets another chance with the progress. */
        if (failed < 0)
                wake = now + VIEW_PROGRESS_USEC;
        if (wake == UINT64_MAX)
                return 0;
        return timer_at(b->later, wake);
}

static int on_flush(sd_event_source *source, void *userdata) {
        (void) source;
        return show_all(userdata);
}

static int on_later(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        return show_all(userdata);
}

static void on_manager_changed(void *userdata) {
        manager_bus_changed(userdata);
        roster_bus_changed(userdata);
        catalog_bus_changed(userdata);
        transfer_bus_changed(userdata);
}

static void on_transfers_changed(void *userdata) {
        transfer_bus_changed(userdata);
}

static void on_bay_changed(void *userdata, Bay *bay) {
        bay_bus_changed(userdata, bay);
}

static void on_camera_added(void *userdata, Camera *camera) {
        int r = camera_bus_add(userdata, camera);

        if (r < 0)
                log_warning(&(LogAbout){ .camera = camera_serial(camera) }, "The camera cannot be shown on the bus: %s",
                            strerror(-r));
}

/* A camera's facts are shown by the bay that it is in as well. */
static void on_camera_changed(void *userdata, Camera *camera) {
        camera_bus_changed(userdata, camera);
        if (camera_bay(camera))
                bay_bus_changed(userdata, camera_bay(camera));
}

static void on_camera_removed(void *userdata, Camera *camera) {
        camera_bus_remove(userdata, camera);
}

static void on_camera_overdue(void *userdata, const IssueRow *issue) {
        roster_bus_camera_overdue(userdata, issue);
}

static void on_fleet_camera_overdue(void *userdata, const char *serial, const char *dock_id, const char *dock_name,
                                    const char *officer_id, int64_t due_usec) {
        manager_bus_fleet_camera_overdue(userdata, serial, dock_id, dock_name, officer_id, due_usec);
}

static const ManagerObserver observer = {
        .manager_changed = on_manager_changed,
        .bay_changed = on_bay_changed,
        .transfers_changed = on_transfers_changed,
        .camera_added = on_camera_added,
        .camera_changed = on_camera_changed,
        .camera_removed = on_camera_removed,
        .camera_overdue = on_camera_overdue,
        .fleet_camera_overdue = on_fleet_camera_overdue,
};

/* ---- The connection ------------------------------------------------------------------------------------------- */

static void bus_disconnect(Bus *b) {
        if (!b->bus)
                return;
        manager_set_bus(b->manager, NULL);
        manager_bus_disconnect(b);
        bay_bus_disconnect_all(b);
        camera_bus_disconnect_all(b);
        roster_bus_disconnect(b);
        catalog_bus_disconnect_all(b);
        transfer_bus_disconnect_all(b);
        authority_disconnect(b->authority);
        rollout_bus_disconnect_all(b);
        job_bus_disconnect_all(b);
        b->object_manager = sd_bus_slot_unref(b->object_manager);
        b->bus = sd_bus_flush_close_unref(b->bus);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Bus *b = userdata;
        int r;

        (void) m;
        (void) ret_error;
        log_warning(NULL, "The system bus has gone; the dock works on without it");
        /* Not from within the connection's own callback. */
        r = sd_event_source_set_time_relative(b->reconnect, RECONNECT_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(b->reconnect, SD_EVENT_ONESHOT);
}

static int put_objects(Bus *b) {
        int r;

        r = authority_connect(b->authority, b->bus);
        if (r < 0)
                return r;
        r = sd_bus_add_object_manager(b->bus, &b->object_manager, BUS_PATH);
        if (r < 0)
                return r;
        r = manager_bus_connect(b);
        if (r < 0)
                return r;
        r = bay_bus_connect_all(b);
        if (r < 0)
                return r;
        r = roster_bus_connect(b);
        if (r < 0)
                return r;
        r = catalog_bus_connect_all(b);
        if (r < 0)
                return r;
        r = transfer_bus_connect_all(b);
        if (r < 0)
                return r;
        r = rollout_bus_connect_all(b);
        if (r < 0)
                return r;
        r = job_bus_connect_all(b);
        if (r < 0)
                return r;
        return camera_bus_connect_all(b);
}

/* The objects are there before the name is: whoever finds the name finds them. */
static int bus_connect(Bus *b) {
        int r;

        r = sd_bus_open_system_with_description(&b->bus, "berthd");
        if (r < 0)
                return r;
        if ((r = put_objects(b)) < 0 ||
            (r = sd_bus_add_match(b->bus, NULL,
                                  "type='signal',interface='org.freedesktop.DBus.Local',member='Disconnected'",
                                  on_disconnected, b)) < 0 ||
            (r = sd_bus_attach_event(b->bus, b->event, SD_EVENT_PRIORITY_NORMAL)) < 0 ||
            (r = sd_bus_request_name(b->bus, BUS_NAME, 0)) < 0) {
                bus_disconnect(b);
                return r;
        }
        manager_set_bus(b->manager, b->bus);
        return 0;
}

static int on_reconnect(sd_event_source *source, uint64_t usec, void *userdata) {
        Bus *b = userdata;
        int r;

        (void) usec;
        bus_disconnect(b);
        r = bus_connect(b);
        if (r >= 0) {
                log_info(NULL, "The system bus is back");
                return 0;
        }
        r = sd_event_source_set_time_relative(source, RECONNECT_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------ */

/* Sources that rest until they are woken. */
static int make_sources(Bus *b) {
        int r;

        r = sd_event_add_defer(b->event, &b->flush, on_flush, b);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(b->flush, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_time(b->event, &b->later, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_later, b);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(b->later, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_time(b->event, &b->reconnect, CLOCK_BOOTTIME, 0, 0, on_reconnect, b);
        return r < 0 ? r : sd_event_source_set_enabled(b->reconnect, SD_EVENT_OFF);
}

int bus_new(sd_event *event, Manager *manager, Bus **ret) {
        _cleanup_(bus_freep) Bus *b = NULL;
        int r;

        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        b->event = sd_event_ref(event);
        b->manager = manager;
        r = make_sources(b);
        if (r < 0)
                return r;
        r = authority_new(b, &b->authority);
        if (r < 0)
                return r;
        r = manager_bus_new(b);
        if (r < 0)
                return r;
        r = bay_bus_new_all(b);
        if (r < 0)
                return r;
        r = roster_bus_new(b);
        if (r < 0)
                return r;
        r = catalog_bus_new(b);
        if (r < 0)
                return r;
        r = transfer_bus_new(b);
        if (r < 0)
                return r;
        for (Camera *c = manager_first_camera(manager); c; c = camera_next_in_order(c)) {
                r = camera_bus_add(b, c);
                if (r < 0)
                        return r;
        }
        manager_set_observer(manager, &observer, b);
        r = bus_connect(b);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

Bus *bus_free(Bus *b) {
        if (!b)
                return NULL;
        manager_set_observer(b->manager, NULL, NULL);
        bus_disconnect(b);
        manager_bus_free(b);
        bay_bus_free_all(b);
        camera_bus_free_all(b);
        roster_bus_free(b);
        catalog_bus_free(b);
        transfer_bus_free(b);
        job_bus_free_all(b);
        rollout_bus_free_all(b);
        authority_free(b->authority);
        sd_event_source_disable_unref(b->flush);
        sd_event_source_disable_unref(b->later);
        sd_event_source_disable_unref(b->reconnect);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}
