/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who is charged when: the budget of a rack (and of each hub in it) does not power all bays at once, and each camera has a time by
 * which it is wanted. As many as possible are to be ready by then, the most wanted first; none is charged full long before it is
 * needed; and the budget is kept at every instant. Pure: "now" is an argument, of any clock that does not jump.
 *
 * The plan holds until the returned time, or until a fact changes (a camera comes or goes, a pull begins or ends): then it is made
 * again from what is so by then. Nothing is remembered in between.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/battery.h"
#include "core/temperature.h"

#define CHARGE_BAYS_MAX 256u
#define CHARGE_HUBS_MAX 64u
#define CHARGE_NO_HUB UINT16_MAX
#define CHARGE_NEVER UINT64_MAX

/* What the plan says of a bay, and why. */
typedef enum ChargeWhy {
        CHARGE_EMPTY,    /* on: no camera, and the port must see one come */
        CHARGE_IN_USE,   /* on: something is transferred or flashed */
        CHARGE_FIXED,    /* on: its port cannot be switched */
        CHARGE_CHARGING, /* on */
        CHARGE_READY,    /* off: charged */
        CHARGE_HELD,     /* off: at the level at which it keeps best, until it is needed */
        CHARGE_WAITING,  /* off: others are first, or there is no power for it */
        CHARGE_TOO_WARM, /* off: until it is cooler */
        CHARGE_TOO_COLD, /* off: until it is warmer */
        _CHARGE_WHY_MAX,
} ChargeWhy;

typedef struct ChargeBay {
        bool occupied;
        bool in_use;     /* a transfer or a flash: the port is never cut then */
        bool switchable;
        Temperature temperature; /* too warm or too cold it is not charged */
        bool on;         /* as it is now */
        const Battery *battery;
        uint32_t level;       /* thousandths of a percent; of a camera that does not tell: 0, so that it is charged */
        uint32_t ready_level; /* it may be issued at this */
        uint32_t hold_level;  /* it waits at this until it is needed; at or above ready_level: it is charged at once */
        uint32_t use_ma;      /* what it draws beside charging while it is on */
        uint64_t due_usec;    /* when it is wanted; CHARGE_NEVER: at no time known */
        uint16_t rank;        /* the smaller, the more wanted */
        uint16_t hub;         /* index of its hub's budget, or CHARGE_NO_HUB */
} ChargeBay;

typedef struct ChargeRack {
        uint32_t budget_ma; /* 0: no limit */
        const uint32_t *hub_budgets_ma; /* each 0: no limit */
        size_t n_hubs;
        uint64_t slot_usec; /* the least time for which a port is switched; at least a second */
} ChargeRack;

typedef struct ChargeOrder {
        bool on;
        ChargeWhy why;
        uint64_t ready_usec; /* when it will have its ready_level; CHARGE_NEVER: not within what was looked at */
} ChargeOrder;

/*
 * Plans for all bays at once, at most CHARGE_BAYS_MAX; `orders` has room for as many. *ret_over_budget says that what must be on
 * draws more than there is. Returns until when the plan holds.
 */
uint64_t charge_plan(const ChargeRack *rack, const ChargeBay *bays, size_t n, uint64_t now_usec, ChargeOrder *orders,
                     bool *ret_over_budget);

const char *charge_why_to_string(ChargeWhy why);
