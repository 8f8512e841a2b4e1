/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * While a camera is given its firmware, logind is asked to let nobody shut the machine down or put it to sleep (org.freedesktop.login1,
 * Inhibit). Whoever insists can: root's `systemctl poweroff` does not ask. A machine without logind is no error.
 */

#include <stdbool.h>

#include <systemd/sd-bus.h>

#include "base/macro.h"

typedef struct Inhibit Inhibit;

/* Asks for nothing yet. -ENOMEM. */
int inhibit_new(Inhibit **ret);
Inhibit *inhibit_free(Inhibit *i);
DEFINE_CLEANUP(Inhibit, inhibit_free);

/* The bus to ask on; NULL: there is none. What is held stays held, since logind knows it by its descriptor. */
void inhibit_set_bus(Inhibit *i, sd_bus *bus);
/* Is anything under way that needs it? Let go of at once when not. NULL for `i` is taken. */
void inhibit_hold(Inhibit *i, bool wanted);

/* Was logind asked, and has not said anything yet since it is wanted? That ends with the call's deadline. NULL is taken. */
bool inhibit_asks(const Inhibit *i);
/*
 * What logind holds back by, for a process that is to go on when this one ends: descriptors that stay this object's,
 * WIRE_FLASH_HOLDS_MAX at most. How many. NULL is taken.
 */
size_t inhibit_fds(const Inhibit *i, int *ret);
