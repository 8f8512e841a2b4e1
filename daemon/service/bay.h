/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A bay: one slot, known by its USB port path, and what is in it. */

#include "base/macro.h"
#include "core/bay.h"
#include "core/light.h"
#include "service/hotplug.h"
#include "service/operator.h"
#include "service/settings.h"

typedef struct Bay Bay;
typedef struct Camera Camera;
typedef struct Docking Docking;
typedef struct Manager Manager;
/* 0 when it may be taken, else -errno; a sentence without its full stop. Called once. */
typedef void (*BayHandedOut)(void *userdata, int result, const char *text);

/* As painted on the rack; and the USB port path by which it is known, such as "1-1.4". */
unsigned bay_number(const Bay *b);
const char *bay_port_path(const Bay *b);
BayState bay_state(const Bay *b);
/* One sentence about why it is in this state; "" when there is nothing to say. */
const char *bay_reason(const Bay *b);
/* The identified camera, or NULL. */
Camera *bay_camera(const Bay *b);
/* Of this docking. */
unsigned bay_faults(const Bay *b);
/* How its camera is known: "own", "port", "other", "storage" (docking_identity_to_string()); "" without one. */
const char *bay_identity(const Bay *b);
/* CLOCK_BOOTTIME, 0 when no retry is due. */
uint64_t bay_retry_at_usec(const Bay *b);

typedef struct BayProgress {
        unsigned clips_total, clips_copied, clips_stored, clips_erased;
        uint64_t bytes_total, bytes_copied, bytes_stored;
        const char *current_clip; /* path, "" when none */
} BayProgress;
/* How its camera's charging goes. */
typedef struct ChargeStatus {
        bool power;
        const char *why;       /* charge_why_to_string() */
        int percent;           /* as estimated; -1: not known */
        int minutes_to_full;   /* at uninterrupted power; -1: not known */
        int64_t ready_at_usec; /* wall, by the plan, to the minute; 0: not known, or there is no camera */
        bool in_time;          /* by when it is wanted */
} ChargeStatus;
void bay_charge(const Bay *b, ChargeStatus *ret);
void bay_progress(const Bay *b, BayProgress *ret);
/* How much of the firmware its camera was given, 0 to 100, and of which version; -1 and "": it is given none. */
int bay_flash_percent(const Bay *b, const char **ret_version);
/* Its lamps say "this one" for so long; 0 ends it. */
int bay_point_at(Bay *b, uint64_t usec);
bool bay_is_pointed_at(const Bay *b);
/* Nobody asked for a bay, and this one has the best camera, or not any more. */
void bay_mark_best(Bay *b, bool best);
/* The camera in it may be taken out as it is: docking_hand_out(). */
int bay_hand_out(Bay *b, const Operator *by, BayHandedOut done, void *userdata, const char **ret_why);
/* What its lamps say: core/light.h. */
Light bay_light(const Bay *b);
/* Of the model of what is in it: with less charge it is not issued; 0: none. */
unsigned bay_battery_floor(const Bay *b);
/* What lies in it, or NULL; `ret_shape` is what it claims to be. */
const HotplugDevice *bay_device(const Bay *b, const UsbShape **ret_shape);
Bay *bay_next_in_order(Bay *bay);

/* ---- For the service layer ---- */

/* Linked into the manager, by its number. -ENOMEM, or what sd-event says. */
int bay_new(Manager *m, const BaySetting *setting, Bay **ret);
/* Ends its docking, and unlinks it. */
Bay *bay_free(Bay *b);
Manager *bay_manager(const Bay *b);
/* "bay 7", for sentences. */
const char *bay_name(const Bay *b);
/* A device came (taken over) or went. */
void bay_plugged(Bay *b, HotplugDevice *device);
void bay_unplugged(Bay *b);
/* Nothing is in it any more: ends its docking. */
void bay_vacated(Bay *b, const char *reason);
/* Can its port be switched off and on? Says once why not. */
bool bay_has_port_power(Bay *b);
/* Looks whether its port drew too much since the last look: then it is a fault of the bay, which rests. */
void bay_watch_current(Bay *b);
/* When its power was last not steady, as far as that is known, CLOCK_BOOTTIME; 0: never. */
uint64_t bay_unsteady_usec(const Bay *b);
Docking *bay_docking(const Bay *b);
/* The one place that changes the state: logs and tells the observer. */
void bay_set_state(Bay *b, BayState state, const char *reason);
/* Something that the bus shows changed without a change of state. */
void bay_changed(Bay *b);
