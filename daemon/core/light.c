/* SPDX-License-Identifier: Apache-2.0 */
#include "core/light.h"

#include "base/macro.h"
#include "base/text.h"

static const char *const light_table[_LIGHT_MAX] = {
        [LIGHT_EMPTY] = "empty", [LIGHT_BUSY] = "busy", [LIGHT_CHARGING] = "charging", [LIGHT_READY] = "ready",
        [LIGHT_TAKE] = "take",   [LIGHT_KEEP] = "keep", [LIGHT_FAULT] = "fault",
};

const char *light_to_string(Light light) {
        return light >= 0 && light < _LIGHT_MAX ? light_table[light] : NULL;
}

Light light_from_string(const char *s) {
        for (Light l = 0; l < _LIGHT_MAX; l++)
                if (text_equal(s, light_table[l]))
                        return l;
        return _LIGHT_INVALID;
}

static const Light lights_of_states[_BAY_STATE_MAX] = {
        [BAY_EMPTY] = LIGHT_EMPTY,      [BAY_IDENTIFYING] = LIGHT_BUSY, [BAY_SWITCHING] = LIGHT_BUSY,
        [BAY_CHECKING] = LIGHT_BUSY,    [BAY_PULLING] = LIGHT_BUSY,     [BAY_SETTLED] = LIGHT_BUSY,
        [BAY_UPDATING] = LIGHT_BUSY,    [BAY_READY] = LIGHT_READY,      [BAY_REFUSED] = LIGHT_KEEP,
        [BAY_QUARANTINED] = LIGHT_KEEP, [BAY_FAULT] = LIGHT_FAULT,
        [BAY_EJECTED] = LIGHT_TAKE,
};

Light light_of(const LightFacts *f) {
        Light light = lights_of_states[f->state];

        /* Whoever looks for it must find it, whatever is the matter with it; but nobody is told to take what is to stay. */
        if (f->pointed_at && light != LIGHT_KEEP)
                return LIGHT_TAKE;
        if (light == LIGHT_READY && f->battery_percent >= 0 && (unsigned) f->battery_percent < f->battery_floor_percent)
                return LIGHT_CHARGING;
        return light == LIGHT_READY && f->best ? LIGHT_TAKE : light;
}
