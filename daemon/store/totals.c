/* SPDX-License-Identifier: Apache-2.0 */

/* The dock as a whole: how many clips there are, and how much footage comes and could go. */

#include <errno.h>

#include "store/query.h"

int store_totals(Store *s, StoreTotals *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL, *newest = NULL;
        StoreTotals t = { 0 };
        int r;

        r = db_query(s->reader, "SELECT state, clips, bytes FROM clip_totals", DB_NO_ARGS, &row);
        for (; r > 0; r = db_next(row)) {
                ClipState state = clip_state_from_string((const char *) sqlite3_column_text(row, 0));

                if (state < 0)
                        return -EBADMSG;
                t.clips_by_state[state] = db_column_uint(row, 1);
                t.bytes_by_state[state] = db_column_uint(row, 2);
                if (state == CLIP_COPIED)
                        t.unstored_bytes = db_column_uint(row, 2);
        }
        if (r < 0)
                return r;
        r = db_query(s->reader, "SELECT seq, hash FROM custody ORDER BY seq DESC LIMIT 1", DB_NO_ARGS, &newest);
        if (r < 0)
                return r;
        if (r > 0) {
                t.events = db_column_uint(newest, 0);
                r = db_column_digest(newest, 1, &t.chain_head);
                if (r < 0)
                        return r;
        }
        *ret = t;
        return 0;
}

int store_flow(Store *s, int64_t since_wall_usec, int64_t until_wall_usec, StoreFlow *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        StoreFlow flow = { .since_wall_usec = since_wall_usec };
        int64_t releasable = 0, looked_at = 0, seen_usec = until_wall_usec;
        int r;

        /* Ids rise with time: from the newest back to the first that is older. Or what was listed while the clock was ahead. */
        r = db_query(s->reader, "SELECT size_bytes, seen_usec FROM clips ORDER BY id DESC LIMIT ?1", DB_ARGS(DB_INT(STORE_FLOW_MAX)), &row);
        for (; r > 0 && (seen_usec = sqlite3_column_int64(row, 1)) >= since_wall_usec; r = db_next(row), looked_at++)
                if (seen_usec <= until_wall_usec)
                        flow.seen_bytes += db_column_uint(row, 0);
        if (r < 0)
                return r;
        if (looked_at == STORE_FLOW_MAX)
                flow.since_wall_usec = MIN2(seen_usec, until_wall_usec);
        r = db_number(s->reader, "SELECT coalesce(sum(c.size_bytes), 0) FROM " QUERY_RELEASABLE_CLIPS, DB_NO_ARGS, &releasable);
        if (r < 0)
                return r;
        flow.releasable_bytes = (uint64_t) releasable;
        *ret = flow;
        return 0;
}
