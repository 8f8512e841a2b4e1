/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/s3_xml.h"

#include <errno.h>
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "base/text.h"

#define DEPTH_MAX 8u
#define TEXT_MAX 2048u
#define NAME_MAX_BYTES 48u
#define ELEMENTS_MAX 200000u

/* A walk over a document: `leaf` gets each element without children, `close` the end of each child of the root. */
typedef struct Walk {
        XML_Parser parser;
        const char *root;
        int (*leaf)(void *userdata, const char *parent, const char *name, const char *text);
        int (*close)(void *userdata, const char *name);
        void *userdata;
        int result;
        unsigned depth, elements;
        char names[DEPTH_MAX][NAME_MAX_BYTES];
        bool has_child[DEPTH_MAX];
        char text[TEXT_MAX + 1];
        size_t length;
} Walk;

static void stop(Walk *w, int result) {
        if (w->result == 0)
                w->result = result;
        (void) XML_StopParser(w->parser, XML_FALSE);
}

static void on_start(void *userdata, const XML_Char *name, const XML_Char **attributes) {
        Walk *w = userdata;

        (void) attributes;
        if (w->result < 0)
                return;
        if (w->depth >= DEPTH_MAX || ++w->elements > ELEMENTS_MAX || strlen(name) >= NAME_MAX_BYTES)
                return stop(w, -EBADMSG);
        if (w->depth == 0 && !text_equal(name, w->root))
                return stop(w, text_equal(name, "Error") ? -EREMOTEIO : -EBADMSG);
        if (w->depth > 0)
                w->has_child[w->depth - 1] = true;
        (void) snprintf(w->names[w->depth], NAME_MAX_BYTES, "%s", name);
        w->has_child[w->depth] = false;
        w->depth++;
        w->length = 0;
}

static void on_text(void *userdata, const XML_Char *text, int length) {
        Walk *w = userdata;

        if (w->result < 0 || length < 0)
                return;
        if ((size_t) length > TEXT_MAX - w->length)
                return stop(w, -EBADMSG);
        memcpy(w->text + w->length, text, (size_t) length);
        w->length += (size_t) length;
}

static void on_end(void *userdata, const XML_Char *name) {
        Walk *w = userdata;
        int r = 0;

        if (w->result < 0)
                return;
        w->depth--;
        w->text[w->length] = 0;
        if (!w->has_child[w->depth] && w->leaf && w->depth > 0)
                r = w->leaf(w->userdata, w->names[w->depth - 1], name, w->text);
        if (r >= 0 && w->depth == 1 && w->close)
                r = w->close(w->userdata, name);
        w->length = 0;
        if (r < 0)
                stop(w, r);
}

static void on_document_type(void *userdata, const XML_Char *name, const XML_Char *system, const XML_Char *public, int internal) {
        (void) name;
        (void) system;
        (void) public;
        (void) internal;
        stop(userdata, -EBADMSG);
}

static int walk(Walk *w, const char *text, size_t size) {
        enum XML_Status status;

        if (size > INT32_MAX)
                return -EBADMSG;
        w->parser = XML_ParserCreate("UTF-8");
        if (!w->parser)
                return -ENOMEM;
        XML_SetUserData(w->parser, w);
        XML_SetElementHandler(w->parser, on_start, on_end);
        XML_SetCharacterDataHandler(w->parser, on_text);
        XML_SetStartDoctypeDeclHandler(w->parser, on_document_type);
        status = XML_Parse(w->parser, text, (int) size, XML_TRUE);
        if (w->result == 0 && status != XML_STATUS_OK)
                w->result = XML_GetErrorCode(w->parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -EBADMSG;
        XML_ParserFree(w->parser);
        return w->result;
}

/* ---- Values -------------------------------------------------------------------------------------------------------- */

static int take_uint(const char *text, uint64_t max, uint64_t *ret) {
        uint64_t n = 0;

        if (text[0] == 0)
                return -EBADMSG;
        for (; *text; text++) {
                unsigned digit = (unsigned) (*text - '0');

                if (*text < '0' || *text > '9' || n > (max - digit) / 10)
                        return -EBADMSG;
                n = n * 10 + digit;
        }
        *ret = n;
        return 0;
}

static int take_text(const char *text, char *ret, size_t size) {
        if (strlen(text) >= size || !text_is_printable(text))
                return -EBADMSG;
        memcpy(ret, text, strlen(text) + 1);
        return 0;
}

bool s3_etag_normalise(char *etag) {
        size_t n = strlen(etag);

        if (n >= 2 && etag[0] == '"' && etag[n - 1] == '"') {
                memmove(etag, etag + 1, n - 2);
                etag[n - 2] = 0;
        }
        return etag[0] != 0 && etag[strspn(etag, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_+/=.:")] == 0;
}

static int take_etag(const char *text, char ret[static S3_ETAG_SIZE]) {
        int r;

        r = take_text(text, ret, S3_ETAG_SIZE);
        if (r < 0)
                return r;
        return s3_etag_normalise(ret) ? 0 : -EBADMSG;
}

/* "2026-11-23T09:15:00.000Z", with or without a fraction. */
static int take_time(const char *text, int64_t *ret) {
        const char *rest;
        struct tm tm = {};

        rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        if (!rest)
                return -EBADMSG;
        if (*rest == '.')
                rest += 1 + strspn(rest + 1, "0123456789");
        if (!text_equal(rest, "Z") && !text_equal(rest, "+00:00"))
                return -EBADMSG;
        *ret = (int64_t) timegm(&tm);
        return 0;
}

/* ---- <Error> ------------------------------------------------------------------------------------------------------- */

static int error_leaf(void *userdata, const char *parent, const char *name, const char *text) {
        S3ErrorDocument *e = userdata;

        if (!text_equal(parent, "Error"))
                return 0;
        if (text_equal(name, "Code"))
                return take_text(text, e->code, sizeof(e->code));
        if (text_equal(name, "Message"))
                text_sanitise(text, e->message, sizeof(e->message));
        if (text_equal(name, "Region"))
                return take_text(text, e->region, sizeof(e->region));
        return 0;
}

int s3_xml_error(const char *text, size_t size, S3ErrorDocument *ret) {
        S3ErrorDocument e = {};
        Walk w = { .root = "Error", .leaf = error_leaf, .userdata = &e };
        int r;

        r = walk(&w, text, size);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        if (e.code[0] == 0)
                return -EBADMSG;
        *ret = e;
        return 0;
}

/* ---- Multipart uploads --------------------------------------------------------------------------------------------- */

static int initiated_leaf(void *userdata, const char *parent, const char *name, const char *text) {
        if (!text_equal(parent, "InitiateMultipartUploadResult") || !text_equal(name, "UploadId"))
                return 0;
        return take_text(text, userdata, S3_UPLOAD_ID_SIZE);
}

int s3_xml_initiated(const char *text, size_t size, char ret_upload_id[static S3_UPLOAD_ID_SIZE]) {
        char id[S3_UPLOAD_ID_SIZE] = "";
        Walk w = { .root = "InitiateMultipartUploadResult", .leaf = initiated_leaf, .userdata = id };
        int r;

        r = walk(&w, text, size);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        if (id[0] == 0)
                return -EBADMSG;
        memcpy(ret_upload_id, id, sizeof(id));
        return 0;
}

typedef struct PartsWalk {
        S3Parts parts;
        S3Part part;
        bool has_number, has_size, has_etag;
        unsigned count;
        int (*each)(void *userdata, const S3Part *part);
        void *userdata;
} PartsWalk;

static int part_leaf(PartsWalk *p, const char *name, const char *text) {
        uint64_t n;
        int r = 0;

        if (text_equal(name, "PartNumber")) {
                r = take_uint(text, S3_PARTS_MAX, &n);
                if (r < 0 || n == 0)
                        return -EBADMSG;
                p->part.number = (unsigned) n;
                p->has_number = true;
        } else if (text_equal(name, "Size")) {
                r = take_uint(text, INT64_MAX, &p->part.size_bytes);
                p->has_size = true;
        } else if (text_equal(name, "ETag")) {
                r = take_etag(text, p->part.etag);
                p->has_etag = true;
        }
        return r;
}

static int parts_leaf(void *userdata, const char *parent, const char *name, const char *text) {
        PartsWalk *p = userdata;
        uint64_t n;
        int r;

        if (text_equal(parent, "Part"))
                return part_leaf(p, name, text);
        if (!text_equal(parent, "ListPartsResult"))
                return 0;
        if (text_equal(name, "UploadId"))
                return take_text(text, p->parts.upload_id, sizeof(p->parts.upload_id));
        if (text_equal(name, "IsTruncated"))
                p->parts.truncated = text_equal(text, "true");
        if (text_equal(name, "NextPartNumberMarker")) {
                r = take_uint(text, S3_PARTS_MAX, &n);
                if (r < 0)
                        return r;
                p->parts.next_marker = (unsigned) n;
        }
        return 0;
}

static int parts_close(void *userdata, const char *name) {
        PartsWalk *p = userdata;
        int r;

        if (!text_equal(name, "Part"))
                return 0;
        if (!p->has_number || !p->has_size || !p->has_etag || ++p->count > S3_PARTS_MAX)
                return -EBADMSG;
        r = p->each ? p->each(p->userdata, &p->part) : 0;
        p->has_number = p->has_size = p->has_etag = false;
        return r;
}

int s3_xml_parts(const char *text, size_t size, int (*each)(void *userdata, const S3Part *part), void *userdata, S3Parts *ret) {
        PartsWalk p = { .each = each, .userdata = userdata };
        Walk w = { .root = "ListPartsResult", .leaf = parts_leaf, .close = parts_close, .userdata = &p };
        int r;

        r = walk(&w, text, size);
        if (r < 0)
                return r == -EREMOTEIO ? -EBADMSG : r;
        *ret = p.parts;
        return 0;
}

static int completed_leaf(void *userdata, const char *parent, const char *name, const char *text) {
        if (!text_equal(parent, "CompleteMultipartUploadResult") || !text_equal(name, "ETag") || text[0] == 0)
                return 0;
        /* RGW's first answer may have an empty one, in quotation marks or without. */
        return text_equal(text, "\"\"") ? 0 : take_etag(text, userdata);
}

int s3_xml_completed(const char *text, size_t size, char ret_etag[static S3_ETAG_SIZE]) {
        char etag[S3_ETAG_SIZE] = "";
        Walk w = { .root = "CompleteMultipartUploadResult", .leaf = completed_leaf, .userdata = etag };
        int r;

        r = walk(&w, text, size);
        if (r < 0)
                return r;
        memcpy(ret_etag, etag, sizeof(etag));
        return 0;
}

typedef struct UploadsWalk {
        S3Upload upload;
        int (*each)(void *userdata, const S3Upload *upload);
        void *userdata;
} UploadsWalk;

static int uploads_leaf(void *userdata, const char *parent, const char *name, const char *text) {
        UploadsWalk *u = userdata;

        if (!text_equal(parent, "Upload"))
                return 0;
        if (text_equal(name, "Key"))
                return take_text(text, u->upload.key, sizeof(u->upload.key));
        if (text_equal(name, "UploadId"))
                return take_text(text, u->upload.upload_id, sizeof(u->upload.upload_id));
        return 0;
}

static int uploads_close(void *userdata, const char *name) {
        UploadsWalk *u = userdata;
        int r;

        if (!text_equal(name, "Upload"))
                return 0;
        if (u->upload.key[0] == 0 || u->upload.upload_id[0] == 0)
                return -EBADMSG;
        r = u->each(u->userdata, &u->upload);
        u->upload = (S3Upload){};
        return r;
}

int s3_xml_uploads(const char *text, size_t size, int (*each)(void *userdata, const S3Upload *upload), void *userdata) {
        UploadsWalk u = { .each = each, .userdata = userdata };
        Walk w = { .root = "ListMultipartUploadsResult", .leaf = uploads_leaf, .close = uploads_close, .userdata = &u };
        int r;

        r = walk(&w, text, size);
        return r == -EREMOTEIO ? -EBADMSG : r;
}

/* ---- Lists of keys -------------------------------------------------------------------------------------------------- */

typedef struct KeysWalk {
        char key[S3_KEY_SIZE];
        bool truncated;
        int (*each)(void *userdata, const char *key);
        void *userdata;
} KeysWalk;

static int keys_leaf(void *userdata, const char *parent, const char *name, const char *text) {
        KeysWalk *k = userdata;

        if (text_equal(parent, "Contents") && text_equal(name, "Key"))
                return take_text(text, k->key, sizeof(k->key));
        if (text_equal(parent, "ListBucketResult") && text_equal(name, "IsTruncated"))
                k->truncated = text_equal(text, "true");
        return 0;
}

static int keys_close(void *userdata, const char *name) {
        KeysWalk *k = userdata;
        int r;

        if (!text_equal(name, "Contents"))
                return 0;
        if (k->key[0] == 0)
                return -EBADMSG;
        r = k->each(k->userdata, k->key);
        k->key[0] = 0;
        return r;
}

int s3_xml_keys(const char *text, size_t size, int (*each)(void *userdata, const char *key), void *userdata, bool *ret_truncated) {
        KeysWalk k = { .each = each, .userdata = userdata };
        Walk w = { .root = "ListBucketResult", .leaf = keys_leaf, .close = keys_close, .userdata = &k };
        int r;

        r = walk(&w, text, size);
        if (r < 0)
                return r == -EREMOTEIO ? -EBADMSG : r;
        *ret_truncated = k.truncated;
        return 0;
}

/* ---- Object Lock --------------------------------------------------------------------------------------------------- */

typedef struct RetentionWalk {
        S3Retention retention;
        bool has_until;
} RetentionWalk;

static int retention_leaf(void *userdata, const char *parent, const char *name, const char *text) {
        RetentionWalk *r = userdata;

        if (!text_equal(parent, "Retention"))
                return 0;
        if (text_equal(name, "Mode"))
                return take_text(text, r->retention.mode, sizeof(r->retention.mode));
        if (!text_equal(name, "RetainUntilDate"))
                return 0;
        r->has_until = true;
        return take_time(text, &r->retention.until_unix_sec);
}

int s3_xml_retention(const char *text, size_t size, S3Retention *ret) {
        RetentionWalk retention = {};
        Walk w = { .root = "Retention", .leaf = retention_leaf, .userdata = &retention };
        int r;

        r = walk(&w, text, size);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        if (!retention.has_until || retention.retention.mode[0] == 0)
                return -EBADMSG;
        *ret = retention.retention;
        return 0;
}

static int legal_hold_leaf(void *userdata, const char *parent, const char *name, const char *text) {
        if (text_equal(parent, "LegalHold") && text_equal(name, "Status"))
                *(bool *) userdata = text_equal(text, "ON");
        return 0;
}

int s3_xml_legal_hold(const char *text, size_t size, bool *ret_on) {
        bool on = false;
        Walk w = { .root = "LegalHold", .leaf = legal_hold_leaf, .userdata = &on };
        int r;

        r = walk(&w, text, size);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        *ret_on = on;
        return 0;
}
