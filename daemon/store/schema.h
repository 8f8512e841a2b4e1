/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/conf.h"
#include "store/db.h"

/* "Brth": PRAGMA application_id, so that a stranger's database is told from ours. */
#define SCHEMA_APPLICATION_ID 0x42727468

/* One step: its SQL takes the schema from version number-1 to `number`. */
typedef struct SchemaStep {
        int number;
        const char *sql;
} SchemaStep;

/*
 * Whose database is it? 1: ours, 0: empty, to be made ours. -EBADMSG: somebody else's, or not a database at all;
 * -EPROTONOSUPPORT: of a newer Berth. Changes nothing.
 */
int schema_recognise(Db *db, const char *path, ConfError *error);
/*
 * Applies the missing steps, each in a transaction of its own that also sets PRAGMA user_version: a failed step leaves
 * the database as the step before left it.
 */
int schema_migrate(Db *db, const char *path, ConfError *error);
/* Is every table, index and trigger what the steps make, and nothing else there? -EBADMSG. */
int schema_check(Db *db, const char *path, ConfError *error);

/* As an earlier version left it, and with other steps: for tests. */
int schema_migrate_to(Db *db, const char *path, int version, ConfError *error);
int schema_migrate_steps(Db *db, const char *path, const SchemaStep *steps, size_t n, ConfError *error);
int schema_version(void);
