/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The settings are read anew while the daemon runs. */

#include "base/conf.h"
#include "service/operator.h"

typedef struct Manager Manager;

typedef struct SettingChange {
        char *key;           /* "section.key", "section NAME.key" */
        char *before, *after; /* as written; NULL: not written, and what is the default counts */
        bool now;            /* it counts from now on; else from the next start on */
} SettingChange;

/* Once, on the loop, when what counts from now on is on record, or (result < 0, nothing was changed) why not in `text`. */
typedef void (*ReloadDone)(void *userdata, int result, const char *text, const SettingChange *changes, size_t n);

/*
 * Reads the files, and brings into force what a reload can. `by` NULL: nobody asked over the bus. A file that is wrong changes nothing:
 * negative, with the sentence in `error`, and `done` is not called.
 */
int manager_reload(Manager *m, const Operator *by, ReloadDone done, void *userdata, ConfError *error);
