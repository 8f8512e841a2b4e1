/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who is charged when: carries out what core/charge.c plans. What a camera needs is known from its model's charge curve, corrected by how
 * fast that very camera was seen to charge. Only ports that were found to switch (berthctl bay calibrate) are ever switched off, and none
 * whose camera has something to do. Before a port is switched on others have been switched off: the budget holds in between.
 *
 * A bay whose port is off cannot see its camera leave. So the power comes back for a moment every now and then, inside of the budget, and
 * the camera is asked everything anew; when it is not there any more, it was taken. That is also how its charge is known in the end.
 */

#include "service/manager.h"

typedef struct Charging Charging;

int charging_new(Manager *m, Charging **ret);
/* Ports stay as they are: with a budget, all that rest at once is what must not be. */
Charging *charging_free(Charging *c);
DEFINE_CLEANUP(Charging, charging_free);
/* Something changed that the plan goes by. NULL is allowed here and below. */
void charging_kick(Charging *c);
/* The camera in that bay told its battery's charge. */
void charging_battery_told(Charging *c, const Bay *bay);
/* A device showed up there: the port has power, whoever gave it. */
void charging_port_is_on(Charging *c, const Bay *bay);
/* The hub of this name ("1-1") came again: its ports have power, whatever they were told before. */
void charging_hub_came(Charging *c, const char *name);
/* What was measured of its port is another by now. */
void charging_port_measured(Charging *c, const Bay *bay);
/* Can the bay's port be switched, as far as was measured? 1, 0, or -ENOENT when it was not. */
int charging_switches(const Charging *c, const Bay *bay);
/* Somebody measures the port: nothing is switched there until that is over. */
void charging_leave(Charging *c, const Bay *bay, bool alone);

void charging_status(const Charging *c, const Bay *bay, ChargeStatus *ret);
/* A shift was called, or (0) no longer is. */
void charging_shift_called(Charging *c, int64_t at_usec);
/* When cameras are wanted next, wall; 0: nobody said. */
int64_t charging_next_shift(const Charging *c);
