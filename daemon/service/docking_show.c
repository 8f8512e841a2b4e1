/* SPDX-License-Identifier: Apache-2.0 */

/* What a bay shows of its docking: the state, and in one sentence why, and what to do. */

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

/* A clip that only a person can decide about keeps its camera from being issued. */
static const Clip *clip_for_a_person(const Docking *d) {
        for (size_t i = 0; i < d->n_clips; i++)
                if (clip_need(d->clips[i]) == CLIP_NEED_PERSON)
                        return d->clips[i];
        return NULL;
}

static const Clip *clip_that_rests(const Docking *d) {
        uint64_t now = clock_boottime_usec();

        for (size_t i = 0; i < d->n_clips; i++)
                if (docking_clip_rests(d->clips[i], now))
                        return d->clips[i];
        return NULL;
}

/* What whoever stands before the rack can do about it. */
static const char *next_step(const Clip *c) {
        if (c->state == CLIP_CONFLICT)
                return "; put the camera aside: 'berthctl log' tells what disagrees";
        if (c->unreadable == 0)
                return "";
        return c->salvaged ? "; what can be read is kept as a partial copy; putting it in again tries again, else its medium is for a "
                             "specialist"
                           : "; putting it in again tries again, else its medium is for a specialist";
}

static bool is_done(const BayDecision *decision) {
        return decision->state == BAY_READY || decision->state == BAY_SETTLED;
}

static char *held_text(const Clip *c) {
        if (c->held && hold_replay_waits(c->manager->hold_replay))
                return text_format("do not issue: clip %s stays on the camera until the store was asked what is held, since the dock's "
                                   "database was put back from a backup", c->path);
        if (c->held)
                return text_format("do not issue: clip %s is held%s%s and stays on the camera; 'berthctl hold release' ends that", c->path,
                                   c->held_for && *c->held_for ? " for case " : "", c->held_for ?: "");
        return text_format("do not issue: clip %s stays on the camera: %s%s", c->path,
                           c->reason ?: "its receipt is weaker than [policy] accept asks for", next_step(c));
}

/* Whether something speaks against issuing the camera that no further step takes away; the caller frees what. */
static bool is_kept_back(Docking *d, const BayDecision *decision, const BayFacts *facts, char **ret_text) {
        const Clip *held = clip_for_a_person(d);

        if (decision->state == BAY_SETTLED && facts->held > 0 && facts->awaiting_store == 0) {
                *ret_text = text_format("do not issue: whose footage this is, only the port says, so its clips stay on the camera; when it "
                                        "is certain that this is camera %s: berthctl camera confirm %s", camera_serial(d->camera),
                                        camera_serial(d->camera));
                return true;
        }
        if (decision->state == BAY_PULLING && d->spool_short) {
                *ret_text = strdup("do not issue: the spool is full, and footage is on this camera alone; pulling goes on by itself when "
                                   "space returns: 'berthctl status' says whether the store takes footage");
                return true;
        }
        if (is_done(decision) && held) {
                *ret_text = held_text(held);
                return true;
        }
        /* Nothing is left to do: what was found out meanwhile counts. It is judged once, before anybody is told that it is ready. */
        if (decision->state == BAY_READY && d->camera && !d->judged_done) {
                d->judged_done = true;
                docking_judge(d);
        }
        if (is_done(decision) && d->camera && *camera_held_back(d->camera)) {
                d->kept = decision->state == BAY_READY;
                *ret_text = text_format("do not issue: %s", camera_held_back(d->camera));
                return true;
        }
        return false;
}

static char *settled_text(const Docking *d) {
        const char *why = NULL, *state = uplink_state(d->manager->uplink, &why);

        if (d->manager->uploads.paused)
                return strdup("the footage is safe on the dock; uploads are paused");
        if (!text_equal(state, WIRE_STORE_READY))
                return text_format("the footage is safe on the dock and waits for the store: %s", why && *why ? why : state);
        return NULL;
}

/* What is said beside the state; NULL: nothing. The caller frees it. */
static char *state_text(const Docking *d, const BayDecision *decision) {
        const IssueRow *issue = d->camera ? camera_issue(d->camera) : NULL;
        const Clip *resting = decision->wake_at_usec > 0 ? clip_that_rests(d) : NULL;

        switch (decision->state) {
        case BAY_PULLING:
                return !resting ? NULL : text_format("clip %s is tried again: %s", resting->path,
                                                     resting->reason ?: "bytes of it cannot be read");
        case BAY_SETTLED:
                return settled_text(d);
        case BAY_READY:
                return !issue ? NULL : text_format("checked out for %s: take it",
                                                   issue->officer_name[0] ? issue->officer_name : issue->officer_id);
        case BAY_UPDATING:
                return docking_flash_text(d);
        case BAY_EJECTED:
                return docking_handed_out_text(d);
        case BAY_FAULT:
        case BAY_QUARANTINED:
        case BAY_REFUSED:
                return d->reason ? strdup(d->reason) : NULL;
        default:
                return NULL;
        }
}

void docking_show(Docking *d, const BayDecision *decision, const BayFacts *facts) {
        _cleanup_(freep) char *text = NULL;

        d->kept = false;
        /* Whoever ordered it out was told what there is on it. */
        if (!d->handed_out && is_kept_back(d, decision, facts, &text)) {
                bay_set_state(d->bay, BAY_QUARANTINED, text);
                return;
        }
        text = state_text(d, decision);
        bay_set_state(d->bay, decision->state, text);
        if (decision->state == BAY_EJECTED)
                docking_handed_out(d, text);
}
