/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet_docks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/manager_private.h"
#include "service/timer.h"

#define RETRY_USEC (10 * USEC_PER_SEC)
/* A camera's time is over, and the store cannot be asked whether it came back elsewhere: so long that is waited for. */
#define GIVE_UP_USEC (INT64_C(3600) * (int64_t) USEC_PER_SEC)
/* Of so many docks one camera can be told of. */
#define SIGHTINGS_MAX FLEET_KEYS_MAX

struct FleetDocks {
        Manager *manager;
        sd_event_source *timer; /* NULL: there is nobody to follow */
        FleetDock own, *others;
        FleetDock *at; /* is read; NULL: none is */
        bool failed;   /* of this look: somebody could not be asked */
        bool news;     /* ... somebody told something since the one before */
        bool awaited;  /* the roster asked */
        int64_t began_usec, asked_usec; /* wall: when this look began, and the last one that was complete */
};

static FleetDock *dock_free(FleetDock *d) {
        (void) dock_report_free(d->report);
        free(d->name);
        free(d->trouble);
        free(d);
        return NULL;
}

static void set_text(char **text, const char *to) {
        char *copy = strdup(to);

        if (!copy)
                return;
        free(*text);
        *text = copy;
}

static void read_next(FleetDocks *f);

/* ---- Whose statuses there are ---------------------------------------------------------------------------------------- */

static FleetDock *find_dock(const FleetDocks *f, const char *id) {
        FleetDock *d = f->others;

        while (d && !text_equal(d->id, id))
                d = d->next;
        return d;
}

static int list_dock(FleetDocks *f, const FleetKey *key) {
        FleetDock *d = find_dock(f, key->dock_id), **at = &f->others;

        if (!d) {
                d = calloc(1, sizeof(*d));
                if (!d || !(d->name = strdup(key->name)) || !(d->trouble = strdup(""))) {
                        if (d)
                                (void) dock_free(d);
                        return -ENOMEM;
                }
                memcpy(d->id, key->dock_id, sizeof(d->id));
                while (*at && strcmp((*at)->id, d->id) < 0)
                        at = &(*at)->next;
                d->next = *at;
                *at = d;
        }
        d->listed = true;
        return 0;
}

/* Docks that were revoked are none any more. */
static int list_docks(FleetDocks *f) {
        const Fleet *list = fleet_follow_list(f->manager->fleet_follow);
        const char *own = notary_dock_id(f->manager->notary);
        int r = 0;

        for (FleetDock *d = f->others; d; d = d->next)
                d->listed = false;
        for (size_t i = 0; list && i < list->n_keys && r >= 0; i++)
                if (!list->keys[i].revoked && !text_equal(list->keys[i].dock_id, own))
                        r = list_dock(f, &list->keys[i]);
        for (FleetDock **at = &f->others; *at && r >= 0;) {
                FleetDock *d = *at;

                if (d->listed) {
                        at = &d->next;
                        continue;
                }
                *at = d->next;
                (void) dock_free(d);
        }
        return r;
}

/* ---- Reading one ------------------------------------------------------------------------------------------------------ */

static ReportedCamera *camera_of(const DockReport *r, const char *serial) {
        for (size_t i = 0; r && i < r->n_cameras; i++)
                if (text_equal(r->cameras[i].serial, serial))
                        return &r->cameras[i];
        return NULL;
}

static void take_report(FleetDock *d, DockReport *report) {
        for (size_t i = 0; i < report->n_cameras; i++) {
                const ReportedCamera *before = camera_of(d->report, report->cameras[i].serial);

                report->cameras[i].announced = before && before->announced && before->taken_usec == report->cameras[i].taken_usec;
        }
        (void) dock_report_free(d->report);
        d->report = report;
        set_text(&d->name, report->name);
        set_text(&d->trouble, "");
}

static void take(FleetDocks *f, FleetDock *d, const char *key, const char *file) {
        const Fleet *list = fleet_follow_list(f->manager->fleet_follow);
        _cleanup_(statement_done) Statement s = { 0 };
        DockReport *report = NULL;
        const char *why = NULL;

        if (statement_parse(file, strlen(file), &s) < 0)
                why = "it is no signed statement";
        else if (d->report && s.about.seq == d->seq && text_equal(s.about.dock, d->id))
                return; /* it told nothing since */
        else if (!list)
                why = "this dock goes by no list of its fleet's docks";
        else
                why = fleet_judge(list, &s, STATEMENT_DOCK_STATUS, key, d->seq, clock_wall_usec());
        if (!why && dock_report_from_json(s.object, &report) < 0)
                why = "it is no status that this version of Berth can read";
        if (!why) {
                d->seq = s.about.seq;
                f->news = true;
                return take_report(d, report);
        }
        if (!text_equal(d->trouble, why))
                log_message(LOG_WARNING, MESSAGE_STATEMENT_REFUSED, "The status of the dock '%s' in the store, %s, does not count: %s",
                            d->name, key, why);
        set_text(&d->trouble, why);
}

static char *key_of(const FleetDock *d) {
        return text_format("%s/%s/status", WIRE_REPLACE_DOCKS, d->id);
}

static void on_fetched(void *userdata, void *cookie, const UplinkAnswer *answer) {
        FleetDocks *f = cookie;
        FleetDock *d = f->at;
        _cleanup_(freep) char *key = key_of(d);

        (void) userdata;
        if (answer->result == UPLINK_OK && key)
                take(f, d, key, answer->text);
        else if (answer->result != UPLINK_GONE) {
                log_debug(NULL, "The store was not asked for the status of the dock '%s': %s", d->name, answer->text);
                f->failed = true;
        }
        f->at = d->next;
        read_next(f);
}

/* ---- A look at all ----------------------------------------------------------------------------------------------------- */

static void look_at(FleetDocks *f, uint64_t after_usec) {
        (void) timer_in(f->timer, after_usec);
}

/* What others have out and should be back: told once for each time, as this dock's own ones are. */
static void announce(FleetDocks *f) {
        const ManagerObserver *observer = f->manager->observer;
        FleetCamera *cameras = NULL;
        size_t n = 0;

        if (fleet_docks_cameras(f, &cameras, &n, NULL) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                const FleetCamera *c = &cameras[i];

                if (!c->at.overdue || c->out_from->own || c->out->announced)
                        continue;
                ((ReportedCamera *) c->out)->announced = true;
                log_notice(&(LogAbout){ .camera = c->serial }, "The camera should be back by now; %s took it from the dock '%s'",
                           c->out->officer_id[0] ? c->out->officer_id : "somebody", c->out_from->name);
                if (observer && observer->fleet_camera_overdue)
                        observer->fleet_camera_overdue(f->manager->observer_userdata, c->serial, c->out_from->id, c->out_from->name,
                                                       c->out->officer_id, c->out->due_usec);
        }
        free(cameras);
}

static void end_look(FleetDocks *f) {
        uint64_t again = f->manager->settings->follow_usec;

        if (f->failed)
                again = MIN2(again, RETRY_USEC);
        else
                f->asked_usec = f->began_usec;
        if (f->news || !f->failed)
                announce(f);
        if (f->news || f->awaited)
                roster_look(f->manager->roster);
        f->news = f->awaited = false;
        look_at(f, again);
}

static void read_next(FleetDocks *f) {
        _cleanup_(freep) char *key = f->at ? key_of(f->at) : NULL;

        if (!f->at)
                return end_look(f);
        if (key && uplink_fetch(f->manager->uplink, key, on_fetched, f) >= 0)
                return;
        f->at = NULL;
        f->failed = true;
        end_look(f);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        FleetDocks *f = userdata;

        (void) source;
        (void) usec;
        if (f->at || f->manager->stopping)
                return 0;
        f->began_usec = clock_wall_usec();
        f->failed = list_docks(f) < 0 || !text_equal(manager_store_state(f->manager, NULL), WIRE_STORE_READY);
        f->at = f->failed ? NULL : f->others;
        read_next(f);
        return 0;
}

bool fleet_docks_know(FleetDocks *f, int64_t due_usec, int64_t now_usec) {
        /* What happened until then is in the store by that time. */
        int64_t told = due_usec + 2 * (int64_t) MIN2(f->manager->settings->status_usec, DOCK_STATUS_LOOK_USEC);

        if (!f->timer || (!f->at && list_docks(f) < 0) || !f->others || f->asked_usec >= told || now_usec > due_usec + GIVE_UP_USEC)
                return true;
        f->awaited = true;
        if (!f->at)
                look_at(f, told > now_usec ? (uint64_t) (told - now_usec) : f->failed ? RETRY_USEC : 0);
        return false;
}

/* ---- What is known ----------------------------------------------------------------------------------------------------- */

const FleetDock *fleet_docks_seen(const FleetDocks *f, const char *serial, int64_t after_usec, int64_t *ret_usec) {
        const FleetDock *found = NULL;
        int64_t when = after_usec;

        for (const FleetDock *d = f->others; d; d = d->next) {
                const ReportedCamera *c = camera_of(d->report, serial);

                if (!c || c->last_docked_usec <= when)
                        continue;
                found = d;
                when = c->last_docked_usec;
        }
        if (found)
                *ret_usec = when;
        return found;
}

const FleetDock *fleet_docks_taken(const FleetDocks *f, const char *serial, int64_t before_usec, const char **ret_officer_id) {
        const FleetDock *found = NULL;
        int64_t taken = 0, seen = 0;

        for (const FleetDock *d = f->others; d; d = d->next) {
                const ReportedCamera *c = camera_of(d->report, serial);

                if (c && c->last_docked_usec < before_usec)
                        seen = MAX2(seen, c->last_docked_usec);
                if (!c || !c->out || !c->officer_id[0] || c->taken_usec >= before_usec || c->taken_usec <= taken)
                        continue;
                found = d;
                taken = c->taken_usec;
                *ret_officer_id = c->officer_id;
        }
        return taken > seen ? found : NULL;
}

int fleet_docks_all(FleetDocks *f, FleetDock **ret) {
        DockReport *report;
        int r;

        r = dock_status_report(f->manager, &report);
        if (r < 0)
                return r;
        (void) dock_report_free(f->own.report);
        f->own.report = report;
        free(f->own.name);
        f->own.name = strdup(report->name);
        if (!f->own.name)
                return -ENOMEM;
        f->own.next = f->others;
        *ret = &f->own;
        return 0;
}

typedef struct Told {
        const FleetDock *dock;
        const ReportedCamera *camera;
} Told;

static int compare_told(const void *a, const void *b) {
        return strcmp(((const Told *) a)->camera->serial, ((const Told *) b)->camera->serial);
}

/* This dock says for itself when a camera of its own should be back: once it has asked the others. */
static Sighting sighting_of(const ReportedCamera *c, bool own) {
        return (Sighting){
                .last_docked_usec = c->last_docked_usec,
                .out = c->out,
                .told_overdue = c->overdue,
                .taken_usec = c->taken_usec,
                .due_usec = own ? 0 : c->due_usec,
                .unstored_on_camera = c->unstored_on_camera,
                .unstored_on_dock = c->unstored_on_dock,
                .on_camera_since_usec = c->on_camera_since_usec,
                .on_dock_since_usec = c->on_dock_since_usec,
        };
}

static FleetCamera camera_from(const Told *told, size_t n, int64_t now_usec) {
        FleetCamera c = { .serial = told[0].camera->serial };
        Sighting sightings[SIGHTINGS_MAX];

        n = MIN2(n, (size_t) SIGHTINGS_MAX);
        for (size_t i = 0; i < n; i++)
                sightings[i] = sighting_of(told[i].camera, told[i].dock->own);
        whereabouts_of(sightings, n, now_usec, &c.at);
        c.dock = told[c.at.last].dock;
        c.seen = told[c.at.last].camera;
        if (c.at.out) {
                c.out_from = told[c.at.out_from].dock;
                c.out = told[c.at.out_from].camera;
        }
        return c;
}

int fleet_docks_cameras(FleetDocks *f, FleetCamera **ret, size_t *ret_n, FleetDock **ret_docks) {
        _cleanup_(freep) Told *told = NULL;
        int64_t now = clock_wall_usec();
        FleetCamera *cameras;
        size_t n = 0, found = 0;
        FleetDock *first;
        int r;

        r = fleet_docks_all(f, &first);
        if (r < 0)
                return r;
        for (const FleetDock *d = first; d; d = d->next)
                n += d->report ? d->report->n_cameras : 0;
        told = calloc(n + 1, sizeof(*told));
        cameras = calloc(n + 1, sizeof(*cameras));
        if (!told || !cameras) {
                free(cameras);
                return -ENOMEM;
        }
        n = 0;
        for (const FleetDock *d = first; d; d = d->next)
                for (size_t i = 0; d->report && i < d->report->n_cameras; i++)
                        told[n++] = (Told){ d, &d->report->cameras[i] };
        qsort(told, n, sizeof(*told), compare_told);
        for (size_t from = 0, to; from < n; from = to) {
                for (to = from + 1; to < n && compare_told(&told[from], &told[to]) == 0; to++)
                        ;
                cameras[found++] = camera_from(&told[from], to - from, now);
        }
        *ret = cameras;
        *ret_n = found;
        if (ret_docks)
                *ret_docks = first;
        return 0;
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------------- */

int fleet_docks_new(Manager *m, FleetDocks **ret) {
        _cleanup_(fleet_docks_freep) FleetDocks *f = calloc(1, sizeof(*f));
        const Settings *s = m->settings;
        int r;

        if (!f)
                return -ENOMEM;
        f->manager = m;
        f->own.own = true;
        f->own.trouble = strdup("");
        if (!f->own.trouble)
                return -ENOMEM;
        (void) strncpy(f->own.id, notary_dock_id(m->notary), sizeof(f->own.id) - 1);
        if (s->fleet && s->fleet_key_known && s->follow_usec > 0) {
                r = sd_event_add_time(m->event, &f->timer, CLOCK_BOOTTIME, clock_boottime_usec() + 2 * USEC_PER_SEC, USEC_PER_SEC / 10,
                                      on_timer, f);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

FleetDocks *fleet_docks_free(FleetDocks *f) {
        if (!f)
                return NULL;
        sd_event_source_disable_unref(f->timer);
        while (f->others) {
                FleetDock *next = f->others->next;

                (void) dock_free(f->others);
                f->others = next;
        }
        (void) dock_report_free(f->own.report);
        free(f->own.name);
        free(f->own.trouble);
        free(f);
        return NULL;
}
