/* SPDX-License-Identifier: Apache-2.0 */

/* Signature Version 4, held against the signatures that AWS published for its example keys. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "uplink/sigv4.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST "examplebucket.s3.amazonaws.com"
#define S3_TIME "20130524T000000Z"

static const Sigv4Keys s3_keys = { "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
static const Sigv4Keys suite_keys = { "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };

static void assert_signature(const Sigv4Request *request, const Sigv4Keys *keys, const char *expected) {
        _cleanup_(freep) char *authorization = NULL;
        const char *signature;

        assert_int_equal(sigv4_sign(request, keys, &authorization), 0);
        signature = strstr(authorization, "Signature=");
        assert_non_null(signature);
        assert_string_equal(signature + strlen("Signature="), expected);
}

/* Amazon S3 API reference, "Examples: signature calculations". */
static void test_published_s3_examples_are_signed_as_published(void **state) {
        static const struct {
                const char *method, *path, *query, *payload, *expected;
                Sigv4Pair more[3];
                size_t n_more;
        } cases[] = {
                { "GET",
                  "/test.txt",
                  "",
                  EMPTY,
                  "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                  { { "range", "bytes=0-9" } },
                  1 },
                { "PUT",
                  "/test$file.text",
                  "",
                  "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
                  "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
                  { { "x-amz-storage-class", "REDUCED_REDUNDANCY" }, { "date", "Fri, 24 May 2013 00:00:00 GMT" } },
                  2 },
                { "GET",
                  "/",
                  "lifecycle=",
                  EMPTY,
                  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
                  { { 0 } },
                  0 },
                { "GET",
                  "/",
                  "max-keys=2&prefix=J",
                  EMPTY,
                  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
                  { { 0 } },
                  0 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *path = sigv4_encode_path(cases[i].path);
                Sigv4Pair headers[8] = { { "x-amz-date", S3_TIME },
                                         { "host", HOST },
                                         { "x-amz-content-sha256", cases[i].payload } };
                const Sigv4Request request = {
                        .method = cases[i].method,
                        .path = path,
                        .query = cases[i].query,
                        .headers = headers,
                        .n_headers = 3 + cases[i].n_more,
                        .payload_hash = cases[i].payload,
                        .time = S3_TIME,
                        .region = "us-east-1",
                        .service = "s3",
                };

                memcpy(headers + 3, cases[i].more, cases[i].n_more * sizeof(headers[0]));
                assert_signature(&request, &s3_keys, cases[i].expected);
        }
}

/* The test suite for signature version 4. */
static void test_published_suite_is_signed_as_published(void **state) {
        const Sigv4Pair headers[] = { { "host", "example.amazonaws.com" }, { "x-amz-date", "20150830T123600Z" } };
        Sigv4Request request = {
                .method = "GET",
                .path = "/",
                .query = "",
                .headers = headers,
                .n_headers = 2,
                .payload_hash = EMPTY,
                .time = "20150830T123600Z",
                .region = "us-east-1",
                .service = "service",
        };
        const Sigv4Pair query[] = { { "Param2", "value2" }, { "Param1", "value1" } };
        _cleanup_(freep) char *text = NULL;

        (void) state;
        assert_signature(&request, &suite_keys, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        request.method = "POST";
        assert_signature(&request, &suite_keys, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
        request.method = "GET";
        assert_int_equal(sigv4_query(query, 2, &text), 0);
        request.query = text;
        assert_signature(&request, &suite_keys, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

static void test_authorization_names_key_scope_and_headers(void **state) {
        const Sigv4Pair headers[] = { { "x-amz-security-token", "token/+=" },
                                      { "host", "h:7480" },
                                      { "x-amz-date", S3_TIME } };
        const Sigv4Request request = {
                .method = "PUT",
                .path = "/b/k",
                .query = "",
                .headers = headers,
                .n_headers = 3,
                .payload_hash = SIGV4_UNSIGNED,
                .time = S3_TIME,
                .region = "eu-north-7",
                .service = "s3",
        };
        _cleanup_(freep) char *authorization = NULL;
        _cleanup_(freep) char *canonical = NULL;

        (void) state;
        assert_int_equal(sigv4_sign(&request, &s3_keys, &authorization), 0);
        assert_non_null(strstr(authorization, "Credential=AKIAIOSFODNN7EXAMPLE/20130524/eu-north-7/s3/aws4_request, "
                                              "SignedHeaders=host;x-amz-date;x-amz-security-token, Signature="));
        assert_null(strstr(authorization, s3_keys.secret_key));
        assert_int_equal(sigv4_canonical_request(&request, &canonical), 0);
        assert_string_equal(canonical, "PUT\n/b/k\n\nhost:h:7480\nx-amz-date:" S3_TIME "\nx-amz-security-token:token/+=\n\n"
                                       "host;x-amz-date;x-amz-security-token\nUNSIGNED-PAYLOAD");
}

static void test_header_values_are_trimmed_as_the_store_trims_them(void **state) {
        const Sigv4Pair headers[] = { { "host", "h" }, { "x-amz-tagging", "  a  b\t c " } };
        const Sigv4Request request = {
                .method = "GET", .path = "/", .query = "", .headers = headers, .n_headers = 2, .payload_hash = EMPTY
        };
        _cleanup_(freep) char *canonical = NULL;

        (void) state;
        assert_int_equal(sigv4_canonical_request(&request, &canonical), 0);
        assert_non_null(strstr(canonical, "\nx-amz-tagging:a b c\n"));
}

static void test_query_is_encoded_and_in_the_order_of_the_encoded_names(void **state) {
        static const struct {
                Sigv4Pair pairs[4];
                size_t n;
                const char *expected;
        } cases[] = {
                { { { 0 } }, 0, "" },
                { { { "uploads", "" } }, 1, "uploads=" },
                { { { "uploadId", "2~a/b+c=" }, { "partNumber", "3" } }, 2, "partNumber=3&uploadId=2~a%2Fb%2Bc%3D" },
                { { { "prefix", "a b" }, { "list-type", "2" }, { "delimiter", "/" } },
                  3,
                  "delimiter=%2F&list-type=2&prefix=a%20b" },
                /* A name that is the beginning of another comes first, whatever follows in the other. */
                { { { "a-b", "1" }, { "a", "2" } }, 2, "a=2&a-b=1" },
                { { { "a", "2" }, { "a", "1" } }, 2, "a=1&a=2" },
                { { { "\xc3\xa9", "*'()!" } }, 1, "%C3%A9=%2A%27%28%29%21" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *query = NULL;

                assert_int_equal(sigv4_query(cases[i].pairs, cases[i].n, &query), 0);
                assert_string_equal(query, cases[i].expected);
        }
}

static void test_path_is_encoded_once_and_keeps_its_slashes(void **state) {
        static const struct {
                const char *path, *expected;
        } cases[] = {
                { "/", "/" },
                { "/b/a-b_c.d~e", "/b/a-b_c.d~e" },
                { "/b/a+b:c@d e", "/b/a%2Bb%3Ac%40d%20e" },
                { "/b/%2F", "/b/%252F" },
                { "/b//x/../y", "/b//x/../y" },
                { "/\xc3\xa9?#", "/%C3%A9%3F%23" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *path = sigv4_encode_path(cases[i].path);

                assert_string_equal(path, cases[i].expected);
        }
}

static void test_what_cannot_be_signed_is_refused(void **state) {
        Sigv4Pair many[SIGV4_PAIRS_MAX + 1];
        Sigv4Request request = { .method = "GET",
                                 .path = "/",
                                 .query = "",
                                 .headers = many,
                                 .payload_hash = EMPTY,
                                 .time = S3_TIME,
                                 .region = "r",
                                 .service = "s3" };
        char *untouched = NULL;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = (Sigv4Pair){ "x", "y" };
        assert_int_equal(sigv4_sign(&request, &s3_keys, &untouched), -EINVAL);
        request.n_headers = ELEMENTSOF(many);
        assert_int_equal(sigv4_sign(&request, &s3_keys, &untouched), -EINVAL);
        request.n_headers = 1;
        request.time = "2013";
        assert_int_equal(sigv4_sign(&request, &s3_keys, &untouched), -EINVAL);
        assert_int_equal(sigv4_query(many, ELEMENTSOF(many), &untouched), -EINVAL);
        assert_null(untouched);
}

static void test_time_is_written_in_utc(void **state) {
        char text[SIGV4_TIME_SIZE];

        (void) state;
        assert_string_equal(sigv4_time(1369353600, text), S3_TIME);
        assert_string_equal(sigv4_time(0, text), "19700101T000000Z");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_published_s3_examples_are_signed_as_published),
                cmocka_unit_test(test_published_suite_is_signed_as_published),
                cmocka_unit_test(test_authorization_names_key_scope_and_headers),
                cmocka_unit_test(test_header_values_are_trimmed_as_the_store_trims_them),
                cmocka_unit_test(test_query_is_encoded_and_in_the_order_of_the_encoded_names),
                cmocka_unit_test(test_path_is_encoded_once_and_keeps_its_slashes),
                cmocka_unit_test(test_what_cannot_be_signed_is_refused),
                cmocka_unit_test(test_time_is_written_in_utc),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
