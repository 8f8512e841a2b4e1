/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The state folder's two files, opened together and checked against each other. */

#include "base/conf.h"
#include "store/chain_head.h"
#include "store/db.h"

typedef struct StateDir {
        int fd;        /* holds the lock */
        char *db_path; /* without symlinks */
        Db *db;        /* the writing connection */
        ChainFile *chain;
        ChainHead head; /* as the file has it */
} StateDir;

/* See store_open(). Nothing is changed before everything was recognised. */
int state_dir_open(const char *path, StateDir *ret, ConfError *error);
void state_dir_close(StateDir *s);

/*
 * Drops the writing connection and opens it anew: for after an I/O error. The chain must end at `committed`, else
 * -EBADE. A reading connection must have been open, and have read, all along.
 */
int state_dir_reopen_db(StateDir *s, const ChainHead *committed, ConfError *error);
