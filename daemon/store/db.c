/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DB_STATEMENTS_MAX 160u
#define DB_BUSY_WRITE_MSEC 5000
#define DB_BUSY_READ_MSEC 50

struct Db {
        sqlite3 *handle;
        struct {
                const char *sql;
                sqlite3_stmt *statement;
        } cache[DB_STATEMENTS_MAX];
        size_t n_cache;
};

int db_errno(int code) {
        switch (code & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return 0;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EBADMSG;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_PERM:
        case SQLITE_AUTH:
        case SQLITE_CANTOPEN:
                return -EACCES;
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_RANGE:
        case SQLITE_MISUSE:
                return -EINVAL;
        case SQLITE_TOOBIG:
                return -EMSGSIZE;
        default:
                return -EIO;
        }
}

const char *db_message(const Db *db) {
        return sqlite3_errmsg(db->handle);
}

sqlite3 *db_handle(Db *db) {
        return db->handle;
}

int db_fail(ConfError *error, int r, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(error->text, sizeof(error->text), format, arguments);
        va_end(arguments);
        return r;
}

int db_open(const char *path, DbMode mode, Db **ret) {
        static const int flags[] = {
                [DB_READ] = SQLITE_OPEN_READONLY,
                [DB_WRITE] = SQLITE_OPEN_READWRITE,
                [DB_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                [DB_MEMORY] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY,
        };
        _cleanup_(db_closep) Db *db = calloc(1, sizeof(*db));
        int r;

        if (!db)
                return -ENOMEM;
        /* Each connection belongs to one thread at a time. */
        r = sqlite3_open_v2(path, &db->handle,
                            flags[mode] | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE, NULL);
        if (r != SQLITE_OK)
                return db_errno(r);
        (void) sqlite3_busy_timeout(db->handle, mode == DB_READ ? DB_BUSY_READ_MSEC : DB_BUSY_WRITE_MSEC);
        /* The file may have been prepared by a stranger: nothing in its schema gets to call functions with effects. */
        (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        *ret = TAKE_PTR(db);
        return 0;
}

void db_settle(Db *db) {
        (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
}

Db *db_close(Db *db) {
        if (!db)
                return NULL;
        for (size_t i = 0; i < db->n_cache; i++)
                (void) sqlite3_finalize(db->cache[i].statement);
        (void) sqlite3_close_v2(db->handle);
        free(db);
        return NULL;
}

int db_exec(Db *db, const char *sql) {
        return db_errno(sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

static int db_prepare(Db *db, const char *sql, sqlite3_stmt **ret) {
        sqlite3_stmt *statement = NULL;
        int r;

        for (size_t i = 0; i < db->n_cache; i++) {
                if (db->cache[i].sql == sql) {
                        *ret = db->cache[i].statement;
                        return 0;
                }
        }
        if (db->n_cache >= DB_STATEMENTS_MAX)
                return -ENOBUFS;
        r = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
        if (r != SQLITE_OK)
                return db_errno(r);
        db->cache[db->n_cache].sql = sql;
        db->cache[db->n_cache++].statement = statement;
        *ret = statement;
        return 0;
}

static int bind_one(sqlite3_stmt *statement, int index, const DbValue *value) {
        switch (value->type) {
        case DB_VALUE_INT:
                return sqlite3_bind_int64(statement, index, value->number);
        case DB_VALUE_TEXT:
                return sqlite3_bind_text(statement, index, value->data, -1, SQLITE_STATIC);
        case DB_VALUE_BLOB:
                return sqlite3_bind_blob64(statement, index, value->data, value->size, SQLITE_STATIC);
        default:
                return sqlite3_bind_null(statement, index);
        }
}

void db_resetp(sqlite3_stmt **statement) {
        if (!*statement)
                return;
        (void) sqlite3_reset(*statement);
        (void) sqlite3_clear_bindings(*statement);
}

int db_next(sqlite3_stmt *statement) {
        int r = sqlite3_step(statement);

        return r == SQLITE_ROW ? 1 : db_errno(r);
}

int db_query(Db *db, const char *sql, const DbValue *values, size_t n, sqlite3_stmt **ret) {
        sqlite3_stmt *statement = NULL;
        int r;

        r = db_prepare(db, sql, &statement);
        if (r < 0)
                return r;
        *ret = statement;
        for (size_t i = 0; i < n; i++) {
                r = bind_one(statement, (int) i + 1, &values[i]);
                if (r != SQLITE_OK)
                        return db_errno(r);
        }
        return db_next(statement);
}

int db_run(Db *db, const char *sql, const DbValue *values, size_t n) {
        _cleanup_(db_resetp) sqlite3_stmt *statement = NULL;
        int r;

        r = db_query(db, sql, values, n, &statement);
        while (r > 0)
                r = db_next(statement);
        return r < 0 ? r : sqlite3_changes(db->handle);
}

int db_number(Db *db, const char *sql, const DbValue *values, size_t n, int64_t *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *statement = NULL;
        int r;

        r = db_query(db, sql, values, n, &statement);
        if (r < 0)
                return r;
        if (r == 0 || sqlite3_column_type(statement, 0) == SQLITE_NULL)
                return -ENOENT;
        *ret = sqlite3_column_int64(statement, 0);
        return 0;
}

int db_column_digest(sqlite3_stmt *statement, int column, Digest *ret) {
        const void *bytes = sqlite3_column_blob(statement, column);

        if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
                *ret = (Digest){ 0 };
                return 0;
        }
        if (sqlite3_column_bytes(statement, column) != DIGEST_SIZE || !bytes)
                return -EBADMSG;
        memcpy(ret->bytes, bytes, DIGEST_SIZE);
        return 0;
}

int db_column_text(sqlite3_stmt *statement, int column, char **ret) {
        const char *text = (const char *) sqlite3_column_text(statement, column);
        char *copy = NULL;

        if (text) {
                copy = strdup(text);
                if (!copy)
                        return -ENOMEM;
        } else if (sqlite3_column_type(statement, column) != SQLITE_NULL)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

uint64_t db_column_uint(sqlite3_stmt *statement, int column) {
        int64_t v = sqlite3_column_int64(statement, column);

        return v < 0 ? 0 : (uint64_t) v;
}
