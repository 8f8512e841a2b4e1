/* SPDX-License-Identifier: Apache-2.0 */
#include "service/calibrate.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

/* A camera with nothing in its capacitors is gone by then, and the hub's port has settled. */
#define OFF_USEC (4 * USEC_PER_SEC)
#define LOOK_EVERY_USEC (100 * USEC_PER_MSEC)
/* So long a camera that is ready may take to be let go of. */
#define IDLE_USEC (20 * USEC_PER_SEC)
/* Longer than docking_rest.c waits: the docking says by itself that its camera did not come back. */
#define BACK_USEC (50 * USEC_PER_SEC)

struct Calibration {
        Manager *manager;
        Bay *bay;
        HubportWay way;
        uint64_t docking_id;
        bool asked, sees_device; /* by the hub itself, while it was off */
        bool gone, back;
        uint64_t begun_usec, on_usec, back_usec;
        int result;
        sd_event_source *timer;
        Fact fact;
        char *operator_name, *text;
        bool cancelled, recording;
        ManagerDone done;
        void *userdata;
};

#define CANCELLED "it was cancelled, and nothing was measured"

static Calibration *calibration_free(Calibration *c) {
        if (!c)
                return NULL;
        sd_event_source_disable_unref(c->timer);
        free(c->operator_name);
        free(c->text);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(Calibration, calibration_free);

static void finish(Calibration *c, int result, const char *text) {
        charging_leave(c->manager->charging, c->bay, false);
        charging_port_measured(c->manager->charging, c->bay);
        c->done(c->userdata, result, text);
        calibration_free(c);
}

static void recorded(int result, void *userdata) {
        Calibration *c = userdata;
        _cleanup_(freep) char *text = NULL;

        if (result >= 0) {
                log_notice(&(LogAbout){ .bay = bay_name(c->bay) }, "Its port was measured: %s", c->text);
                return finish(c, 0, c->text);
        }
        text = text_format("what was measured could not be recorded: %s", store_last_refusal(c->manager->store));
        finish(c, result, text);
}

static char *words(const Calibration *c) {
        const char *by = c->way == HUBPORT_FILE ? "the kernel's 'disable' file" : "the hub's own request";

        if (c->gone && c->asked && c->sees_device)
                return text_format("it does not switch: without power at port %s, by %s, the hub still sees the camera there", c->fact.bay,
                                   by);
        if (!c->gone)
                return text_format("it does not switch: the camera stayed on the bus while port %s was to have no power, by %s",
                                   c->fact.bay, by);
        if (!c->back)
                return text_format("it switches off, by %s, but the camera did not come back within %u s: take it out and put it in again",
                                   by, (unsigned) (BACK_USEC / USEC_PER_SEC));
        return text_format("it switches, by %s: the camera was gone, and back after %u.%u s%s", by,
                           (unsigned) (c->back_usec / USEC_PER_SEC), (unsigned) (c->back_usec % USEC_PER_SEC / (100 * USEC_PER_MSEC)),
                           c->asked ? "" : "; the hub itself could not be asked, so look whether the camera's light went out");
}

static void record(Calibration *c) {
        char hub[HUBPORT_HUB_SIZE] = "";
        Fact *fact = &c->fact;

        c->recording = true;
        (void) hubport_hub(bay_port_path(c->bay), hub);
        c->text = words(c);
        fact->kind = FACT_PORT_CALIBRATED;
        fact->text = c->text;
        fact->port.hub = hub;
        fact->port.way = hubport_way_to_string(c->way);
        fact->port.switches = c->gone && !(c->asked && c->sees_device);
        fact->port.returns = c->back;
        fact->port.back_usec = c->back ? c->back_usec : 0;
        manager_moment(c->manager, &fact->at);
        if (store_put(c->manager->store, fact, recorded, c) < 0)
                finish(c, -ENOMEM, "what was measured could not be recorded");
}

static int wait_for(Calibration *c, uint64_t usec, sd_event_time_handler_t then) {
        c->timer = sd_event_source_disable_unref(c->timer);
        return sd_event_add_time(c->manager->event, &c->timer, CLOCK_BOOTTIME, clock_boottime_usec() + usec, USEC_PER_MSEC * 20, then, c);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata) {
        Calibration *c = userdata;
        const Docking *d = bay_docking(c->bay);
        uint64_t now = clock_boottime_usec();

        (void) source;
        (void) usec;
        if (c->cancelled) {
                finish(c, -ECANCELED, CANCELLED);
                return 0;
        }
        c->back = d && d->device && !d->resting;
        c->back_usec = now - c->on_usec;
        if (!c->back && c->back_usec < BACK_USEC && wait_for(c, LOOK_EVERY_USEC, on_look) >= 0)
                return 0;
        record(c);
        return 0;
}

static void is_on(void *userdata, const char *port_path, int result) {
        Calibration *c = userdata;
        Docking *d = bay_docking(c->bay);

        (void) port_path;
        c->on_usec = clock_boottime_usec();
        if (d && d->id == c->docking_id && d->resting)
                docking_wake(d);
        if (c->result < 0 || result < 0) {
                _cleanup_(freep) char *text = text_format("the power of port %s cannot be switched: %s", c->fact.bay,
                                                          strerror(c->result < 0 ? -c->result : -result));

                return finish(c, c->result < 0 ? c->result : result, text);
        }
        (void) on_look(NULL, 0, c);
}

static void turn_on(Calibration *c) {
        int r = hubport_set(c->manager->hubports, bay_port_path(c->bay), true, is_on, c);

        if (r < 0)
                is_on(c, bay_port_path(c->bay), r);
}

static void hub_asked(void *userdata, const char *port_path, int result) {
        Calibration *c = userdata;
        const Docking *d = bay_docking(c->bay);

        (void) port_path;
        c->asked = result >= 0;
        c->sees_device = c->asked && (result & HUBPORT_SEES_DEVICE);
        c->gone = !d || d->id != c->docking_id || !d->device;
        turn_on(c);
}

static int on_off_long_enough(sd_event_source *source, uint64_t usec, void *userdata) {
        Calibration *c = userdata;

        (void) source;
        (void) usec;
        if (c->cancelled)
                turn_on(c);
        else if (hubport_ask(c->manager->hubports, bay_port_path(c->bay), hub_asked, c) < 0)
                hub_asked(c, NULL, -EIO);
        return 0;
}

static void is_off(void *userdata, const char *port_path, int result) {
        Calibration *c = userdata;

        (void) port_path;
        c->result = result;
        if (result < 0 || c->cancelled || wait_for(c, OFF_USEC, on_off_long_enough) < 0)
                turn_on(c);
}

static int on_begin(sd_event_source *source, uint64_t usec, void *userdata) {
        Calibration *c = userdata;
        Docking *d = bay_docking(c->bay);
        int r;

        (void) source;
        (void) usec;
        if (c->cancelled) {
                finish(c, -ECANCELED, CANCELLED);
                return 0;
        }
        if (!d || d->id != c->docking_id || d->resting) {
                finish(c, -ENODEV, "the camera was taken out, or its port was switched, before it could be measured");
                return 0;
        }
        /* Its last worker may not have let go of it yet. */
        if (!docking_may_rest(d) && clock_boottime_usec() < c->begun_usec + IDLE_USEC && wait_for(c, LOOK_EVERY_USEC, on_begin) >= 0)
                return 0;
        if (!docking_may_rest(d)) {
                finish(c, -EBUSY, "the camera in this bay has something to do; a port is measured when its camera is ready");
                return 0;
        }
        docking_rest(d);
        r = hubport_set(c->manager->hubports, bay_port_path(c->bay), false, is_off, c);
        if (r < 0) {
                docking_stays(d);
                finish(c, r, r == -EALREADY ? "the port is being switched at this moment" : "the port cannot be switched");
        }
        return 0;
}

static int check(Bay *bay, HubportWay *ret_way, const char **ret_why) {
        const Docking *d = bay_docking(bay);
        int r;

        if (!d || !d->device) {
                *ret_why = "there must be a camera in the bay, by which it is seen whether the power goes";
                return -ENODEV;
        }
        if (bay_state(bay) != BAY_READY || d->resting) {
                *ret_why = "the camera in this bay has something to do; a port is measured when its camera is ready";
                return -EBUSY;
        }
        r = hubport_way(bay_port_path(bay), ret_way);
        if (r < 0) {
                *ret_why = r == -ENOENT ? "the kernel has no file to switch this port, and its hub cannot be asked" :
                                          "neither the port's 'disable' file nor its hub may be written; see 68-berth-hubport.rules";
                return r == -ENOENT ? -EOPNOTSUPP : -EIO;
        }
        return 0;
}

int calibrate_bay(Bay *bay, const Operator *by, ManagerDone done, void *userdata, Calibration **ret, const char **ret_why) {
        _cleanup_(calibration_freep) Calibration *c = calloc(1, sizeof(*c));
        Docking *d = bay_docking(bay);
        int r;

        *ret_why = NULL;
        if (!c)
                return -ENOMEM;
        *c = (Calibration){ .manager = bay_manager(bay), .bay = bay, .done = done, .userdata = userdata };
        r = check(bay, &c->way, ret_why);
        if (r < 0)
                return r;
        if (by->name && !(c->operator_name = strdup(by->name)))
                return -ENOMEM;
        c->docking_id = d->id;
        c->fact = (Fact){ .bay = bay_port_path(bay), .by_operator = true, .operator_uid = by->uid, .operator_name = c->operator_name };
        charging_leave(c->manager->charging, bay, true);
        c->begun_usec = clock_boottime_usec();
        r = wait_for(c, 0, on_begin);
        if (r < 0)
                charging_leave(c->manager->charging, bay, false);
        else
                *ret = TAKE_PTR(c);
        return r;
}

/* What it waits for comes at once; while the hub is at work, its answer is awaited. */
int calibration_cancel(Calibration *c) {
        if (c->recording)
                return -EALREADY;
        c->cancelled = true;
        return sd_event_source_get_enabled(c->timer, NULL) > 0 ? sd_event_source_set_time(c->timer, 0) : 0;
}
