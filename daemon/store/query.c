/* SPDX-License-Identifier: Apache-2.0 */
#include "store/query.h"

#include <errno.h>
#include <stdlib.h>

/* The arrays are read as arrays of pointers to the rows' own types. */
typedef void *AnyRow __attribute__((may_alias));
typedef AnyRow *AnyRows __attribute__((may_alias));

int query_rows(Db *db, const char *sql, const DbValue *values, size_t n_values, RowMake make, RowsFree free_rows, void *ret,
               size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *statement = NULL;
        AnyRow *rows = NULL;
        size_t n = 0;
        int r;

        r = db_query(db, sql, values, n_values, &statement);
        while (r > 0) {
                void *row = NULL;
                AnyRow *larger = n % 64 == 0 ? reallocarray(rows, n + 64, sizeof(*rows)) : rows;

                if (!larger) {
                        r = -ENOMEM;
                        break;
                }
                rows = larger;
                r = make(statement, &row);
                if (r < 0)
                        break;
                rows[n++] = row;
                r = db_next(statement);
        }
        if (r < 0) {
                free_rows(rows, n);
                return r;
        }
        *(AnyRows *) ret = rows;
        *ret_n = n;
        return 0;
}

int query_row(Db *db, const char *sql, const DbValue *values, size_t n_values, RowMake make, void *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *statement = NULL;
        void *row = NULL;
        int r;

        r = db_query(db, sql, values, n_values, &statement);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = make(statement, &row);
        if (r < 0)
                return r;
        *(AnyRow *) ret = row;
        return 0;
}

int64_t query_limit(size_t max) {
        return max > INT32_MAX ? INT32_MAX : (int64_t) max;
}

int64_t query_before(uint64_t id) {
        return id == 0 || id > INT64_MAX ? INT64_MAX : (int64_t) id;
}

void query_text(sqlite3_stmt *row, int column, char **ret, int *r) {
        if (*r >= 0)
                *r = db_column_text(row, column, ret);
}

void query_digest(sqlite3_stmt *row, int column, Digest *ret, int *r) {
        if (*r >= 0)
                *r = db_column_digest(row, column, ret);
}
