/* SPDX-License-Identifier: Apache-2.0 */

/* What a tus server says: where an upload is, what it offers, what it was told. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "uplink/tus_outcome.h"
#include "uplink/tus_text.h"

static void test_urls_are_scheme_authority_and_path(void **state) {
        static const struct {
                const char *text, *host, *path;
                bool tls;
        } good[] = {
                { "https://tus.example/files/", "tus.example", "/files/", true },
                { "https://tus.example:8443/a/b", "tus.example:8443", "/a/b", true },
                { "http://127.0.0.1:1080/files", "127.0.0.1:1080", "/files", false },
                { "https://tus.example", "tus.example", "/", true },
                { "https://[::1]:9/f", "[::1]:9", "/f", true },
        };
        static const char *const bad[] = {
                "", "tus.example/files", "ftp://tus.example/files", "https:///files", "https://user:secret@tus.example/files",
                "https://tus.example/files?x=1", "https://tus.example/files#x", "https://tus.example//files",
                "https://tus.example/a b", "https://tus.example:99999/f",
        };
        TusUrl url;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(tus_url_parse(good[i].text, &url), 0);
                assert_string_equal(url.endpoint.host, good[i].host);
                assert_string_equal(url.path, good[i].path);
                assert_int_equal(url.endpoint.tls, good[i].tls);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (tus_url_parse(bad[i], &url) != -EINVAL)
                        fail_msg("'%s' is taken for an address", bad[i]);
}

static void test_location_stays_at_its_authority(void **state) {
        static const struct {
                const char *location, *key; /* NULL: refused with `error` */
                int error;
        } cases[] = {
                { "https://tus.example/files/24e5", "/files/24e5", 0 },
                { "HTTPS://TUS.Example:443/files/24e5", "/files/24e5", 0 },
                { "/files/24e5", "/files/24e5", 0 },
                { "24e5", "/files/24e5", 0 },
                { "./24e5", "/files/24e5", 0 },
                { "../other/24e5?token=a%20b", "/other/24e5?token=a%20b", 0 },
                { "../../../24e5", "/24e5", 0 },
                { "/a/./b/../c/..", "/a/", 0 },
                { "?id=7", "/files/?id=7", 0 },
                { "//tus.example/files/24e5", "/files/24e5", 0 },
                { "https://tus.example?id=7", "/?id=7", 0 },
                { "https://tus.example/files/24e5#part", "/files/24e5", 0 },
                /* What a server says that does not know of the TLS before it: its path counts. */
                { "http://tus.example/files/24e5", "/files/24e5", 0 },
                { "https://evil.example/files/24e5", NULL, -EXDEV },
                { "https://tus.example:8443/files/24e5", NULL, -EXDEV },
                { "http://tus.example:443/files/24e5", NULL, -EXDEV },
                { "https://tus.example.evil/files/24e5", NULL, -EXDEV },
                { "//evil.example/files/24e5", NULL, -EXDEV },
                { "ftp://tus.example/files/24e5", NULL, -EXDEV },
                { "https://tus.example@evil.example/files", NULL, -EINVAL },
                { "https://", NULL, -EINVAL },
                { "https:files", NULL, -EINVAL },
                { "", NULL, -EINVAL },
                { "#x", NULL, -EINVAL },
                { "/..//evil.example/x", NULL, -EINVAL },
                { "/files/a b", NULL, -EINVAL },
                { "/files/\x01", NULL, -EINVAL },
                { "/files/\"", NULL, -EINVAL },
        };
        char key[TUS_KEY_SIZE], longest[TUS_KEY_SIZE + 8];
        TusUrl base;

        (void) state;
        assert_int_equal(tus_url_parse("https://tus.example/files/", &base), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = tus_location(&base, cases[i].location, key);

                if (r != cases[i].error || (r == 0 && strcmp(key, cases[i].key) != 0))
                        fail_msg("'%s' gives %d '%s'", cases[i].location, r, r == 0 ? key : "");
        }
        memset(longest, 'a', sizeof(longest) - 1);
        longest[0] = '/';
        longest[TUS_KEY_SIZE - 1] = 0;
        assert_int_equal(tus_location(&base, longest, key), 0);
        assert_string_equal(key, longest);
        longest[TUS_KEY_SIZE - 1] = 'a';
        longest[TUS_KEY_SIZE] = 0;
        assert_int_equal(tus_location(&base, longest, key), -EINVAL);
}

static void test_lists_and_numbers_are_read(void **state) {
        uint64_t n = 7;

        (void) state;
        assert_true(tus_list_has("creation,termination", "termination"));
        assert_true(tus_list_has("creation , checksum", "creation"));
        assert_true(tus_list_has("sha1, sha256", "sha256"));
        assert_false(tus_list_has("creation-with-upload,checksum-trailer", "creation"));
        assert_false(tus_list_has("creation-with-upload,checksum-trailer", "checksum"));
        assert_false(tus_list_has("", "creation"));
        assert_false(tus_list_has(",,", "creation"));
        assert_int_equal(tus_number("0", &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(tus_number("9223372036854775807", &n), 0);
        assert_int_equal(n, INT64_MAX);
        for (size_t i = 0; i < 7; i++) {
                static const char *const bad[] = { "", "-1", "+1", "1.5", "9223372036854775808", " 1", "0x10" };

                assert_int_equal(tus_number(bad[i], &n), -EINVAL);
        }
}

static void test_metadata_goes_there_and_back(void **state) {
        _cleanup_(freep) char *metadata = NULL;
        char value[64];

        (void) state;
        assert_int_equal(tus_metadata_add(&metadata, "filename", "world_domination_plan.pdf"), 0);
        /* The protocol's own example. */
        assert_string_equal(metadata, "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==");
        assert_int_equal(tus_metadata_add(&metadata, "is_confidential", ""), 0);
        assert_int_equal(tus_metadata_add(&metadata, "path", "DCIM/ü, x.MP4"), 0);
        assert_string_equal(metadata, "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential,path RENJTS/DvCwgeC5NUDQ=");
        assert_int_equal(tus_metadata_find(metadata, "path", value, sizeof(value)), 0);
        assert_string_equal(value, "DCIM/ü, x.MP4");
        assert_int_equal(tus_metadata_find(metadata, "is_confidential", value, sizeof(value)), 0);
        assert_string_equal(value, "");
        assert_int_equal(tus_metadata_find(metadata, "file", value, sizeof(value)), -ENOENT);
        assert_int_equal(tus_metadata_find(metadata, "filename", value, 8), -EBADMSG);
        assert_int_equal(tus_metadata_find("a ====", "a", value, sizeof(value)), -EBADMSG);
        assert_int_equal(tus_metadata_find("a Zg=", "a", value, sizeof(value)), -EBADMSG);
        assert_int_equal(tus_metadata_find("a Z!==", "a", value, sizeof(value)), -EBADMSG);
        assert_int_equal(tus_metadata_find("a AAAA", "a", value, sizeof(value)), -EBADMSG);
        assert_int_equal(tus_metadata_find("", "a", value, sizeof(value)), -ENOENT);
}

static void test_refusals_are_told_apart(void **state) {
        static const struct {
                int status;
                TusOutcome outcome;
                bool passes;
        } cases[] = {
                { 204, TUS_OK, false },          { 201, TUS_OK, false },         { 404, TUS_GONE, false },
                { 410, TUS_GONE, false },        { 409, TUS_OFFSET, true },      { 423, TUS_LOCKED, true },
                { 460, TUS_CORRUPTED, true },    { 500, TUS_TRY_AGAIN, true },   { 503, TUS_TRY_AGAIN, true },
                { 429, TUS_TRY_AGAIN, true },    { 0, TUS_UNREACHABLE, true },   { 507, TUS_FULL, false },
                { 403, TUS_NOT_ALLOWED, false }, { 401, TUS_BAD_CREDENTIALS, false }, { 413, TUS_TOO_LARGE, false },
                { 412, TUS_OTHER_VERSION, false }, { 302, TUS_REDIRECTED, false }, { 400, TUS_NEVER, false },
                { 415, TUS_NEVER, false },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(tus_outcome(cases[i].status), cases[i].outcome);
                assert_int_equal(tus_outcome_is_passing(cases[i].outcome), cases[i].passes);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_urls_are_scheme_authority_and_path),
                cmocka_unit_test(test_location_stays_at_its_authority),
                cmocka_unit_test(test_lists_and_numbers_are_read),
                cmocka_unit_test(test_metadata_goes_there_and_back),
                cmocka_unit_test(test_refusals_are_told_apart),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
