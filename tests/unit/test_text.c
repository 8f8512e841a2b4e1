/* SPDX-License-Identifier: Apache-2.0 */

/* Text from strangers: base/text.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <berth/plugin.h>

#include "base/text.h"

static void test_utf8_is_strict(void **state) {
        static const char *const good[] = { "",
                                            "a",
                                            "\xc2\x80",
                                            "\xdf\xbf",
                                            "\xe0\xa0\x80",
                                            "\xed\x9f\xbf",
                                            "\xee\x80\x80",
                                            "\xef\xbf\xbf",
                                            "\xf0\x90\x80\x80",
                                            "\xf4\x8f\xbf\xbf",
                                            "gr\xc3\xbc\xc3\x9f" };
        static const char *const bad[] = {
                "\x80",             /* a continuation alone */
                "\xc3",             /* cut off */
                "\xe2\x82",         /* cut off */
                "\xf0\x9f\x93",     /* cut off */
                "\xc0\x80",         /* overlong NUL */
                "\xc1\xbf",         /* overlong */
                "\xe0\x9f\xbf",     /* overlong */
                "\xf0\x8f\xbf\xbf", /* overlong */
                "\xed\xa0\x80",     /* a surrogate */
                "\xed\xbf\xbf",     /* a surrogate */
                "\xf4\x90\x80\x80", /* beyond U+10FFFF */
                "\xf5\x80\x80\x80", "\xff", "\xfe", "a\xc3(",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(text_is_utf8(good[i], strlen(good[i])));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(text_is_utf8(bad[i], strlen(bad[i])));
        assert_true(text_is_utf8("a\0b", 3));
}

static void test_printable_has_no_control_characters(void **state) {
        static const char *const bad[] = { "\n", "a\x1b[31m", "\x7f", "\xc2\x80", "\xc2\x9b", "\x01", "\xff" };

        (void) state;
        assert_true(text_is_printable(""));
        assert_true(text_is_printable("Body 2 \xe2\x82\xac \xf0\x9f\x93\xb7 ~"));
        assert_true(text_is_printable("\xc2\xa0"));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(text_is_printable(bad[i]));
}

static void test_sanitised_text_is_printable_and_fits(void **state) {
        static const struct {
                const char *text;
                size_t size;
                const char *expected;
        } rows[] = {
                { "plain", 99, "plain" },
                { "a\x1b[31mb\nc", 99, "a?[31mb?c" },
                { "\xc3\xa4\xff\xc3", 99, "\xc3\xa4??" },
                { "\xed\xa0\x80", 99, "???" },
                { "\xc2\x9b", 99, "??" },
                { "plain", 4, "pla" },
                { "pl\xc3\xa4n", 4, "pl" }, /* no half character */
                { "pl\xc3\xa4n", 5, "pl\xc3\xa4" },
                { "plain", 1, "" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char *ret = malloc(rows[i].size); /* so that a byte too many is seen */

                assert_non_null(ret);
                text_sanitise(rows[i].text, ret, rows[i].size);
                assert_string_equal(ret, rows[i].expected);
                assert_true(text_is_printable(ret));
                free(ret);
        }
        text_sanitise("x", NULL, 0);
}

static void test_escaped_name_is_one_safe_component(void **state) {
        static const struct {
                const char *name;
                size_t length;
                const char *expected;
        } rows[] = {
                { "A.MP4", 5, "A.MP4" },
                { "", 0, "%00" },
                { "a/b", 3, "a%2Fb" },
                { "100%", 4, "100%25" },
                { ".", 1, "%2E" },
                { "..", 2, "%2E." },
                { "...", 3, "..." },
                { ".a", 2, ".a" },
                { "a\nb\x7f", 4, "a%0Ab%7F" },
                { "a\0b", 3, "a%00b" },
                { "\xff\xc3\xa4\xc3", 4, "%FF\xc3\xa4%C3" },
                { "\xed\xa0\xbd", 3, "%ED%A0%BD" },
                { "\xc2\x85", 2, "%C2%85" },
                { "a b", 3, "a b" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char ret[64];

                assert_int_equal(text_escape_name(rows[i].name, rows[i].length, ret, sizeof(ret)),
                                 strlen(rows[i].expected));
                assert_string_equal(ret, rows[i].expected);
                assert_true(text_path_is_valid(ret));
        }
}

static void test_escaped_name_fits_or_is_refused(void **state) {
        char ret[8];

        (void) state;
        for (size_t size = 0; size < 4; size++)
                assert_int_equal(text_escape_name("", 0, ret, size), -ENAMETOOLONG);
        assert_int_equal(text_escape_name("a/", 2, ret, 4), -ENAMETOOLONG);
        assert_int_equal(text_escape_name("a/", 2, ret, 5), 4);
        assert_int_equal(text_escape_name("abc", 3, ret, 3), -ENAMETOOLONG);
        assert_int_equal(text_escape_name("abc", 3, ret, 4), 3);
        assert_int_equal(text_escape_name("a", 1, ret, 0), -ENAMETOOLONG);
}

static void test_different_names_stay_different(void **state) {
        char a[64], b[64];

        (void) state;
        (void) text_escape_name("a/b", 3, a, sizeof(a));
        (void) text_escape_name("a%2Fb", 5, b, sizeof(b));
        assert_string_not_equal(a, b);
        (void) text_escape_name("", 0, a, sizeof(a));
        (void) text_escape_name("%00", 3, b, sizeof(b));
        assert_string_not_equal(a, b);
}

static void test_path_stays_below_its_root(void **state) {
        static const char *const bad[] = { "",     "/",    "/a",    "a/",     "a//b", ".",     "..",
                                           "a/..", "../a", "a/./b", "a/../b", "a\nb", "a/\xff" };
        static const char *const good[] = { "a", "a/b", "...", "a/.b", "a/..b", "a b/c%2Fd", "DCIM/100/\xc3\xa4.MP4" };
        char *path = malloc(BERTH_PATH_MAX + 1);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(text_path_is_valid(bad[i]));
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(text_path_is_valid(good[i]));
        assert_non_null(path);
        memset(path, 'a', BERTH_PATH_MAX);
        path[BERTH_PATH_MAX] = 0;
        assert_false(text_path_is_valid(path));
        path[BERTH_PATH_MAX - 1] = 0;
        assert_true(text_path_is_valid(path));
        free(path);
}

static void test_bytes_are_shown_in_the_unit_that_fits(void **state) {
        static const struct {
                unsigned long long bytes;
                const char *expected;
        } rows[] = {
                { 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" }, { 1536, "1.5 KiB" }, { 1048575, "1.0 MiB" },
                { 4ull << 30, "4.0 GiB" }, { 1ull << 40, "1.0 TiB" }, { UINT64_MAX, "16.0 EiB" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char ret[16];

                assert_string_equal(text_bytes(rows[i].bytes, ret), rows[i].expected);
        }
}

static void test_equal_takes_null(void **state) {
        (void) state;
        assert_true(text_equal(NULL, NULL));
        assert_false(text_equal(NULL, ""));
        assert_false(text_equal("", NULL));
        assert_true(text_equal("a", "a"));
        assert_false(text_equal("a", "b"));
}

static void test_format_makes_a_string(void **state) {
        char *s = text_format("%s-%d", "a", 7);

        (void) state;
        assert_string_equal(s, "a-7");
        free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_utf8_is_strict),
                cmocka_unit_test(test_printable_has_no_control_characters),
                cmocka_unit_test(test_sanitised_text_is_printable_and_fits),
                cmocka_unit_test(test_escaped_name_is_one_safe_component),
                cmocka_unit_test(test_escaped_name_fits_or_is_refused),
                cmocka_unit_test(test_different_names_stay_different),
                cmocka_unit_test(test_path_stays_below_its_root),
                cmocka_unit_test(test_bytes_are_shown_in_the_unit_that_fits),
                cmocka_unit_test(test_equal_takes_null),
                cmocka_unit_test(test_format_makes_a_string),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
