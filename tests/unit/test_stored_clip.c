/* SPDX-License-Identifier: Apache-2.0 */

/* What a dock signs in a manifest, and by what another believes it: base/stored_clip.c. Each forgery has a sentence of its own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "base/stored_clip.h"
#include "base/text.h"

#define DAY (24 * 3600 * (int64_t) USEC_PER_SEC)
#define NOW (20000 * DAY)
#define DOCK_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DOCK_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KEY "manifests/SN-1/2024-10-04/A.MP4.0100000000000000.json"

typedef struct World {
        SignKey *admin, *a, *b, *stranger;
        Fleet *fleet;
        PublicKey own[2];
        StoredClipTrust trust; /* of dock B */
} World;

static void enroll(Fleet *f, const char *dock, const SignKey *key) {
        FleetKey k = { .key = *sign_key_public(key), .from_usec = NOW - DAY, .until_usec = NOW + DAY };

        (void) strcpy(k.dock_id, dock);
        assert_int_equal(fleet_enroll(f, &k), 0);
}

static int setup(void **state) {
        World *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        assert_int_equal(sign_key_new(&w->admin) | sign_key_new(&w->a) | sign_key_new(&w->b) | sign_key_new(&w->stranger), 0);
        assert_int_equal(fleet_new("north", &w->fleet), 0);
        enroll(w->fleet, DOCK_A, w->a);
        enroll(w->fleet, DOCK_B, w->b);
        w->own[0] = w->own[1] = *sign_key_public(w->b);
        w->trust = (StoredClipTrust){ .list = w->fleet, .dock_id = DOCK_B, .own_keys = w->own, .n_own_keys = 1, .now_usec = NOW };
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
        free(w);
        return 0;
}

typedef struct Said {
        const SignKey *key;
        const char *type, *store_key, *fleet, *dock;
        uint64_t seq;
        int64_t at_usec;
} Said;

static Said said(const World *w) {
        return (Said){ w->a, STATEMENT_STORED_CLIP, KEY, "north", DOCK_A, 7, NOW };
}

/* A manifest as the uplink makes it of facts that were signed so. */
static json_t *manifest(const Said *said) {
        const StoredClip clip = { "SN-1", "DCIM/A.MP4", NOW / (int64_t) USEC_PER_SEC, 5, { { 1 } } };
        const StatementAbout about = { said->type, said->store_key, said->fleet, said->dock, said->seq };
        json_t *facts = json_pack("{s:s, s:i, s:{s:s}}", "dock", "gate", "clip_id", 3, "camera", "serial", "SN-1"), *members, *j;
        _cleanup_(freep) char *file = NULL;
        char hex[DIGEST_HEX_SIZE], time[UTC_TEXT_SIZE];
        Statement s = { 0 };

        members = stored_clip_members(&clip, facts, said->at_usec);
        assert_non_null(members);
        assert_int_equal(statement_make(said->key, &about, members, &s), 0);
        json_decref(members);
        file = statement_file(&s);
        statement_done(&s);
        assert_int_equal(json_object_set_new(facts, "signed", json_string(file)), 0);
        j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:o}", "version", MANIFEST_VERSION, "object", "objects/SN-1/2024-10-04/A.0",
                      "manifest", KEY, "serial", clip.serial, "path", clip.path, "mtime", utc_text(NOW, time), "size", 5, "sha256",
                      digest_to_hex(&clip.digest, hex), "facts", facts);
        assert_non_null(j);
        return j;
}

/* Takes `j`. */
static void judged(const World *w, json_t *j, const char *key, int verdict, const char *expected) {
        _cleanup_(freep) char *text = json_dumps(j, 0);
        const char *why = "untouched";
        StoredClipSigner signer;

        json_decref(j);
        assert_int_equal(stored_clip_judge(text, strlen(text), key, &w->trust, &why, &signer), verdict);
        if (!expected)
                assert_null(why);
        else if (!why || !strstr(why, expected))
                fail_msg("'%s', not '%s'", why ? why : "", expected);
}

static void test_manifest_of_a_dock_of_the_list_is_believed(void **state) {
        World *w = *state;
        Said s = said(w);

        judged(w, manifest(&s), KEY, STORED_CLIP_FLEETS, NULL);
        judged(w, manifest(&s), NULL, STORED_CLIP_FLEETS, NULL);
}

static void test_own_manifest_is_believed_with_and_without_a_list(void **state) {
        World *w = *state;
        Said s = said(w);

        s.key = w->b;
        s.dock = DOCK_B;
        judged(w, manifest(&s), KEY, STORED_CLIP_OURS, NULL);
        w->trust.list = NULL;
        judged(w, manifest(&s), KEY, STORED_CLIP_OURS, NULL);
        /* By the key that it had before, too. */
        w->own[0] = *sign_key_public(w->stranger);
        w->trust.n_own_keys = 2;
        judged(w, manifest(&s), KEY, STORED_CLIP_OURS, NULL);
        w->trust.n_own_keys = 1;
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "none of its own");
}

static void test_each_member_that_is_altered_is_found(void **state) {
        static const struct {
                const char *name, *value, *why;
        } altered[] = {
                { "version", "2", "its version" },      { "serial", "\"SN-2\"", "its camera" },
                { "path", "\"B.MP4\"", "its path" },    { "mtime", "null", "its clip's time" },
                { "size", "6", "its size" },            { "sha256", "\"00\"", "its digest" },
                { "manifest", "\"x\"", "copied here" }, { "facts", "{}", "no dock signed it" },
        };
        World *w = *state;
        Said s = said(w);

        for (size_t i = 0; i < ELEMENTSOF(altered); i++) {
                bool unsigned_now = strcmp(altered[i].name, "facts") == 0;
                json_t *j = manifest(&s);

                assert_int_equal(json_object_set_new(j, altered[i].name, json_loads(altered[i].value, JSON_DECODE_ANY, NULL)), 0);
                judged(w, j, KEY, unsigned_now ? STORED_CLIP_UNSIGNED : STORED_CLIP_REFUSED, altered[i].why);
                j = manifest(&s);
                assert_int_equal(json_object_del(j, altered[i].name), 0);
                judged(w, j, KEY, unsigned_now ? STORED_CLIP_UNSIGNED : STORED_CLIP_REFUSED, altered[i].why);
        }
        for (const char *const *name = (const char *const[]){ "dock", "clip_id", "camera", NULL }; *name; name++) {
                json_t *j = manifest(&s);

                assert_int_equal(json_object_set_new(json_object_get(j, "facts"), *name, json_string("other")), 0);
                judged(w, j, KEY, STORED_CLIP_REFUSED, "its facts");
        }
}

static void test_signed_text_that_is_altered_is_found(void **state) {
        World *w = *state;
        Said s = said(w);
        json_t *j = manifest(&s);
        json_t *facts = json_object_get(j, "facts");
        char *text = strdup(json_string_value(json_object_get(facts, "signed"))), *at;

        assert_non_null(text);
        at = strstr(text, "\"size\":5");
        assert_non_null(at);
        at[strlen("\"size\":")] = '6';
        assert_int_equal(json_object_set_new(facts, "signed", json_string(text)), 0);
        judged(w, j, KEY, STORED_CLIP_REFUSED, "its signature is not");
        text[5] = '+';
        j = manifest(&s);
        assert_int_equal(json_object_set_new(json_object_get(j, "facts"), "signed", json_string(text)), 0);
        judged(w, j, KEY, STORED_CLIP_REFUSED, "cannot be read");
        j = manifest(&s);
        assert_int_equal(json_object_set_new(json_object_get(j, "facts"), "signed", json_true()), 0);
        judged(w, j, KEY, STORED_CLIP_REFUSED, "cannot be read");
        judged(w, json_array(), KEY, STORED_CLIP_REFUSED, "no manifest");
        free(text);
}

static void test_each_copy_and_replay_is_refused(void **state) {
        World *w = *state;
        Said s;

        s = said(w), s.type = STATEMENT_MANIFEST;
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "another type");
        s = said(w), s.store_key = "manifests/SN-1/2024-10-04/B.MP4.0100000000000000.json";
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "made for another key in the store");
        s = said(w);
        judged(w, manifest(&s), "manifests/elsewhere", STORED_CLIP_REFUSED, "made for another key in the store");
        s = said(w), s.fleet = "south";
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "another fleet");
        s = said(w), s.dock = DOCK_B;
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "another dock");
        s = said(w), s.key = w->b;
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "another dock");
        s = said(w), w->trust.known = &(StoredClipSigner){ .dock_id = DOCK_A, .seq = 8 };
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "played again");
        /* One's own, too. */
        s = said(w), s.key = w->b, s.dock = DOCK_B, w->trust.known = &(StoredClipSigner){ .dock_id = DOCK_B, .seq = 8 };
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "played again");
        /* The very one, and one of another dock, are not. */
        s = said(w), w->trust.known = &(StoredClipSigner){ .dock_id = DOCK_A, .seq = 7 };
        judged(w, manifest(&s), KEY, STORED_CLIP_FLEETS, NULL);
        s = said(w), w->trust.known = &(StoredClipSigner){ .dock_id = DOCK_B, .seq = 99 };
        judged(w, manifest(&s), KEY, STORED_CLIP_FLEETS, NULL);
}

static void test_signer_that_does_not_count_is_refused(void **state) {
        World *w = *state;
        Said s;

        for (const SignKey *const *key = (const SignKey *const[]){ w->stranger, w->admin, NULL }; *key; key++) {
                s = said(w), s.key = *key;
                judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "not in the fleet's list");
        }
        s = said(w), s.at_usec = NOW + DAY;
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "had expired");
        s = said(w), s.at_usec = NOW - DAY - 1;
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "did not count yet");
        w->fleet->expires_usec = NOW;
        s = said(w);
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "list of the fleet's docks, by which it would count, has expired");
        w->fleet->expires_usec = 0;
        assert_int_equal(fleet_revoke(w->fleet, DOCK_A, NULL) + fleet_revoke(w->fleet, DOCK_B, NULL), 2);
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "revoked");
        s.key = w->b, s.dock = DOCK_B;
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "revoked");
        s = said(w), w->trust.list = NULL;
        judged(w, manifest(&s), KEY, STORED_CLIP_REFUSED, "goes by no list");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_manifest_of_a_dock_of_the_list_is_believed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_own_manifest_is_believed_with_and_without_a_list, setup, teardown),
                cmocka_unit_test_setup_teardown(test_each_member_that_is_altered_is_found, setup, teardown),
                cmocka_unit_test_setup_teardown(test_signed_text_that_is_altered_is_found, setup, teardown),
                cmocka_unit_test_setup_teardown(test_each_copy_and_replay_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_signer_that_does_not_count_is_refused, setup, teardown),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
