/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading again, without a copy. Before a part of an earlier docking is gone on with, a few places of it are compared with the camera, and
 * its pull then compares all of it with its facts. Before an erase the camera is read from the clip's start to the last block that was not
 * read in this docking, and compared with the facts of the blocks.
 */

#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

void docking_forget_verify(Docking *d) {
        d->verifying = d->verify_differs = false;
        d->n_verify = d->n_verified = 0;
}

/* The name stands for other content now: the old clip keeps its copy, and what the camera holds is a new clip. */
static void other_content(Docking *d, Clip *c) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        uint32_t index = c->index;
        LogAbout about = docking_about(d);
        Fact fact;
        int r;

        r = store_batch_new(&batch);
        if (r < 0)
                return docking_trouble(d, r, "a changed clip cannot be recorded");
        about.clip = c->path;
        if (c->copied_here) {
                /* It was put together from two dockings, and the first part is not what is on the camera: nobody vouches for it. */
                fact = docking_fact(d, FACT_CONFLICT, c);
                fact.text = "the copy was continued from an earlier docking, and the camera now shows other content for that part";
                r = store_batch_add(batch, &fact);
                upload_conflict(c, fact.text);
                about.message = MESSAGE_CLIP_CONFLICT;
                log_error(&about, "Conflict: %s", fact.text);
        } else
                log_warning(&about, "The camera shows other content under the same name, size and time; it is pulled as a new clip");
        if (r >= 0)
                r = docking_new_clip(d, c->path, c->size_bytes, c->mtime_unix_sec, c->ordinal, c->flags, index, batch);
        if (r >= 0) {
                d->current = NULL;
                docking_detach_index(d, index);
                r = docking_commit(d, TAKE_PTR(batch), NULL, NULL);
        }
        if (r < 0)
                return docking_trouble(d, r, "a changed clip cannot be recorded");
        docking_step_done(d);
}

/* What is under way until its answer: `n` blocks or places. */
static void begin(Docking *d, Clip *c, size_t n) {
        docking_forget_verify(d);
        d->current = c;
        d->busy = d->verifying = true;
        d->n_verify = n;
        d->pull_offset = d->current_bytes = 0;
}

_Static_assert(CLIP_SAMPLE_MAX <= WIRE_SAMPLES_MAX, "one call asks for all samples");

/* ---- A few places -------------------------------------------------------------------------------------------------- */

static void sampled(void *userdata, WorkerResult result, const char *text, const WorkerSample *samples) {
        Docking *d = userdata;
        Clip *c = d->current;
        bool differs = result == WORKER_CHANGED || result == WORKER_GONE;

        for (size_t i = 0; result == WORKER_OK && i < d->n_verify; i++)
                differs |= !digest_equal(&samples[i].camera, &samples[i].part);
        docking_forget_verify(d);
        if (differs)
                return docking_start_afresh(d, c, "the camera shows other content than the part that was kept");
        if (result == WORKER_PREFIX)
                return docking_start_afresh(d, c, text);
        if (result == WORKER_UNREADABLE)
                return docking_unreadable(d, c, text);
        if (result == WORKER_DISK)
                return docking_trouble(d, 0, text);
        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        c->sampled = true;
        docking_step_done(d); /* the next decision is to pull, from the kept blocks on */
}

int docking_sample(Docking *d, Clip *c) {
        uint32_t blocks[CLIP_SAMPLE_MAX];
        ByteRange places[CLIP_SAMPLE_MAX];
        char part[SPOOL_NAME_SIZE];
        uint64_t seed;
        size_t n;
        int r;

        if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
                return -EIO;
        n = clip_sample_blocks(clip_kept_blocks(c), seed, blocks);
        for (size_t i = 0; i < n; i++)
                places[i] = (ByteRange){ .offset = blocks[i] * WIRE_BLOCK_SIZE, .length = WIRE_BLOCK_SIZE };
        spool_part_name_of(c->id, part);
        begin(d, c, n);
        r = worker_sample(d->worker, c->index, part, places, n, sampled);
        if (r < 0)
                docking_forget_verify(d);
        return r;
}

/* ---- From its start ------------------------------------------------------------------------------------------------ */

static void verified(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;
        Clip *c = d->current;
        bool differs = d->verify_differs || result == WORKER_CHANGED || result == WORKER_GONE, all = d->n_verified == d->n_verify;
        Fact fact;

        docking_forget_verify(d);
        if (result == WORKER_UNREADABLE)
                return docking_unreadable(d, c, text);
        if (result != WORKER_OK && result != WORKER_CHANGED && result != WORKER_GONE)
                return docking_fault(d, result, text);
        if (!all && !differs)
                return docking_fault(d, WORKER_BREACH, "the worker called a reading complete that is not");
        if (result == WORKER_GONE) {
                c->on_camera = false;
                return docking_step_done(d);
        }
        if (differs || (c->n_blocks > 0 && !clip_ends_with(c, &c->digest)))
                return other_content(d, c);
        fact = docking_fact(d, FACT_VERIFIED, c);
        fact.copy.size_bytes = c->size_bytes;
        fact.copy.digest = c->digest;
        c->verified_here = true;
        (void) docking_commit_fact(d, &fact, c, NULL);
        docking_step_done(d);
}

static int read_again(Docking *d, Clip *c) {
        size_t n = c->n_blocks;
        int r;

        while (n > 0 && c->blocks[n - 1].read_here)
                n--;
        begin(d, c, n);
        r = worker_verify(d->worker, c->index, n, verified);
        if (r < 0)
                docking_forget_verify(d);
        return r;
}

/* The store's manifest has no digests of its edges, by which an erase finds it. */
static bool only_store_held_it(const Clip *c) {
        return c->n_blocks > 0 && !c->blocks[0].known && c->state == CLIP_RECEIPTED && !c->spool_name && digest_is_zero(&c->head);
}

void docking_verify(Docking *d) {
        uint64_t now = clock_boottime_usec();

        for (size_t i = 0; i < d->n_clips; i++) {
                Clip *c = d->clips[i];
                int r = 0;

                if (docking_clip_rests(c, now) || clip_need(c) != CLIP_NEED_VERIFY)
                        continue;
                if (!c->blocks)
                        r = clip_load_blocks(c);
                if (r >= 0 && only_store_held_it(c)) {
                        c->receipted = c->receipt_accepted = false;
                        return docking_start_afresh(d, c, "only the store held it when the database was made anew, so that the dock has no "
                                                          "digests of its blocks: it is read from the camera again, and found there");
                }
                if (r >= 0 && c->n_blocks > 0 && c->n_read_here == c->n_blocks)
                        return docking_kick(d);
                if (r >= 0)
                        r = read_again(d, c);
                if (r < 0)
                        docking_trouble(d, r, "a clip cannot be read again from the camera");
                return;
        }
}
