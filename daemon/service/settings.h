/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* berthd.conf, as one validated struct. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/macro.h"
#include "core/health.h"
#include "core/policy.h"
#include "service/lamp.h"

typedef struct BaySetting {
        char *port_path;
        unsigned number;
        char *led; /* names of its lamps, joined by spaces, or NULL */
} BaySetting;

#define BAYS_MAX 256u
/* The database must be able to commit when the spool is full, or no receipt could be recorded and no room be made. */
#define RESERVE_MIN_BYTES (16 * MIB)

typedef struct Settings {
        char *written; /* what the file says, for the custody log: canonical JSON, "section.key" to value */
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
        char *credentials;              /* NULL: none */
        bool credentials_from_systemd;  /* it is systemd's copy */
        /* [bay PORT] */
        BaySetting *bays; /* in order of their number */
        size_t n_bays;
        /* [rack] */
        bool authorise; /* interfaces are unauthorised until berthd says otherwise */
        /* [lights] */
        LampLook lights[_LIGHT_MAX];
        /* [spool] */
        uint64_t reserve_bytes; /* pulling pauses below this much free space */
        uint64_t keep_usec; /* copies that the store holds stay so long at least, counted from the receipt */
        uint64_t priority_reserve_bytes; /* … and this much more, unless for priority footage */
        /* [custody] */
        uint64_t checkpoint_usec; /* so often the log is signed, when something happened */
        /* [policy] */
        ErasePolicy erase;
        char *accept; /* receipt strengths that license an erase, comma-separated */
        bool set_clock;
        unsigned uploads; /* at once */
        uint64_t store_within_usec; /* footage that waits longer goes to the store before other */
        /* [roster] */
        uint64_t due_after_usec;   /* a camera should be back so long after it was taken; 0: nobody waits for it */
        uint64_t take_within_usec; /* a camera that was checked out is kept for its officer so long */
        /* [health] */
        HealthLimits health;
        char *firmware; /* "MODEL:VERSION …": what the fleet's cameras should have; NULL: nothing is said */
        /* [timeouts], microseconds */
        uint64_t min_rate; /* bytes a second */
        uint64_t call_usec, stall_usec, backoff_min_usec, backoff_max_usec, reconcile_usec;
} Settings;

/* Reads the file over the defaults and checks the whole. `error` names file, line, key and why. */
int settings_load(const char *path, Settings **ret, ConfError *error);
Settings *settings_free(Settings *s);
DEFINE_CLEANUP(Settings, settings_free);
