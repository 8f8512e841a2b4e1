/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/op.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* ---- Threads ------------------------------------------------------------------------------------------------------- */

int op_lanes_start(OpLanes *l, sd_event *event, unsigned n) {
        l->lanes = calloc(n, sizeof(*l->lanes));
        if (!l->lanes)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                char name[16];
                int r;

                (void) snprintf(name, sizeof(name), "hash-%u", i);
                r = job_thread_new(event, name, &l->lanes[i].thread);
                if (r < 0)
                        return r;
                l->n++;
        }
        return 0;
}

void op_lanes_end(OpLanes *l) {
        for (unsigned i = 0; i < l->n; i++)
                l->lanes[i].thread = job_thread_free(l->lanes[i].thread);
        free(l->lanes);
        *l = (OpLanes){};
}

static OpLane *choose_lane(OpLanes *l) {
        OpLane *lane = &l->lanes[0];

        for (unsigned i = 1; i < l->n; i++)
                if (l->lanes[i].busy < lane->busy)
                        lane = &l->lanes[i];
        return lane;
}

/* ---- Life ---------------------------------------------------------------------------------------------------------- */

static int on_end(sd_event_source *source, void *userdata) {
        Op *op = userdata;
        Task *task = op->task;

        (void) source;
        op->release(op);
        task->done(task);
        return 0;
}

int op_init(Op *op, sd_event *event, OpLanes *lanes, const char *store, Task *task) {
        int r;

        r = sd_event_add_defer(event, &op->end, on_end, op);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(op->end, SD_EVENT_OFF);
        if (r < 0) {
                op->end = sd_event_source_disable_unref(op->end);
                return r;
        }
        op->store = store;
        op->task = task;
        op->lane = choose_lane(lanes);
        op->lane->busy++;
        task->backend_data = op;
        return 0;
}

void op_fini(Op *op) {
        op->stop(op);
        if (op->lane)
                op->lane->busy--;
        sd_event_source_disable_unref(op->end);
        op->hasher = hasher_free(op->hasher);
        if (op->task)
                op->task->backend_data = NULL;
}

void op_end(Op *op) {
        op->ended = true;
        op->stop(op);
        if (op->jobs == 0)
                (void) sd_event_source_set_enabled(op->end, SD_EVENT_ONESHOT);
}

bool op_is_cancelled(const Op *op) {
        return atomic_load(&op->task->cancelled);
}

void op_cancel(Op *op) {
        if (op->ended)
                return;
        op_fail_errno(op, ECANCELED, "waiting for it");
}

void op_moved(Op *op) {
        atomic_fetch_add(&op->task->activity, 1);
}

/* ---- Reading back -------------------------------------------------------------------------------------------------- */

int op_read_begins(Op *op) {
        op->hasher = hasher_free(op->hasher);
        op->read_bytes = 0;
        return hasher_new(&op->hasher);
}

int op_read_takes(Op *op, const void *data, size_t size) {
        int r = task_take_bytes(op->task, data, size, op->read_bytes);

        if (r < 0)
                return r;
        op->read_bytes += size;
        return hasher_update(op->hasher, data, size);
}

int op_read_digest(Op *op, Digest *ret, uint64_t *ret_size_bytes) {
        *ret_size_bytes = op->read_bytes;
        return hasher_finish(op->hasher, ret);
}

/* ---- Jobs ---------------------------------------------------------------------------------------------------------- */

static int run_job(void *userdata) {
        OpJob *job = userdata;

        return op_is_cancelled(job->op) ? -ECANCELED : job->run(job);
}

static void job_done(void *userdata, int result) {
        OpJob *job = userdata;
        Op *op = job->op;

        op->jobs--;
        op_moved(op);
        if (!op->ended)
                job->then(job, result);
        else if (op->jobs == 0)
                op_end(op);
        free(job);
}

void op_job(Op *op, OpJob *job) {
        int r = -ENOMEM;

        if (job) {
                job->op = op;
                r = job_thread_submit(op->lane->thread, run_job, job_done, job);
        }
        if (r < 0) {
                free(job);
                return op_fail_errno(op, -r, "making ready for it");
        }
        op->jobs++;
}

/* ---- What went wrong ----------------------------------------------------------------------------------------------- */

void op_fail_errno(Op *op, int error, const char *doing) {
        error = error < 0 ? -error : error;
        (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                           "the transfer to the store %s failed while %s: %s", op->store, doing, strerror(error));
        op_end(op);
}

void op_fail_conflict(Op *op, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = text_vformat(format, arguments);
        va_end(arguments);
        (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_CONFLICT, NULL, "%s",
                           text ? text : "the store holds something else");
        op_end(op);
}

void op_fail_unreachable(Op *op, const HttpAnswer *answer, const char *doing) {
        Answer *a = &op->task->answer;

        if (answer->source_failed)
                (void) answer_fail(a, WIRE_UPLINK_E_SOURCE, NULL, "the spool file cannot be read, or became shorter");
        else if (answer->refused_here)
                (void) answer_fail(a, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "this service may not speak IP, so the store %s is out of reach: install the drop-in "
                                   "network-store.conf (see berth-uplink.conf(5), NETWORK)",
                                   op->store);
        else
                (void) answer_fail(a, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s does not answer while %s: %s", op->store, doing, answer->error);
        op_end(op);
}
