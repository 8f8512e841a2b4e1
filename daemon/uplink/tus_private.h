/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parts of the tus backend. A task is an operation (op.h): a chain of calls to the server and of jobs on a thread. */

#include "uplink/http.h"
#include "base/layout.h"
#include "uplink/manifest.h"
#include "uplink/op.h"
#include "uplink/retry.h"
#include "uplink/tus.h"
#include "uplink/tus_outcome.h"
#include "uplink/tus_record.h"
#include "uplink/tus_text.h"
#include "uplink/tus_token.h"

/* The names of our metadata, beside "filename" and "filetype", which others use as well. */
#define TUS_META_NAME "name"     /* as docs/store-layout.md names it */
#define TUS_META_SHA256 "sha256" /* of the upload's own bytes */
#define TUS_META_OBJECT "object" /* of a manifest: the key of what it names */
#define TUS_META_CLIP_SHA256 "clip_sha256"
#define TUS_META_STRENGTH "strength"

/* What the server offers, and what the last thorough look found out. */
typedef struct TusPromises {
        bool known;
        bool with_upload;   /* creation-with-upload */
        bool defer_length;  /* creation-defer-length */
        bool termination;
        bool checks; /* it offers SHA-256, and refuses a wrong one */
        uint64_t size_max_bytes;
} TusPromises;

typedef struct TusStore {
        sd_event *event;
        Http *http;
        TusToken *token;
        TusUrl url;
        char *origin; /* "https://host" */
        char *name;   /* for people: "tus at https://host/files/" */
        bool read_back;
        uint64_t part_size_bytes;
        int records; /* the folder of our records, or -EBADF */
        int kept;    /* … of those of what is kept for good */
        TusPromises promises;
        OpLanes lanes;
} TusStore;

/* How a call ended. Borrowed from the call. */
typedef struct TusResult {
        TusOutcome outcome;
        const HttpAnswer *answer;
        uint64_t retry_after_sec;
} TusResult;

typedef struct TusCall TusCall;
typedef struct TusCheck TusCheck;

typedef struct TusOp TusOp;
struct TusOp {
        Op base; /* first */
        TusStore *store;
        Task *task; /* the base's */
        TusCall *call;
        struct TusStream *stream; /* under way */
        TusCheck *check;          /* … */
        Retry wait;     /* for the next look at an offset */
        void (*release)(TusOp *op); /* frees what the operation holds, and the operation */
};

/* ---- tus_op.c: operations ------------------------------------------------------------------------------------------ */

/* For the embedding operation, which is zeroed: -ENOMEM. */
int tus_op_init(TusOp *op, TusStore *store, Task *task, void (*release)(TusOp *op));
void tus_op_fini(TusOp *op);
void tus_op_end(TusOp *op);
void tus_op_job(TusOp *op, int (*run)(TusOp *op), void (*then)(TusOp *op, int result));
/* Ends the operation with a sentence for a call that did not succeed. `doing`: "sending a clip". */
void tus_op_fail(TusOp *op, const TusResult *result, const char *doing);
/* … with this sentence: the server is not what it has to be, or does not do what it said. */
void tus_op_fail_store(TusOp *op, const char *format, ...) _printf_(2, 3);
void tus_op_fail_errno(TusOp *op, int error, const char *doing);

/* ---- tus_call.c: one request, tried again as long as that helps ------------------------------------------------------ */

/* `key` NULL: where uploads are created. Errors are kept until tus_call_send(); all of these take a NULL call. */
TusCall *tus_call_new(TusOp *op, const char *method, const char *key);
TusCall *tus_call_free(TusCall *call);
void tus_call_header(TusCall *call, const char *name, const char *value);
void tus_call_header_uint(TusCall *call, const char *name, uint64_t value);
/* Upload-Checksum. */
void tus_call_checksum(TusCall *call, const Digest *digest);
/* What is borrowed by the body must stay until the call has ended. */
void tus_call_body(TusCall *call, const HttpBody *body, bool paced);
/* Takes the body of a successful answer; `restart` is called before each try. */
void tus_call_sink(TusCall *call, int (*sink)(TusOp *op, const void *data, size_t size), int (*restart)(TusOp *op));
/* Never sent a second time without a word, as libcurl does: it makes something new, or is long. */
void tus_call_fresh(TusCall *call);
/* How often it is tried, when not as usual. */
void tus_call_tries(TusCall *call, unsigned tries);
/* Bytes of a body that are on their way are added to `stored_bytes` of the task on top of `base`. */
void tus_call_count(TusCall *call, uint64_t base);
/* Takes the call; ends the operation when it is NULL, or when it cannot be sent. */
void tus_call_send(TusOp *op, TusCall *call, void (*then)(TusOp *op, const TusResult *result));

/* ---- tus_verify.c: what the server has ------------------------------------------------------------------------------- */

typedef struct TusHead {
        uint64_t offset_bytes, length_bytes;
        bool length_known;
        char metadata[TUS_METADATA_SIZE]; /* "" when there is none */
} TusHead;

/* -EBADMSG when the answer to a HEAD says no offset, or nonsense. */
int tus_head_parse(const TusResult *result, TusHead *ret);
/* Does its metadata say this digest under that name? Also true when it says nothing there. */
bool tus_head_agrees(const TusHead *head, const char *name, const Digest *digest);
/* Reads an upload whole and hashes it on the way; afterwards tus_read_digest() tells what it was. */
void tus_read(TusOp *op, const char *key, void (*then)(TusOp *op, const TusResult *result));
int tus_read_digest(TusOp *op, Digest *ret, uint64_t *ret_size_bytes);
/* The answer to a POST: where the upload is. Ends the operation when it says none that we go to: -1. */
int tus_take_location(TusOp *op, const TusResult *result, char ret[static TUS_KEY_SIZE]);
/* Upload-Expires, in seconds; 0 when the answer has none. */
int64_t tus_expires(const TusResult *result);

/* Looks whether object and manifest are still what they were; `good` goes on, else the operation ends, or goes on with `gone`. */
struct TusCheck {
        const char *object, *manifest;
        uint64_t size_bytes;
        Digest digest;
        bool strong;           /* found: the manifest says that the digest is known */
        void (*good)(TusOp *op);
        void (*gone)(TusOp *op, const char *what, const char *key);
};
void tus_check(TusOp *op, TusCheck *check);

/* ---- tus_stream.c: bringing bytes to an upload ------------------------------------------------------------------------ */

typedef struct TusStream TusStream;
struct TusStream {
        TusOp *op;
        const char *key, *doing;
        HttpBody source;   /* all of it */
        bool clip;         /* it is the clip, not what is sent beside it: paced, and its progress is told */
        uint64_t offset;   /* what the server has, by its own word */
        bool asked;        /* by HEAD, not as the answer to what was sent */
        uint64_t end;      /* of the last piece that was sent */
        uint64_t reach;    /* it cannot have more than that */
        uint64_t best;     /* the most that it ever had */
        bool deferred;     /* it was begun without a length … */
        bool length_known; /* … and has been told it since */
        unsigned losses;   /* how often it had less than it had said */
        int64_t expires_unix_sec;
        bool renewed;
        /* On the loop: the offset is known; what is next? */
        void (*next)(TusStream *s, const TusHead *head); /* head: when it was asked for; else NULL */
        void (*gone)(TusStream *s, const char *why); /* it is not there, or is not ours any more */
};

/* Asks how much the server has; then next(). `reach`: of an upload that is gone on with it may have anything. */
void tus_stream_resume(TusStream *s);
void tus_stream_ask(TusStream *s);
/* Sends what is between the offset and `end`; `digest`, which may be NULL, is of that. Then next(). */
void tus_stream_send(TusStream *s, uint64_t end, const Digest *digest);

/* ---- tus_put.c, tus_pieces.c, tus_grow.c: putting a clip ------------------------------------------------------------------ */

/* A range of the clip, hashed. */
typedef struct TusPiece {
        uint64_t begin, end;
        Digest digest;
} TusPiece;

typedef struct TusPut {
        TusOp op; /* first */
        Manifest manifest; /* its serial and path are the request's */
        /* Which of the dock's clips it is: the name of its record while its digest is not known, as when it began. */
        char *name;
        bool nameless;
        TusRecord *record;
        TusRecord *spare; /* of another upload of this clip, which nobody needs */
        TusStream clip, note; /* the note is the manifest on its way */
        char *text;           /* … its bytes */
        /* Hashing, on the operation's thread: one piece ahead of what is sent. */
        Hasher *whole;
        Digest whole_digest;
        bool hashing, rehashing;
        Digest *digests; /* of all pieces; … */
        unsigned n_hashed; /* … these many are known */
        TusPiece again;    /* the end of a piece */
        bool differs;      /* what was sent before is of other content than there is now */
        bool pumping;      /* the record is there, and pieces go as they can */
        bool creating, sending, settled;
        bool deferring; /* the upload that is created has no length yet */
        bool sealed;    /* of a clip that grew: its record has its digest */
        bool anew;    /* the clip, or the manifest, was begun anew in this very put */
        bool read_back;
        int64_t expires_unix_sec;
        char key[TUS_KEY_SIZE]; /* between an answer and our record of it */
        TusCheck check;
} TusPut;

/* Goes on with hashing and sending, whatever is next. */
void tus_pieces_pump(TusPut *p);
/* For a stream's `next`. */
void tus_pieces_next(TusStream *s, const TusHead *head);
/* Where the piece ends that has the byte there. */
uint64_t tus_piece_end(const TusPut *p, uint64_t offset);
/* Makes room for what is known of pieces: -ENOMEM. */
int tus_pieces_init(TusPut *p);
/* What tus_pieces_pump() goes on with: there is no upload yet, and all of it is there. */
void tus_put_create(TusPut *p);
void tus_put_settle(TusPut *p);
/* It is gone, or is not what it was: the clip begins anew, once in a put. */
void tus_put_anew(TusPut *p, const char *why);
/* What was sent is of other content: that upload is terminated, and the clip begins anew. */
void tus_put_discard(TusPut *p);
/* The answer is there already: the upload goes, where the server lets it, and our record with it. */
void tus_put_abandon(TusPut *p);
/* Is it stored, as the record says? Gives the receipt then. */
void tus_put_check_stored(TusPut *p, void (*gone)(TusOp *op, const char *what, const char *key));
/* Names the manifest, whose digest is known now: -1 after an answer. */
int tus_put_name_manifest(TusPut *p);
/* What is recorded of the clip under its digest. */
TusRecordKey tus_put_record_key(const TusPut *p);
/* The spool file is not what was promised, or cannot be read. */
void tus_put_source_differs(TusPut *p);
void tus_put_source_error(TusPut *p, int error);
/* A clip this small goes into the request that creates its upload, where the server takes it so. */
bool tus_put_is_small(const TusPut *p);

/* May that much of the file be sent? */
bool tus_grow_has(const TusPut *p, uint64_t bytes);
/* A clip that grows or grew sends only while it has one of the places (Task, take_place): asked before each piece. */
bool tus_grow_has_place(const TusPut *p);
/* All that can be done now is under way: when that is nothing, others have the place. */
void tus_grow_rest(const TusPut *p);
/* Ends, or is about to: nothing more is to be begun. Asked by tus_pieces_pump() before it begins anything. */
bool tus_grow_ends(TusPut *p);
/* All but the end of it is sent, and the whole has the digest that was told: our record is told it, before the server is. */
void tus_grow_seal(TusPut *p);
/* What was sent is not what was pulled: the upload never becomes whole. */
void tus_grow_differs(TusPut *p);
void tus_grow_told(Op *op);

/* ---- The operations ------------------------------------------------------------------------------------------------ */

/* Each begins a task of its kind, which ends by task->done() with its outcome in the task. -ENOMEM: it was not begun. */
int tus_put_begin(TusStore *store, Task *task);
int tus_confirm_begin(TusStore *store, Task *task);
int tus_probe_begin(TusStore *store, Task *task);
int tus_keep_begin(TusStore *store, Task *task);
int tus_replace_begin(TusStore *store, Task *task);
/* Of all that docks share, and find by its name. */
int tus_nameless_begin(TusStore *store, Task *task);
int tus_lock_begin(TusStore *store, Task *task);
int tus_fetch_begin(TusStore *store, Task *task);
