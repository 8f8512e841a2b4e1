/* SPDX-License-Identifier: Apache-2.0 */

/* Configuration files: base/conf.c. Every error names file and line. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/fd.h"
#include "base/text.h"

/* What the sink saw, one line each: "3 [bay|1-1.2] number=4". */
typedef struct Seen {
        char text[2048];
        const char *fail_at; /* a key */
        int fail_with;
} Seen;

static int sink(const ConfLine *line, void *userdata, ConfError *error) {
        Seen *seen = userdata;
        size_t at = strlen(seen->text);

        (void) error;
        (void) snprintf(seen->text + at, sizeof(seen->text) - at, "%u [%s|%s] %s=%s\n", line->line, line->section,
                        line->name, line->key ? line->key : "", line->value ? line->value : "");
        return seen->fail_at && text_equal(line->key, seen->fail_at) ? seen->fail_with : 0;
}

static int parse(const char *text, Seen *seen, ConfError *error) {
        *error = (ConfError){ "" };
        return conf_parse_text("x.conf", text, strlen(text), sink, seen, error);
}

static void test_sections_keys_and_comments(void **state) {
        static const char text[] = "# a comment\n"
                                   "; another\n"
                                   "\n"
                                   "[dock]\n"
                                   "name = North gate \n"
                                   "  empty=\n"
                                   "a = b = c # no comment here\n"
                                   "[ bay   1-1.2 ]\r\n"
                                   "number\t=\t4\r\n"
                                   "plugin.x = y";
        Seen seen = { .text = "" };
        ConfError error;

        (void) state;
        assert_int_equal(parse(text, &seen, &error), 0);
        assert_string_equal(seen.text, "4 [dock|] =\n"
                                       "5 [dock|] name=North gate\n"
                                       "6 [dock|] empty=\n"
                                       "7 [dock|] a=b = c # no comment here\n"
                                       "8 [bay|1-1.2] =\n"
                                       "9 [bay|1-1.2] number=4\n"
                                       "10 [bay|1-1.2] plugin.x=y\n");
        assert_string_equal(error.text, "");
}

static void test_empty_text_is_no_settings(void **state) {
        Seen seen = { .text = "" };
        ConfError error;

        (void) state;
        assert_int_equal(parse("", &seen, &error), 0);
        assert_int_equal(conf_parse_text("x", NULL, 0, sink, &seen, &error), 0);
        assert_string_equal(seen.text, "");
}

static void test_syntax_errors_name_file_and_line(void **state) {
        static const struct {
                const char *text, *expected;
        } rows[] = {
                { "[dock]\nname\n", "x.conf:2: neither a [section]" },
                { "name = x\n", "x.conf:1: a setting before the first [section]" },
                { "\n\n[dock\n", "x.conf:3: a section's line must end with ']'" },
                { "[]\n", "x.conf:1: a section's name" },
                { "[do:ck]\n", "x.conf:1: a section's name" },
                { "[dock]\n = x\n", "x.conf:2: a key is" },
                { "[dock]\nna me = x\n", "x.conf:2: a key is" },
                { "[dock]\nname = \xff\n", "x.conf:2: not UTF-8" },
                { "[", "x.conf:1: a section's line" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Seen seen = { .text = "" };
                ConfError error;

                assert_int_equal(parse(rows[i].text, &seen, &error), -EBADMSG);
                if (strncmp(error.text, rows[i].expected, strlen(rows[i].expected)) != 0)
                        fail_msg("%s", error.text);
        }
}

static void test_nul_byte_is_an_error_on_its_line(void **state) {
        Seen seen = { .text = "" };
        ConfError error = { "" };

        (void) state;
        assert_int_equal(conf_parse_text("x.conf", "[a]\nb=c\nd=\0\n", 12, sink, &seen, &error), -EBADMSG);
        assert_string_equal(error.text, "x.conf:3: not UTF-8 text");
}

static void test_error_of_the_sink_ends_the_reading_and_has_a_sentence(void **state) {
        Seen seen = { .fail_at = "b", .fail_with = -ENOMEM };
        ConfError error;

        (void) state;
        assert_int_equal(parse("[s]\na = 1\nb = 2\nc = 3\n", &seen, &error), -ENOMEM);
        assert_null(strstr(seen.text, "c=3"));
        assert_non_null(strstr(error.text, "x.conf:3: [s] b: "));
}

static void test_error_text_is_safe_on_a_terminal(void **state) {
        Seen seen = { .fail_at = "b", .fail_with = -EINVAL };
        ConfError error;

        (void) state;
        assert_int_equal(parse("[s a\x1b[31m]\nb = 2\n", &seen, &error), -EINVAL);
        assert_true(text_is_printable(error.text));
}

/* ---- Values ---- */

static ConfLine value_line(const char *value) {
        return (ConfLine){ .file = "x.conf", .line = 7, .section = "s", .name = "", .key = "k", .value = value };
}

static void assert_named(const ConfError *error) {
        if (strncmp(error->text, "x.conf:7: [s] k: ", 17) != 0)
                fail_msg("%s", error->text);
}

static void test_bool(void **state) {
        static const struct {
                const char *text;
                int expected;
        } rows[] = { { "yes", 1 }, { "true", 1 }, { "on", 1 }, { "1", 1 },    { "no", 0 }, { "false", 0 },
                     { "off", 0 }, { "0", 0 },    { "", -1 },  { "Yes", -1 }, { "2", -1 }, { "maybe", -1 } };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ConfLine line = value_line(rows[i].text);
                ConfError error = { "" };
                bool v = false;

                if (rows[i].expected < 0) {
                        assert_int_equal(conf_bool(&line, &v, &error), -EINVAL);
                        assert_named(&error);
                } else {
                        assert_int_equal(conf_bool(&line, &v, &error), 0);
                        assert_int_equal(v, rows[i].expected);
                }
        }
}

typedef int (*Number)(const ConfLine *line, uint64_t min, uint64_t max, uint64_t *ret, ConfError *error);

static void check_number(Number parse_number, const char *text, bool good, uint64_t expected) {
        ConfLine line = value_line(text);
        ConfError error = { "" };
        uint64_t v = 77;
        int r = parse_number(&line, 1, UINT64_MAX, &v, &error);

        if (r != (good ? 0 : -EINVAL) || v != (good ? expected : 77))
                fail_msg("'%s': %d, %llu: %s", text, r, (unsigned long long) v, error.text);
        if (!good)
                assert_named(&error);
}

static void test_uint(void **state) {
        static const char *const bad[] = {
                "", "-1", "+1", " 1", "1 ", "0x10", "1.5", "0", "18446744073709551616", "abc"
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                check_number(conf_uint, bad[i], false, 0);
        check_number(conf_uint, "1", true, 1);
        check_number(conf_uint, "007", true, 7);
        check_number(conf_uint, "18446744073709551615", true, UINT64_MAX);
}

static void test_int(void **state) {
        static const char *const bad[] = { "", "-", "--1", "+1", " 1", "1 ", "- 1", "0x10", "1.5", "101", "-41", "99999999999999999999" };
        ConfError error = { "" };
        int64_t v = 77;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                ConfLine line = value_line(bad[i]);

                assert_int_equal(conf_int(&line, -40, 100, &v, &error), -EINVAL);
                assert_int_equal(v, 77);
                assert_named(&error);
        }
        for (int64_t i = -40; i <= 100; i += 35) {
                char text[8];
                ConfLine line;

                (void) snprintf(text, sizeof(text), "%d", (int) i);
                line = value_line(text);
                assert_int_equal(conf_int(&line, -40, 100, &v, &error), 0);
                assert_int_equal(v, i);
        }
}

static void test_bytes(void **state) {
        static const char *const bad[] = { "",     "K",    "1k",  "1 K",       "1KB",
                                           "1KiB", "1.5G", "-1K", "16777216T", "20000000000000000000" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                check_number(conf_bytes, bad[i], false, 0);
        check_number(conf_bytes, "512", true, 512);
        check_number(conf_bytes, "1K", true, 1024);
        check_number(conf_bytes, "512M", true, 512 * MIB);
        check_number(conf_bytes, "40G", true, 40 * GIB);
        check_number(conf_bytes, "2T", true, 2048 * GIB);
}

static void test_span(void **state) {
        static const char *const bad[] = { "", "5", "s", "5 s", "5m", "5hours", "1.5s", "-1s", "300000000d" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                check_number(conf_span, bad[i], false, 0);
        check_number(conf_span, "7us", true, 7);
        check_number(conf_span, "250ms", true, 250000);
        check_number(conf_span, "30s", true, 30 * USEC_PER_SEC);
        check_number(conf_span, "5min", true, 300 * USEC_PER_SEC);
        check_number(conf_span, "2h", true, 7200 * USEC_PER_SEC);
        check_number(conf_span, "1d", true, 86400 * USEC_PER_SEC);
}

static void test_ranges_are_said_in_the_values_own_units(void **state) {
        ConfLine line = value_line("11");
        ConfError error = { "" };
        uint64_t v;

        (void) state;
        assert_int_equal(conf_uint(&line, 1, 10, &v, &error), -EINVAL);
        assert_non_null(strstr(error.text, "11 is not between 1 and 10"));
        line = value_line("1K");
        assert_int_equal(conf_bytes(&line, MIB, GIB, &v, &error), -EINVAL);
        assert_non_null(strstr(error.text, "1K is not between 1.0 MiB and 1.0 GiB"));
        line = value_line("2h");
        assert_int_equal(conf_span(&line, 500000, 3600 * USEC_PER_SEC, &v, &error), -EINVAL);
        assert_non_null(strstr(error.text, "2h is not between 500ms and 1h"));
}

static void test_string_replaces_what_was_there(void **state) {
        ConfLine line = value_line("new"), empty = value_line(""), control = value_line("a\x01");
        ConfError error = { "" };
        char *s = strdup("old");

        (void) state;
        assert_int_equal(conf_string(&empty, &s, &error), -EINVAL);
        assert_named(&error);
        assert_int_equal(conf_string(&control, &s, &error), -EINVAL);
        assert_string_equal(s, "old");
        assert_int_equal(conf_string(&line, &s, &error), 0);
        assert_string_equal(s, "new");
        free(s);
}

static void test_path_is_absolute_and_goes_down_only(void **state) {
        static const char *const bad[] = { "", "a", "./a", "/a/..", "/../a", "/a/../b", "/a//..", "/a\x01" };
        static const char *const good[] = { "/", "/a", "/a/b", "/a/..b", "/a/...", "/var/lib/berth" };
        ConfError error = { "" };
        char *s = NULL;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                ConfLine line = value_line(bad[i]);

                assert_int_equal(conf_path(&line, &s, &error), -EINVAL);
                assert_named(&error);
                assert_null(s);
        }
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                ConfLine line = value_line(good[i]);

                assert_int_equal(conf_path(&line, &s, &error), 0);
                assert_string_equal(s, good[i]);
        }
        free(s);
}

/* ---- Files ---- */

static int setup_dir(void **state) {
        const char *tmp = getenv("TMPDIR");
        char *dir = text_format("%s/berth-conf-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");

        if (!dir || !mkdtemp(dir))
                return -1;
        *state = dir;
        return 0;
}

static int teardown_dir(void **state) {
        static const char *const names[] = { "a.conf", "b.conf", ".c.conf", "d.conf.bak", ".conf" };
        char *dir = *state;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(freep) char *path = text_format("%s/%s", dir, names[i]);

                (void) unlink(path);
        }
        (void) rmdir(dir);
        free(dir);
        return 0;
}

static void put_file(const char *dir, const char *name, const char *text) {
        _cleanup_(freep) char *path = text_format("%s/%s", dir, name);
        _cleanup_(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

static void test_folder_is_read_in_order_of_names(void **state) {
        const char *dir = *state;
        Seen seen = { .text = "" };
        ConfError error = { "" };

        put_file(dir, "b.conf", "[b]\n");
        put_file(dir, "a.conf", "[a]\n");
        put_file(dir, ".c.conf", "[hidden]\n");
        put_file(dir, "d.conf.bak", "[backup]\n");
        put_file(dir, ".conf", "[nameless]\n");
        assert_int_equal(conf_parse_dir(dir, sink, &seen, &error), 0);
        assert_string_equal(seen.text, "1 [a|] =\n1 [b|] =\n");
}

static void test_error_in_a_folder_names_the_file(void **state) {
        const char *dir = *state;
        _cleanup_(freep) char *expected = text_format("%s/a.conf:1: ", dir);
        Seen seen = { .text = "" };
        ConfError error = { "" };

        put_file(dir, "a.conf", "nonsense\n");
        put_file(dir, "b.conf", "[b]\n");
        assert_int_equal(conf_parse_dir(dir, sink, &seen, &error), -EBADMSG);
        assert_int_equal(strncmp(error.text, expected, strlen(expected)), 0);
        assert_string_equal(seen.text, "");
}

static void test_missing_folder_is_an_empty_one_but_a_missing_file_is_not(void **state) {
        Seen seen = { .text = "" };
        ConfError error = { "" };

        (void) state;
        assert_int_equal(conf_parse_dir("/nonexistent", sink, &seen, &error), 0);
        assert_int_equal(conf_parse_file("/nonexistent/x.conf", sink, &seen, &error), -ENOENT);
        assert_non_null(strstr(error.text, "/nonexistent/x.conf"));
        assert_int_equal(conf_parse_file("/", sink, &seen, &error), -EISDIR);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sections_keys_and_comments),
                cmocka_unit_test(test_empty_text_is_no_settings),
                cmocka_unit_test(test_syntax_errors_name_file_and_line),
                cmocka_unit_test(test_nul_byte_is_an_error_on_its_line),
                cmocka_unit_test(test_error_of_the_sink_ends_the_reading_and_has_a_sentence),
                cmocka_unit_test(test_error_text_is_safe_on_a_terminal),
                cmocka_unit_test(test_bool),
                cmocka_unit_test(test_uint),
                cmocka_unit_test(test_int),
                cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_span),
                cmocka_unit_test(test_ranges_are_said_in_the_values_own_units),
                cmocka_unit_test(test_string_replaces_what_was_there),
                cmocka_unit_test(test_path_is_absolute_and_goes_down_only),
                cmocka_unit_test_setup_teardown(test_folder_is_read_in_order_of_names, setup_dir, teardown_dir),
                cmocka_unit_test_setup_teardown(test_error_in_a_folder_names_the_file, setup_dir, teardown_dir),
                cmocka_unit_test(test_missing_folder_is_an_empty_one_but_a_missing_file_is_not),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
