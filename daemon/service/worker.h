/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * berthd's side of one camera worker (`berth-bay`): spawns it with its descriptors, limits and parent-death signal,
 * calls it over a bounded peer connection (service/peer.c), and ends it. All calls are asynchronous on the loop; one is
 * outstanding at a time. Ending a worker is always safe.
 */

#include <stdbool.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include "base/container.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/range.h"
#include "base/wire_bay.h"

typedef struct Worker Worker;

/* How a call ended. */
typedef enum WorkerResult {
        WORKER_OK,
        WORKER_GONE,        /* WIRE_BAY_E_*: the documented answers … */
        WORKER_DENIED,
        WORKER_UNSUPPORTED,
        WORKER_CAMERA,
        WORKER_UNREADABLE,  /* bytes of the clip cannot be read from the medium: worker_unreadable() */
        WORKER_UNPLUGGED,
        WORKER_CHANGED,
        WORKER_PREFIX,
        WORKER_SPACE,
        WORKER_DISK,
        WORKER_PLUGIN,
        WORKER_LIMIT,
        WORKER_STALLED, /* silent past its deadline; it was killed */
        WORKER_DIED,    /* it ended by itself: exit status, signal, sandbox violation */
        WORKER_BREACH,  /* it sent what no worker may send: flood, oversize, malformed, a call of its own; it was killed */
        _WORKER_RESULT_MAX,
} WorkerResult;
const char *worker_result_to_string(WorkerResult r);
/* After these the worker is dead and only worker_free() is left. */
static inline int worker_result_is_fatal(WorkerResult r) {
        return r >= WORKER_STALLED;
}

#define PACE_STALLS 4u

typedef struct WorkerConfig {
        const char *executable;  /* berth-bay */
        const char *plugin_path; /* absolute path of the .so; NULL: no camera, but a folder that is served over … */
        int source_fd;           /* … this socket; duplicated. The node and its descriptors do not count then */
        const char *bay;         /* port path: checked against the node (USBDEVFS_CONNINFO_EX) and used in logs */
        const char *node_path;   /* "/dev/bus/usb/001/007": opened anew for this worker */
        const uint8_t *descriptors; /* what the model was chosen by: the node must show the same; NULL: not compared */
        size_t n_descriptors;
        int incoming_fd;         /* the docking's folder; duplicated */
        uint64_t call_timeout_usec;  /* for the whole of each call but Pull, Verify and Sample */
        uint64_t stall_timeout_usec; /* how long these and List may show no progress */
        uint64_t min_rate; /* bytes a second that Pull, Verify and Sample must move, in each time of PACE_STALLS stalls; 0: any */
        /* Is this open node the one at that port path? -ENODEV when not. NULL: by USBDEVFS_CONNINFO_EX. */
        int (*check_node)(int node_fd, const char *bay);
} WorkerConfig;

/* One listed clip; `path` is valid as text_path_is_valid(). */
typedef struct WorkerClip {
        uint32_t index;
        char *path;
        uint64_t size_bytes;
        int64_t mtime_unix_sec;
        uint32_t flags;
} WorkerClip;

typedef struct WorkerIdentity {
        char *manufacturer, *model, *serial, *firmware, *storage_id; /* never NULL; printable */
} WorkerIdentity;

typedef struct WorkerHealth {
        int battery_percent; /* -1 unknown */
        int charging;        /* -1 unknown */
        bool storage_known, read_only;
        uint64_t storage_total_bytes, storage_free_bytes;
        bool clock_known;
        int64_t clock_unix_sec;
        uint64_t clock_boottime_usec;
        bool volume_known, volume_dirty;
        bool temperature_known, restarts_known;
        int temperature_decidegrees; /* tenths of a degree Celsius */
        uint32_t restarts;           /* that nobody asked for, as the camera counts them */
} WorkerHealth;

typedef struct WorkerOwner {
        char *officer_id, *officer_name, *unit_id, *unit_name; /* never NULL; printable, less than BERTH_TEXT_MAX bytes */
} WorkerOwner;

typedef struct WorkerCopy {
        uint64_t size_bytes;
        Digest digest, head, tail;
        Container container; /* what the copy is as a file; says nothing about an erase */
} WorkerCopy;

typedef struct WorkerSample {
        Digest camera, part;
} WorkerSample;

typedef struct WorkerOps {
        /* The worker ended or broke a rule while no call was outstanding. Never called after worker_free(). */
        void (*on_dead)(void *userdata, WorkerResult why, const char *text);
        /* `digest` is that of the clip from its start to the block's end. */
        void (*on_block)(void *userdata, uint32_t clip, uint32_t number, uint32_t length, const Digest *digest);
        void (*on_progress)(void *userdata, uint32_t clip, uint64_t bytes);
} WorkerOps;

/*
 * Spawns. -ENODEV when the node is not at this bay any more, -ESTALE when it shows other descriptors. Signals may
 * arrive only while a Pull, Verify or Sample is outstanding and only for its clip; anything else is a breach.
 */
int worker_spawn(sd_event *event, const WorkerConfig *config, const WorkerOps *ops, void *userdata, Worker **ret);
/* Its process, 0 once that was reaped. */
pid_t worker_pid(const Worker *w);
/*
 * Kills (SIGKILL) when it still runs and reaps without blocking the loop. An outstanding call's callback is not called.
 */
Worker *worker_free(Worker *w);
DEFINE_CLEANUP(Worker, worker_free);

/* Every callback gets the result and, unless WORKER_OK, one sentence in `text`. -EBUSY when a call is outstanding. */
typedef void (*WorkerDone)(void *userdata, WorkerResult result, const char *text);
/* `credentials` are "name=value" and end with NULL; what is sent of them is made zero afterwards. */
int worker_open(Worker *w, const char *model_id, const char *const *options, const char *const *credentials, WorkerDone done);
int worker_identify(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerIdentity *id));
int worker_health(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerHealth *health));
int worker_set_clock(Worker *w, int64_t unix_sec, WorkerDone done);
int worker_get_owner(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerOwner *owner));
int worker_set_owner(Worker *w, const WorkerOwner *owner, WorkerDone done);
/* After WORKER_OK of these three the camera leaves the bus; only worker_close() and worker_free() make sense. */
int worker_enter_storage(Worker *w, WorkerDone done);
int worker_enter_update(Worker *w, WorkerDone done);
int worker_eject(Worker *w, WorkerDone done);
/* Empties the camera; clips must be listed anew. */
int worker_format(Worker *w, WorkerDone done);
/* One page from `first`; `clips` belong to the worker and end with the callback. */
int worker_list(Worker *w, uint32_t first,
                void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more));
int worker_pull(Worker *w, uint32_t clip, const char *part, uint64_t offset, const Digest *kept, size_t n_kept,
                void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy));
/* Within the callback of a WORKER_UNREADABLE: which bytes, settled, at least one range. They belong to the worker. */
const ByteRange *worker_unreadable(const Worker *w, size_t *ret_n);
/*
 * Pulls around what the medium does not give, from 0 on; those bytes are zeros in the part, and worker_unreadable() names them within
 * the callback: none when all could be read after all.
 */
int worker_salvage(Worker *w, uint32_t clip, const char *part,
                   void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy));
/* Reads it from its start to the end of its n-th block; on_block is told of each. */
int worker_verify(Worker *w, uint32_t clip, size_t n_blocks, WorkerDone done);
/*
 * Of each of up to WIRE_SAMPLES_MAX places, what the camera has there, and what the part has: nothing, zeros, when `part` is NULL. As many
 * samples as places; they end with the callback.
 */
int worker_sample(Worker *w, uint32_t clip, const char *part, const ByteRange *places, size_t n,
                  void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerSample *samples));
int worker_erase(Worker *w, const char *path, const WorkerCopy *copy, int64_t mtime_unix_sec, WorkerDone done);
/* Asks the plugin to leave the camera well; the worker then exits, which is not reported to on_dead. */
int worker_close(Worker *w, WorkerDone done);
