/* SPDX-License-Identifier: Apache-2.0 */

/* Text for terminals: made safe, measured, cut. */

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/display.h"

static const Look utf8 = { .utf8 = true }, ascii = { 0 };

static void expect_text(const char *raw, const Look *look, const char *expected) {
        _cleanup_(freep) char *text = display_text(raw, look);
        assert_non_null(text);
        assert_string_equal(text, expected);
}

static void expect_fit(const char *text, size_t width, bool keep_end, const Look *look, const char *expected) {
        _cleanup_(freep) char *fitted = display_fit(text, width, keep_end, look);
        assert_non_null(fitted);
        assert_string_equal(fitted, expected);
        assert_true(display_width(fitted) <= width);
}

static void test_printable_text_passes_unchanged(void **state) {
        (void) state;
        expect_text("", &utf8, "");
        expect_text("BC-0003 ~!@#", &utf8, "BC-0003 ~!@#");
        expect_text("カメラ é ß \U0001f4f7", &utf8, "カメラ é ß \U0001f4f7");
}

static void test_every_control_character_is_replaced(void **state) {
        (void) state;
        for (unsigned c = 1; c < 0xa0; c++) {
                char raw[3] = { (char) c };
                if (c >= 0x80) {
                        raw[0] = (char) (0xc0 | c >> 6);
                        raw[1] = (char) (0x80 | (c & 0x3f));
                }
                if (c < 0x20 || c >= 0x7f)
                        expect_text(raw, &utf8, "?");
                else
                        expect_text(raw, &utf8, raw);
        }
}

static void test_every_byte_that_is_not_utf8_is_replaced(void **state) {
        (void) state;
        expect_text("a\xff" "b", &utf8, "a?b");
        expect_text("\xc0\xaf", &utf8, "??");         /* overlong */
        expect_text("\xe0\x80\xaf", &utf8, "???");    /* overlong */
        expect_text("\xed\xa0\x80", &utf8, "???");    /* a surrogate */
        expect_text("\xf4\x90\x80\x80", &utf8, "????"); /* past the end of Unicode */
        expect_text("\xe2\x82", &utf8, "??");         /* cut short */
        expect_text("\xc2", &utf8, "?");
        expect_text("\xf0\x9f\x93", &utf8, "???");
}

static void test_characters_that_deceive_are_replaced(void **state) {
        (void) state;
        expect_text("a\u202e\u2066b", &utf8, "a??b"); /* direction */
        expect_text("a\u200b\ufeff\u00ad\u2028", &utf8, "a????"); /* invisible */
        expect_text("\U000e0041", &utf8, "?");        /* tags */
        expect_text("\u3164", &utf8, "?");            /* a blank that counts as a letter */
}

static void test_combining_characters_are_few_and_have_a_base(void **state) {
        (void) state;
        expect_text("e\u0301", &utf8, "e\u0301");
        expect_text("e\u0301\u0302\u0303\u0304", &utf8, "e\u0301\u0302??");
        expect_text("\u0301", &utf8, "?");
}

static void test_only_ascii_where_the_locale_has_no_more(void **state) {
        (void) state;
        expect_text("aé\U0001f4f7z", &ascii, "a??z");
}

static void test_width_is_in_columns(void **state) {
        (void) state;
        assert_int_equal(display_width(""), 0);
        assert_int_equal(display_width("abc"), 3);
        assert_int_equal(display_width("カメラ"), 6);
        assert_int_equal(display_width("e\u0301"), 1);
}

static void test_what_does_not_fit_is_cut_at_the_end_or_at_the_start(void **state) {
        (void) state;
        expect_fit("abcdef", 6, false, &utf8, "abcdef");
        expect_fit("abcdef", 5, false, &utf8, "abcd\u2026");
        expect_fit("abcdef", 5, true, &utf8, "\u2026cdef");
        expect_fit("abcdef", 5, true, &ascii, "~cdef");
        expect_fit("abcdef", 1, false, &utf8, "\u2026");
        expect_fit("abcdef", 0, true, &utf8, "");
        /* A wide character is not halved, and what combined with it goes as well. */
        expect_fit("カメラ", 4, false, &utf8, "カ\u2026");
        expect_fit("カメラ", 4, true, &utf8, "\u2026ラ");
        expect_fit("e\u0301xyz", 3, true, &utf8, "\u2026yz");
        expect_fit("abce\u0301", 2, false, &utf8, "a\u2026");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_printable_text_passes_unchanged),
                cmocka_unit_test(test_every_control_character_is_replaced),
                cmocka_unit_test(test_every_byte_that_is_not_utf8_is_replaced),
                cmocka_unit_test(test_characters_that_deceive_are_replaced),
                cmocka_unit_test(test_combining_characters_are_few_and_have_a_base),
                cmocka_unit_test(test_only_ascii_where_the_locale_has_no_more),
                cmocka_unit_test(test_width_is_in_columns),
                cmocka_unit_test(test_what_does_not_fit_is_cut_at_the_end_or_at_the_start),
        };
        if (!setlocale(LC_CTYPE, "C.UTF-8")) {
                puts("1..0 # SKIP no UTF-8 locale");
                return 0;
        }
        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
