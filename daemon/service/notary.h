/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signs the custody log: owns the dock's key, makes a checkpoint at a steady rhythm, when the daemon ends and when somebody asks, and
 * brings what was signed to the store, over outages, until it lies there.
 */

#include <jansson.h>

#include "service/manager.h"

/* After the store was opened. The first fact of a dock without a key is that it has one. */
int notary_new(Manager *m, Notary **ret, ConfError *error);
Notary *notary_free(Notary *n);
DEFINE_CLEANUP(Notary, notary_free);
/* The daemon's last word: a checkpoint over all that was handed to the store before. */
void notary_stop(Notary *n);
/* The store became ready: what waits for it goes now. */
void notary_store_ready(Notary *n);

/* Something was signed that the store is to have. */
void notary_signed(Notary *n);

/* Signs what is no part of the custody log, in the dock's name: the statement's three lines, which the caller frees. Takes `members`. */
int notary_sign(const Notary *n, const char *type, const char *key, uint64_t seq, json_t *members, char **ret);

/* A number for what is signed without a place in the custody log: it rises, over restarts, too. */
uint64_t notary_next_number(Notary *n);
const char *notary_dock_id(const Notary *n);
const PublicKey *notary_public_key(const Notary *n);

/* What operators order: see manager.h. */
int notary_order_checkpoint(Notary *n, const Operator *by, ManagerDone done, void *userdata);
/* -EPERM when the key is systemd's to give, -EBUSY while one is under way. */
int notary_order_rotation(Notary *n, const Operator *by, ManagerDone done, void *userdata);

/* For a dock whose key is lost: what is at hand, or a new one, is its key from now on, and the custody log says so. Blocking. */
int notary_replace_key(const Settings *settings, ConfError *error);
