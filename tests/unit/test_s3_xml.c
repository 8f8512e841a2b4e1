/* SPDX-License-Identifier: Apache-2.0 */

/* The documents of S3: those of real stores are understood, and what is none is refused whole. */

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
#include "uplink/s3_xml.h"

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
#define NS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define ID "2~4MVSDlPPhxGIHQ"

static void test_error_document_is_understood(void **state) {
        static const char text[] =
                HEAD "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region \x7f is wrong</Message>"
                     "<Region>eu-west-1</Region><RequestId>tx1</RequestId><HostId>h</HostId></Error>";
        S3ErrorDocument e;

        (void) state;
        assert_int_equal(s3_xml_error(text, strlen(text), &e), 0);
        assert_string_equal(e.code, "AuthorizationHeaderMalformed");
        assert_string_equal(e.region, "eu-west-1");
        assert_string_equal(e.message, "the region ? is wrong");
}

static void test_documents_that_are_none_are_refused(void **state) {
        static const char *const texts[] = {
                "",
                "<",
                "<html><body>503</body></html>",
                "<Error></Error>",
                "<Error><Code>A</Code>",
                "<Error><Code>A</Code></Error><Error/>",
                "<Error><Code>A\x01</Code></Error>",
                "<!DOCTYPE Error [<!ENTITY a \"b\">]><Error><Code>&a;</Code></Error>",
                "<!DOCTYPE Error SYSTEM \"file:///etc/passwd\"><Error><Code>A</Code></Error>",
                "<Error><Code>&undefined;</Code></Error>",
                "<Error><a><b><c><d><e><f><g><h>x</h></g></f></e></d></c></b></a><Code>A</Code></Error>",
        };
        S3ErrorDocument e = { .code = "untouched" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (s3_xml_error(texts[i], strlen(texts[i]), &e) != -EBADMSG)
                        fail_msg("%s was taken for an error document", texts[i]);
        assert_string_equal(e.code, "untouched");
}

static void test_overlong_texts_are_refused(void **state) {
        _cleanup_(freep) char *text = malloc(8000);
        S3ErrorDocument e;
        size_t n;

        (void) state;
        for (size_t length = 60; length < 6000; length *= 9) {
                n = (size_t) sprintf(text, "<Error><Code>");
                memset(text + n, 'A', length);
                (void) sprintf(text + n + length, "</Code></Error>");
                assert_int_equal(s3_xml_error(text, strlen(text), &e), length < S3_CODE_SIZE ? 0 : -EBADMSG);
        }
}

static void test_upload_id_is_read(void **state) {
        static const char text[] =
                HEAD "<InitiateMultipartUploadResult" NS "><Tenant></Tenant><Bucket>b</Bucket><Key>k</Key><UploadId>" ID
                     "</UploadId></InitiateMultipartUploadResult>";
        static const char none[] = "<InitiateMultipartUploadResult><Key>k</Key></InitiateMultipartUploadResult>";
        char id[S3_UPLOAD_ID_SIZE] = "before";

        (void) state;
        assert_int_equal(s3_xml_initiated(none, strlen(none), id), -EBADMSG);
        assert_string_equal(id, "before");
        assert_int_equal(s3_xml_initiated(text, strlen(text), id), 0);
        assert_string_equal(id, ID);
}

typedef struct Seen {
        unsigned n;
        S3Part last;
} Seen;

static int see(void *userdata, const S3Part *part) {
        Seen *seen = userdata;

        seen->n++;
        seen->last = *part;
        return 0;
}

#define PART(n, size, etag) \
        "<Part><LastModified>2026-11-23T00:00:00.000Z</LastModified><PartNumber>" n "</PartNumber><ETag>" etag \
        "</ETag><Size>" size "</Size></Part>"
#define LIST(rest) \
        HEAD "<ListPartsResult" NS "><UploadId>" ID "</UploadId><IsTruncated>true</IsTruncated>" \
             "<NextPartNumberMarker>2</NextPartNumberMarker><Owner><ID>o</ID></Owner>" rest "</ListPartsResult>"

static void test_list_of_parts_is_read(void **state) {
        static const char text[] = LIST(PART("1", "5242880", "&quot;0123abc&quot;") PART("2", "7", "\"x-1\""));
        Seen seen = { 0 };
        S3Parts parts;

        (void) state;
        assert_int_equal(s3_xml_parts(text, strlen(text), see, &seen, &parts), 0);
        assert_int_equal(seen.n, 2);
        assert_int_equal(seen.last.number, 2);
        assert_int_equal(seen.last.size_bytes, 7);
        assert_string_equal(seen.last.etag, "x-1");
        assert_true(parts.truncated);
        assert_int_equal(parts.next_marker, 2);
        assert_string_equal(parts.upload_id, ID);
}

static void test_parts_that_make_no_sense_are_refused(void **state) {
        static const char *const texts[] = {
                LIST(PART("0", "1", "a")),
                LIST(PART("10001", "1", "a")),
                LIST(PART("1", "-1", "a")),
                LIST(PART("1", "99999999999999999999", "a")),
                LIST(PART("1", "1", "&quot;a&lt;&quot;")),
                LIST(PART("1", "1", "")),
                LIST("<Part><PartNumber>1</PartNumber><Size>1</Size></Part>"),
                LIST("<Part/>"),
                "<Error><Code>NoSuchUpload</Code></Error>",
        };
        Seen seen = { 0 };
        S3Parts parts;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (s3_xml_parts(texts[i], strlen(texts[i]), see, &seen, &parts) != -EBADMSG)
                        fail_msg("%s was taken for a list of parts", texts[i]);
        assert_int_equal(seen.n, 0);
}

static void test_completion_may_lack_an_etag_and_may_be_an_error(void **state) {
        static const char good[] =
                HEAD "<CompleteMultipartUploadResult" NS "><Location>l</Location><ETag>&quot;ab-2&quot;</ETag>"
                     "</CompleteMultipartUploadResult>";
        static const char *const empty[] = {
                "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>",
                "<CompleteMultipartUploadResult><ETag>&quot;&quot;</ETag></CompleteMultipartUploadResult>",
                "<CompleteMultipartUploadResult><Key>k</Key></CompleteMultipartUploadResult>",
        };
        static const char error[] = "\n\n"
                                    "<Error><Code>InternalError</Code></Error>";
        char etag[S3_ETAG_SIZE];

        (void) state;
        assert_int_equal(s3_xml_completed(good, strlen(good), etag), 0);
        assert_string_equal(etag, "ab-2");
        for (size_t i = 0; i < ELEMENTSOF(empty); i++) {
                assert_int_equal(s3_xml_completed(empty[i], strlen(empty[i]), etag), 0);
                assert_string_equal(etag, "");
        }
        assert_int_equal(s3_xml_completed(error, strlen(error), etag), -EREMOTEIO);
}

static int see_upload(void *userdata, const S3Upload *upload) {
        S3Upload *last = userdata;

        *last = *upload;
        return text_equal(upload->key, "stop") ? -ECANCELED : 0;
}

static void test_list_of_uploads_is_read(void **state) {
        static const char text[] =
                "<ListMultipartUploadsResult><Prefix>p</Prefix><Upload><Key>a/b</Key><UploadId>1</UploadId><Initiator><ID>x"
                "</ID></Initiator></Upload><Upload><Key>c</Key><UploadId>2</UploadId></Upload></ListMultipartUploadsResult>";
        static const char stop[] = "<ListMultipartUploadsResult><Upload><Key>stop</Key><UploadId>1</UploadId></Upload>"
                                   "<Upload><Key>c</Key><UploadId>2</UploadId></Upload></ListMultipartUploadsResult>";
        static const char half[] = "<ListMultipartUploadsResult><Upload><Key>a</Key></Upload></ListMultipartUploadsResult>";
        S3Upload last = { 0 };

        (void) state;
        assert_int_equal(s3_xml_uploads(text, strlen(text), see_upload, &last), 0);
        assert_string_equal(last.key, "c");
        assert_string_equal(last.upload_id, "2");
        assert_int_equal(s3_xml_uploads(stop, strlen(stop), see_upload, &last), -ECANCELED);
        assert_string_equal(last.key, "stop");
        assert_int_equal(s3_xml_uploads(half, strlen(half), see_upload, &last), -EBADMSG);
}

static int see_key(void *userdata, const char *key) {
        (void) snprintf(userdata, S3_KEY_SIZE, "%s", key);
        return strcmp(key, "stop") == 0 ? -ECANCELED : 0;
}

static void test_list_of_keys_is_read(void **state) {
        static const char text[] = HEAD "<ListBucketResult" NS "><Prefix>a/</Prefix><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>"
                                        "<Contents><Key>a/1</Key><Size>3</Size></Contents><Contents><Key>a/2</Key></Contents>"
                                        "</ListBucketResult>",
                          none[] = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
                          nameless[] = "<ListBucketResult><Contents><Size>3</Size></Contents></ListBucketResult>",
                          stop[] = "<ListBucketResult><Contents><Key>stop</Key></Contents><Contents><Key>b</Key></Contents>"
                                   "</ListBucketResult>",
                          error[] = "<Error><Code>SlowDown</Code></Error>";
        char last[S3_KEY_SIZE] = "";
        bool truncated = false;

        (void) state;
        assert_int_equal(s3_xml_keys(text, strlen(text), see_key, last, &truncated), 0);
        assert_string_equal(last, "a/2");
        assert_true(truncated);
        assert_int_equal(s3_xml_keys(none, strlen(none), see_key, last, &truncated), 0);
        assert_false(truncated);
        assert_int_equal(s3_xml_keys(nameless, strlen(nameless), see_key, last, &truncated), -EBADMSG);
        assert_int_equal(s3_xml_keys(stop, strlen(stop), see_key, last, &truncated), -ECANCELED);
        assert_string_equal(last, "stop");
        assert_int_equal(s3_xml_keys(text, strlen(text) - 3, see_key, last, &truncated), -EBADMSG);
        assert_int_equal(s3_xml_keys(error, strlen(error), see_key, last, &truncated), -EBADMSG);
}

static void test_object_lock_is_read(void **state) {
        static const char text[] =
                HEAD "<Retention" NS "><Mode>COMPLIANCE</Mode><RetainUntilDate>2026-11-23T09:15:00.123Z</RetainUntilDate>"
                     "</Retention>";
        static const char *const bad[] = {
                "<Retention><Mode>GOVERNANCE</Mode></Retention>",
                "<Retention><RetainUntilDate>2026-11-23T09:15:00Z</RetainUntilDate></Retention>",
                "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>tomorrow</RetainUntilDate></Retention>",
        };
        static const char on[] = "<LegalHold><Status>ON</Status></LegalHold>",
                          off[] = "<LegalHold><Status>OFF</Status></LegalHold>";
        S3Retention retention;
        bool held;

        (void) state;
        assert_int_equal(s3_xml_retention(text, strlen(text), &retention), 0);
        assert_string_equal(retention.mode, "COMPLIANCE");
        assert_int_equal(retention.until_unix_sec, 1795425300);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(s3_xml_retention(bad[i], strlen(bad[i]), &retention), -EBADMSG);
        assert_int_equal(s3_xml_legal_hold(on, strlen(on), &held), 0);
        assert_true(held);
        assert_int_equal(s3_xml_legal_hold(off, strlen(off), &held), 0);
        assert_false(held);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_error_document_is_understood),
                cmocka_unit_test(test_documents_that_are_none_are_refused),
                cmocka_unit_test(test_overlong_texts_are_refused),
                cmocka_unit_test(test_upload_id_is_read),
                cmocka_unit_test(test_list_of_parts_is_read),
                cmocka_unit_test(test_parts_that_make_no_sense_are_refused),
                cmocka_unit_test(test_completion_may_lack_an_etag_and_may_be_an_error),
                cmocka_unit_test(test_list_of_uploads_is_read),
                cmocka_unit_test(test_list_of_keys_is_read),
                cmocka_unit_test(test_object_lock_is_read),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
