/* SPDX-License-Identifier: Apache-2.0 */

/* The methods of org.berth.Dock1.Manager about clips that are read back from the store. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/job.h"
#include "bus/manager_methods.h"
#include "service/fetch.h"

typedef struct Fetching {
        Job *job;
        Fetch *fetch;
        sd_bus_track *caller; /* who has the file */
} Fetching;

static Fetching *fetching_free(Fetching *f) {
        if (!f)
                return NULL;
        sd_bus_track_unref(f->caller);
        free(f);
        return NULL;
}
DEFINE_CLEANUP(Fetching, fetching_free);

static const char *fetch_error(int r) {
        switch (r) {
        case -EAGAIN:
                return BUS_E_STORE_AWAY;
        case -ENODATA:
                return BUS_E_NOT_FOUND;
        case -EBADMSG:
                return BUS_E_CONFLICT;
        default:
                return error_name(r);
        }
}

static void fetched(void *userdata, int result, const char *text) {
        _cleanup_(fetching_freep) Fetching *f = userdata;

        job_end(f->job, result >= 0 ? JOB_DONE : result == -ECANCELED ? JOB_CANCELLED : JOB_FAILED,
                result >= 0 || result == -ECANCELED ? NULL : fetch_error(result),
                result >= 0 ? "all of it is in the file, and it has the digest of its receipt" : text ? text : strerror(-result), NULL, 0);
}

static void moved(void *userdata, uint64_t bytes, uint64_t size_bytes) {
        const Fetching *f = userdata;

        job_progress(f->job, bytes, size_bytes);
}

static int on_caller_gone(sd_bus_track *track, void *userdata) {
        const Fetching *f = userdata;

        (void) track;
        fetch_stop(f->fetch);
        /* After 0 it would be told of that again and again, before any other message is looked at. */
        return 1;
}

static int cancel(void *operation, const Operator *by, const char **ret_why) {
        const Fetching *f = operation;

        (void) by;
        (void) ret_why;
        fetch_stop(f->fetch);
        return 0;
}

static const JobKind kind = { .name = "fetch-clip", .unit = "bytes", .action = ACTION_EVIDENCE, .cancel = cancel };

static int check_clip(uint64_t clip_id, sd_bus_error *ret_error) {
        if (clip_id > 0 && clip_id <= INT64_MAX)
                return 0;
        return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "clip_id: there is no such clip.");
}

/* Whatever blocks on a write, or is longer than what is written to it, would be no copy of a clip. */
static int check_file(int fd, sd_bus_error *ret_error) {
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        if (flags >= 0 && !(flags & (O_PATH | O_APPEND)) && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) &&
            st.st_size == 0)
                return 0;
        return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "file: it is no empty regular file that is open for writing.");
}

static int fetching_new(Job *job, sd_bus_message *m, Fetching **ret) {
        _cleanup_(fetching_freep) Fetching *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->job = job;
        r = sd_bus_track_new(sd_bus_message_get_bus(m), &f->caller, on_caller_gone, f);
        if (r >= 0)
                r = sd_bus_track_add_sender(f->caller, m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

static int refuse(int r, sd_bus_error *ret_error) {
        switch (r) {
        case -ENOENT:
                return sd_bus_error_set(ret_error, BUS_E_NO_SUCH_CLIP, "The dock knows no clip with this id.");
        case -ESTALE:
                return sd_bus_error_set(ret_error, BUS_E_TOO_LATE, "The store has given no receipt for this clip.");
        case -EBUSY:
                return sd_bus_error_set(ret_error, BUS_E_BUSY, "This clip is being fetched already; try again when that is done.");
        default:
                return error_set(ret_error, r, "The clip cannot be fetched: %s.", strerror(-r));
        }
}

int manager_bus_fetch_clip(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Bus *b = *(Bus **) userdata;
        _cleanup_(fetching_freep) Fetching *f = NULL;
        uint64_t clip_id;
        Operator by;
        Caller caller;
        Job *job;
        int fd, r;

        r = sd_bus_message_read(m, "th", &clip_id, &fd);
        if (r < 0)
                return r;
        if ((r = check_clip(clip_id, ret_error)) < 0 || (r = check_file(fd, ret_error)) < 0 ||
            (r = caller_get(m, &caller, ret_error)) < 0 || (r = job_new(b, m, &kind, BUS_PATH, &job, ret_error)) < 0)
                return r;
        by = caller_operator(&caller);
        r = fetching_new(job, m, &f);
        if (r >= 0)
                r = manager_fetch_clip(b->manager, clip_id, fd, &by, moved, fetched, f, &f->fetch);
        if (r >= 0)
                return job_answer(job, TAKE_PTR(f));
        job_drop(job);
        return refuse(r, ret_error);
}
