/* SPDX-License-Identifier: Apache-2.0 */

/* The last gate before a clip leaves a camera: each of its conditions broken alone closes it. */

#include "store/custody.h"
#include "store_rig.h"

typedef struct Row {
        const char *promise;
        const char *spoil; /* SQL behind the store's back, or NULL */
        void (*prepare)(Rig *rig, Fact *erase);
        const char *refusal; /* part of the sentence; NULL: the gate opens */
} Row;

static void other_docking(Rig *rig, Fact *erase) {
        rig_undock(rig, 1);
        rig_dock(rig, 2);
        erase->docking_id = 2;
}

static void read_again(Rig *rig, uint64_t docking_id, uint32_t from, uint32_t to) {
        static const char *const contents[] = { "block 0", "block 1", "whole" };

        for (uint32_t i = from; i < to; i++) {
                Fact f = rig_block(docking_id, 1, i, i == 2 ? 5 : (uint32_t) WIRE_BLOCK_SIZE, contents[i]);

                f.block.from_camera_only = true;
                rig_must(rig, &f);
        }
}

static void other_docking_read_again(Rig *rig, Fact *erase) {
        other_docking(rig, erase);
        read_again(rig, 2, 0, 3);
}

static void other_docking_half_read(Rig *rig, Fact *erase) {
        other_docking(rig, erase);
        read_again(rig, 2, 1, 3);
}

static void docking_over(Rig *rig, Fact *erase) {
        (void) erase;
        rig_undock(rig, 1);
}

static void docking_of_another_camera(Rig *rig, Fact *erase) {
        Fact camera = rig_camera(2, "X2"), docked = rig_docked(2), identified = rig_identified(2, 2);

        rig_must(rig, &camera);
        rig_must(rig, &docked);
        rig_must(rig, &identified);
        read_again(rig, 2, 0, 3);
        erase->docking_id = 2;
}

static void docking_without_identity(Rig *rig, Fact *erase) {
        Fact docked = rig_docked(2);

        rig_must(rig, &docked);
        read_again(rig, 2, 0, 3);
        erase->docking_id = 2;
}

static void conflict(Rig *rig, Fact *erase) {
        Fact f = rig_clip_fact(FACT_CONFLICT, 1, 1);

        (void) erase;
        f.text = "the digests disagree";
        rig_must(rig, &f);
}

static void conflict_and_hidden(Rig *rig, Fact *erase) {
        conflict(rig, erase);
        rig_spoil(rig, "UPDATE clips SET conflict = 0, state = 'receipted', reason = NULL");
}

static void receipt_void(Rig *rig, Fact *erase) {
        Fact f = rig_clip_fact(FACT_STORE_REFUSED, 0, 1);

        (void) erase;
        f.text = "the store does not hold it";
        rig_must(rig, &f);
}

static void receipt_void_and_renewed(Rig *rig, Fact *erase) {
        Fact f = rig_receipted(1, RIG_SIZE);

        receipt_void(rig, erase);
        rig_must(rig, &f);
}

static void receipt_void_and_put_back(Rig *rig, Fact *erase) {
        rig_spoil(rig, "CREATE TABLE kept AS SELECT * FROM receipts");
        receipt_void(rig, erase);
        rig_spoil(rig,
                  "INSERT INTO receipts SELECT * FROM kept; UPDATE clips SET state = 'receipted'; DROP TABLE kept");
}

static void weak_receipt(Rig *rig, Fact *erase) {
        Fact f = rig_receipted(1, RIG_SIZE);

        (void) erase;
        f.receipt.strength = "size";
        rig_must(rig, &f);
}

static void weak_receipt_accepted(Rig *rig, Fact *erase) {
        weak_receipt(rig, erase);
        erase->text = "digest, size";
}

static void weak_receipt_not_quite_accepted(Rig *rig, Fact *erase) {
        weak_receipt(rig, erase);
        erase->text = "digest,sizes,siz";
}

static Fact in_docking(FactKind kind) {
        Fact f = rig_fact(kind);

        f.docking_id = f.camera_id = 1;
        return f;
}

static void come_back(Rig *rig, DockingIdentity identity, const char *storage_id, uint64_t switch_docking_id) {
        Fact back = in_docking(FACT_RETURNED), known = in_docking(FACT_STORAGE_IDENTIFIED);

        back.usb.behind = true;
        back.usb.model_id = "storage";
        known.storage.identity = identity;
        known.storage.storage_id = storage_id;
        known.storage.switch_docking_id = switch_docking_id;
        rig_must(rig, &back);
        rig_must(rig, &known);
}

static void came_back_unseen(Rig *rig, Fact *erase) {
        Fact back = in_docking(FACT_RETURNED);

        (void) erase;
        back.usb.behind = true;
        back.usb.model_id = "storage";
        rig_must(rig, &back);
}

static void by_port_only(Rig *rig, Fact *erase) {
        (void) erase;
        come_back(rig, IDENTITY_PORT, "VOL-1", 1);
}

static void by_port_and_hidden(Rig *rig, Fact *erase) {
        by_port_only(rig, erase);
        rig_spoil(rig, "UPDATE dockings SET identity = 'storage'");
}

static void by_port_and_called_its_own(Rig *rig, Fact *erase) {
        by_port_only(rig, erase);
        rig_spoil(rig, "UPDATE dockings SET identity = 'own'");
}

static void other_storage(Rig *rig, Fact *erase) {
        (void) erase;
        come_back(rig, IDENTITY_OTHER, "VOL-2", 1);
}

static void by_port_confirmed(Rig *rig, Fact *erase) {
        Fact f = in_docking(FACT_IDENTITY_CONFIRMED);

        by_port_only(rig, erase);
        f.by_operator = true;
        rig_must(rig, &f);
}

static void confirmed_before_another_came(Rig *rig, Fact *erase) {
        by_port_confirmed(rig, erase);
        other_storage(rig, erase);
}

static Fact hold(FactKind kind, uint64_t clip_id) {
        Fact f = rig_fact(kind);

        f.clip_id = clip_id;
        f.camera_id = 1;
        f.by_operator = true;
        f.hold.case_name = "2026/17";
        return f;
}

static void held(Rig *rig, Fact *erase) {
        Fact f = hold(FACT_HOLD_SET, 1);

        (void) erase;
        rig_must(rig, &f);
}

static void held_with_its_camera(Rig *rig, Fact *erase) {
        Fact f = hold(FACT_HOLD_SET, 0);

        (void) erase;
        rig_must(rig, &f);
}

static void held_twice_and_released_once(Rig *rig, Fact *erase) {
        Fact released = hold(FACT_HOLD_RELEASED, 1);

        held(rig, erase);
        held_with_its_camera(rig, erase);
        rig_must(rig, &released);
}

static void held_and_released(Rig *rig, Fact *erase) {
        Fact released = hold(FACT_HOLD_RELEASED, 1);

        held(rig, erase);
        rig_must(rig, &released);
}

static void ordered_in(Rig *rig, uint64_t docking_id, bool not_stored) {
        Fact f = rig_clip_fact(FACT_ERASE_ORDERED, docking_id, 1);

        f.by_operator = true;
        f.order.not_stored = not_stored;
        rig_must(rig, &f);
}

static void ordered_though_not_stored(Rig *rig, Fact *erase) {
        receipt_void(rig, erase);
        ordered_in(rig, 1, true);
}

static void ordered_and_not_stored(Rig *rig, Fact *erase) {
        receipt_void(rig, erase);
        ordered_in(rig, 1, false);
}

static void ordered_in_another_docking(Rig *rig, Fact *erase) {
        ordered_though_not_stored(rig, erase);
        other_docking_read_again(rig, erase);
}

static void ordered_and_half_read(Rig *rig, Fact *erase) {
        receipt_void(rig, erase);
        other_docking_half_read(rig, erase);
        ordered_in(rig, 2, true);
}

static void ordered_and_held(Rig *rig, Fact *erase) {
        ordered_though_not_stored(rig, erase);
        held(rig, erase);
}

static void ordered_and_in_conflict(Rig *rig, Fact *erase) {
        ordered_though_not_stored(rig, erase);
        conflict_and_hidden(rig, erase);
}

static void nothing_said(Rig *rig, Fact *erase) {
        (void) rig;
        erase->text = NULL;
}

static void erase_begun_before(Rig *rig, Fact *erase) {
        rig_must(rig, erase);
}

static void erased_before(Rig *rig, Fact *erase) {
        Fact f = rig_clip_fact(FACT_ERASED, 1, 1);

        rig_must(rig, erase);
        rig_must(rig, &f);
}

/* One in 256 hashes begins with a zero already. */
#define FLIP(column) column " = CAST(iif(substr(" column ", 1, 1) = x'00', x'01', x'00') || substr(" column ", 2) AS BLOB)"
#define COPIED "(SELECT max(seq) FROM custody WHERE kind = 'copied')"
#define REWRITE(from, to, seq)                                                                                    \
        "UPDATE custody SET bytes = CAST(replace(bytes, '" from "', '" to "') AS BLOB) WHERE seq = " seq ";"      \
        "UPDATE custody SET hash = sha256(bytes)"
#define RECEIPTED "(SELECT max(seq) FROM custody WHERE kind = 'receipted')"

static const Row rows[] = {
        { "all is well", NULL, NULL, NULL },
        { "the default is digest receipts", NULL, nothing_said, NULL },
        { "an erase that began before a crash", NULL, erase_begun_before, NULL },
        { "read again in another docking", NULL, other_docking_read_again, NULL },
        { "a weaker receipt that the policy accepts", NULL, weak_receipt_accepted, NULL },
        { "a new receipt for a void one", NULL, receipt_void_and_renewed, NULL },

        { "held, and released", NULL, held_and_released, NULL },

        { "not stored, and ordered by somebody who knows that", NULL, ordered_though_not_stored, NULL },

        { "not stored, and ordered by somebody who does not say that", NULL, ordered_and_not_stored, "no receipt" },
        { "ordered in another docking", NULL, ordered_in_another_docking, "no receipt" },
        { "ordered, and not read whole", NULL, ordered_and_half_read, "not all of it was read" },
        { "ordered, and held", NULL, ordered_and_held, "held for case" },
        { "ordered, and in conflict", NULL, ordered_and_in_conflict, "in conflict" },
        { "an order that no event tells of", "UPDATE clips SET order_docking_id = 1, order_not_stored = 1, state = 'copied'", NULL,
          "order to erase it does not stand" },
        { "an order that was made to mean more", "UPDATE clips SET order_not_stored = 1", ordered_and_not_stored,
          "order to erase it says" },
        { "held", NULL, held, "held for case 2026/17" },
        { "held with its camera", NULL, held_with_its_camera, "held for case 2026/17" },
        { "held by two orders, one of which was taken back", NULL, held_twice_and_released_once, "held for case 2026/17" },
        { "another docking, nothing read", NULL, other_docking, "not all of it was read" },
        { "another docking, one block not read", NULL, other_docking_half_read, "not all of it was read" },
        { "the docking is over", NULL, docking_over, "its docking is over" },
        { "no identity yet", NULL, docking_without_identity, "without an identity" },
        { "another camera's docking", NULL, docking_of_another_camera, "of another camera" },
        { "a conflict", NULL, conflict, "in conflict" },
        { "a conflict that somebody hid", NULL, conflict_and_hidden, "in conflict" },
        { "a conflict in the row alone", "UPDATE clips SET conflict = 1", NULL, "in conflict" },
        { "a void receipt", NULL, receipt_void, "no receipt" },
        { "a void receipt that somebody put back", NULL, receipt_void_and_put_back, "refused it after" },
        { "a weak receipt", NULL, weak_receipt, "accepted strength" },
        { "a weak receipt and a list of other words", NULL, weak_receipt_not_quite_accepted, "accepted strength" },
        { "gone already", NULL, erased_before, "gone already" },
        { "not receipted", "UPDATE clips SET state = 'copied'", NULL, "no receipt" },
        { "no receipt row", "DELETE FROM receipts", NULL, "no receipt" },
        { "no digest", "UPDATE clips SET digest = NULL", NULL, "not copied whole" },

        { "known by port, and confirmed", NULL, by_port_confirmed, NULL },
        { "in its storage mode, nobody looked at it yet", NULL, came_back_unseen, "by the port only" },
        { "known by the port alone", NULL, by_port_only, "by the port only" },
        { "known by the port alone, which somebody hid", NULL, by_port_and_hidden, "by the port only" },
        { "known by the port alone, and called its own", NULL, by_port_and_called_its_own, "by the port only" },
        { "another storage than the recorded one", NULL, other_storage, "by the port only" },
        { "confirmed, then another storage came", NULL, confirmed_before_another_came, "by the port only" },
        { "called recognised, and no event says so", "UPDATE dockings SET identity = 'storage'", NULL, "no custody event says" },
        { "a changed byte in the event of its recognition",
          "UPDATE custody SET bytes = CAST(replace(bytes, 'VOL-1', 'VOL-2') AS BLOB) WHERE kind = 'identity-confirmed'",
          by_port_confirmed, "identity does not stand" },

        { "a flipped digest of the clip", "UPDATE clips SET " FLIP("digest"), NULL, "custody event of the copy" },
        { "a flipped digest of the receipt", "UPDATE receipts SET " FLIP("digest"), NULL, "other content" },
        { "the same flip in both", "UPDATE clips SET " FLIP("digest") "; UPDATE receipts SET " FLIP("digest"), NULL,
          "custody event of the copy" },
        { "a flipped digest of a block", "UPDATE blocks SET " FLIP("digest") " WHERE number = 1", NULL,
          "its blocks are not what" },
        { "a flipped digest of the last block", "UPDATE blocks SET " FLIP("digest") " WHERE number = 2", NULL,
          "its blocks are not what" },
        { "a missing block", "DELETE FROM blocks WHERE number = 2", NULL, "do not add up" },
        { "a gap in the blocks", "DELETE FROM blocks WHERE number = 1", NULL, "gap" },
        { "a block of another length", "UPDATE blocks SET length = 6 WHERE number = 2", NULL, "do not add up" },
        { "another size of the clip",
          "UPDATE clips SET size_bytes = size_bytes + 1; UPDATE blocks SET length = 6 WHERE number = 2", NULL,
          "custody event of the copy" },
        { "another size of the receipt", "UPDATE receipts SET size_bytes = size_bytes - 1", NULL, "other content" },
        { "a receipt made stronger", "UPDATE receipts SET strength = 'digest'", weak_receipt,
          "custody event of the receipt" },
        { "another object", "UPDATE receipts SET object_key = 'data/else'", NULL,
          "custody event of the receipt" },
        { "another manifest", "UPDATE receipts SET manifest_key = 'manifest/else'", NULL,
          "custody event of the receipt" },
        { "another camera",
          "INSERT INTO cameras (id, serial, manufacturer, model, firmware, storage_id, model_id, ambiguous, first_seen_usec)"
          " VALUES (7, 'X7', '', '', '', '', '', 0, 0);"
          "UPDATE clips SET camera_id = 7; UPDATE dockings SET camera_id = 7",
          NULL, "custody event of the copy" },

        { "changed bytes of the copy's event",
          "UPDATE custody SET bytes = CAST(replace(bytes, '1.clip', '2.clip') AS BLOB) WHERE seq = " COPIED, NULL,
          "event of its copy does not stand" },
        { "changed bytes of the receipt's event",
          "UPDATE custody SET bytes = CAST(replace(bytes, 'A.MP4.', 'B.MP4.') AS BLOB) WHERE seq = " RECEIPTED, NULL,
          "does not stand" },
        { "a changed hash of the copy's event", "UPDATE custody SET " FLIP("hash") " WHERE seq = " COPIED, NULL,
          "event of its copy" },
        { "a changed hash of the receipt's event", "UPDATE custody SET " FLIP("hash") " WHERE seq = " RECEIPTED, NULL,
          "does not stand" },
        { "an event after the copy's that does not name it",
          "UPDATE custody SET bytes = CAST(replace(bytes, '\"prev\":\"', '\"prev\":\"0') AS BLOB)"
          " WHERE seq = 1 + " COPIED,
          NULL, "event of its copy" },
        { "a rewritten event of the copy, hashed anew", REWRITE("1.clip", "2.clip", COPIED), NULL, "does not stand" },
        { "a rewritten event of the receipt, hashed anew", REWRITE("A.MP4.", "B.MP4.", RECEIPTED), NULL, "does not stand" },
        { "the copy's event is gone", "DELETE FROM custody WHERE seq = " COPIED, NULL, "event of its copy" },
        { "the receipt's event is gone", "DELETE FROM custody WHERE seq = " RECEIPTED, NULL, "does not stand" },
        { "the copy's event is filed under another kind", "UPDATE custody SET kind = 'docked' WHERE seq = " COPIED,
          NULL, "event of its copy" },
};

static void check(Rig *rig, const Row *row) {
        Fact erase = rig_erase(1, 1);
        uint64_t events;
        int r;

        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        if (row->prepare)
                row->prepare(rig, &erase);
        if (row->spoil)
                rig_spoil(rig, row->spoil);
        events = rig_events(rig);
        r = rig_put(rig, &erase);
        if (!row->refusal) {
                if (r < 0)
                        fail_msg("%s: %s: %s", row->promise, strerror(-r), store_last_refusal(rig->store));
                assert_int_equal(rig_state(rig, 1), CLIP_ERASING);
                assert_int_equal(rig_events(rig), events + 1);
                return;
        }
        if (r != -EKEYREJECTED || !strstr(store_last_refusal(rig->store), row->refusal))
                fail_msg("%s: %s: %s", row->promise, strerror(-r), store_last_refusal(rig->store));
        assert_int_equal(rig_events(rig), events);
        assert_false(store_is_failing(rig->store, NULL));
}

static void test_erase_is_licensed_only_when_every_condition_stands(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Rig *rig = rig_new();

                check(rig, &rows[i]);
                rig_free(rig);
        }
}

static void test_empty_clip_is_erased_only_in_the_docking_that_read_it(void **state) {
        Rig *rig = *state;
        Fact seen = rig_clip(1, 1, "DCIM/EMPTY.MP4", 0), copied = rig_copied(1, 1, 0), receipted = rig_receipted(1, 0);
        Fact erase = rig_erase(1, 1), verified = rig_clip_fact(FACT_VERIFIED, 2, 1);

        rig_dock(rig, 1);
        rig_must(rig, &seen);
        rig_begin_pull(rig, 1, 1, 0);
        rig_must(rig, &copied);
        rig_must(rig, &receipted);
        rig_undock(rig, 1);
        rig_dock(rig, 2);
        erase.docking_id = 2;
        assert_int_equal(rig_put(rig, &erase), -EKEYREJECTED);
        verified.copy.digest = rig_digest("whole");
        rig_must(rig, &verified);
        rig_must(rig, &erase);
}

static void test_erase_names_the_events_that_license_it(void **state) {
        Rig *rig = *state;
        Fact erase = rig_erase(1, 1);
        EventRow **events;
        json_t *event;
        size_t n;

        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        rig_must(rig, &erase);
        assert_int_equal(store_events_last(rig->store, 0, 1, 1, &events, &n), 0);
        assert_int_equal(n, 1);
        event = json_loads(events[0]->bytes, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(event, "event")), "erase-begun");
        assert_int_equal(json_integer_value(json_object_get(event, "receipted_seq")), (json_int_t) events[0]->seq - 1);
        assert_int_equal(json_integer_value(json_object_get(event, "copied_seq")), (json_int_t) events[0]->seq - 2);
        json_decref(event);
        event_rows_free(events, n);
}

/* ---- What an older Berth copied ---- */

/* Appends the log anew, as the release before had it: its events told of digests of the blocks alone. */
static int append_older(Db *db, json_t *events, ChainHead *head) {
        json_t *event;
        size_t i;
        int r = 0;

        json_array_foreach(events, i, event) {
                json_t *digest = json_object_get(event, "prefixes_digest");

                if (digest && json_object_set(event, "blocks_digest", digest) >= 0)
                        (void) json_object_del(event, "prefixes_digest");
                if (r >= 0)
                        r = custody_append(db, head, event);
        }
        return r;
}

static json_t *all_events(Db *db) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        json_t *events = json_array();
        int r;

        r = db_query(db, "SELECT bytes FROM custody ORDER BY seq", DB_NO_ARGS, &row);
        for (; r > 0; r = db_next(row))
                assert_int_equal(json_array_append_new(events, json_loadb(sqlite3_column_blob(row, 0),
                                                                          (size_t) sqlite3_column_bytes(row, 0), 0, NULL)), 0);
        assert_int_equal(r, 0);
        return events;
}

/* The step of the schema took the blocks away. */
static void make_older(Rig *rig) {
        _cleanup_(freep) char *path = rig_path(rig, "berth.db");
        _cleanup_(fd_closep) int dir = open(rig->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(chain_file_freep) ChainFile *file = NULL;
        _cleanup_(db_closep) Db *db = NULL;
        ChainHead head = { 0 }, before;
        json_t *events;

        rig_close(rig);
        assert_int_equal(db_open(path, DB_WRITE, &db), 0);
        events = all_events(db);
        rig_spoil(rig, "DELETE FROM custody; DELETE FROM blocks");
        assert_true(append_older(db, events, &head) >= 0);
        json_decref(events);
        assert_int_equal(chain_file_open(dir, &file, &before), 0);
        assert_int_equal(before.seq, head.seq);
        /* In both of its slots. */
        for (int i = 0; i < 2; i++)
                assert_int_equal(chain_file_write(file, &head), 0);
        db = db_close(db);
        assert_int_equal(rig_open(rig), 0);
}

static void test_copy_of_an_older_berth_is_erased_only_by_what_was_read_of_it_since(void **state) {
        Rig *rig = *state;
        Fact erase = rig_erase(2, 1), verified = rig_clip_fact(FACT_VERIFIED, 2, 1);

        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        rig_undock(rig, 1);
        make_older(rig);
        rig_dock(rig, 2);
        assert_int_equal(rig_put(rig, &erase), -EKEYREJECTED);
        read_again(rig, 2, 0, 3);
        assert_int_equal(rig_put(rig, &erase), -EKEYREJECTED);
        assert_non_null(strstr(store_last_refusal(rig->store), "the custody event of its last reading does not stand"));
        verified.copy.digest = rig_digest("whole");
        rig_must(rig, &verified);
        rig_spoil(rig, "UPDATE blocks SET " FLIP("digest") " WHERE number = 1");
        assert_int_equal(rig_put(rig, &erase), -EKEYREJECTED);
        assert_non_null(strstr(store_last_refusal(rig->store), "its blocks are not what the custody event of its last reading says"));
        rig_spoil(rig, "UPDATE blocks SET digest = sha256('block 1') WHERE number = 1");
        rig_must(rig, &erase);
        assert_int_equal(rig_state(rig, 1), CLIP_ERASING);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_erase_is_licensed_only_when_every_condition_stands),
                cmocka_unit_test_setup_teardown(test_empty_clip_is_erased_only_in_the_docking_that_read_it, rig_setup,
                                                rig_teardown),
                cmocka_unit_test_setup_teardown(test_erase_names_the_events_that_license_it, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_copy_of_an_older_berth_is_erased_only_by_what_was_read_of_it_since, rig_setup,
                                                rig_teardown),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
