/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Cameras whose port is off for a while, because others are charged first or because they are charged: they stay docked. Nothing of a
 * port without power tells whether a camera is still there: that shows when the power comes back, and then it is asked everything
 * anew, since it may have been out, with new footage, or may be another one.
 */

#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/charging.h"
#include "service/docking.h"
#include "service/manager_private.h"

/* How long a camera may take from the power at its port until it is on the bus. */
#define BACK_WITHIN_USEC (45 * USEC_PER_SEC)

bool docking_may_rest(const Docking *d) {
        return (bay_state(d->bay) == BAY_READY || d->kept) && d->device && d->camera && d->recorded && !d->worker && !d->busy && !d->away &&
               !d->behind && !d->updating && !d->handed_out && !d->quarantined && !d->refused && !d->pending &&
               d->order.kind == DOCKING_ORDER_NONE;
}

void docking_rest(Docking *d) {
        d->resting = true;
        d->waking = false;
}

void docking_stays(Docking *d) {
        d->resting = d->waking = false;
        docking_kick(d);
}

void docking_wake(Docking *d) {
        /* Its port was off for so short a time that the kernel did not notice. */
        if (d->device)
                return docking_stays(d);
        d->waking = true;
        d->back_by_usec = clock_boottime_usec() + BACK_WITHIN_USEC;
        docking_kick(d);
}

void docking_forget_readings(Docking *d) {
        for (size_t i = 0; i < d->n_clips; i++) {
                Clip *c = d->clips[i];

                c->part_here = c->sampled = c->copied_here = c->verified_here = false;
                for (size_t k = 0; c->blocks && k < c->n_blocks; k++)
                        c->blocks[k].read_here = false;
                c->n_read_here = 0;
        }
}

bool docking_rest_left(Docking *d) {
        Fact fact;

        if (!d->resting)
                return false;
        fact = docking_fact(d, FACT_LEFT, NULL);
        fact.text = "its port was switched off";
        (void) docking_commit_fact(d, &fact, NULL, NULL);
        docking_forget_session(d);
        docking_forget_readings(d);
        d->device = hotplug_device_free(d->device);
        docking_kick(d);
        return true;
}

bool docking_rest_came(Docking *d, HotplugDevice *device) {
        UsbShape shape;
        const Model *model;
        Fact fact;

        if (!d->resting || d->device)
                return false;
        model = docking_match(d, device, &shape);
        if (model != d->model)
                return false;
        d->device = device;
        d->shape = shape;
        d->resting = d->waking = d->emptied = d->ejected = d->lost = d->cycled = false;
        d->unchanged = d->rested = d->slept = true;
        d->authorise_until_usec = 0;
        docking_device_fact(d, FACT_RETURNED, &fact);
        if (docking_commit_fact(d, &fact, NULL, NULL) < 0)
                docking_trouble(d, -ENOMEM, "the camera's return cannot be recorded");
        docking_kick(d);
        return true;
}

/* ---- Its battery ---------------------------------------------------------------------------------------------------- */

static void gauge_closed(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        (void) result;
        (void) text;
        d->worker = worker_free(d->worker);
        d->gauging = false;
        docking_step_done(d);
}

static void temperature_known(Docking *d, const WorkerHealth *health) {
        camera_set_temperature(d->camera, true, health->temperature_decidegrees);
        d->health.temperature_known = true;
        d->health.temperature_decidegrees = health->temperature_decidegrees;
        docking_judge(d);
}

static void gauge_known(void *userdata, WorkerResult result, const char *text, const WorkerHealth *health) {
        Docking *d = userdata;

        if (result == WORKER_OK) {
                if (health->battery_percent >= 0)
                        camera_set_battery(d->camera, health->battery_percent);
                if (health->temperature_known)
                        temperature_known(d, health);
                charging_battery_told(d->manager->charging, d->bay);
        } else if (worker_result_is_fatal(result)) {
                d->gauging = false;
                return docking_fault(d, result, text);
        }
        if (worker_close(d->worker, gauge_closed) < 0)
                gauge_closed(d, WORKER_DIED, NULL);
}

static void gauge_opened(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        if (result != WORKER_OK || worker_health(d->worker, gauge_known) < 0) {
                d->gauging = false;
                docking_fault(d, result != WORKER_OK ? result : WORKER_DIED, text ? text : "the worker cannot be called");
        }
}

int docking_gauge(Docking *d) {
        if (!docking_may_rest(d) || d->resting)
                return -EBUSY;
        d->busy = d->gauging = true;
        return docking_spawn(d, gauge_opened);
}
