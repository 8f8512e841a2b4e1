/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Cameras that show their footage only as another device: sent into their storage mode, waited for, and brought back. The
 * docking goes on while nothing is in the bay; who it is that comes back is judged in docking_return.c.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/return.h"
#include "service/docking.h"
#include "service/manager_private.h"

/* ---- Into the storage mode --------------------------------------------------------------------------------------- */

/* The worker has nothing more to do. That the camera is off the bus by then is no fault of it. */
static void sent_away(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        (void) result;
        (void) text;
        d->worker = worker_free(d->worker);
        docking_step_done(d);
}

static void let_go(Docking *d) {
        if (worker_close(d->worker, sent_away) < 0)
                sent_away(d, WORKER_OK, NULL);
}

static void storage_entered(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        d->sending = false;
        /* It may leave so fast that its answer does not get through. Whether it went where it was sent, its return tells. */
        if (result != WORKER_OK && result != WORKER_UNPLUGGED)
                return docking_fault(d, result, text);
        d->away = true;
        let_go(d);
}

static void switch_recorded(Docking *d, Clip *clip, int result) {
        int r;

        (void) clip;
        if (!d || !d->worker)
                return;
        if (result < 0)
                return docking_trouble(d, result, "the database cannot be written");
        r = worker_enter_storage(d->worker, storage_entered);
        if (r < 0)
                docking_trouble(d, r, "the worker cannot be called");
}

void docking_switch(Docking *d) {
        Fact fact = docking_fact(d, FACT_SWITCH_BEGUN, NULL);
        int r;

        d->busy = d->sending = true;
        d->home = false;
        d->command_model = d->model;
        d->switch_docking_id = d->id;
        d->away_since_usec = fact.at.boottime_usec;
        d->back_by_usec = fact.at.boottime_usec + model_returns_within_usec(d->model);
        fact.change.model_id = d->model->id;
        fact.change.until_boottime_usec = d->back_by_usec;
        r = docking_commit_fact(d, &fact, NULL, switch_recorded);
        if (r < 0)
                docking_trouble(d, r, "the change into its storage mode cannot be recorded");
}

/* ---- Away -------------------------------------------------------------------------------------------------------- */

bool docking_device_left(Docking *d) {
        uint64_t now = clock_boottime_usec();
        Fact fact;

        if (d->quarantined || d->refused || !d->device)
                return false;
        if (docking_rest_left(d) || docking_flash_left(d))
                return true;
        if (!d->sending && !d->away) {
                /* After the eject it may go back to its command mode by itself. */
                if (!d->behind || !d->ejected || now >= d->back_by_usec)
                        return false;
                d->home = true;
                d->away_since_usec = now;
                d->back_by_usec = now + model_returns_within_usec(d->command_model);
        }
        d->sending = false;
        fact = docking_fact(d, FACT_LEFT, NULL);
        fact.text = d->cycling ? "its port was switched off" : d->home ? "it goes back to its command mode" : "it goes to its storage mode";
        (void) docking_commit_fact(d, &fact, NULL, NULL);
        docking_forget_session(d);
        d->away = true;
        d->device = hotplug_device_free(d->device);
        docking_kick(d);
        return true;
}

static bool is_expected(const Docking *d, const Model *model) {
        if (!model)
                return false;
        return model == d->command_model || (!d->home && model_returns_as(d->command_model, model->id));
}

/* It is there again, as another device: everything that was asked of the first is asked again. */
static int take_back(Docking *d, HotplugDevice *device, const Model *model, const UsbShape *shape) {
        Fact fact;

        d->unchanged = !d->home && model == d->command_model;
        d->device = device;
        d->shape = *shape;
        d->model = model;
        d->behind = model != d->command_model;
        d->identity = d->behind ? IDENTITY_PORT : IDENTITY_OWN;
        d->away = d->lost = d->cycled = d->ejected = d->identity_known = false;
        d->port_power = d->behind && bay_has_port_power(d->bay);
        docking_device_fact(d, FACT_RETURNED, &fact);
        docking_kick(d);
        return docking_commit_fact(d, &fact, NULL, NULL);
}

static bool came_back(Docking *d, HotplugDevice *device) {
        UsbShape shape;
        const Model *model = docking_match(d, device, &shape);
        const ReturnTiming timing = {
                .same_boot = true,
                .model_expected = is_expected(d, model),
                .begun_usec = d->away_since_usec,
                .until_usec = d->back_by_usec,
                .appeared_usec = device->appeared_usec,
        };
        LogAbout about = docking_about(d);

        if (!return_is_in_time(&timing)) {
                log_warning(&about, "%s", timing.model_expected ? "A device of the awaited model came too late to be taken for the camera" :
                                                                  "Another device came than the camera can return as");
                return false;
        }
        if (take_back(d, device, model, &shape) < 0)
                docking_trouble(d, -ENOMEM, "the camera's return cannot be recorded");
        else if (d->unchanged)
                docking_fault(d, WORKER_CAMERA, "it left the bus for its storage mode, and came back in its command mode");
        return true;
}

bool docking_device_came(Docking *d, HotplugDevice *device) {
        if (docking_rest_came(d, device) || docking_flash_came(d, device))
                return true;
        return !d->device && d->away && came_back(d, device);
}

void docking_anew(Docking *d) {
        HotplugDevice *device = TAKE_PTR(d->device);
        Bay *bay = d->bay;

        d->away = true;
        bay_vacated(bay, docking_away_reason(d));
        bay_plugged(bay, device);
}

const char *docking_away_reason(const Docking *d) {
        if (d->resting || d->rested)
                return "taken out while its port was off";
        if (d->device)
                return "taken out";
        if (d->updating)
                return "something else than its camera came back from a flash";
        return d->home ? "did not come back in its command mode" : "did not come back in its storage mode";
}

/* Its time is over. Where its footage is settled nothing is at stake, and somebody may well have taken it. */
void docking_lost(Docking *d) {
        uint64_t within;
        _cleanup_(freep) char *text = NULL;

        if (d->resting)
                return bay_vacated(d->bay, docking_away_reason(d));
        within = model_returns_within_usec(d->command_model) / USEC_PER_SEC;
        if (d->emptied && !d->device)
                return bay_vacated(d->bay, docking_away_reason(d));
        if (d->emptied) {
                LogAbout about = docking_about(d);

                log_warning(&about, "Switching its port off did not take the camera off the bus; it stays in its storage mode");
                d->away = d->port_power = false;
                return docking_kick(d);
        }
        if (d->device)
                text = text_format("it took the command to change into its storage mode, and stays as it is after %" PRIu64 " s", within);
        else
                text = text_format("it did not come back %s within %" PRIu64 " s; is it still in the bay? Otherwise put it in again",
                                   d->home ? "after its port was switched off and on" : "in its storage mode", within);
        d->lost = d->away = !d->device;
        d->port_power = bay_has_port_power(d->bay);
        docking_fault(d, WORKER_CAMERA, text ? text : "it did not come back");
}

/* ---- Back to the command mode ------------------------------------------------------------------------------------ */

static void ejected(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;
        Fact fact = docking_fact(d, FACT_EJECTED, NULL);
        LogAbout about = docking_about(d);

        /* A courtesy to the camera: what it makes of it changes nothing for the footage. */
        if (result != WORKER_OK && result != WORKER_UNSUPPORTED)
                log_notice(&about, "Its storage was not ejected cleanly: %s", text);
        d->ejected = true;
        d->back_by_usec = clock_boottime_usec() + (result == WORKER_OK ? model_returns_within_usec(d->command_model) : 0);
        fact.text = result == WORKER_OK ? NULL : text;
        (void) docking_commit_fact(d, &fact, NULL, NULL);
        if (worker_result_is_fatal(result))
                return sent_away(d, result, NULL);
        let_go(d);
}

static void opened_to_eject(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        if (result != WORKER_OK || worker_eject(d->worker, ejected) < 0)
                ejected(d, result != WORKER_OK ? result : WORKER_DIED, text ? text : "the worker cannot be called");
}

void docking_eject(Docking *d) {
        d->busy = d->emptied = true;
        if (d->worker)
                opened_to_eject(d, WORKER_OK, NULL);
        else
                (void) docking_spawn(d, opened_to_eject);
}

/* The bay's docking may be another one by now, for which this is no news. */
static void cycled(void *userdata, const char *port_path, int result) {
        Docking *d = bay_docking(userdata);
        LogAbout about;

        if (!d || !d->cycling)
                return;
        d->cycling = false;
        about = docking_about(d);
        if (result >= 0)
                return docking_kick(d);
        log_warning(&about, "The power of port %s cannot be switched: %s; the camera stays as it is", port_path, strerror(-result));
        d->port_power = false;
        /* What did not leave need not be waited for. */
        if (d->device)
                d->away = false;
        docking_kick(d);
}

static void cycle_now(Docking *d) {
        uint64_t now = clock_boottime_usec();
        int r;

        d->worker = worker_free(d->worker);
        d->busy = false;
        d->home = d->away = d->cycling = true;
        d->cycled = d->lost;
        d->away_since_usec = now;
        d->back_by_usec = now + HUBPORT_OFF_USEC + model_returns_within_usec(d->command_model);
        d->lost = false;
        r = hubport_cycle(d->manager->hubports, bay_port_path(d->bay), cycled, d->bay);
        if (r < 0)
                cycled(d->bay, bay_port_path(d->bay), r);
        docking_kick(d);
}

static void closed_to_cycle(void *userdata, WorkerResult result, const char *text) {
        (void) result;
        (void) text;
        cycle_now(userdata);
}

/* Never under a worker: nothing is transferred when the power goes. */
void docking_cycle(Docking *d) {
        d->busy = true;
        if (!d->worker || worker_close(d->worker, closed_to_cycle) < 0)
                cycle_now(d);
}
