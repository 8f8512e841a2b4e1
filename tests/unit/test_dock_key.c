/* SPDX-License-Identifier: Apache-2.0 */

/* The dock's key as files, above all what a kill in the middle of a change leaves: service/dock_key.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "service/dock_key.h"

static int setup(void **state) {
        const char *tmp = getenv("TMPDIR");
        char *dir = text_format("%s/berth-key-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");

        (void) unsetenv("CREDENTIALS_DIRECTORY");
        *state = dir && mkdtemp(dir) ? dir : NULL;
        return *state ? 0 : -1;
}

static int teardown(void **state) {
        static const char *const names[] = { "dock.key", "dock.key.new", ".dock.key.new", ".dock.key.new.new" };
        char *dir = *state;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(freep) char *path = text_format("%s/%s", dir, names[i]);

                (void) unlink(path);
        }
        (void) rmdir(dir);
        free(dir);
        return 0;
}

static bool exists(const char *dir, const char *name) {
        _cleanup_(freep) char *path = text_format("%s/%s", dir, name);

        return access(path, F_OK) == 0;
}

static DockKey known_as(const PublicKey *key) {
        return (DockKey){ .dock_id = "0123456789abcdef0123456789abcdef", .number = 1, .public = *key };
}

static DockKeys *must_open(const char *dir, const DockKey *known) {
        ConfError error = { 0 };
        DockKeys *keys = NULL;

        if (dock_keys_open(dir, known, &keys, &error) < 0)
                fail_msg("%s", error.text);
        return keys;
}

static void test_first_key_stays_the_key(void **state) {
        _cleanup_(dock_keys_freep) DockKeys *first = must_open(*state, NULL), *again = NULL;
        DockKey known = known_as(sign_key_public(dock_keys_now(first)));

        assert_null(dock_keys_next(first));
        again = must_open(*state, &known);
        assert_true(public_key_equal(sign_key_public(dock_keys_now(again)), &known.public));
}

static void test_change_that_the_log_knows_is_finished(void **state) {
        _cleanup_(dock_keys_freep) DockKeys *first = must_open(*state, NULL), *again = NULL, *third = NULL;
        DockKey known;

        assert_int_equal(dock_keys_prepare(first), 0);
        assert_int_equal(dock_keys_prepare(first), -EALREADY);
        assert_true(exists(*state, "dock.key.new"));
        known = known_as(sign_key_public(dock_keys_next(first))); /* committed; and then it was killed */
        again = must_open(*state, &known);
        assert_true(public_key_equal(sign_key_public(dock_keys_now(again)), &known.public));
        assert_null(dock_keys_next(again));
        assert_false(exists(*state, "dock.key.new"));
        third = must_open(*state, &known);
        assert_true(public_key_equal(sign_key_public(dock_keys_now(third)), &known.public));
}

static void test_change_that_the_log_does_not_know_is_undone(void **state) {
        _cleanup_(dock_keys_freep) DockKeys *first = must_open(*state, NULL), *again = NULL;
        DockKey known = known_as(sign_key_public(dock_keys_now(first)));

        assert_int_equal(dock_keys_prepare(first), 0); /* killed before the commit */
        again = must_open(*state, &known);
        assert_true(public_key_equal(sign_key_public(dock_keys_now(again)), &known.public));
        assert_null(dock_keys_next(again));
        assert_false(exists(*state, "dock.key.new"));
}

static void test_change_takes_over_and_is_given_up(void **state) {
        _cleanup_(dock_keys_freep) DockKeys *keys = must_open(*state, NULL);
        PublicKey first = *sign_key_public(dock_keys_now(keys)), second;

        assert_int_equal(dock_keys_prepare(keys), 0);
        assert_int_equal(dock_keys_give_up(keys), 0);
        assert_null(dock_keys_next(keys));
        assert_true(public_key_equal(sign_key_public(dock_keys_now(keys)), &first));
        assert_false(exists(*state, "dock.key.new"));
        assert_int_equal(dock_keys_prepare(keys), 0);
        second = *sign_key_public(dock_keys_next(keys));
        assert_int_equal(dock_keys_taken_over(keys), 0);
        assert_true(public_key_equal(sign_key_public(dock_keys_now(keys)), &second));
        assert_false(exists(*state, "dock.key.new"));
}

static void test_known_key_that_is_gone_is_an_error_and_not_a_new_key(void **state) {
        _cleanup_(dock_keys_freep) DockKeys *first = must_open(*state, NULL);
        DockKey known = known_as(sign_key_public(dock_keys_now(first)));
        _cleanup_(freep) char *path = text_format("%s/dock.key", (const char *) *state);
        ConfError error = { 0 };
        DockKeys *keys = NULL;

        assert_int_equal(unlink(path), 0);
        assert_int_equal(dock_keys_open(*state, &known, &keys, &error), -ENOKEY);
        assert_non_null(strstr(error.text, "is missing"));
        assert_false(exists(*state, "dock.key"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_first_key_stays_the_key),
                TEST(test_change_that_the_log_knows_is_finished),
                TEST(test_change_that_the_log_does_not_know_is_undone),
                TEST(test_change_takes_over_and_is_given_up),
                TEST(test_known_key_that_is_gone_is_an_error_and_not_a_new_key),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
