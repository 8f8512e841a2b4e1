/* SPDX-License-Identifier: Apache-2.0 */
#include "store/schema.h"

#include <errno.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/text.h"

/*
 * The tables. A step that was released is never edited: a change is a new step.
 *
 * Rows are never deleted but for blocks, and receipts that do not stand any more. Times are wall-clock microseconds
 * since 1970 unless their names say otherwise; ids of things that are not there are 0.
 */
static const char step_1[] =
        "PRAGMA application_id = 1114797160;" /* SCHEMA_APPLICATION_ID */

        /* Ids below `next` were given out, or may have been: a crash loses what was not used of the reserved ones. */
        "CREATE TABLE ids (which TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;"
        "INSERT INTO ids VALUES ('camera', 1), ('docking', 1), ('clip', 1);"

        "CREATE TABLE cameras ("
        " id INTEGER PRIMARY KEY,"
        " serial TEXT NOT NULL UNIQUE,"
        " manufacturer TEXT NOT NULL, model TEXT NOT NULL, firmware TEXT NOT NULL,"
        " storage_id TEXT NOT NULL, model_id TEXT NOT NULL,"
        " ambiguous INTEGER NOT NULL CHECK (ambiguous IN (0, 1)),"
        " first_seen_usec INTEGER NOT NULL,"
        " last_docked_usec INTEGER NOT NULL DEFAULT 0,"
        " battery_percent INTEGER NOT NULL DEFAULT -1,"
        " drift_usec INTEGER);"

        "CREATE TABLE dockings ("
        " id INTEGER PRIMARY KEY,"
        " camera_id INTEGER REFERENCES cameras (id),"
        " bay TEXT NOT NULL,"
        " vid INTEGER NOT NULL, pid INTEGER NOT NULL, bcd_device INTEGER NOT NULL,"
        " usb_serial TEXT NOT NULL, usb_manufacturer TEXT NOT NULL, usb_product TEXT NOT NULL,"
        " boot_id TEXT NOT NULL, docked_boottime_usec INTEGER NOT NULL,"
        " docked_usec INTEGER NOT NULL,"
        " undocked_usec INTEGER,"
        " end_reason TEXT NOT NULL DEFAULT '');"
        "CREATE INDEX dockings_open ON dockings (id) WHERE undocked_usec IS NULL;"

        /* `id` is the sequence number of the custody event. */
        "CREATE TABLE refused ("
        " id INTEGER PRIMARY KEY,"
        " bay TEXT NOT NULL,"
        " vid INTEGER NOT NULL, pid INTEGER NOT NULL, bcd_device INTEGER NOT NULL,"
        " usb_serial TEXT NOT NULL, usb_manufacturer TEXT NOT NULL, usb_product TEXT NOT NULL,"
        " descriptors_hex TEXT NOT NULL, reason TEXT NOT NULL,"
        " refused_usec INTEGER NOT NULL);"

        /* Not unique by (camera, path, size, time, ordinal): the same identity with other content is another clip. */
        "CREATE TABLE clips ("
        " id INTEGER PRIMARY KEY,"
        " camera_id INTEGER NOT NULL REFERENCES cameras (id),"
        " path TEXT NOT NULL,"
        " size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),"
        " mtime_unix_sec INTEGER NOT NULL,"
        " ordinal INTEGER NOT NULL, flags INTEGER NOT NULL,"
        " state TEXT NOT NULL CHECK (state IN"
        "  ('seen', 'copying', 'copied', 'receipted', 'erasing', 'erased', 'conflict', 'lost')),"
        " first_docking_id INTEGER NOT NULL, last_docking_id INTEGER NOT NULL,"
        " part_docking_id INTEGER NOT NULL DEFAULT 0,"
        " seen_usec INTEGER NOT NULL,"
        " digest BLOB CHECK (length(digest) = 32),"
        " head BLOB CHECK (length(head) = 32),"
        " tail BLOB CHECK (length(tail) = 32),"
        " spool_name TEXT,"
        " conflict INTEGER NOT NULL DEFAULT 0,"
        " reason TEXT);"
        "CREATE INDEX clips_of_camera ON clips (camera_id, id);"
        "CREATE INDEX clips_of_camera_in_state ON clips (camera_id, state, id);"
        "CREATE INDEX clips_in_state ON clips (state, id);"
        "CREATE INDEX clips_in_spool ON clips (id) WHERE spool_name IS NOT NULL;"
        "CREATE INDEX clips_on_camera ON clips (camera_id, id) WHERE state NOT IN ('erased', 'lost');"

        /* What `clips` adds up to, so that nobody counts a million rows to show a number. */
        "CREATE TABLE clip_totals ("
        " state TEXT PRIMARY KEY, clips INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;"
        "INSERT INTO clip_totals VALUES ('seen', 0, 0), ('copying', 0, 0), ('copied', 0, 0), ('receipted', 0, 0),"
        " ('erasing', 0, 0), ('erased', 0, 0), ('conflict', 0, 0), ('lost', 0, 0);"
        "CREATE TRIGGER clip_added AFTER INSERT ON clips BEGIN"
        " UPDATE clip_totals SET clips = clips + 1, bytes = bytes + new.size_bytes WHERE state = new.state;"
        "END;"
        "CREATE TRIGGER clip_changed AFTER UPDATE OF state, size_bytes ON clips BEGIN"
        " UPDATE clip_totals SET clips = clips - 1, bytes = bytes - old.size_bytes WHERE state = old.state;"
        " UPDATE clip_totals SET clips = clips + 1, bytes = bytes + new.size_bytes WHERE state = new.state;"
        "END;"

        "CREATE TABLE blocks ("
        " clip_id INTEGER NOT NULL REFERENCES clips (id),"
        " number INTEGER NOT NULL,"
        " length INTEGER NOT NULL CHECK (length > 0),"
        " digest BLOB NOT NULL CHECK (length(digest) = 32),"
        " docking_id INTEGER NOT NULL,"
        " PRIMARY KEY (clip_id, number)) WITHOUT ROWID;"

        "CREATE TABLE receipts ("
        " clip_id INTEGER PRIMARY KEY REFERENCES clips (id),"
        " object_key TEXT NOT NULL, manifest_key TEXT NOT NULL, version TEXT NOT NULL, strength TEXT NOT NULL,"
        " size_bytes INTEGER NOT NULL,"
        " digest BLOB NOT NULL CHECK (length(digest) = 32),"
        " time_unix_sec INTEGER NOT NULL,"
        " already_there INTEGER NOT NULL);"

        /* The chain is over `bytes`; the columns after `hash` are an index made from them. */
        "CREATE TABLE custody ("
        " seq INTEGER PRIMARY KEY,"
        " bytes BLOB NOT NULL,"
        " hash BLOB NOT NULL CHECK (length(hash) = 32),"
        " kind TEXT NOT NULL,"
        " clip_id INTEGER, camera_id INTEGER, docking_id INTEGER,"
        " wall_usec INTEGER NOT NULL);"
        "CREATE INDEX custody_of_clip ON custody (clip_id, seq) WHERE clip_id IS NOT NULL;"
        "CREATE INDEX custody_of_camera ON custody (camera_id, seq) WHERE camera_id IS NOT NULL;"
        "CREATE TRIGGER custody_is_not_changed BEFORE UPDATE ON custody BEGIN"
        " SELECT RAISE (ABORT, 'custody events are never changed');"
        "END;"
        "CREATE TRIGGER custody_is_not_deleted BEFORE DELETE ON custody BEGIN"
        " SELECT RAISE (ABORT, 'custody events are never deleted');"
        "END;";

/* What a copied clip is as a file. Of clips that were copied before, nothing is known. */
static const char step_2[] =
        "ALTER TABLE clips ADD COLUMN container TEXT;"
        "ALTER TABLE clips ADD COLUMN container_state TEXT;"
        "ALTER TABLE clips ADD COLUMN container_reason TEXT;"
        "ALTER TABLE clips ADD COLUMN container_offset INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE clips ADD COLUMN recorded_unix_sec INTEGER;"
        "ALTER TABLE clips ADD COLUMN duration_msec INTEGER NOT NULL DEFAULT 0;";

/* What an operator ordered and still stands. */
static const char step_3[] =
        "CREATE TABLE orders (what TEXT PRIMARY KEY, since_usec INTEGER NOT NULL) WITHOUT ROWID;"
        "ALTER TABLE clips ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1));";

/* Bytes that a camera's medium did not give, by the custody event that tells of them. */
static const char step_4[] =
        "CREATE TABLE unreadable ("
        " clip_id INTEGER NOT NULL REFERENCES clips (id),"
        " event_seq INTEGER NOT NULL,"
        " start_bytes INTEGER NOT NULL CHECK (start_bytes >= 0),"
        " length_bytes INTEGER NOT NULL CHECK (length_bytes > 0),"
        " docking_id INTEGER NOT NULL,"
        " PRIMARY KEY (clip_id, event_seq, start_bytes)) WITHOUT ROWID;";

/* Cameras that come back as another device, and whom a camera is issued to. */
static const char step_5[] =
        /* What the storage behind a camera's change of mode is known by, and in which docking's change that was first seen. */
        "ALTER TABLE cameras ADD COLUMN behind_id TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE cameras ADD COLUMN behind_docking_id INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE cameras ADD COLUMN behind_confirmed INTEGER NOT NULL DEFAULT 0;"
        "CREATE INDEX cameras_behind ON cameras (behind_id) WHERE behind_id <> '';"
        "ALTER TABLE cameras ADD COLUMN officer_id TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE cameras ADD COLUMN officer_name TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE cameras ADD COLUMN unit_id TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE cameras ADD COLUMN unit_name TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE dockings ADD COLUMN identity TEXT NOT NULL DEFAULT 'own'"
        " CHECK (identity IN ('own', 'port', 'other', 'storage'));"
        "ALTER TABLE dockings ADD COLUMN behind_id TEXT NOT NULL DEFAULT '';"
        "CREATE INDEX dockings_by_port ON dockings (camera_id) WHERE identity = 'port';"

        /* The camera that was sent into its storage mode at a bay, until it leaves or goes back. */
        "CREATE TABLE switches ("
        " bay TEXT PRIMARY KEY,"
        " camera_id INTEGER NOT NULL REFERENCES cameras (id),"
        " docking_id INTEGER NOT NULL,"
        " model_id TEXT NOT NULL,"
        " boot_id TEXT NOT NULL,"
        " begun_boottime_usec INTEGER NOT NULL, until_boottime_usec INTEGER NOT NULL) WITHOUT ROWID;"

        "CREATE INDEX custody_of_identity ON custody (docking_id, seq)"
        " WHERE kind IN ('storage-identified', 'identity-confirmed');";

/* A camera whose storage was ejected does not show it again: a daemon that starts then must not look for it. */
static const char step_6[] = "ALTER TABLE switches ADD COLUMN ejected INTEGER NOT NULL DEFAULT 0;";

/*
 * How old a copy is: by the dock's clock and by its running time, which no change of the clock touches. And what is held: of a clip,
 * or of all of a camera.
 */
static const char step_7[] =
        "CREATE TABLE running ("
        " id INTEGER PRIMARY KEY CHECK (id = 1),"
        " boot_id TEXT NOT NULL, boottime_usec INTEGER NOT NULL, wall_usec INTEGER NOT NULL,"
        " total_usec INTEGER NOT NULL,"
        " stepped_total_usec INTEGER);" /* when the clock was last stepped */
        "ALTER TABLE clips ADD COLUMN receipted_usec INTEGER;"
        "ALTER TABLE clips ADD COLUMN receipted_running_usec INTEGER;"
        "UPDATE clips SET receipted_running_usec = 0, receipted_usec ="
        " (SELECT time_unix_sec * 1000000 FROM receipts WHERE clip_id = clips.id)"
        " WHERE EXISTS (SELECT 1 FROM receipts WHERE clip_id = clips.id);"
        "CREATE INDEX clips_releasable ON clips (receipted_running_usec, id)"
        " WHERE spool_name IS NOT NULL AND receipted_running_usec IS NOT NULL;"

        /* `id` is the sequence number of the custody event. */
        "CREATE TABLE holds ("
        " id INTEGER PRIMARY KEY,"
        " clip_id INTEGER REFERENCES clips (id), camera_id INTEGER REFERENCES cameras (id),"
        " case_name TEXT NOT NULL, reason TEXT NOT NULL,"
        " since_usec INTEGER NOT NULL, operator_uid INTEGER NOT NULL, operator TEXT NOT NULL,"
        " CHECK ((clip_id IS NULL) <> (camera_id IS NULL)));"
        "CREATE UNIQUE INDEX holds_of_clip ON holds (clip_id, case_name) WHERE clip_id IS NOT NULL;"
        "CREATE UNIQUE INDEX holds_of_camera ON holds (camera_id, case_name) WHERE camera_id IS NOT NULL;";

/* Erasing by hand: an order for one docking; and clips that left their camera by one before the store had them. */
static const char step_8[] =
        "ALTER TABLE clips ADD COLUMN order_docking_id INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE clips ADD COLUMN order_not_stored INTEGER NOT NULL DEFAULT 0 CHECK (order_not_stored IN (0, 1));"
        "ALTER TABLE clips ADD COLUMN erased_unstored INTEGER NOT NULL DEFAULT 0 CHECK (erased_unstored IN (0, 1));";

/*
 * What the dock signed, by the custody event that holds it: the statement's text and signature are in the event's bytes. Of a
 * checkpoint, `head_seq` is the last event that it covers.
 */
static const char step_9[] =
        "CREATE TABLE statements ("
        " event_seq INTEGER PRIMARY KEY,"
        " type TEXT NOT NULL,"
        " seq INTEGER NOT NULL,"
        " key TEXT NOT NULL UNIQUE,"
        " hash BLOB NOT NULL CHECK (length(hash) = 32),"
        " head_seq INTEGER NOT NULL,"
        " state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'stored', 'refused')),"
        " state_usec INTEGER NOT NULL DEFAULT 0,"
        " UNIQUE (type, seq));"
        "CREATE INDEX statements_waiting ON statements (event_seq) WHERE state = 'waiting';"
        "CREATE TRIGGER statements_are_not_changed BEFORE UPDATE OF event_seq, type, seq, key, hash, head_seq ON statements BEGIN"
        " SELECT RAISE (ABORT, 'statements are never changed');"
        "END;"
        "CREATE TRIGGER statements_are_not_deleted BEFORE DELETE ON statements BEGIN"
        " SELECT RAISE (ABORT, 'statements are never deleted');"
        "END;"
        /* Events about the dock itself: its daemon's beginnings and ends, its settings. */
        "CREATE INDEX custody_of_dock ON custody (kind, seq) WHERE clip_id IS NULL AND camera_id IS NULL AND docking_id IS NULL;"
        "CREATE INDEX custody_of_keys ON custody (seq) WHERE kind IN ('key-made', 'key-rotated', 'key-replaced');";

/* What a clip is by its content: an import recognises what the dock or the store has already. */
static const char step_10[] =
        "ALTER TABLE clips ADD COLUMN blocks_digest BLOB CHECK (length(blocks_digest) = 32);"
        "CREATE INDEX clips_of_content ON clips (blocks_digest) WHERE blocks_digest IS NOT NULL;";

/* What could be read of a clip that cannot be read whole: a clip of its own, that no camera lists and no erase is licensed by. */
static const char step_11[] =
        "ALTER TABLE clips ADD COLUMN partial_of INTEGER NOT NULL DEFAULT 0;"
        "CREATE INDEX clips_partial ON clips (partial_of) WHERE partial_of <> 0;";

/*
 * How cameras and bays are: each check and each fault, by its custody event, and what the last judgement of a camera came to. Codes
 * are core/health.h's, joined by commas.
 */
static const char step_12[] =
        "CREATE TABLE checks ("
        " event_seq INTEGER PRIMARY KEY,"
        " camera_id INTEGER NOT NULL REFERENCES cameras (id),"
        " docking_id INTEGER NOT NULL,"
        " wall_usec INTEGER NOT NULL,"
        " battery_percent INTEGER NOT NULL,"
        " drift_usec INTEGER," /* NULL: not known, or the dock's own clock was not */
        " storage_id TEXT NOT NULL,"
        " storage_total_bytes INTEGER,"
        " storage_free_bytes INTEGER);"
        "CREATE INDEX checks_of_camera ON checks (camera_id, event_seq);"
        "CREATE TABLE faults ("
        " event_seq INTEGER PRIMARY KEY,"
        " bay TEXT NOT NULL,"
        " docking_id INTEGER NOT NULL," /* 0: of the bay itself, as when its contacts flap */
        " camera_id INTEGER NOT NULL,"
        " wall_usec INTEGER NOT NULL);"
        "CREATE INDEX faults_of_camera ON faults (camera_id, event_seq);"
        "CREATE INDEX faults_of_bay ON faults (bay, event_seq);"
        "CREATE INDEX dockings_of_camera ON dockings (camera_id, id);"
        "CREATE INDEX dockings_of_bay ON dockings (bay, id);"
        "ALTER TABLE cameras ADD COLUMN findings TEXT NOT NULL DEFAULT '[]';" /* canonical JSON */
        "ALTER TABLE cameras ADD COLUMN held_back TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE cameras ADD COLUMN accepted TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE cameras ADD COLUMN held_back_reason TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE cameras ADD COLUMN clock_set_usec INTEGER NOT NULL DEFAULT 0;"; /* wall, by a dock's clock that was known right */

/* The roster, and who has which camera. An issue's id is the sequence number of the event by which it began. */
static const char step_13[] =
        "CREATE TABLE officers ("
        " id TEXT PRIMARY KEY,"
        " name TEXT NOT NULL, unit_id TEXT NOT NULL, unit_name TEXT NOT NULL,"
        " badge TEXT NOT NULL,"
        " serial TEXT NOT NULL) WITHOUT ROWID;" /* of their own camera, "" for the pool's */
        "CREATE UNIQUE INDEX officers_of_badge ON officers (badge) WHERE badge <> '';"
        "CREATE UNIQUE INDEX officers_of_camera ON officers (serial) WHERE serial <> '';"
        "CREATE TABLE roster ("
        " id INTEGER PRIMARY KEY CHECK (id = 1),"
        " seq INTEGER NOT NULL," /* of the fleet's roster, 0: of the dock's own */
        " source TEXT NOT NULL, since_usec INTEGER NOT NULL);"
        "CREATE TABLE issues ("
        " id INTEGER PRIMARY KEY,"
        " camera_id INTEGER NOT NULL REFERENCES cameras (id),"
        " officer_id TEXT NOT NULL, officer_name TEXT NOT NULL, unit_id TEXT NOT NULL, unit_name TEXT NOT NULL,"
        " ordered_usec INTEGER NOT NULL DEFAULT 0," /* 0: taken without an order */
        " taken_usec INTEGER NOT NULL DEFAULT 0,"   /* 0: still in its bay */
        " due_usec INTEGER NOT NULL DEFAULT 0,"
        " overdue INTEGER NOT NULL DEFAULT 0 CHECK (overdue IN (0, 1)),"
        " ended_usec INTEGER NOT NULL DEFAULT 0);"
        "CREATE UNIQUE INDEX issues_open ON issues (camera_id) WHERE ended_usec = 0;"
        "CREATE INDEX issues_of_camera ON issues (camera_id, id);"
        /* A camera that faults before it says who it is, is known by what its docking came to. */
        "DROP INDEX faults_of_camera;"
        "CREATE INDEX faults_of_docking ON faults (docking_id);";

/* What was measured: whether a bay's port can be switched, how fast a camera charges. And the shift that was called. */
static const char step_14[] =
        "CREATE TABLE ports (bay TEXT PRIMARY KEY, hub TEXT NOT NULL, way TEXT NOT NULL, switches INTEGER NOT NULL,"
        " returns INTEGER NOT NULL, back_usec INTEGER NOT NULL, at_usec INTEGER NOT NULL) WITHOUT ROWID;"
        "ALTER TABLE cameras ADD COLUMN charge_permille INTEGER NOT NULL DEFAULT 1000;";

/* A hub that cut the power of a bay's port is another trouble than contacts that flap. */
static const char step_15[] = "ALTER TABLE faults ADD COLUMN over_current INTEGER NOT NULL DEFAULT 0 CHECK (over_current IN (0, 1));";

/* What the fleet's administrators signed: the firmware that there is, and how it goes out; and what became of it here. */
static const char step_16[] =
        "CREATE TABLE catalog (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, document TEXT NOT NULL,"
        " keys TEXT NOT NULL, root TEXT NOT NULL, since_usec INTEGER NOT NULL);"
        "CREATE TABLE rollouts (id TEXT PRIMARY KEY, revision INTEGER NOT NULL, statement TEXT NOT NULL,"
        " since_usec INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE rollout_cameras (rollout TEXT NOT NULL REFERENCES rollouts, camera_id INTEGER NOT NULL REFERENCES cameras,"
        " window INTEGER NOT NULL, place INTEGER NOT NULL, wave INTEGER NOT NULL, begun_usec INTEGER NOT NULL,"
        " outcome TEXT NOT NULL DEFAULT '' CHECK (outcome IN ('', 'ok', 'bad')),"
        " told INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)), PRIMARY KEY (rollout, camera_id)) WITHOUT ROWID;";

/* What was given to cameras as firmware, and what they tell of it. until_usec is of the boot's own clock. */
static const char step_17[] =
        "CREATE TABLE flashes (id INTEGER PRIMARY KEY, camera_id INTEGER NOT NULL REFERENCES cameras, docking_id INTEGER NOT NULL,"
        " bay TEXT NOT NULL, model_id TEXT NOT NULL, version TEXT NOT NULL, from_version TEXT NOT NULL, digest BLOB NOT NULL,"
        " size_bytes INTEGER NOT NULL, purpose TEXT NOT NULL, begun_usec INTEGER NOT NULL, sendings INTEGER NOT NULL DEFAULT 0,"
        " transfer TEXT NOT NULL DEFAULT '' CHECK (transfer IN ('', 'sending', 'sent', 'cut-short')), boot_id TEXT NOT NULL,"
        " until_usec INTEGER NOT NULL, outcome TEXT NOT NULL DEFAULT '' CHECK (outcome IN ('', 'ok', 'old-version', 'not-back', 'failed')),"
        " came_back TEXT NOT NULL DEFAULT '', text TEXT NOT NULL DEFAULT '', ended_usec INTEGER NOT NULL DEFAULT 0);"
        "CREATE INDEX flashes_of_camera ON flashes (camera_id, id);";

/* Of each fleet, by its administrator's key, the newest list of its docks that was believed: it stays when the settings change. */
static const char step_18[] =
        "CREATE TABLE fleet_lists (fleet TEXT NOT NULL, admin TEXT NOT NULL, seq INTEGER NOT NULL, document TEXT NOT NULL,"
        " event_seq INTEGER NOT NULL, PRIMARY KEY (fleet, admin)) WITHOUT ROWID;";

/* Clips that were held, and what the store made of that: a legal hold on the object, or that it has none. */
static const char step_19[] =
        "CREATE TABLE object_holds (clip_id INTEGER PRIMARY KEY REFERENCES clips (id), object_key TEXT NOT NULL,"
        " lock TEXT NOT NULL CHECK (lock IN ('on', 'none')), event_seq INTEGER NOT NULL);";

/* Of an event; of one that is damaged, which is told of with the chain, nothing. */
#define MEMBER(c, member) "json_extract(CASE WHEN json_valid(CAST(" c ".bytes AS TEXT)) THEN CAST(" c ".bytes AS TEXT) ELSE '{}' END," \
        " '$." member "')"

/* What trends are made of: how long a clock had been left alone when it was read, how often a camera started by itself, how it charged. */
static const char step_20[] =
        "ALTER TABLE checks ADD COLUMN since_set_usec INTEGER;" /* NULL: the drift is not known, or the dock never set it */
        "ALTER TABLE checks ADD COLUMN restarts INTEGER;"
        "UPDATE checks SET since_set_usec = wall_usec - (SELECT c.wall_usec FROM custody c WHERE c.camera_id = checks.camera_id"
        " AND c.kind = 'clock-set' AND " MEMBER("c", "\"set\"") " = 1 AND c.seq < checks.event_seq ORDER BY c.seq DESC LIMIT 1)"
        " WHERE drift_usec IS NOT NULL;"
        "CREATE TABLE charges (event_seq INTEGER PRIMARY KEY, camera_id INTEGER NOT NULL REFERENCES cameras (id),"
        " docking_id INTEGER NOT NULL, wall_usec INTEGER NOT NULL, from_percent INTEGER NOT NULL, to_percent INTEGER NOT NULL,"
        " permille INTEGER NOT NULL);"
        "CREATE INDEX charges_of_camera ON charges (camera_id, event_seq);"
        "INSERT INTO charges SELECT c.seq, c.camera_id, ifnull(c.docking_id, 0), c.wall_usec, " MEMBER("c", "from_percent") ", "
        MEMBER("c", "to_percent") ", " MEMBER("c", "permille_of_model") " FROM custody c WHERE c.kind = 'charged'"
        " AND c.camera_id IN (SELECT id FROM cameras) AND " MEMBER("c", "permille_of_model") " IS NOT NULL;";

/*
 * What the store is about to be asked to hold is on record before it is asked: the answer may be lost, and the hold released by then. And
 * a clip that is stored once more has another object, which does not make the one before it forgotten.
 */
static const char step_21[] =
        "ALTER TABLE object_holds RENAME TO object_holds_19;"
        "CREATE TABLE object_holds (clip_id INTEGER NOT NULL REFERENCES clips (id), object_key TEXT NOT NULL,"
        " lock TEXT NOT NULL CHECK (lock IN ('asked', 'on', 'none')), event_seq INTEGER NOT NULL,"
        " PRIMARY KEY (clip_id, object_key)) WITHOUT ROWID;"
        "INSERT INTO object_holds SELECT clip_id, object_key, lock, event_seq FROM object_holds_19;"
        "INSERT OR IGNORE INTO object_holds SELECT clip, object, lock, seq FROM (SELECT c.clip_id AS clip, c.kind AS kind, "
        MEMBER("c", "object_key") " AS object, " MEMBER("c", "lock") " AS lock, max(c.seq) AS seq FROM custody c"
        " WHERE c.kind IN ('object-held', 'object-let-go') GROUP BY 1, 3) WHERE kind = 'object-held' AND object IS NOT NULL"
        " AND lock IN ('on', 'none') AND clip IN (SELECT id FROM clips);"
        "DROP TABLE object_holds_19;";

/*
 * Files that were set aside, from the event on that tells of it; their digests follow when they lie there. A database that was made anew
 * has its old files beside it.
 */
static const char step_22[] =
        "CREATE TABLE kept_files (name TEXT PRIMARY KEY, event_seq INTEGER NOT NULL, size_bytes INTEGER, digest BLOB) WITHOUT ROWID;"
        "CREATE INDEX kept_files_due ON kept_files (name) WHERE digest IS NULL;"
        "INSERT OR IGNORE INTO kept_files (name, event_seq) SELECT 'kept/' || name, seq FROM (SELECT c.seq AS seq, "
        MEMBER("c", "part") " AS name FROM custody c WHERE c.kind = 'part-set-aside' UNION ALL SELECT c.seq, " MEMBER("c", "kept")
        " FROM custody c WHERE c.kind = 'file-kept') WHERE name <> '';"
        "INSERT OR IGNORE INTO kept_files (name, event_seq) SELECT " MEMBER("c", "kept") " || '/' || f.column1, c.seq FROM custody c,"
        " (VALUES ('berth.db'), ('berth.db-wal'), ('chain.head')) f WHERE c.kind = 'recovery-begun' AND " MEMBER("c", "kept") " <> '';";

/* Since when the dock does not know what was held, after its database was put back from a backup, until it has read that in the store. */
static const char step_23[] =
        "CREATE TABLE restorations (event_seq INTEGER PRIMARY KEY, holds_after INTEGER NOT NULL, holds_upto INTEGER NOT NULL,"
        " holds_read INTEGER NOT NULL CHECK (holds_read IN (0, 1)));";

/*
 * A block's digest is that of the clip up to the block's end. What there is of the other kind, of the block alone, is compared with nothing
 * any more: what was half pulled is begun afresh, and a copy is read whole before its erase. A clip is recognised by its digest.
 */
static const char step_24[] =
        "DELETE FROM blocks;"
        "DROP INDEX clips_of_content;"
        "ALTER TABLE clips DROP COLUMN blocks_digest;"
        "CREATE INDEX clips_of_content ON clips (digest) WHERE digest IS NOT NULL;";

/* A camera's last checks, and the largest storage that it had, are found without looking at all its checks of years. */
static const char step_25[] =
        "CREATE INDEX checks_of_docking ON checks (docking_id);"
        "CREATE INDEX checks_of_storage ON checks (camera_id, storage_id, storage_total_bytes);";

static const SchemaStep schema_steps[] = {
        { 1, step_1 },
        { 2, step_2 },
        { 3, step_3 },
        { 4, step_4 },
        { 5, step_5 },
        { 6, step_6 },
        { 7, step_7 },
        { 8, step_8 },
        { 9, step_9 },
        { 10, step_10 },
        { 11, step_11 },
        { 12, step_12 },
        { 13, step_13 },
        { 14, step_14 },
        { 15, step_15 },
        { 16, step_16 },
        { 17, step_17 },
        { 18, step_18 },
        { 19, step_19 },
        { 20, step_20 },
        { 21, step_21 },
        { 22, step_22 },
        { 23, step_23 },
        { 24, step_24 },
        { 25, step_25 },
};

int schema_version(void) {
        return schema_steps[ELEMENTSOF(schema_steps) - 1].number;
}

static int fail_read(Db *db, const char *path, int r, ConfError *error) {
        if (r == -EBADMSG)
                return db_fail(
                        error, r,
                        "%s is damaged or not a database (%s): put it aside with its -wal file and restore both, "
                        "and chain.head, from a backup",
                        path, db_message(db));
        return db_fail(error, r, "%s cannot be read: %s", path, db_message(db));
}

int schema_recognise(Db *db, const char *path, ConfError *error) {
        int64_t application = 0, version = 0, tables = 0;
        int r;

        r = db_number(db, "PRAGMA application_id", DB_NO_ARGS, &application);
        if (r >= 0)
                r = db_number(db, "PRAGMA user_version", DB_NO_ARGS, &version);
        if (r >= 0)
                r = db_number(db, "SELECT count(*) FROM sqlite_schema", DB_NO_ARGS, &tables);
        if (r < 0)
                return fail_read(db, path, r, error);
        if (application == 0 && version == 0 && tables == 0)
                return 0;
        if (application != SCHEMA_APPLICATION_ID)
                return db_fail(error, -EBADMSG, "%s is a database, but not one of Berth's: move it away", path);
        if (version > schema_version())
                return db_fail(error, -EPROTONOSUPPORT,
                               "%s was written by a newer Berth (its version is %lld, this program knows up to %d): "
                               "install that version again",
                               path, (long long) version, schema_version());
        return 1;
}

static void sqlite3_freep(char **p) {
        sqlite3_free(*p);
}

static int migrate_step(Db *db, const SchemaStep *step) {
        _cleanup_(sqlite3_freep) char *set_version = sqlite3_mprintf("PRAGMA user_version = %d", step->number);
        int r;

        if (!set_version)
                return -ENOMEM;
        r = db_exec(db, "BEGIN IMMEDIATE");
        if (r < 0)
                return r;
        r = db_exec(db, step->sql);
        if (r >= 0)
                r = db_exec(db, set_version);
        if (r >= 0)
                r = db_exec(db, "COMMIT");
        return r;
}

int schema_migrate_steps(Db *db, const char *path, const SchemaStep *steps, size_t n, ConfError *error) {
        int64_t version = 0;
        int r;

        r = db_number(db, "PRAGMA user_version", DB_NO_ARGS, &version);
        if (r < 0)
                return fail_read(db, path, r, error);
        for (size_t i = 0; i < n; i++) {
                if (steps[i].number <= version)
                        continue;
                r = migrate_step(db, &steps[i]);
                CRASH_POINT("schema-stepped");
                if (r < 0) {
                        (void) db_fail(
                                error, r,
                                "%s: step %d of bringing it to this version failed (%s): it is as before that step",
                                path, steps[i].number, db_message(db));
                        if (!sqlite3_get_autocommit(db_handle(db)))
                                (void) db_exec(db, "ROLLBACK");
                        return r;
                }
        }
        return 0;
}

int schema_migrate(Db *db, const char *path, ConfError *error) {
        return schema_migrate_to(db, path, schema_version(), error);
}

int schema_migrate_to(Db *db, const char *path, int version, ConfError *error) {
        size_t n = 0;

        while (n < ELEMENTSOF(schema_steps) && schema_steps[n].number <= version)
                n++;
        return schema_migrate_steps(db, path, schema_steps, n, error);
}

#define SCHEMA_SQL                                                                                                     \
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"             \
        " ORDER BY type, name"

/* Of two rows in SCHEMA_SQL's order: do they stand for the same thing? Then, is it made alike? NULL is past the end. */
static int compare_objects(sqlite3_stmt *a, sqlite3_stmt *b) {
        int r = 0;

        for (int i = 0; i < 2 && r == 0; i++) {
                const char *x = a ? (const char *) sqlite3_column_text(a, i) : NULL,
                           *y = b ? (const char *) sqlite3_column_text(b, i) : NULL;

                r = !x || !y ? !x - !y : strcmp(x, y);
        }
        return r;
}

static bool objects_equal(sqlite3_stmt *a, sqlite3_stmt *b) {
        for (int i = 0; i < 4; i++)
                if (!text_equal((const char *) sqlite3_column_text(a, i), (const char *) sqlite3_column_text(b, i)))
                        return false;
        return true;
}

/* Walks both schemas side by side, up to the first difference. */
static int compare_schemas(const char *path, sqlite3_stmt *is, int have, sqlite3_stmt *should, int want,
                           ConfError *error) {
        while (have > 0 || want > 0) {
                int order = compare_objects(have > 0 ? is : NULL, want > 0 ? should : NULL);
                sqlite3_stmt *odd = order < 0 ? is : should;

                if (order != 0 || !objects_equal(is, should))
                        return db_fail(error, -EBADMSG, "%s: %s '%s' %s: restore the database from a backup", path,
                                       sqlite3_column_text(odd, 0), sqlite3_column_text(odd, 1),
                                       order < 0   ? "is not one of Berth's"
                                       : order > 0 ? "is missing"
                                                   : "is not as Berth made it");
                have = db_next(is);
                want = db_next(should);
        }
        return MIN2(have, want);
}

int schema_check(Db *db, const char *path, ConfError *error) {
        _cleanup_(db_closep) Db *fresh = NULL;
        _cleanup_(db_resetp) sqlite3_stmt *is = NULL, *should = NULL;
        int r, have, want;

        r = db_open(":memory:", DB_MEMORY, &fresh);
        if (r >= 0)
                r = schema_migrate(fresh, ":memory:", error);
        if (r < 0)
                return db_fail(error, r, "out of memory");
        have = db_query(db, SCHEMA_SQL, DB_NO_ARGS, &is);
        if (have < 0)
                return fail_read(db, path, have, error);
        want = db_query(fresh, SCHEMA_SQL, DB_NO_ARGS, &should);
        if (want < 0)
                return db_fail(error, want, "out of memory");
        r = compare_schemas(path, is, have, should, want, error);
        if (r < 0 && r != -EBADMSG)
                return fail_read(db, path, r, error);
        return r;
}
