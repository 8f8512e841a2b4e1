/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* berthd.conf, as one validated struct. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/macro.h"
#include "base/sign.h"
#include "base/week.h"
#include "core/bay_health.h"
#include "core/health.h"
#include "core/policy.h"
#include "service/lamp.h"

typedef struct BaySetting {
        char *port_path;
        unsigned number;
        char *led; /* names of its lamps, joined by spaces, or NULL */
        unsigned charge_rank; /* the smaller, the sooner its camera is charged */
} BaySetting;

#define BAYS_MAX 256u
#define SHIFTS_MAX 64u

typedef struct HubSetting {
        char *port_path;
        uint32_t budget_ma;
} HubSetting;

typedef struct ShiftSetting {
        char *name;
        bool when_given;
        WeekSpan when;
} ShiftSetting;

/* service/settings_charge.c */
typedef struct ChargeSettings {
        /* [rack], [hub PORT] */
        uint32_t budget_ma; /* 0: no limit */
        HubSetting *hubs;
        size_t n_hubs;
        /* [shift NAME] */
        ShiftSetting *shifts;
        size_t n_shifts;
        /* [charging] */
        unsigned ready_percent, hold_percent; /* hold 100: charged at once */
        uint64_t look_usec, gauge_usec; /* so often a camera whose port is off is looked for; its battery is asked for while it charges */
        TemperatureLimits temperature;  /* batteries are charged within these, where the camera tells */
} ChargeSettings;
/* The database must be able to commit when the spool is full, or no receipt could be recorded and no room be made. */
#define RESERVE_MIN_BYTES (16 * MIB)

typedef struct Settings {
        char *path;    /* of the file; its drop-ins are in the folder of that name with ".d" */
        char *written; /* what the files say, for the custody log: canonical JSON, "section.key" to value */
        char *origins; /* where: canonical JSON, "section.key" to "file:line" */
        /* [dock] */
        char *name;
        char *state_dir;
        char *plugin_dir;
        char *worker;
        char *models_dir;       /* shipped */
        char *local_models_dir; /* the site's: a model of the same id replaces the shipped one */
        char *uplink_socket;
        uint64_t status_usec; /* so often the dock's status goes to the store; 0: never */
        char *fleet;                    /* whose statements are the dock's: NULL for none */
        bool fleet_key_known;
        PublicKey fleet_key;            /* of its administrator */
        char *credentials;              /* NULL: none */
        bool credentials_from_systemd;  /* it is systemd's copy */
        /* [bay PORT] */
        BaySetting *bays; /* in order of their number */
        size_t n_bays;
        /* [rack] */
        bool authorise; /* interfaces are unauthorised until berthd says otherwise */
        /* [lights] */
        LampLook lights[_LIGHT_MAX];
        ChargeSettings charge;
        /* [spool] */
        uint64_t reserve_bytes; /* pulling pauses below this much free space */
        uint64_t keep_usec; /* copies that the store holds stay so long at least, counted from the receipt */
        uint64_t priority_reserve_bytes; /* … and this much more, unless for priority footage */
        /* [custody] */
        uint64_t checkpoint_usec; /* so often the log is signed, when something happened */
        /* [policy] */
        ErasePolicy erase;
        char *accept; /* receipt strengths that license an erase, comma-separated */
        bool believe_all; /* a manifest that another dock put counts without its signature */
        bool set_clock;
        unsigned uploads; /* at once */
        uint64_t store_within_usec; /* footage that waits longer goes to the store before other */
        /* [roster] */
        uint64_t due_after_usec;   /* a camera should be back so long after it was taken; 0: nobody waits for it */
        uint64_t follow_usec;      /* so often the store is asked for the fleet's next roster; 0: never */
        uint64_t take_within_usec; /* a camera that was checked out is kept for its officer so long */
        bool mark_best; /* the lamps show which camera to take when nobody asked */
        /* [firmware] */
        char *firmware_keys;      /* the file of the public keys by which firmware is believed */
        bool firmware_keys_given; /* it must be there */
        char *pinned;             /* serials of cameras that keep the firmware which they have, with spaces between; NULL: none */
        uint64_t firmware_usec;   /* so often the store is asked for the fleet's firmware catalog and rollouts; 0: never */
        /* [health] */
        HealthLimits health;
        BayLimits bay_health;
        char *firmware; /* "MODEL:VERSION …": what the fleet's cameras should have; NULL: nothing is said */
        /* [timeouts], microseconds */
        uint64_t min_rate; /* bytes a second */
        uint64_t call_usec, stall_usec, backoff_min_usec, backoff_max_usec, over_current_usec, reconcile_usec;
        uint64_t store_late_usec; /* so long a request that was not answered may still reach the store */
} Settings;

/*
 * Reads the file, and then its drop-ins in order of their names, over the defaults, and checks the whole. `error` names file, line, key and
 * why.
 */
int settings_load(const char *path, Settings **ret, ConfError *error);
/*
 * Takes over from settings that were read anew what counts without a restart (settings_key.h), and leaves the rest. Whoever reads a
 * setting from `s` when it is wanted finds the new one. -ENOMEM: nothing was taken.
 */
int settings_take_over(Settings *s, Settings *fresh);
/* What is then written, as `written`: what is read anew, but for keys that need a restart. The caller's; NULL: out of memory. */
char *settings_in_force(const Settings *s, const Settings *fresh);
/* The settings with where each comes from, as JSON for people and programs: the caller's; NULL when out of memory. */
char *settings_show(const Settings *s);
Settings *settings_free(Settings *s);
DEFINE_CLEANUP(Settings, settings_free);
/* Is any port to be switched at all: for a budget, or for the batteries' sake? */
bool settings_switches_ports(const Settings *s);

/*
 * What udev is to know of a device at this port path ("1-1.4"), as a property on a line: BERTH_BAY, the number of the bay that it lies
 * in. Empty: it lies in none. The caller's; NULL: out of memory.
 */
char *settings_describe_port(const Settings *s, const char *port);

/* Does the camera of this serial keep the firmware that it has? */
bool settings_is_pinned(const Settings *s, const char *serial);

/* settings_charge.c: lines of [rack], [hub], [shift], [charging]; -ENOENT for a key that is not about charging. */
int charge_settings_line(ChargeSettings *c, const ConfLine *line, ConfError *error);
int charge_settings_check(const ChargeSettings *c, const char *path, ConfError *error);
void charge_settings_default(ChargeSettings *c);
void charge_settings_done(ChargeSettings *c);
bool port_path_is_valid(const char *s);
