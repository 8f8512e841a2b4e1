/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What can be read of a clip that cannot be read whole: it is copied around the places that the medium does not give, and kept as a
 * clip of its own, which names what is missing. That clip goes to the store like any other; the camera's clip stays as it is, and is
 * never erased for it.
 */

#include <errno.h>

#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

#define UNFINISHED_MAX 8u

/* The partial copy is not pointed to any more; it lives on while something is under way for it. */
static void let_go(Docking *d) {
        Clip *partial = TAKE_PTR(d->salvage);

        if (!partial)
                return;
        partial->pending--;
        clip_release(partial);
}

void docking_salvage_abort(Docking *d, const char *why) {
        Fact fact;

        if (!d->salvage)
                return;
        fact = docking_fact(d, FACT_CLIP_LOST, d->salvage);
        fact.text = why;
        clip_set_state(d->salvage, CLIP_LOST, why);
        (void) docking_commit_fact(d, &fact, d->salvage, NULL);
        let_go(d);
}

/* The clip waits for a person now, with or without what can be read of it. */
static void given_up(Docking *d, Clip *c, const char *why) {
        LogAbout about = docking_about(d);

        about.clip = c->path;
        log_error(&about, "Nothing of it can be kept: %s", why);
        docking_salvage_abort(d, why);
        c->salvaged = true;
        docking_step_done(d);
}

static int record_missing(Docking *d, Clip *partial, const ByteRange *ranges, size_t n) {
        _cleanup_(freep) char *places = ranges_text(ranges, n);
        _cleanup_(freep) char *text = text_format("partial: %s are missing, and stand as zeros", places ?: "some bytes");
        Fact fact = docking_fact(d, FACT_PULL_UNREADABLE, partial);
        LogAbout about = docking_about(d);

        about.clip = partial->path;
        log_warning(&about, "Kept in part: %s", text ?: "some bytes are missing");
        fact.text = text;
        fact.unreadable.ranges = ranges;
        fact.unreadable.n_ranges = n;
        fact.unreadable.attempt = 1;
        return docking_commit_fact(d, &fact, partial, NULL);
}

static void salvaged(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy) {
        Docking *d = userdata;
        Clip *c = d->current, *partial = d->salvage;
        const ByteRange *ranges;
        size_t n;

        if (result == WORKER_UNREADABLE || result == WORKER_UNSUPPORTED || result == WORKER_DENIED || result == WORKER_CHANGED ||
            result == WORKER_GONE)
                return given_up(d, c, text);
        if (result == WORKER_SPACE) {
                docking_salvage_abort(d, text);
                d->spool_waits = d->spool_short = true;
                room_start(d->manager);
                return docking_step_done(d);
        }
        if (result == WORKER_DISK)
                return docking_trouble(d, 0, text);
        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        ranges = worker_unreadable(d->worker, &n);
        c->salvaged = true;
        if (n == 0) {
                /* It rested long enough: the clip is pulled as it is, once more. */
                c->unreadable = CLIP_UNREADABLE_MAX - 1;
                docking_salvage_abort(d, "the clip could be read whole after all, and is pulled as such");
                return docking_step_done(d);
        }
        if (record_missing(d, partial, ranges, n) < 0)
                return docking_trouble(d, -ENOMEM, "what is missing of a clip cannot be recorded");
        docking_seal(d, partial, copy);
        let_go(d);
}

static void begun(Docking *d, Clip *partial, int result) {
        char part[SPOOL_NAME_SIZE];

        if (!d || d->salvage != partial || !d->worker)
                return;
        if (result < 0)
                return docking_trouble(d, result, "the database cannot be written");
        spool_part_name_of(partial->id, part);
        result = worker_salvage(d->worker, d->current->index, part, salvaged);
        if (result < 0)
                docking_trouble(d, result, "the worker cannot be called");
}

/* Copies that ended with a crash of the dock, or in the middle, count for nothing. */
static int lose_unfinished(Docking *d, const Clip *c, StoreBatch *batch) {
        uint64_t ids[UNFINISHED_MAX];
        size_t n = 0;
        int r;

        r = store_partials_unfinished(d->manager->store, c->id, UNFINISHED_MAX, ids, &n);
        for (size_t i = 0; i < n && r >= 0; i++) {
                Fact fact = docking_fact(d, FACT_CLIP_LOST, NULL);

                fact.clip_id = ids[i];
                fact.text = "it was not read to its end";
                r = store_batch_add(batch, &fact);
        }
        return r;
}

static int begin(Docking *d, Clip *c) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        Clip *partial;
        Fact seen, pull;
        int r;

        r = clip_new(d->manager, c->camera_id, c->serial, c->path, c->size_bytes, c->mtime_unix_sec, c->ordinal, c->flags, &partial);
        if (r < 0)
                return r;
        partial->pending++;
        partial->partial_of = c->id;
        partial->state = CLIP_COPYING;
        d->salvage = partial;
        seen = docking_fact(d, FACT_CLIP_SEEN, partial);
        seen.clip.path = partial->path;
        seen.clip.size_bytes = partial->size_bytes;
        seen.clip.mtime_unix_sec = partial->mtime_unix_sec;
        seen.clip.ordinal = partial->ordinal;
        seen.clip.flags = partial->flags;
        seen.clip.partial_of = c->id;
        pull = docking_fact(d, FACT_PULL_BEGUN, partial);
        if ((r = store_batch_new(&batch)) < 0 || (r = lose_unfinished(d, c, batch)) < 0 || (r = store_batch_add(batch, &seen)) < 0 ||
            (r = store_batch_add(batch, &pull)) < 0)
                return r;
        return docking_commit(d, TAKE_PTR(batch), partial, begun);
}

void docking_salvage(Docking *d) {
        for (size_t i = 0; i < d->n_clips; i++) {
                Clip *c = d->clips[i];
                int r;

                if (c->pending > 0 || clip_need(c) != CLIP_NEED_SALVAGE)
                        continue;
                if (!manager_has_room(d->manager, c->size_bytes, (c->flags & CLIP_FLAG_PRIORITY) != 0)) {
                        d->spool_waits = d->spool_short = true;
                        return docking_kick(d);
                }
                d->spool_short = false;
                d->busy = true;
                d->current = c;
                d->pull_offset = d->current_bytes = 0;
                r = begin(d, c);
                if (r < 0)
                        docking_trouble(d, r, "what can be read of a clip cannot be recorded");
                return;
        }
}
