/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dock_status.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/statement.h"
#include "base/text.h"
#include "service/dock_cameras.h"
#include "service/manager_private.h"
#include "service/timer.h"

/* A status is small. */
#define PATH_SIZE_MAX 1024u

struct DockStatus {
        Manager *manager;
        sd_event_source *timer;
        bool sending;
        bool impossible; /* this store replaces nothing: it is not told, until there may be another one */
        bool told;       /* in the log, that it fails */
        uint64_t seq;
        char *notable; /* that was told last */
        char *telling;
        uint64_t told_at_usec;
};

/* ---- What is told -------------------------------------------------------------------------------------------------- */

static json_t *bays_of(Manager *m) {
        json_t *bays = json_array();

        for (Bay *b = manager_first_bay(m); b && bays; b = bay_next_in_order(b)) {
                const Camera *camera = bay_camera(b);

                (void) json_array_append_new(bays, json_pack("{s:i, s:s, s:s*}", "bay", (int) bay_number(b), "state",
                                                             bay_state_to_string(bay_state(b)), "camera",
                                                             camera ? camera_serial(camera) : NULL));
        }
        return bays;
}

/* What a change of is told at once. */
static json_t *notable(Manager *m) {
        const char *reason = "", *store_reason = "", *state, *store_state;
        uint64_t overdue = 0;

        state = manager_state(m, &reason);
        store_state = manager_store_state(m, &store_reason);
        (void) dock_cameras_overdue(m, &overdue);
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o}", "name", m->settings->name, "berth", BERTH_VERSION, "state", state,
                         "reason", reason, "store", store_state, "store_reason", store_reason, "overdue", (json_int_t) overdue, "bays",
                         bays_of(m));
}

static json_t *by_state(const uint64_t figures[static _CLIP_STATE_MAX]) {
        json_t *j = json_object();

        for (int i = 0; i < _CLIP_STATE_MAX; i++)
                (void) json_object_set_new(j, clip_state_to_string((ClipState) i), json_integer((json_int_t) figures[i]));
        return j;
}

/* What waits longest for the store; null when nothing does. */
static int oldest_unstored(const Manager *m, json_t **ret) {
        _cleanup_(clip_row_freep) ClipRow *clip = NULL;
        char seen[UTC_TEXT_SIZE];
        int r;

        r = store_oldest_unstored(m->store, &clip);
        if (r == -ENOENT) {
                *ret = json_null();
                return 0;
        }
        if (r < 0)
                return r;
        *ret = json_pack("{s:I, s:s, s:s*, s:s, s:I, s:s}", "clip_id", (json_int_t) clip->id, "camera", clip->serial, "path",
                         strlen(clip->path) <= PATH_SIZE_MAX ? clip->path : NULL, "state", clip_state_to_string(clip->state), "size",
                         (json_int_t) clip->size_bytes, "first_seen", utc_text(clip->seen_usec, seen));
        return *ret ? 0 : -ENOMEM;
}

static int add_figures(Manager *m, json_t *to) {
        json_t *spool, *oldest;
        StoreTotals totals = {};
        SpoolStatus status;
        char time[UTC_TEXT_SIZE];
        int r;

        r = store_totals(m->store, &totals);
        if (r >= 0 && (r = oldest_unstored(m, &oldest)) >= 0)
                r = json_object_set_new(to, "oldest_unstored", oldest);
        if (r >= 0)
                r = dock_cameras_add(m, to);
        if (r < 0)
                return r;
        manager_spool_status(m, &status);
        spool = json_pack("{s:s, s:I, s:I, s:I, s:I}", "state", status.state, "used_bytes", (json_int_t) status.used_bytes, "free_bytes",
                          (json_int_t) status.free_bytes, "unstored_clips", (json_int_t) status.unstored_clips, "unstored_bytes",
                          (json_int_t) status.unstored_bytes);
        r = json_object_set_new(to, "clips", by_state(totals.clips_by_state));
        r |= json_object_set_new(to, "bytes", by_state(totals.bytes_by_state));
        r |= json_object_set_new(to, "spool", spool);
        r |= json_object_set_new(to, "custody_events", json_integer((json_int_t) totals.events));
        r |= json_object_set_new(to, "time", json_string(utc_text(clock_wall_usec(), time)));
        return r < 0 ? -ENOMEM : 0;
}

int dock_status_report(Manager *m, DockReport **ret) {
        _cleanup_(json_decrefp) json_t *status = notable(m);
        int r;

        r = status ? add_figures(m, status) : -ENOMEM;
        return r < 0 ? r : dock_report_from_json(status, ret);
}

/* ---- Telling ------------------------------------------------------------------------------------------------------- */

static void on_replaced(void *userdata, void *cookie, const UplinkAnswer *answer) {
        DockStatus *d = cookie;

        (void) userdata;
        d->sending = false;
        if (answer->result == UPLINK_OK) {
                free(d->notable);
                d->notable = d->telling;
                d->told_at_usec = clock_boottime_usec();
                d->telling = NULL;
                d->told = false;
                return;
        }
        free(d->telling);
        d->telling = NULL;
        d->impossible = answer->result == UPLINK_INVALID;
        if (answer->result == UPLINK_CONFLICT)
                log_full(d->told ? LOG_DEBUG : LOG_ERR, &(LogAbout){ .message = MESSAGE_STATEMENT_REFUSED },
                         "The dock's status is not told to the store: %s", answer->text);
        else
                log_full(d->told ? LOG_DEBUG : LOG_NOTICE, NULL, "The dock's status is not told to the store: %s", answer->text);
        d->told = true;
}

static int tell(DockStatus *d, json_t *members) {
        _cleanup_(freep) char *key = text_format("%s/%s/status", WIRE_REPLACE_DOCKS, notary_dock_id(d->manager->notary));
        _cleanup_(freep) char *file = NULL;
        int r;

        r = key ? add_figures(d->manager, members) : -ENOMEM;
        if (r < 0)
                return r;
        /* Rising over restarts, too. */
        d->seq = MAX2(d->seq + 1, (uint64_t) MAX2(clock_wall_usec(), (int64_t) 0));
        r = notary_sign(d->manager->notary, STATEMENT_DOCK_STATUS, key, d->seq, json_incref(members), &file);
        if (r < 0)
                return r;
        r = uplink_replace(d->manager->uplink, key, file, on_replaced, d);
        d->sending = r >= 0;
        return r;
}

static void look(DockStatus *d) {
        const Manager *m = d->manager;
        json_t *members;
        char *text;
        int r = -ENOMEM;

        if (d->sending || d->impossible || m->stopping || !text_equal(manager_store_state(m, NULL), WIRE_STORE_READY))
                return;
        members = notable(d->manager);
        text = members ? json_dumps(members, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        if (text && text_equal(text, d->notable) && clock_boottime_usec() - d->told_at_usec < m->settings->status_usec)
                r = 0;
        else if (text) {
                free(d->telling);
                d->telling = TAKE_PTR(text);
                r = tell(d, members);
        }
        if (r < 0)
                log_debug(NULL, "The dock's status cannot be told: %s", strerror(-r));
        free(text);
        json_decref(members);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        DockStatus *d = userdata;

        (void) usec;
        look(d);
        return timer_in(source, MIN2(d->manager->settings->status_usec, DOCK_STATUS_LOOK_USEC));
}

void dock_status_store_ready(DockStatus *d) {
        if (d)
                d->impossible = false;
}

int dock_status_new(Manager *m, DockStatus **ret) {
        DockStatus *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        d->manager = m;
        if (m->settings->status_usec > 0) {
                r = sd_event_add_time(m->event, &d->timer, CLOCK_BOOTTIME, clock_boottime_usec() + USEC_PER_SEC, USEC_PER_SEC / 4,
                                      on_timer, d);
                if (r < 0) {
                        (void) dock_status_free(d);
                        return r;
                }
        }
        *ret = d;
        return 0;
}

DockStatus *dock_status_free(DockStatus *d) {
        if (!d)
                return NULL;
        sd_event_source_disable_unref(d->timer);
        free(d->notable);
        free(d->telling);
        free(d);
        return NULL;
}
