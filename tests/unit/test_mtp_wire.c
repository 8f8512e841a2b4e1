/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../plugins/mtp/ptp_date.h"
#include "../plugins/mtp/ptp_wire.h"

/* ---- Strings ---- */

typedef struct StringCase {
        const char *wire;
        size_t size;
        const char *text;
        size_t text_size;
        size_t left; /* bytes behind it */
        bool bad;
} StringCase;

#define WIRE(s) .wire = (s), .size = sizeof(s) - 1
#define TEXT(s) .text = (s), .text_size = sizeof(s) - 1

static const StringCase string_cases[] = {
        { WIRE("\0"), TEXT("") },
        { WIRE("\1\0\0"), TEXT("") },
        { WIRE("\3a\0b\0\0\0"), TEXT("ab") },
        { WIRE("\3a\0b\0\0\0xy"), TEXT("ab"), .left = 2 },
        { WIRE("\2a\0b\0"), TEXT("ab") },                    /* forgot its terminator */
        { WIRE("\4a\0\0\0b\0\0\0"), TEXT("a\0b") },          /* a NUL inside is kept */
        { WIRE("\3\xE4\0\xAC\x20\0\0"), TEXT("\xC3\xA4\xE2\x82\xAC") },
        { WIRE("\3\x3D\xD8\x00\xDE\0\0"), TEXT("\xF0\x9F\x98\x80") }, /* a pair */
        { WIRE("\2\x3D\xD8\0\0"), TEXT("\xED\xA0\xBD") },             /* high alone */
        { WIRE("\2\x00\xDE\0\0"), TEXT("\xED\xB8\x80") },             /* low alone */
        { WIRE("\3\x00\xDE\x3D\xD8\0\0"), TEXT("\xED\xB8\x80\xED\xA0\xBD") }, /* a pair the wrong way round */
        { WIRE("\3\x3D\xD8x\0\0\0"), TEXT("\xED\xA0\xBDx") },
        { WIRE("\1\x3D\xD8"), TEXT("\xED\xA0\xBD") }, /* high alone at the very end */
        { WIRE(""), TEXT(""), .bad = true },
        { WIRE("\3a\0b\0\0"), TEXT(""), .left = 5, .bad = true },
        { WIRE("\xFF"), TEXT(""), .bad = true },
};

static void test_strings_become_utf8_and_never_two_names_one(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof(string_cases) / sizeof(string_cases[0]); i++) {
                const StringCase *c = &string_cases[i];
                PtpReader reader;
                PtpString string;
                /* On the heap, so that reading past the end is seen. */
                char *wire = malloc(c->size ? c->size : 1);

                assert_non_null(wire);
                memcpy(wire, c->wire, c->size);
                ptp_reader_init(&reader, wire, c->size);
                ptp_read_string(&reader, &string);
                assert_int_equal(reader.bad, c->bad);
                assert_int_equal(reader.left, c->left);
                assert_int_equal(string.size, c->text_size);
                assert_memory_equal(string.text, c->text, c->text_size);
                assert_int_equal(string.text[string.size], 0);
                free(wire);
        }
}

static void test_longest_string_fits(void **state) {
        uint8_t wire[1 + 255 * 2];
        PtpReader reader;
        PtpString string;

        (void) state;
        wire[0] = 255;
        for (size_t i = 0; i < 255; i++) {
                wire[1 + 2 * i] = 0x3D;
                wire[2 + 2 * i] = 0xD8;
        }
        ptp_reader_init(&reader, wire, sizeof(wire));
        ptp_read_string(&reader, &string);
        assert_false(reader.bad);
        assert_int_equal(string.size, 255 * 3);
        assert_int_equal(string.text[255 * 3], 0);
}

static void test_text_for_people_is_valid_and_without_controls(void **state) {
        static const struct {
                const char *raw;
                size_t size;
                const char *text;
        } cases[] = {
                { "ACME Cam", 8, "ACME Cam" },
                { "ACME  \0 ", 8, "ACME" },
                { "a\nb\x1B[31m", 8, "a?b?[31m" },
                { "\xED\xA0\xBD!", 4, "?!" },
                { "\xC2\x9B\x7F\xC2\xA0", 5, "??\xC2\xA0" },
                { "", 0, "" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PtpString s = { .size = cases[i].size };
                char text[64];

                memcpy(s.text, cases[i].raw, cases[i].size);
                ptp_string_to_text(&s, text, sizeof(text));
                assert_string_equal(text, cases[i].text);
        }
}

static void test_text_is_cut_between_characters(void **state) {
        PtpString s = { .size = 6, .text = "\xE2\x82\xAC\xE2\x82\xAC" };
        char text[6];

        (void) state;
        ptp_string_to_text(&s, text, sizeof(text));
        assert_string_equal(text, "\xE2\x82\xAC");
        ptp_string_to_text(&s, text, 1);
        assert_string_equal(text, "");
}

/* ---- Numbers, arrays, containers ---- */

static void test_numbers_are_little_endian_and_stop_at_the_end(void **state) {
        static const uint8_t wire[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
        PtpReader r;

        (void) state;
        ptp_reader_init(&r, wire, sizeof(wire));
        assert_int_equal(ptp_read_u8(&r), 1);
        assert_int_equal(ptp_read_u16(&r), 0x0302);
        assert_int_equal(ptp_read_u32(&r), 0x07060504);
        assert_true(ptp_read_u64(&r) == UINT64_C(0x0F0E0D0C0B0A0908));
        assert_false(r.bad);
        assert_int_equal(ptp_read_u16(&r), 0);
        assert_true(r.bad);
        assert_int_equal(ptp_read_u8(&r), 0); /* once bad, always bad */
}

static void test_array_that_promises_more_than_there_is_is_refused(void **state) {
        static const uint8_t wire[] = { 0, 0, 0, 0x80, 1, 0 }, exact[] = { 2, 0, 0, 0, 7, 0, 8, 0 };
        uint16_t codes[4];
        PtpReader r;

        (void) state;
        ptp_reader_init(&r, wire, sizeof(wire));
        assert_int_equal(ptp_read_u16_array(&r, codes, 4), 0);
        assert_true(r.bad);
        ptp_reader_init(&r, wire, sizeof(wire));
        ptp_read_skip_array(&r, 16);
        assert_true(r.bad);
        ptp_reader_init(&r, exact, sizeof(exact));
        assert_int_equal(ptp_read_u16_array(&r, codes, 4), 2);
        assert_int_equal(codes[1], 8);
        assert_false(r.bad);
        ptp_reader_init(&r, exact, sizeof(exact));
        assert_int_equal(ptp_read_u16_array(&r, codes, 1), 0);
        assert_true(r.bad);
}

static void test_container_shorter_than_its_header_is_refused(void **state) {
        static const uint8_t short_length[] = { 11, 0, 0, 0, 3, 0, 1, 0x20, 1, 0, 0, 0 };
        uint8_t wire[12];
        PtpHeader header = { .length = 12, .type = 3, .code = 0x2001, .transaction = 0x01020304 }, back;

        (void) state;
        assert_int_equal(ptp_header_parse(short_length, sizeof(short_length), &back), -EBADMSG);
        ptp_header_put(wire, &header);
        assert_int_equal(ptp_header_parse(wire, 11, &back), -EBADMSG);
        assert_int_equal(ptp_header_parse(wire, 12, &back), 0);
        assert_memory_equal(&back, &header, sizeof(header));
}

static void test_string_for_the_camera_carries_its_terminator(void **state) {
        uint8_t wire[16];

        (void) state;
        assert_int_equal(ptp_put_string(wire, sizeof(wire), "ab"), 7);
        assert_memory_equal(wire, "\3a\0b\0\0\0", 7);
        assert_int_equal(ptp_put_string(wire, 6, "ab"), 0);
}

/* ---- Dates ---- */

static void test_dates_are_understood_with_and_without_zone(void **state) {
        static const struct {
                const char *text;
                int offset_minutes;
                int64_t unix_sec;
                bool zoned;
        } cases[] = {
                { "19700101T000000", 0, 0, false },
                { "20000229T235959", 0, 951868799, false },
                { "20261123T091500", 0, 1795425300, false },
                { "20261123T091500", 120, 1795425300 - 7200, false },
                { "20261123T091500Z", 120, 1795425300, true },
                { "20261123T091500.7", 0, 1795425300, false },
                { "20261123T091500.0Z", 0, 1795425300, true },
                { "20261123T091500+0530", 0, 1795425300 - 19800, true },
                { "20261123T091500-0800", 60, 1795425300 + 28800, true },
                { "20261231T235960", 0, 1798761600, false },
                { "99991231T235959", 0, INT64_C(253402300799), false },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PtpDate date;

                assert_int_equal(ptp_date_parse(cases[i].text, strlen(cases[i].text), cases[i].offset_minutes, &date), 0);
                assert_true(date.unix_sec == cases[i].unix_sec);
                assert_int_equal(date.zoned, cases[i].zoned);
        }
}

static void test_what_is_no_date_is_refused(void **state) {
        static const char *const cases[] = {
                "",
                "20261123",
                "20261123T0915",
                "20261123 091500",
                "20261323T091500",
                "20260029T091500",
                "20260229T091500",
                "20260431T000000",
                "20260400T000000",
                "20261123T240000",
                "20261123T096000",
                "20261123T091561",
                "19691231T235959",
                "00000000T000000",
                "2026112aT091500",
                "20261123T091500X",
                "20261123T091500+05",
                "20261123T091500+9900",
                "20261123T091500+0060",
                "20261123T091500Z ",
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PtpDate date = { .unix_sec = 42 };

                assert_int_equal(ptp_date_parse(cases[i], strlen(cases[i]), 0, &date), -EINVAL);
                assert_int_equal(date.unix_sec, 42);
        }
}

static void test_dates_are_written_as_they_are_read(void **state) {
        static const int64_t times[] = { 0, 951868799, 1795425300, INT64_C(253402214400) };
        static const int offsets[] = { 0, 120, -480, 330 };
        char text[PTP_DATE_SIZE];

        (void) state;
        for (size_t i = 0; i < 4; i++)
                for (size_t j = 0; j < 4; j++)
                        for (int zoned = 0; zoned < 2; zoned++) {
                                PtpDate date;
                                int r = ptp_date_format(times[i], offsets[j], zoned, text);

                                if (times[i] + offsets[j] * 60 < 0) {
                                        assert_int_equal(r, -ERANGE);
                                        continue;
                                }
                                assert_int_equal(r, 0);
                                assert_int_equal(ptp_date_parse(text, strlen(text), zoned ? 77 : offsets[j], &date), 0);
                                assert_true(date.unix_sec == times[i]);
                                assert_int_equal(date.zoned, zoned);
                        }
        assert_int_equal(ptp_date_format(1795425300, 330, true, text), 0);
        assert_string_equal(text, "20261123T144500+0530");
        assert_int_equal(ptp_date_format(1795425300, 0, true, text), 0);
        assert_string_equal(text, "20261123T091500Z");
        assert_int_equal(ptp_date_format(-1, 0, true, text), -ERANGE);
        assert_int_equal(ptp_date_format(INT64_MAX, 0, true, text), -ERANGE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_strings_become_utf8_and_never_two_names_one),
                cmocka_unit_test(test_longest_string_fits),
                cmocka_unit_test(test_text_for_people_is_valid_and_without_controls),
                cmocka_unit_test(test_text_is_cut_between_characters),
                cmocka_unit_test(test_numbers_are_little_endian_and_stop_at_the_end),
                cmocka_unit_test(test_array_that_promises_more_than_there_is_is_refused),
                cmocka_unit_test(test_container_shorter_than_its_header_is_refused),
                cmocka_unit_test(test_string_for_the_camera_carries_its_terminator),
                cmocka_unit_test(test_dates_are_understood_with_and_without_zone),
                cmocka_unit_test(test_what_is_no_date_is_refused),
                cmocka_unit_test(test_dates_are_written_as_they_are_read),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
