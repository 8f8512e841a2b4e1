/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/archive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "base/text.h"
#include "base/wire_uplink.h"
#include "proof/uplink_socket.h"
#include "store/custody.h"

#define STEP_EVENTS 256u

static void busp(sd_bus **bus) {
        sd_bus_close_unref(*bus);
}

/* ---- One text ------------------------------------------------------------------------------------------------------ */

typedef struct Part {
        char *text;
        size_t size;
        uint64_t last; /* event in it; 0: none */
        bool full;
} Part;

static int add_event(void *userdata, const CustodyEvent *e, const void *bytes, size_t size) {
        Part *part = userdata;
        char *grown;

        part->full = part->size + size + 1 > WIRE_KEEP_MAX;
        if (part->full)
                return -ENOSPC;
        grown = realloc(part->text, part->size + size + 2);
        if (!grown)
                return -ENOMEM;
        part->text = grown;
        memcpy(grown + part->size, bytes, size);
        grown[part->size + size] = '\n';
        part->size += size + 1;
        grown[part->size] = 0;
        part->last = e->seq;
        return 0;
}

/* The events from `first` on that belong into one text: 0 when no checkpoint in the store covers them yet. The caller frees the text. */
static int make_part(Proof *p, uint64_t first, Part *ret, ConfError *error) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        Part part = { 0 };
        CustodyWalk walk;
        uint64_t end;
        int r;

        r = db_query(p->db, "SELECT head_seq, state FROM statements WHERE type = 'checkpoint' AND head_seq >= ?1 AND state <> 'refused'"
                            " ORDER BY seq LIMIT 1", DB_ARGS(DB_INT(first)), &row);
        if (r < 0)
                return db_fail(error, r, "berth.db cannot be read: %s", db_message(p->db));
        if (r == 0 || !text_equal((const char *) sqlite3_column_text(row, 1), "stored"))
                return 0;
        end = db_column_uint(row, 0);
        r = custody_walk_begin(&walk, p->db, first);
        while (r >= 0 && (r = custody_walk(&walk, STEP_EVENTS, end, add_event, &part)) > 0)
                ;
        if (r == -ENOSPC && part.full && part.last > 0)
                r = 0;
        if (r >= 0 && part.last > 0) {
                *ret = part;
                return 1;
        }
        free(part.text);
        if (part.full)
                return db_fail(error, -EFBIG, "custody event %" PRIu64 " is larger than what the store keeps as a text", first);
        return db_fail(error, r < 0 ? r : -EBADE, "the custody log is not whole at event %" PRIu64 ": 'berthctl custody verify' tells more",
                       r < 0 ? walk.bad_seq : first);
}

/* ---- What is there ------------------------------------------------------------------------------------------------- */

/* 0 for a key that is none of the archive's. */
static uint64_t first_of(const char *key) {
        const char *name = strrchr(key, '/');
        uint64_t first = 0;
        int end = 0;

        return name && sscanf(name + 1, "%10" SCNu64 "%n", &first, &end) == 1 && name[1 + end] == 0 ? first : 0;
}

typedef struct Keys {
        char last[128];
        int (*each)(void *userdata, const char *key);
        void *userdata;
} Keys;

static int take_key(void *userdata, const char *key) {
        Keys *keys = userdata;

        if (strlen(key) >= sizeof(keys->last) || first_of(key) == 0)
                return -EBADMSG;
        (void) snprintf(keys->last, sizeof(keys->last), "%s", key);
        return keys->each ? keys->each(keys->userdata, key) : 0;
}

static int list_keys(const Proof *p, sd_bus *bus, Keys *keys, ConfError *error) {
        _cleanup_(freep) char *prefix = text_format(WIRE_KEEP_CUSTODY "/%s/", p->dock_id);
        bool more = prefix != NULL;
        int r = prefix ? 0 : -ENOMEM;

        while (r >= 0 && more) {
                char after[sizeof(keys->last)];

                memcpy(after, keys->last, sizeof(after));
                r = uplink_socket_list(bus, prefix, after, take_key, keys, &more, error);
        }
        if (r == -EBADMSG && !error->text[0])
                conf_fail(error, "the store holds something below %s that is not Berth's", prefix);
        return r;
}

/* Is each line of an archived text the event that the log has? Gives the last of them: -EBADE with the event that is another. */
static int compare_text(Proof *p, const char *key, const char *text, uint64_t *ret_last) {
        uint64_t seq = first_of(key);

        for (const char *line = text, *end; *line; line = end + 1, seq++) {
                Digest is, should;

                end = strchr(line, '\n');
                *ret_last = seq;
                if (!end || digest_of(line, (size_t) (end - line), &is) < 0 || custody_hash(p->db, seq, &should) < 0 ||
                    !digest_equal(&is, &should))
                        return -EBADE;
        }
        return 0;
}

/* ---- Archiving ----------------------------------------------------------------------------------------------------- */

static int find_dock(Proof *p, ConfError *error) {
        CustodyEvent e = { 0 };
        int r = custody_last_key(p->db, &e);
        const char *dock = r >= 0 ? json_string_value(json_object_get(e.object, "dock_id")) : NULL;

        if (dock && strlen(dock) == DOCK_ID_SIZE - 1)
                memcpy(p->dock_id, dock, DOCK_ID_SIZE);
        else
                r = db_fail(error, r < 0 ? r : -EBADE, "the custody log does not tell whose it is: start berthd, which makes the key");
        custody_event_done(&e);
        return r;
}

/* The first event that is to be archived. */
static int find_next(Proof *p, sd_bus *bus, uint64_t *ret, ConfError *error) {
        _cleanup_(freep) char *text = NULL;
        Keys keys = { .last = "" };
        uint64_t last = 0;
        int r;

        r = list_keys(p, bus, &keys, error);
        if (r >= 0 && keys.last[0])
                r = uplink_socket_fetch(bus, keys.last, &text, error);
        if (r >= 0 && text && compare_text(p, keys.last, text, &last) < 0)
                return db_fail(error, -EBADE, "the store's archive has another custody event %" PRIu64 " than the log, which was set back "
                               "or changed: 'berthctl custody verify --store' tells more", last);
        if (r >= 0)
                *ret = last + 1;
        return r;
}

int proof_archive(Proof *p, const char *socket_path, ArchiveCounts *ret, ConfError *error) {
        _cleanup_(busp) sd_bus *bus = NULL;
        ArchiveCounts counts = { 0 };
        uint64_t next = 0;
        int r;

        r = uplink_socket_connect(socket_path, &bus);
        if (r < 0)
                return db_fail(error, r, "berth-uplink cannot be reached at %s: %s", socket_path, strerror(-r));
        r = find_dock(p, error);
        if (r >= 0)
                r = find_next(p, bus, &next, error);
        while (r >= 0) {
                _cleanup_(freep) char *key = text_format(WIRE_KEEP_CUSTODY "/%s/%010" PRIu64, p->dock_id, next);
                Part part = { 0 };

                counts.upto = next - 1;
                r = key ? make_part(p, next, &part, error) : -ENOMEM;
                if (r <= 0)
                        break;
                r = uplink_socket_keep(bus, key, part.text, error);
                free(part.text);
                counts.texts++;
                counts.events += part.last - next + 1;
                next = part.last + 1;
                proof_progress(p, "events archived", counts.events, 0);
        }
        if (r >= 0)
                *ret = counts;
        return r;
}

/* ---- Verifying ----------------------------------------------------------------------------------------------------- */

typedef struct Archived {
        Proof *proof;
        sd_bus *bus;
        uint64_t next;
} Archived;

static int compare_key(void *userdata, const char *key) {
        Archived *a = userdata;
        _cleanup_(freep) char *text = NULL, *where = text_format("store: %s", key);
        ConfError error = { 0 };
        uint64_t last = first_of(key) - 1;

        if (!where)
                return -ENOMEM;
        if (first_of(key) != a->next)
                proof_found(a->proof, where, "the custody events %" PRIu64 " to %" PRIu64 " before it are missing in the archive, or twice",
                            MIN2(a->next, last), MAX2(a->next, last));
        if (uplink_socket_fetch(a->bus, key, &text, &error) < 0)
                proof_found(a->proof, where, "it cannot be read: %s", error.text);
        else if (compare_text(a->proof, key, text, &last) < 0)
                proof_found(a->proof, where, "the store has another custody event %" PRIu64 " than the log", last);
        a->proof->counts.archived_events += last - first_of(key) + 1;
        a->next = last + 1;
        proof_progress(a->proof, "archived events", a->proof->counts.archived_events, 0);
        return 0;
}

int proof_archived(Proof *p, sd_bus *bus) {
        Archived a = { .proof = p, .bus = bus, .next = 1 };
        Keys keys = { .last = "", .each = compare_key, .userdata = &a };
        ConfError error = { 0 };
        int r = list_keys(p, bus, &keys, &error);

        /* A tus server lists nothing, and nothing is archived there. */
        if (r == -EOPNOTSUPP)
                return 0;
        if (r < 0)
                proof_found(p, "store", "the archive of the custody log cannot be listed: %s", error.text);
        return r == -ENOMEM ? r : 0;
}
