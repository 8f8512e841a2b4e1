/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Room on the spool's disk. Spool copies whose clips the store holds are kept as long as there is room, for the site's time at
 * least, and go oldest receipt first when there is not (core/retention.c). Pulling pauses while free space is below the reserve
 * and goes on when space has come back.
 */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/outlook.h"
#include "service/docking.h"
#include "service/manager_private.h"
#include "service/timer.h"

#define LOOK_AGAIN_USEC (2 * USEC_PER_SEC)
/* … while nobody writes to the spool and nobody waits for it. */
#define LOOK_AT_REST_USEC (10 * USEC_PER_SEC)

/* ---- Making room --------------------------------------------------------------------------------------------------- */

#define RELEASED_AT_ONCE 16u
/* Some of the oldest may have to stay. */
#define LOOKED_AT_ONCE 256u

typedef struct Release {
        Manager *manager;
        uint64_t clip_id;
        char *spool_name;
} Release;

static Release *release_free(Release *r) {
        if (r)
                free(r->spool_name);
        free(r);
        return NULL;
}

static void removed(int result, void *userdata) {
        Release *r = userdata;
        Manager *m = r->manager;

        if (result < 0)
                log_error(NULL, "spool/%s cannot be removed: %s", r->spool_name, strerror(-result));
        release_free(r);
        if (--m->releasing == 0)
                room_start(m);
}

/* On record first: the file of a released clip is looked for by nobody, whether or not it is removed. */
static void release_recorded(int result, void *userdata) {
        Release *r = userdata;
        Manager *m = r->manager;
        Clip *c = manager_clip(m, r->clip_id);

        if (result >= 0 && c) {
                free(c->spool_name);
                c->spool_name = NULL;
        }
        /* When the daemon ends, the spool is closed by now; the next start removes it. */
        if (result >= 0)
                result = m->spool ? spool_remove(m->spool, r->spool_name, removed, r) : -ESHUTDOWN;
        if (result < 0) {
                release_free(r);
                m->releasing--;
        }
}

static int release(Manager *m, const ClipRow *row) {
        Release *r = calloc(1, sizeof(*r));
        Fact fact = { .kind = FACT_SPOOL_RELEASED, .clip_id = row->id, .camera_id = row->camera_id, .text = "room is needed" };
        int result;

        if (!r || !(r->spool_name = strdup(row->spool_name))) {
                release_free(r);
                return -ENOMEM;
        }
        r->manager = m;
        r->clip_id = row->id;
        manager_moment(m, &fact.at);
        result = store_put(m->store, &fact, release_recorded, r);
        if (result < 0)
                release_free(r);
        else
                m->releasing++;
        return result;
}

static bool may_go(Manager *m, const ClipRow *row, const ClockFacts *now) {
        const RetentionFacts facts = {
                .receipted = row->strength != NULL,
                .receipt_accepted = manager_accepts(m, row->strength),
                .held = row->held,
                .receipted_wall_usec = row->receipted_usec,
                .receipted_running_usec = row->receipted_running_usec,
                .keep_usec = m->settings->keep_usec,
        };

        return retention_of_copy(&facts, now) == RETENTION_MAY_GO;
}

/* Only what the store holds by a receipt that would license an erase: this copy may be the last one on the dock. */
static void make_room(Manager *m, uint64_t missing_bytes) {
        ClockFacts now;
        ClipRow **rows;
        size_t n;
        uint64_t sum = 0;

        if (m->releasing > 0 || m->stopping || manager_clock_facts(m, &now) < 0)
                return;
        if (store_clips_releasable(m->store, LOOKED_AT_ONCE, &rows, &n) < 0)
                return;
        for (size_t i = 0; i < n && sum < missing_bytes && m->releasing < RELEASED_AT_ONCE; i++)
                if (may_go(m, rows[i], &now) && release(m, rows[i]) >= 0)
                        sum += rows[i]->size_bytes;
        clip_rows_free(rows, n);
}

/* ---- How long will it last? ---------------------------------------------------------------------------------------- */

#define FLOW_SEC (24 * UINT64_C(3600))
#define FLOW_AGAIN_USEC (60 * USEC_PER_SEC)

/* Looked at now and then: it is for people, and reads a day's clips, within bounds: this is the loop that all wait for. */
static void look_ahead(Manager *m) {
        uint64_t now = clock_boottime_usec();
        int64_t wall_usec = clock_wall_usec();
        StoreFlow flow;
        int r;

        if (m->flow_at_usec != 0 && now - m->flow_at_usec < FLOW_AGAIN_USEC)
                return;
        m->flow_at_usec = now;
        r = store_flow(m->store, wall_usec - (int64_t) (FLOW_SEC * USEC_PER_SEC), wall_usec, &flow);
        m->spool_holds_sec = r < 0 ? OUTLOOK_UNKNOWN :
                                     outlook_sec(&(OutlookFacts){
                                             .free_bytes = spool_free_bytes(m->spool),
                                             .reserve_bytes = spool_reserve_bytes(m->spool),
                                             .releasable_bytes = flow.releasable_bytes,
                                             .inflow_bytes = flow.seen_bytes,
                                             .inflow_sec = (uint64_t) (wall_usec - flow.since_wall_usec) / USEC_PER_SEC,
                                     });
}

/* ---- Is there room? ------------------------------------------------------------------------------------------------ */

/* What the pulls under way will still write. */
static uint64_t promised_bytes(Manager *m) {
        uint64_t sum = 0;

        for (Bay *b = m->bays; b; b = bay_next_in_order(b)) {
                const Docking *d = bay_docking(b);

                if (d && d->current && d->current->state == CLIP_COPYING)
                        sum += d->current->size_bytes - MIN2(d->current_bytes, d->current->size_bytes);
        }
        return sum;
}

static void set_full(Manager *m, bool full) {
        char free_text[16], reserve_text[16];

        if (m->spool_full == full)
                return;
        m->spool_full = full;
        if (full)
                log_message(LOG_WARNING, MESSAGE_SPOOL_FULL,
                            "The spool is full (%s free, of which %s are kept in reserve); pulling pauses, the footage stays on the "
                            "cameras",
                            text_bytes(spool_free_bytes(m->spool), free_text),
                            text_bytes(spool_reserve_bytes(m->spool), reserve_text));
        else
                log_message(LOG_INFO, MESSAGE_SPOOL_HAS_ROOM, "The spool has room again; pulling goes on");
        manager_tell(m);
}

bool manager_has_room(Manager *m, uint64_t bytes, bool priority) {
        uint64_t needed = spool_reserve_bytes(m->spool) + (priority ? 0 : m->settings->priority_reserve_bytes) + promised_bytes(m);

        if (spool_free_bytes(m->spool) >= needed && spool_free_bytes(m->spool) - needed >= bytes)
                return true;
        set_full(m, true);
        /* The bays ask again when that is done, or when the timer looks: asking at once would go on without end. */
        make_room(m, needed + bytes - spool_free_bytes(m->spool));
        return false;
}

static void looked(int result, void *userdata) {
        Manager *m = userdata;
        bool waits = false;

        m->looking = false;
        if (result < 0)
                log_warning(NULL, "The spool's free space cannot be asked for");
        else
                look_ahead(m);
        import_kick(m);
        /* Each bay asks again for the clip that it wants; a smaller clip may fit where a larger one does not. */
        for (Bay *b = m->bays; b; b = bay_next_in_order(b)) {
                Docking *d = bay_docking(b);

                if (!d || !d->spool_waits)
                        continue;
                waits = true;
                if (spool_free_bytes(m->spool) > spool_reserve_bytes(m->spool)) {
                        d->spool_waits = false;
                        docking_kick(d);
                }
        }
        if (spool_free_bytes(m->spool) > spool_reserve_bytes(m->spool) && !waits)
                set_full(m, false);
        manager_tell(m);
}

void room_start(Manager *m) {
        if (m->looking || m->stopping)
                return;
        m->looking = true;
        spool_look(m->spool, looked, m);
}

static bool at_rest(const Manager *m) {
        if (m->import || m->spool_full || m->releasing > 0)
                return false;
        for (Bay *b = m->bays; b; b = bay_next_in_order(b)) {
                const Docking *d = bay_docking(b);

                if (d && (d->worker || d->spool_waits))
                        return false;
        }
        return true;
}

void room_wake(Manager *m) {
        uint64_t next, soon = clock_boottime_usec() + LOOK_AGAIN_USEC;

        if (m->spool_timer && sd_event_source_get_time(m->spool_timer, &next) >= 0 && next > soon)
                (void) sd_event_source_set_time(m->spool_timer, 0);
}

int room_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        (void) usec;
        age_watch_clock(m);
        if (at_rest(m))
                store_tidy(m->store);
        room_start(m);
        return timer_in(source, at_rest(m) ? LOOK_AT_REST_USEC : LOOK_AGAIN_USEC);
}
