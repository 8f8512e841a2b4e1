/* SPDX-License-Identifier: Apache-2.0 */

/* The list of a fleet's docks, and what is believed by it: base/fleet.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/fleet.h"
#include "base/text.h"

#define DAY (24 * 3600 * (int64_t) USEC_PER_SEC)
#define NOW (20000 * DAY)
#define DOCK_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DOCK_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KEY_A "checkpoints/" DOCK_A "/0000000007"

typedef struct World {
        SignKey *admin, *a, *b, *stranger;
        Fleet *fleet; /* as read from its signed list */
        char *list;
} World;

static void enroll(Fleet *f, const char *dock, const SignKey *key, int64_t from, int64_t until) {
        FleetKey k = { .key = *sign_key_public(key), .from_usec = from, .until_usec = until };

        (void) strcpy(k.dock_id, dock);
        (void) strcpy(k.name, "a dock");
        assert_int_equal(fleet_enroll(f, &k), 0);
}

static int setup(void **state) {
        World *w = calloc(1, sizeof(*w));
        Fleet *made = NULL;
        ConfError error = { 0 };

        assert_non_null(w);
        assert_int_equal(sign_key_new(&w->admin) | sign_key_new(&w->a) | sign_key_new(&w->b) | sign_key_new(&w->stranger), 0);
        assert_int_equal(fleet_new("north", &made), 0);
        enroll(made, DOCK_A, w->a, NOW - DAY, NOW + DAY);
        enroll(made, DOCK_B, w->b, NOW - DAY, NOW + DAY);
        assert_int_equal(fleet_sign(made, w->admin, NOW, &w->list), 0);
        fleet_free(made);
        assert_int_equal(fleet_parse(w->list, strlen(w->list), sign_key_public(w->admin), "north", 0, &w->fleet, &error), 0);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;

        sign_key_free(w->admin);
        sign_key_free(w->a);
        sign_key_free(w->b);
        sign_key_free(w->stranger);
        fleet_free(w->fleet);
        free(w->list);
        free(w);
        return 0;
}

/* What a dock would put into the store, read there again. */
static Statement say(const SignKey *key, const char *type, const char *store_key, const char *fleet, const char *dock, uint64_t seq) {
        const StatementAbout about = { type, store_key, fleet, dock, seq };
        _cleanup_(freep) char *file = NULL;
        Statement s = { 0 }, again = { 0 };
        json_t *members = json_object();

        assert_int_equal(statement_make(key, &about, members, &s), 0);
        json_decref(members);
        file = statement_file(&s);
        statement_done(&s);
        assert_int_equal(statement_parse(file, strlen(file), &again), 0);
        return again;
}

static void refused(const World *w, Statement s, uint64_t last_seq, int64_t at, const char *expected) {
        const char *why = fleet_judge(w->fleet, &s, STATEMENT_CHECKPOINT, KEY_A, last_seq, at);

        if (!expected)
                assert_null(why);
        else {
                assert_non_null(why);
                if (!strstr(why, expected))
                        fail_msg("'%s', not '%s'", why, expected);
        }
        statement_done(&s);
}

static void test_each_forged_copy_and_replay_is_refused(void **state) {
        World *w = *state;

        refused(w, say(w->a, "checkpoint", KEY_A, "north", DOCK_A, 7), 6, NOW, NULL);
        refused(w, say(w->a, "key-rotation", KEY_A, "north", DOCK_A, 7), 6, NOW, "another type");
        refused(w, say(w->a, "checkpoint", "checkpoints/" DOCK_A "/0000000008", "north", DOCK_A, 7), 6, NOW, "another key in the store");
        refused(w, say(w->a, "checkpoint", KEY_A, "south", DOCK_A, 7), 6, NOW, "another fleet");
        refused(w, say(w->a, "checkpoint", KEY_A, "", DOCK_A, 7), 6, NOW, "another fleet");
        refused(w, say(w->a, "checkpoint", KEY_A, "north", DOCK_B, 7), 6, NOW, "another dock");
        refused(w, say(w->b, "checkpoint", KEY_A, "north", DOCK_A, 7), 6, NOW, "another dock");
        refused(w, say(w->a, "checkpoint", KEY_A, "north", DOCK_A, 7), 7, NOW, "played again");
        refused(w, say(w->a, "checkpoint", KEY_A, "north", DOCK_A, 6), 7, NOW, "played again");
        refused(w, say(w->stranger, "checkpoint", KEY_A, "north", DOCK_A, 7), 6, NOW, "not in the fleet's list");
        refused(w, say(w->admin, "checkpoint", KEY_A, "north", DOCK_A, 7), 6, NOW, "not in the fleet's list");
        refused(w, say(w->a, "checkpoint", KEY_A, "north", DOCK_A, 7), 6, NOW + DAY, "expired");
        refused(w, say(w->a, "checkpoint", KEY_A, "north", DOCK_A, 7), 6, NOW - DAY - 1, "did not count yet");
        assert_int_equal(fleet_revoke(w->fleet, DOCK_A, NULL), 1);
        refused(w, say(w->a, "checkpoint", KEY_A, "north", DOCK_A, 7), 6, NOW, "revoked");
}

/* Whatever docks put into the store: each kind, each field of what a signature covers, and each state of the signer. */
static void test_no_kind_of_statement_can_be_forged(void **state) {
        static const struct {
                const char *type, *key;
        } kinds[] = {
                { STATEMENT_CHECKPOINT, "checkpoints/" DOCK_A "/0000000007" },
                { STATEMENT_KEY_ROTATION, "keys/" DOCK_A "/0000000007" },
                { STATEMENT_MANIFEST, "receipts/" DOCK_A "/0000000007" },
                { STATEMENT_STORED_CLIP, "manifests/SN-1/2026-11-23/A.MP4.0011223344556677.json" },
                { STATEMENT_DOCK_STATUS, "docks/" DOCK_A "/status" },
                { STATEMENT_ROLLOUT_STARTED, "rollouts/r1.started/00000006-000001" },
                { STATEMENT_ROLLOUT_OUTCOME, "rollouts/r1.ok/00000006-000001-00" },
                { STATEMENT_ROLLOUT_SUM, "rollouts/r1.sums/00000006" },
                { STATEMENT_ROLLOUT_STOP, "rollouts/r1.bad/0-stop" },
                { STATEMENT_ROLLOUT_CAMERA, "rollouts/r1.cameras/00" },
        };
        World *w = *state;
        const struct {
                const SignKey *key;
                const char *type, *store_key, *fleet, *dock; /* NULL: as it must be */
                uint64_t seq;
                int64_t at_usec;
                const char *why;
        } forgeries[] = {
                { w->a, NULL, NULL, NULL, NULL, 7, NOW, NULL },
                { w->a, STATEMENT_ROSTER, NULL, NULL, NULL, 7, NOW, "another type" },
                { w->a, NULL, "copied/elsewhere", NULL, NULL, 7, NOW, "another key in the store" },
                { w->a, NULL, NULL, "south", NULL, 7, NOW, "another fleet" },
                { w->a, NULL, NULL, NULL, DOCK_B, 7, NOW, "another dock" },
                { w->b, NULL, NULL, NULL, NULL, 7, NOW, "another dock" },
                { w->a, NULL, NULL, NULL, NULL, 6, NOW, "played again" },
                { w->stranger, NULL, NULL, NULL, NULL, 7, NOW, "not in the fleet's list" },
                { w->a, NULL, NULL, NULL, NULL, 7, NOW + DAY, "had expired" },
                { w->a, NULL, NULL, NULL, NULL, 7, NOW - DAY - 1, "did not count yet" },
        };

        for (size_t k = 0; k < ELEMENTSOF(kinds); k++)
                for (size_t i = 0; i < ELEMENTSOF(forgeries); i++) {
                        Statement s = say(forgeries[i].key, forgeries[i].type ? forgeries[i].type : kinds[k].type,
                                          forgeries[i].store_key ? forgeries[i].store_key : kinds[k].key,
                                          forgeries[i].fleet ? forgeries[i].fleet : "north", forgeries[i].dock ? forgeries[i].dock : DOCK_A,
                                          forgeries[i].seq);
                        const char *why = fleet_judge(w->fleet, &s, kinds[k].type, kinds[k].key, 6, forgeries[i].at_usec);

                        if (forgeries[i].why ? !why || !strstr(why, forgeries[i].why) : why != NULL)
                                fail_msg("%s, forgery %zu: '%s', not '%s'", kinds[k].type, i, why ? why : "", forgeries[i].why);
                        statement_done(&s);
                }
}

/* One byte that is another: of the text, the signer in it, or the signature. */
static void test_no_byte_of_a_statement_can_be_altered(void **state) {
        World *w = *state;
        Statement s = say(w->a, STATEMENT_DOCK_STATUS, "docks/" DOCK_A "/status", "north", DOCK_A, 7), again = { 0 };
        _cleanup_(freep) char *file = statement_file(&s);
        size_t size = strlen(file);

        statement_done(&s);
        for (size_t i = 0; i < size; i++) {
                file[i] ^= 1;
                if (statement_parse(file, size, &again) >= 0)
                        fail_msg("byte %zu may be altered", i);
                file[i] ^= 1;
        }
        assert_int_equal(statement_parse(file, size, &again), 0);
        statement_done(&again);
}

static void list_refused(const char *list, const PublicKey *admin, const char *id, uint64_t last_seq, int r, const char *why) {
        ConfError error = { 0 };
        Fleet *f = NULL;

        assert_int_equal(fleet_parse(list, strlen(list), admin, id, last_seq, &f, &error), r);
        assert_non_null(strstr(error.text, why));
        assert_null(f);
}

static void test_list_is_the_administrators_of_this_fleet_and_the_newest(void **state) {
        World *w = *state;
        _cleanup_(freep) char *forged = NULL, *next = NULL, *spoilt = strdup(w->list);
        _cleanup_(fleet_freep) Fleet *again = NULL;
        ConfError error = { 0 };
        uint64_t seq = w->fleet->seq;

        list_refused(w->list, sign_key_public(w->stranger), "north", 0, -EKEYREJECTED, "another key");
        list_refused(w->list, sign_key_public(w->admin), "south", 0, -EKEYREJECTED, "another fleet");
        list_refused(w->list, sign_key_public(w->admin), "north", seq, -EKEYREJECTED, "played again");
        list_refused("nothing\n", sign_key_public(w->admin), "north", 0, -EBADE, "no signed list");
        spoilt[60] = (char) (spoilt[60] ^ 1);
        assert_true(fleet_parse(spoilt, strlen(spoilt), sign_key_public(w->admin), "north", 0, &again, &error) < 0);
        /* A dock cannot enroll another. */
        assert_int_equal(fleet_sign(w->fleet, w->a, NOW, &forged), 0);
        list_refused(forged, sign_key_public(w->admin), "north", 0, -EKEYREJECTED, "another key");
        assert_int_equal(fleet_revoke(w->fleet, DOCK_B, sign_key_public(w->b)), 1);
        assert_int_equal(fleet_sign(w->fleet, w->admin, NOW, &next), 0);
        assert_int_equal(fleet_parse(next, strlen(next), sign_key_public(w->admin), NULL, seq, &again, &error), 0);
        assert_int_equal(again->n_keys, 2);
        assert_true(fleet_find(again, sign_key_public(w->b))->revoked);
        assert_false(fleet_find(again, sign_key_public(w->a))->revoked);
}

static void test_key_speaks_for_one_dock_and_is_not_taken_back_into_use(void **state) {
        World *w = *state;
        FleetKey k = { .dock_id = DOCK_B, .key = *sign_key_public(w->a), .from_usec = NOW, .until_usec = NOW + DAY };

        assert_int_equal(fleet_enroll(w->fleet, &k), -EEXIST);
        (void) strcpy(k.dock_id, DOCK_A);
        assert_int_equal(fleet_enroll(w->fleet, &k), 0);
        assert_int_equal(w->fleet->n_keys, 2);
        assert_int_equal(fleet_revoke(w->fleet, DOCK_A, NULL), 1);
        assert_int_equal(fleet_enroll(w->fleet, &k), -EEXIST);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_each_forged_copy_and_replay_is_refused),
                TEST(test_no_kind_of_statement_can_be_forged),
                TEST(test_no_byte_of_a_statement_can_be_altered),
                TEST(test_list_is_the_administrators_of_this_fleet_and_the_newest),
                TEST(test_key_speaks_for_one_dock_and_is_not_taken_back_into_use),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
