/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SQLite as this folder uses it: one connection, its cached statements, and errors as errno values. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/conf.h"
#include "base/digest.h"
#include "base/macro.h"

typedef struct Db Db;

typedef enum DbMode {
        DB_READ,   /* read-only; waits for nobody longer than a moment, as it runs on the loop */
        DB_WRITE,  /* the file must exist */
        DB_CREATE,
        DB_MEMORY, /* for comparing schemas */
} DbMode;

/*
 * Opens a connection. Nothing of the file is read or changed yet. The last close of a writing connection leaves
 * the write-ahead log as it is, unless db_settle() was called.
 */
int db_open(const char *path, DbMode mode, Db **ret);
Db *db_close(Db *db);
DEFINE_CLEANUP(Db, db_close);
/* The close is an orderly one: the write-ahead log may be folded into the file. */
void db_settle(Db *db);

/*
 * SQLite's codes as negative errno: -ENOSPC (full), -EIO, -EBADMSG (damaged, not a database), -EBUSY, -EROFS, -ENOMEM,
 * -EINVAL (a constraint of the schema) …
 */
int db_errno(int code);
/* SQLite's own words for the last failure. */
const char *db_message(const Db *db);
sqlite3 *db_handle(Db *db);

/* Fills the sentence and returns r. */
int db_fail(ConfError *error, int r, const char *format, ...) _printf_(3, 4);

/* One bound value. Texts and blobs are not copied: they live until the statement is reset. */
typedef struct DbValue {
        enum { DB_VALUE_NULL, DB_VALUE_INT, DB_VALUE_TEXT, DB_VALUE_BLOB } type;
        int64_t number;
        const void *data;
        size_t size;
} DbValue;

#define DB_NULL() ((DbValue){ .type = DB_VALUE_NULL })
#define DB_INT(v) ((DbValue){ .type = DB_VALUE_INT, .number = (int64_t) (v) })
/* NULL becomes "". */
#define DB_TEXT(v) db_text(v)
#define DB_BLOB(v, n) ((DbValue){ .type = DB_VALUE_BLOB, .data = (v), .size = (n) })
#define DB_DIGEST(v) DB_BLOB((v)->bytes, DIGEST_SIZE)
#define DB_ARGS(...) (const DbValue[]){ __VA_ARGS__ }, sizeof((const DbValue[]){ __VA_ARGS__ }) / sizeof(DbValue)
#define DB_NO_ARGS NULL, 0

static inline DbValue db_text(const char *s) {
        return (DbValue){ .type = DB_VALUE_TEXT, .data = s ? s : "" };
}

/* Several statements without arguments or rows. */
int db_exec(Db *db, const char *sql);
/* Runs one statement to its end: the number of rows that it changed. Statements are cached by `sql`, a literal. */
int db_run(Db *db, const char *sql, const DbValue *values, size_t n);
/*
 * Steps to the first row: 1 with the statement in *ret, or 0 when there is none. The caller resets it in any case
 * (_cleanup_(db_resetp)).
 */
int db_query(Db *db, const char *sql, const DbValue *values, size_t n, sqlite3_stmt **ret);
/* The next row: 1, or 0 at the end. */
int db_next(sqlite3_stmt *statement);
void db_resetp(sqlite3_stmt **statement);
/* One number: -ENOENT without a row or when it is NULL. */
int db_number(Db *db, const char *sql, const DbValue *values, size_t n, int64_t *ret);

/* Columns of the current row. -EBADMSG when a value cannot be what the schema promises. */
int db_column_digest(sqlite3_stmt *statement, int column, Digest *ret); /* NULL gives zeros */
int db_column_text(sqlite3_stmt *statement, int column, char **ret);    /* NULL gives NULL; the caller frees */
uint64_t db_column_uint(sqlite3_stmt *statement, int column);
