/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/published.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "base/catalog.h"
#include "base/fleet.h"
#include "base/roster.h"
#include "base/text.h"
#include "proof/uplink_socket.h"
#include "store/custody.h"

typedef struct Published {
        const char *kind;   /* of the event that tells that the dock goes by it from then on */
        const char *digest; /* its member with the SHA-256 of the text */
        char *(*key)(const json_t *event);
} Published;

static const char *text_of(const json_t *event, const char *member) {
        return json_string_value(json_object_get(event, member)) ?: "";
}

static uint64_t number_of(const json_t *event, const char *member) {
        return (uint64_t) json_integer_value(json_object_get(event, member));
}

static char *key_of_list(const json_t *event) {
        return fleet_list_key(text_of(event, "fleet"), number_of(event, "list"));
}

static char *key_of_roster(const json_t *event) {
        return roster_key(text_of(event, "fleet"), number_of(event, "roster_number"));
}

static char *key_of_catalog(const json_t *event) {
        char key[CATALOG_KEY_SIZE];

        return strdup(catalog_key(number_of(event, "catalog"), false, key));
}

static const Published all[] = {
        { "fleet-list", "list_sha256", key_of_list },
        { "roster", "signed_sha256", key_of_roster },
        { "catalog", "catalog_sha256", key_of_catalog },
};

static void compare(Proof *p, sd_bus *bus, const Published *kind, const CustodyEvent *e, bool in_force) {
        _cleanup_(freep) char *key = NULL, *where = NULL, *text = NULL;
        ConfError error = { 0 };
        Digest is, should;
        int r;

        /* A roster of the dock's own, or what an older Berth did not put on record so, is nothing that the store should have. */
        if (digest_from_hex(text_of(e->object, kind->digest), &should) < 0)
                return;
        key = kind->key(e->object);
        where = key ? text_format("store: %s", key) : NULL;
        if (!where)
                return;
        r = uplink_socket_fetch(bus, key, &text, &error);
        if (r == -ENOENT && !in_force)
                return;
        p->counts.stored_statements++;
        if (r == -ENOENT)
                proof_found(p, where, "it is gone, and this dock goes by it");
        else if (r < 0)
                proof_found(p, where, "it cannot be read: %s", error.text);
        else if (digest_of(text, strlen(text), &is) < 0 || !digest_equal(&is, &should))
                proof_found(p, where, "the store has another text than the one that this dock took (custody event %" PRIu64 ")", e->seq);
}

static int compare_kind(Proof *p, sd_bus *bus, const Published *kind) {
        uint64_t after = 0;

        for (;;) {
                _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
                CustodyEvent e = { 0 };
                const void *bytes;
                bool newest;
                int r;

                /* As the index has them. */
                r = db_query(p->db, "SELECT seq, bytes, seq = (SELECT max(seq) FROM custody WHERE kind = ?1 AND clip_id IS NULL AND"
                                    "  camera_id IS NULL AND docking_id IS NULL) FROM custody WHERE kind = ?1 AND seq > ?2 AND clip_id"
                                    "  IS NULL AND camera_id IS NULL AND docking_id IS NULL ORDER BY seq LIMIT 1",
                             DB_ARGS(DB_TEXT(kind->kind), DB_INT(after)), &row);
                if (r <= 0)
                        return r;
                after = db_column_uint(row, 0);
                newest = sqlite3_column_int(row, 2);
                bytes = sqlite3_column_blob(row, 1);
                r = bytes ? custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 1), &e) : -EBADE;
                db_resetp(&row);
                /* One that is damaged was told of with the chain. */
                if (r >= 0)
                        compare(p, bus, kind, &e, newest);
                custody_event_done(&e);
                proof_progress(p, "statements in the store", p->counts.stored_statements, 0);
        }
}

int proof_published(Proof *p, sd_bus *bus) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(all) && r >= 0; i++)
                r = compare_kind(p, bus, &all[i]);
        return r;
}
