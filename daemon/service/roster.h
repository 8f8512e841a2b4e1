/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Officers and their cameras: the roster, whom a camera is checked out for, and which should be back by now. */

#include <jansson.h>

#include "service/manager.h"

typedef struct Roster Roster;

int roster_new(Manager *m, Roster **ret);
Roster *roster_free(Roster *r);
DEFINE_CLEANUP(Roster, roster_free);
/* Something about who has which camera changed: looks again at when the next one should be back. NULL is allowed. */
void roster_look(Roster *r);

/* How some bay is changed: so may have which camera is the best. NULL is allowed. */
void roster_bays_changed(Roster *r);

/* ---- Orders: see ManagerDone ---- */

/* The roster is this one from now on (base/roster.h, checked). `source` for the custody log. */
int roster_import(Roster *r, const json_t *officers, const char *source, const Operator *by, ManagerDone done, void *userdata);
/* The officer, by id, has this camera of their own; "": the pool's. */
int roster_assign(Roster *r, const char *officer_id, const char *serial, const Operator *by, ManagerDone done, void *userdata);

typedef struct Checkout Checkout;
typedef void (*RosterCheckoutDone)(void *userdata, int result, const char *text, const char *serial, unsigned bay);
/*
 * The best ready camera for the officer, by id or badge: `done` is called when it is on record, and its lamps point at it, perhaps before
 * this returns; *ret is there until then. -ENOENT: no such officer; -EAGAIN: no camera now; -EBUSY; each with a sentence.
 */
int roster_checkout(Roster *r, const char *officer, const Operator *by, RosterCheckoutDone done, void *userdata, Checkout **ret,
                    const char **ret_why);
/* Takes it back: `done` gets -ECANCELED. -EALREADY with a sentence: its camera was begun with. */
int roster_checkout_withdraw(Checkout *c, const char **ret_why);
/* The camera was checked out and stays. -ENODEV: it is checked out for nobody. */
int roster_cancel(Roster *r, const char *serial, const Operator *by, ManagerDone done, void *userdata);
