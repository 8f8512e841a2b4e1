/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The rows against the chain: what a clip's copy and receipt are is said by the newest custody events about them, and the rows
 * that the daemon works by must say the same. SQLite finds no byte that was changed in a page that still makes sense.
 */

#include "store/custody.h"

typedef struct FactsCheck {
        Db *db;        /* the walk's */
        char why[256]; /* after -EUCLEAN: one sentence */
} FactsCheck;

/* A CustodyVisit, with a FactsCheck: -EUCLEAN for a row that is not what this event says. */
int facts_check_visit(void *userdata, const CustodyEvent *e, const void *bytes, size_t size);
