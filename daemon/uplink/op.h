/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A task of a store on the network: a chain of steps on the event loop, each of which begins one request or one job on a thread and
 * names the step that goes on when it has ended. What kind of store it is, the backend's own operation knows, which embeds this
 * one. Whoever ends the chain calls op_end().
 */

#include <systemd/sd-event.h>

#include "base/jobs.h"
#include "base/macro.h"
#include "uplink/backend.h"
#include "uplink/http.h"

/* Threads for what blocks. Those of one operation all run on one of them, in order. */
typedef struct OpLane {
        JobThread *thread;
        unsigned busy;
} OpLane;

typedef struct OpLanes {
        OpLane *lanes;
        unsigned n;
} OpLanes;

int op_lanes_start(OpLanes *l, sd_event *event, unsigned n);
/* Only when no operation is under way. */
void op_lanes_end(OpLanes *l);

typedef struct Op Op;
struct Op {
        Task *task;
        const char *store; /* its name, for people */
        OpLane *lane;
        unsigned jobs;
        Hasher *hasher; /* of what is read back of the store … */
        uint64_t read_bytes; /* … so far */
        bool ended; /* as soon as nothing is under way, the task is done */
        sd_event_source *end;
        void (*stop)(Op *op);    /* ends the requests that are under way; may come more than once */
        void (*release)(Op *op); /* frees what the operation holds, and the operation */
};

/* For the embedding operation, which is zeroed but for `stop` and `release`. -ENOMEM. The name is borrowed. */
int op_init(Op *op, sd_event *event, OpLanes *lanes, const char *store, Task *task);
/* What op_init() made; the operation itself is the caller's. */
void op_fini(Op *op);
/* The outcome is in the task: it is done on the next turn of the loop, or when the last job has ended. */
void op_end(Op *op);
void op_cancel(Op *op);
bool op_is_cancelled(const Op *op);
/* Something moved. */
void op_moved(Op *op);

/* What is read back: it begins, perhaps anew; some of its bytes came, and go to task_take_bytes(), too; what it was. -errno. */
int op_read_begins(Op *op);
int op_read_takes(Op *op, const void *data, size_t size);
int op_read_digest(Op *op, Digest *ret, uint64_t *ret_size_bytes);

/* A job: the first member of the backend's own, on the heap. */
typedef struct OpJob OpJob;
struct OpJob {
        Op *op;
        int (*run)(OpJob *job);
        void (*then)(OpJob *job, int result);
};
/*
 * Takes the job; NULL is one that there was no memory for. It runs on the operation's thread, then `then` on the loop; not after a
 * cancellation. Ends the operation itself when out of memory.
 */
void op_job(Op *op, OpJob *job);

/* Ends the operation with a sentence: a step of ours failed. `doing`: "putting an object". */
void op_fail_errno(Op *op, int error, const char *doing);
/* … the store holds something else than it should. */
void op_fail_conflict(Op *op, const char *format, ...) _printf_(2, 3);
/* … a request had no answer. */
void op_fail_unreachable(Op *op, const HttpAnswer *answer, const char *doing);
