/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Erasing: in rounds. Each clip's receipt is confirmed with the store, then the license is checked and the beginning of
 * the erase committed by the store's gate, and only then a fresh worker, which read nothing before, deletes those clips.
 */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

#define CLIPS_A_ROUND 16u
#define ASK_AGAIN_USEC (5 * USEC_PER_SEC)

static void round_goes_on(Docking *d);
static void erase_next(Docking *d);

static bool has_receipt(const Clip *c) {
        return c->receipted && c->receipt_accepted;
}

void docking_left_unstored(Clip *c) {
        if (!c->leaving_unstored)
                return;
        c->leaving_unstored = false;
        upload_pump(c->manager);
}

/* ---- License ----------------------------------------------------------------------------------------------------- */

static void gate_answered(Docking *d, Clip *c, int result) {
        LogAbout about;

        if (!d)
                return;
        d->erase_waits--;
        about = docking_about(d);
        about.clip = c->path;
        if (result < 0)
                docking_left_unstored(c);
        if (result == 0 && c->docking == d) {
                c->erase_licensed = true;
                clip_set_state(c, CLIP_ERASING, NULL);
        } else if (result == -EKEYREJECTED) {
                _cleanup_(freep) char *why = text_format("the dock's records do not license its erase: %s",
                                                         store_last_refusal(d->manager->store));

                about.message = MESSAGE_CLIP_NOT_ERASED;
                log_error(&about, "Not erased: %s", why);
                c->failures = CLIP_FAILURES_MAX;
                clip_set_state(c, c->state, why);
        } else if (result < 0)
                log_warning(&about, "Not erased yet: the database cannot be written: %s", strerror(-result));
        round_goes_on(d);
}

static void ask_gate(Docking *d, Clip *c) {
        Fact fact = docking_fact(d, FACT_ERASE_BEGUN, c);
        int r;

        fact.text = d->manager->settings->accept;
        r = docking_commit_fact(d, &fact, c, gate_answered);
        if (r < 0) {
                d->erase_waits--;
                docking_left_unstored(c);
                round_goes_on(d);
        }
}

/* The store has lost what it had given a receipt for: the clip needs a new one. */
void docking_receipt_is_void(Docking *d, Clip *c) {
        Fact fact = docking_fact(d, FACT_STORE_REFUSED, c);
        LogAbout about = docking_about(d);

        about.clip = c->path;
        fact.text = "the store does not hold the clip any more for which it had given a receipt";
        about.message = MESSAGE_CLIP_NOT_ERASED;
        log_error(&about, "Not erased: %s", fact.text);
        (void) docking_commit_fact(d, &fact, c, NULL);
        c->receipted = c->receipt_accepted = false;
        if (c->spool_name) {
                clip_set_state(c, CLIP_COPIED, fact.text);
                upload_count_waiting(c);
                upload_enqueue(c);
        } else {
                /* The dock has none any more: the camera is asked again, as the fact has it. */
                clip_drop_blocks(c);
                c->part_docking_id = 0;
                c->part_here = c->sampled = c->copied_here = c->verified_here = false;
                upload_pull_begins_afresh(c);
                clip_set_state(c, CLIP_SEEN, fact.text);
        }
}

static void confirmed(Docking *d, Clip *c, int result) {
        if (!d)
                return;
        if (result == 0 && c->docking == d && !d->handed_out)
                return ask_gate(d, c);
        d->erase_waits--;
        if (result == -ENOENT)
                docking_receipt_is_void(d, c);
        round_goes_on(d);
}

static void confirm_answered(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Manager *m = userdata;
        int r = -EAGAIN;

        if (answer->result == UPLINK_OK)
                r = manager_accepts(m, answer->strength) ? 0 : -EAGAIN;
        else if (answer->result == UPLINK_GONE || answer->result == UPLINK_CONFLICT)
                r = -ENOENT;
        docking_pending_done(r, cookie);
}

int docking_confirm_receipt(Docking *d, Clip *c, DockingThen then) {
        DockingPending *p;
        int r;

        r = docking_pending_new(d, c, then, &p);
        if (r < 0)
                return r;
        r = uplink_confirm(d->manager->uplink, c->object_key, c->manifest_key, c->size_bytes, &c->digest, confirm_answered, p);
        if (r < 0) {
                docking_pending_cancel(p);
                return r;
        }
        d->erase_waits++;
        return 0;
}

/* ---- The eraser -------------------------------------------------------------------------------------------------- */

static Clip *next_licensed(const Docking *d) {
        for (size_t i = 0; i < d->n_clips; i++)
                if (d->clips[i]->erase_licensed)
                        return d->clips[i];
        return NULL;
}

/* The eraser, when there was one, is closed by the next decision. */
static void end_round(Docking *d) {
        docking_step_done(d);
}

static void not_erased(Docking *d, Clip *c, const char *text) {
        Fact fact = docking_fact(d, FACT_ERASE_FAILED, c);
        LogAbout about = docking_about(d);

        about.clip = c->path;
        about.message = MESSAGE_CLIP_NOT_ERASED;
        log_error(&about, "Not erased: %s", text);
        fact.text = text;
        (void) docking_commit_fact(d, &fact, c, NULL);
        c->failures = CLIP_FAILURES_MAX;
        clip_set_state(c, c->receipted ? CLIP_RECEIPTED : CLIP_COPIED, text);
        docking_left_unstored(c);
}

static void erased(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;
        Clip *c = d->current;
        Fact fact = docking_fact(d, FACT_ERASED, c);
        LogAbout about = docking_about(d);

        about.clip = c->path;
        about.message = MESSAGE_CLIP_ERASED;
        c->erase_licensed = false;
        switch (result) {
        case WORKER_OK:
        case WORKER_GONE:
                fact.text = result == WORKER_GONE ? "the camera had it no more" : NULL;
                (void) docking_commit_fact(d, &fact, c, NULL);
                c->on_camera = false;
                d->manager->figures.erased_clips++;
                d->faults_in_row = 0;
                c->erased_unstored = !c->receipted;
                clip_set_state(c, c->receipted ? CLIP_ERASED : CLIP_COPIED, c->receipted ? NULL : "erased by order, before it was stored");
                docking_left_unstored(c);
                log_info(&about, "Erased from the camera%s", c->erased_unstored ? " by order, before it was stored" : "");
                break;
        case WORKER_DENIED:
        case WORKER_CHANGED:
        case WORKER_UNSUPPORTED:
        case WORKER_UNREADABLE: /* it was read whole before; that it is the same clip cannot be seen now */
                not_erased(d, c, text);
                break;
        default:
                return docking_fault(d, result, text);
        }
        erase_next(d);
}

static void erase_next(Docking *d) {
        WorkerCopy copy;
        Clip *c;
        int r;

        if (d->handed_out)
                docking_drop_licenses(d);
        d->current = c = next_licensed(d);
        if (!c)
                return end_round(d);
        copy = (WorkerCopy){ .size_bytes = c->size_bytes, .digest = c->digest, .head = c->head, .tail = c->tail };
        r = worker_erase(d->worker, c->path, &copy, c->mtime_unix_sec, erased);
        if (r < 0)
                docking_trouble(d, r, "the worker cannot be called");
}

static void eraser_opened(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        erase_next(d);
}

static void start_eraser(Docking *d) {
        if (d->handed_out) {
                docking_drop_licenses(d);
                return end_round(d);
        }
        if (docking_spawn(d, eraser_opened) >= 0)
                d->worker_erases = true;
}

static void reader_closed(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        (void) result;
        (void) text;
        d->worker = worker_free(d->worker);
        start_eraser(d);
}

/* All of the round's confirmations and commits are in. */
static void round_goes_on(Docking *d) {
        if (d->erase_waits > 0)
                return;
        if (d->handed_out)
                docking_drop_licenses(d);
        if (!next_licensed(d)) {
                /* The store or the database does not answer now: not at once again. */
                d->erase_not_before_usec = clock_boottime_usec() + ASK_AGAIN_USEC;
                return end_round(d);
        }
        if (!d->worker)
                return start_eraser(d);
        if (worker_close(d->worker, reader_closed) < 0)
                reader_closed(d, WORKER_DIED, NULL);
}

void docking_erase(Docking *d) {
        unsigned asked = 0;

        d->busy = true;
        /* Counts as one wait itself, so that an answer that comes at once does not end the round before it was begun. */
        d->erase_waits = 1;
        for (size_t i = 0; i < d->n_clips && asked < CLIPS_A_ROUND; i++)
                if (clip_need(d->clips[i]) == CLIP_NEED_ERASE && d->clips[i]->pending == 0) {
                        if (has_receipt(d->clips[i]))
                                (void) docking_confirm_receipt(d, d->clips[i], confirmed);
                        else {
                                /* By an order that names it as not stored: there is nothing to confirm. */
                                d->clips[i]->leaving_unstored = true;
                                d->erase_waits++;
                                ask_gate(d, d->clips[i]);
                        }
                        asked++;
                }
        d->erase_waits--;
        round_goes_on(d);
}
