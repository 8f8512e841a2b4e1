/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clips that go to the store while they are pulled. All of them may: mostly they wait for their cameras, and the uplink sends of
 * them only in the places that whole clips leave over. Only when the store has asked for less does each count as an upload. The
 * uplink gets the part as it grows, and is told how many of its bytes are durable, which the block facts say: a resume begins behind
 * them, so they stay as they are. When the copy is on record it is told the digest, and from there on it is an upload like any
 * other (upload.c). A pull that ends early ends the upload, which goes on with the pull.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <berth/plugin.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/wire_bay.h"
#include "core/backoff.h"
#include "service/docking.h"
#include "service/manager_private.h"

#define BACKOFF_MIN_USEC (2 * USEC_PER_SEC)
#define BACKOFF_MAX_USEC (300 * USEC_PER_SEC)
/* What is gone on with is read again from the spool first: not for each place that is free for a moment. */
#define REST_USEC (5 * USEC_PER_SEC)

/* ---- Which ones ---------------------------------------------------------------------------------------------------- */

/* Worth it is what has more than a block: a smaller clip is there before its upload would have begun. */
static bool may_grow(const Clip *c) {
        return c->grow.pulling && !c->grow.under_way && !c->uploading && !c->grow.whole_only &&
               (c->flags & BERTH_CLIP_SIZE_UNKNOWN) == 0 && c->grow.durable_bytes >= WIRE_BLOCK_SIZE;
}

/* The clip that is being pulled in a bay, or NULL. */
static Clip *pulled_in(const Bay *b) {
        const Docking *d = bay_docking(b);

        return d ? d->current : NULL;
}

static Clip *choose(Manager *m, uint64_t now, uint64_t *ret_wake) {
        int64_t now_unix_sec = clock_wall_usec() / (int64_t) USEC_PER_SEC;
        UploadFacts best, facts;
        Clip *next = NULL;

        for (Bay *b = m->bays; b; b = bay_next_in_order(b)) {
                Clip *c = pulled_in(b);

                if (!c || !may_grow(c))
                        continue;
                if (c->grow.retry_at_usec > now) {
                        *ret_wake = MIN2(*ret_wake, c->grow.retry_at_usec);
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

/* The one that would be begun last, of those that go on. */
static Clip *choose_to_stop(Manager *m) {
        int64_t now_unix_sec = clock_wall_usec() / (int64_t) USEC_PER_SEC;
        UploadFacts worst, facts;
        Clip *last = NULL;

        for (Bay *b = m->bays; b; b = bay_next_in_order(b)) {
                Clip *c = pulled_in(b);

                if (!c || !c->grow.under_way || c->grow.stopping)
                        continue;
                upload_facts(c, now_unix_sec, &facts);
                if (!last || upload_compare(&facts, &worst) > 0) {
                        last = c;
                        worst = facts;
                }
        }
        return last;
}

/* ---- Beginning and stopping ---------------------------------------------------------------------------------------- */

static void rest(Clip *c, uint64_t usec) {
        c->grow.retry_at_usec = clock_boottime_usec() + usec;
}

static void note_end(Clip *c, const UplinkAnswer *answer) {
        LogAbout about = { .camera = c->serial, .clip = c->path };

        switch (answer->result) {
        case UPLINK_WHOLE:
                c->grow.whole_only = true;
                break;
        case UPLINK_STOPPED:
                rest(c, REST_USEC);
                break;
        case UPLINK_BUSY:
                upload_queue_slow_down(c->manager, answer);
                break;
        case UPLINK_UNAVAILABLE:
        case UPLINK_FULL:
                rest(c, backoff_usec(++c->grow.failures, BACKOFF_MIN_USEC, BACKOFF_MAX_USEC));
                break;
        default:
                log_warning(&about, "It is not uploaded while it is pulled, but when its copy is whole: %s", answer->text);
                c->grow.whole_only = true;
                break;
        }
}

static void answered(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Manager *m = userdata;
        Clip *c = cookie;

        if (!c->grow.under_way)
                return upload_answered(userdata, cookie, answer);
        m->uploads.growing--;
        m->uploads.stopping -= c->grow.stopping;
        c->grow.under_way = c->grow.stopping = c->grow.outlived = false;
        c->stored_bytes = 0;
        upload_going(c, false);
        note_end(c, answer);
        /* Its copy came to be whole meanwhile. */
        if (c->state == CLIP_COPIED)
                upload_enqueue(c);
        clip_release(c);
        upload_pump(m);
}

static int begin(Clip *c) {
        _cleanup_(fd_closep) int fd = spool_open_part(c->docking->incoming_fd, c->id);
        const UplinkPut put = {
                .clip_id = c->id,
                .fd = fd,
                .serial = c->serial,
                .path = c->path,
                .docked_unix_sec = c->seen_unix_sec,
                .mtime_unix_sec = c->mtime_unix_sec,
                .size_bytes = c->size_bytes,
        };
        int r;

        if (fd < 0)
                return fd;
        r = uplink_grow(c->manager->uplink, &put, c->grow.durable_bytes, c->grow.afresh, answered, c);
        if (r < 0)
                return r;
        c->grow.under_way = true;
        c->grow.afresh_told = c->grow.afresh;
        c->manager->uploads.growing++;
        upload_going(c, true);
        return 0;
}

static void stop(Clip *c, bool now) {
        /* Told to stop soon, it may still be told to stop at once. */
        if (!c->grow.under_way || (c->grow.stopping && !now))
                return;
        if (!c->grow.stopping)
                c->manager->uploads.stopping++;
        c->grow.stopping = true;
        uplink_stop(c->manager->uplink, c, now);
}

void upload_grow_pump(Manager *m, unsigned allowed, bool others_wait, uint64_t now, uint64_t *ret_wake) {
        UploadQueue *q = &m->uploads;
        bool counted = q->pace.limit < q->pace.most;

        while (allowed > 0 && (!counted || (!others_wait && q->under_way + q->growing < allowed))) {
                Clip *c = choose(m, now, ret_wake);
                int r;

                if (!c)
                        break;
                r = begin(c);
                if (r >= 0)
                        continue;
                log_warning(&(LogAbout){ .camera = c->serial, .clip = c->path },
                            "It cannot be uploaded while it is pulled, but when its copy is whole: %s", strerror(-r));
                c->grow.whole_only = true;
        }
        /* Whole clips do not wait for them: they give way as soon as their part is through. */
        while (counted && q->under_way + q->growing - q->stopping > allowed) {
                Clip *c = choose_to_stop(m);

                if (!c)
                        break;
                stop(c, false);
        }
}

/* ---- What happens to the pull -------------------------------------------------------------------------------------- */

void upload_pull_begun(Clip *c, uint64_t offset_bytes) {
        c->grow.pulling = true;
        c->grow.turn++;
        c->grow.durable_bytes = offset_bytes;
        /* Nothing was kept of an earlier pull, if there was any. */
        if (offset_bytes == 0)
                c->grow.afresh = true;
        upload_pump(c->manager);
}

typedef struct Block {
        Manager *manager;
        uint64_t clip_id, turn, offset_bytes, length_bytes;
} Block;

static void block_recorded(int result, void *userdata) {
        _cleanup_(freep) Block *b = userdata;
        Clip *c = manager_clip(b->manager, b->clip_id);

        /* Of the pull that is under way, and with all before it. The last one is read again by a resume, so it may still change. */
        if (result < 0 || !c || !c->grow.pulling || c->grow.turn != b->turn || c->grow.durable_bytes != b->offset_bytes ||
            b->offset_bytes + b->length_bytes >= c->size_bytes)
                return;
        c->grow.durable_bytes += b->length_bytes;
        if (c->grow.under_way && !c->grow.outlived)
                uplink_grown(b->manager->uplink, c, c->grow.durable_bytes);
        else if (may_grow(c))
                upload_pump(b->manager);
}

int upload_put_block(Clip *c, const Fact *fact) {
        Block *b = malloc(sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        *b = (Block){
                .manager = c->manager,
                .clip_id = c->id,
                .turn = c->grow.turn,
                .offset_bytes = fact->block.number * WIRE_BLOCK_SIZE,
                .length_bytes = fact->block.length,
        };
        r = store_put(c->manager->store, fact, block_recorded, b);
        if (r < 0)
                free(b);
        return r;
}

static void end_pull(Clip *c) {
        c->grow.pulling = false;
        c->grow.durable_bytes = 0;
        c->grow.turn++;
}

void upload_pull_ended(Clip *c) {
        if (!c || !c->grow.pulling)
                return;
        end_pull(c);
        c->grow.outlived = c->grow.under_way;
        stop(c, false);
}

void upload_pull_begins_afresh(Clip *c) {
        end_pull(c);
        c->grow.outlived = c->grow.under_way;
        c->grow.afresh = true;
        c->grow.afresh_told = false;
        stop(c, true);
}

void upload_pull_sealing(Clip *c) {
        end_pull(c);
}

void upload_seal_failed(Clip *c) {
        stop(c, true);
}

void upload_copied(Clip *c) {
        _cleanup_(freep) char *facts = NULL;
        UploadQueue *q = &c->manager->uploads;

        if (!c->grow.under_way)
                return upload_enqueue(c);
        /* It is gone on with in its turn, when it has ended. */
        if (c->grow.outlived || q->paused)
                return stop(c, true);
        if (upload_manifest_facts(c, &facts) < 0 ||
            uplink_seal(c->manager->uplink, c, c->size_bytes, &c->digest, facts) < 0)
                return stop(c, true);
        q->growing--;
        q->stopping -= c->grow.stopping;
        c->grow.under_way = c->grow.stopping = false;
        upload_queue_begun(c);
        clip_set_state(c, CLIP_UPLOADING, NULL);
}

void upload_grow_progress(Clip *c, uint64_t bytes) {
        /* What was there before is gone, now that something of this one is. */
        if (bytes > 0 && c->grow.afresh_told)
                c->grow.afresh = c->grow.afresh_told = false;
}
