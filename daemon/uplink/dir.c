/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/dir.h"

#include <errno.h>
#include <stdio.h>

#include "base/jobs.h"
#include "uplink/dir_private.h"

typedef struct Lane {
        JobThread *thread;
        unsigned busy;
} Lane;

typedef struct DirBackend {
        Backend backend;
        DirStore *store;
        Lane confirms, probes, others; /* what reads whole objects must not hold up what an erase waits for */
        unsigned n_puts;
        Lane puts[];
} DirBackend;

typedef struct DirJob {
        DirStore *store;
        Lane *lane;
        Task *task;
} DirJob;

static int run(void *userdata) {
        DirJob *job = userdata;

        switch (job->task->kind) {
        case TASK_PUT:
                dir_put(job->store, job->task);
                break;
        case TASK_CONFIRM:
        case TASK_VERIFY:
        case TASK_GET_CLIP:
                dir_confirm(job->store, job->task);
                break;
        case TASK_KEEP:
                dir_keep(job->store, job->task);
                break;
        case TASK_REPLACE:
                dir_replace(job->store, job->task);
                break;
        case TASK_FETCH:
                dir_fetch(job->store, job->task);
                break;
        case TASK_LIST:
                dir_list(job->store, job->task);
                break;
        case TASK_PUT_IMAGE:
                dir_put_image(job->store, job->task);
                break;
        case TASK_GET_IMAGE:
                dir_get_image(job->store, job->task);
                break;
        case TASK_LOCK:
                (void) task_has_no_lock(job->task, "a folder has no legal holds: who may delete in it is up to the file system's rights");
                break;
        default:
                dir_probe(job->store, job->task);
                break;
        }
        return 0;
}

static void done(void *userdata, int result) {
        DirJob *job = userdata;
        Task *task = job->task;

        (void) result;
        job->lane->busy--;
        free(job);
        task->done(task);
}

static Lane *choose_lane(DirBackend *b, TaskKind kind) {
        Lane *lane = &b->puts[0];

        if (kind != TASK_PUT)
                return kind == TASK_CONFIRM ? &b->confirms : kind == TASK_PROBE ? &b->probes : &b->others;
        for (unsigned i = 1; i < b->n_puts; i++)
                if (b->puts[i].busy < lane->busy)
                        lane = &b->puts[i];
        return lane;
}

static int dir_begin(Backend *backend, Task *task) {
        DirBackend *b = (DirBackend *) backend;
        DirJob *job = malloc(sizeof(*job));
        int r;

        if (!job)
                return -ENOMEM;
        *job = (DirJob){ .store = b->store, .lane = choose_lane(b, task->kind), .task = task };
        r = job_thread_submit(job->lane->thread, run, done, job);
        if (r < 0) {
                free(job);
                return r;
        }
        job->lane->busy++;
        return 0;
}

static Backend *dir_backend_free(Backend *backend) {
        DirBackend *b = (DirBackend *) backend;

        if (!b)
                return NULL;
        b->confirms.thread = job_thread_free(b->confirms.thread);
        b->probes.thread = job_thread_free(b->probes.thread);
        b->others.thread = job_thread_free(b->others.thread);
        for (unsigned i = 0; i < b->n_puts; i++)
                b->puts[i].thread = job_thread_free(b->puts[i].thread);
        dir_store_free(b->store);
        free(b);
        return NULL;
}

static void dir_backend_freep(DirBackend **b) {
        (void) dir_backend_free((Backend *) *b);
}

static const BackendOps dir_ops = {
        .name = "dir",
        .begin = dir_begin,
        .free = dir_backend_free,
};

int dir_backend_new(sd_event *event, const DirSettings *settings, unsigned puts_at_once, Backend **ret) {
        _cleanup_(dir_backend_freep) DirBackend *b = calloc(1, sizeof(*b) + puts_at_once * sizeof(b->puts[0]));
        int r;

        if (!b)
                return -ENOMEM;
        b->backend.ops = &dir_ops;
        b->n_puts = puts_at_once;
        if ((r = dir_store_new(settings, &b->store)) < 0 || (r = job_thread_new(event, "probe", &b->probes.thread)) < 0 ||
            (r = job_thread_new(event, "confirm", &b->confirms.thread)) < 0 || (r = job_thread_new(event, "others", &b->others.thread)) < 0)
                return r;
        for (unsigned i = 0; i < puts_at_once; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "put-%u", i);
                r = job_thread_new(event, name, &b->puts[i].thread);
                if (r < 0)
                        return r;
        }
        *ret = &TAKE_PTR(b)->backend;
        return 0;
}
