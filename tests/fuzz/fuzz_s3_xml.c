/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever a store answers: each document is taken whole and within its limits, or not at all. */

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "uplink/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int see_part(void *userdata, const S3Part *part) {
        unsigned *n = userdata;

        assert(part->number >= 1 && part->number <= S3_PARTS_MAX && strlen(part->etag) > 0 && strlen(part->etag) < S3_ETAG_SIZE);
        assert(!strpbrk(part->etag, "<>&\""));
        return ++*n > 3 ? -ECANCELED : 0;
}

static int see_upload(void *userdata, const S3Upload *upload) {
        (void) userdata;
        assert(upload->key[0] && upload->upload_id[0] && text_is_printable(upload->key) && text_is_printable(upload->upload_id));
        return 0;
}

static int see_key(void *userdata, const char *key) {
        (void) userdata;
        assert(key[0] && strlen(key) < S3_KEY_SIZE && text_is_printable(key));
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char id[S3_UPLOAD_ID_SIZE] = "", etag[S3_ETAG_SIZE] = "";
        const char *text = (const char *) data;
        S3Retention retention;
        S3ErrorDocument e;
        unsigned n = 0;
        S3Parts parts;
        bool on;

        if (s3_xml_error(text, size, &e) == 0)
                assert(e.code[0] && text_is_printable(e.code) && text_is_printable(e.message) && text_is_printable(e.region));
        if (s3_xml_initiated(text, size, id) == 0)
                assert(id[0] && text_is_printable(id));
        else
                assert(id[0] == 0);
        (void) s3_xml_parts(text, size, see_part, &n, &parts);
        assert(n <= 4);
        if (s3_xml_completed(text, size, etag) == 0)
                assert(text_is_printable(etag) && !strpbrk(etag, "<>&\""));
        (void) s3_xml_uploads(text, size, see_upload, NULL);
        (void) s3_xml_keys(text, size, see_key, NULL, &on);
        (void) s3_xml_retention(text, size, &retention);
        (void) s3_xml_legal_hold(text, size, &on);
        return 0;
}
