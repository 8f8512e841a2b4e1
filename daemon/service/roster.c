/* SPDX-License-Identifier: Apache-2.0 */
#include "service/roster.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/roster.h"
#include "base/text.h"
#include "core/issue.h"
#include "service/docking.h"
#include "service/manager_private.h"
#include "service/timer.h"

#define LOOK_USEC (60 * USEC_PER_SEC)
#define RETRY_USEC (5 * USEC_PER_SEC)
#define MARK_USEC (USEC_PER_SEC / 2)
#define ISSUES_A_READ 256u
/* Wear is evened over so long. */
#define WEAR_USEC (INT64_C(30) * 24 * 3600 * (int64_t) USEC_PER_SEC)

struct Roster {
        Manager *manager;
        sd_event_source *timer;
        sd_event_source *mark; /* soon the best camera is looked for */
};

/* ---- Orders -------------------------------------------------------------------------------------------------------- */

typedef struct Order {
        Manager *manager;
        ManagerDone done;
        void *userdata;
        Camera *camera; /* CHECKOUT_ENDED: nobody has it then */
} Order;

static void ordered(int result, void *userdata) {
        Order *o = userdata;

        if (result >= 0 && o->camera) {
                camera_set_issue(o->camera, NULL);
                if (camera_bay(o->camera))
                        (void) bay_point_at(camera_bay(o->camera), 0);
                manager_kick_bays(o->manager);
        }
        if (o->done)
                o->done(o->userdata, result, result < 0 ? store_last_refusal(o->manager->store) : NULL);
        free(o);
}

static int submit(Roster *r, Fact *fact, const Operator *by, Camera *camera, ManagerDone done, void *userdata) {
        Order *o = calloc(1, sizeof(*o));
        int result;

        if (!o)
                return -ENOMEM;
        *o = (Order){ .manager = r->manager, .done = done, .userdata = userdata, .camera = camera };
        if (by) {
                fact->by_operator = true;
                fact->operator_uid = by->uid;
                fact->operator_name = by->name;
        }
        manager_moment(r->manager, &fact->at);
        result = store_put(r->manager->store, fact, ordered, o);
        if (result < 0)
                free(o);
        return result;
}

int roster_import(Roster *r, const json_t *officers, const char *source, const Operator *by, ManagerDone done, void *userdata) {
        _cleanup_(freep) char *text = json_dumps(officers, JSON_COMPACT | JSON_SORT_KEYS);
        Fact fact = { .kind = FACT_ROSTER, .text = source };

        if (!text)
                return -ENOMEM;
        fact.issue.roster_json = text;
        return submit(r, &fact, by, NULL, done, userdata);
}

int roster_assign(Roster *r, const char *officer_id, const char *serial, const Operator *by, ManagerDone done, void *userdata) {
        Fact fact = { .kind = FACT_ASSIGNED };

        fact.issue.owner.officer_id = officer_id;
        fact.issue.serial = serial;
        return submit(r, &fact, by, NULL, done, userdata);
}

static int end_checkout(Roster *r, Camera *camera, const IssueRow *issue, const char *why, const Operator *by, ManagerDone done,
                        void *userdata) {
        Fact fact = { .kind = FACT_CHECKOUT_ENDED, .camera_id = issue->camera_id, .text = why };

        fact.issue.owner = (FactOwner){ issue->officer_id, issue->officer_name, issue->unit_id, issue->unit_name };
        return submit(r, &fact, by, camera, done, userdata);
}

int roster_cancel(Roster *r, const char *serial, const Operator *by, ManagerDone done, void *userdata) {
        Camera *camera = manager_camera_by_serial(r->manager, serial);
        const IssueRow *issue = camera ? camera_issue(camera) : NULL;

        if (!issue || issue->taken_usec > 0)
                return -ENODEV;
        return end_checkout(r, camera, issue, "taken back", by, done, userdata);
}

/* ---- Checkout ------------------------------------------------------------------------------------------------------ */

struct Checkout {
        Roster *roster;
        RosterCheckoutDone done;
        void *userdata;
        char *serial;
        unsigned bay;
};

static void checked_out(void *userdata, int result, const char *text) {
        Checkout *c = userdata;

        c->done(c->userdata, result, text, c->serial, c->bay);
        free(c->serial);
        free(c);
}

/* `officer` NULL: anybody. */
static int candidate(Roster *r, const Bay *b, const OfficerRow *officer, IssueCamera *ret) {
        _cleanup_(officer_row_freep) OfficerRow *owner = NULL;
        const Camera *camera = bay_camera(b);
        IssueCamera c = {
                .ready = bay_state(b) == BAY_READY,
                .held_back = bay_state(b) == BAY_QUARANTINED || *camera_held_back(camera),
                .reserved = camera_issue(camera) != NULL,
                .warned = text_equal(camera_health(camera), "warning"),
                .battery_percent = camera_battery_percent(camera),
                .battery_floor_percent = bay_battery_floor(b),
                .bay = bay_number(b),
        };
        int q;

        q = store_officer_of_camera(r->manager->store, camera_serial(camera), &owner);
        if (q < 0 && q != -ENOENT)
                return q;
        c.for_officer = owner && officer && text_equal(owner->id, officer->id);
        c.for_other = owner && !c.for_officer;
        q = store_issue_count(r->manager->store, camera_id(camera), clock_wall_usec() - WEAR_USEC, &c.issues, &c.last_issued_usec);
        if (q < 0)
                return q;
        *ret = c;
        return 0;
}

/* Who comes back to the reader gets the same one again. */
static Bay *already_checked_out(Roster *r, const OfficerRow *officer) {
        for (Bay *b = manager_first_bay(r->manager); b; b = bay_next_in_order(b)) {
                const IssueRow *issue = bay_camera(b) ? camera_issue(bay_camera(b)) : NULL;

                if (issue && issue->taken_usec == 0 && (bay_state(b) == BAY_READY || bay_state(b) == BAY_EJECTED) &&
                    text_equal(issue->officer_id, officer->id))
                        return b;
        }
        return NULL;
}

static int pick(Roster *r, const OfficerRow *officer, Bay **ret, const char **ret_why) {
        IssueCamera cameras[BAYS_MAX];
        Bay *bays[BAYS_MAX];
        IssueWhy why = ISSUE_NONE_HERE;
        bool fixed = officer && officer->serial[0];
        size_t n = 0;
        int best;

        for (Bay *b = manager_first_bay(r->manager); b && n < BAYS_MAX; b = bay_next_in_order(b)) {
                int q;

                if (!bay_camera(b) || bay_state(b) == BAY_REFUSED)
                        continue;
                q = candidate(r, b, officer, &cameras[n]);
                if (q < 0) {
                        *ret_why = "the roster cannot be read from the dock's database";
                        return q;
                }
                bays[n++] = b;
        }
        best = issue_pick(cameras, n, fixed, &why);
        if (best < 0) {
                *ret_why = issue_why_to_text(why, fixed);
                return -EAGAIN;
        }
        *ret = bays[best];
        return 0;
}

static int checkout_new(Roster *r, Bay *b, RosterCheckoutDone done, void *userdata, Checkout **ret) {
        Checkout *c = calloc(1, sizeof(*c));

        if (!c || !(c->serial = strdup(camera_serial(bay_camera(b))))) {
                free(c);
                return -ENOMEM;
        }
        c->roster = r;
        c->done = done;
        c->userdata = userdata;
        c->bay = bay_number(b);
        *ret = c;
        return 0;
}

int roster_checkout(Roster *r, const char *officer_word, const Operator *by, RosterCheckoutDone done, void *userdata, Checkout **ret,
                    const char **ret_why) {
        _cleanup_(officer_row_freep) OfficerRow *officer = NULL;
        Checkout *c;
        Bay *b;
        int q;

        *ret_why = "out of memory";
        q = store_officer(r->manager->store, officer_word, &officer);
        if (q < 0) {
                *ret_why = q == -ENOENT ? "the roster has no officer with this id or badge" : "the roster cannot be read";
                return q;
        }
        b = already_checked_out(r, officer);
        if (b) {
                docking_point_at_issued(bay_docking(b));
                *ret = NULL;
                done(userdata, 0, NULL, camera_serial(bay_camera(b)), bay_number(b));
                return 0;
        }
        q = pick(r, officer, &b, ret_why);
        if (q >= 0)
                q = checkout_new(r, b, done, userdata, &c);
        if (q < 0)
                return q;
        *ret = c;
        q = docking_checkout(bay_docking(b), &(WorkerOwner){ officer->id, officer->name, officer->unit_id, officer->unit_name }, by,
                             checked_out, c, ret_why);
        if (q < 0) {
                free(c->serial);
                free(c);
        }
        return q;
}

int roster_checkout_withdraw(Checkout *c, const char **ret_why) {
        Bay *b = manager_bay_by_number(c->roster->manager, c->bay);

        return docking_order_withdraw(b ? bay_docking(b) : NULL, c, ret_why);
}

/* ---- The best one, when nobody asked -------------------------------------------------------------------------------- */

/* Whoever was told of a bay must not be led astray. */
static bool somebody_is_shown_a_bay(Roster *r) {
        for (Bay *b = manager_first_bay(r->manager); b; b = bay_next_in_order(b))
                if (bay_is_pointed_at(b))
                        return true;
        return false;
}

static int on_mark(sd_event_source *source, uint64_t usec, void *userdata) {
        Roster *r = userdata;
        const char *why;
        Bay *best = NULL;

        (void) source;
        (void) usec;
        if (r->manager->stopping)
                return 0;
        if (r->manager->settings->mark_best && !somebody_is_shown_a_bay(r))
                (void) pick(r, NULL, &best, &why);
        /* Only one at a time. */
        for (Bay *b = manager_first_bay(r->manager); b; b = bay_next_in_order(b))
                if (b != best)
                        bay_mark_best(b, false);
        if (best)
                bay_mark_best(best, true);
        return 0;
}

void roster_bays_changed(Roster *r) {
        int enabled = SD_EVENT_OFF;

        /* All that changes together is looked at once. */
        if (!r || sd_event_source_get_enabled(r->mark, &enabled) < 0 || enabled != SD_EVENT_OFF)
                return;
        (void) timer_in(r->mark, MARK_USEC);
}

/* ---- What should have happened by now ------------------------------------------------------------------------------ */

typedef struct Overdue {
        Roster *roster;
        IssueRow *issue;
} Overdue;

static void overdue_recorded(int result, void *userdata) {
        Overdue *o = userdata;
        Manager *m = o->roster->manager;

        if (result >= 0 && m->observer && m->observer->camera_overdue)
                m->observer->camera_overdue(m->observer_userdata, o->issue);
        if (result >= 0)
                log_warning(&(LogAbout){ .camera = o->issue->serial, .message = MESSAGE_CAMERA_OVERDUE },
                            "The camera should be back by now; %s has it", o->issue->officer_id[0] ? o->issue->officer_id : "nobody known");
        issue_row_free(o->issue);
        free(o);
}

/* Takes the row over. */
static int tell_overdue(Roster *r, IssueRow *issue) {
        Fact fact = { .kind = FACT_OVERDUE, .camera_id = issue->camera_id };
        Overdue *o = calloc(1, sizeof(*o));
        int q;

        if (!o) {
                issue_row_free(issue);
                return -ENOMEM;
        }
        *o = (Overdue){ r, issue };
        fact.issue.owner = (FactOwner){ issue->officer_id, issue->officer_name, issue->unit_id, issue->unit_name };
        manager_moment(r->manager, &fact.at);
        q = store_put(r->manager->store, &fact, overdue_recorded, o);
        if (q < 0) {
                issue_row_free(issue);
                free(o);
        }
        return q;
}

/* Another dock of the fleet saw it since: it was brought back there. 1, or 0 when none did. */
static int back_elsewhere(Roster *r, Camera *camera, const IssueRow *issue) {
        Fact fact = { .kind = FACT_BROUGHT_BACK, .camera_id = issue->camera_id };
        _cleanup_(freep) char *text = NULL;
        const FleetDock *dock;
        char when[UTC_TEXT_SIZE];
        int64_t seen_usec;
        int q;

        dock = fleet_docks_seen(r->manager->fleet_docks, issue->serial, issue->taken_usec, &seen_usec);
        if (!dock)
                return 0;
        text = text_format("it came back to the dock '%s' (%s), which saw it at %s", dock->name, dock->id, utc_text(seen_usec, when));
        if (!text)
                return -ENOMEM;
        fact.text = text;
        fact.issue.owner = (FactOwner){ issue->officer_id, issue->officer_name, issue->unit_id, issue->unit_name };
        fact.issue.late_usec = issue_late_usec(issue->due_usec, seen_usec);
        q = submit(r, &fact, NULL, NULL, NULL, NULL);
        if (q < 0)
                return q;
        /* From now on, as it will be in the database: here it may be put into a bay at once. */
        if (camera)
                camera_set_issue(camera, NULL);
        log_notice(&(LogAbout){ .camera = issue->serial }, "Its issue ends: %s", text);
        return 1;
}

/* It is in no bay, and nobody saw it leave: the daemon did not run. */
static int taken_unseen(Roster *r, Camera *camera, const IssueRow *issue) {
        uint64_t due_after = r->manager->settings->due_after_usec;
        Fact fact = { .kind = FACT_TAKEN, .camera_id = issue->camera_id, .text = "it is in no bay any more; that it left was not seen" };
        int q;

        fact.issue.owner = (FactOwner){ issue->officer_id, issue->officer_name, issue->unit_id, issue->unit_name };
        fact.issue.due_usec = due_after > 0 ? issue->ordered_usec + (int64_t) due_after : 0;
        q = submit(r, &fact, NULL, NULL, NULL, NULL);
        /* What is in memory of it is as old as that: it is read anew when the camera is back. */
        if (q >= 0 && camera)
                ((IssueRow *) camera_issue(camera))->taken_usec = fact.at.wall_usec;
        return q;
}

static void sooner(int64_t *next_usec, int64_t at_usec) {
        *next_usec = MIN2(*next_usec, at_usec);
}

/* One open issue; takes the row over. */
static int look_at(Roster *r, IssueRow *row, int64_t now, int64_t *next_usec) {
        _cleanup_(issue_row_freep) IssueRow *issue = row;
        Camera *camera = manager_camera_by_serial(r->manager, issue->serial);
        int64_t until = issue->ordered_usec + (int64_t) r->manager->settings->take_within_usec;
        int q;

        if (issue->taken_usec == 0 && until > now) {
                sooner(next_usec, until);
                return 0;
        }
        if (issue->taken_usec == 0 && camera && camera_bay(camera))
                return end_checkout(r, camera, issue, "nobody took it in time", NULL, NULL, NULL);
        if (issue->taken_usec == 0)
                return taken_unseen(r, camera && camera_issue(camera) ? camera : NULL, issue);
        q = camera && camera_bay(camera) ? 0 : back_elsewhere(r, camera, issue);
        if (q != 0 || issue->overdue || issue->due_usec == 0)
                return MIN2(q, 0);
        if (issue->due_usec > now) {
                sooner(next_usec, issue->due_usec);
                return 0;
        }
        /* It may have come back to another dock. */
        return fleet_docks_know(r->manager->fleet_docks, issue->due_usec, now) ? tell_overdue(r, TAKE_PTR(issue)) : 0;
}

static int look_at_all(Roster *r, int64_t now, int64_t *next_usec) {
        uint64_t after = 0;

        for (;;) {
                IssueRow **rows;
                size_t n;
                int q = store_issues_open(r->manager->store, after, ISSUES_A_READ, &rows, &n);

                if (q < 0)
                        return q;
                for (size_t i = 0; i < n; i++) {
                        after = rows[i]->id;
                        if (q >= 0)
                                q = look_at(r, rows[i], now, next_usec);
                        else
                                issue_row_free(rows[i]);
                }
                free(rows);
                if (q < 0 || n < ISSUES_A_READ)
                        return q;
        }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Roster *r = userdata;
        int64_t now = clock_wall_usec(), next = now + (int64_t) LOOK_USEC;
        int q = 0;

        (void) usec;
        if (!r->manager->stopping && r->manager->fleet_docks)
                q = look_at_all(r, now, &next);
        if (q < 0) {
                log_warning(NULL, "Who has which camera cannot be read or recorded: %s", strerror(-q));
                next = now + (int64_t) RETRY_USEC;
        }
        return timer_in(source, (uint64_t) MAX2(next - now, (int64_t) USEC_PER_SEC / 10));
}

void roster_look(Roster *r) {
        /* What was just handed to the database is there by then. */
        if (r)
                (void) sd_event_source_set_time(r->timer, clock_boottime_usec() + USEC_PER_SEC / 2);
}

int roster_new(Manager *m, Roster **ret) {
        _cleanup_(roster_freep) Roster *r = calloc(1, sizeof(*r));
        int q;

        if (!r)
                return -ENOMEM;
        r->manager = m;
        /* Not before the cameras that are in the bays were recognised. */
        q = sd_event_add_time(m->event, &r->timer, CLOCK_BOOTTIME, clock_boottime_usec() + LOOK_USEC, USEC_PER_SEC / 10, on_timer, r);
        if (q >= 0)
                q = sd_event_add_time(m->event, &r->mark, CLOCK_BOOTTIME, clock_boottime_usec() + MARK_USEC, USEC_PER_SEC / 10, on_mark, r);
        if (q < 0)
                return q;
        *ret = TAKE_PTR(r);
        return 0;
}

Roster *roster_free(Roster *r) {
        if (!r)
                return NULL;
        sd_event_source_disable_unref(r->timer);
        sd_event_source_disable_unref(r->mark);
        free(r);
        return NULL;
}
