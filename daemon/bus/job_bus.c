/* SPDX-License-Identifier: Apache-2.0 */

/* org.berth.Dock1.Job: see org.berth.Dock1.Job.xml, and job.h for those who begin jobs. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "bus/caller.h"
#include "bus/job.h"
#include "bus/view.h"

#define KEPT_USEC (60 * USEC_PER_SEC)
/* Of those that are over: who makes many does not have those of others forgotten. */
#define KEPT_OF_USER_MAX 32u
/* Of those that are not over. A rack has bays for no more cameras. */
#define RUNNING_OF_USER_MAX 64u
#define RUNNING_MAX 256u
#define PATH_SIZE 48u

typedef struct JobView {
        char *kind, *about, *unit;
        uint64_t id;
        uint32_t owner_uid;
        int64_t begun_usec;
        char *state, *error, *text;
        uint64_t done, total;
} JobView;

struct Job {
        Job *next;
        Bus *bus; /* NULL: the bus layer has gone, and nobody sees its end */
        const JobKind *kind;
        void *operation;
        char path[PATH_SIZE];
        sd_bus_slot *slot;
        sd_bus_message *call; /* until it is answered */
        JobState state;
        uint64_t done, total; /* as its operation tells */
        JobValue values[JOB_VALUES_MAX];
        size_t n_values;
        JobView view;
        bool changed;
        uint64_t progress_usec; /* when it was last shown */
        uint64_t ended_usec;
};

/* Operations that outlive the bus layer, for the daemon stops: each is freed when it says that it is over. */
static Job *orphans;

static const char *const state_names[_JOB_STATE_MAX] = {
        [JOB_RUNNING] = "running", [JOB_CANCELLING] = "cancelling", [JOB_DONE] = "done",
        [JOB_FAILED] = "failed",   [JOB_CANCELLED] = "cancelled",
};

static const ViewMember members[] = {
        { "Id", VIEW_U64, offsetof(JobView, id) },
        { "Kind", VIEW_TEXT, offsetof(JobView, kind) },
        { "About", VIEW_TEXT, offsetof(JobView, about) },
        { "OwnerUid", VIEW_U32, offsetof(JobView, owner_uid) },
        { "BegunUsec", VIEW_I64, offsetof(JobView, begun_usec) },
        { "State", VIEW_TEXT, offsetof(JobView, state) },
        { "Done", VIEW_U64, offsetof(JobView, done) },
        { "Total", VIEW_U64, offsetof(JobView, total) },
        { "Unit", VIEW_TEXT, offsetof(JobView, unit) },
        { "Error", VIEW_TEXT, offsetof(JobView, error) },
        { "Text", VIEW_TEXT, offsetof(JobView, text) },
};

static bool is_over(const Job *job) {
        return job->state != JOB_RUNNING && job->state != JOB_CANCELLING;
}

/* ---- What came of it ------------------------------------------------------------------------------------------------- */

static int append_outcome(sd_bus_message *m, const Job *job) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (size_t i = 0; i < job->n_values && r >= 0; i++) {
                const JobValue *v = &job->values[i];

                r = v->text ? sd_bus_message_append(m, "{sv}", v->name, "s", v->text) :
                              sd_bus_message_append(m, "{sv}", v->name, "t", v->number);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int get_outcome(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                       sd_bus_error *error) {
        (void) bus;
        (void) path;
        (void) interface;
        (void) property;
        (void) error;
        return append_outcome(reply, userdata);
}

static int send_finished(const Job *job) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_signal(job->bus->bus, &m, job->path, BUS_JOB_INTERFACE, "Finished");

        if (r >= 0)
                r = sd_bus_message_append(m, "sss", job->view.state, job->view.error, job->view.text);
        if (r >= 0)
                r = append_outcome(m, job);
        return r < 0 ? r : sd_bus_send(job->bus->bus, m, NULL);
}

/* ---- The object ------------------------------------------------------------------------------------------------------ */

static int cancel(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *why = "it is over already";
        Job *job = userdata;
        Operator by;
        Caller caller;
        int r;

        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        if (job->state == JOB_CANCELLING)
                return sd_bus_reply_method_return(m, NULL);
        by = caller_operator(&caller);
        r = -EALREADY;
        if (!is_over(job)) {
                job->state = JOB_CANCELLING;
                r = job->kind->cancel(job->operation, &by, &why);
                if (r < 0 && job->state == JOB_CANCELLING)
                        job->state = JOB_RUNNING;
                job->changed = true;
                bus_wake(job->bus);
        }
        if (r >= 0)
                return sd_bus_reply_method_return(m, NULL);
        return error_set(ret_error, r, "It cannot be cancelled: %s.", r == -EALREADY ? why : strerror(-r));
}

#define JOB(name, type, kind, member)                                                                             \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(Job, view) + offsetof(JobView, member), SD_BUS_VTABLE_PROPERTY_##kind)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        JOB("Id", "t", CONST, id),
        JOB("Kind", "s", CONST, kind),
        JOB("About", "o", CONST, about),
        JOB("OwnerUid", "u", CONST, owner_uid),
        JOB("BegunUsec", "x", CONST, begun_usec),
        JOB("State", "s", EMITS_CHANGE, state),
        JOB("Done", "t", EMITS_CHANGE, done),
        JOB("Total", "t", EMITS_CHANGE, total),
        JOB("Unit", "s", CONST, unit),
        JOB("Error", "s", EMITS_CHANGE, error),
        JOB("Text", "s", EMITS_CHANGE, text),
        SD_BUS_PROPERTY("Outcome", "a{sv}", get_outcome, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, cancel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Finished", SD_BUS_ARGS("s", state, "s", error, "s", text, "a{sv}", outcome), 0),
        SD_BUS_VTABLE_END,
};

static int job_connect(Job *job) {
        return sd_bus_add_object_vtable(job->bus->bus, &job->slot, job->path, BUS_JOB_INTERFACE, vtable, job);
}

static int view_job(const Job *job, JobView *v) {
        int r;

        v->id = job->view.id;
        v->owner_uid = job->view.owner_uid;
        v->begun_usec = job->view.begun_usec;
        v->done = job->done;
        v->total = job->total;
        if ((r = view_text(&v->kind, job->view.kind)) < 0 || (r = view_text(&v->about, job->view.about)) < 0 ||
            (r = view_text(&v->unit, job->view.unit)) < 0 || (r = view_text(&v->error, job->view.error)) < 0 ||
            (r = view_text(&v->text, job->view.text)) < 0)
                return r;
        return view_text(&v->state, state_names[job->state]);
}

static int job_show(Job *job, uint64_t now_usec, uint64_t *wake_usec) {
        JobView now = { 0 };
        int r;

        if (text_equal(job->view.state, state_names[job->state]) && now_usec - job->progress_usec < VIEW_PROGRESS_USEC) {
                *wake_usec = MIN2(*wake_usec, job->progress_usec + VIEW_PROGRESS_USEC);
                return 0;
        }
        r = view_job(job, &now);
        if (r >= 0) {
                job->progress_usec = now_usec;
                job->changed = false;
                view_show(job->bus->bus, job->path, BUS_JOB_INTERFACE, members, ELEMENTSOF(members), &job->view, &now, sizeof(now));
        }
        view_clear(members, ELEMENTSOF(members), &now);
        return r;
}

/* ---- Beginning ------------------------------------------------------------------------------------------------------- */

static Job *job_free(Job *job) {
        if (!job)
                return NULL;
        for (size_t i = 0; i < job->n_values; i++)
                free((char *) job->values[i].text);
        sd_bus_slot_unref(job->slot);
        sd_bus_message_unref(job->call);
        view_clear(members, ELEMENTSOF(members), &job->view);
        free(job);
        return NULL;
}
DEFINE_CLEANUP(Job, job_free);

static void take_off(Job **list, Job *job) {
        for (Job **p = list; *p; p = &(*p)->next)
                if (*p == job) {
                        *p = job->next;
                        return;
                }
}

static int check_room(const Bus *b, uint32_t uid, sd_bus_error *error) {
        size_t n = 0, of_user = 0;

        for (const Job *job = b->jobs; job; job = job->next)
                if (!is_over(job)) {
                        n++;
                        of_user += job->view.owner_uid == uid;
                }
        if (of_user >= RUNNING_OF_USER_MAX)
                return sd_bus_error_setf(error, BUS_E_BUSY, "%zu jobs of user %u are under way; try again when some of them are over.",
                                         of_user, (unsigned) uid);
        if (n >= RUNNING_MAX)
                return sd_bus_error_setf(error, BUS_E_BUSY, "%zu jobs are under way; try again when some of them are over.", n);
        return 0;
}

int job_new(Bus *b, sd_bus_message *m, const JobKind *kind, const char *about, Job **ret, sd_bus_error *error) {
        _cleanup_(job_freep) Job *job = NULL;
        Caller caller;
        int r;

        r = caller_get(m, &caller, error);
        if (r >= 0)
                r = check_room(b, caller.uid, error);
        if (r < 0)
                return r;
        job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        *job = (Job){ .bus = b, .kind = kind, .call = sd_bus_message_ref(m) };
        job->view.id = ++b->jobs_begun;
        job->view.owner_uid = caller.uid;
        job->view.begun_usec = clock_wall_usec();
        snprintf(job->path, sizeof(job->path), BUS_PATH "/job/%" PRIu64, job->view.id);
        if ((r = view_text(&job->view.kind, kind->name)) < 0 || (r = view_text(&job->view.about, about)) < 0 ||
            (r = view_text(&job->view.unit, kind->unit)) < 0 || (r = view_text(&job->view.error, "")) < 0 ||
            (r = view_text(&job->view.text, "")) < 0 || (r = view_text(&job->view.state, state_names[JOB_RUNNING])) < 0)
                return r;
        job->next = b->jobs;
        b->jobs = job;
        *ret = TAKE_PTR(job);
        return 0;
}

Job *job_drop(Job *job) {
        take_off(&job->bus->jobs, job);
        return job_free(job);
}

/* An operation may be over before its call was answered: the end is told behind the answer all the same. */
int job_answer(Job *job, void *operation) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = TAKE_PTR(job->call);
        int r = job_connect(job);

        if (r >= 0 && sd_bus_emit_object_added(job->bus->bus, job->path) < 0)
                log_debug(NULL, "%s cannot be announced", job->path);
        if (r < 0)
                log_warning(NULL, "Job %" PRIu64 " goes on, and cannot be shown on the bus: %s", job->view.id, strerror(-r));
        job->operation = operation;
        if (is_over(job)) {
                job->changed = true;
                bus_wake(job->bus);
        }
        return sd_bus_reply_method_return(call, "o", job->path);
}

/* ---- Progress and end ------------------------------------------------------------------------------------------------ */

void job_progress(Job *job, uint64_t done, uint64_t total) {
        if (!job->bus || is_over(job))
                return;
        job->done = done;
        job->total = total;
        job->changed = true;
        bus_wake(job->bus);
}

static int keep_outcome(Job *job, const char *error, const char *text, const JobValue *values, size_t n) {
        int r;

        assert(n <= JOB_VALUES_MAX);
        for (size_t i = 0; i < n; i++) {
                char *copy = NULL;

                if (values[i].text && (r = view_text(&copy, values[i].text)) < 0)
                        return r;
                job->values[job->n_values++] = (JobValue){ .name = values[i].name, .text = copy, .number = values[i].number };
        }
        r = view_text(&job->view.error, error);
        return r < 0 ? r : view_text(&job->view.text, text);
}

void job_end(Job *job, JobState state, const char *error, const char *text, const JobValue *values, size_t n) {
        if (!job->bus) {
                take_off(&orphans, job);
                job_free(job);
                return;
        }
        if (keep_outcome(job, error, text, values, n) < 0)
                log_warning(NULL, "Job %" PRIu64 " is over, and what came of it cannot be told: out of memory", job->view.id);
        job->state = state;
        job->operation = NULL;
        job->ended_usec = clock_boottime_usec();
        job->changed = true;
        bus_wake(job->bus);
}

/* ---- All of them ----------------------------------------------------------------------------------------------------- */

static void job_remove(Bus *b, Job *job) {
        if (b->bus && job->slot && sd_bus_emit_object_removed(b->bus, job->path) < 0)
                log_debug(NULL, "%s cannot be announced as gone", job->path);
        take_off(&b->jobs, job);
        job_free(job);
}

/* What came of it is told first, so that whoever hears of the state finds it. */
static int show_end(Job *job, uint64_t now_usec, uint64_t *wake_usec) {
        int r;

        if (job->bus->bus)
                (void) sd_bus_emit_properties_changed(job->bus->bus, job->path, BUS_JOB_INTERFACE, "Error", "Text", "Outcome", NULL);
        r = job_show(job, now_usec, wake_usec);
        if (r >= 0 && job->bus->bus && send_finished(job) < 0)
                log_warning(NULL, "The end of job %" PRIu64 " cannot be announced", job->view.id);
        return r;
}

/* The newest are first in the list. */
static size_t newer_of_user(const Bus *b, const Job *than) {
        size_t n = 0;

        for (const Job *job = b->jobs; job != than; job = job->next)
                n += is_over(job) && job->view.owner_uid == than->view.owner_uid;
        return n;
}

static void forget_old(Bus *b, uint64_t now_usec, uint64_t *wake_usec) {
        for (Job *job = b->jobs, *next; job; job = next) {
                next = job->next;
                if (!is_over(job) || job->call || job->changed)
                        continue;
                if (now_usec - job->ended_usec >= KEPT_USEC || newer_of_user(b, job) >= KEPT_OF_USER_MAX)
                        job_remove(b, job);
                else
                        *wake_usec = MIN2(*wake_usec, job->ended_usec + KEPT_USEC);
        }
}

int job_bus_show_all(Bus *b, uint64_t now_usec, uint64_t *wake_usec) {
        int failed = 0;

        for (Job *job = b->jobs; job; job = job->next) {
                int r;

                if (!job->changed || job->call)
                        continue;
                r = is_over(job) ? show_end(job, now_usec, wake_usec) : job_show(job, now_usec, wake_usec);
                if (r < 0)
                        failed = r;
        }
        forget_old(b, now_usec, wake_usec);
        return failed;
}

int job_bus_connect_all(Bus *b) {
        int r = 0;

        for (Job *job = b->jobs; job && r >= 0; job = job->next)
                r = job->call ? 0 : job_connect(job);
        return r;
}

void job_bus_disconnect_all(Bus *b) {
        for (Job *job = b->jobs; job; job = job->next)
                job->slot = sd_bus_slot_unref(job->slot);
}

void job_bus_free_all(Bus *b) {
        while (b->jobs) {
                Job *job = b->jobs;

                b->jobs = job->next;
                if (is_over(job)) {
                        job_free(job);
                        continue;
                }
                job->bus = NULL;
                job->call = sd_bus_message_unref(job->call);
                job->next = orphans;
                orphans = job;
        }
}

Action job_bus_action(const Bus *b, const char *path, uint32_t uid, bool *ret_own) {
        for (const Job *job = b->jobs; job; job = job->next)
                if (text_equal(job->path, path)) {
                        *ret_own = job->view.owner_uid == uid;
                        return job->kind->action;
                }
        *ret_own = false;
        return _ACTION_INVALID;
}
