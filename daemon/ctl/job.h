/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Waiting for what takes its time: the daemon's org.berth.Dock1.Job objects. Ctrl-C cancels the job that is waited for. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "ctl/ctl.h"

/* How a job ended; all of it ends with the call. */
typedef struct JobEnd {
        const char *state;       /* "done", "failed", "cancelled" */
        const char *text;        /* one sentence without its full stop; not safe for a terminal */
        sd_bus_message *outcome; /* stands before its a{sv} */
} JobEnd;

/* It is done, by what it says itself: says so, and returns a CtlExit. */
typedef int (*JobTell)(void *userdata, const JobEnd *end);

/* It failed, or could not be begun; as bus_client_report(). */
typedef int (*JobFailed)(void *userdata, const sd_bus_error *error, int r);

typedef struct JobOrder {
        sd_bus_message *call; /* of a method that answers with a job's path */
        const char *no_object; /* said when there is no such object; NULL: what the bus says */
        const char *what;      /* shown before its progress; NULL: nothing */
        bool is_part;          /* of something larger: Ctrl-C ends all of that, as it does by itself */
        sd_event *event;       /* where something else has to go on meanwhile; NULL: nothing has */
        JobTell tell;
        JobFailed failed;      /* NULL: it is said on stderr */
        void *userdata;
} JobOrder;

/*
 * Gives the order, and waits for the end of its job unless the options say --no-wait. Who may be asked for a password is, as by
 * bus_client_send(). A CtlExit, or 128 + SIGINT when it was cancelled here.
 */
int job_run(const Options *options, sd_bus *bus, const JobOrder *order);

/* Waits for the end of somebody's job, at its path, whatever that is: a CtlExit. */
int job_wait(const Options *options, sd_bus *bus, const char *path);

/* A value of the outcome: an empty text, or 0, when it has none of that name. The text belongs to the message. */
const char *job_end_text(const JobEnd *end, const char *name);
uint64_t job_end_number(const JobEnd *end, const char *name);
