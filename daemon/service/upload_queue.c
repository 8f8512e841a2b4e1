/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The clips that wait for the store, and how many go at once. The queue is derived from the facts: it is filled from the
 * database at the start. The order and the pace are decided in core/upload.c.
 */

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/backoff.h"
#include "service/docking.h"
#include "service/manager_private.h"
#include "service/timer.h"

#define BACKOFF_MIN_USEC (1 * USEC_PER_SEC)
#define BACKOFF_MAX_USEC (300 * USEC_PER_SEC)

void upload_queue_init(UploadQueue *q, unsigned most) {
        *q = (UploadQueue){ 0 };
        upload_pace_init(&q->pace, most);
}

void upload_queue_done(UploadQueue *q) {
        free(q->cameras);
        *q = (UploadQueue){ 0 };
}

/* ---- Fairness ------------------------------------------------------------------------------------------------------ */

/* Cameras of which anything was uploaded in this run: a dock has some dozens. NULL when there is no memory for one more. */
static UploadCamera *camera_of(UploadQueue *q, uint64_t id) {
        UploadCamera *larger;

        for (size_t i = 0; i < q->n_cameras; i++)
                if (q->cameras[i].id == id)
                        return &q->cameras[i];
        larger = reallocarray(q->cameras, q->n_cameras + 1, sizeof(*larger));
        if (!larger)
                return NULL;
        q->cameras = larger;
        larger[q->n_cameras] = (UploadCamera){ .id = id };
        return &larger[q->n_cameras++];
}

void upload_facts(Clip *c, int64_t now_unix_sec, UploadFacts *ret) {
        UploadQueue *q = &c->manager->uploads;
        const UploadCamera *camera = camera_of(q, c->camera_id);
        uint64_t within_sec = c->manager->settings->store_within_usec / USEC_PER_SEC;

        *ret = (UploadFacts){
                .clip_id = c->id,
                .urgent = c->urgent,
                .priority = (c->flags & CLIP_FLAG_PRIORITY) != 0,
                .companion = (c->flags & CLIP_FLAG_COMPANION) != 0,
                .overdue = now_unix_sec > c->seen_unix_sec && (uint64_t) (now_unix_sec - c->seen_unix_sec) > within_sec,
                .owner_waits = c->docking != NULL,
                .since_unix_sec = c->seen_unix_sec,
                .camera_under_way = camera ? camera->under_way : 0,
                .camera_turn = camera ? camera->turn : 0,
        };
}

/* ---- The queue ----------------------------------------------------------------------------------------------------- */

static void append(Clip *c) {
        UploadQueue *q = &c->manager->uploads;

        c->queued = true;
        q->n_waiting++;
        c->prev_upload = q->last;
        c->next_upload = NULL;
        if (q->last)
                q->last->next_upload = c;
        else
                q->first = c;
        q->last = c;
        manager_tell_transfers(c->manager);
}

void upload_enqueue(Clip *c) {
        if (c->queued || c->uploading || c->vouch)
                return;
        append(c);
        upload_pump(c->manager);
}

void upload_forget(Clip *c) {
        UploadQueue *q = &c->manager->uploads;

        if (!c->queued)
                return;
        c->queued = false;
        q->n_waiting--;
        if (c->prev_upload)
                c->prev_upload->next_upload = c->next_upload;
        else
                q->first = c->next_upload;
        if (c->next_upload)
                c->next_upload->prev_upload = c->prev_upload;
        else
                q->last = c->prev_upload;
        c->next_upload = c->prev_upload = NULL;
        manager_tell_transfers(c->manager);
}

/* ---- What is on its way -------------------------------------------------------------------------------------------- */

static void link_going(Clip *c) {
        UploadQueue *q = &c->manager->uploads;

        c->going_since_usec = clock_wall_usec();
        c->prev_going = q->last_going;
        c->next_going = NULL;
        if (q->last_going)
                q->last_going->next_going = c;
        else
                q->first_going = c;
        q->last_going = c;
}

static void unlink_going(Clip *c) {
        UploadQueue *q = &c->manager->uploads;

        if (c->prev_going)
                c->prev_going->next_going = c->next_going;
        else
                q->first_going = c->next_going;
        if (c->next_going)
                c->next_going->prev_going = c->prev_going;
        else
                q->last_going = c->prev_going;
        c->next_going = c->prev_going = NULL;
}

void upload_going(Clip *c, bool goes) {
        if (c->going != goes) {
                c->going = goes;
                if (goes)
                        link_going(c);
                else
                        unlink_going(c);
        }
        manager_tell_transfers(c->manager);
}

void upload_queue_begun(Clip *c) {
        UploadQueue *q = &c->manager->uploads;
        UploadCamera *camera = camera_of(q, c->camera_id);

        c->uploading = true;
        q->under_way++;
        upload_going(c, true);
        if (camera) {
                camera->under_way++;
                camera->turn = ++q->turns;
        }
}

static uint64_t chance(void) {
        uint64_t n;

        /* Not a secret: without it docks would only come back at the same moment. */
        return getrandom(&n, sizeof(n), GRND_NONBLOCK) == (ssize_t) sizeof(n) ? n : clock_boottime_usec();
}

void upload_queue_ended(Clip *c, const UplinkAnswer *answer) {
        UploadQueue *q = &c->manager->uploads;
        UploadCamera *camera = camera_of(q, c->camera_id);

        c->uploading = false;
        c->stored_bytes = 0;
        q->under_way--;
        upload_going(c, false);
        if (camera && camera->under_way > 0)
                camera->under_way--;
        if (answer->result == UPLINK_OK)
                upload_pace_went_well(&q->pace);
        if (answer->result == UPLINK_BUSY)
                upload_queue_slow_down(c->manager, answer);
}

void upload_queue_slow_down(Manager *m, const UplinkAnswer *answer) {
        UploadQueue *q = &m->uploads;
        unsigned before = q->pace.limit;

        upload_pace_slow_down(&q->pace, answer->retry_after_usec, chance(), clock_boottime_usec());
        log_info(NULL, "The store asks for less (%s): %u uploads at once instead of %u, after a pause", answer->text, q->pace.limit,
                 before);
}

void upload_queue_retry_later(Clip *c) {
        uint64_t wait = backoff_usec(++c->upload_failures, BACKOFF_MIN_USEC, BACKOFF_MAX_USEC);

        c->retry_at_usec = clock_boottime_usec() + wait + chance() % (wait / 4 + 1);
        upload_enqueue(c);
}

void upload_queue_retry_now(Manager *m) {
        for (Clip *c = m->uploads.first; c; c = c->next_upload)
                c->retry_at_usec = 0;
}

/* ---- For people ---------------------------------------------------------------------------------------------------- */

static int compare_waiting(const void *a, const void *b) {
        int64_t now_unix_sec = clock_wall_usec() / (int64_t) USEC_PER_SEC;
        UploadFacts x, y;

        upload_facts(*(Clip *const *) a, now_unix_sec, &x);
        upload_facts(*(Clip *const *) b, now_unix_sec, &y);
        return upload_compare(&x, &y);
}

int manager_transfers(Manager *m, Clip ***ret, size_t *ret_n) {
        _cleanup_(freep) Clip **clips = NULL;
        size_t n = 0, most = m->uploads.under_way + m->uploads.growing + m->uploads.n_waiting, first_waiting;

        clips = calloc(most + 1, sizeof(*clips));
        if (!clips)
                return -ENOMEM;
        for (Clip *c = m->uploads.first_going; c && n < most; c = c->next_going)
                clips[n++] = c;
        first_waiting = n;
        for (Clip *c = m->uploads.first; c && n < most; c = c->next_upload)
                clips[n++] = c;
        if (n > first_waiting)
                qsort(clips + first_waiting, n - first_waiting, sizeof(*clips), compare_waiting);
        *ret = TAKE_PTR(clips);
        *ret_n = n;
        return 0;
}

/* ---- The pump ------------------------------------------------------------------------------------------------------ */

/* NULL when none may go now; *ret_wake is then lowered to when the first of them may. */
static Clip *next_upload(Manager *m, uint64_t now, uint64_t *ret_wake) {
        int64_t now_unix_sec = clock_wall_usec() / (int64_t) USEC_PER_SEC;
        UploadFacts best, facts;
        Clip *next = NULL;

        for (Clip *c = m->uploads.first; c; c = c->next_upload) {
                /* By order it leaves its camera before it is stored: the upload begins when that is over. */
                if (c->leaving_unstored)
                        continue;
                if (c->retry_at_usec > now) {
                        *ret_wake = MIN2(*ret_wake, c->retry_at_usec);
                        continue;
                }
                upload_facts(c, now_unix_sec, &facts);
                if (!next || upload_compare(&facts, &best) < 0) {
                        next = c;
                        best = facts;
                }
        }
        return next;
}

static void begin(Clip *c) {
        int r;

        upload_forget(c);
        r = upload_begin(c);
        if (r == 0)
                clip_set_state(c, CLIP_UPLOADING, NULL);
        else if (r == -ENOENT)
                upload_bad_copy(c, "the spool file is gone");
        else {
                log_warning(&(LogAbout){ .camera = c->serial, .clip = c->path }, "Its upload cannot be begun, and is tried again: %s",
                            strerror(-r));
                c->retry_at_usec = clock_boottime_usec() + backoff_usec(++c->upload_failures, BACKOFF_MIN_USEC, BACKOFF_MAX_USEC);
                append(c);
        }
}

void upload_pump(Manager *m) {
        UploadQueue *q = &m->uploads;
        uint64_t now = clock_boottime_usec(), wake = UINT64_MAX;
        bool others_wait;

        if (m->stopping || q->paused || !text_equal(uplink_state(m->uplink, NULL), WIRE_STORE_READY))
                return;
        for (;;) {
                Clip *c = next_upload(m, now, &wake);

                others_wait = c != NULL;
                if (!c || q->under_way >= upload_pace_allows(&q->pace, now))
                        break;
                begin(c);
        }
        upload_grow_pump(m, upload_pace_allows(&q->pace, now), others_wait, now, &wake);
        if (q->first && q->pace.not_before_usec > now)
                wake = q->pace.not_before_usec;
        if (wake != UINT64_MAX) {
                (void) timer_at(m->upload_timer, wake);
        }
}
