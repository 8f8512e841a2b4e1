/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the parts of the client of a worker share: worker.c has its life, worker_call.c what is asked, worker_reply.c what it says. */

#include <systemd/sd-bus.h>

#include "core/pace.h"
#include "service/chatter.h"
#include "service/peer.h"
#include "service/worker.h"
#include "service/worker_answer.h"
#include "service/worker_process.h"

/* A Pull re-reads its part from the disk first, and gets that much more time. */
#define RECHECK_BYTES_PER_SEC (16u * MIB)

typedef enum CallKind {
        CALL_NONE,
        CALL_OPEN,
        CALL_IDENTIFY,
        CALL_HEALTH,
        CALL_SET_CLOCK,
        CALL_GET_OWNER,
        CALL_SET_OWNER,
        CALL_ENTER_STORAGE,
        CALL_ENTER_UPDATE,
        CALL_EJECT,
        CALL_FORMAT,
        CALL_LIST,
        CALL_PULL,
        CALL_SALVAGE, /* under way it is a Pull */
        CALL_VERIFY,
        CALL_SAMPLE,
        CALL_ERASE,
        CALL_CLOSE,
        _CALL_KIND_MAX,
} CallKind;

typedef struct WorkerCall {
        CallKind kind;
        union {
                WorkerDone simple;
                void (*identify)(void *userdata, WorkerResult result, const char *text, const WorkerIdentity *id);
                void (*health)(void *userdata, WorkerResult result, const char *text, const WorkerHealth *health);
                void (*owner)(void *userdata, WorkerResult result, const char *text, const WorkerOwner *owner);
                void (*list)(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more);
                void (*pull)(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy);
                void (*sample)(void *userdata, WorkerResult result, const char *text, const WorkerSample *samples);
        } done;
        sd_bus_slot *slot;

        /* CLOCK_BOOTTIME; UINT64_MAX: none. */
        uint64_t total_usec;       /* how long the whole call may take */
        uint64_t bound_usec;       /* its end */
        uint64_t stall_usec;       /* how long it may be silent */
        uint64_t silent_until_usec;
        uint64_t alive_until_usec; /* how far Alive puts the silence off */
        Pace pace;                 /* Pull, Verify and Sample, from the first byte on */
        uint64_t moved, blocks_bytes; /* by Progress or by blocks; by blocks */

        uint32_t clip;      /* of Pull, Verify and Sample */
        uint64_t size;      /* of that clip, UINT64_MAX when nobody knows */
        uint64_t offset;    /* Pull */
        uint64_t bytes;     /* told by Progress */
        uint32_t first;     /* List */
        uint32_t next;      /* number of the next block */
        size_t n_blocks;    /* that may come; of Sample: how many places it has … */
        uint64_t most;      /* … and their bytes */
        bool salvages;      /* Pull: around what cannot be read */
        bool partial;       /* a short block came, so none may follow */
        uint64_t told;      /* Pull: the end of the blocks that were told */
} WorkerCall;

struct Worker {
        sd_event *event;
        WorkerOps ops;
        void *userdata;
        uint64_t call_timeout_usec, stall_timeout_usec, min_rate;
        WorkerProcess process;
        Peer *peer;
        Chatter *chatter;
        sd_event_source *exited, *deadline, *verdict;
        WorkerCall call;

        uint64_t *sizes; /* of the listed clips */
        size_t n_sizes, room;

        WorkerUnreadable unreadable; /* of the last answer */

        bool fatal;      /* the verdict below stands and will be told */
        bool leaving;    /* it answered Close */
        bool closed;     /* its end of the connection */
        WorkerResult why;
        char text[WORKER_TEXT_MAX];
};

/* The method of its call. */
const char *worker_call_name(CallKind kind);
void worker_call_clear(WorkerCall *c);
/* Moves the outstanding call out of the worker, so that its callback may begin the next one or free the worker. */
WorkerCall worker_call_end(Worker *w);
/* The callback of a call that brought nothing but a result. The worker may be gone afterwards. */
void worker_call_failed(WorkerCall *c, void *userdata, WorkerResult result, const char *text);
/*
 * The worker is finished. It is killed at once; whoever waits is told from the loop, as this may be called from deep within
 * the connection that the callback will free. The first verdict stands.
 */
void worker_doom(Worker *w, WorkerResult why, const char *text);

/* Of the call under way: sets the timer to its nearest deadline; it lives; it moved something. */
void worker_arm(Worker *w);
void worker_alive(Worker *w);
void worker_progress(Worker *w);

/* Whatever comes from the worker: an answer to its call, or anything else. */
int worker_on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int worker_on_message(sd_bus_message *m, void *userdata, sd_bus_error *error);
