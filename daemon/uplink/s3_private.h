/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of the s3 backend. A task is an operation (op.h): a chain of calls to the store and of jobs on a thread. Whoever ends the
 * chain calls s3_op_end().
 */

#include "uplink/endpoint.h"
#include "uplink/http.h"
#include "base/layout.h"
#include "uplink/manifest.h"
#include "uplink/op.h"
#include "uplink/retry.h"
#include "uplink/s3.h"
#include "uplink/s3_credentials.h"
#include "uplink/s3_customer_key.h"
#include "uplink/s3_outcome.h"
#include "uplink/s3_record.h"
#include "uplink/s3_xml.h"
#include "uplink/successor.h"

#define S3_MD5_BASE64_SIZE 25
#define S3_SHA256_BASE64_SIZE 45

/* What the last thorough look found out. */
typedef struct S3Promises {
        bool known;
        bool conditional;     /* If-None-Match: * is kept */
        bool checks_sha256;   /* a wrong x-amz-content-sha256 is refused */
        bool checks_checksum; /* a wrong x-amz-checksum-sha256 is refused, and a right one is not */
        /* What our keys are good for, and should not be. */
        bool may_delete, may_replace;
        bool lock_unseen; /* Object Lock is asked for, and our keys may not ask whether the bucket has it */
} S3Promises;

typedef struct S3Store {
        sd_event *event;
        Http *http;
        S3Credentials *credentials;
        S3CustomerKey *customer_key; /* NULL: the store encrypts with keys of its own, or not at all */
        Endpoint endpoint;
        char *host;  /* with the bucket, in virtual-host style */
        char *path;  /* "/" or "/bucket/", then the prefix */
        char *name;  /* for people: "s3://bucket/prefix at https://host" */
        char *place; /* "bucket/prefix": what a record is of */
        char *region, *prefix, *storage_class, *encryption, *kms_key, *tags, *lock_mode;
        char owner[17]; /* this machine's folder in probe/ */
        bool read_back, sole_writer, content_md5, legal_hold;
        uint64_t part_size_bytes, retention_sec;
        int records; /* the folder of our records, or -EBADF */
        S3Promises promises;
        OpLanes lanes;
        Successor successor;
} S3Store;

typedef struct S3Op S3Op;

/* How a call ended. Everything is borrowed from the call. */
typedef struct S3Result {
        S3Outcome outcome;
        const HttpAnswer *answer;
        bool needs_same_key;     /* what was asked for can be had only with the customer's key that it was put with */
        S3ErrorDocument error;   /* its code is "" when there was none */
        char etag[S3_ETAG_SIZE]; /* of a header, without quotation marks; "" */
        uint64_t retry_after_sec;
        unsigned tries; /* how often it was sent */
        unsigned tag;   /* s3_call_tag() */
} S3Result;

typedef struct S3Call S3Call;

/* s3_lock() under way. */
typedef struct S3Lock {
        const char *key, *version;
        void (*then)(S3Op *op);
        bool asked, hold_asked;
        int64_t until_unix_sec;
} S3Lock;

struct S3Op {
        Op base; /* first */
        S3Store *store;
        Task *task; /* the base's */
        S3Call *calls; /* those that are under way */
        Manifest *found; /* by s3_look_up(), which looked for `looked_up` */
        const char *looked_up;
        S3Lock lock;
        void (*absent)(S3Op *op);
        void (*present)(S3Op *op);
        void (*lost)(S3Op *op); /* the manifest is there, and its object is not; NULL: that is a conflict */
        void (*release)(S3Op *op); /* frees what the operation holds, and the operation */
};

/* ---- s3_op.c: operations ------------------------------------------------------------------------------------------- */

/* For the embedding operation, which is zeroed: -ENOMEM. */
int s3_op_init(S3Op *op, S3Store *store, Task *task, void (*release)(S3Op *op));
/* What s3_op_init() made; the operation itself is the caller's. */
void s3_op_fini(S3Op *op);
/* The outcome is in the task: it is done on the next turn of the loop, or when the last job has ended. */
void s3_op_end(S3Op *op);
void s3_op_cancel(S3Op *op);
bool s3_op_is_cancelled(const S3Op *op);
/* Something moved. */
void s3_op_moved(S3Op *op);
/*
 * Runs on the operation's thread, then `then` on the loop; not after a cancellation. Ends the operation itself when out of memory.
 */
void s3_op_job(S3Op *op, int (*run)(S3Op *op), void (*then)(S3Op *op, int result));
/* Ends the operation with a sentence for a call that did not succeed. `doing`: "putting an object". */
void s3_op_fail(S3Op *op, const S3Result *result, const char *doing);
/* … for a step of ours that failed. */
void s3_op_fail_errno(S3Op *op, int error, const char *doing);

/* ---- s3_call.c: one request, tried again as long as that helps -------------------------------------------------------- */

/* A key is relative to the store; NULL: the bucket. Errors are kept until s3_call_send(); all of these take a NULL call. */
S3Call *s3_call_new(S3Op *op, const char *method, const char *key);
S3Call *s3_call_free(S3Call *call);
void s3_call_query(S3Call *call, const char *name, const char *value);
void s3_call_query_uint(S3Call *call, const char *name, uint64_t value);
/* The name in lower case. */
void s3_call_header(S3Call *call, const char *name, const char *value);
/* x-amz-meta-* (unless the digest is NULL), storage class, encryption, tags: what makes an object. */
void s3_call_object_headers(S3Call *call, const Digest *digest);
/* From a file; `sha256` is sent, and checked by a store that keeps its promises; `md5` (base64) may be NULL. */
void s3_call_file(S3Call *call, int fd, uint64_t offset, uint64_t size_bytes, const Digest *sha256, const char *md5,
                  bool checksum);
/* From memory: takes `text`. `with_md5` where S3 wants it. */
void s3_call_text(S3Call *call, char *text, const char *type, bool with_md5);
/* The x-amz-checksum-sha256 of the body from memory, once that is there. */
void s3_call_checksum(S3Call *call);
/* Another x-amz-content-sha256 than the body's, or x-amz-checksum-sha256, to see whether the store notices. */
void s3_call_lie(S3Call *call, bool about_checksum);
/* Takes the body of a successful answer; `restart` is called before each try. */
void s3_call_sink(S3Call *call, int (*sink)(S3Op *op, const void *data, size_t size), int (*restart)(S3Op *op));
/* The base64 of a digest; returns ret. */
char *s3_base64(const Digest *digest, char ret[static S3_SHA256_BASE64_SIZE]);
/* Each time that the store hears of it is to be counted: it makes something new. */
void s3_call_fresh(S3Call *call);
/* How often it is tried, when not as usual. */
void s3_call_tries(S3Call *call, unsigned tries);
/* Told whenever bytes of the body went on their way: how many of them in all. May not end the operation. */
void s3_call_count(S3Call *call, void (*sent)(S3Op *op, unsigned tag, uint64_t bytes));
/* Tells one of several calls from the others. */
void s3_call_tag(S3Call *call, unsigned tag);
/* Ends all calls that are under way, without a word. */
void s3_calls_end(S3Op *op);
/* Takes the call; ends the operation when it is NULL, or when it cannot be sent. */
void s3_call_send(S3Op *op, S3Call *call, void (*then)(S3Op *op, const S3Result *result));

/* ---- s3_verify.c: what the store has ------------------------------------------------------------------------------- */

typedef struct S3Head {
        uint64_t size_bytes;
        char etag[S3_ETAG_SIZE];
        char version[S3_UPLOAD_ID_SIZE];
} S3Head;

/* -EBADMSG when the answer to a HEAD says no size. */
int s3_head_parse(const S3Result *result, S3Head *ret);
/* Reads an object whole and hashes it on the way; afterwards s3_read_digest() tells what it was. */
void s3_read(S3Op *op, const char *key, void (*then)(S3Op *op, const S3Result *result));
int s3_read_digest(S3Op *op, Digest *ret, uint64_t *ret_size_bytes);
/* Is this a manifest? 0, or -1 after ending the operation. `key` is where it was found. */
int s3_take_manifest(S3Op *op, const S3Result *result, const char *key, Manifest **ret);
/*
 * Looks for the manifest of the clip of a put; the key stays the caller's and must stay. `absent` goes on when there is none.
 * Otherwise its object is read whole; `present` goes on when all is right and the receipt filled, else the operation ends with a
 * conflict.
 */
void s3_look_up(S3Op *op, const char *manifest_key, void (*absent)(S3Op *op), void (*present)(S3Op *op));

/* ---- s3_lock.c: Object Lock ---------------------------------------------------------------------------------------- */

/* Makes sure that an object is kept as the settings want it, and reads back that it is; ends the operation when it is not. */
void s3_lock(S3Op *op, const char *key, const char *version, void (*then)(S3Op *op));

/* ---- s3_put.c, s3_parts.c, s3_grow.c: putting a clip ------------------------------------------------------------------- */

/* What a part is to the store. */
typedef struct S3PartHash {
        Digest digest;
        char md5[S3_MD5_BASE64_SIZE]; /* "" when it is not wanted */
} S3PartHash;

/*
 * How many parts of a clip may be under way at once. Together they have the size that is set for a part: that much a kill may cost. While
 * one ends, at the store's pace, the others keep the link busy.
 */
#define S3_FLIGHTS_MAX 4u

/* A part that is being sent or recorded. */
typedef struct S3Flight {
        unsigned number; /* 0: none */
        S3PartHash hash;
        char etag[S3_ETAG_SIZE];
        uint64_t sent_bytes;
} S3Flight;

typedef struct S3Put {
        S3Op op; /* first */
        Manifest manifest; /* its serial and path are the request's */
        char *clip; /* which of the dock's clips it is */
        char *lost; /* the key of the object that the store has lost, which its manifest still names */
        /* Of one that grows, while it is looked for: what manifests of its name begin with, and what comes when there is none. */
        char *name_prefix;
        bool name_taken;
        void (*absent)(S3Op *op);
        S3RecordKey record_key; /* the thread's, while it opens the record */
        S3Record *record;
        bool with_md5, checksum;
        Hasher *whole;
        Digest whole_digest; /* when all parts are hashed */
        /* The part that is hashed by the thread, those that are hashed, and the one that is to be sent next. */
        unsigned hashing, hashed, current;
        S3Flight flights[S3_FLIGHTS_MAX];
        unsigned flights_max, n_flights;
        unsigned recording[S3_FLIGHTS_MAX], n_recording; /* flights; the first is the thread's */
        uint64_t stored_bytes;                           /* of parts that are stored and recorded */
        bool all_sent;
        bool pumping; /* the upload is there, and parts go as they can */
        /* Another upload under our key, to be aborted, and how many there were. */
        bool asked_again;
        char stray_id[S3_UPLOAD_ID_SIZE];
        unsigned strays;
        S3PartHash hashes[2]; /* of odd and even parts: hashing is one part ahead of sending */
        bool *listed;
        unsigned list_marker;
        char upload_id[S3_UPLOAD_ID_SIZE], etag[S3_ETAG_SIZE];
        S3Head head;
        bool doubtful; /* the store's word on what it has is not consistent: only reading it back tells */
        bool read_back;
} S3Put;

/* How many bytes of a clip of that size may be under way, and how large its parts are. */
uint64_t s3_under_way_max(const S3Store *store, uint64_t size_bytes);
uint64_t s3_choose_part_size(const S3Store *store, uint64_t size_bytes);
uint64_t s3_part_offset(const S3Put *p, unsigned number);
uint64_t s3_part_size(const S3Put *p, unsigned number);
/* A job: hashes part p->hashing for itself and on top of the parts before it. */
int s3_hash_part(S3Op *op);
/* The spool file is not what was promised. */
void s3_put_source_differs(S3Put *p);
void s3_put_source_error(S3Put *p, int error);
/* All bytes are with the store under the object's key. */
void s3_put_settle(S3Put *p);
/* Names the manifest, whose digest is known now: -1 after an answer. */
int s3_put_name_manifest(S3Put *p);
/* It is there: the clip is stored already. What we sent of it goes. */
void s3_put_present(S3Op *op);
/* A job: our record goes. */
int s3_put_remove_record(S3Op *op);
/* Brings the parts to the store; goes on with s3_put_settle(). */
void s3_parts_begin(S3Put *p);
/* Goes on with what can be done now: for a clip that has grown. */
void s3_parts_pump(S3Put *p);
/* The store's list of parts is compared with ours, and the object made. */
void s3_parts_complete(S3Put *p);

/*
 * Before anything of it is sent: a clip of that name that is in the store already, by whichever dock, is put when its digest is known, and
 * then most likely found there. `absent` is called when there is none, or when that cannot be told.
 */
void s3_grow_look_up(S3Put *p, void (*absent)(S3Op *op));
/* May that part be sent? */
bool s3_grow_has_part(const S3Put *p, unsigned number);
/* A clip that grows or grew sends only while it has one of the places (Task, take_place): asked before each part. */
bool s3_grow_has_place(const S3Put *p);
/* Nothing of it is under way now. */
void s3_grow_give_place(const S3Put *p);
/* Ends, or is about to: nothing more is to be begun. Asked by s3_parts_pump() before it begins anything. */
bool s3_grow_ends(S3Put *p);
/* All parts are sent, and the whole has the digest that was told. */
void s3_grow_settle(S3Put *p);
/* What was sent is not what was pulled: no object is made of it. */
void s3_grow_differs(S3Put *p);
void s3_grow_told(S3Op *op);

/* ---- The operations ------------------------------------------------------------------------------------------------ */

/* Each begins a task of its kind, which ends by task->done() with its outcome in the task. -ENOMEM: it was not begun. */
int s3_put_begin(S3Store *store, Task *task);
int s3_confirm_begin(S3Store *store, Task *task);
int s3_legal_hold_begin(S3Store *store, Task *task);
int s3_probe_begin(S3Store *store, Task *task);
int s3_keep_begin(S3Store *store, Task *task);
int s3_replace_begin(S3Store *store, Task *task);
int s3_fetch_begin(S3Store *store, Task *task);
int s3_list_begin(S3Store *store, Task *task);
int s3_put_image_begin(S3Store *store, Task *task);
int s3_get_image_begin(S3Store *store, Task *task);
