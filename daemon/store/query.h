/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How reads get their rows: on the loop, over the read-only connection. Every one of them walks an index and ends at its limit. */

#include "store/store_private.h"

/* Makes one row out of the statement's current one: -ENOMEM, -EBADMSG. */
typedef int (*RowMake)(sqlite3_stmt *statement, void **ret);
typedef void (*RowsFree)(void *rows, size_t n);

/* Collects the rows of a query; `ret` is the address of the caller's array of pointers to rows, NULL when there are none. */
int query_rows(Db *db, const char *sql, const DbValue *values, size_t n_values, RowMake make, RowsFree free_rows, void *ret,
               size_t *ret_n);
/* The first row; `ret` is the address of the caller's pointer to it. -ENOENT when there is none. */
int query_row(Db *db, const char *sql, const DbValue *values, size_t n_values, RowMake make, void *ret);

/* What SQL takes for a number of rows, and for the id before which rows are wanted; 0: from the newest on. */
int64_t query_limit(size_t max);
int64_t query_before(uint64_t id);

/* The members of a row, one after the other: *r is the first failure, after which nothing more is read. */
void query_text(sqlite3_stmt *row, int column, char **ret, int *r);
void query_digest(sqlite3_stmt *row, int column, Digest *ret, int *r);

/* SQL: is the clip `c` held, by itself or with its camera? */
#define QUERY_CLIP_HELD                                                                                              \
        "(EXISTS (SELECT 1 FROM holds h WHERE h.clip_id = c.id)"                                                     \
        " OR EXISTS (SELECT 1 FROM holds h WHERE h.camera_id = c.camera_id)"                                         \
        " OR EXISTS (SELECT 1 FROM restorations WHERE holds_read = 0))"
/* SQL: the clips `c` whose copies the spool need not keep; "WHERE" is said, and the index is walked in the order of their time. */
#define QUERY_RELEASABLE_CLIPS                                                                                       \
        "clips c INDEXED BY clips_releasable WHERE c.spool_name IS NOT NULL AND c.receipted_running_usec IS NOT NULL" \
        " AND c.state IN ('receipted', 'erasing', 'erased') AND NOT " QUERY_CLIP_HELD
