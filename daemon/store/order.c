/* SPDX-License-Identifier: Apache-2.0 */

/* What an operator ordered for the dock as a whole. */

#include <errno.h>

#include "store/store_private.h"
#include "store/writer.h"

/* The last call counts. */
static int shift_called(Writer *w, const Fact *f) {
        if (f->shift.at_usec == 0)
                return writer_check(w, db_run(w->db, "DELETE FROM orders WHERE what = ?1", DB_ARGS(DB_TEXT(STORE_ORDER_SHIFT))));
        return writer_check(w, db_run(w->db, "INSERT OR REPLACE INTO orders (what, since_usec) VALUES (?1, ?2)",
                                      DB_ARGS(DB_TEXT(STORE_ORDER_SHIFT), DB_INT(f->shift.at_usec))));
}

int order_apply(Writer *w, const Fact *f) {
        if (!f->by_operator)
                return writer_refuse(w, -EINVAL, "a %s fact needs whoever ordered it", fact_kind_to_string(f->kind));
        if (f->kind == FACT_SHIFT_CALLED)
                return shift_called(w, f);
        if (f->kind == FACT_UPLOADS_PAUSED)
                return writer_check(w, db_run(w->db, "INSERT OR REPLACE INTO orders (what, since_usec) VALUES (?1, ?2)",
                                              DB_ARGS(DB_TEXT(STORE_ORDER_PAUSE), DB_INT(f->at.wall_usec))));
        return writer_check(w, db_run(w->db, "DELETE FROM orders WHERE what = ?1", DB_ARGS(DB_TEXT(STORE_ORDER_PAUSE))));
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

int store_order(Store *s, const char *what) {
        int64_t n = 0;
        int r;

        r = db_number(s->reader, "SELECT count(*) FROM orders WHERE what = ?1", DB_ARGS(DB_TEXT(what)), &n);
        return r < 0 ? r : n > 0;
}

int store_shift_called(Store *s, int64_t *ret_usec) {
        return db_number(s->reader, "SELECT since_usec FROM orders WHERE what = ?1", DB_ARGS(DB_TEXT(STORE_ORDER_SHIFT)), ret_usec);
}
