/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../plugins/ambarella/ambarella.h"
#include "../plugins/ambarella/record.h"
#include "unit/command_host.h"

static void test_fields_end_at_a_nul_or_their_end(void **state) {
        static const struct {
                uint8_t bytes[9];
                const char *text; /* NULL: -EBADMSG */
        } cases[] = {
                { "", "" },
                { "SN1", "SN1" },
                { "SN1\0junk", "SN1" },
                { { 'S', 'N', '1', 0, 0x01, 0xFF, 0x1B }, "SN1" }, /* behind the end: nobody looks */
                { { '1', '2', '3', '4', '5', '6', '7', '8', '9' }, "123456789" },
                { "AB  ", "AB" },
                { "   ", "" },
                { { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF }, "" },
                { { 'M', 0xFC, 'l' }, "M\xC3\xBCl" },
                { { 0xA0, 0xFF, 'x' }, "\xC2\xA0\xC3\xBFx" },
                { { 'a', 0x1B }, NULL },
                { { 'a', 0x7F }, NULL },
                { { 'a', 0x9B, 'b' }, NULL },
                { { 0x01 }, NULL },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint8_t record[RECORD_SIZE] = { 0 };
                char text[BERTH_TEXT_MAX] = "untouched";

                memcpy(record, cases[i].bytes, sizeof(cases[i].bytes));
                assert_int_equal(record_serial(record, text), cases[i].text ? 0 : -EBADMSG);
                assert_string_equal(text, cases[i].text ? cases[i].text : "untouched");
        }
}

static void test_each_field_lies_where_the_notes_say(void **state) {
        static const struct {
                size_t at;
                size_t member;
        } fields[] = {
                { 9, offsetof(berth_owner, officer_id) },
                { 17, offsetof(berth_owner, officer_name) },
                { 52, offsetof(berth_owner, unit_id) },
                { 68, offsetof(berth_owner, unit_name) },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
                uint8_t record[RECORD_SIZE] = { 0 };
                berth_owner owner;

                record[fields[i].at] = 'X';
                assert_int_equal(record_owner(record, &owner), 0);
                for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++)
                        assert_string_equal((const char *) &owner + fields[k].member, k == i ? "X" : "");
                record[fields[i].at] = 0x02;
                assert_int_equal(record_owner(record, &owner), -EBADMSG);
        }
}

static void test_only_the_fields_that_change_are_touched(void **state) {
        berth_owner owner = { .struct_size = sizeof(owner), .officer_id = "42", .officer_name = "J\xC3\xB8rgen" };
        uint8_t record[RECORD_SIZE], wanted[RECORD_SIZE];
        const char *field;
        size_t max;

        (void) state;
        memset(record, 0, sizeof(record));
        memcpy(record, "SN1\0\x01\x02\x03\x04", 8);
        memcpy(record + 9, "42\0\x05", 4);
        memcpy(record + 17, "Other", 5);
        memcpy(record + 68, "\0\x07", 2);
        memcpy(wanted, record, sizeof(wanted));
        memset(wanted + 17, 0, 35);
        memcpy(wanted + 17, "J\xF8rgen", 6);
        assert_int_equal(record_set_owner(record, &owner, &field, &max), 0);
        assert_memory_equal(record, wanted, sizeof(record));
}

static void test_field_of_rubbish_is_replaced(void **state) {
        berth_owner owner = { .struct_size = sizeof(owner) };
        uint8_t record[RECORD_SIZE], nothing[8] = { 0 };
        const char *field;
        size_t max;

        (void) state;
        memset(record, 0x02, sizeof(record));
        assert_int_equal(record_set_owner(record, &owner, &field, &max), 0);
        assert_memory_equal(record + 9, nothing, sizeof(nothing));
        assert_int_equal(record[0], 0x02);
}

static void test_text_that_the_field_cannot_hold_changes_nothing(void **state) {
        static const struct {
                const char *officer_id, *unit_name, *field;
                size_t max;
        } cases[] = {
                { "1234567", "", NULL, 0 },
                { "12345678", "", "officer id", 7 },
                { "\xE2\x82\xAC", "", "officer id", 7 },
                { "\xC2\x85", "", "officer id", 7 },
                { "\xC3", "", "officer id", 7 },
                { "1", "0123456789012345678901234567890", NULL, 0 },
                { "1", "01234567890123456789012345678901", "unit name", 31 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                berth_owner owner = { .struct_size = sizeof(owner) };
                uint8_t record[RECORD_SIZE], before[RECORD_SIZE];
                const char *field = NULL;
                size_t max = 0;

                (void) snprintf(owner.officer_id, BERTH_TEXT_MAX, "%s", cases[i].officer_id);
                (void) snprintf(owner.unit_name, BERTH_TEXT_MAX, "%s", cases[i].unit_name);
                memset(record, 'q', sizeof(record));
                memcpy(before, record, sizeof(before));
                assert_int_equal(record_set_owner(record, &owner, &field, &max), cases[i].field ? -EOPNOTSUPP : 0);
                if (cases[i].field) {
                        assert_string_equal(field, cases[i].field);
                        assert_int_equal(max, cases[i].max);
                        assert_memory_equal(record, before, sizeof(record));
                }
        }
}

static void test_options_are_known_or_refused(void **state) {
        static const struct {
                const char *option;
                int result;
        } cases[] = {
                { "dialect=a", 0 },         { "dialect=b", 0 },          { "dialect=c", 0 },          { "dialect=A", -EINVAL },
                { "dialect=ab", -EINVAL },  { "dialect=", -EINVAL },     { "dialect", -EINVAL },      { "dialects=a", -EINVAL },
                { "timeout-msec=100", 0 },  { "timeout-msec=99", -EINVAL }, { "timeout-msec=0", -EINVAL }, { "timeout-msec=9x", -EINVAL },
                { "reply-bytes=1024", 0 },  { "reply-bytes=1025", -EINVAL }, { "reply-bytes=7", -EINVAL }, { "no-ping=maybe", -EINVAL },
                { "loose-answers=no", 0 },  { "utc-offset-minutes=-900", 0 }, { "utc-offset-minutes=901", -EINVAL },
                { "utc-offset-minutes=local", 0 }, { "utc-offset-minutes=locals", -EINVAL },
                { "password=x", -EINVAL },
        };
        const char *bad = "x";
        AmbarellaOptions o;

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const char *const options[] = { "dialect=b", cases[i].option, NULL };

                bad = NULL;
                assert_int_equal(ambarella_options_parse(options, &o, &bad), cases[i].result);
                if (cases[i].result < 0)
                        assert_string_equal(bad, cases[i].option);
        }
        assert_int_equal(ambarella_options_parse(NULL, &o, &bad), -EINVAL);
        assert_null(bad);
}

static void test_no_dialect_is_guessed(void **state) {
        static const char *const options[] = { "timeout-msec=500", NULL };
        berth_host *host = command_host();
        void *camera;

        (void) state;
        assert_int_equal(berth_plugin_entry.open(host, options, &camera), -EINVAL);
        assert_non_null(strstr(command_camera.message, "plugin.dialect"));
        assert_int_equal(command_camera.claims, 0);
        assert_int_equal(command_camera.transfers, 0);
}

static void test_time_is_shown_in_the_cameras_zone(void **state) {
        static const struct {
                int64_t unix_sec;
                int offset;
                LocalTime time; /* year 0: -ERANGE */
        } cases[] = {
                { 0, 0, { 1970, 1, 1, 0, 0, 0 } },
                { 1795649535, 0, { 2026, 11, 25, 23, 32, 15 } },
                { 1795649535, 60, { 2026, 11, 26, 0, 32, 15 } },
                { 1795649535, -300, { 2026, 11, 25, 18, 32, 15 } },
                { 951782400, 0, { 2000, 2, 29, 0, 0, 0 } },
                { 253402300799, 0, { 9999, 12, 31, 23, 59, 59 } },
                { 253402300799, 1, { 0 } },
                { 253402300800, 0, { 0 } },
                { 30, -1, { 0 } },
                { -1, 0, { 0 } },
                { INT64_MAX, 0, { 0 } },
                { INT64_MIN, 0, { 0 } },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const LocalTime *want = &cases[i].time;
                LocalTime got = { 0 };

                assert_int_equal(local_time_from_unix(cases[i].unix_sec, cases[i].offset, &got), want->year > 0 ? 0 : -ERANGE);
                assert_int_equal(got.year, want->year);
                assert_int_equal(got.month, want->month);
                assert_int_equal(got.day, want->day);
                assert_int_equal(got.hour, want->hour);
                assert_int_equal(got.minute, want->minute);
                assert_int_equal(got.second, want->second);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields_end_at_a_nul_or_their_end),
                cmocka_unit_test(test_each_field_lies_where_the_notes_say),
                cmocka_unit_test(test_only_the_fields_that_change_are_touched),
                cmocka_unit_test(test_field_of_rubbish_is_replaced),
                cmocka_unit_test(test_text_that_the_field_cannot_hold_changes_nothing),
                cmocka_unit_test(test_options_are_known_or_refused),
                cmocka_unit_test(test_no_dialect_is_guessed),
                cmocka_unit_test(test_time_is_shown_in_the_cameras_zone),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
