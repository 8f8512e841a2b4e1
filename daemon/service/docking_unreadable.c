/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bad sectors: a clip of which the camera's medium does not give some bytes. The camera is well otherwise, so its bay goes on
 * with the other clips; this one rests, longer each time, is tried a few times more, and then waits for a person. What
 * was read before the bad place is durable and stays. Copying around the hole would begin here: the ranges are on record.
 */

#include <inttypes.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/backoff.h"
#include "service/docking.h"
#include "service/manager_private.h"

bool docking_clip_rests(const Clip *c, uint64_t now) {
        return c->reread_at_usec > now;
}

static void record(Docking *d, Clip *c, const char *reason) {
        Fact fact = docking_fact(d, FACT_PULL_UNREADABLE, c);

        fact.text = reason;
        fact.unreadable.offset_bytes = c->state == CLIP_COPYING ? clip_kept_blocks(c) * WIRE_BLOCK_SIZE : 0;
        fact.unreadable.attempt = c->unreadable;
        fact.unreadable.ranges = worker_unreadable(d->worker, &fact.unreadable.n_ranges);
        (void) docking_commit_fact(d, &fact, c, NULL);
}

void docking_unreadable(Docking *d, Clip *c, const char *text) {
        const Settings *s = d->manager->settings;
        _cleanup_(freep) char *reason = NULL;
        LogAbout about = docking_about(d);

        c->unreadable++;
        d->unreadable++;
        reason = text_format("%s (attempt %u of %u in this docking)", text, c->unreadable, CLIP_UNREADABLE_MAX);
        record(d, c, reason ?: text);
        clip_set_state(c, c->state, reason ?: text);
        about.clip = c->path;
        about.message = MESSAGE_CLIP_UNREADABLE;
        c->reread_at_usec = 0;
        if (clip_need(c) == CLIP_NEED_PERSON)
                log_error(&about, "%s; the clip waits for somebody to decide", reason ?: text);
        else {
                uint64_t rest = backoff_usec(c->unreadable, s->backoff_min_usec, s->backoff_max_usec);

                c->reread_at_usec = clock_boottime_usec() + rest;
                log_warning(&about, "%s; trying again in %" PRIu64 " s", reason ?: text, rest / USEC_PER_SEC);
        }
        docking_step_done(d);
}
