/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The dock's signing key, as files: `dock.key` in the state folder (PKCS#8 PEM, mode 600), or the systemd credential `dock-
 * key`. While it is being changed the new one is in `dock.key.new`. Which key is the dock's is told by the custody log; this
 * finds the private half.
 */

#include "base/conf.h"
#include "base/macro.h"
#include "base/sign.h"
#include "store/store.h"

typedef struct DockKeys DockKeys;

/*
 * Loads what there is and makes it fit what the custody log says (`known`, NULL before the first key): a change that was cut short is
 * finished or undone, and a dock without any key gets one. With a key that the log does not know yet, dock_keys_next() says that it
 * takes over: from the old one, when that is there, too, else -EKEYREJECTED with a sentence.
 */
int dock_keys_open(const char *state_dir, const DockKey *known, DockKeys **ret, ConfError *error);
DockKeys *dock_keys_free(DockKeys *k);
DEFINE_CLEANUP(DockKeys, dock_keys_free);

/* The dock's key, and the one that is to take over: NULL when none is. */
const SignKey *dock_keys_now(const DockKeys *k);
const SignKey *dock_keys_next(const DockKeys *k);
/* Makes another one, durable in `dock.key.new`. -EALREADY while one is under way, -EPERM when the key is a credential. */
int dock_keys_prepare(DockKeys *k);
/* The one that was to take over has (the log says so, durably), or will not. */
int dock_keys_taken_over(DockKeys *k);
int dock_keys_give_up(DockKeys *k);

/*
 * The dock's id, in `dock.id`: what its custody log cannot tell once it is lost. Remembering writes it when it is not there already;
 * recalling says -ENOENT, or -EBADMSG when the file holds something else.
 */
int dock_keys_remember_id(const DockKeys *k, const char *dock_id);
int dock_keys_recall_id(const DockKeys *k, char ret[static DOCK_ID_SIZE]);

/*
 * The key that is there, whatever the log says, for a dock whose old key is lost. -ENOENT when there is none; then, with `make`, a new one.
 */
int dock_keys_find(const char *state_dir, bool make, SignKey **ret, ConfError *error);
