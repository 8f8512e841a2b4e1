/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How long the dock has run in all, over every boot. What is deleted by age counts it beside the wall clock, which may be put
 * anywhere. Time in which nobody noted anything before the power failed is lost: everything is then younger than it could be.
 */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "store/store_private.h"

/* How exact the note is: facts come thick and fast. */
#define NOTE_USEC UINT64_C(1000000)

typedef struct Noted {
        Moment at;
        uint64_t total_usec;
        bool stepped;
        uint64_t stepped_total_usec;
} Noted;

/* 0 when nothing was noted yet. */
static int read_noted(Db *db, Noted *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        const char *boot_id;
        Noted n = { 0 };
        int r;

        r = db_query(db, "SELECT boot_id, boottime_usec, wall_usec, total_usec, stepped_total_usec FROM running WHERE id = 1", DB_NO_ARGS,
                     &row);
        if (r <= 0)
                return r;
        boot_id = (const char *) sqlite3_column_text(row, 0);
        (void) snprintf(n.at.boot_id, sizeof(n.at.boot_id), "%s", boot_id ? boot_id : "");
        n.at.boottime_usec = db_column_uint(row, 1);
        n.at.wall_usec = sqlite3_column_int64(row, 2);
        n.total_usec = db_column_uint(row, 3);
        n.stepped = sqlite3_column_type(row, 4) != SQLITE_NULL;
        n.stepped_total_usec = n.stepped ? db_column_uint(row, 4) : 0;
        *ret = n;
        return 1;
}

/* What ran since the note. Facts may be told a little out of order. */
static uint64_t ran_since(const Noted *n, const Moment *now) {
        if (!text_equal(n->at.boot_id, now->boot_id))
                return now->boottime_usec;
        return now->boottime_usec > n->at.boottime_usec ? now->boottime_usec - n->at.boottime_usec : 0;
}

static int note(Writer *w, const Moment *at, uint64_t total_usec, bool stepped, uint64_t stepped_total_usec) {
        return writer_check(w, db_run(w->db,
                                      "INSERT OR REPLACE INTO running (id, boot_id, boottime_usec, wall_usec, total_usec,"
                                      " stepped_total_usec) VALUES (1, ?1, ?2, ?3, ?4, ?5)",
                                      DB_ARGS(DB_TEXT(at->boot_id), DB_INT(at->boottime_usec), DB_INT(at->wall_usec), DB_INT(total_usec),
                                              stepped ? DB_INT(stepped_total_usec) : DB_NULL())));
}

int running_advance(Writer *w, const Fact *f) {
        Noted n = { 0 };
        uint64_t ran, total;
        int64_t step;
        int r;

        r = read_noted(w->db, &n);
        if (r < 0)
                return writer_check(w, r);
        if (r == 0)
                return note(w, &f->at, 0, false, 0);
        ran = ran_since(&n, &f->at);
        step = moment_step_usec(&n.at, &f->at);
        /* What was on its way here when the clock was looked at told of the step: nobody shall read of two. */
        if (step == 0 && f->kind == FACT_CLOCK_STEPPED)
                return writer_refuse(w, -EALREADY, "that the clock was put is on record already");
        if (ran < NOTE_USEC && step == 0 && text_equal(n.at.boot_id, f->at.boot_id))
                return 0;
        total = n.total_usec + ran;
        if (step != 0 && f->kind != FACT_CLOCK_STEPPED) {
                r = writer_extra(w, "clock_step_usec", json_integer(step));
                if (r < 0)
                        return r;
        }
        return note(w, &f->at, total, step != 0 || n.stepped, step != 0 ? total : n.stepped_total_usec);
}

int running_total(Writer *w, uint64_t *ret_usec) {
        Noted n = { 0 };
        int r;

        r = read_noted(w->db, &n);
        if (r < 0)
                return writer_check(w, r);
        *ret_usec = n.total_usec;
        return 0;
}

int store_running(Store *s, const Moment *now, StoreRunning *ret) {
        Noted n = { 0 };
        int r;

        r = read_noted(s->reader, &n);
        if (r < 0)
                return r;
        if (r == 0) {
                *ret = (StoreRunning){ .since_step_usec = UINT64_MAX };
                return 0;
        }
        *ret = (StoreRunning){ .total_usec = n.total_usec + ran_since(&n, now), .step_usec = moment_step_usec(&n.at, now) };
        ret->since_step_usec = ret->step_usec != 0 ? 0 : n.stepped ? ret->total_usec - n.stepped_total_usec : UINT64_MAX;
        return 0;
}
