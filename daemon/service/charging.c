/* SPDX-License-Identifier: Apache-2.0 */
#include "service/charging_private.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/shift.h"
#include "service/docking.h"
#include "service/timer.h"

/* The plan is made again at least this often, and its estimates with it. */
#define PLAN_MAX_USEC (60 * USEC_PER_SEC)
/* A port is switched for so long at least: cameras take a while to start. */
#define SLOT_USEC (300 * USEC_PER_SEC)
/* Two clocks are not read at the same moment: less is no suspend. */
#define SUSPEND_MIN_USEC (USEC_PER_SEC / 2)
#define LOOKS_AT_ONCE 2u

Seat *charging_seat(const Charging *c, const Bay *bay) {
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

/* ---- The plan ----------------------------------------------------------------------------------------------------- */

static bool is_resting(const Seat *seat) {
        const Docking *d = bay_docking(seat->bay);

        return seat->off && (seat->unknown || (d && d->resting && !d->waking));
}

static uint32_t ready_level(const Charging *c, const Seat *seat) {
        const Model *model = seat_model(bay_docking(seat->bay));
        unsigned percent = c->manager->settings->charge.ready_percent;

        return MAX2(percent, model ? model->battery_floor_percent : 0u) * BATTERY_PERCENT;
}

static void describe(const Charging *c, const Seat *seat, uint64_t now_usec, ChargeBay *ret) {
        const Docking *d = bay_docking(seat->bay);
        bool resting = is_resting(seat);

        *ret = (ChargeBay){
                .occupied = d != NULL || seat->unknown,
                .in_use = seat->looking || (d && docking_is_ordered(d)) || (!resting && !(d && docking_may_rest(d))),
                .switchable = seat_may_be_switched(c, seat, now_usec),
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

                if (!is_resting(seat) || seat->writing || now_usec < seat->look_usec || !seat_may_be_switched(c, seat, now_usec))
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
                if (seat->writing || !seat_may_be_switched(c, seat, now_usec) || seat->order.on)
                        continue;
                if (!seat->off && d && docking_may_rest(d)) {
                        docking_rest(d);
                        if (seat_switch(c, seat, false))
                                any = true;
                        else
                                docking_stays(d);
                } else if (is_resting(seat) && now_usec >= seat->assert_usec)
                        (void) seat_switch(c, seat, false);
        }
        return any;
}

static void switch_on(Charging *c) {
        for (size_t i = 0; i < c->n; i++) {
                Seat *seat = &c->seats[i];

                if (!seat->writing && seat->off && seat->order.on && !seat->alone)
                        (void) seat_switch(c, seat, true);
        }
}

/* Something may have become of its battery, or its temperature, that is of interest. */
static bool is_worth_asking(const Seat *seat) {
        return seat_may_not_be_charged(seat) ||
               (seat->level < BATTERY_FULL && (seat->level_known || seat->temperature != TEMPERATURE_UNKNOWN));
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
                seat_advance(c, &c->seats[i], now);
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
        const Seat *seat = charging_seat(c, bay);

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
                if (hub_has_port(port_path, s->hubs[i].port_path, strlen(s->hubs[i].port_path)))
                        return (uint16_t) i;
        return CHARGE_NO_HUB;
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
                seat_begin_camera(c, seat, 0, clock_boottime_usec());
                seat_load_port(c, seat);
                seat_find_power(c, seat);
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
