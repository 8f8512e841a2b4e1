/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A camera that changes its mode is several devices, of which one is at the port at a time. In between it is away: the port
 * is still taken, and the host sees nothing there.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/bus.h"

static void change_forget(Change *change) {
        free(change->name);
        *change = (Change) {};
}

void sim_device_become(SimDevice *device, const char *name, unsigned leave_msec, unsigned away_msec) {
        uint64_t leave = sim_now_usec() + leave_msec * USEC_PER_MSEC;

        change_forget(&device->change);
        device->change = (Change) {
                .pending = true,
                .name = name ? strdup(name) : NULL,
                .leave_usec = leave,
                .return_usec = leave + away_msec * USEC_PER_MSEC,
        };
        sim_timer_arm(&device->timer, leave);
}

bool sim_device_go_home(SimDevice *device, unsigned leave_msec, unsigned away_msec) {
        if (!device->home)
                return false;
        sim_device_become(device, device->home->name, leave_msec, away_msec);
        return true;
}

bool change_tick(SimDevice *device, uint64_t now_usec) {
        const Change *c = &device->change;
        uint64_t next = device->away ? c->return_usec : c->leave_usec;

        if (!c->pending)
                return false;
        if (now_usec >= next)
                return true;
        sim_timer_arm(&device->timer, next);
        return false;
}

void device_put(SimDevice *device, Port *port) {
        if (device->port)
                device->port->plugged = NULL;
        pthread_mutex_lock(&device->lock);
        change_forget(&device->change);
        device->away = false;
        device->home = NULL;
        device->port = port;
        pthread_mutex_unlock(&device->lock);
        if (port)
                port->plugged = device;
}

static void set_home(SimDevice *device, SimDevice *home) {
        pthread_mutex_lock(&device->lock);
        device->home = home;
        pthread_mutex_unlock(&device->lock);
}

/* `device` is what was there, `as` what is there from now on. */
static void replace(SimDevice *device, SimDevice *as) {
        SimDevice *home = device->home ?: device;
        Port *port = device->port;

        device_put(device, NULL);
        device_put(as, port);
        if (as != home)
                set_home(as, home);
}

void port_wake(Port *port) {
        SimDevice *device = port->plugged;

        if (device && !device->hub)
                replace(device, device->home ?: device);
}

/* Its time to come back. What wants to come back and is elsewhere, or nowhere, does not. */
static void come_back(SimDevice *device, const char *name) {
        SimDevice *as = name ? device_find(name) : NULL;

        if (name && !as)
                fprintf(stderr, "berth-sim: %s wants to become \"%s\", and there is no such camera.\n", device->name, name);
        else if (as && as != device && as->port)
                fprintf(stderr, "berth-sim: %s wants to become \"%s\", which is at %s.\n", device->name, name, as->port->path);
        else if (as)
                replace(device, as);
}

/* One step at a time: a device that comes back as itself must have been seen to be away. */
static void settle_one(SimDevice *device, uint64_t now_usec) {
        _cleanup_(freep) char *name = NULL;
        bool back = false;

        pthread_mutex_lock(&device->lock);
        if (device->change.pending && !device->away && now_usec >= device->change.leave_usec) {
                device->away = true;
                sim_timer_arm(&device->timer, device->change.return_usec);
        } else if (device->change.pending && device->away && now_usec >= device->change.return_usec) {
                back = true;
                name = TAKE_PTR(device->change.name);
                change_forget(&device->change);
        }
        pthread_mutex_unlock(&device->lock);
        if (back && device->port)
                come_back(device, name);
}

void changes_settle(void) {
        uint64_t now = sim_now_usec();

        for (SimDevice *device = NULL; (device = device_next(device));)
                if (!device->hub)
                        settle_one(device, now);
}
