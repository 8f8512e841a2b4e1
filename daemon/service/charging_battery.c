/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the battery in a bay: its charge, how fast it charges, and its temperature. */
#include "base/clock.h"
#include "service/charging_private.h"
#include "service/docking.h"

/* A camera tells whole percents: less than this tells nothing of how fast it charges. */
#define MEASURE_MIN_PERCENT 10u
#define PERMILLE_MIN 300u
#define PERMILLE_MAX 4000u

static void make_battery(const Model *model, unsigned permille, Battery *ret) {
        uint32_t mah = model && model->battery_mah > 0 ? model->battery_mah : BATTERY_DEFAULT_MAH;

        battery_make(model ? model->charge_curve : NULL, model ? model->n_charge_curve : 0, model ? model->charge_ma : 0,
                     (uint32_t) ((uint64_t) mah * permille / 1000), ret);
}

const Model *seat_model(const Docking *d) {
        /* A camera in its storage mode has the battery of its command mode. */
        return !d ? NULL : d->command_model ? d->command_model : d->model;
}

static void rate_known(Seat *seat, unsigned permille) {
        const Model *model = seat_model(bay_docking(seat->bay));

        seat->permille = permille;
        make_battery(model, 1000, &seat->model);
        make_battery(model, permille, &seat->battery);
}

/* Another camera is in it than before, or none. */
void seat_begin_camera(const Charging *c, Seat *seat, uint64_t id, uint64_t now_usec) {
        unsigned permille = 1000;

        if (id != 0)
                (void) store_charge_permille(c->manager->store, id, &permille);
        seat->camera_id = id;
        seat->level = 0;
        seat->level_known = false;
        seat->level_usec = now_usec;
        seat->from_usec = 0;
        seat->temperature = TEMPERATURE_UNKNOWN;
        seat->gauge_usec = now_usec + c->manager->settings->charge.gauge_usec;
        rate_known(seat, permille);
}

/* A charge has a grain: of a moment in which it did not gain one the time is not lost. */
static void charge(Seat *seat, uint64_t now_usec) {
        uint64_t passed = (now_usec - seat->level_usec) / USEC_PER_MSEC;
        uint32_t level = battery_charge(&seat->battery, seat->level, passed, NULL);

        if (level >= BATTERY_FULL)
                seat->level_usec = now_usec;
        else
                seat->level_usec += MIN2(battery_msec(&seat->battery, seat->level, level), passed) * USEC_PER_MSEC;
        seat->level = level;
}

void seat_advance(const Charging *c, Seat *seat, uint64_t now_usec) {
        const Camera *camera = bay_camera(seat->bay);
        uint64_t id = camera ? camera_id(camera) : 0;

        if (id != seat->camera_id)
                seat_begin_camera(c, seat, id, now_usec);
        if (!seat->off && id != 0)
                charge(seat, now_usec);
        else
                seat->level_usec = now_usec;
}

static void record_rate(const Charging *c, const Seat *seat, uint32_t to_level, uint64_t took_usec, unsigned permille) {
        const Docking *d = bay_docking(seat->bay);
        Fact fact = { .kind = FACT_CHARGED, .camera_id = seat->camera_id, .bay = bay_port_path(seat->bay) };

        fact.charge.from_percent = (int) (seat->from_level / BATTERY_PERCENT);
        fact.charge.to_percent = (int) (to_level / BATTERY_PERCENT);
        fact.charge.took_usec = took_usec;
        fact.charge.permille = seat->permille;
        fact.charge.measured_permille = permille;
        fact.docking_id = d ? d->id : 0;
        manager_moment(c->manager, &fact.at);
        (void) store_put(c->manager->store, &fact, NULL, NULL);
}

/* How fast did it charge since it was first watched, compared with its model? Half of that is believed at once, the other half in time. */
static void measure(const Charging *c, Seat *seat, uint32_t told, uint64_t now_usec) {
        uint64_t model_usec, took_usec = now_usec - seat->from_usec, permille;

        if (seat->from_usec == 0 || told < seat->from_level + MEASURE_MIN_PERCENT * BATTERY_PERCENT)
                return;
        model_usec = battery_msec(&seat->model, seat->from_level, told) * USEC_PER_MSEC;
        if (model_usec == 0)
                return;
        permille = took_usec * 1000 / model_usec;
        permille = MIN2(MAX2(permille, (uint64_t) PERMILLE_MIN), (uint64_t) PERMILLE_MAX);
        rate_known(seat, (unsigned) ((seat->permille + permille) / 2));
        record_rate(c, seat, told, took_usec, (unsigned) permille);
        seat->from_level = told;
        seat->from_usec = now_usec;
}

static void temperature_told(const Charging *c, Seat *seat) {
        const Camera *camera = bay_camera(seat->bay);
        Temperature before = seat->temperature;
        int decidegrees;

        if (camera && camera_temperature(camera, &decidegrees))
                seat->temperature = temperature_of(&c->manager->settings->charge.temperature, decidegrees, before);
        else
                seat->temperature = TEMPERATURE_UNKNOWN;
        /* How fast it charged tells of its battery only while nothing else held it up. */
        if (seat->temperature != before)
                seat->from_usec = 0;
}

bool seat_may_not_be_charged(const Seat *seat) {
        return seat->temperature == TEMPERATURE_WARM || seat->temperature == TEMPERATURE_COLD;
}

void charging_battery_told(Charging *c, const Bay *bay) {
        int percent = bay_camera(bay) ? camera_battery_percent(bay_camera(bay)) : -1;
        uint64_t now = clock_boottime_usec();
        Seat *seat = charging_seat(c, bay);
        uint32_t told;

        if (!seat)
                return;
        seat_advance(c, seat, now);
        seat->gauge_usec = now + c->manager->settings->charge.gauge_usec;
        temperature_told(c, seat);
        charging_kick(c);
        if (percent < 0)
                return;
        told = (uint32_t) percent * BATTERY_PERCENT;
        /* It tells whole percents: an estimate that agrees is finer. */
        if (!seat->level_known || seat->level < told || seat->level >= told + BATTERY_PERCENT)
                seat->level = told;
        seat->level_known = true;
        if (seat->from_usec == 0) {
                seat->from_level = told;
                seat->from_usec = now;
        } else
                measure(c, seat, told, now);
}
