/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"

/* Completions that one turn of the loop runs: a flood of them must not starve the loop's other events. */
#define DONE_PER_TURN 64u

typedef struct Job {
        struct Job *next;
        JobRun run;
        JobDone done;
        void *job;
        int result;
} Job;

typedef struct JobList {
        Job *first, **end;
} JobList;

struct JobThread {
        pthread_t thread;
        bool started;
        int wake_fd; /* readable while there are completions */
        sd_event_source *source;
        bool *freed; /* set by job_thread_free() when a completion calls it */

        pthread_mutex_t mutex;
        pthread_cond_t changed;
        JobList waiting, finished; /* the members below are guarded by `mutex` */
        bool ending;
};

static void list_append(JobList *list, Job *job) {
        job->next = NULL;
        *list->end = job;
        list->end = &job->next;
}

static Job *list_take(JobList *list) {
        Job *job = list->first;

        if (!job)
                return NULL;
        list->first = job->next;
        if (!list->first)
                list->end = &list->first;
        job->next = NULL;
        return job;
}

static void wake_loop(JobThread *t) {
        uint64_t one = 1;

        /* It can only fail by being readable already. */
        (void) !write(t->wake_fd, &one, sizeof(one));
}

static void *thread_main(void *userdata) {
        JobThread *t = userdata;

        (void) pthread_mutex_lock(&t->mutex);
        for (;;) {
                Job *job = list_take(&t->waiting);

                if (!job) {
                        if (t->ending)
                                break;
                        (void) pthread_cond_wait(&t->changed, &t->mutex);
                        continue;
                }
                (void) pthread_mutex_unlock(&t->mutex);
                job->result = job->run(job->job);
                (void) pthread_mutex_lock(&t->mutex);
                list_append(&t->finished, job);
                wake_loop(t);
        }
        (void) pthread_mutex_unlock(&t->mutex);
        return NULL;
}

static Job *take_finished(JobThread *t) {
        Job *job;

        (void) pthread_mutex_lock(&t->mutex);
        job = list_take(&t->finished);
        (void) pthread_mutex_unlock(&t->mutex);
        return job;
}

static void complete(Job *job) {
        job->done(job->job, job->result);
        free(job);
}

static int on_finished(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        JobThread *t = userdata;
        bool freed = false;
        uint64_t count;
        unsigned n = 0;
        Job *job;

        (void) source;
        (void) revents;
        (void) !read(fd, &count, sizeof(count));
        t->freed = &freed;
        while (n++ < DONE_PER_TURN && (job = take_finished(t))) {
                complete(job);
                if (freed)
                        return 0;
        }
        t->freed = NULL;
        if (n > DONE_PER_TURN)
                wake_loop(t);
        return 0;
}

/* The thread takes no signals: they belong to the loop. */
static int start_thread(JobThread *t, const char *name) {
        char short_name[16];
        sigset_t all, old;
        int r;

        (void) sigfillset(&all);
        r = pthread_sigmask(SIG_SETMASK, &all, &old);
        if (r != 0)
                return -r;
        r = pthread_create(&t->thread, NULL, thread_main, t);
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r != 0)
                return -r;
        t->started = true;
        (void) snprintf(short_name, sizeof(short_name), "%s", name);
        (void) pthread_setname_np(t->thread, short_name);
        return 0;
}

int job_thread_new(sd_event *event, const char *name, JobThread **ret) {
        _cleanup_(job_thread_freep) JobThread *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        t->wake_fd = -EBADF;
        t->waiting.end = &t->waiting.first;
        t->finished.end = &t->finished.first;
        (void) pthread_mutex_init(&t->mutex, NULL);
        (void) pthread_cond_init(&t->changed, NULL);
        t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (t->wake_fd < 0)
                return -errno;
        r = sd_event_add_io(event, &t->source, t->wake_fd, EPOLLIN, on_finished, t);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(t->source, name);
        r = start_thread(t, name);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

JobThread *job_thread_free(JobThread *t) {
        Job *job;

        if (!t)
                return NULL;
        (void) pthread_mutex_lock(&t->mutex);
        t->ending = true;
        (void) pthread_cond_signal(&t->changed);
        (void) pthread_mutex_unlock(&t->mutex);
        if (t->started)
                (void) pthread_join(t->thread, NULL);
        while ((job = take_finished(t)))
                complete(job);
        if (t->freed)
                *t->freed = true;
        t->source = sd_event_source_disable_unref(t->source);
        t->wake_fd = fd_close(t->wake_fd);
        (void) pthread_cond_destroy(&t->changed);
        (void) pthread_mutex_destroy(&t->mutex);
        free(t);
        return NULL;
}

int job_thread_submit(JobThread *t, JobRun run, JobDone done, void *job) {
        Job *j;
        int r = 0;

        j = malloc(sizeof(*j));
        if (!j)
                return -ENOMEM;
        *j = (Job){ .run = run, .done = done, .job = job };
        (void) pthread_mutex_lock(&t->mutex);
        if (t->ending)
                r = -ESHUTDOWN;
        else {
                list_append(&t->waiting, j);
                (void) pthread_cond_signal(&t->changed);
        }
        (void) pthread_mutex_unlock(&t->mutex);
        if (r < 0)
                free(j);
        return r;
}
