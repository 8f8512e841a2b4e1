/* SPDX-License-Identifier: Apache-2.0 */

/* The names of things in a store: safe, short, and different for different clips. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/layout.h"

#define OBJECT_KEY "objects/SN-1/2026-11-23/A.MP4.0123456789abcdef"

static void test_component_escapes_all_that_is_not_plain(void **state) {
        static const struct {
                const char *text, *expected;
        } cases[] = {
                { "A_b-9.MP4", "A_b-9.MP4" },
                { "DCIM/100/A.MP4", "DCIM~~100~~A.MP4" },
                { "a b", "a~20b" },
                { "~", "~7E" },
                { "~~", "~7E~7E" },
                { ".", "~2E" },
                { "..", "~2E~2E" },
                { ".hidden", "~2Ehidden" },
                { "end.", "end~2E" },
                { "..MP4", "~2E.MP4" },
                { "\xc3\xa9.MP4", "~C3~A9.MP4" },
                { "%2F", "~252F" },
                { "a:b*c?d|e\\f\"g<h>", "a~3Ab~2Ac~3Fd~7Ce~5Cf~22g~3Ch~3E" },
        };
        char name[LAYOUT_COMPONENT_SIZE];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(layout_component(cases[i].text, name), 0);
                assert_string_equal(name, cases[i].expected);
        }
        assert_int_equal(layout_component("", name), -EINVAL);
}

static void fill(char *text, size_t n, const char *with, const char *end) {
        size_t m = strlen(with);

        for (size_t i = 0; i < n; i++)
                text[i] = with[i % m];
        strcpy(text + n, end);
}

static void test_long_names_are_cut_keep_their_extension_and_stay_different(void **state) {
        char text[300], one[LAYOUT_COMPONENT_SIZE], other[LAYOUT_COMPONENT_SIZE];

        (void) state;
        fill(text, 116, "x", ".MP4");
        assert_int_equal(layout_component(text, one), 0);
        assert_string_equal(one, text);
        fill(text, 117, "x", ".MP4");
        assert_int_equal(layout_component(text, one), 0);
        assert_int_equal(strlen(one), LAYOUT_COMPONENT_MAX);
        assert_string_equal(one + LAYOUT_COMPONENT_MAX - 4, ".MP4");
        assert_non_null(strstr(one, "~h"));
        text[116] = 'y';
        assert_int_equal(layout_component(text, other), 0);
        assert_string_not_equal(one, other);
        /* An escape is never cut in two. */
        for (size_t n = 80; n < 100; n++) {
                const char *p;

                fill(text, n, "a \xc3\xa9", ".MP4");
                assert_int_equal(layout_component(text, one), 0);
                assert_true(strlen(one) <= LAYOUT_COMPONENT_MAX);
                p = strstr(one, "~h");
                assert_non_null(p);
                assert_int_equal(strlen(p), 2 + 16 + 4);
                for (p = one; (p = strchr(p, '~')) && p[1] != 'h'; p += 3)
                        assert_true(strspn(p + 1, "0123456789ABCDEF") >= 2);
        }
        /* What only looks like an extension is cut like the rest. */
        fill(text, 200, "x", ".");
        fill(text + 201, 90, "y", "");
        assert_int_equal(layout_component(text, one), 0);
        assert_null(strchr(one, '.'));
}

static void test_different_names_never_meet(void **state) {
        static const char *const names[] = { "a/b", "a~~b", "a~2Fb", "a b", "a~20b", "A/b", ".a", "~2Ea", "a.", "a", "a/b/", "a~", "a~~" };
        char one[LAYOUT_COMPONENT_SIZE], other[LAYOUT_COMPONENT_SIZE];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                for (size_t k = 0; k < i; k++) {
                        assert_int_equal(layout_component(names[i], one), 0);
                        assert_int_equal(layout_component(names[k], other), 0);
                        assert_string_not_equal(one, other);
                }
}

static void test_day_is_the_clips_own_or_the_dockings(void **state) {
        char day[11];

        (void) state;
        assert_int_equal(layout_day(1700000000, 0, day), 0);
        assert_string_equal(day, "2023-11-14");
        assert_int_equal(layout_day(INT64_MIN, 1700086400, day), 0);
        assert_string_equal(day, "2023-11-15");
        assert_int_equal(layout_day(-5, 0, day), 0);
        assert_string_equal(day, "1970-01-01");
        assert_int_equal(layout_day(INT64_MAX, 253402300799, day), 0);
        assert_string_equal(day, "9999-12-31");
        assert_int_equal(layout_day(INT64_MAX, 253402300800, day), -EINVAL);
        assert_int_equal(layout_day(INT64_MIN, INT64_MIN, day), -EINVAL);
}

static void test_keys_are_made_and_taken_apart(void **state) {
        Digest digest = { { 0xab, 0xcd, 0, 1, 2, 3, 4, 5, 6 } };
        _cleanup_(freep) char *object = NULL, *manifest = NULL;
        LayoutKey key;

        (void) state;
        assert_int_equal(layout_object_key("S/1", "2026-11-23", "DCIM/A.MP4", 0x12ab, &object), 0);
        assert_string_equal(object, "objects/S~~1/2026-11-23/DCIM~~A.MP4.00000000000012ab");
        assert_int_equal(layout_manifest_key("S/1", "2026-11-23", "DCIM/A.MP4", &digest, &manifest), 0);
        assert_string_equal(manifest, "manifests/S~~1/2026-11-23/DCIM~~A.MP4.abcd000102030405.json");
        assert_int_equal(layout_parse_key(object, LAYOUT_OBJECTS, &key), 0);
        assert_string_equal(key.parts[0], "objects");
        assert_string_equal(key.parts[1], "S~~1");
        assert_string_equal(key.parts[2], "2026-11-23");
        assert_string_equal(key.parts[3], "DCIM~~A.MP4.00000000000012ab");
        assert_int_equal(layout_parse_key(object, LAYOUT_MANIFESTS, &key), -EINVAL);
        assert_int_equal(layout_parse_key(manifest, LAYOUT_MANIFESTS, &key), 0);
}

static void test_longest_names_make_keys_that_can_be_taken_apart(void **state) {
        _cleanup_(freep) char *object = NULL, *manifest = NULL;
        char serial[256], path[1000];
        Digest digest = { { 1 } };
        LayoutKey key;

        (void) state;
        fill(serial, 250, "\xf0\x9f\x9a\x94", "");
        fill(path, 900, "\xc3\xa9/", ".jpeg");
        assert_int_equal(layout_object_key(serial, "2026-11-23", path, UINT64_MAX, &object), 0);
        assert_int_equal(layout_manifest_key(serial, "2026-11-23", path, &digest, &manifest), 0);
        assert_true(strlen(manifest) < LAYOUT_KEY_MAX);
        assert_int_equal(layout_parse_key(object, LAYOUT_OBJECTS, &key), 0);
        assert_int_equal(layout_parse_key(manifest, LAYOUT_MANIFESTS, &key), 0);
}

static void test_what_is_no_key_is_refused(void **state) {
        static const char *const bad[] = {
                "",
                "objects",
                "objects/a",
                "objects/a/b",
                "objects/a/b/",
                "objects/a/b/c/d",
                "/objects/a/b/c",
                "objects//b/c",
                "objects/../b/c",
                "objects/a/./c",
                "objects/a/b/..",
                "objects/a/b/.c",
                "objects/a/b/c d",
                "objects/a/b/c\n",
                "objects/a/b/\xc3\xa9",
                "objects/a/b%2f/c",
                "manifests/a/b/c",
                "../objects/a/b/c",
        };
        char large[4096];
        LayoutKey key;

        (void) state;
        assert_int_equal(layout_parse_key(OBJECT_KEY, LAYOUT_OBJECTS, &key), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (layout_parse_key(bad[i], LAYOUT_OBJECTS, &key) != -EINVAL)
                        fail_msg("'%s' was taken for a key", bad[i]);
        strcpy(large, "objects/");
        fill(large + 8, 2000, "a", "/b/c");
        assert_int_equal(layout_parse_key(large, LAYOUT_OBJECTS, &key), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_component_escapes_all_that_is_not_plain),
                cmocka_unit_test(test_long_names_are_cut_keep_their_extension_and_stay_different),
                cmocka_unit_test(test_different_names_never_meet),
                cmocka_unit_test(test_day_is_the_clips_own_or_the_dockings),
                cmocka_unit_test(test_keys_are_made_and_taken_apart),
                cmocka_unit_test(test_longest_names_make_keys_that_can_be_taken_apart),
                cmocka_unit_test(test_what_is_no_key_is_refused),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
