/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The rack's lamps: devices of the kernel's LED class (Documentation/leds/leds-class.rst), of one colour or of several
 * (leds-class-multicolor.rst). A bay has none, one, or a few whose colours add up. Blinking is done here: the kernel's triggers make
 * files that only root may write.
 */

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "core/light.h"

#define LAMP_NAME_MAX 63u
#define LAMPS_PER_BAY_MAX 4u

typedef enum LampPattern {
        LAMP_STEADY,
        LAMP_BLINK, /* once a second */
        LAMP_FAST,  /* twice a second */
        _LAMP_PATTERN_MAX,
} LampPattern;

/* How a light looks. */
typedef struct LampLook {
        uint8_t red, green, blue; /* all 0: off */
        LampPattern pattern;
} LampLook;

/* "off", "green", "amber blink", "#ff8000 fast". -EINVAL. */
int lamp_look_parse(const char *text, LampLook *ret);

typedef struct Lamps Lamps;

/* `looks` is for each Light, and must outlive it. */
int lamps_new(sd_event *event, const LampLook *looks, Lamps **ret);
/* All lamps go out: nothing says "ready" when nobody looks after it. */
Lamps *lamps_free(Lamps *l);
DEFINE_CLEANUP(Lamps, lamps_free);
/* A bay's lamps, by their names in /sys/class/leds, joined by spaces; says once of each that is not there. */
int lamps_add(Lamps *l, unsigned bay, const char *bay_name, const char *names);
/* The looks are others. */
void lamps_look_changed(Lamps *l);
void lamps_show(Lamps *l, unsigned bay, Light light);
