/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A battery that charges, as its charge curve tells: what it draws at which level, and so how long each percent takes. Levels are
 * thousandths of a percent, times milliseconds, currents milliamperes at the port.
 */

#include <stddef.h>
#include <stdint.h>

#define BATTERY_PERCENT 1000u /* of level */
#define BATTERY_FULL (100u * BATTERY_PERCENT)
#define BATTERY_POINTS_MAX 16u

/* What is taken for a model that does not say: what a port must give before it is asked for more (USB 2.0, 7.2.1), and a usual cell. */
#define BATTERY_DEFAULT_MA 500u
#define BATTERY_DEFAULT_MAH 3000u

typedef struct ChargePoint {
        uint8_t percent;
        uint16_t ma;
} ChargePoint;

typedef struct Battery {
        uint16_t ma[100];   /* the most that is drawn between percent i and i + 1 */
        uint32_t msec[100]; /* how long that takes */
        uint64_t until[101]; /* milliseconds from empty to percent i */
} Battery;

/*
 * `points`: rising percentages; between them the current changes evenly, before the first and after the last it stays. None: `ma`
 * all the way. 0 for `ma` or `mah` means the default. A current of 0 in the curve counts as 1 mA: it would never get there.
 */
void battery_make(const ChargePoint *points, size_t n, uint32_t ma, uint32_t mah, Battery *ret);
/* How long from one level to another; 0 when it is there already. */
uint64_t battery_msec(const Battery *b, uint32_t from, uint32_t to);
/* The level after so long at power. *ret_ma, when not NULL: the most that is drawn meanwhile, 0 when it is full. */
uint32_t battery_charge(const Battery *b, uint32_t level, uint64_t msec, uint32_t *ret_ma);
