/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet_follow.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/manager_private.h"
#include "service/timer.h"

/* Lists are read in turn: of those that are there so many are kept in mind. */
#define AT_ONCE 100u

struct FleetFollow {
        Manager *manager;
        sd_event_source *timer;
        bool busy;
        char admin[PUBLIC_KEY_HEX_SIZE];
        Fleet *list; /* in force */
        ConfError told; /* the trouble that was logged last */
        /* Of this look: */
        uint64_t numbers[AT_ONCE], looked_at;
        size_t n, at;
        bool more;
        Fleet *found; /* the newest that was believed … */
        char *text;   /* … as signed */
        ConfError refused; /* why one that lies there does not count */
};

static void read_next(FleetFollow *f);

static bool follows(const FleetFollow *f) {
        const Settings *s = f->manager->settings;

        return s->fleet && s->fleet_key_known && s->follow_usec > 0;
}

const Fleet *fleet_follow_list(const FleetFollow *f) {
        return f ? f->list : NULL;
}

/* What this dock signs is believed by no other one, unless its key is in the list and counts. */
static void judge_own_key(const FleetFollow *f, ConfError *ret) {
        const FleetKey *k;
        const char *what;

        if (!f->list || !f->manager->notary)
                return;
        k = fleet_find(f->list, notary_public_key(f->manager->notary));
        what = !k                                                                 ? "is not in" :
               !text_equal(k->dock_id, notary_dock_id(f->manager->notary))        ? "is another dock's in" :
               k->revoked                                                         ? "was revoked in" :
               clock_wall_usec() < k->from_usec || clock_wall_usec() >= k->until_usec ? "does not count now by" :
                                                                                    NULL;
        if (what)
                conf_fail(ret, "this dock's key %s the fleet's list of docks (number %" PRIu64 "), so that no other dock believes what "
                                 "it signs: enroll it ('berthctl dock enroll') and publish the list", what, f->list->seq);
}

const char *fleet_follow_trouble(const FleetFollow *f, ConfError *ret) {
        ret->text[0] = 0;
        if (!f || (f->list && fleet_expired(f->list, clock_wall_usec(), ret) > 0))
                return ret->text;
        judge_own_key(f, ret);
        if (!ret->text[0])
                *ret = f->refused;
        return ret->text;
}

static void look_again(FleetFollow *f, uint64_t after_usec) {
        (void) timer_in(f->timer, after_usec);
}

static void end_look(FleetFollow *f, uint64_t after_usec) {
        ConfError trouble;

        f->busy = false;
        f->found = fleet_free(f->found);
        free(f->text);
        f->text = NULL;
        (void) fleet_follow_trouble(f, &trouble);
        if (trouble.text[0] && !text_equal(trouble.text, f->told.text))
                log_message(LOG_ERR, MESSAGE_STATEMENT_REFUSED, "The fleet's list of docks: %s", trouble.text);
        f->told = trouble;
        look_again(f, after_usec);
}

/* ---- Taking it ------------------------------------------------------------------------------------------------------ */

static void recorded(int result, void *userdata) {
        FleetFollow *f = userdata;

        if (result >= 0) {
                fleet_free(f->list);
                f->list = TAKE_PTR(f->found);
                f->refused.text[0] = 0;
                log_notice(NULL, "The fleet's list of docks number %" PRIu64 " is in force: %zu keys", f->list->seq, f->list->n_keys);
                /* What it says may let clips go that another dock stored. */
                upload_queue_retry_now(f->manager);
                upload_pump(f->manager);
                manager_tell(f->manager);
        } else
                conf_fail(&f->refused, "number %" PRIu64 " could not be written to the database: %s", f->found->seq,
                          store_last_refusal(f->manager->store));
        end_look(f, f->manager->settings->follow_usec);
}

static void record(FleetFollow *f) {
        Fact fact = { .kind = FACT_FLEET_LIST, .text = "from the store, signed by the fleet's administrator" };

        fact.fleet_list.fleet = f->found->id;
        fact.fleet_list.admin = f->admin;
        fact.fleet_list.document = f->text;
        fact.fleet_list.seq = f->found->seq;
        manager_moment(f->manager, &fact.at);
        if (store_put(f->manager->store, &fact, recorded, f) < 0)
                end_look(f, f->manager->settings->follow_usec);
}

/* ---- Reading -------------------------------------------------------------------------------------------------------- */

static int list_after(FleetFollow *f, uint64_t number);

static void all_read(FleetFollow *f) {
        if (f->more && f->n > 0 && list_after(f, f->looked_at) >= 0)
                return;
        if (f->found)
                return record(f);
        end_look(f, f->manager->settings->follow_usec);
}

static void take(FleetFollow *f, uint64_t number, const char *text) {
        const Settings *s = f->manager->settings;
        const Fleet *before = f->found ? f->found : f->list;
        ConfError error = { 0 };
        Fleet *list = NULL;
        char *copy;
        int r;

        r = fleet_parse(text, strlen(text), &s->fleet_key, s->fleet, before ? before->seq : 0, &list, &error);
        if (r >= 0 && list->seq != number) {
                conf_fail(&error, "the list of docks does not count: it was made for another key in the store, and copied here");
                list = fleet_free(list);
                r = -EKEYREJECTED;
        }
        if (r < 0) {
                conf_fail(&f->refused, "what lies in the store as number %" PRIu64 " does not count: %s", number,
                                 error.text[0] ? error.text : strerror(-r));
                return;
        }
        copy = strdup(text);
        if (!copy) {
                fleet_free(list);
                return;
        }
        fleet_free(f->found);
        free(f->text);
        f->found = list;
        f->text = copy;
        f->refused.text[0] = 0;
}

static void on_fetched(void *userdata, void *cookie, const UplinkAnswer *answer) {
        FleetFollow *f = cookie;
        uint64_t number = f->numbers[f->at++];

        (void) userdata;
        f->looked_at = number;
        if (answer->result == UPLINK_OK)
                take(f, number, answer->text);
        else
                log_debug(NULL, "The store was not asked for the fleet's list number %" PRIu64 ": %s", number, answer->text);
        read_next(f);
}

static void read_next(FleetFollow *f) {
        _cleanup_(freep) char *key = NULL;

        if (f->at >= f->n)
                return all_read(f);
        key = fleet_list_key(f->manager->settings->fleet, f->numbers[f->at]);
        if (!key || uplink_fetch(f->manager->uplink, key, on_fetched, f) < 0)
                end_look(f, f->manager->settings->follow_usec);
}

static void on_listed(void *userdata, void *cookie, const UplinkAnswer *answer, const UplinkKeys *keys) {
        FleetFollow *f = cookie;

        (void) userdata;
        f->n = f->at = 0;
        f->more = keys && keys->more;
        for (size_t i = 0; keys && i < keys->n && f->n < AT_ONCE; i++)
                if (fleet_list_number(keys->keys[i], f->manager->settings->fleet, &f->numbers[f->n]) >= 0)
                        f->n++;
        if (!keys)
                log_debug(NULL, "The store was not asked for the fleet's list of docks: %s", answer->text);
        read_next(f);
}

static int list_after(FleetFollow *f, uint64_t number) {
        const char *fleet = f->manager->settings->fleet;
        _cleanup_(freep) char *prefix = text_format("%s/%s/", WIRE_KEEP_FLEET, fleet), *after = fleet_list_key(fleet, number);

        if (!prefix || !after)
                return -ENOMEM;
        return uplink_list(f->manager->uplink, prefix, after, AT_ONCE, on_listed, f);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        FleetFollow *f = userdata;
        int r = -EAGAIN;

        (void) source;
        (void) usec;
        if (f->busy || f->manager->stopping)
                return 0;
        f->looked_at = f->list ? f->list->seq : 0;
        if (text_equal(manager_store_state(f->manager, NULL), WIRE_STORE_READY))
                r = list_after(f, f->looked_at);
        f->busy = r >= 0;
        if (r < 0)
                end_look(f, MIN2(f->manager->settings->follow_usec, 10 * USEC_PER_SEC));
        return 0;
}

/* ---- Beginning and end ---------------------------------------------------------------------------------------------- */

/* What was in force when the dock was last on, by the key and fleet that it believes now. */
static int load(FleetFollow *f) {
        const Settings *s = f->manager->settings;
        _cleanup_(freep) char *text = NULL;
        ConfError error = { 0 };
        uint64_t seq = 0;
        int r;

        (void) public_key_to_hex(&s->fleet_key, f->admin);
        r = store_fleet_list(f->manager->store, s->fleet, f->admin, &seq, &text);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = fleet_parse(text, strlen(text), &s->fleet_key, s->fleet, 0, &f->list, &error);
        if (r < 0)
                log_error(NULL, "The fleet's list of docks in the database does not count: %s", error.text);
        return r;
}

int fleet_follow_new(Manager *m, FleetFollow **ret) {
        _cleanup_(fleet_follow_freep) FleetFollow *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->manager = m;
        if (follows(f)) {
                r = load(f);
                if (r < 0)
                        return r;
                r = sd_event_add_time(m->event, &f->timer, CLOCK_BOOTTIME, clock_boottime_usec() + USEC_PER_SEC, USEC_PER_SEC / 10,
                                      on_timer, f);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

FleetFollow *fleet_follow_free(FleetFollow *f) {
        if (!f)
                return NULL;
        sd_event_source_disable_unref(f->timer);
        fleet_free(f->list);
        fleet_free(f->found);
        free(f->text);
        free(f);
        return NULL;
}
