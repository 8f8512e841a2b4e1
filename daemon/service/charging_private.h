/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The inside of charging: charging.c makes the plan and carries it out, charging_battery.c follows the batteries, charging_port.c switches
 * the ports.
 */

#include "base/battery.h"
#include "core/charge.h"
#include "service/charging.h"
#include "service/manager_private.h"

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

Seat *charging_seat(const Charging *c, const Bay *bay);

/* ---- Batteries ---- */

/* Another camera (its id) is in it than before, or (0) none. */
void seat_begin_camera(const Charging *c, Seat *seat, uint64_t id, uint64_t now_usec);
/* Its estimate is brought up to now. */
void seat_advance(const Charging *c, Seat *seat, uint64_t now_usec);
/* By its temperature. */
bool seat_may_not_be_charged(const Seat *seat);
/* Whose battery is in a docked camera; NULL: nobody's that is known. */
const Model *seat_model(const Docking *d);

/* ---- Ports ---- */

/* What is on record of its port. */
void seat_load_port(const Charging *c, Seat *seat);
/* Whether it has power, when the daemon starts: what another left off gets it back, or is on again when the plan says so. */
void seat_find_power(const Charging *c, Seat *seat);
bool seat_may_be_switched(const Charging *c, const Seat *seat, uint64_t now_usec);
/* False: nothing was begun. */
bool seat_switch(Charging *c, Seat *seat, bool on);
/* "1-1.4" is a port of "1-1": of the first `n` bytes of `hub`. */
bool hub_has_port(const char *port_path, const char *hub, size_t n);
