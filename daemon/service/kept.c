/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/jobs.h"
#include "base/log.h"
#include "base/measure.h"
#include "base/text.h"
#include "service/manager_private.h"

struct KeptFiles {
        Manager *manager;
        JobThread *thread;
        int state_fd;
        uint64_t start_seq; /* what events up to this one tell of lies where it was to go, or nowhere */
        KeptFile *reading;
        Digest digest; /* of it, and its size */
        uint64_t size_bytes;
        bool again;
        atomic_bool ending;
};

static void next(KeptFiles *k, const char *after);

/* ---- On the thread ------------------------------------------------------------------------------------------------- */

static int go_on(void *userdata, size_t size) {
        KeptFiles *k = userdata;

        (void) size;
        return atomic_load(&k->ending) ? -ECANCELED : 0;
}

static int hash_all(KeptFiles *k, int fd) {
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        int r;

        r = hasher_new(&hasher);
        if (r >= 0)
                r = fd_drop_cache(fd, 0, 0);
        if (r >= 0)
                r = measure_more(fd, 0, k->size_bytes, hasher, go_on, k);
        return r < 0 ? r : hasher_finish(hasher, &k->digest);
}

static int run(void *p) {
        KeptFiles *k = p;
        _cleanup_(fd_closep) int folder = -EBADF, fd = -EBADF;
        _cleanup_(freep) char *path = strdup(k->reading->name);
        char *slash = path ? strchr(path, '/') : NULL;
        struct stat st;
        int r;

        if (!slash)
                return path ? -ENOENT : -ENOMEM;
        *slash = 0;
        folder = openat(k->state_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        fd = folder < 0 ? -1 : openat(folder, slash + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        k->size_bytes = (uint64_t) st.st_size;
        r = hash_all(k, fd);
        return r == -ENODATA ? -EBADMSG : r;
}

/* ---- On the loop --------------------------------------------------------------------------------------------------- */

/* On record, or not now: the next one. */
static void done_with(KeptFiles *k) {
        _cleanup_(kept_file_freep) KeptFile *f = TAKE_PTR(k->reading);

        next(k, f->name);
}

static void recorded(int result, void *userdata) {
        KeptFiles *k = userdata;

        if (result < 0)
                log_error(NULL, "The digest of %s cannot be recorded: %s", k->reading->name, store_last_refusal(k->manager->store));
        done_with(k);
}

static void record(KeptFiles *k, bool missing) {
        Fact f = { .kind = FACT_FILE_HASHED, .hashed = { .name = k->reading->name, .missing = missing } };

        if (!missing) {
                f.hashed.size_bytes = k->size_bytes;
                f.hashed.digest = k->digest;
        }
        manager_moment(k->manager, &f.at);
        if (store_put(k->manager->store, &f, recorded, k) < 0)
                done_with(k);
}

static void hashed(void *p, int result) {
        KeptFiles *k = p;

        if (k->manager->stopping)
                return;
        /* What was set aside in this run may be on its way: whoever moves it says when it is there. */
        if (result == -ENOENT && k->reading->event_seq > k->start_seq)
                return done_with(k);
        if (result < 0 && result != -ENOENT) {
                log_error(NULL, "%s cannot be read: %s; the next start tries again, until then a change to it is not noticed",
                          k->reading->name, strerror(-result));
                return done_with(k);
        }
        record(k, result == -ENOENT);
}

static void next(KeptFiles *k, const char *after) {
        int r;

        if (k->manager->stopping)
                return;
        r = store_kept_due(k->manager->store, after, &k->reading);
        if (r == -ENOENT && k->again) {
                k->again = false;
                r = store_kept_due(k->manager->store, "", &k->reading);
        }
        if (r >= 0)
                r = job_thread_submit(k->thread, run, hashed, k);
        if (r >= 0 || r == -ENOENT)
                return;
        k->reading = kept_file_free(k->reading);
        log_error(NULL, "The files that were set aside cannot be looked at: %s", strerror(-r));
}

void kept_look(KeptFiles *k) {
        if (!k || k->manager->stopping)
                return;
        if (k->reading)
                k->again = true;
        else
                next(k, "");
}

int kept_new(Manager *m, KeptFiles **ret) {
        _cleanup_(kept_freep) KeptFiles *k = calloc(1, sizeof(*k));
        int r;

        if (!k)
                return -ENOMEM;
        k->manager = m;
        k->state_fd = open(m->settings->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (k->state_fd < 0)
                return -errno;
        r = store_newest_event(m->store, &k->start_seq);
        if (r < 0)
                return r;
        /* Each name is on record before anything lies there: a number above those of all events was given by no run before this one. */
        spool_number_kept_from(m->spool, k->start_seq);
        r = job_thread_new(m->event, "kept", &k->thread);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(k);
        kept_look(*ret);
        return 0;
}

KeptFiles *kept_free(KeptFiles *k) {
        if (!k)
                return NULL;
        atomic_store(&k->ending, true);
        if (k->thread)
                job_thread_free(k->thread);
        (void) kept_file_free(k->reading);
        fd_close(k->state_fd);
        free(k);
        return NULL;
}
