/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A thread that does blocking work for an sd-event loop: first in, first out, completions as events on the loop.
 * The loop never waits for it, except in job_thread_free(), which finishes what is queued.
 */

#include <systemd/sd-event.h>

#include "base/macro.h"

typedef struct JobThread JobThread;

/* Runs on the thread; its return value goes to the completion. */
typedef int (*JobRun)(void *job);
/* Runs on the loop, once, with what run returned; owns and frees `job`. */
typedef void (*JobDone)(void *job, int result);

int job_thread_new(sd_event *event, const char *name, JobThread **ret);
JobThread *job_thread_free(JobThread *t);
DEFINE_CLEANUP(JobThread, job_thread_free);
/* On failure (-ENOMEM) nothing is called and the caller still owns `job`. */
int job_thread_submit(JobThread *t, JobRun run, JobDone done, void *job);
/* Jobs submitted whose completion has not run yet. */
size_t job_thread_pending(const JobThread *t);
