/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which polkit action a caller must be allowed for each method. The actions themselves are systemd/polkit/org.berth.Dock1.policy. */

#include <errno.h>
#include <stddef.h>

typedef enum Action {
        ACTION_VIEW,     /* looking */
        ACTION_OPERATE,  /* day-to-day: checkout, lamps, what is sent first */
        ACTION_EVIDENCE, /* what becomes of footage, and what proves it */
        ACTION_FIRMWARE,
        ACTION_SETTINGS, /* officers, whose camera it is, whether uploads run */
        _ACTION_MAX,
        ACTION_OF_JOB = _ACTION_MAX, /* that of the method that began the job; who began it needs none */
        _ACTION_INVALID = -EINVAL,
} Action;

typedef struct ActionRow {
        const char *interface, *member;
        Action action;
} ActionRow;

/* "org.berth.Dock1.evidence"; "of-its-job" is no action of polkit's. */
const char *action_to_string(Action action);
/* All methods of org.berth.Dock1.*. */
const ActionRow *action_rows(size_t *ret_n);
/* `interface` may be NULL, as it may in a call: no two of them have a method of one name. _ACTION_INVALID: there is no such method. */
Action action_of(const char *interface, const char *member);
