/* SPDX-License-Identifier: Apache-2.0 */

/* Were the keys that signed the log the dock's? By the one thing from outside: the list that the fleet's administrator signed. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "proof/proof.h"
#include "store/custody.h"

static void judge_event(Proof *p, const Fleet *fleet, const CustodyEvent *e) {
        const FleetKey *k;
        PublicKey key;
        char where[48];

        (void) snprintf(where, sizeof(where), "custody event %" PRIu64, e->seq);
        if (public_key_from_hex(json_string_value(json_object_get(e->object, "public_key")), &key) < 0)
                return; /* said of the chain */
        k = fleet_find(fleet, &key);
        if (!k)
                proof_found(p, where, "the fleet's list does not have this key of the dock");
        else if (!text_equal(k->dock_id, p->dock_id))
                proof_found(p, where, "by the fleet's list this key is that of the dock %s", k->dock_id);
        else if (k->revoked)
                proof_found(p, where, "this key of the dock was revoked: nothing that it signed counts");
        else if (public_key_equal(&key, &p->key) && clock_wall_usec() >= k->until_usec)
                proof_found(p, where, "this key of the dock has expired, and it still signs by it");
}

int proof_fleet(Proof *p, const Fleet *fleet) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(p->db, "SELECT bytes FROM custody WHERE kind IN ('key-made', 'key-rotated', 'key-replaced') ORDER BY seq", DB_NO_ARGS,
                     &row);
        for (; r > 0; r = db_next(row)) {
                const void *bytes = sqlite3_column_blob(row, 0);
                CustodyEvent e = { 0 };

                if (bytes && custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), &e) >= 0)
                        judge_event(p, fleet, &e);
                custody_event_done(&e);
        }
        if (r < 0)
                proof_found(p, "berth.db", "the dock's keys cannot be read: %s", db_message(p->db));
        return r;
}
