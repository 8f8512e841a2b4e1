/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What we know of an upload that is under way: a small file for each, in our state folder, so that after a kill or a power loss
 * only what was not recorded is sent again. Lines of JSON: first what is being uploaded and to where, then the store's name for
 * the upload, then each part that the store acknowledged; all synced before the next step. Everything here blocks.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/macro.h"
#include "uplink/s3_xml.h"

typedef struct S3RecordPart {
        bool stored; /* acknowledged by the store */
        uint64_t size_bytes;
        Digest digest;
        char etag[S3_ETAG_SIZE]; /* "" when the store gave none */
} S3RecordPart;

/*
 * What a record must be of to be gone on with. The digest may not be known yet: a clip that is uploaded while it is pulled. Once it is
 * known it is recorded, before an object is made of the parts, so that an object of other content is never taken for this clip's.
 */
typedef struct S3RecordKey {
        const char *store; /* bucket and prefix: an endpoint may move */
        const char *clip;  /* says which of the dock's clips it is */
        uint64_t size_bytes;
        const Digest *digest; /* NULL: not known yet */
} S3RecordKey;

typedef struct S3Record {
        int dir, fd; /* -EBADF when nothing is kept */
        char name[33];
        char *object; /* the data key that this upload has, for good */
        uint64_t part_size_bytes;
        unsigned n_parts;
        bool resumed;  /* read from a file that was there … */
        bool outdated; /* … of other content: to be begun anew by s3_record_renew() once its upload is aborted */
        bool digest_known;
        Digest digest;
        char upload_id[S3_UPLOAD_ID_SIZE];
        S3RecordPart *parts;
} S3Record;

/* How many parts of that size a clip has; one for an empty clip. */
unsigned s3_parts_of(uint64_t size_bytes, uint64_t part_size_bytes);

/* Is there one? */
bool s3_record_exists(int dir, const char *clip);
/*
 * Goes on with the record that is there, or makes one with this object key and part size. `dir` (borrowed) is negative when nothing
 * is to be kept. -EBUSY when another transfer of this clip is still under way.
 */
int s3_record_open(int dir, const S3RecordKey *key, const char *object, uint64_t part_size_bytes, S3Record **ret);
/* In place of what is there, whatever it is of. The record stays locked by us. */
int s3_record_renew(S3Record *r, const S3RecordKey *key, const char *object, uint64_t part_size_bytes);
/* The file stays. */
S3Record *s3_record_free(S3Record *r);
DEFINE_CLEANUP(S3Record, s3_record_free);
/* It is known now. */
int s3_record_set_digest(S3Record *r, const Digest *digest);
/* A new upload, without parts; "" when there is none any more. */
int s3_record_set_upload(S3Record *r, const char *upload_id);
int s3_record_add_part(S3Record *r, unsigned number, uint64_t size_bytes, const Digest *digest, const char *etag);
/* It is over: the file goes. */
int s3_record_remove(S3Record *r);

/* Something that a record tells of and that nobody goes on with. */
typedef struct S3Orphan {
        char name[33];
        char *object;
        char upload_id[S3_UPLOAD_ID_SIZE];
} S3Orphan;
/* One whose file is older than that and that is of this store: 1, or 0 when there is none. The caller frees the object's key. */
int s3_record_find_orphan(int dir, const char *store, int64_t before_unix_sec, S3Orphan *ret);
int s3_record_remove_orphan(int dir, const S3Orphan *orphan);
