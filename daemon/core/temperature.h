/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether a battery may be charged at the temperature that its camera tells. Pure. Tenths of a degree Celsius. */

typedef enum Temperature {
        TEMPERATURE_UNKNOWN,
        TEMPERATURE_RIGHT,
        TEMPERATURE_COLD, /* too cold to be charged */
        TEMPERATURE_WARM, /* too warm to be charged */
        _TEMPERATURE_MAX,
} Temperature;

typedef struct TemperatureLimits {
        int min_decidegrees, max_decidegrees; /* batteries are charged from the one to the other */
} TemperatureLimits;

/* Who was too warm cools so far below the limit before it is charged again, or it would begin and end without end; likewise the cold. */
#define TEMPERATURE_BACK_DECIDEGREES 20

/* What it is now; `before` is what it was when it was told last. */
Temperature temperature_of(const TemperatureLimits *limits, int decidegrees, Temperature before);
