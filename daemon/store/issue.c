/* SPDX-License-Identifier: Apache-2.0 */

/* The roster, and who has which camera. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/roster.h"
#include "base/text.h"
#include "store/officers.h"
#include "store/query.h"

/* ---- The roster ---------------------------------------------------------------------------------------------------- */

static int add_officer(Writer *w, const Officer *o) {
        return writer_check(w, db_run(w->db,
                                      "INSERT INTO officers (id, name, unit_id, unit_name, badge, serial) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                                      DB_ARGS(DB_TEXT(o->id), DB_TEXT(o->name), DB_TEXT(o->unit_id), DB_TEXT(o->unit_name),
                                              DB_TEXT(o->badge), DB_TEXT(o->serial))));
}

/* The fleet's goes on only forward; and what a fleet says is not changed by one dock. */
static int check_number(Writer *w, const Fact *f) {
        int64_t now = 0;
        int r = db_number(w->db, "SELECT seq FROM roster", DB_NO_ARGS, &now);

        if (r < 0 && r != -ENOENT)
                return writer_check(w, r);
        if (now > 0 && f->issue.roster_seq == 0)
                return writer_refuse(w, -EPERM, "the roster is the fleet's (number %" PRId64 "): it is changed there, by its administrator",
                                     now);
        if (now > 0 && f->issue.roster_seq <= (uint64_t) now)
                return writer_refuse(w, -EALREADY, "the roster in force has the number %" PRId64 ", and this one has %" PRIu64, now,
                                     f->issue.roster_seq);
        return 0;
}

static int note_officers(Writer *w) {
        char hex[DIGEST_HEX_SIZE];
        Digest digest;
        int r = officers_digest(w->db, &digest);

        return r < 0 ? writer_check(w, r) : writer_extra(w, "officers_sha256", json_string(digest_to_hex(&digest, hex)));
}

static int roster_replaced(Writer *w, const Fact *f) {
        ConfError error = { 0 };
        json_t *roster = json_loads(f->issue.roster_json ? f->issue.roster_json : "", 0, NULL);
        int r = roster ? roster_check(roster, &error) : -EINVAL;

        if (r < 0)
                r = writer_refuse(w, r, "%s", error.text[0] ? error.text : "the roster is no JSON");
        if (r >= 0)
                r = check_number(w, f);
        if (r >= 0)
                r = writer_check(w, db_run(w->db, "DELETE FROM officers", DB_NO_ARGS));
        for (size_t i = 0; i < json_array_size(roster) && r >= 0; i++) {
                Officer o = roster_officer(roster, i);

                r = add_officer(w, &o);
        }
        if (r >= 0)
                r = writer_extra(w, "officers", json_integer((json_int_t) json_array_size(roster)));
        if (r >= 0)
                r = note_officers(w);
        json_decref(roster);
        if (r < 0)
                return r;
        return writer_check(w, db_run(w->db, "INSERT OR REPLACE INTO roster (id, seq, source, since_usec) VALUES (1, ?1, ?2, ?3)",
                                      DB_ARGS(DB_INT(f->issue.roster_seq), DB_TEXT(f->text), DB_INT(f->at.wall_usec))));
}

static int assigned(Writer *w, const Fact *f) {
        int64_t seq = 0;
        int r;

        r = db_number(w->db, "SELECT seq FROM roster", DB_NO_ARGS, &seq);
        if (r >= 0 && seq > 0)
                return writer_refuse(w, -EPERM, "the roster is the fleet's (number %" PRId64 "): it is changed there, by its administrator",
                                     seq);
        /* Nobody else has it any more. */
        r = db_run(w->db, "UPDATE officers SET serial = '' WHERE serial = ?1 AND serial <> ''", DB_ARGS(DB_TEXT(f->issue.serial)));
        if (r >= 0)
                r = db_run(w->db, "UPDATE officers SET serial = ?2 WHERE id = ?1",
                           DB_ARGS(DB_TEXT(f->issue.owner.officer_id), DB_TEXT(f->issue.serial)));
        if (r == 0)
                return writer_refuse(w, -ENOENT, "the roster has no officer '%s'", f->issue.owner.officer_id);
        return r < 0 ? writer_check(w, r) : note_officers(w);
}

/* ---- Issues -------------------------------------------------------------------------------------------------------- */

static int begin(Writer *w, const Fact *f, int64_t ordered_usec, int64_t taken_usec) {
        const FactOwner *o = &f->issue.owner;
        int r;

        r = db_run(w->db,
                   "INSERT OR IGNORE INTO issues (id, camera_id, officer_id, officer_name, unit_id, unit_name, ordered_usec, taken_usec,"
                   " due_usec) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                   DB_ARGS(DB_INT(w->head.seq + 1), DB_INT(f->camera_id), DB_TEXT(o->officer_id), DB_TEXT(o->officer_name),
                           DB_TEXT(o->unit_id), DB_TEXT(o->unit_name), DB_INT(ordered_usec), DB_INT(taken_usec),
                           DB_INT(f->issue.due_usec)));
        if (r == 0)
                return writer_refuse(w, -EEXIST, "the camera is issued already");
        if (r < 0 || !o->officer_id || !*o->officer_id)
                return writer_check(w, r);
        /* Many a camera holds no owner: what is on it from now on is this officer's all the same. */
        return writer_check(w, db_run(w->db,
                                      "UPDATE cameras SET officer_id = ?2, officer_name = ?3, unit_id = ?4, unit_name = ?5 WHERE id = ?1",
                                      DB_ARGS(DB_INT(f->camera_id), DB_TEXT(o->officer_id), DB_TEXT(o->officer_name), DB_TEXT(o->unit_id),
                                              DB_TEXT(o->unit_name))));
}

static int taken(Writer *w, const Fact *f) {
        int r;

        r = db_run(w->db, "UPDATE issues SET taken_usec = ?2, due_usec = ?3 WHERE camera_id = ?1 AND ended_usec = 0 AND taken_usec = 0",
                   DB_ARGS(DB_INT(f->camera_id), DB_INT(f->at.wall_usec), DB_INT(f->issue.due_usec)));
        return r == 0 ? begin(w, f, 0, f->at.wall_usec) : writer_check(w, r);
}

int issue_apply(Writer *w, const Fact *f) {
        int r;

        switch (f->kind) {
        case FACT_ROSTER:
                return roster_replaced(w, f);
        case FACT_ASSIGNED:
                return assigned(w, f);
        case FACT_CHECKED_OUT:
                return begin(w, f, f->at.wall_usec, 0);
        case FACT_TAKEN:
                return taken(w, f);
        case FACT_OVERDUE:
                r = db_run(w->db,
                           "UPDATE issues SET overdue = 1 WHERE camera_id = ?1 AND ended_usec = 0 AND taken_usec > 0 AND overdue = 0",
                           DB_ARGS(DB_INT(f->camera_id)));
                break;
        default:
                r = db_run(w->db, "UPDATE issues SET ended_usec = ?2 WHERE camera_id = ?1 AND ended_usec = 0",
                           DB_ARGS(DB_INT(f->camera_id), DB_INT(f->at.wall_usec)));
                break;
        }
        if (r == 0)
                return writer_refuse(w, -ENOENT, "the camera is not issued");
        return writer_check(w, r);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

IssueRow *issue_row_free(IssueRow *i) {
        if (!i)
                return NULL;
        free(i->serial);
        free(i->officer_id);
        free(i->officer_name);
        free(i->unit_id);
        free(i->unit_name);
        free(i);
        return NULL;
}

void issue_rows_free(IssueRow **rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void) issue_row_free(rows[i]);
        free(rows);
}

static int issue_make(sqlite3_stmt *row, void **ret) {
        _cleanup_(issue_row_freep) IssueRow *i = calloc(1, sizeof(*i));
        int r = 0;

        if (!i)
                return -ENOMEM;
        i->id = db_column_uint(row, 0);
        i->camera_id = db_column_uint(row, 1);
        query_text(row, 2, &i->serial, &r);
        query_text(row, 3, &i->officer_id, &r);
        query_text(row, 4, &i->officer_name, &r);
        query_text(row, 5, &i->unit_id, &r);
        query_text(row, 6, &i->unit_name, &r);
        if (r < 0)
                return r;
        i->ordered_usec = sqlite3_column_int64(row, 7);
        i->taken_usec = sqlite3_column_int64(row, 8);
        i->due_usec = sqlite3_column_int64(row, 9);
        i->ended_usec = sqlite3_column_int64(row, 10);
        i->overdue = sqlite3_column_int(row, 11) != 0;
        *ret = TAKE_PTR(i);
        return 0;
}

static void issue_free_rows(void *rows, size_t n) {
        issue_rows_free(rows, n);
}

#define ISSUES                                                                                                                \
        "SELECT i.id, i.camera_id, k.serial, i.officer_id, i.officer_name, i.unit_id, i.unit_name, i.ordered_usec, i.taken_usec," \
        " i.due_usec, i.ended_usec, i.overdue FROM issues i JOIN cameras k ON k.id = i.camera_id "

int store_issue_open(Store *s, uint64_t camera_id, IssueRow **ret) {
        return query_row(s->reader, ISSUES "WHERE i.camera_id = ?1 AND i.ended_usec = 0", DB_ARGS(DB_INT(camera_id)), issue_make, ret);
}

int store_issues_open(Store *s, uint64_t after_id, size_t max, IssueRow ***ret, size_t *ret_n) {
        return query_rows(s->reader, ISSUES "WHERE i.ended_usec = 0 AND i.id > ?1 ORDER BY i.id LIMIT ?2",
                          DB_ARGS(DB_INT(after_id), DB_INT(query_limit(max))), issue_make, issue_free_rows, ret, ret_n);
}

int store_issues(Store *s, uint64_t camera_id, uint64_t before_id, size_t max, IssueRow ***ret, size_t *ret_n) {
        if (camera_id == 0)
                return query_rows(s->reader, ISSUES "WHERE i.id < ?1 ORDER BY i.id DESC LIMIT ?2",
                                  DB_ARGS(DB_INT(query_before(before_id)), DB_INT(query_limit(max))), issue_make, issue_free_rows, ret,
                                  ret_n);
        return query_rows(s->reader, ISSUES "WHERE i.camera_id = ?3 AND i.id < ?1 ORDER BY i.id DESC LIMIT ?2",
                          DB_ARGS(DB_INT(query_before(before_id)), DB_INT(query_limit(max)), DB_INT(camera_id)), issue_make,
                          issue_free_rows, ret, ret_n);
}

int store_issue_count(Store *s, uint64_t camera_id, int64_t since_usec, uint64_t *ret_n, int64_t *ret_last_usec) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(s->reader,
                     "SELECT ifnull(sum(taken_usec >= ?2), 0), ifnull(max(taken_usec), 0) FROM issues WHERE camera_id = ?1"
                     " AND taken_usec > 0",
                     DB_ARGS(DB_INT(camera_id), DB_INT(since_usec)), &row);
        if (r < 0)
                return r;
        *ret_n = db_column_uint(row, 0);
        *ret_last_usec = sqlite3_column_int64(row, 1);
        return 0;
}
