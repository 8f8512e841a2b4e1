/* SPDX-License-Identifier: Apache-2.0 */

/* What is known of a clip's copy for its manifest: the event, and what the camera told of its clock and its owner. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/custody.h"
#include "store/store_private.h"

static int take_owner(const json_t *check, CopyEvidence *e) {
        const char *keys[] = { "officer_id", "officer_name", "unit_id", "unit_name" };
        char **const texts[] = { &e->officer_id, &e->officer_name, &e->unit_id, &e->unit_name };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *text = json_string_value(json_object_get(check, keys[i]));

                free(*texts[i]);
                *texts[i] = strdup(text ? text : "");
                if (!*texts[i])
                        return -ENOMEM;
        }
        return 0;
}

/* What the camera tells counts before what the roster has. */
static int take_officer(const json_t *event, bool by_roster, CopyEvidence *e) {
        static const char *const keys[] = { "officer_id", "officer_name", "unit_id", "unit_name" };
        bool told = false;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *text = json_string_value(json_object_get(event, keys[i]));

                told |= text && *text;
        }
        if (!told || (by_roster && e->officer_id))
                return 0;
        e->officer_by_roster = by_roster;
        return take_owner(event, e);
}

static int take_check(const json_t *check, CopyEvidence *e) {
        const json_t *drift = json_object_get(check, "drift_usec");

        if (json_is_integer(drift) || !e->drift_known)
                e->dock_synchronised = json_is_true(json_object_get(check, "synchronised"));
        if (json_is_integer(drift)) {
                e->drift_known = true;
                e->drift_usec = (int64_t) json_integer_value(drift);
        }
        return take_officer(check, false, e);
}

/*
 * The checks of that docking before an event, from the last back to the first, which counts: after it the clock is set, and a camera
 * that was sent into its storage mode tells neither time nor owner. None is no error: not every camera can be checked. Who brought the
 * camera back is on record in the same docking.
 */
static int read_checks(Store *s, uint64_t camera_id, uint64_t docking_id, uint64_t before_seq, CopyEvidence *e) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(s->reader,
                     "SELECT docking_id, kind, bytes FROM custody WHERE camera_id = ?1 AND seq < ?2 AND kind IN (?3, ?4, ?5)"
                     " ORDER BY seq DESC",
                     DB_ARGS(DB_INT(camera_id), DB_INT(before_seq), DB_TEXT(fact_kind_to_string(FACT_CHECKED)),
                             DB_TEXT(fact_kind_to_string(FACT_IDENTIFIED)), DB_TEXT(fact_kind_to_string(FACT_BROUGHT_BACK))), &row);
        for (; r > 0; r = db_next(row)) {
                const char *kind = (const char *) sqlite3_column_text(row, 1);
                CustodyEvent event = { 0 };

                /* Another dock of the fleet saw it come back. */
                if (db_column_uint(row, 0) == 0)
                        continue;
                /* Whatever is older belongs to dockings before. */
                if (db_column_uint(row, 0) < docking_id)
                        return 0;
                if (db_column_uint(row, 0) != docking_id || text_equal(kind, fact_kind_to_string(FACT_IDENTIFIED)))
                        continue;
                r = custody_parse(sqlite3_column_blob(row, 2), (size_t) sqlite3_column_bytes(row, 2), &event);
                if (r < 0)
                        return r;
                r = text_equal(kind, fact_kind_to_string(FACT_CHECKED)) ? take_check(event.object, e) :
                                                                          take_officer(event.object, true, e);
                custody_event_done(&event);
                if (r < 0)
                        return r;
        }
        return r;
}

/* The docking in which the camera was sent into its storage mode, when the daemon was restarted meanwhile; 0: no other. */
static int read_switch(Store *s, uint64_t docking_id, uint64_t *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        CustodyEvent event = { 0 };
        uint64_t id;
        int r;

        *ret = 0;
        r = db_query(s->reader,
                     "SELECT bytes FROM custody INDEXED BY custody_of_identity WHERE docking_id = ?1"
                     " AND kind IN ('storage-identified', 'identity-confirmed') AND kind = 'storage-identified' ORDER BY seq LIMIT 1",
                     DB_ARGS(DB_INT(docking_id)), &row);
        if (r <= 0)
                return r;
        r = custody_parse(sqlite3_column_blob(row, 0), (size_t) sqlite3_column_bytes(row, 0), &event);
        if (r < 0)
                return r;
        id = (uint64_t) json_integer_value(json_object_get(event.object, "switch_docking_id"));
        custody_event_done(&event);
        *ret = id == docking_id ? 0 : id;
        return 0;
}

static int read_dockings(Store *s, uint64_t camera_id, uint64_t docking_id, CopyEvidence *e) {
        uint64_t before = 0;
        int r;

        r = read_checks(s, camera_id, docking_id, e->seq, e);
        if (r >= 0)
                r = read_switch(s, docking_id, &before);
        return r < 0 || before == 0 ? r : read_checks(s, camera_id, before, e->seq, e);
}

void copy_evidence_done(CopyEvidence *e) {
        free(e->officer_id);
        free(e->officer_name);
        free(e->unit_id);
        free(e->unit_name);
        *e = (CopyEvidence){};
}

int store_copy_evidence(Store *s, uint64_t clip_id, CopyEvidence *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        CopyEvidence e = {};
        int r;

        r = db_query(s->reader,
                     "SELECT seq, hash, camera_id, docking_id, wall_usec FROM custody WHERE clip_id = ?1"
                     " AND kind IN ('copied', 'clip-recovered') ORDER BY seq DESC LIMIT 1",
                     DB_ARGS(DB_INT(clip_id)), &row);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENOENT;
        e.seq = db_column_uint(row, 0);
        e.copied_usec = sqlite3_column_int64(row, 4);
        r = db_column_digest(row, 1, &e.hash);
        if (r >= 0)
                r = read_dockings(s, db_column_uint(row, 2), db_column_uint(row, 3), &e);
        if (r < 0) {
                copy_evidence_done(&e);
                return r;
        }
        *ret = e;
        return 0;
}
