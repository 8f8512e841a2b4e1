/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading again: blocks that are known are read from the camera once more and compared with their facts, without a copy.
 * Before a part of an earlier docking is continued a few of them; before an erase all that were not read in this docking.
 */

#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

void docking_forget_verify(Docking *d) {
        free(d->verify_blocks);
        d->verify_blocks = NULL;
        d->n_verify = d->n_verified = 0;
        d->verify_differs = false;
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

static void verified(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;
        Clip *c = d->current;
        bool differs = d->verify_differs, sample = d->verify_is_sample, all = d->n_verified == d->n_verify;
        Fact fact;

        docking_forget_verify(d);
        if (result == WORKER_CHANGED || result == WORKER_GONE)
                differs = true;
        else if (result == WORKER_UNREADABLE)
                return docking_unreadable(d, c, text);
        else if (result != WORKER_OK)
                return docking_fault(d, result, text);
        else if (!all && !differs)
                return docking_fault(d, WORKER_BREACH, "the worker called a reading complete that is not");
        if (differs && sample)
                return docking_start_afresh(d, c, "the camera shows other content than the part that was kept");
        if (result == WORKER_GONE) {
                c->on_camera = false;
                return docking_step_done(d);
        }
        if (differs)
                return other_content(d, c);
        if (sample) {
                c->sampled = true;
                return docking_step_done(d); /* the next decision is to pull, from the kept blocks on */
        }
        fact = docking_fact(d, FACT_VERIFIED, c);
        fact.copy.size_bytes = c->size_bytes;
        fact.copy.digest = c->digest;
        c->verified_here = true;
        (void) docking_commit_fact(d, &fact, c, NULL);
        docking_step_done(d);
}

static int choose_blocks(Docking *d, const Clip *c, bool sample) {
        uint32_t few[CLIP_SAMPLE_MAX];
        size_t n = 0;

        if (sample) {
                uint64_t seed;

                if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
                        return -EIO;
                n = clip_sample_blocks(clip_kept_blocks(c), seed, few);
        }
        d->verify_blocks = calloc(MAX2(sample ? n : c->n_blocks, (size_t) 1), sizeof(uint32_t));
        if (!d->verify_blocks)
                return -ENOMEM;
        if (!sample)
                for (uint32_t i = 0; i < c->n_blocks; i++) {
                        if (!c->blocks[i].known)
                                return -ENODATA;
                        if (!c->blocks[i].read_here)
                                d->verify_blocks[n++] = i;
                }
        else
                for (size_t i = 0; i < n; i++)
                        d->verify_blocks[i] = few[i];
        d->n_verify = n;
        return 0;
}

int docking_read_again(Docking *d, Clip *c, bool sample) {
        int r;

        docking_forget_verify(d);
        d->current = c;
        d->busy = true;
        d->verify_is_sample = sample;
        d->pull_offset = d->current_bytes = 0;
        r = choose_blocks(d, c, sample);
        if (r >= 0)
                r = worker_verify(d->worker, c->index, d->verify_blocks, d->n_verify, verified);
        if (r < 0)
                docking_forget_verify(d);
        return r;
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
                if (r >= 0 && c->n_blocks > 0 && c->n_read_here == c->n_blocks)
                        return docking_kick(d);
                if (r >= 0)
                        r = docking_read_again(d, c, false);
                if (r == -ENODATA && c->state == CLIP_RECEIPTED && !c->spool_name) {
                        c->receipted = c->receipt_accepted = false;
                        return docking_start_afresh(d, c, "only the store held it when the database was made anew, so that the dock has no "
                                                          "digests of its blocks: it is read from the camera again, and found there");
                }
                if (r == -ENODATA) {
                        c->failures = CLIP_FAILURES_MAX;
                        clip_set_state(c, c->state, "the dock has no digests of its blocks to compare it with");
                        return docking_kick(d);
                }
                if (r < 0)
                        docking_trouble(d, r, "a clip cannot be read again from the camera");
                return;
        }
}
