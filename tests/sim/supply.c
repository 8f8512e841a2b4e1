/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/supply.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/macro.h"
#include "sim/bus.h"

#define TICK_USEC (20 * USEC_PER_MSEC)
#define OFF_MSEC_DEFAULT 500u
#define MSEC_PER_HOUR UINT64_C(3600000)
#define NUMBER_MAX 1000000

static void tick(void *userdata);

static struct {
        uint32_t limit_ma, speed, off_msec;
        uint32_t drawn_ma, most_ma;
        unsigned brown_outs;
        uint64_t as_of_usec, back_usec;
        atomic_bool gone;
        SimTimer timer;
} supply = {
        .speed = 1,
        .off_msec = OFF_MSEC_DEFAULT,
        .timer = { .fire = tick },
};

/* Absent: *ret stays. */
static int take(const json_t *spec, const char *key, uint32_t *ret, char *why, size_t why_size) {
        const json_t *value = json_object_get(spec, key);

        if (!value)
                return 0;
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > NUMBER_MAX) {
                (void) snprintf(why, why_size, "\"%s\" must be a whole number from 0 to %d.", key, NUMBER_MAX);
                return -EINVAL;
        }
        *ret = (uint32_t) json_integer_value(value);
        return 0;
}

int supply_battery(const json_t *spec, SimBattery **ret, char *why, size_t why_size) {
        uint32_t percent = 100, charge_ma = 0;
        _cleanup_(freep) SimBattery *b = NULL;
        int r;

        if (!json_object_get(spec, "battery_mah")) {
                *ret = NULL;
                return 0;
        }
        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        if ((r = take(spec, "battery_mah", &b->mah, why, why_size)) < 0 || (r = take(spec, "battery", &percent, why, why_size)) < 0 ||
            (r = take(spec, "charge_ma", &charge_ma, why, why_size)) < 0 || (r = take(spec, "idle_ma", &b->idle_ma, why, why_size)) < 0)
                return r;
        if (b->mah == 0)
                b->mah = BATTERY_DEFAULT_MAH;
        battery_make(NULL, 0, charge_ma, b->mah, &b->battery);
        b->level = MIN2(percent, 100u) * BATTERY_PERCENT;
        *ret = TAKE_PTR(b);
        return 0;
}

int supply_set(const json_t *command, char *why, size_t why_size) {
        uint32_t limit = supply.limit_ma, speed = supply.speed, off = supply.off_msec;
        int r;

        if ((r = take(command, "limit_ma", &limit, why, why_size)) < 0 || (r = take(command, "speed", &speed, why, why_size)) < 0 ||
            (r = take(command, "off_msec", &off, why, why_size)) < 0)
                return r;
        pthread_mutex_lock(&topology_lock);
        supply_settle();
        supply.limit_ma = limit;
        supply.speed = speed;
        supply.off_msec = off;
        supply.most_ma = 0;
        topology_settle();
        pthread_mutex_unlock(&topology_lock);
        return 0;
}

json_t *supply_describe(void) {
        json_t *o = json_object();

        json_object_set_new(o, "limit_ma", json_integer(supply.limit_ma));
        json_object_set_new(o, "drawn_ma", json_integer(supply.drawn_ma));
        json_object_set_new(o, "most_ma", json_integer(supply.most_ma));
        json_object_set_new(o, "brown_outs", json_integer(supply.brown_outs));
        return o;
}

bool supply_is_there(void) {
        return !supply.gone;
}

/* Charges, or drains, what this device has; what it draws. */
static uint32_t pass(SimDevice *device, uint64_t msec) {
        bool fed = device->port && port_is_fed(device->port);
        SimBattery *b = device->battery;
        uint32_t ma = 0, was;

        pthread_mutex_lock(&device->lock);
        was = b->level / BATTERY_PERCENT;
        if (fed) {
                /* What it draws now, also when no time passed. */
                (void) battery_charge(&b->battery, b->level, 1, &ma);
                b->level = battery_charge(&b->battery, b->level, msec, NULL);
        } else
                b->level -= MIN2(b->level, (uint32_t) (msec * b->idle_ma * BATTERY_FULL / (b->mah * MSEC_PER_HOUR)));
        if (device->model->battery && b->level / BATTERY_PERCENT != was)
                device->model->battery(device->state, b->level / BATTERY_PERCENT);
        pthread_mutex_unlock(&device->lock);
        return ma;
}

void supply_settle(void) {
        uint64_t now = sim_now_usec(), msec = (now - supply.as_of_usec) * supply.speed / USEC_PER_MSEC;
        bool any = false;

        if (supply.as_of_usec == 0)
                msec = 0;
        if (msec > 0 || supply.as_of_usec == 0)
                supply.as_of_usec = now;
        supply.drawn_ma = 0;
        for (SimDevice *device = NULL; (device = device_next(device));)
                if (device->battery) {
                        supply.drawn_ma += pass(device, msec);
                        any = true;
                }
        supply.most_ma = MAX2(supply.most_ma, supply.drawn_ma);
        if (supply.gone && now >= supply.back_usec)
                supply.gone = false;
        else if (!supply.gone && supply.limit_ma > 0 && supply.drawn_ma > supply.limit_ma) {
                supply.gone = true;
                supply.brown_outs++;
                supply.back_usec = now + supply.off_msec * USEC_PER_MSEC;
        }
        if (any)
                sim_timer_arm(&supply.timer, now + TICK_USEC);
}

static void tick(void *userdata) {
        (void) userdata;
        pthread_mutex_lock(&topology_lock);
        topology_settle();
        pthread_mutex_unlock(&topology_lock);
}
