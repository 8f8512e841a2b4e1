/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a kind of store does for the transfer engine. Everything here happens on the event loop and nothing may wait: a backend
 * that blocks has threads of its own, one that does not has descriptors on the loop. A task is begun once and done once, by
 * task_done() on the loop, never from within begin().
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/macro.h"
#include "base/wire_uplink.h"
#include "uplink/pace.h"

typedef enum TaskKind {
        TASK_PUT,
        TASK_CONFIRM,
        TASK_VERIFY,   /* a confirmation that reads the object whole */
        TASK_GET_CLIP, /* … and writes what it reads to a file */
        TASK_KEEP,
        TASK_REPLACE,
        TASK_FETCH,
        TASK_LIST,
        TASK_PUT_IMAGE,
        TASK_GET_IMAGE,
        TASK_LOCK,
        TASK_PROBE,
        _TASK_KIND_MAX,
} TaskKind;

#define UNKNOWN_TIME INT64_MIN

/* A clip to be stored. */
typedef struct PutRequest {
        uint64_t clip_id;
        int source_fd; /* a regular file, open for reading; its offset is left alone */
        char *serial, *path;
        int64_t docked_unix_sec, mtime_unix_sec; /* mtime: UNKNOWN_TIME when the camera does not say */
        uint64_t size_bytes;
        Digest digest;
        char *facts_json; /* one JSON object */

        /* Of a clip whose pull was not over when the task began; the loop's alone, but for `grown`, which never changes. */
        bool grown;
        bool growing;   /* it is not over yet: digest and facts are not known, and size_bytes is what the camera tells */
        bool afresh;    /* what an earlier upload of this clip left is to be thrown away */
        bool stop_soon; /* while it grows: when the part is stored that is under way */
        uint64_t durable_bytes; /* of the file: more is not to be sent */
        uint64_t sealed_bytes;  /* once it is over: what it has */
} PutRequest;

typedef struct ConfirmRequest {
        char *object_key, *manifest_key;
        uint64_t size_bytes;
        Digest digest;
        uint64_t clip_id; /* of TASK_GET_CLIP alone, as what follows: */
        int fd;           /* what is read is written to it, from its beginning */
        int write_error;  /* … and that failed so: positive errno; 0 */
} ConfirmRequest;

/* A small text to be kept for good, under a key that nothing else ever gets. */
/* The same for one that takes the place of another. */
typedef struct KeepRequest {
        char *key, *text;
} KeepRequest;

/* Such a text, or a manifest, to be read. */
typedef struct FetchRequest {
        char *key;
} FetchRequest;

/* Keys of small texts that begin with `prefix`, in the order of their bytes, after that key. */
typedef struct ListRequest {
        char *prefix, *after;
        unsigned max;
} ListRequest;

/* A firmware image, under its digest: to be read from the descriptor, or written to it. */
typedef struct ImageRequest {
        int fd;
        uint64_t size_bytes;
        Digest digest;
} ImageRequest;

/* A legal hold on an object and its manifest, or none. */
typedef struct LockRequest {
        char *object_key, *manifest_key, *version; /* of the object; "" when it has none */
        bool held;
} LockRequest;

/* How deep to look: whether it is there, or whether it keeps every promise that receipts rest on. */
typedef struct ProbeRequest {
        bool thorough;
        uint64_t need_bytes; /* what must fit for the store not to be full */
} ProbeRequest;

typedef struct Receipt {
        char *object_key, *manifest_key;
        char *version;        /* NULL when the store has none */
        const char *strength; /* WIRE_STRENGTH_* */
        int64_t time_unix_sec;
        bool already_there;
} Receipt;

/* How a task ended. */
typedef struct Answer {
        const char *error; /* WIRE_UPLINK_E_*, NULL when it succeeded */
        const char *state; /* WIRE_STORE_* that the store was found in, NULL when nothing was learned about it as a whole */
        uint64_t retry_after_sec; /* with WIRE_UPLINK_E_BUSY: what the store named, 0 when it named nothing */
        /* One sentence, unless it succeeded; of a probe that succeeded: what is not as it should be all the same, or "". */
        char text[512];
} Answer;

/* `state` may be NULL. Returns -1, for `return answer_fail(…)`. */
int answer_fail(Answer *answer, const char *error, const char *state, const char *format, ...) _printf_(4, 5);

/* One point of what a look found out: WIRE_POINT_*, WIRE_VERDICT_*, a sentence. */
typedef struct StorePoint {
        const char *name, *verdict;
        char text[384];
} StorePoint;

/* What a look found out beside whether the store is ready. */
typedef struct StoreReport {
        const char *strength;       /* of the receipts: WIRE_STRENGTH_*, NULL when nobody knows */
        const char *strength_there; /* … of a spool on this device, NULL when that makes no difference */
        uint64_t device;
        bool clock_known;
        int64_t ahead_sec; /* the store's clock minus ours */
        StorePoint points[WIRE_POINTS_MAX];
        size_t n_points;
} StoreReport;

void report_point(StoreReport *report, const char *name, const char *verdict, const char *format, ...) _printf_(4, 5);
/* How far the store's clock is ahead, by the time that it told just now. */
void report_clock(StoreReport *report, int64_t theirs_unix_sec);

typedef struct Task Task;
struct Task {
        TaskKind kind;
        union {
                PutRequest put;
                ConfirmRequest confirm; /* of a verification, too */
                KeepRequest keep;
                FetchRequest fetch;
                ListRequest list;
                ImageRequest image;
                LockRequest lock;
                ProbeRequest probe;
        };

        Pace *pace; /* what a put sends of its clip is taken from here first; NULL: no limit */

        /* Shared with the backend's threads. */
        atomic_bool cancelled;             /* by the loop: end soon, leave nothing behind; the answer is not looked at */
        atomic_uint_least64_t stored_bytes; /* by the backend: of a put, how much the store has */
        atomic_uint_least64_t activity;     /* by the backend: counts up while anything moves */
        atomic_bool waits;                  /* by the backend: for the clip to grow, so that nothing moves */

        /* The outcome, valid in `done`. */
        Answer answer;
        Receipt receipt;      /* of a put without error */
        const char *strength; /* of a confirm or verification without error */
        StoreReport report;   /* of a probe without error: its points are those of a thorough one alone */
        const char *locked;   /* of a lock without error: WIRE_LOCK_*; `text` says why it is not as asked for */
        bool already_there;   /* of a keep, or an image that was put, without error */
        char **keys;          /* of a list without error: NULL at its end, or NULL for none */
        size_t n_keys;
        bool more; /* … and there are more */
        char *text;           /* of a fetch without error */

        /*
         * For the backend's loop, before it sends a piece of a put that grows or grew: may it? When not, it is told (ops->told) once a
         * place is free. A place is kept until it is given back. NULL where nobody counts.
         */
        bool (*take_place)(Task *task);
        void (*give_place)(Task *task);

        void (*done)(Task *task);
        void *userdata;
        void *backend_data; /* the backend's own, while the task is under way */
};

/*
 * What is read of an object, in order: written where a TASK_GET_CLIP wants it, nothing else of any other task. -errno, which
 * task_fail_file() then says.
 */
int task_take_bytes(Task *task, const void *data, size_t size, uint64_t at);
/* Was it the file that could not be written? Then the answer says so. */
bool task_fail_file(Task *task);
/* Takes a copy of what was fetched: -EBADMSG when it is no UTF-8 text. */
int task_take_text(Task *task, const char *text, size_t size);
/* A store has no legal holds: why. Always 0. */
int task_has_no_lock(Task *task, const char *why);
/* Adds a key to those of a list: -ENOMEM, or 1 when there were enough before. Keys come in order. */
int task_take_key(Task *task, const char *key);
/*
 * For a backend's thread: waits until at least one of `want` bytes may be sent, showing signs of life, and returns how many; 0 when
 * the task was cancelled meanwhile.
 */
size_t task_wait_pace(Task *task, size_t want);

/* A task with its request zeroed; the strings and the descriptor of a request belong to the task. */
Task *task_new(TaskKind kind, void (*done)(Task *task), void *userdata);
Task *task_free(Task *task);
DEFINE_CLEANUP(Task, task_free);

typedef struct Backend Backend;

typedef struct BackendOps {
        const char *name;
        /* A put that was cancelled goes on where it ended when it is asked for again. */
        bool resumes;
        /* Negative when the task could not be begun (-ENOMEM): then it is not done either. */
        int (*begin)(Backend *b, Task *task);
        /* The task's `cancelled` was set: for a backend that does not look at it by itself. May be NULL. */
        void (*cancel)(Backend *b, Task *task);
        /*
         * What is known of the clip of a put that grows has changed: durable_bytes, growing, stop_soon. NULL for a backend that puts
         * clips only whole.
         */
        void (*told)(Backend *b, Task *task);
        /* Only when no task is under way. */
        Backend *(*free)(Backend *b);
} BackendOps;

/* The first member of each backend's own struct. */
struct Backend {
        const BackendOps *ops;
};
