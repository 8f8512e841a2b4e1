/* SPDX-License-Identifier: Apache-2.0 */

/* What goes wrong in a docking: faults of the camera and of the dock, and what a person must look at. */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/backoff.h"
#include "service/docking.h"
#include "service/manager_private.h"

#define DEPARTS_WITHIN_USEC USEC_PER_SEC /* a hub tells of a removal within a quarter of one */

void docking_record_fault(Docking *d) {
        Fact fact = docking_fact(d, FACT_FAULT, NULL);
        char *text = TAKE_PTR(d->departing);

        if (!text)
                return;
        fact.clip_id = d->departing_clip_id;
        fact.text = text;
        (void) docking_commit_fact(d, &fact, NULL, NULL);
        d->manager->figures.faults++;
        free(text);
}

void docking_set_reason(Docking *d, char *text) {
        free(d->reason);
        d->reason = text;
}

void docking_forget_session(Docking *d) {
        /* What is to be done when the camera has its power again was not begun with it. */
        if (!d->resting || !docking_is_ordered(d) || d->order.begun)
                docking_order_abort(d, -EREMOTEIO, d->reason ? d->reason : "the camera's session ended");
        docking_flash_interrupted(d, d->reason ? d->reason : "the camera's session ended");
        docking_salvage_abort(d, "the camera's session ended");
        upload_pull_ended(d->current);
        d->worker = worker_free(d->worker);
        d->identified = d->checked = d->listed = d->busy = d->sending = false;
        d->current = NULL;
        d->judged_done = false;
        d->erase_waits = 0;
        for (size_t i = 0; i < d->n_clips; i++) {
                d->clips[i]->erase_licensed = false;
                docking_left_unstored(d->clips[i]);
        }
}

static void back_off(Docking *d) {
        const Settings *s = d->manager->settings;

        d->faults++;
        d->faults_in_row++;
        d->retry_at_usec = clock_boottime_usec() + backoff_usec(d->faults_in_row, s->backoff_min_usec, s->backoff_max_usec);
}

/* How far the pull came is a fact of its own: the next one goes on from there. */
void docking_record_interruption(Docking *d, const char *text) {
        Fact fact;

        if (!d->current || d->current->state != CLIP_COPYING || d->verifying)
                return;
        fact = docking_fact(d, FACT_PULL_INTERRUPTED, d->current);
        fact.text = text;
        fact.pull.offset_bytes = clip_kept_blocks(d->current) * WIRE_BLOCK_SIZE;
        (void) docking_commit_fact(d, &fact, d->current, NULL);
}

/*
 * Whoever takes a camera out in the middle of a transfer is seen first by the transfer, which breaks, and a moment later by the hub. That
 * is an early undocking and no fault of the camera's: it goes on record as one only when the camera still is there after that moment.
 */
static void note_fault(Docking *d, bool may_depart) {
        d->departing = strdup(d->reason ?: "out of memory");
        d->departing_clip_id = d->current ? d->current->id : 0;
        d->departing_from = bay_state(d->bay);
        d->departs_until_usec = clock_boottime_usec() + DEPARTS_WITHIN_USEC;
        if (!may_depart)
                docking_record_fault(d);
}

void docking_fault(Docking *d, WorkerResult why, const char *text) {
        LogAbout about = docking_about(d);
        bool may_depart = why == WORKER_UNPLUGGED || (why == WORKER_CAMERA && d->worker);
        char *reason;

        docking_record_fault(d); /* the one before it */
        if (why == WORKER_UNPLUGGED) {
                /* The removal is on its way; until it is here, look again soon. */
                reason = text_format("the camera does not answer any more: %s", text);
        } else
                reason = text_format("%s: %s", worker_result_to_string(why), text);
        docking_record_interruption(d, text);
        if (d->current && why != WORKER_UNPLUGGED) {
                d->current->failures++;
                /* It is a person's from now on, who wants to know why. */
                if (d->current->failures >= CLIP_FAILURES_MAX)
                        clip_set_state(d->current, d->current->state, text);
        }
        docking_set_reason(d, reason);
        note_fault(d, may_depart);
        docking_forget_session(d);
        back_off(d);
        log_warning(&about, "Fault %u in this docking: %s; trying again in %" PRIu64 " s", d->faults, d->reason ?: text,
                    (d->retry_at_usec - clock_boottime_usec()) / USEC_PER_SEC);
        docking_kick(d);
}

void docking_trouble(Docking *d, int error, const char *what) {
        docking_set_reason(d, error == 0 ? text_format("%s", what) : text_format("%s: %s", what, strerror(error < 0 ? -error : error)));
        docking_forget_session(d);
        back_off(d);
        d->manager->figures.faults++;
        docking_kick(d);
}

void docking_quarantine(Docking *d, const char *format, ...) {
        Fact fact = docking_fact(d, FACT_QUARANTINED, NULL);
        char *reason = NULL;
        va_list ap;

        va_start(ap, format);
        reason = text_vformat(format, ap);
        va_end(ap);
        docking_set_reason(d, reason);
        fact.text = reason;
        (void) docking_commit_fact(d, &fact, NULL, NULL);
        d->quarantined = true;
        docking_forget_session(d);
        docking_kick(d);
}
