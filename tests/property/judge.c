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

void judge_forget(void) {
        (void) sqlite3_close(db);
        db = NULL;
        last_seq = 0;
        memset(last_hash, '0', sizeof(last_hash) - 1);
        memset(told, 0, sizeof(told));
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

/* ---- The chain, and what it says -------------------------------------------------------------------------------------- */

static const char *text_of(json_t *event, const char *key) {
        const char *text = json_string_value(json_object_get(event, key));

        return text ? text : "";
}

static void judge_event(json_t *event, uint64_t seq) {
        const char *kind = text_of(event, "event");
        uint64_t id = (uint64_t) json_integer_value(json_object_get(event, "clip_id"));

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
