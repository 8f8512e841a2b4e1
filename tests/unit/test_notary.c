/* SPDX-License-Identifier: Apache-2.0 */

/* What the dock signs: store/notary.c. */

#include "store_rig.h"

#include "base/statement.h"

#define DOCK "0123456789abcdef0123456789abcdef"

typedef struct Signers {
        SignKey *first, *second;
} Signers;

static void signers_done(Signers *s) {
        sign_key_free(s->first);
        sign_key_free(s->second);
}

static void begin(Rig *rig, Signers *s) {
        Fact f = rig_fact(FACT_KEY_MADE);

        assert_int_equal(sign_key_new(&s->first), 0);
        assert_int_equal(sign_key_new(&s->second), 0);
        store_set_signing(rig->store, s->first, NULL, "north");
        f.key.dock_id = DOCK;
        f.key.public = *sign_key_public(s->first);
        rig_must(rig, &f);
}

static int checkpoint(Rig *rig) {
        Fact f = rig_fact(FACT_CHECKPOINT);

        f.text = "a test";
        return rig_put(rig, &f);
}

static void read_event(Rig *rig, uint64_t seq, EventRow **ret) {
        EventRow **rows;
        size_t n;

        assert_int_equal(store_events(rig->store, seq - 1, 0, 0, 1, &rows, &n), 0);
        assert_int_equal(n, 1);
        *ret = rows[0];
        free(rows);
}

/* The statement of an event, checked; the caller ends it. */
static Statement statement_at(Rig *rig, uint64_t seq) {
        _cleanup_(event_row_freep) EventRow *event = NULL;
        Statement s = { 0 };
        json_t *object;

        read_event(rig, seq, &event);
        object = json_loads(event->bytes, 0, NULL);
        assert_int_equal(statement_from_parts(json_string_value(json_object_get(object, "statement")),
                                              json_string_value(json_object_get(object, "signature")), &s), 0);
        json_decref(object);
        return s;
}

static const char *text_of(const Statement *s, const char *key) {
        return json_string_value(json_object_get(s->object, key));
}

static void test_checkpoint_covers_all_events_before_it(void **state) {
        _cleanup_(signers_done) Signers signers = { 0 };
        _cleanup_(statement_done) Statement one = { 0 }, two = { 0 };
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        char hex[DIGEST_HEX_SIZE], prev[DIGEST_HEX_SIZE];
        Rig *rig = *state;
        Digest segment;

        begin(rig, &signers);
        rig_dock(rig, 1);
        assert_int_equal(checkpoint(rig), 0); /* event 5 */
        rig_undock(rig, 1);
        assert_int_equal(checkpoint(rig), 0); /* event 7 */

        one = statement_at(rig, 5);
        two = statement_at(rig, 7);
        assert_null(statement_mismatch(&one, &(StatementAbout){ "checkpoint", "checkpoints/" DOCK "/0000000001", "north", DOCK, 0 },
                                       sign_key_public(signers.first)));
        assert_null(statement_mismatch(&two, &(StatementAbout){ "checkpoint", "checkpoints/" DOCK "/0000000002", "north", DOCK, 1 },
                                       sign_key_public(signers.first)));
        assert_int_equal(json_integer_value(json_object_get(one.object, "head_seq")), 4);
        assert_int_equal(json_integer_value(json_object_get(two.object, "from_seq")), 5);
        assert_int_equal(json_integer_value(json_object_get(two.object, "head_seq")), 6);
        assert_string_equal(text_of(&two, "prev"), digest_to_hex(&one.hash, prev));

        assert_int_equal(hasher_new(&hasher), 0);
        for (uint64_t seq = 1; seq <= 4; seq++) {
                _cleanup_(event_row_freep) EventRow *event = NULL;
                _cleanup_(freep) char *line = NULL;

                read_event(rig, seq, &event);
                line = text_format("%s  events/%010u.json\n", digest_to_hex(&event->hash, hex), (unsigned) seq);
                assert_int_equal(hasher_update(hasher, line, strlen(line)), 0);
        }
        assert_string_equal(text_of(&one, "head_hash"), hex);
        assert_int_equal(hasher_finish(hasher, &segment), 0);
        assert_string_equal(text_of(&one, "segment"), digest_to_hex(&segment, hex));
}

static void test_nothing_is_signed_without_the_docks_key(void **state) {
        _cleanup_(signers_done) Signers signers = { 0 };
        Rig *rig = *state;

        assert_int_equal(checkpoint(rig), -ENOKEY);
        begin(rig, &signers);
        store_set_signing(rig->store, signers.second, NULL, "");
        assert_int_equal(checkpoint(rig), -ENOKEY);
        assert_non_null(strstr(store_last_refusal(rig->store), "not at hand"));
        store_set_signing(rig->store, signers.first, NULL, "");
        assert_int_equal(checkpoint(rig), 0);
}

static void test_rotation_is_signed_by_the_key_before(void **state) {
        _cleanup_(signers_done) Signers signers = { 0 };
        _cleanup_(statement_done) Statement rotation = { 0 }, after = { 0 };
        char hex[PUBLIC_KEY_HEX_SIZE];
        Rig *rig = *state;
        DockKey now;
        Fact f;

        begin(rig, &signers);
        store_set_signing(rig->store, signers.first, signers.second, "");
        f = rig_fact(FACT_KEY_ROTATED);
        f.key.public = *sign_key_public(signers.second);
        rig_must(rig, &f); /* event 2 */
        /* A checkpoint that was on its way is signed by the key that counts by then. */
        assert_int_equal(checkpoint(rig), 0);
        rotation = statement_at(rig, 2);
        after = statement_at(rig, 3);
        assert_true(public_key_equal(&rotation.signer, sign_key_public(signers.first)));
        assert_string_equal(rotation.about.key, "keys/" DOCK "/0000000002");
        assert_string_equal(text_of(&rotation, "new_key"), public_key_to_hex(sign_key_public(signers.second), hex));
        assert_string_equal(text_of(&rotation, "old_key"), public_key_to_hex(sign_key_public(signers.first), hex));
        assert_true(public_key_equal(&after.signer, sign_key_public(signers.second)));
        assert_int_equal(store_dock_key(rig->store, &now), 0);
        assert_int_equal(now.number, 2);
        assert_string_equal(now.dock_id, DOCK);
        assert_true(public_key_equal(&now.public, sign_key_public(signers.second)));
}

static void test_second_first_key_is_refused(void **state) {
        _cleanup_(signers_done) Signers signers = { 0 };
        Rig *rig = *state;
        Fact f;

        begin(rig, &signers);
        f = rig_fact(FACT_KEY_MADE);
        f.key.dock_id = DOCK;
        f.key.public = *sign_key_public(signers.second);
        assert_int_equal(rig_put(rig, &f), -EEXIST);
}

static void test_statements_wait_for_the_store_in_order(void **state) {
        _cleanup_(statement_row_freep) StatementRow *row = NULL;
        _cleanup_(signers_done) Signers signers = { 0 };
        _cleanup_(statement_done) Statement s = { 0 };
        Rig *rig = *state;
        uint64_t event = 0;
        Fact f;

        begin(rig, &signers);
        assert_int_equal(store_statement_waiting(rig->store, 0, &row, &event), -ENOENT);
        assert_int_equal(checkpoint(rig), 0);
        assert_int_equal(checkpoint(rig), 0);
        assert_int_equal(store_statement_waiting(rig->store, 0, &row, &event), 0);
        assert_string_equal(row->key, "checkpoints/" DOCK "/0000000001");
        assert_int_equal(statement_parse(row->file, strlen(row->file), &s), 0);
        f = rig_fact(FACT_STATEMENT_STORED);
        f.statement.key = row->key;
        rig_must(rig, &f);
        row = statement_row_free(row);
        assert_int_equal(store_statement_waiting(rig->store, 0, &row, &event), 0);
        assert_string_equal(row->key, "checkpoints/" DOCK "/0000000002");
        assert_int_equal(event, 3);
        assert_int_equal(rig_events(rig), 3); /* that it was stored is no event */
        f = rig_fact(FACT_STATEMENT_REFUSED);
        f.statement.key = row->key;
        f.text = "another text lies there";
        rig_must(rig, &f);
        row = statement_row_free(row);
        assert_int_equal(rig_events(rig), 4);
        assert_int_equal(store_statement_waiting(rig->store, 0, &row, &event), -ENOENT);
        f.statement.key = "checkpoints/" DOCK "/0000000009";
        assert_int_equal(rig_put(rig, &f), -ENOENT);
}

/* That a statement was stored has no event to tell it by. */
static void test_step_of_the_clock_waits_for_a_fact_with_an_event(void **state) {
        _cleanup_(statement_row_freep) StatementRow *row = NULL;
        _cleanup_(signers_done) Signers signers = { 0 };
        Rig *rig = *state;
        StoreRunning running;
        uint64_t event = 0;
        Fact f;

        begin(rig, &signers);
        assert_int_equal(checkpoint(rig), 0);
        assert_int_equal(store_statement_waiting(rig->store, 0, &row, &event), 0);
        f = rig_fact(FACT_STATEMENT_STORED);
        f.at.wall_usec += INT64_C(3650) * 86400 * (int64_t) USEC_PER_SEC;
        f.statement.key = row->key;
        rig_must(rig, &f);
        assert_int_equal(store_running(rig->store, &f.at, &running), 0);
        assert_true(running.step_usec != 0 && running.since_step_usec == 0);
}

static void test_statements_take_no_change(void **state) {
        static const char *const changes[] = { "DELETE FROM statements", "UPDATE statements SET hash = zeroblob(32)",
                                               "UPDATE statements SET head_seq = 1", "UPDATE statements SET key = 'x'" };
        _cleanup_(signers_done) Signers signers = { 0 };
        Rig *rig = *state;
        _cleanup_(freep) char *path = rig_path(rig, "berth.db");
        sqlite3 *db;

        begin(rig, &signers);
        assert_int_equal(checkpoint(rig), 0);
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        for (size_t i = 0; i < ELEMENTSOF(changes); i++)
                assert_int_equal(sqlite3_exec(db, changes[i], NULL, NULL, NULL), SQLITE_CONSTRAINT);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static uint64_t newest(Rig *rig) {
        StoreTotals totals;

        assert_int_equal(store_totals(rig->store, &totals), 0);
        return totals.events;
}

static void refused(const Statement *s, const char *type, const char *key, const char *fleet, const char *dock, uint64_t last) {
        assert_non_null(statement_mismatch(s, &(StatementAbout){ type, key, fleet, dock, last }, NULL));
}

static void test_receipt_is_signed_with_all_that_its_manifest_names(void **state) {
        _cleanup_(signers_done) Signers signers = { 0 };
        _cleanup_(statement_done) Statement one = { 0 }, two = { 0 };
        char hex[DIGEST_HEX_SIZE];
        Fact f = rig_receipted(1, RIG_SIZE);
        Rig *rig = *state;

        begin(rig, &signers);
        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        one = statement_at(rig, newest(rig));
        assert_string_equal(text_of(&one, "manifest"), f.receipt.manifest_key);
        assert_string_equal(text_of(&one, "object"), f.receipt.object_key);
        assert_string_equal(text_of(&one, "object_version"), f.receipt.version ? f.receipt.version : "");
        assert_string_equal(text_of(&one, "sha256"), digest_to_hex(&f.receipt.digest, hex));
        assert_int_equal(json_integer_value(json_object_get(one.object, "size")), RIG_SIZE);
        assert_null(statement_mismatch(&one, &(StatementAbout){ "manifest", "receipts/" DOCK "/0000000001", "north", DOCK, 0 },
                                       sign_key_public(signers.first)));
        rig_must(rig, &f);
        two = statement_at(rig, newest(rig));
        assert_null(statement_mismatch(&two, &(StatementAbout){ "manifest", "receipts/" DOCK "/0000000002", "north", DOCK, 1 },
                                       sign_key_public(signers.first)));

        /* Copied to another name, or dock, or fleet, taken for something else, or played again. */
        refused(&two, "checkpoint", NULL, NULL, NULL, 0);
        refused(&two, NULL, "receipts/" DOCK "/0000000003", NULL, NULL, 0);
        refused(&two, NULL, NULL, "south", NULL, 0);
        refused(&two, NULL, NULL, NULL, "fedcba9876543210fedcba9876543210", 0);
        refused(&one, NULL, NULL, NULL, NULL, 1);
        assert_non_null(statement_mismatch(&two, &(StatementAbout){ 0 }, sign_key_public(signers.second)));
}

static void test_receipt_is_forged_neither_in_size_nor_digest_nor_manifest(void **state) {
        static const char *const parts[] = { "\"size\":", "\"sha256\":\"", "\"manifest\":\"", "\"object\":\"", "\"object_version\":\"",
                                             "\"seq\":", "\"dock\":\"", "\"fleet\":\"", "\"key\":\"", "\"signer\":\"" };
        _cleanup_(signers_done) Signers signers = { 0 };
        _cleanup_(statement_done) Statement s = { 0 };
        char signature[SIGNATURE_TEXT_SIZE];
        Rig *rig = *state;

        begin(rig, &signers);
        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        s = statement_at(rig, newest(rig));
        (void) signature_to_text(&s.signature, signature);
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                _cleanup_(statement_done) Statement forged = { 0 };
                _cleanup_(freep) char *text = strdup(s.text);
                char *at = strstr(text, parts[i]);

                assert_non_null(at);
                at += strlen(parts[i]);
                if (*at == '"')
                        continue;
                *at = *at == '1' ? '2' : '1';
                assert_true(statement_from_parts(text, signature, &forged) < 0);
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_checkpoint_covers_all_events_before_it),
                TEST(test_nothing_is_signed_without_the_docks_key),
                TEST(test_rotation_is_signed_by_the_key_before),
                TEST(test_second_first_key_is_refused),
                TEST(test_statements_wait_for_the_store_in_order),
                TEST(test_step_of_the_clock_waits_for_a_fact_with_an_event),
                TEST(test_statements_take_no_change),
                TEST(test_receipt_is_signed_with_all_that_its_manifest_names),
                TEST(test_receipt_is_forged_neither_in_size_nor_digest_nor_manifest),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
