/* SPDX-License-Identifier: Apache-2.0 */

/* What the daemon asks its memory costs the same after years: steps of SQLite's machine, counted, with few clips and with many. */

#include "store/store_private.h"
#include "unit/store_rig.h"

#define FEW 100u /* more than trends look at */
#define MANY (8 * FEW)
#define PAGE 20u
#define WASTED 24000u
#define AT_ONCE 500u

static Fact checked(uint64_t docking_id) {
        Fact f = rig_fact(FACT_CHECKED);

        f.docking_id = docking_id;
        f.camera_id = 1;
        f.at.synchronised = true;
        f.check.battery_percent = 90;
        f.check.storage_known = f.check.drift_known = f.check.restarts_known = true;
        f.check.storage_total_bytes = 64 * GIB;
        return f;
}

static Fact undocked(uint64_t docking_id) {
        Fact f = rig_fact(FACT_UNDOCKED);

        f.docking_id = docking_id;
        f.text = "the camera was taken out";
        return f;
}

/* A docking, and in it a clip that went all its way: what nearly all are. */
static void add_clip(StoreBatch *b, uint64_t id) {
        _cleanup_(freep) char *path = text_format("DCIM/100/%" PRIu64 ".MP4", id);
        uint64_t docking = id + 1;
        Fact facts[] = { rig_docked(docking), rig_identified(docking, 1), checked(docking), rig_clip(docking, id, path, 5),
                         rig_clip_fact(FACT_PULL_BEGUN, docking, id), rig_block(docking, id, 0, 5, "whole"), rig_copied(docking, id, 5),
                         rig_receipted(id, 5), rig_erase(docking, id), rig_clip_fact(FACT_ERASED, docking, id),
                         rig_clip_fact(FACT_SPOOL_RELEASED, 0, id), undocked(docking) };

        assert_non_null(path);
        facts[10].text = "the store has it";
        for (size_t i = 0; i < ELEMENTSOF(facts); i++)
                assert_int_equal(store_batch_add(b, &facts[i]), 0);
}

static void fill(Rig *rig, uint64_t from, uint64_t to) {
        for (uint64_t id = from; id < to; id++) {
                StoreBatch *b;
                unsigned next = rig->completions + 1;

                assert_int_equal(store_batch_new(&b), 0);
                add_clip(b, id);
                assert_int_equal(store_submit(rig->store, b, rig_done, rig), 0);
                if (id + 1 == to)
                        rig_wait(rig, next + (unsigned) store_pending(rig->store) - 1);
                assert_int_equal(rig->result, 0);
        }
}

/* ---- What is asked ---- */

static int clip(Store *s) {
        _cleanup_(clip_row_freep) ClipRow *row = NULL;

        return store_clip(s, FEW / 2, &row);
}

static int clips_of(Store *s, const char *serial, ClipState state) {
        ClipRow **rows = NULL;
        size_t n = 0;
        int r = store_clips_query(s, serial, state, 0, PAGE, &rows, &n);

        clip_rows_free(rows, n);
        return r;
}

static int clips(Store *s) {
        return clips_of(s, NULL, _CLIP_STATE_INVALID);
}

static int clips_of_camera(Store *s) {
        return clips_of(s, "X1", _CLIP_STATE_INVALID);
}

static int clips_in_state(Store *s) {
        return clips_of(s, NULL, CLIP_ERASED);
}

static int clips_of_camera_in_state(Store *s) {
        return clips_of(s, "X1", CLIP_COPIED);
}

static int clips_on_camera(Store *s) {
        ClipRow **rows = NULL;
        size_t n = 0;
        int r = store_clips_on_camera(s, 1, 0, PAGE, &rows, &n);

        clip_rows_free(rows, n);
        return r;
}

static int clips_unstored(Store *s) {
        ClipRow **rows = NULL;
        size_t n = 0;
        int r = store_clips_unstored(s, 0, PAGE, &rows, &n);

        clip_rows_free(rows, n);
        return r;
}

static int clips_releasable(Store *s) {
        ClipRow **rows = NULL;
        size_t n = 0;
        int r = store_clips_releasable(s, PAGE, &rows, &n);

        clip_rows_free(rows, n);
        return r;
}

static int content(Store *s) {
        Digest of_nothing = { 0 };
        uint64_t id;
        int r = store_clip_by_content(s, &of_nothing, 5, &id);

        return r == -ENOENT ? 0 : r;
}

static int oldest_unstored(Store *s) {
        _cleanup_(clip_row_freep) ClipRow *row = NULL;
        int r = store_oldest_unstored(s, &row);

        return r == -ENOENT ? 0 : r;
}

static int unstored_of_camera(Store *s) {
        UnstoredRow row;

        return store_unstored(s, 1, &row);
}

static int partials(Store *s) {
        uint64_t ids[PAGE];
        size_t n;

        return store_partials_unfinished(s, FEW / 2, PAGE, ids, &n);
}

static int totals(Store *s) {
        StoreTotals t;

        return store_totals(s, &t);
}

static int camera(Store *s) {
        _cleanup_(camera_row_freep) CameraRow *row = NULL;

        return store_camera_by_serial(s, "X1", &row);
}

static int health(Store *s) {
        HealthRow row;

        return store_health(s, 1, "vol-1", 10, 20, &row);
}

static int bay(Store *s) {
        BayRow row;

        return store_bay(s, "1-1.1", 10, &row);
}

static int events_of_clip(Store *s) {
        EventRow **rows = NULL;
        size_t n = 0;
        int r = store_events(s, 0, 0, FEW / 2, PAGE, &rows, &n);

        event_rows_free(rows, n);
        return r;
}

static int last_events_of(Store *s, uint64_t camera_id) {
        EventRow **rows = NULL;
        size_t n = 0;
        int r = store_events_last(s, camera_id, 0, PAGE, &rows, &n);

        event_rows_free(rows, n);
        return r;
}

static int last_events(Store *s) {
        return last_events_of(s, 0);
}

static int last_events_of_camera(Store *s) {
        return last_events_of(s, 1);
}

static int evidence(Store *s) {
        CopyEvidence e = { 0 };
        int r = store_copy_evidence(s, FEW / 2, &e);

        copy_evidence_done(&e);
        return r;
}

static int last_checkpoint(Store *s) {
        CheckpointRow row;
        int r = store_last_checkpoint(s, &row);

        return r == -ENOENT ? 0 : r;
}

static int statement_waiting(Store *s) {
        _cleanup_(statement_row_freep) StatementRow *row = NULL;
        uint64_t seq;
        int r = store_statement_waiting(s, 0, &row, &seq);

        return r == -ENOENT ? 0 : r;
}

static int hold_in_store(Store *s) {
        _cleanup_(object_hold_row_freep) ObjectHoldRow *row = NULL;
        int r = store_object_hold_due(s, 0, &row);

        return r == -ENOENT ? 0 : r;
}

static int dock_key(Store *s) {
        DockKey key;
        int r = store_dock_key(s, &key);

        return r == -ENOENT ? 0 : r;
}

static const struct {
        const char *what;
        int (*ask)(Store *s);
} asked[] = {
        { "a clip", clip },
        { "a page of clips", clips },
        { "a page of a camera's clips", clips_of_camera },
        { "a page of clips in a state", clips_in_state },
        { "a page of a camera's clips in a state", clips_of_camera_in_state },
        { "what is on a camera", clips_on_camera },
        { "what the store does not have", clips_unstored },
        { "what may leave the spool", clips_releasable },
        { "a clip by its content", content },
        { "what waits longest", oldest_unstored },
        { "what of a camera is not stored", unstored_of_camera },
        { "unfinished partial copies", partials },
        { "totals", totals },
        { "a camera", camera },
        { "health of a camera", health },
        { "health of a bay", bay },
        { "custody of a clip", events_of_clip },
        { "the last events", last_events },
        { "the last events of a camera", last_events_of_camera },
        { "how a clip was copied", evidence },
        { "the last checkpoint", last_checkpoint },
        { "a statement that waits", statement_waiting },
        { "an object that is to be held", hold_in_store },
        { "the dock's key", dock_key },
};

/* Of all statements of a connection, since they were asked last. */
static int steps_of(Db *db) {
        int steps = 0;

        for (sqlite3_stmt *p = sqlite3_next_stmt(db_handle(db), NULL); p; p = sqlite3_next_stmt(db_handle(db), p))
                steps += sqlite3_stmt_status(p, SQLITE_STMTSTATUS_VM_STEP, 1);
        return steps;
}

static int steps_to_ask(Store *s, size_t i) {
        (void) steps_of(s->reader);
        assert_int_equal(asked[i].ask(s), 0);
        return steps_of(s->reader);
}

static void test_reading_does_not_grow(void **state) {
        Rig *rig = *state;
        int few[ELEMENTSOF(asked)];
        bool grew = false;

        rig_dock(rig, 1);
        rig_undock(rig, 1);
        fill(rig, 1, FEW);
        for (size_t i = 0; i < ELEMENTSOF(asked); i++)
                few[i] = steps_to_ask(rig->store, i);
        fill(rig, FEW, MANY);
        for (size_t i = 0; i < ELEMENTSOF(asked); i++) {
                int many = steps_to_ask(rig->store, i);

                if (many > few[i] + few[i] / 4 + 20) {
                        print_error("%s: %d steps with %u clips, %d with %u\n", asked[i].what, few[i], FEW, many, MANY);
                        grew = true;
                }
        }
        assert_false(grew);
}

/* The same of what is written: all statements that a clip on its way needs. */
static void test_writing_does_not_grow(void **state) {
        Rig *rig = *state;
        int few, many;

        rig_dock(rig, 1);
        rig_undock(rig, 1);
        fill(rig, 1, FEW);
        (void) steps_of(rig->store->writer.db);
        fill(rig, FEW, FEW + 1);
        few = steps_of(rig->store->writer.db);
        fill(rig, FEW + 1, MANY);
        (void) steps_of(rig->store->writer.db);
        fill(rig, MANY, MANY + 1);
        many = steps_of(rig->store->writer.db);
        assert_true(few > 0);
        if (many > few + few / 4 + 20)
                fail_msg("a clip's way takes %d steps after %u clips, %d after %u", few, FEW, many, MANY);
}

static int64_t number_of(Store *s, const char *sql) {
        int64_t n = -1;

        assert_int_equal(db_number(s->reader, sql, DB_NO_ARGS, &n), 0);
        return n;
}

/* The run of blocks of a clip that is as long as a night, and that is begun anew: what its facts took is free again. */
static void free_many_pages(Rig *rig) {
        StoreBatch *b = NULL;
        Fact seen = rig_clip(1, 1, "DCIM/1.MP4", WASTED * WIRE_BLOCK_SIZE), begun = rig_clip_fact(FACT_PULL_BEGUN, 1, 1);

        rig_must(rig, &seen);
        rig_must(rig, &begun);
        for (unsigned i = 0; i < WASTED; i++) {
                Fact block = rig_block(1, 1, i, WIRE_BLOCK_SIZE, "block");

                if (i % AT_ONCE == 0)
                        assert_int_equal(store_batch_new(&b), 0);
                assert_int_equal(store_batch_add(b, &block), 0);
                if (i % AT_ONCE == AT_ONCE - 1)
                        assert_int_equal(store_submit(rig->store, b, rig_done, rig), 0);
        }
        rig_wait(rig, rig->completions + (unsigned) store_pending(rig->store));
        assert_int_equal(rig->result, 0);
        rig_must(rig, &begun);
}

static void test_free_pages_go_back_to_the_disk(void **state) {
        Rig *rig = *state;
        int64_t wasted, pages;
        uint64_t end = clock_boottime_usec() + RIG_DEADLINE_USEC;
        Fact clip = rig_clip(1, 2, "DCIM/2.MP4", 5);

        rig_dock(rig, 1);
        store_tidy(rig->store);
        assert_false(rig->store->tidying);
        free_many_pages(rig);
        wasted = number_of(rig->store, "PRAGMA freelist_count");
        pages = number_of(rig->store, "PRAGMA page_count");
        assert_true(wasted > 256);
        store_tidy(rig->store);
        assert_true(rig->store->tidying);
        while (rig->store->tidying) {
                assert_true(clock_boottime_usec() < end);
                assert_true(sd_event_run(rig->event, USEC_PER_SEC) >= 0);
        }
        rig_must(rig, &clip);
        assert_true(number_of(rig->store, "PRAGMA page_count") < pages - wasted / 2);
        rig_close(rig);
        assert_int_equal(rig_open(rig), 0);
        assert_int_equal(number_of(rig->store, "SELECT count(*) FROM clips"), 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_reading_does_not_grow, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_writing_does_not_grow, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_free_pages_go_back_to_the_disk, rig_setup, rig_teardown),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
