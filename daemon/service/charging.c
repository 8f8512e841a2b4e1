/* SPDX-License-Identifier: Apache-2.0 */
#include "service/charging.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/charge.h"
#include "core/shift.h"
#include "service/docking.h"
#include "service/manager_private.h"
#include "service/timer.h"

/* The plan is made again at least this often, and its estimates with it. */
#define PLAN_MAX_USEC (60 * USEC_PER_SEC)
/* A port is switched for so long at least: cameras take a while to start. */
#define SLOT_USEC (300 * USEC_PER_SEC)
/* What does not switch is left alone for so long. */
#define RETRY_USEC (600 * USEC_PER_SEC)
/* A hub that lost its power, or was reset, has all its ports on again, and says nothing of it. */
#define ASSERT_USEC (300 * USEC_PER_SEC)
/* Two clocks are not read at the same moment: less is no suspend. */
#define SUSPEND_MIN_USEC (USEC_PER_SEC / 2)
#define LOOKS_AT_ONCE 2u
/* A camera tells whole percents: less than this tells nothing of how fast it charges. */
#define MEASURE_MIN_PERCENT 10u
#define PERMILLE_MIN 300u
#define PERMILLE_MAX 4000u

/* A bay, as charging sees it. */
typedef struct Seat {
        Bay *bay;
        unsigned rank;
        uint16_t hub; /* index of its hub's budget */
        bool measured, switches;
        bool alone;   /* somebody else switches it */
        bool off, writing, wants_on;
        bool unknown; /* it was off when the daemon started: what is in it is not known */
        bool looking;
        uint64_t retry_usec, look_usec, gauge_usec, assert_usec;

        uint64_t camera_id; /* whose battery this is */
        Battery battery, model;
        unsigned permille;
        bool level_known;
        uint32_t level;
        uint64_t level_usec; /* as of then */
        Temperature temperature; /* as last told */
        uint32_t from_level; /* it is on since it had that … */
        uint64_t from_usec;  /* … then; 0: it is not watched */

        ChargeOrder order;
} Seat;

struct Charging {
        Manager *manager;
        Seat *seats;
        size_t n;
        uint32_t *hub_budgets_ma;
        sd_event_source *decide, *timer;
        bool active, over_budget;
        uint64_t looks_not_before_usec;
        uint64_t suspended_usec; /* for so long the machine was, as of the last plan */
        int64_t called_usec; /* the shift that was called, wall; 0: none */
        uint64_t due_usec;   /* of the last plan, CLOCK_BOOTTIME */
};

static Seat *seat_of(const Charging *c, const Bay *bay) {
        for (size_t i = 0; c && i < c->n; i++)
                if (c->seats[i].bay == bay)
                        return &c->seats[i];
        return NULL;
}

/* ---- When cameras are wanted -------------------------------------------------------------------------------------- */

static int64_t scheduled_shift(const ChargeSettings *s, int64_t now_wall_usec) {
        WeekSpan spans[SHIFTS_MAX];
        unsigned minutes;
        struct tm local;

        for (size_t i = 0; i < s->n_shifts; i++)
                spans[i] = s->shifts[i].when;
        if (!local_time(now_wall_usec / (int64_t) USEC_PER_SEC, &local))
                return 0;
        minutes = shift_next(spans, s->n_shifts, week_minute(&local));
        if (minutes == 0)
                return 0;
        /* By the dock's own clock on the wall, also when that is changed in between. */
        local.tm_min += (int) minutes;
        local.tm_sec = 0;
        local.tm_isdst = -1;
        return (int64_t) mktime(&local) * (int64_t) USEC_PER_SEC;
}

int64_t charging_next_shift(const Charging *c) {
        int64_t now = clock_wall_usec(), scheduled;

        if (!c)
                return 0;
        scheduled = scheduled_shift(&c->manager->settings->charge, now);
        if (c->called_usec > now && (scheduled == 0 || c->called_usec < scheduled))
                return c->called_usec;
        return scheduled;
}

void charging_shift_called(Charging *c, int64_t at_usec) {
        c->called_usec = at_usec;
        manager_tell(c->manager);
        charging_kick(c);
}

static uint64_t next_due(const Charging *c, uint64_t now_usec) {
        int64_t shift = charging_next_shift(c), wall = clock_wall_usec();

        return shift > wall ? now_usec + (uint64_t) (shift - wall) : CHARGE_NEVER;
}

/* ---- Batteries ---------------------------------------------------------------------------------------------------- */

static void make_battery(const Model *model, unsigned permille, Battery *ret) {
        uint32_t mah = model && model->battery_mah > 0 ? model->battery_mah : BATTERY_DEFAULT_MAH;

        battery_make(model ? model->charge_curve : NULL, model ? model->n_charge_curve : 0, model ? model->charge_ma : 0,
                     (uint32_t) ((uint64_t) mah * permille / 1000), ret);
}

static const Model *model_of(const Docking *d) {
        /* A camera in its storage mode has the battery of its command mode. */
        return !d ? NULL : d->command_model ? d->command_model : d->model;
}

static void rate_known(Seat *seat, unsigned permille) {
        const Model *model = model_of(bay_docking(seat->bay));

        seat->permille = permille;
        make_battery(model, 1000, &seat->model);
        make_battery(model, permille, &seat->battery);
}

/* Another camera is in it than before, or none. */
static void begin_camera(const Charging *c, Seat *seat, uint64_t id, uint64_t now_usec) {
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

static void advance(const Charging *c, Seat *seat, uint64_t now_usec) {
        const Camera *camera = bay_camera(seat->bay);
        uint64_t id = camera ? camera_id(camera) : 0;

        if (id != seat->camera_id)
                begin_camera(c, seat, id, now_usec);
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

static bool may_not_be_charged(const Seat *seat) {
        return seat->temperature == TEMPERATURE_WARM || seat->temperature == TEMPERATURE_COLD;
}

void charging_battery_told(Charging *c, const Bay *bay) {
        int percent = bay_camera(bay) ? camera_battery_percent(bay_camera(bay)) : -1;
        uint64_t now = clock_boottime_usec();
        Seat *seat = seat_of(c, bay);
        uint32_t told;

        if (!seat)
                return;
        advance(c, seat, now);
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

/* ---- Ports -------------------------------------------------------------------------------------------------------- */

static void load_port(const Charging *c, Seat *seat) {
        _cleanup_(port_row_freep) PortRow *row = NULL;
        const char *port = bay_port_path(seat->bay);
        char hub[HUBPORT_HUB_SIZE];

        seat->measured = seat->switches = false;
        if (store_port(c->manager->store, port, &row) < 0)
                return;
        if (hubport_hub(port, hub) >= 0 && !text_equal(hub, row->hub)) {
                log_notice(&(LogAbout){ .bay = bay_name(seat->bay) }, "The power of this bay was measured on another hub (%s, now %s): "
                           "berthctl bay calibrate %u", row->hub, hub, bay_number(seat->bay));
                return;
        }
        seat->measured = true;
        seat->switches = row->switches && row->returns;
}

void charging_port_measured(Charging *c, const Bay *bay) {
        Seat *seat = seat_of(c, bay);

        if (!seat)
                return;
        load_port(c, seat);
        charging_kick(c);
}

int charging_switches(const Charging *c, const Bay *bay) {
        const Seat *seat = seat_of(c, bay);

        return !seat || !seat->measured ? -ENOENT : seat->switches;
}

void charging_leave(Charging *c, const Bay *bay, bool alone) {
        Seat *seat = seat_of(c, bay);

        if (!seat)
                return;
        seat->alone = alone;
        charging_kick(c);
}

void charging_port_is_on(Charging *c, const Bay *bay) {
        Seat *seat = seat_of(c, bay);

        if (!seat)
                return;
        advance(c, seat, clock_boottime_usec());
        if (!seat->writing)
                seat->off = false;
        seat->unknown = seat->looking = false;
        charging_kick(c);
}

/* "1-1.4" is a port of "1-1". */
static bool is_port_of(const char *port_path, const char *hub, size_t n) {
        const char *dot = strrchr(port_path, '.');

        return dot && (size_t) (dot - port_path) == n && strncmp(hub, port_path, n) == 0;
}

void charging_hub_came(Charging *c, const char *name) {
        for (size_t i = 0; c && i < c->n; i++)
                if (is_port_of(bay_port_path(c->seats[i].bay), name, strlen(name)))
                        c->seats[i].assert_usec = 0;
        charging_kick(c);
}

static Seat *seat_at(const Charging *c, const char *port_path) {
        for (size_t i = 0; i < c->n; i++)
                if (text_equal(bay_port_path(c->seats[i].bay), port_path))
                        return &c->seats[i];
        return NULL;
}

static void switch_failed(Seat *seat, int result) {
        log_warning(&(LogAbout){ .bay = bay_name(seat->bay) }, "The power of port %s cannot be switched %s: %s; it is left as it is for "
                    "a while", bay_port_path(seat->bay), seat->wants_on ? "on" : "off", strerror(-result));
        seat->retry_usec = clock_boottime_usec() + RETRY_USEC;
}

/* When a bay that was switched off is to be looked at. Not all at once, all night long. */
static uint64_t look_after(const Charging *c, const Seat *seat) {
        const ChargeSettings *s = &c->manager->settings->charge;
        uint64_t every = may_not_be_charged(seat) ? MIN2(s->look_usec, s->gauge_usec) : s->look_usec;

        return every - (uint64_t) (seat - c->seats) % 16 * (every / 64);
}

static void switched(void *userdata, const char *port_path, int result) {
        Charging *c = userdata;
        Seat *seat = seat_at(c, port_path);
        uint64_t now = clock_boottime_usec();
        Docking *d = bay_docking(seat->bay);

        advance(c, seat, now);
        seat->writing = false;
        if (result < 0)
                switch_failed(seat, result);
        else if (seat->off != !seat->wants_on) {
                seat->off = !seat->wants_on;
                seat->from_usec = 0;
                seat->look_usec = now + look_after(c, seat);
        }
        seat->assert_usec = now + ASSERT_USEC;
        if (seat->unknown && !seat->off)
                seat->unknown = false;
        if (d && d->resting && result < 0 && !seat->wants_on)
                docking_stays(d);
        if (d && d->resting && result >= 0 && seat->wants_on)
                docking_wake(d);
        charging_kick(c);
}

static bool switch_port(Charging *c, Seat *seat, bool on) {
        int r;

        seat->wants_on = on;
        r = hubport_set(c->manager->hubports, bay_port_path(seat->bay), on, switched, c);
        if (r == -EALREADY)
                return false;
        if (r < 0) {
                switch_failed(seat, r);
                return false;
        }
        seat->writing = true;
        return true;
}

/* ---- The plan ----------------------------------------------------------------------------------------------------- */

static bool is_resting(const Seat *seat) {
        const Docking *d = bay_docking(seat->bay);

        return seat->off && (seat->unknown || (d && d->resting && !d->waking));
}

static bool may_be_switched(const Charging *c, const Seat *seat, uint64_t now_usec) {
        /* Without a budget all have power, but for those that it would harm. */
        return (c->active || may_not_be_charged(seat)) && seat->measured && seat->switches && !seat->alone && now_usec >= seat->retry_usec;
}

static uint32_t ready_level(const Charging *c, const Seat *seat) {
        const Model *model = model_of(bay_docking(seat->bay));
        unsigned percent = c->manager->settings->charge.ready_percent;

        return MAX2(percent, model ? model->battery_floor_percent : 0u) * BATTERY_PERCENT;
}

static void describe(const Charging *c, const Seat *seat, uint64_t now_usec, ChargeBay *ret) {
        const Docking *d = bay_docking(seat->bay);
        bool resting = is_resting(seat);

        *ret = (ChargeBay){
                .occupied = d != NULL || seat->unknown,
                .in_use = seat->looking || (d && docking_is_ordered(d)) || (!resting && !(d && docking_may_rest(d))),
                .switchable = may_be_switched(c, seat, now_usec),
                .on = !seat->off,
                .battery = &seat->battery,
                .level = seat->level,
                .ready_level = ready_level(c, seat),
                .hold_level = c->manager->settings->charge.hold_percent * BATTERY_PERCENT,
                .due_usec = c->due_usec,
                .temperature = seat->temperature,
                .rank = (uint16_t) seat->rank,
                .hub = seat->hub,
        };
        /* The battery is asked for while a camera charges: that is no reason to power others less. */
        if (d && (d->gauging || d->power_until_usec > now_usec))
                ret->in_use = true;
}

static uint64_t plan(Charging *c, uint64_t now_usec, ChargeOrder *orders, bool *ret_over) {
        const ChargeSettings *s = &c->manager->settings->charge;
        const ChargeRack rack = {
                .budget_ma = s->budget_ma,
                .hub_budgets_ma = c->hub_budgets_ma,
                .n_hubs = s->n_hubs,
                .slot_usec = SLOT_USEC,
        };
        ChargeBay bays[BAYS_MAX];

        for (size_t i = 0; i < c->n; i++)
                describe(c, &c->seats[i], now_usec, &bays[i]);
        return charge_plan(&rack, bays, c->n, now_usec, orders, ret_over);
}

/* Cameras that were not seen for long are looked for, as far as the budget reaches. */
static bool choose_looks(Charging *c, uint64_t now_usec) {
        unsigned n = 0, begun = 0;

        for (size_t i = 0; i < c->n; i++) {
                Seat *seat = &c->seats[i];
                const Docking *d = bay_docking(seat->bay);

                /* It has its power, and its camera is back, or was not there. */
                if (seat->looking && !seat->off && !seat->writing && !(d && d->resting))
                        seat->looking = false;
                n += seat->looking;
        }
        for (size_t i = 0; i < c->n && n < LOOKS_AT_ONCE && now_usec >= c->looks_not_before_usec; i++) {
                Seat *seat = &c->seats[i];

                if (!is_resting(seat) || seat->writing || now_usec < seat->look_usec || !may_be_switched(c, seat, now_usec))
                        continue;
                seat->looking = true;
                n++;
                begun++;
        }
        return begun > 0;
}

static void forget_looks(Charging *c, uint64_t now_usec) {
        for (size_t i = 0; i < c->n; i++)
                if (is_resting(&c->seats[i]) && !c->seats[i].writing)
                        c->seats[i].looking = false;
        c->looks_not_before_usec = now_usec + PLAN_MAX_USEC;
}

static void tell_of_budget(Charging *c, bool over) {
        if (over && !c->over_budget)
                log_warning(NULL, "What cannot be switched off, or is being pulled from, may draw more than [rack] or [hub] budget in "
                            "berthd.conf says; cameras that wait get no power meanwhile");
        c->over_budget = over;
}

static bool order_differs(const ChargeOrder *a, const ChargeOrder *b) {
        return a->on != b->on || a->why != b->why || a->ready_usec / (60 * USEC_PER_SEC) != b->ready_usec / (60 * USEC_PER_SEC);
}

static bool switch_off(Charging *c, uint64_t now_usec) {
        bool any = false;

        for (size_t i = 0; i < c->n; i++) {
                Seat *seat = &c->seats[i];
                Docking *d = bay_docking(seat->bay);

                any = any || (seat->writing && !seat->wants_on);
                if (seat->writing || !may_be_switched(c, seat, now_usec) || seat->order.on)
                        continue;
                if (!seat->off && d && docking_may_rest(d)) {
                        docking_rest(d);
                        if (switch_port(c, seat, false))
                                any = true;
                        else
                                docking_stays(d);
                } else if (is_resting(seat) && now_usec >= seat->assert_usec)
                        (void) switch_port(c, seat, false);
        }
        return any;
}

static void switch_on(Charging *c) {
        for (size_t i = 0; i < c->n; i++) {
                Seat *seat = &c->seats[i];

                if (!seat->writing && seat->off && seat->order.on && !seat->alone)
                        (void) switch_port(c, seat, true);
        }
}

/* Something may have become of its battery, or its temperature, that is of interest. */
static bool is_worth_asking(const Seat *seat) {
        return may_not_be_charged(seat) || (seat->level < BATTERY_FULL && (seat->level_known || seat->temperature != TEMPERATURE_UNKNOWN));
}

/* Batteries that charge are asked now and then. */
static void gauge(Charging *c, uint64_t now_usec) {
        for (size_t i = 0; i < c->n; i++) {
                Seat *seat = &c->seats[i];
                Docking *d = bay_docking(seat->bay);

                if (seat->off || seat->writing || !d || now_usec < seat->gauge_usec || !is_worth_asking(seat) || !docking_may_rest(d))
                        continue;
                seat->gauge_usec = now_usec + c->manager->settings->charge.gauge_usec;
                (void) docking_gauge(d);
        }
}

/* The kernel counts, and the hub has cut the power by itself. */
static void watch_currents(Charging *c) {
        for (size_t i = 0; i < c->n; i++)
                bay_watch_current(c->seats[i].bay);
}

/* Hubs forget over a suspend which of their ports were off, and say nothing of it: all are told again. */
static void watch_suspend(Charging *c) {
        uint64_t suspended = clock_suspended_usec();

        for (size_t i = 0; suspended >= c->suspended_usec + SUSPEND_MIN_USEC && i < c->n; i++)
                c->seats[i].assert_usec = 0;
        c->suspended_usec = suspended;
}

/* When somebody is to be looked for, asked for its battery, or told once more to be off. */
static uint64_t next_errand(const Charging *c, uint64_t now_usec) {
        uint64_t next = now_usec + PLAN_MAX_USEC;

        for (size_t i = 0; i < c->n; i++) {
                const Seat *seat = &c->seats[i];

                if (is_resting(seat))
                        next = MIN2(next, MAX2(seat->look_usec, c->looks_not_before_usec));
                else if (is_worth_asking(seat))
                        next = MIN2(next, seat->gauge_usec);
        }
        /* What could not be done at once is tried again a little later. */
        return MAX2(next, now_usec + USEC_PER_SEC);
}

static void carry_out(Charging *c) {
        uint64_t now = clock_boottime_usec(), until;
        ChargeOrder orders[BAYS_MAX];
        bool over, looks;

        watch_currents(c);
        watch_suspend(c);
        for (size_t i = 0; i < c->n; i++)
                advance(c, &c->seats[i], now);
        c->due_usec = next_due(c, now);
        looks = choose_looks(c, now);
        until = plan(c, now, orders, &over);
        if (looks && over) {
                forget_looks(c, now);
                until = plan(c, now, orders, &over);
        }
        tell_of_budget(c, over);
        for (size_t i = 0; i < c->n; i++) {
                bool differs = order_differs(&c->seats[i].order, &orders[i]);

                c->seats[i].order = orders[i];
                if (differs)
                        bay_changed(c->seats[i].bay);
        }
        /* First what is to go off: then there is power for the others. */
        if (!switch_off(c, now))
                switch_on(c);
        gauge(c, now);
        (void) timer_at(c->timer, MIN2(until, next_errand(c, now)));
}

static int on_decide(sd_event_source *source, void *userdata) {
        (void) source;
        carry_out(userdata);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Charging *c = userdata;

        (void) source;
        (void) usec;
        carry_out(c);
        for (size_t i = 0; i < c->n; i++)
                if (c->seats[i].camera_id != 0)
                        manager_tell_bay(c->manager, c->seats[i].bay);
        return 0;
}

void charging_kick(Charging *c) {
        if (c)
                (void) sd_event_source_set_enabled(c->decide, SD_EVENT_ONESHOT);
}

/* ---- Answers ------------------------------------------------------------------------------------------------------ */

void charging_status(const Charging *c, const Bay *bay, ChargeStatus *ret) {
        uint64_t now = clock_boottime_usec();
        const Seat *seat = seat_of(c, bay);

        *ret = (ChargeStatus){ .power = true, .why = charge_why_to_string(CHARGE_EMPTY), .percent = -1, .minutes_to_full = -1 };
        if (!seat)
                return;
        ret->power = !seat->off;
        ret->why = charge_why_to_string(seat->order.why);
        if (!seat->level_known || seat->camera_id == 0)
                return;
        ret->percent = (int) (seat->level / BATTERY_PERCENT);
        ret->minutes_to_full = (int) ((battery_msec(&seat->battery, seat->level, BATTERY_FULL) + 59999) / 60000);
        if (seat->order.ready_usec != CHARGE_NEVER) {
                ret->ready_at_usec = clock_wall_usec() + (int64_t) seat->order.ready_usec - (int64_t) now;
                /* What is estimated anew each minute need not be told anew for its seconds. */
                ret->ready_at_usec -= ret->ready_at_usec % (60 * (int64_t) USEC_PER_SEC);
                ret->in_time = c->due_usec == CHARGE_NEVER || seat->order.ready_usec <= c->due_usec;
        }
}

/* ---- Beginning and end -------------------------------------------------------------------------------------------- */

static uint16_t hub_of(const ChargeSettings *s, const char *port_path) {
        for (size_t i = 0; i < s->n_hubs; i++)
                if (is_port_of(port_path, s->hubs[i].port_path, strlen(s->hubs[i].port_path)))
                        return (uint16_t) i;
        return CHARGE_NO_HUB;
}

/* A daemon that ended may have left a port without power: nobody else would give it back. Within a budget that is not done at once. */
static void find_power(const Charging *c, Seat *seat) {
        const char *port = bay_port_path(seat->bay);
        int r = hubport_is_on(port);

        if (r == 0 && may_be_switched(c, seat, 0)) {
                seat->off = seat->unknown = true;
                return;
        }
        if (r == 0)
                r = hubport_restore(port) < 0 ? -EIO : 0;
        if (r == 0)
                log_notice(NULL, "Port %s was switched off; it has its power again", port);
        else if (r < 0 && r != -ENOENT && r != -EACCES)
                log_warning(NULL, "It cannot be seen whether port %s has power: %s", port, strerror(-r));
}

static int make_seats(Charging *c) {
        const Settings *s = c->manager->settings;

        c->n = s->n_bays;
        c->seats = calloc(c->n, sizeof(*c->seats));
        c->hub_budgets_ma = calloc(s->charge.n_hubs + 1, sizeof(*c->hub_budgets_ma));
        if (!c->seats || !c->hub_budgets_ma)
                return -ENOMEM;
        for (size_t i = 0; i < s->charge.n_hubs; i++)
                c->hub_budgets_ma[i] = s->charge.hubs[i].budget_ma;
        for (size_t i = 0; i < c->n; i++) {
                Seat *seat = &c->seats[i];

                seat->bay = manager_bay_at(c->manager, s->bays[i].port_path);
                seat->rank = s->bays[i].charge_rank;
                seat->hub = hub_of(&s->charge, s->bays[i].port_path);
                begin_camera(c, seat, 0, clock_boottime_usec());
                load_port(c, seat);
                find_power(c, seat);
        }
        return 0;
}

int charging_new(Manager *m, Charging **ret) {
        _cleanup_(charging_freep) Charging *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->manager = m;
        c->active = settings_switches_ports(m->settings);
        c->due_usec = CHARGE_NEVER;
        c->suspended_usec = clock_suspended_usec();
        r = store_shift_called(m->store, &c->called_usec);
        if (r < 0 && r != -ENOENT)
                return r;
        r = make_seats(c);
        if (r >= 0)
                r = sd_event_add_defer(m->event, &c->decide, on_decide, c);
        if (r >= 0)
                r = sd_event_add_time(m->event, &c->timer, CLOCK_BOOTTIME, 0, USEC_PER_SEC, on_timer, c);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

Charging *charging_free(Charging *c) {
        if (!c)
                return NULL;
        sd_event_source_disable_unref(c->decide);
        sd_event_source_disable_unref(c->timer);
        free(c->seats);
        free(c->hub_budgets_ma);
        free(c);
        return NULL;
}
