/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A store in a scratch folder, facts that are right by default, and a second connection to spoil its database. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#include <sqlite3.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/wire_bay.h"
#include "store/store.h"

#define RIG_DEADLINE_USEC (120 * USEC_PER_SEC)

typedef struct Rig {
        char *dir;
        sd_event *event;
        Store *store;
        ConfError error;
        /* of the newest completion */
        int result;
        unsigned completions;
} Rig;

static inline char *rig_path(const Rig *rig, const char *name) {
        char *path = text_format("%s/%s", rig->dir, name);

        assert_non_null(path);
        return path;
}

static inline int rig_open(Rig *rig) {
        return store_open(rig->event, rig->dir, &rig->store, &rig->error);
}

static inline void rig_close(Rig *rig) {
        rig->store = store_close(rig->store);
}

static inline int rig_setup_closed(void **state) {
        const char *tmp = getenv("TMPDIR");
        Rig *rig = calloc(1, sizeof(*rig));

        if (!rig)
                return -1;
        rig->dir = text_format("%s/berth-store-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
        if (!rig->dir || !mkdtemp(rig->dir) || sd_event_new(&rig->event) < 0)
                return -1;
        *state = rig;
        return 0;
}

static inline int rig_setup(void **state) {
        return rig_setup_closed(state) < 0 || rig_open(*state) < 0 ? -1 : 0;
}

static inline int rig_teardown(void **state) {
        static const char *const names[] = { "berth.db", "berth.db-wal", "berth.db-shm", "chain.head",
                                             ".chain.head.new" };
        Rig *rig = *state;

        rig_close(rig);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(freep) char *path = text_format("%s/%s", rig->dir, names[i]);

                if (path)
                        (void) unlink(path);
        }
        (void) rmdir(rig->dir);
        free(rig->dir);
        (void) sd_event_unref(rig->event);
        free(rig);
        return 0;
}

/* For a test that needs more than one; freed by rig_free(). */
static inline Rig *rig_new(void) {
        void *state = NULL;

        if (rig_setup(&state) < 0 || !state)
                abort();
        return state;
}

static inline void rig_free(Rig *rig) {
        void *state = rig;

        (void) rig_teardown(&state);
}

static inline void rig_done(int result, void *userdata) {
        Rig *rig = userdata;

        rig->result = result;
        rig->completions++;
}

/* Runs the loop until so many completions have come. */
static inline void rig_wait(Rig *rig, unsigned completions) {
        uint64_t end = clock_boottime_usec() + RIG_DEADLINE_USEC;

        while (rig->completions < completions) {
                assert_true(clock_boottime_usec() < end);
                assert_true(sd_event_run(rig->event, USEC_PER_SEC) >= 0);
        }
}

/* One fact in a batch of its own, and what came of it. */
static inline int rig_put(Rig *rig, const Fact *fact) {
        unsigned next = rig->completions + 1;
        int r;

        r = store_put(rig->store, fact, rig_done, rig);
        if (r < 0)
                return r;
        rig_wait(rig, next);
        return rig->result;
}

#define rig_must(rig, fact)                                                                                       \
        do {                                                                                                      \
                int _r = rig_put(rig, fact);                                                                      \
                if (_r < 0)                                                                                       \
                        print_error("%s: %s\n", strerror(-_r), store_last_refusal((rig)->store));                 \
                assert_int_equal(_r, 0);                                                                          \
        } while (0)

/* ---- Facts: camera 1 with serial X1, docking 1 in bay 1-1.1, clip 1 of two blocks and a bit ---- */

#define RIG_SIZE (2 * WIRE_BLOCK_SIZE + 5)

static inline void rig_expect(Rig *rig, const Fact *fact, int result) {
        int r = rig_put(rig, fact);

        if (r != result)
                print_error("%s: %s instead of %s: %s\n", fact_kind_to_string(fact->kind), strerror(-r),
                            strerror(-result), store_last_refusal(rig->store));
        assert_int_equal(r, result);
}

static inline Digest rig_digest(const char *text) {
        Digest d;

        assert_int_equal(digest_of(text, strlen(text), &d), 0);
        return d;
}

static inline Fact rig_fact(FactKind kind) {
        Fact f = { .kind = kind };

        moment_now(true, &f.at);
        return f;
}

static inline Fact rig_camera(uint64_t id, const char *serial) {
        Fact f = rig_fact(FACT_CAMERA_SEEN);

        f.camera_id = id;
        f.camera.serial = serial;
        f.camera.manufacturer = "Acme";
        f.camera.model = "Body 2";
        f.camera.firmware = "1.0";
        f.camera.storage_id = "vol-1";
        f.camera.model_id = "acme-body-2";
        return f;
}

static inline Fact rig_docked(uint64_t docking_id) {
        Fact f = rig_fact(FACT_DOCKED);

        f.docking_id = docking_id;
        f.bay = "1-1.1";
        f.usb.vid = 0x1d6b;
        f.usb.pid = 0x0104;
        f.usb.usb_serial = "X1";
        return f;
}

static inline Fact rig_identified(uint64_t docking_id, uint64_t camera_id) {
        Fact f = rig_fact(FACT_IDENTIFIED);

        f.docking_id = docking_id;
        f.camera_id = camera_id;
        return f;
}

static inline Fact rig_clip_fact(FactKind kind, uint64_t docking_id, uint64_t clip_id) {
        Fact f = rig_fact(kind);

        f.docking_id = docking_id;
        f.clip_id = clip_id;
        return f;
}

static inline Fact rig_clip(uint64_t docking_id, uint64_t clip_id, const char *path, uint64_t size_bytes) {
        Fact f = rig_clip_fact(FACT_CLIP_SEEN, docking_id, clip_id);

        f.camera_id = 1;
        f.clip.path = path;
        f.clip.size_bytes = size_bytes;
        f.clip.mtime_unix_sec = 1700000000;
        return f;
}

static inline Fact rig_block(uint64_t docking_id, uint64_t clip_id, uint32_t number, uint32_t length,
                             const char *content) {
        Fact f = rig_clip_fact(FACT_BLOCK, docking_id, clip_id);

        f.block.number = number;
        f.block.length = length;
        f.block.digest = rig_digest(content);
        return f;
}

static inline Fact rig_copied(uint64_t docking_id, uint64_t clip_id, uint64_t size_bytes) {
        Fact f = rig_clip_fact(FACT_COPIED, docking_id, clip_id);

        f.copy.size_bytes = size_bytes;
        f.copy.digest = rig_digest("whole");
        f.copy.head = rig_digest("head");
        f.copy.tail = rig_digest("tail");
        f.copy.spool_name = "1.clip";
        return f;
}

static inline Fact rig_receipted(uint64_t clip_id, uint64_t size_bytes) {
        Fact f = rig_clip_fact(FACT_RECEIPTED, 0, clip_id);

        f.receipt.object_key = "data/X1/2026-11-23/A.MP4.5f0c";
        f.receipt.manifest_key = "manifest/X1/A.MP4.json";
        f.receipt.version = "";
        f.receipt.strength = "digest";
        f.receipt.size_bytes = size_bytes;
        f.receipt.digest = rig_digest("whole");
        f.receipt.time_unix_sec = 1763880000;
        return f;
}

static inline Fact rig_erase(uint64_t docking_id, uint64_t clip_id) {
        Fact f = rig_clip_fact(FACT_ERASE_BEGUN, docking_id, clip_id);

        f.text = "digest";
        return f;
}

/* Camera 1 is in docking `docking_id`. */
static inline void rig_dock(Rig *rig, uint64_t docking_id) {
        Fact camera = rig_camera(1, "X1"), docked = rig_docked(docking_id), identified = rig_identified(docking_id, 1);

        rig_must(rig, &camera);
        rig_must(rig, &docked);
        rig_must(rig, &identified);
}

static inline void rig_undock(Rig *rig, uint64_t docking_id) {
        Fact f = rig_fact(FACT_UNDOCKED);

        f.docking_id = docking_id;
        f.text = "the camera was taken out";
        rig_must(rig, &f);
}

static inline void rig_list(Rig *rig, uint64_t docking_id, uint64_t clip_id) {
        Fact f = rig_clip(docking_id, clip_id, "DCIM/100/A.MP4", RIG_SIZE);

        rig_must(rig, &f);
}

static inline void rig_begin_pull(Rig *rig, uint64_t docking_id, uint64_t clip_id, uint64_t offset) {
        Fact f = rig_clip_fact(FACT_PULL_BEGUN, docking_id, clip_id);

        f.pull.offset_bytes = offset;
        rig_must(rig, &f);
}

/* The last comes to the whole. */
static inline void rig_pull_blocks(Rig *rig, uint64_t docking_id, uint64_t clip_id, uint32_t from, uint32_t to) {
        static const char *const contents[] = { "block 0", "block 1", "whole" };

        for (uint32_t i = from; i < to; i++) {
                Fact f = rig_block(docking_id, clip_id, i, i == 2 ? 5 : (uint32_t) WIRE_BLOCK_SIZE, contents[i]);

                rig_must(rig, &f);
        }
}

/* The clip is listed, pulled and copied in this docking. */
static inline void rig_copy(Rig *rig, uint64_t docking_id, uint64_t clip_id) {
        Fact copied = rig_copied(docking_id, clip_id, RIG_SIZE);

        rig_list(rig, docking_id, clip_id);
        rig_begin_pull(rig, docking_id, clip_id, 0);
        rig_pull_blocks(rig, docking_id, clip_id, 0, 3);
        rig_must(rig, &copied);
}

/* … and receipted. */
static inline void rig_store_clip(Rig *rig, uint64_t docking_id, uint64_t clip_id) {
        Fact receipted = rig_receipted(clip_id, RIG_SIZE);

        rig_copy(rig, docking_id, clip_id);
        rig_must(rig, &receipted);
}

static inline ClipRow *rig_row(Rig *rig, uint64_t clip_id) {
        ClipRow *row = NULL;

        assert_int_equal(store_clip(rig->store, clip_id, &row), 0);
        return row;
}

static inline ClipState rig_state(Rig *rig, uint64_t clip_id) {
        _cleanup_(clip_row_freep) ClipRow *row = rig_row(rig, clip_id);

        return row->state;
}

static inline uint64_t rig_events(Rig *rig) {
        StoreTotals totals;

        assert_int_equal(store_totals(rig->store, &totals), 0);
        return totals.events;
}

static inline void rig_sha256(sqlite3_context *context, int n, sqlite3_value **values) {
        const void *bytes = sqlite3_value_blob(values[0]);
        Digest d = { 0 };

        (void) n;
        (void) digest_of(bytes, (size_t) sqlite3_value_bytes(values[0]), &d);
        sqlite3_result_blob(context, d.bytes, DIGEST_SIZE, SQLITE_TRANSIENT);
}

/*
 * Changes the database behind the store's back, by somebody who can also calculate: sha256() is there. The triggers that
 * protect the chain are taken away, and put back.
 */
static inline void rig_spoil(Rig *rig, const char *sql) {
        _cleanup_(freep) char *path = rig_path(rig, "berth.db");
        _cleanup_(freep) char *trigger = NULL;
        sqlite3_stmt *statement;
        sqlite3 *db;
        char *error = NULL;

        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_busy_timeout(db, 5000), SQLITE_OK);
        assert_int_equal(sqlite3_create_function(db, "sha256", 1, SQLITE_UTF8, NULL, rig_sha256, NULL, NULL), SQLITE_OK);
        assert_int_equal(
                sqlite3_prepare_v2(db,
                                   "SELECT group_concat(sql, ';') || ';' FROM sqlite_schema WHERE type = 'trigger'"
                                   " AND tbl_name = 'custody'",
                                   -1, &statement, NULL),
                SQLITE_OK);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        trigger = strdup((const char *) sqlite3_column_text(statement, 0));
        assert_non_null(trigger);
        (void) sqlite3_finalize(statement);
        assert_int_equal(sqlite3_exec(db, "DROP TRIGGER custody_is_not_changed; DROP TRIGGER custody_is_not_deleted",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
                print_error("%s: %s\n", sql, error);
        assert_null(error);
        assert_int_equal(sqlite3_exec(db, trigger, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
