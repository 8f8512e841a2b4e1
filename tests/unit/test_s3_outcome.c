/* SPDX-License-Identifier: Apache-2.0 */

/* What a store's answers mean, and where a store is. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "uplink/endpoint.h"
#include "uplink/s3_names.h"
#include "uplink/s3_outcome.h"

static void test_refusals_are_told_apart(void **state) {
        static const struct {
                int status;
                const char *code;
                S3Outcome expected;
        } cases[] = {
                { 200, "", S3_OK },
                { 204, "", S3_OK },
                { 0, "", S3_UNREACHABLE },
                { 404, "", S3_ABSENT },
                { 404, "NoSuchKey", S3_ABSENT },
                { 404, "NoSuchBucket", S3_NO_BUCKET },
                { 404, "NoSuchUpload", S3_NO_UPLOAD },
                { 412, "", S3_EXISTS },
                { 409, "ConditionalRequestConflict", S3_COLLISION },
                { 409, "", S3_COLLISION },
                { 503, "SlowDown", S3_TRY_AGAIN },
                { 503, "", S3_TRY_AGAIN },
                { 429, "", S3_TRY_AGAIN },
                { 500, "InternalError", S3_TRY_AGAIN },
                { 500, "AccessDenied", S3_NOT_ALLOWED }, /* that came with 200 */
                { 400, "RequestTimeout", S3_TRY_AGAIN },
                { 507, "", S3_FULL },
                { 403, "QuotaExceeded", S3_FULL },
                { 403, "AccessDenied", S3_NOT_ALLOWED },
                { 403, "", S3_NOT_ALLOWED },
                { 401, "", S3_BAD_CREDENTIALS },
                { 403, "ExpiredToken", S3_BAD_CREDENTIALS },
                { 403, "RequestTimeTooSkewed", S3_CLOCK_SKEW },
                { 301, "PermanentRedirect", S3_WRONG_REGION },
                { 307, "", S3_WRONG_REGION },
                { 400, "XAmzContentSHA256Mismatch", S3_CORRUPTED },
                { 400, "BadDigest", S3_CORRUPTED },
                { 400, "EntityTooLarge", S3_NEVER },
                { 400, "", S3_NEVER },
                { 100, "", S3_TRY_AGAIN },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (s3_outcome(cases[i].status, cases[i].code) != cases[i].expected)
                        fail_msg("%d '%s' is taken for %d", cases[i].status, cases[i].code,
                                 s3_outcome(cases[i].status, cases[i].code));
}

static void test_only_what_passes_is_tried_again(void **state) {
        (void) state;
        for (S3Outcome o = 0; o < _S3_OUTCOME_MAX; o++)
                assert_int_equal(s3_outcome_is_passing(o),
                                 o == S3_TRY_AGAIN || o == S3_COLLISION || o == S3_UNREACHABLE || o == S3_CORRUPTED);
}

static void test_endpoints_are_scheme_host_and_port(void **state) {
        static const struct {
                const char *text, *host;
                bool tls, loopback;
        } good[] = {
                { "https://s3.example", "s3.example", true, false },
                { "https://s3.example:443/", "s3.example", true, false },
                { "https://s3.example:8443", "s3.example:8443", true, false },
                { "http://127.0.0.1:7480", "127.0.0.1:7480", false, true },
                { "http://localhost:80", "localhost", false, true },
                { "http://[::1]:9", "[::1]:9", false, true },
                { "http://127.evil.example", "127.evil.example", false, false },
                { "http://localhost.evil.example", "localhost.evil.example", false, false },
        };
        static const char *const bad[] = { "",
                                           "s3.example",
                                           "ftp://x",
                                           "https://",
                                           "https://u:p@h",
                                           "https://h/bucket",
                                           "https://h:0",
                                           "https://h:65536",
                                           "https://h:1x",
                                           "https://[::1",
                                           "https://h?x",
                                           "https:///x" };
        Endpoint e;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(endpoint_parse(good[i].text, &e), 0);
                assert_string_equal(e.host, good[i].host);
                assert_int_equal(e.tls, good[i].tls);
                assert_int_equal(e.loopback, good[i].loopback);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (endpoint_parse(bad[i], &e) != -EINVAL)
                        fail_msg("'%s' was taken for an endpoint", bad[i]);
}

static void test_buckets_and_prefixes_are_checked(void **state) {
        (void) state;
        assert_true(s3_bucket_is_valid("north-gate", true));
        assert_true(s3_bucket_is_valid("north.gate", false));
        assert_false(s3_bucket_is_valid("north.gate", true));
        assert_false(s3_bucket_is_valid("ab", false));
        assert_false(s3_bucket_is_valid("North", false));
        assert_false(s3_bucket_is_valid("-ab", false));
        assert_false(s3_bucket_is_valid("a/b", false));
        assert_true(s3_prefix_is_valid(""));
        assert_true(s3_prefix_is_valid("docks/north gate/"));
        assert_false(s3_prefix_is_valid("docks"));
        assert_false(s3_prefix_is_valid("/"));
        assert_false(s3_prefix_is_valid("a//"));
        assert_false(s3_prefix_is_valid("a/../"));
        assert_false(s3_prefix_is_valid("a\n/"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refusals_are_told_apart),
                cmocka_unit_test(test_only_what_passes_is_tried_again),
                cmocka_unit_test(test_endpoints_are_scheme_host_and_port),
                cmocka_unit_test(test_buckets_and_prefixes_are_checked),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
