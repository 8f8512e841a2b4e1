/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The few XML documents of S3, taken apart where they enter: bytes that a store, or whoever stands between, may have written.
 * Parsed by expat; no document type, no entities of its own, and limits on depth, length and number of everything. Elements that
 * are not known are passed over, namespaces are not looked at.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define S3_CODE_SIZE 64
#define S3_MESSAGE_SIZE 256
#define S3_UPLOAD_ID_SIZE 1025
#define S3_ETAG_SIZE 129
#define S3_KEY_SIZE 1025
#define S3_PARTS_MAX 10000u

/* <Error> */
typedef struct S3ErrorDocument {
        char code[S3_CODE_SIZE];
        char message[S3_MESSAGE_SIZE]; /* printable */
        char region[S3_CODE_SIZE];     /* where the bucket is, when the store says so, else "" */
} S3ErrorDocument;

/* One of <ListPartsResult>. */
typedef struct S3Part {
        unsigned number;
        uint64_t size_bytes;
        char etag[S3_ETAG_SIZE]; /* without the quotation marks */
} S3Part;

typedef struct S3Parts {
        char upload_id[S3_UPLOAD_ID_SIZE]; /* "" when it was not said */
        bool truncated;
        unsigned next_marker;
} S3Parts;

/* One of <ListMultipartUploadsResult>. */
typedef struct S3Upload {
        char key[S3_KEY_SIZE];
        char upload_id[S3_UPLOAD_ID_SIZE];
} S3Upload;

typedef struct S3Retention {
        char mode[16]; /* "GOVERNANCE", "COMPLIANCE" */
        int64_t until_unix_sec;
} S3Retention;

/* All of these: -EBADMSG when it is not that document, -ENOMEM. Outputs are untouched on failure. */
int s3_xml_error(const char *text, size_t size, S3ErrorDocument *ret);
int s3_xml_initiated(const char *text, size_t size, char ret_upload_id[static S3_UPLOAD_ID_SIZE]);
/* Calls `each` in the order of the document; its negative result ends that, and is returned. */
int s3_xml_parts(const char *text, size_t size, int (*each)(void *userdata, const S3Part *part), void *userdata, S3Parts *ret);
/* The etag is "" when the document has none. An <Error>, which may come with status 200: -EREMOTEIO. */
int s3_xml_completed(const char *text, size_t size, char ret_etag[static S3_ETAG_SIZE]);
int s3_xml_uploads(const char *text, size_t size, int (*each)(void *userdata, const S3Upload *upload), void *userdata);
/* The keys of a <ListBucketResult>; *ret_truncated: there are more. */
int s3_xml_keys(const char *text, size_t size, int (*each)(void *userdata, const char *key), void *userdata, bool *ret_truncated);
int s3_xml_retention(const char *text, size_t size, S3Retention *ret);
int s3_xml_legal_hold(const char *text, size_t size, bool *ret_on);

/* Cuts the quotation marks off an etag, in place; true when what is left is a plausible one. */
bool s3_etag_normalise(char *etag);
