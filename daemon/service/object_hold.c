/* SPDX-License-Identifier: Apache-2.0 */
#include "service/object_hold.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/backoff.h"
#include "service/manager_private.h"
#include "service/timer.h"

#define RETRY_MIN_USEC (5 * USEC_PER_SEC)
#define RETRY_MAX_USEC (3600 * USEC_PER_SEC)

/* A request whose answer did not come may reach the store until then, and turn round what was read back from it before. */
typedef struct Late Late;
struct Late {
        Late *next;
        char *object_key;
        uint64_t until_usec; /* boot time */
};

struct ObjectHolds {
        Manager *manager;
        sd_event_source *retry;
        ObjectHoldRow *asking; /* the uplink, or the database, is busy with it */
        uint64_t after;        /* clips up to this one were looked at in this round */
        bool again;            /* another round is due when this one is over */
        bool failed;           /* something of this round is to be tried again */
        unsigned failures;
        Late *late;
        uint64_t started_usec;
        uint64_t look_usec; /* when the first of those that were put off in this round is due; 0: none was */
        char said[512]; /* the last sentence that was logged */
};

static void go_on(ObjectHolds *o);

/* ---- Requests that may come late ------------------------------------------------------------------------------------ */

static Late **find_late(ObjectHolds *o, const char *object_key) {
        Late **l = &o->late;

        while (*l && !text_equal((*l)->object_key, object_key))
                l = &(*l)->next;
        return l;
}

static void forget_late(Late **l) {
        Late *gone = *l;

        if (!gone)
                return;
        *l = gone->next;
        free(gone->object_key);
        free(gone);
}

/* From `since_usec` on; -ENOMEM. */
static int note_late(ObjectHolds *o, const char *object_key, uint64_t since_usec) {
        Late **l = find_late(o, object_key);

        if (!*l) {
                Late *n = calloc(1, sizeof(*n));

                if (!n || !(n->object_key = strdup(object_key))) {
                        free(n);
                        return -ENOMEM;
                }
                *l = n;
        }
        (*l)->until_usec = since_usec + o->manager->settings->store_late_usec;
        return 0;
}

/* What was read back is as it should be, and may not stay so: it is looked at again when nothing can come any more. */
static bool put_off(ObjectHolds *o) {
        const Late *l = *find_late(o, o->asking->object_key);

        if (!l || l->until_usec <= clock_boottime_usec())
                return false;
        if (o->look_usec == 0 || l->until_usec < o->look_usec)
                o->look_usec = l->until_usec;
        return true;
}

/* ---- One after the other --------------------------------------------------------------------------------------------- */

static void set_retry(ObjectHolds *o) {
        uint64_t wait = backoff_usec(++o->failures, RETRY_MIN_USEC, RETRY_MAX_USEC);

        o->after = 0;
        o->failed = false;
        (void) timer_in(o->retry, wait);
}

static void done_with(ObjectHolds *o) {
        o->after = o->asking->clip_id;
        o->asking = object_hold_row_free(o->asking);
}

static void on_settled(int result, void *userdata) {
        ObjectHolds *o = userdata;

        if (result >= 0)
                forget_late(find_late(o, o->asking->object_key));
        done_with(o);
        if (result < 0)
                o->failed = true;
        else {
                o->failures = 0;
                o->after--; /* a clip that was stored more than once may have more than one object */
        }
        go_on(o);
}

static void settle(ObjectHolds *o, const UplinkAnswer *answer) {
        Fact f = {
                .kind = o->asking->held ? FACT_OBJECT_HELD : FACT_OBJECT_LET_GO,
                .clip_id = o->asking->clip_id,
                .text = answer->text && answer->text[0] ? answer->text : NULL,
                .hold = { .object_key = o->asking->object_key, .lock = answer->lock },
        };

        manager_moment(o->manager, &f.at);
        if (store_put(o->manager->store, &f, on_settled, o) < 0)
                on_settled(-ENOMEM, o);
}

/* Once for each sentence: a store that is away for days says the same each time. */
static void complain(ObjectHolds *o, const char *text) {
        if (text_equal(o->said, text))
                return;
        (void) snprintf(o->said, sizeof(o->said), "%s", text);
        log_warning(NULL, "Clip %" PRIu64 " is %s, and its object in the store not yet: %s", o->asking->clip_id,
                    o->asking->held ? "held" : "held no more", text);
}

static void on_answer(void *userdata, void *cookie, const UplinkAnswer *answer) {
        ObjectHolds *o = cookie;

        bool decided = text_equal(answer->lock, WIRE_LOCK_ON) || text_equal(answer->lock, WIRE_LOCK_OFF);

        (void) userdata;
        if (answer->result == UPLINK_OK && decided && put_off(o)) {
                done_with(o);
                return go_on(o);
        }
        if (answer->result == UPLINK_OK)
                return settle(o, answer);
        /* It may be on its way all the same. */
        if (note_late(o, o->asking->object_key, clock_boottime_usec()) < 0)
                log_error(NULL, "Out of memory for what the store was asked about clip %" PRIu64, o->asking->clip_id);
        complain(o, answer->text);
        o->failed = true;
        done_with(o);
        /* What is the store's trouble and not this object's is asked once. */
        if (answer->result == UPLINK_UNAVAILABLE || answer->result == UPLINK_BUSY)
                return set_retry(o);
        go_on(o);
}

static bool store_answers(const Manager *m) {
        const char *state = manager_store_state(m, NULL);

        return text_equal(state, WIRE_STORE_READY) || text_equal(state, WIRE_STORE_PAUSED);
}

static void ask(ObjectHolds *o) {
        UplinkLock lock = { o->asking->object_key, o->asking->manifest_key, o->asking->version, o->asking->held };
        int r = uplink_lock(o->manager->uplink, &lock, on_answer, o);

        if (r >= 0)
                return;
        o->failed = true;
        o->asking = object_hold_row_free(o->asking);
        set_retry(o);
}

static void on_asked(int result, void *userdata) {
        ObjectHolds *o = userdata;

        if (result >= 0 && !o->manager->stopping)
                return ask(o);
        o->failed = true;
        done_with(o);
        go_on(o);
}

/* That the store is asked for a hold is on record first: its answer may be lost, and the hold released before it is asked again. */
static void put_asked(ObjectHolds *o) {
        Fact f = {
                .kind = FACT_OBJECT_HOLD_ASKED,
                .clip_id = o->asking->clip_id,
                .hold = { .object_key = o->asking->object_key, .lock = OBJECT_HOLD_ASKED },
        };

        manager_moment(o->manager, &f.at);
        if (store_put(o->manager->store, &f, on_asked, o) < 0)
                on_asked(-ENOMEM, o);
}

/* One after the other, by the clips' numbers. */
static void go_on(ObjectHolds *o) {
        int r;

        if (o->asking || o->manager->stopping || !store_answers(o->manager))
                return;
        r = store_object_hold_due(o->manager->store, o->after, &o->asking);
        if (r == -ENOENT && o->again) {
                o->again = false;
                o->after = 0;
                r = store_object_hold_due(o->manager->store, 0, &o->asking);
        }
        if (r == -ENOENT) {
                o->after = 0;
                if (o->failed)
                        set_retry(o);
                else if (o->look_usec != 0)
                        (void) timer_at(o->retry, o->look_usec);
                o->look_usec = 0;
                return;
        }
        if (r < 0) {
                log_error(NULL, "Which objects in the store are to be held cannot be read: %s", strerror(-r));
                return set_retry(o);
        }
        /* By the run of the daemon before this one, which may have ended before it was sent, or after. */
        if (o->asking->asked && !*find_late(o, o->asking->object_key) && note_late(o, o->asking->object_key, o->started_usec) < 0)
                return set_retry(o);
        if (o->asking->held && !o->asking->asked)
                put_asked(o);
        else
                ask(o);
}

void object_holds_look(ObjectHolds *o) {
        if (!o)
                return;
        o->failures = 0;
        if (o->asking)
                o->again = true;
        else {
                o->after = 0;
                go_on(o);
        }
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        go_on(userdata);
        return 0;
}

int object_holds_new(Manager *m, ObjectHolds **ret) {
        _cleanup_(object_holds_freep) ObjectHolds *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                return -ENOMEM;
        o->manager = m;
        o->started_usec = clock_boottime_usec();
        r = sd_event_add_time(m->event, &o->retry, CLOCK_BOOTTIME, 0, USEC_PER_SEC, on_retry, o);
        if (r >= 0)
                r = sd_event_source_set_enabled(o->retry, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

ObjectHolds *object_holds_free(ObjectHolds *o) {
        if (!o)
                return NULL;
        sd_event_source_disable_unref(o->retry);
        (void) object_hold_row_free(o->asking);
        while (o->late)
                forget_late(&o->late);
        free(o);
        return NULL;
}
