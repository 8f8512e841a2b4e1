/* SPDX-License-Identifier: Apache-2.0 */
#include "core/temperature.h"

Temperature temperature_of(const TemperatureLimits *limits, int decidegrees, Temperature before) {
        int min = limits->min_decidegrees + (before == TEMPERATURE_COLD ? TEMPERATURE_BACK_DECIDEGREES : 0);
        int max = limits->max_decidegrees - (before == TEMPERATURE_WARM ? TEMPERATURE_BACK_DECIDEGREES : 0);

        return decidegrees < min ? TEMPERATURE_COLD : decidegrees > max ? TEMPERATURE_WARM : TEMPERATURE_RIGHT;
}
