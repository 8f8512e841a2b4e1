/* SPDX-License-Identifier: Apache-2.0 */

/* The promises, as they are kept or broken now. Reads the database beside the dock, by SQL and hashes of its own. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>
#include <sqlite3.h>

#include "base/text.h"
#include "property/world.h"

#define CLIPS_MAX (CONTENTS_MAX * 2)

static sqlite3 *db;
static uint64_t last_seq;
static char last_hash[DIGEST_HEX_SIZE];
/* By clip id, as the custody log tells. */
static struct {
        char digest[DIGEST_HEX_SIZE];
        bool receipted, begun;
} told[CLIPS_MAX];
/* By camera, as the log tells. */
static struct {
        bool held;
        unsigned faults;
} cameras[CAMERAS + 1];
/* By rollout: 1 << camera that was begun to be flashed. */
static uint32_t begun[ROLLOUTS_MAX];
/* By camera: the bay in which it was flashed last, as the log names it; and whether another one was begun there since. */
static char flashed_in[CAMERAS + 1][16];
static bool superseded[CAMERAS + 1];

void judge_forget(void) {
        (void) sqlite3_close(db);
        db = NULL;
        last_seq = 0;
        memset(last_hash, '0', sizeof(last_hash) - 1);
        memset(told, 0, sizeof(told));
        memset(cameras, 0, sizeof(cameras));
        memset(begun, 0, sizeof(begun));
        memset(superseded, 0, sizeof(superseded));
}

static sqlite3_stmt *query(const char *state_dir, const char *sql) {
        sqlite3_stmt *s = NULL;
        char path[512];

        (void) snprintf(path, sizeof(path), "%s/berth.db", state_dir);
        if (!db && sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
                world_fail("the database cannot be opened: %s", sqlite3_errmsg(db));
        (void) sqlite3_busy_timeout(db, 5000);
        if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
                world_fail("%s: %s", sql, sqlite3_errmsg(db));
        return s;
}

/* ---- Nothing is lost -------------------------------------------------------------------------------------------------- */

static void judge_contents(void) {
        char path[64];

        for (uint32_t i = 0; i < world->n_contents; i++) {
                const Content *c = &world->contents[i];

                if (!c->used || c->on_camera || c->stored)
                        continue;
                world_path(c, path);
                world_fail("%s of camera %u (content %u) is lost", path, c->camera, c->seed);
        }
}

static bool is_kept(const Content *c) {
        for (uint32_t i = 0; i < world->n_contents; i++) {
                const Content *other = &world->contents[i];

                if ((other->stored || other->lost_by_store || (other->on_camera && other->camera != FOLDER)) &&
                    other->size_bytes == c->size_bytes && digest_equal(&other->digest, &c->digest))
                        return true;
        }
        return false;
}

void judge_imports(void) {
        for (uint32_t i = 0; i < world->n_contents; i++)
                if (world->contents[i].imported && !is_kept(&world->contents[i]))
                        world_fail("content %u was imported, it was said, and is neither in the store nor on a camera", i);
}

/* ---- The chain, and what it says -------------------------------------------------------------------------------------- */

static const char *text_of(json_t *event, const char *key) {
        const char *text = json_string_value(json_object_get(event, key));

        return text ? text : "";
}

static int camera_of(json_t *event) {
        char serial[16];

        for (uint32_t i = 0; i <= CAMERAS; i++) {
                world_serial(i, serial);
                if (text_equal(serial, text_of(event, "serial")))
                        return (int) i;
        }
        return -1;
}

/* ---- Firmware ---------------------------------------------------------------------------------------------------------- */

bool judge_is_superseded(uint32_t camera) {
        return superseded[camera];
}

static void note_bay(const char *bay, int camera) {
        for (uint32_t i = 0; i < CAMERAS; i++)
                superseded[i] |= (int) i != camera && text_equal(flashed_in[i], bay);
        superseded[camera] = false;
        (void) snprintf(flashed_in[camera], sizeof(flashed_in[camera]), "%s", bay);
}

static void judge_flash_begun(json_t *event, int camera) {
        const char *id = text_of(event, "rollout");
        SimRollout *r = fleet_rollout(id);
        uint64_t at = (uint64_t) json_integer_value(json_object_get(event, "boottime_usec"));

        note_bay(text_of(event, "bay"), camera);
        if (!id[0])
                return;
        if (!r)
                world_fail("camera %d is flashed by the rollout %s, which nobody ordered", camera, id);
        if (at > r->off_usec || at > r->stopped_usec)
                world_fail("camera %d is flashed by the rollout %s, which %s", camera, id,
                           at > r->off_usec ? "is not in force" : "has stopped: too many are bad");
        if (begun[r - world->rollouts] & (1u << camera))
                world_fail("camera %d is flashed again by the rollout %s", camera, id);
        begun[r - world->rollouts] |= 1u << camera;
}

static void judge_flash(json_t *event, const char *kind, int camera) {
        uint32_t version = (uint32_t) strtoul(text_of(event, "version"), NULL, 10);

        if (text_equal(kind, "flash-begun"))
                judge_flash_begun(event, camera);
        else if (text_equal(kind, "flash-ended") && text_equal(text_of(event, "outcome"), "ok") &&
                 !(version < 32 && world->cameras[camera].had & 1u << version))
                world_fail("camera %d is told to have got the firmware %u, and never had it", camera, version);
}

static void judge_event_of_camera(json_t *event, uint64_t seq) {
        const char *kind = text_of(event, "event");
        int camera = camera_of(event);

        if (camera < 0)
                return;
        if (text_equal(kind, "hold-set"))
                cameras[camera].held = true;
        else if (text_equal(kind, "hold-released"))
                cameras[camera].held = false;
        else if (text_equal(kind, "fault"))
                cameras[camera].faults++;
        judge_flash(event, kind, camera);
        if (cameras[camera].held && (text_equal(kind, "erase-begun") || text_equal(kind, "spool-released")))
                world_fail("custody event %" PRIu64 " (%s) is about a clip of camera %d, which is held", seq, kind, camera);
}

static void judge_event(json_t *event, uint64_t seq) {
        const char *kind = text_of(event, "event");
        uint64_t id = (uint64_t) json_integer_value(json_object_get(event, "clip_id"));

        judge_event_of_camera(event, seq);
        if (id >= CLIPS_MAX)
                return;
        if (text_equal(kind, "copied"))
                (void) snprintf(told[id].digest, DIGEST_HEX_SIZE, "%s", text_of(event, "digest"));
        else if (text_equal(kind, "receipted"))
                told[id].receipted = text_equal(text_of(event, "strength"), "digest") &&
                                     text_equal(text_of(event, "digest"), told[id].digest);
        else if (text_equal(kind, "store-refused"))
                told[id].receipted = false;
        else if (text_equal(kind, "erase-begun") && !told[id].receipted)
                world_fail("custody event %" PRIu64 ": the erase of clip %" PRIu64 " begins without a receipt of its digest", seq, id);
        else if (text_equal(kind, "spool-released") && !told[id].receipted)
                world_fail("custody event %" PRIu64 ": the copy of clip %" PRIu64 " is let go of without a receipt of its digest", seq, id);
        else if (text_equal(kind, "erase-begun"))
                told[id].begun = true;
        else if (text_equal(kind, "erased") && !told[id].begun)
                world_fail("custody event %" PRIu64 ": clip %" PRIu64 " is erased, and no event says that it was begun", seq, id);
}

static void judge_link(uint64_t seq, const char *bytes, size_t size, const void *hash) {
        char hex[DIGEST_HEX_SIZE];
        json_t *event = json_loadb(bytes, size, 0, NULL);
        Digest d;

        if (seq != last_seq + 1 || !event || (uint64_t) json_integer_value(json_object_get(event, "seq")) != seq)
                world_fail("custody event %" PRIu64 " follows event %" PRIu64, seq, last_seq);
        if (!text_equal(text_of(event, "prev"), last_hash))
                world_fail("custody event %" PRIu64 " does not name the hash of the event before it", seq);
        if (digest_of(bytes, size, &d) < 0 || memcmp(d.bytes, hash, DIGEST_SIZE) != 0)
                world_fail("custody event %" PRIu64 " has another hash than its bytes", seq);
        (void) snprintf(last_hash, sizeof(last_hash), "%s", digest_to_hex(&d, hex));
        last_seq = seq;
        judge_event(event, seq);
        json_decref(event);
}

static void judge_chain(const char *state_dir) {
        static sqlite3_stmt *s;
        static const sqlite3 *of;

        if (of != db || !s)
                s = query(state_dir, "SELECT seq, bytes, hash FROM custody WHERE seq > ?1 ORDER BY seq");
        of = db;
        (void) sqlite3_reset(s);
        (void) sqlite3_bind_int64(s, 1, (sqlite3_int64) last_seq);
        while (sqlite3_step(s) == SQLITE_ROW)
                judge_link((uint64_t) sqlite3_column_int64(s, 0), sqlite3_column_blob(s, 1), (size_t) sqlite3_column_bytes(s, 1),
                           sqlite3_column_blob(s, 2));
        (void) sqlite3_reset(s);
}

unsigned judge_faults(const char *state_dir, uint32_t camera) {
        judge_chain(state_dir);
        return cameras[camera].faults;
}

unsigned judge_locks(const char *state_dir) {
        sqlite3_stmt *s = query(state_dir, "SELECT count(*) FROM object_holds");
        unsigned n = sqlite3_step(s) == SQLITE_ROW ? (unsigned) sqlite3_column_int(s, 0) : UINT32_MAX;

        (void) sqlite3_finalize(s);
        return n;
}

/* ---- Totals and files ------------------------------------------------------------------------------------------------- */

static void judge_totals(const char *state_dir) {
        sqlite3_stmt *s = query(state_dir, "SELECT t.state, t.clips, t.bytes, count(c.id), ifnull(sum(c.size_bytes), 0) FROM clip_totals t"
                                           " LEFT JOIN clips c ON c.state = t.state GROUP BY t.state");

        while (sqlite3_step(s) == SQLITE_ROW)
                if (sqlite3_column_int64(s, 1) != sqlite3_column_int64(s, 3) || sqlite3_column_int64(s, 2) != sqlite3_column_int64(s, 4))
                        world_fail("the totals say %lld clips are %s, and %lld are", sqlite3_column_int64(s, 1),
                                   (const char *) sqlite3_column_text(s, 0), sqlite3_column_int64(s, 3));
        (void) sqlite3_finalize(s);
}

static void judge_spool(const char *state_dir) {
        sqlite3_stmt *s = query(state_dir, "SELECT spool_name, size_bytes, id FROM clips WHERE spool_name IS NOT NULL");
        char path[512];
        struct stat st;

        while (sqlite3_step(s) == SQLITE_ROW) {
                (void) snprintf(path, sizeof(path), "%s/spool/%s", state_dir, (const char *) sqlite3_column_text(s, 0));
                if (stat(path, &st) < 0 || st.st_size != sqlite3_column_int64(s, 1))
                        world_fail("the database says that clip %lld has a spool copy, and none of its size is there",
                                   sqlite3_column_int64(s, 2));
        }
        (void) sqlite3_finalize(s);
}

static void judge_waiting(const Manager *m, const char *state_dir) {
        sqlite3_stmt *s = query(state_dir, "SELECT count(*) FROM clips WHERE state = 'copied'");

        (void) sqlite3_step(s);
        if (m && m->unstored_clips != (uint64_t) sqlite3_column_int64(s, 0))
                world_fail("the dock says that %" PRIu64 " clips wait for the store, and %lld do", m->unstored_clips,
                           sqlite3_column_int64(s, 0));
        (void) sqlite3_finalize(s);
}

void judge(Manager *m, const char *state_dir, bool thoroughly) {
        judge_contents();
        judge_chain(state_dir);
        if (!thoroughly)
                return;
        judge_totals(state_dir);
        judge_spool(state_dir);
        judge_waiting(m, state_dir);
}
