/* SPDX-License-Identifier: Apache-2.0 */

/* The manifest: what is written is read again, and what a stranger wrote is looked at with care. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/text.h"
#include "uplink/backend.h"
#include "uplink/manifest.h"

static Manifest example(void) {
        return (Manifest){
                .object = "objects/SN/2023-11-14/A.MP4.0000000000000001",
                .manifest = "manifests/SN/2023-11-14/A.MP4.0100000000000000.json",
                .size_bytes = UINT64_C(5) << 32,
                .digest = { { 1 } },
                .serial = "SN \"quoted\"",
                .path = "DCIM/\xc3\xa9\\.MP4",
                .mtime_unix_sec = 1700000000,
                .day = "2023-11-14",
                .stored_unix_sec = 1700000100,
                .read_back = true,
        };
}

static void test_manifest_is_read_as_it_was_written(void **state) {
        _cleanup_(manifest_freep) Manifest *read = NULL;
        _cleanup_(freep) char *text = NULL;
        Manifest m = example();

        (void) state;
        assert_int_equal(manifest_compose(&m, "{}", &text), 0);
        assert_int_equal(manifest_parse(text, strlen(text), &read), 0);
        assert_string_equal(read->object, m.object);
        assert_string_equal(read->manifest, m.manifest);
        assert_int_equal(read->size_bytes, m.size_bytes);
        assert_true(digest_equal(&read->digest, &m.digest));
        assert_string_equal(read->serial, m.serial);
        assert_string_equal(read->path, m.path);
        assert_int_equal(read->mtime_unix_sec, m.mtime_unix_sec);
        assert_int_equal(read->stored_unix_sec, m.stored_unix_sec);
        assert_string_equal(read->day, m.day);
        assert_true(read->read_back);
        assert_false(read->same_file_system);
}

static void test_unknown_time_is_null(void **state) {
        _cleanup_(manifest_freep) Manifest *read = NULL;
        _cleanup_(freep) char *text = NULL;
        Manifest m = example();

        (void) state;
        m.mtime_unix_sec = UNKNOWN_TIME;
        assert_int_equal(manifest_compose(&m, "{}", &text), 0);
        assert_non_null(strstr(text, "\"mtime\": null"));
        assert_int_equal(manifest_parse(text, strlen(text), &read), 0);
        assert_int_equal(read->mtime_unix_sec, UNKNOWN_TIME);
}

static void test_facts_go_in_byte_by_byte(void **state) {
        _cleanup_(freep) char *text = NULL;
        Manifest m = example();

        (void) state;
        assert_int_equal(manifest_compose(&m, "{\"b\":1.10,\"a\":[ 1,2 ]}", &text), 0);
        assert_non_null(strstr(text, "\"facts\": {\"b\":1.10,\"a\":[ 1,2 ]}\n}\n"));
}

static void test_manifest_that_could_not_be_read_is_not_written(void **state) {
        char facts[5000] = "{\"a\":";
        char *text = NULL;
        size_t n = 5;
        Manifest m = example();

        (void) state;
        /* As deep as jansson goes by itself, and one deeper in the manifest. */
        memset(facts + n, '[', 2047);
        memset(facts + n + 2047, ']', 2047);
        memcpy(facts + n + 2 * 2047, "}", 2);
        assert_int_equal(manifest_check_facts(facts), 0);
        assert_int_equal(manifest_compose(&m, facts, &text), -EINVAL);
        m.path = "";
        assert_int_equal(manifest_compose(&m, "{}", &text), -EINVAL);
        assert_null(text);
}

static void test_facts_are_one_object_without_tricks(void **state) {
        static const char *const bad[] = {
                "", "[]", "1", "{", "{} {}", "{}}", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}", "{\"a\":1},\"sha256\":\"0\"", "null",
        };
        _cleanup_(freep) char *large = malloc(FACTS_SIZE_MAX + 16);

        (void) state;
        assert_int_equal(manifest_check_facts("{}"), 0);
        assert_int_equal(manifest_check_facts("{\"a\": {\"b\": [1, \"x\"]}}"), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (manifest_check_facts(bad[i]) != -EINVAL)
                        fail_msg("'%s' was taken for facts", bad[i]);
        assert_non_null(large);
        memset(large, ' ', FACTS_SIZE_MAX + 16);
        large[0] = '{';
        large[FACTS_SIZE_MAX - 1] = '}';
        large[FACTS_SIZE_MAX] = 0;
        assert_int_equal(manifest_check_facts(large), 0);
        large[FACTS_SIZE_MAX - 1] = ' ';
        large[FACTS_SIZE_MAX] = '}';
        large[FACTS_SIZE_MAX + 1] = 0;
        assert_int_equal(manifest_check_facts(large), -EINVAL);
}

/* The example with `from` replaced by `to`. */
static int parse_changed(const char *from, const char *to) {
        _cleanup_(manifest_freep) Manifest *read = NULL;
        _cleanup_(freep) char *text = NULL, *changed = NULL;
        Manifest m = example();
        const char *at;
        int r;

        assert_int_equal(manifest_compose(&m, "{}", &text), 0);
        at = strstr(text, from);
        if (!at)
                fail_msg("'%s' is not in the manifest", from);
        changed = text_format("%.*s%s%s", (int) (at - text), text, to, at + strlen(from));
        assert_non_null(changed);
        r = manifest_parse(changed, strlen(changed), &read);
        assert_int_equal(read != NULL, r == 0);
        return r;
}

static void test_damaged_manifests_are_no_manifests(void **state) {
        static const char *const changes[][2] = {
                { "\"version\": 1", "\"version\": 0" },
                { "\"version\": 1", "\"version\": \"1\"" },
                { "\"version\": 1,", "" },
                { "\"object\": \"", "\"object\": \"\\u0000" },
                { "\"object\": \"", "\"object\": \"\\n" },
                { "\"object\"", "\"objekt\"" },
                { "\"manifest\"", "\"m\"" },
                { "\"size\": 21474836480", "\"size\": -1" },
                { "\"size\": 21474836480", "\"size\": 1.5" },
                { "\"size\": 21474836480", "\"size\": \"21474836480\"" },
                { "\"size\": 21474836480", "\"size\": 99999999999999999999" },
                { "\"size\": 21474836480", "\"size\": 1, \"size\": 21474836480" },
                { "\"sha256\": \"0", "\"sha256\": \"" },
                { "\"sha256\": \"0", "\"sha256\": \"g" },
                { "\"serial\"", "\"s\"" },
                { "\"path\": \"", "\"path\": 1, \"x\": \"" },
                { "\"day\": \"2023-11-14\"", "\"day\": \"2023-11-14T00\"" },
                { "\"mtime\": \"2023", "\"mtime\": \"20x3" },
                { "\"stored\": \"2023-11-14T22:15:00.000000Z\"", "\"stored\": null" },
                { "\"read_back\": true", "\"read_back\": 1" },
                { "\"same_file_system\": false", "\"same_file_system\": null" },
                { "{\n", "[{\n" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(changes); i++)
                if (parse_changed(changes[i][0], changes[i][1]) != -EBADMSG)
                        fail_msg("with '%s' instead of '%s' it was still taken for a manifest", changes[i][1], changes[i][0]);
        assert_int_equal(parse_changed("\"version\": 1", "\"version\": 2"), -ENOTSUP);
        /* Whatever a later Berth of this version adds is no harm. */
        assert_int_equal(parse_changed("\"version\": 1", "\"version\": 1, \"more\": {}"), 0);
}

static void test_any_beginning_of_a_manifest_is_no_manifest(void **state) {
        _cleanup_(freep) char *text = NULL;
        Manifest m = example(), *read = NULL;

        (void) state;
        assert_int_equal(manifest_compose(&m, "{\"a\":{}}", &text), 0);
        /* The last byte is the line end. */
        for (size_t n = 0; n < strlen(text) - 1; n++)
                assert_int_equal(manifest_parse(text, n, &read), -EBADMSG);
        assert_int_equal(manifest_parse(text, strlen(text) - 1, &read), 0);
        manifest_free(read);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_manifest_is_read_as_it_was_written),
                cmocka_unit_test(test_unknown_time_is_null),
                cmocka_unit_test(test_facts_go_in_byte_by_byte),
                cmocka_unit_test(test_manifest_that_could_not_be_read_is_not_written),
                cmocka_unit_test(test_facts_are_one_object_without_tricks),
                cmocka_unit_test(test_damaged_manifests_are_no_manifests),
                cmocka_unit_test(test_any_beginning_of_a_manifest_is_no_manifest),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
