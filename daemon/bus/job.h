/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Jobs: what takes longer than a caller should wait. The method answers at once with the path of an object org.berth.Dock1.Job, which tells
 * how far it is, can be cancelled, and says what came of it. A method does three things:
 *
 *      r = job_new(b, m, &kind, path, &job, error);
 *      r = SERVICE(…, done, job, &operation);     done() calls job_end(), once
 *      if (r >= 0) return job_answer(job, operation);
 *      job_drop(job);                             and the error is the method's own
 */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "bus/actions.h"
#include "bus/bus_private.h"
#include "service/operator.h"

/*
 * Ends the operation before its time, on whose word: 0, and job_end() comes, perhaps before this returns. -EALREADY: it is too late, and
 * *ret_why says why, to go on a sentence.
 */
typedef int (*JobCancel)(void *operation, const Operator *by, const char **ret_why);

/* A kind is static. */
typedef struct JobKind {
        const char *name;   /* as the method, in small letters: "update-firmware" */
        const char *unit;   /* of what its progress counts: "bytes", "files"; "": it tells none */
        Action action;      /* of the method: whom it lets begin such a job may cancel those of others */
        JobCancel cancel;
} JobKind;

/* What a job came to, by name: a text, or a number when that is NULL. */
typedef struct JobValue {
        const char *name, *text;
        uint64_t number;
} JobValue;
#define JOB_VALUES_MAX 8u

typedef enum JobState {
        JOB_RUNNING,
        JOB_CANCELLING,
        JOB_DONE,
        JOB_FAILED,
        JOB_CANCELLED,
        _JOB_STATE_MAX,
} JobState;

/*
 * For the call `m`, of whoever sent it. Who has too many already is refused (BUS_E_BUSY). `about` is the path of the object whose method
 * it is. -errno, perhaps with an error.
 */
int job_new(Bus *b, sd_bus_message *m, const JobKind *kind, const char *about, Job **ret, sd_bus_error *error);
/* Its operation could not be begun: nobody has seen it. Returns NULL. */
Job *job_drop(Job *job);
/* Shows it, and answers its call with its path. `operation` is what is cancelled, until job_end(). What a method's handler returns. */
int job_answer(Job *job, void *operation);

/* How far it is; `total` 0: not known. Announced four times a second at most. */
void job_progress(Job *job, uint64_t done, uint64_t total);
/*
 * It is over: JOB_DONE, JOB_CANCELLED, or JOB_FAILED with the name of an error (BUS_E_…). `text` is a sentence without its full stop. All
 * is copied; the job is not touched any more. Its object stays for a minute, for whoever looks only now.
 */
void job_end(Job *job, JobState state, const char *error, const char *text, const JobValue *values, size_t n);
