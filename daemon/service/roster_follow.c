/* SPDX-License-Identifier: Apache-2.0 */
#include "service/roster_follow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/roster.h"
#include "base/text.h"
#include "service/manager_private.h"
#include "service/timer.h"

struct RosterFollow {
        Manager *manager;
        sd_event_source *timer;
        bool fetching;
        uint64_t number;       /* that is asked for */
        uint64_t told_number;  /* of which it was said that it does not count … */
        ConfError refused;     /* … and why, as long as it lies there */
        uint64_t in_force;     /* as was recorded; 0: none of the fleet's */
};

bool roster_follow_is_on(const RosterFollow *f) {
        const Settings *s = f->manager->settings;

        return s->fleet && s->fleet_key_known && s->follow_usec > 0;
}

uint64_t roster_follow_number(const RosterFollow *f) {
        return f->in_force;
}

const char *roster_follow_trouble(const RosterFollow *f) {
        return f->refused.text;
}

/* What is shown of it changes. */
static void set_refused(RosterFollow *f, const char *why) {
        if (text_equal(f->refused.text, why))
                return;
        conf_fail(&f->refused, "%s", why);
        manager_tell(f->manager);
}

/* Of the roster in force; 0: the dock's own, or none. */
static int number_now(const RosterFollow *f, uint64_t *ret) {
        *ret = 0;
        return store_roster(f->manager->store, ret);
}

static void look_again(RosterFollow *f, uint64_t after_usec) {
        (void) timer_in(f->timer, after_usec);
}

/* ---- Taking it ------------------------------------------------------------------------------------------------------ */

static void recorded(int result, void *userdata) {
        RosterFollow *f = userdata;

        f->fetching = false;
        if (result >= 0) {
                f->in_force = f->number;
                manager_tell(f->manager);
                log_notice(NULL, "The fleet's roster number %" PRIu64 " is in force", f->number);
        } else
                log_error(NULL, "The fleet's roster number %" PRIu64 " is not taken: %s", f->number, store_last_refusal(f->manager->store));
        /* Perhaps another one follows it. */
        look_again(f, result >= 0 ? 0 : f->manager->settings->follow_usec);
}

static int take(RosterFollow *f, const char *file) {
        const Settings *s = f->manager->settings;
        Fact fact = { .kind = FACT_ROSTER, .text = "from the store, signed by the fleet's administrator" };
        _cleanup_(freep) char *text = NULL;
        ConfError error = { 0 };
        json_t *officers = NULL;
        uint64_t number = 0;
        int r;

        r = roster_parse(file, strlen(file), &s->fleet_key, s->fleet, f->number, f->number - 1, &officers, &number, &error);
        if (r < 0) {
                log_full(f->told_number == f->number ? LOG_DEBUG : LOG_ERR, &(LogAbout){ .message = MESSAGE_STATEMENT_REFUSED },
                         "What lies in the store as the fleet's roster number %" PRIu64 " is not taken: %s", f->number,
                         error.text[0] ? error.text : strerror(-r));
                f->told_number = f->number;
                set_refused(f, error.text[0] ? error.text : strerror(-r));
                return r;
        }
        set_refused(f, "");
        text = json_dumps(officers, JSON_COMPACT | JSON_SORT_KEYS);
        json_decref(officers);
        if (!text)
                return -ENOMEM;
        fact.issue.roster_json = text;
        fact.issue.roster_seq = number;
        fact.issue.fleet = s->fleet;
        fact.issue.roster_file = file;
        manager_moment(f->manager, &fact.at);
        return store_put(f->manager->store, &fact, recorded, f);
}

static void on_fetched(void *userdata, void *cookie, const UplinkAnswer *answer) {
        RosterFollow *f = cookie;

        (void) userdata;
        if (answer->result == UPLINK_OK && take(f, answer->text) >= 0)
                return;
        if (answer->result == UPLINK_GONE)
                set_refused(f, "");
        else if (answer->result != UPLINK_OK)
                log_debug(NULL, "The store was not asked for the fleet's roster: %s", answer->text);
        f->fetching = false;
        look_again(f, f->manager->settings->follow_usec);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        RosterFollow *f = userdata;
        _cleanup_(freep) char *key = NULL;
        uint64_t number;
        int r = -EAGAIN;

        (void) source;
        (void) usec;
        if (f->fetching || f->manager->stopping)
                return 0;
        if (text_equal(manager_store_state(f->manager, NULL), WIRE_STORE_READY))
                r = number_now(f, &number);
        if (r >= 0) {
                f->number = number + 1;
                key = roster_key(f->manager->settings->fleet, f->number);
                r = key ? uplink_fetch(f->manager->uplink, key, on_fetched, f) : -ENOMEM;
        }
        f->fetching = r >= 0;
        if (r < 0)
                look_again(f, MIN2(f->manager->settings->follow_usec, 10 * USEC_PER_SEC));
        return 0;
}

/* ---- Publishing ----------------------------------------------------------------------------------------------------- */

typedef struct Publish {
        RosterFollow *follow;
        ManagerDone done;
        void *userdata;
} Publish;

static void on_published(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Publish *p = cookie;
        int result = answer->result == UPLINK_OK       ? 0 :
                     answer->result == UPLINK_CONFLICT ? -EEXIST :
                     answer->result == UPLINK_FULL     ? -ENOSPC :
                                                         -EHOSTUNREACH;

        (void) userdata;
        p->done(p->userdata, result, result == -EEXIST ? "the store has another roster of this number; sign yours with a higher one" :
                                                         answer->text);
        if (answer->result == UPLINK_OK && !p->follow->fetching)
                look_again(p->follow, 0);
        free(p);
}

int roster_publish(RosterFollow *f, const char *file, ManagerDone done, void *userdata, ConfError *error) {
        const Settings *s = f->manager->settings;
        _cleanup_(freep) char *key = NULL;
        json_t *officers = NULL;
        uint64_t number, now;
        Publish *p;
        int r;

        if (!roster_follow_is_on(f)) {
                (void) snprintf(error->text, sizeof(error->text), "the dock is of no fleet: fleet and fleet_key in [dock] of berthd.conf");
                return -EPERM;
        }
        r = number_now(f, &now);
        if (r >= 0)
                r = roster_parse(file, strlen(file), &s->fleet_key, s->fleet, now + 1, now, &officers, &number, error);
        json_decref(officers);
        if (r < 0)
                return error->text[0] ? -EKEYREJECTED : r;
        key = roster_key(s->fleet, number);
        p = calloc(1, sizeof(*p));
        if (!key || !p) {
                free(p);
                return -ENOMEM;
        }
        *p = (Publish){ f, done, userdata };
        r = uplink_keep(f->manager->uplink, key, file, on_published, p);
        if (r < 0)
                free(p);
        return r;
}

/* ---- Beginning and end ---------------------------------------------------------------------------------------------- */

int roster_follow_new(Manager *m, RosterFollow **ret) {
        _cleanup_(roster_follow_freep) RosterFollow *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->manager = m;
        r = number_now(f, &f->in_force);
        if (r < 0)
                return r;
        if (roster_follow_is_on(f)) {
                r = sd_event_add_time(m->event, &f->timer, CLOCK_BOOTTIME, clock_boottime_usec() + USEC_PER_SEC, USEC_PER_SEC / 10,
                                      on_timer, f);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

RosterFollow *roster_follow_free(RosterFollow *f) {
        if (!f)
                return NULL;
        sd_event_source_disable_unref(f->timer);
        free(f);
        return NULL;
}
