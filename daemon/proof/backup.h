/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A backup of a state folder, taken beside a running daemon or without one: what a dock cannot make anew, but for its private key. */

#include "proof/proof.h"

/*
 * Writes a new folder: the database as it was at one moment, its head file, and the dock's id. Nothing of it is there when it fails.
 * -EEXIST when the folder is there, else -errno, with a sentence.
 */
int proof_backup(Proof *p, const char *path, ChainHead *ret, ConfError *error);
