/* SPDX-License-Identifier: Apache-2.0 */

/* What was measured of the power of the bays' ports. */

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "store/store_private.h"
#include "store/writer.h"

int port_apply(Writer *w, const Fact *f) {
        if (!f->bay || !f->port.hub || !f->port.way)
                return writer_refuse(w, -EINVAL, "a port is measured at a bay, on a hub, by some way");
        return writer_check(w, db_run(w->db,
                                      "INSERT OR REPLACE INTO ports (bay, hub, way, switches, returns, back_usec, at_usec)"
                                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                                      DB_ARGS(DB_TEXT(f->bay), DB_TEXT(f->port.hub), DB_TEXT(f->port.way), DB_INT(f->port.switches),
                                              DB_INT(f->port.returns), DB_INT(f->port.back_usec), DB_INT(f->at.wall_usec))));
}

PortRow *port_row_free(PortRow *p) {
        if (!p)
                return NULL;
        free(p->hub);
        free(p->way);
        free(p);
        return NULL;
}

int store_charge_permille(Store *s, uint64_t camera_id, unsigned *ret) {
        int64_t permille = 0;
        int r;

        r = db_number(s->reader, "SELECT charge_permille FROM cameras WHERE id = ?1", DB_ARGS(DB_INT(camera_id)), &permille);
        if (r >= 0)
                *ret = (unsigned) permille;
        return r;
}

int store_port(Store *s, const char *bay, PortRow **ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(port_row_freep) PortRow *p = NULL;
        int r;

        r = db_query(s->reader, "SELECT hub, way, switches, returns, back_usec, at_usec FROM ports WHERE bay = ?1",
                     DB_ARGS(DB_TEXT(bay)), &row);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        if ((r = db_column_text(row, 0, &p->hub)) < 0 || (r = db_column_text(row, 1, &p->way)) < 0)
                return r;
        p->switches = sqlite3_column_int64(row, 2) != 0;
        p->returns = sqlite3_column_int64(row, 3) != 0;
        p->back_usec = db_column_uint(row, 4);
        p->at_usec = sqlite3_column_int64(row, 5);
        *ret = TAKE_PTR(p);
        return 0;
}
