/* SPDX-License-Identifier: Apache-2.0 */

/* Rosters, and the tables that they come in. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/roster.h"

static json_t *read_table(const char *text) {
        ConfError error = { 0 };
        json_t *roster = NULL;

        if (roster_from_csv("r.csv", text, strlen(text), &roster, &error) < 0)
                fail_msg("%s", error.text);
        return roster;
}

static void test_table_is_read(void **state) {
        json_t *r = read_table("id,name,badge,camera,remark\r\nP-1,\"Doe, \"\"JD\"\" Jane\",0042,SN-7,\r\n\r\nP-2,Ann,,,on leave\n");
        Officer o;
        (void) state;

        assert_int_equal(json_array_size(r), 2);
        o = roster_officer(r, 0);
        assert_string_equal(o.id, "P-1");
        assert_string_equal(o.name, "Doe, \"JD\" Jane");
        assert_string_equal(o.badge, "0042");
        assert_string_equal(o.serial, "SN-7");
        assert_string_equal(o.unit_id, "");
        assert_string_equal(roster_officer(r, 1).serial, "");
        json_decref(r);

        /* As spreadsheets of other countries write it, with a byte order mark and no end of the last line. */
        r = read_table("\xef\xbb\xbfname;id\nJörg;P-3");
        assert_string_equal(roster_officer(r, 0).name, "Jörg");
        assert_string_equal(roster_officer(r, 0).id, "P-3");
        json_decref(r);
}

static void test_what_is_wrong_is_named(void **state) {
        static const struct {
                const char *text, *why;
        } rows[] = {
                { "", "r.csv:1: the first line names the columns" },
                { "officer,name\nP-1,x\n", "r.csv:1: the first line names the columns" },
                { "id,name\nP-1,a\n,b\n", "r.csv:3: the id is empty" },
                { "id,name\nP-1,\"a\nP-2,b\n", "r.csv:2: a quote is not closed" },
                { "id,name\nP-1,\"a\"b\n", "r.csv:2: something follows a closing quote" },
                { "id,name\nP-1,a,b\n", "r.csv:2: there are 3 fields, and 2 columns" },
                { "id,name\nP-1,\xff\n", "r.csv:2: the name is not UTF-8" },
                { "id,badge\nP-1,7\nP-2,7\n", "the badge '7' is there twice" },
                { "id,camera\nP-1,7\nP-2,7\n", "the camera '7' is there twice" },
                { "id\nP-1\nP-1\n", "the id 'P-1' is there twice" },
                { "id\n\001\n", "not printable" },
        };
        (void) state;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                ConfError error = { 0 };
                json_t *roster = NULL;

                assert_int_equal(roster_from_csv("r.csv", rows[i].text, strlen(rows[i].text), &roster, &error), -EINVAL);
                if (!strstr(error.text, rows[i].why))
                        fail_msg("row %zu: %s", i, error.text);
                assert_null(roster);
        }
}

static void test_json_of_another_form_is_refused(void **state) {
        static const char *const texts[] = { "{}", "[1]", "[{}]", "[{\"id\": 7}]", "[{\"id\": \"a\", \"name\": null}]" };
        (void) state;

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                json_t *j = json_loads(texts[i], 0, NULL);
                ConfError error = { 0 };

                assert_int_equal(roster_check(j, &error), -EINVAL);
                assert_true(error.text[0]);
                json_decref(j);
        }
}

#define NOW INT64_C(1790000000000000)

static char *signed_by(const SignKey *admin, const char *fleet, uint64_t number) {
        json_t *roster = json_loads("[{\"id\": \"P-1\", \"camera\": \"SN-7\"}]", 0, NULL);
        char *file = NULL;

        assert_int_equal(roster_sign(admin, fleet, number, NOW, roster, &file), 0);
        json_decref(roster);
        return file;
}

static void expect_refusal(const char *file, const PublicKey *admin, uint64_t number, uint64_t last, int r, const char *why) {
        ConfError error = { 0 };
        json_t *roster = NULL;
        uint64_t is = 0;

        assert_int_equal(roster_parse(file, strlen(file), admin, "north", number, last, &roster, &is, &error), r);
        assert_null(roster);
        if (!strstr(error.text, why))
                fail_msg("%s", error.text);
}

static void test_signed_roster_counts_only_as_what_it_is(void **state) {
        SignKey *admin = NULL, *other = NULL;
        ConfError error = { 0 };
        json_t *roster = NULL;
        uint64_t number = 0;
        char *file, *elsewhere, *forged;
        (void) state;

        assert_int_equal(sign_key_new(&admin), 0);
        assert_int_equal(sign_key_new(&other), 0);
        file = signed_by(admin, "north", 5);
        assert_int_equal(roster_parse(file, strlen(file), sign_key_public(admin), "north", 5, 4, &roster, &number, &error), 0);
        assert_int_equal(number, 5);
        assert_string_equal(roster_officer(roster, 0).serial, "SN-7");
        json_decref(roster);

        expect_refusal(file, sign_key_public(other), 5, 4, -EKEYREJECTED, "does not count");
        expect_refusal(file, sign_key_public(admin), 6, 4, -EKEYREJECTED, "does not count"); /* copied under another name */
        expect_refusal(file, sign_key_public(admin), 0, 5, -EKEYREJECTED, "does not count"); /* played again */
        elsewhere = signed_by(admin, "south", 5);
        expect_refusal(elsewhere, sign_key_public(admin), 5, 4, -EKEYREJECTED, "does not count");
        forged = strdup(file);
        strstr(forged, "SN-7")[3] = '8';
        expect_refusal(forged, sign_key_public(admin), 5, 4, -EKEYREJECTED, "signature");
        expect_refusal("hello", sign_key_public(admin), 5, 4, -EBADE, "no signed roster");
        free(file);
        free(elsewhere);
        free(forged);
        sign_key_free(admin);
        sign_key_free(other);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table_is_read),
                cmocka_unit_test(test_what_is_wrong_is_named),
                cmocka_unit_test(test_json_of_another_form_is_refused),
                cmocka_unit_test(test_signed_roster_counts_only_as_what_it_is),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
