/* SPDX-License-Identifier: Apache-2.0 */

/* Tables: columns by display width, shrunk, dropped and filled to fit. */

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/table.h"

static const Look plain = { .utf8 = true };

static const Column columns[] = {
        { .title = "N", .right = true },
        { .title = "NAME", .min_width = 4 },
        { .title = "PATH", .min_width = 6, .keep_end = true, .drop_rank = 1 },
        { .title = "X", .drop_rank = 2 },
};

static Table *two_rows(void) {
        Table *t;
        assert_int_equal(table_new(columns, ELEMENTSOF(columns), &t), 0);
        table_row(t);
        table_cellf(t, STYLE_PLAIN, "%d", 7);
        table_cell(t, STYLE_PLAIN, "short");
        table_cell(t, STYLE_PLAIN, "a/b/c.mp4");
        table_cell(t, STYLE_PLAIN, "y");
        table_row(t);
        table_cellf(t, STYLE_PLAIN, "%d", 123);
        table_cell(t, STYLE_PLAIN, "much longer");
        table_cell(t, STYLE_PLAIN, NULL);
        table_cell(t, STYLE_PLAIN, "yy");
        return t;
}

/* Renders and compares line by line. */
static void expect(Table *t, const Look *look, const char *const *expected, size_t n) {
        Lines lines = { 0 };
        assert_int_equal(table_render(t, look, &lines), 0);
        assert_int_equal(lines.n, n);
        for (size_t i = 0; i < n; i++)
                assert_string_equal(lines.lines[i], expected[i]);
        lines_clear(&lines);
}
#define EXPECT(table, look, ...)                                                                                  \
        do {                                                                                                      \
                static const char *const expected_lines[] = { __VA_ARGS__ };                                      \
                expect(table, look, expected_lines, ELEMENTSOF(expected_lines));                                  \
        } while (0)

static void test_columns_are_as_wide_as_their_content(void **state) {
        (void) state;
        _cleanup_(table_freep) Table *t = two_rows();
        EXPECT(t, &plain, "  N  NAME         PATH       X",
                          "  7  short        a/b/c.mp4  y",
                          "123  much longer             yy");
}

static void test_the_widest_column_shrinks_first_and_shows_that_it_was_cut(void **state) {
        (void) state;
        _cleanup_(table_freep) Table *t = two_rows();
        EXPECT(t, &((Look) { .utf8 = true, .width = 26 }), "  N  NAME     PATH      X",
                                                           "  7  short    \u2026b/c.mp4  y",
                                                           "123  much l\u2026            yy");
        EXPECT(t, &((Look) { .width = 26 }), "  N  NAME     PATH      X",
                                             "  7  short    ~b/c.mp4  y",
                                             "123  much l~            yy");
}

static void test_columns_are_dropped_by_rank_when_shrinking_is_not_enough(void **state) {
        (void) state;
        _cleanup_(table_freep) Table *t = two_rows();
        EXPECT(t, &((Look) { .utf8 = true, .width = 18 }), "  N  NAME   PATH",
                                                           "  7  short  \u2026c.mp4",
                                                           "123  much\u2026");
        EXPECT(t, &((Look) { .utf8 = true, .width = 10 }), "  N  NAME",
                                                           "  7  short",
                                                           "123  much\u2026");
        /* What may not be dropped stays, even when it cannot fit. */
        EXPECT(t, &((Look) { .utf8 = true, .width = 3 }), "  N  NAME",
                                                          "  7  sho\u2026",
                                                          "123  muc\u2026");
}

static void test_wide_characters_count_twice_and_combining_ones_not_at_all(void **state) {
        (void) state;
        static const Column two[] = { { .title = "NAME" }, { .title = "B" } };
        _cleanup_(table_freep) Table *t = NULL;
        assert_int_equal(table_new(two, 2, &t), 0);
        static const char *const names[] = { "カメラ", "e\u0301t", "abcd" };
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                table_row(t);
                table_cell(t, STYLE_PLAIN, names[i]);
                table_cell(t, STYLE_PLAIN, "|");
        }
        EXPECT(t, &plain, "NAME    B", "カメラ  |", "e\u0301t      |", "abcd    |");
}

static void test_cells_cannot_steer_the_terminal(void **state) {
        (void) state;
        static const Column one[] = { { .title = "A" } };
        _cleanup_(table_freep) Table *t = NULL;
        assert_int_equal(table_new(one, 1, &t), 0);
        table_row(t);
        table_cell(t, STYLE_PLAIN, "a\033[2J\r\n\t\x7f\xff" "b\xc2\x9b\u202e");
        EXPECT(t, &plain, "A", "a?[2J?????b??");
}

static void test_colour_does_not_count_as_width(void **state) {
        (void) state;
        static const Column two[] = { { .title = "A", .right = true }, { .title = "B" } };
        _cleanup_(table_freep) Table *t = NULL;
        assert_int_equal(table_new(two, 2, &t), 0);
        table_row(t);
        table_cell(t, STYLE_GOOD, "g");
        table_cell(t, STYLE_PLAIN, "b");
        table_row(t);
        table_cell(t, STYLE_PLAIN, "long");
        table_cell(t, STYLE_BAD, "b");
        EXPECT(t, &((Look) { .utf8 = true, .colour = true }), "   \033[1mA\033[0m  \033[1mB\033[0m", "   \033[32mg\033[0m  b",
               "long  \033[1;31mb\033[0m");
}

static void bar(unsigned copied, unsigned stored, unsigned width, bool utf8, const char *expected) {
        static const Column one[] = { { .title = "P", .fill = true, .min_width = 4 } };
        _cleanup_(table_freep) Table *t = NULL;
        Lines lines = { 0 };
        assert_int_equal(table_new(one, 1, &t), 0);
        table_row(t);
        table_bar(t, copied, stored);
        assert_int_equal(table_render(t, &((Look) { .utf8 = utf8, .width = width }), &lines), 0);
        assert_string_equal(lines.lines[1], expected);
        lines_clear(&lines);
}

static void test_a_bar_shows_what_is_stored_copied_and_left(void **state) {
        (void) state;
        bar(500, 200, 15, false, "##===.....  50%");
        bar(500, 200, 15, true, "\u2588\u2588\u2593\u2593\u2593\u2591\u2591\u2591\u2591\u2591  50%");
        bar(0, 0, 15, false, "..........   0%");
        bar(1000, 1000, 15, false, "########## 100%");
        /* Never full before it is. */
        bar(999, 999, 15, false, "#########.  99%");
        /* Nonsense is bounded. */
        bar(5000, 9000, 15, false, "########## 100%");
        bar(500, 0, 5, false, "  50%");
}

static void test_a_filling_column_takes_the_room_up_to_its_limit(void **state) {
        (void) state;
        static const Column three[] = { { .title = "A" }, { .title = "P", .fill = true, .min_width = 10, .max_width = 20 },
                                        { .title = "B" } };
        static const unsigned given[] = { 16, 20, 26, 80 }, taken[] = { 10, 14, 20, 20 };
        for (size_t i = 0; i < ELEMENTSOF(given); i++) {
                _cleanup_(table_freep) Table *t = NULL;
                Lines lines = { 0 };
                assert_int_equal(table_new(three, 3, &t), 0);
                table_row(t);
                table_cell(t, STYLE_PLAIN, "a");
                table_bar(t, 0, 0);
                table_cell(t, STYLE_PLAIN, "b");
                assert_int_equal(table_render(t, &((Look) { .width = given[i] }), &lines), 0);
                assert_int_equal(display_width(lines.lines[1]), taken[i] + 6);
                lines_clear(&lines);
        }
}

static void test_any_content_fits_any_width_that_its_least_columns_fit(void **state) {
        (void) state;
        _cleanup_(table_freep) Table *t = two_rows();
        for (unsigned width = 9; width < 60; width++) {
                Lines lines = { 0 };
                assert_int_equal(table_render(t, &((Look) { .utf8 = true, .width = width }), &lines), 0);
                for (size_t i = 0; i < lines.n; i++)
                        assert_true(display_width(lines.lines[i]) <= width);
                lines_clear(&lines);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_columns_are_as_wide_as_their_content),
                cmocka_unit_test(test_the_widest_column_shrinks_first_and_shows_that_it_was_cut),
                cmocka_unit_test(test_columns_are_dropped_by_rank_when_shrinking_is_not_enough),
                cmocka_unit_test(test_wide_characters_count_twice_and_combining_ones_not_at_all),
                cmocka_unit_test(test_cells_cannot_steer_the_terminal),
                cmocka_unit_test(test_colour_does_not_count_as_width),
                cmocka_unit_test(test_a_bar_shows_what_is_stored_copied_and_left),
                cmocka_unit_test(test_a_filling_column_takes_the_room_up_to_its_limit),
                cmocka_unit_test(test_any_content_fits_any_width_that_its_least_columns_fit),
        };
        if (!setlocale(LC_CTYPE, "C.UTF-8")) {
                puts("1..0 # SKIP no UTF-8 locale");
                return 0;
        }
        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
