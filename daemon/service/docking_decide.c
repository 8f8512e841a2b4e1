/* SPDX-License-Identifier: Apache-2.0 */

/* What a docking does next: the facts for core/bay.c, and the step that comes of them. */

#include "base/clock.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"
#include "service/timer.h"

static void note_earliest(uint64_t *at_usec, uint64_t candidate_usec) {
        if (*at_usec == 0 || candidate_usec < *at_usec)
                *at_usec = candidate_usec;
}

/* To be read now, or once it has rested. */
static void count_reading(const Clip *c, uint64_t now, BayFacts *f, size_t *count) {
        if (docking_clip_rests(c, now))
                note_earliest(&f->reread_at_usec, c->reread_at_usec);
        else
                (*count)++;
}

static void count_clip(const Docking *d, const Clip *c, uint64_t now, BayFacts *f) {
        if (c->pending > 0 && c->state == CLIP_COPYING) {
                f->being_settled++;
                return;
        }
        if (clip_policy_at(c, now) > 0)
                note_earliest(&f->policy_at_usec, clip_policy_at(c, now));
        switch (clip_need(c)) {
        case CLIP_NEED_PULL:
                count_reading(c, now, f, &f->to_pull);
                break;
        case CLIP_NEED_VERIFY:
                count_reading(c, now, f, &f->to_verify);
                break;
        case CLIP_NEED_SALVAGE:
                f->to_salvage++;
                break;
        case CLIP_NEED_RECEIPT:
                f->awaiting_store++;
                break;
        case CLIP_NEED_ERASE:
                if (docking_is_by_port(d))
                        f->held++;
                else if (d->erase_not_before_usec > now)
                        f->erase_retry_at_usec = d->erase_not_before_usec;
                else
                        f->erasable++;
                break;
        default:
                break;
        }
}

void docking_facts(const Docking *d, uint64_t now, BayFacts *ret) {
        const char *store_state = uplink_state(d->manager->uplink, NULL);
        BayFacts f = {
                .occupied = true,
                .refused = d->refused,
                .quarantined = d->quarantined,
                .faults = d->faults,
                .retry_at_usec = d->retry_at_usec,
                .identified = d->identified,
                .checked = d->checked,
                .listed = d->listed,
                .spool_full = d->spool_waits,
                .store_waiting = !text_equal(store_state, WIRE_STORE_READY),
                .worker_busy = d->busy || !d->recorded,
                .in_session = d->worker != NULL,
                .handed_out = d->handed_out,
                .switches = d->model && d->model->returns_as.n > 0,
                .behind = d->behind,
                .emptied = d->emptied,
                .ejected = d->ejected,
                .port_power = d->port_power,
                .away = d->away,
                .back_by_usec = d->back_by_usec,
                .lost = d->lost,
                .cycled = d->cycled,
                .resting = d->resting,
                .waking = d->waking,
                .updating = d->updating,
        };

        for (size_t i = 0; i < d->n_clips; i++)
                count_clip(d, d->clips[i], now, &f);
        f.formats = f.erasable > 0 && f.erase_retry_at_usec == 0 && docking_formats(d);
        *ret = f;
}

static void close_done(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        if (result != WORKER_OK) {
                LogAbout about = docking_about(d);

                /* Everything that was read is committed: a camera that leaves badly loses nothing. */
                log_debug(&about, "The camera did not let go cleanly: %s", text);
        }
        d->worker = worker_free(d->worker);
        docking_step_done(d);
}

static void docking_close(Docking *d) {
        if (!d->worker)
                return;
        d->busy = true;
        if (worker_close(d->worker, close_done) < 0)
                close_done(d, WORKER_DIED, "it could not be asked");
}

static bool step_reads(BayStep step) {
        return step == BAY_STEP_CHECK || step == BAY_STEP_LIST || step == BAY_STEP_PULL || step == BAY_STEP_VERIFY ||
               step == BAY_STEP_SALVAGE || step == BAY_STEP_SWITCH;
}

/* Whether its port may be switched is for charging to know when it changes, and not at each step. */
static void tell_charging(Docking *d) {
        bool idle = docking_may_rest(d);

        if (idle != d->idle)
                charging_kick(d->manager->charging);
        d->idle = idle;
}

static void take_step(Docking *d, BayStep step) {
        switch (step) {
        case BAY_STEP_IDENTIFY:
                docking_identify(d);
                break;
        case BAY_STEP_CHECK:
                docking_check(d);
                break;
        case BAY_STEP_LIST:
                docking_list(d);
                break;
        case BAY_STEP_PULL:
                docking_pull(d);
                break;
        case BAY_STEP_VERIFY:
                docking_verify(d);
                break;
        case BAY_STEP_SALVAGE:
                docking_salvage(d);
                break;
        case BAY_STEP_CLOSE:
                docking_close(d);
                break;
        case BAY_STEP_ERASE:
                docking_erase(d);
                break;
        case BAY_STEP_FORMAT:
                docking_format(d);
                break;
        case BAY_STEP_SWITCH:
                docking_switch(d);
                break;
        case BAY_STEP_LOST:
                docking_lost(d); /* it may be gone */
                break;
        case BAY_STEP_EJECT:
                docking_eject(d);
                break;
        case BAY_STEP_CYCLE:
                docking_cycle(d);
                break;
        default:
                break;
        }
}

static int on_decide(sd_event_source *source, void *userdata) {
        Docking *d = userdata;
        uint64_t now = clock_boottime_usec();
        BayDecision decision;
        BayFacts facts;

        (void) source;
        if (!d->recorded && !d->recording && d->retry_at_usec <= now)
                docking_record(d);
        docking_order_begin(d);
        docking_facts(d, now, &facts);
        decision = bay_next(&facts, now);
        if (decision.state != BAY_FAULT || d->departs_until_usec <= now)
                docking_record_fault(d);
        else if (d->departing)
                decision.wake_at_usec = MIN2(decision.wake_at_usec, d->departs_until_usec);
        if (decision.state != BAY_FAULT)
                d->retry_at_usec = 0;
        docking_show(d, &decision, &facts);
        if (decision.wake_at_usec > 0) {
                (void) timer_at(d->wake, decision.wake_at_usec);
        }
        if (step_reads(decision.step) && (!d->worker || d->worker_erases)) {
                /* The reader was let go and something is to be read after all: a session begins anew. */
                docking_forget_session(d);
                docking_kick(d);
                return 0;
        }
        tell_charging(d);
        take_step(d, decision.step);
        return 0;
}

void docking_kick(Docking *d) {
        if (d)
                (void) sd_event_source_set_enabled(d->decide, SD_EVENT_ONESHOT);
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        docking_kick(userdata);
        return 0;
}

void docking_step_done(Docking *d) {
        upload_pull_ended(d->current);
        d->busy = false;
        d->current = NULL;
        docking_kick(d);
}

int docking_decides(Docking *d) {
        sd_event *event = d->manager->event;
        int r;

        r = sd_event_add_defer(event, &d->decide, on_decide, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->decide, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &d->wake, CLOCK_BOOTTIME, 0, USEC_PER_MSEC * 20, on_wake, d);
        return r < 0 ? r : sd_event_source_set_enabled(d->wake, SD_EVENT_OFF);
}
