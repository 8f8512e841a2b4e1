/* SPDX-License-Identifier: Apache-2.0 */
#include "service/notary.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-id128.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/backoff.h"
#include "service/dock_key.h"
#include "service/manager_private.h"
#include "service/timer.h"

/* A dock where nothing happens says so now and then. */
#define IDLE_USEC (24 * 3600 * USEC_PER_SEC)
#define RETRY_MIN_USEC (5 * USEC_PER_SEC)
#define RETRY_MAX_USEC (3600 * USEC_PER_SEC)

struct Notary {
        Manager *manager;
        DockKeys *keys;
        char dock_id[DOCK_ID_SIZE];
        sd_event_source *timer, *retry;
        bool checkpointing, rotating;
        /* The statement that is on its way to the store. */
        char *sending;
        unsigned failures;
        uint64_t number; /* the last that notary_next_number() gave */
};

static const char *fleet_of(const Notary *n) {
        return n->manager->settings->fleet ? n->manager->settings->fleet : "";
}

static void use_keys(Notary *n) {
        store_set_signing(n->manager->store, dock_keys_now(n->keys), dock_keys_next(n->keys), fleet_of(n));
}

const char *notary_dock_id(const Notary *n) {
        return n->dock_id;
}

const PublicKey *notary_public_key(const Notary *n) {
        return sign_key_public(dock_keys_now(n->keys));
}

uint64_t notary_next_number(Notary *n) {
        n->number = MAX2(n->number + 1, (uint64_t) MAX2(clock_wall_usec(), (int64_t) 0));
        return n->number;
}

int notary_sign(const Notary *n, const char *type, const char *key, uint64_t seq, json_t *members, char **ret) {
        const StatementAbout about = { .type = type, .key = key, .fleet = fleet_of(n), .dock = n->dock_id, .seq = seq };
        Statement s = {};
        char *file;
        int r;

        r = members ? statement_make(dock_keys_now(n->keys), &about, members, &s) : -ENOMEM;
        json_decref(members);
        if (r < 0)
                return r;
        file = statement_file(&s);
        statement_done(&s);
        if (!file)
                return -ENOMEM;
        *ret = file;
        return 0;
}

static Fact fact_now(const Notary *n, FactKind kind, const char *text) {
        Fact f = { .kind = kind, .text = text };

        manager_moment(n->manager, &f.at);
        return f;
}

/* ---- To the store -------------------------------------------------------------------------------------------------- */

static void send_next(Notary *n);

static void set_retry(Notary *n) {
        uint64_t wait = backoff_usec(++n->failures, RETRY_MIN_USEC, RETRY_MAX_USEC);

        (void) timer_in(n->retry, wait);
}

static void on_settled(int result, void *userdata) {
        Notary *n = userdata;

        free(n->sending);
        n->sending = NULL;
        if (result < 0)
                return set_retry(n);
        n->failures = 0;
        send_next(n);
}

static void settle(Notary *n, FactKind kind, const char *text) {
        Fact f = fact_now(n, kind, text);

        f.statement.key = n->sending;
        if (store_put(n->manager->store, &f, on_settled, n) < 0)
                on_settled(-ENOMEM, n);
}

static void on_kept(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Notary *n = cookie;

        (void) userdata;
        if (answer->result == UPLINK_OK)
                return settle(n, FACT_STATEMENT_STORED, NULL);
        if (answer->result == UPLINK_CONFLICT) {
                log_message(LOG_ERR, MESSAGE_CUSTODY_NOT_OURS,
                            "The store holds something else as %s: %s; was this dock's state folder set back, or copied?",
                            n->sending, answer->text);
                return settle(n, FACT_STATEMENT_REFUSED, answer->text);
        }
        log_full(n->failures == 0 ? LOG_NOTICE : LOG_DEBUG, NULL, "%s is not in the store yet: %s", n->sending, answer->text);
        free(n->sending);
        n->sending = NULL;
        set_retry(n);
}

/* One at a time, the oldest first. */
static void send_next(Notary *n) {
        _cleanup_(statement_row_freep) StatementRow *row = NULL;
        uint64_t event_seq = 0;
        int r;

        if (n->sending || n->manager->stopping || !text_equal(manager_store_state(n->manager, NULL), WIRE_STORE_READY))
                return;
        r = store_statement_waiting(n->manager->store, 0, &row, &event_seq);
        if (r == -ENOENT)
                return;
        if (r < 0) {
                log_error(NULL, "What waits for the store to be kept cannot be read from the custody log: %s", strerror(-r));
                return set_retry(n);
        }
        n->sending = TAKE_PTR(row->key);
        r = uplink_keep(n->manager->uplink, n->sending, row->file, on_kept, n);
        if (r < 0) {
                free(n->sending);
                n->sending = NULL;
                set_retry(n);
        }
}

void notary_store_ready(Notary *n) {
        if (!n)
                return;
        n->failures = 0;
        send_next(n);
}

void notary_signed(Notary *n) {
        /* While the store does not take what was signed before, its turn comes with that. */
        if (n && n->failures == 0)
                send_next(n);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        send_next(userdata);
        return 0;
}

/* ---- The rhythm ---------------------------------------------------------------------------------------------------- */

static void on_checkpoint(int result, void *userdata) {
        Notary *n = userdata;

        n->checkpointing = false;
        if (result < 0)
                log_error(NULL, "The custody log cannot be signed: %s", store_last_refusal(n->manager->store));
        else
                send_next(n);
}

/* Did anything happen since the last one? */
static bool is_due(Notary *n) {
        CheckpointRow last = { 0 };
        StoreTotals totals;
        int r;

        r = store_last_checkpoint(n->manager->store, &last);
        if (r == -ENOENT)
                return true;
        if (r < 0 || store_totals(n->manager->store, &totals) < 0)
                return false;
        return totals.events > last.event_seq || clock_wall_usec() - last.wall_usec >= (int64_t) IDLE_USEC;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Notary *n = userdata;

        (void) usec;
        if (!n->checkpointing && is_due(n)) {
                Fact f = fact_now(n, FACT_CHECKPOINT, "rhythm");

                n->checkpointing = store_put(n->manager->store, &f, on_checkpoint, n) >= 0;
        }
        return timer_in(source, n->manager->settings->checkpoint_usec);
}

/* ---- Orders -------------------------------------------------------------------------------------------------------- */

typedef struct NotaryOrder {
        Notary *notary;
        bool rotation;
        ManagerDone done;
        void *userdata;
} NotaryOrder;

static void rotated(Notary *n, int result) {
        int r;

        n->rotating = false;
        r = result >= 0 ? dock_keys_taken_over(n->keys) : dock_keys_give_up(n->keys);
        use_keys(n);
        manager_tell(n->manager);
        if (r < 0)
                log_warning(NULL, "The files of the dock's key are not as they should be, which the next start settles: %s",
                            strerror(-r));
        if (result >= 0)
                log_notice(NULL, "The dock has another key from now on; the one before it signed that");
}

static void on_ordered(int result, void *userdata) {
        NotaryOrder o = *(NotaryOrder *) userdata;
        _cleanup_(freep) char *text = NULL;

        free(userdata);
        if (o.rotation)
                rotated(o.notary, result);
        if (result < 0)
                text = text_format("It cannot be signed: %s", store_last_refusal(o.notary->manager->store));
        else
                send_next(o.notary);
        if (o.done)
                o.done(o.userdata, result, text);
}

static int give(Notary *n, FactKind kind, const Operator *by, ManagerDone done, void *userdata) {
        NotaryOrder *o = malloc(sizeof(*o));
        Fact f;
        int r;

        if (!o)
                return -ENOMEM;
        *o = (NotaryOrder){ .notary = n, .rotation = kind == FACT_KEY_ROTATED, .done = done, .userdata = userdata };
        f = fact_now(n, kind, kind == FACT_CHECKPOINT ? "asked for" : NULL);
        if (by) {
                f.by_operator = true;
                f.operator_uid = by->uid;
                f.operator_name = by->name;
        }
        if (o->rotation)
                f.key.public = *sign_key_public(dock_keys_next(n->keys));
        r = store_put(n->manager->store, &f, on_ordered, o);
        if (r < 0)
                free(o);
        return r;
}

int notary_order_checkpoint(Notary *n, const Operator *by, ManagerDone done, void *userdata) {
        return give(n, FACT_CHECKPOINT, by, done, userdata);
}

static int begin_rotation(Notary *n, const Operator *by, ManagerDone done, void *userdata) {
        int r;

        use_keys(n);
        r = give(n, FACT_KEY_ROTATED, by, done, userdata);
        if (r >= 0)
                n->rotating = true;
        return r;
}

int notary_order_rotation(Notary *n, const Operator *by, ManagerDone done, void *userdata) {
        int r;

        if (n->rotating)
                return -EBUSY;
        r = dock_keys_prepare(n->keys);
        if (r < 0)
                return r;
        r = begin_rotation(n, by, done, userdata);
        if (r < 0) {
                (void) dock_keys_give_up(n->keys);
                use_keys(n);
        }
        return r;
}

/* ---- Beginning and end --------------------------------------------------------------------------------------------- */

static int make_dock_id(char ret[static DOCK_ID_SIZE]) {
        sd_id128_t id;
        int r;

        r = sd_id128_randomize(&id);
        if (r < 0)
                return r;
        (void) sd_id128_to_string(id, ret);
        return 0;
}

/* A log that knows of no key yet is a new dock's, or that of one whose database was made anew, and which stays the dock that it was. */
static int record_first_key(Notary *n, ConfError *error) {
        Fact f = fact_now(n, FACT_KEY_MADE, NULL);
        int r;

        r = dock_keys_recall_id(n->keys, n->dock_id);
        if (r == -ENOENT)
                r = make_dock_id(n->dock_id);
        else if (r >= 0) {
                /* How many things it signed nobody knows any more, but for that they were fewer than one a second. */
                f.text = "the dock had this id before its database was made anew";
                f.key.numbers_from = (uint64_t) MAX2(f.at.wall_usec, (int64_t) 0) / USEC_PER_SEC;
        }
        if (r == -EBADMSG)
                return conf_fail(error, "%s/dock.id does not hold a dock's id, and the custody log knows of none: restore it (the fleet's "
                                 "list and the names below docks/ in the store tell), or remove it, and the dock gets another one",
                                 n->manager->settings->state_dir), r;
        if (r < 0)
                return r;
        f.key.dock_id = n->dock_id;
        f.key.public = *notary_public_key(n);
        return store_put(n->manager->store, &f, NULL, NULL);
}

static int open_keys(Notary *n, ConfError *error) {
        DockKey known = { 0 };
        int r;

        r = store_dock_key(n->manager->store, &known);
        if (r < 0 && r != -ENOENT)
                return conf_fail(error, "The custody log in %s does not say which key is the dock's: %s", n->manager->settings->state_dir,
                                 strerror(-r)), r;
        memcpy(n->dock_id, known.dock_id, DOCK_ID_SIZE);
        r = dock_keys_open(n->manager->settings->state_dir, r < 0 ? NULL : &known, &n->keys, error);
        if (r < 0)
                return r;
        use_keys(n);
        if (!n->dock_id[0])
                r = record_first_key(n, error);
        else
                r = 0;
        if (r < 0)
                return r;
        r = dock_keys_remember_id(n->keys, n->dock_id);
        if (r < 0)
                return conf_fail(error, "%s/dock.id cannot be written: %s", n->manager->settings->state_dir, strerror(-r)), r;
        return dock_keys_next(n->keys) ? begin_rotation(n, NULL, NULL, NULL) : 0;
}

int notary_new(Manager *m, Notary **ret, ConfError *error) {
        _cleanup_(notary_freep) Notary *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        n->manager = m;
        r = open_keys(n, error);
        if (r < 0)
                return r;
        if ((r = sd_event_add_time(m->event, &n->timer, CLOCK_BOOTTIME, clock_boottime_usec() + m->settings->checkpoint_usec,
                                   USEC_PER_SEC / 4, on_timer, n)) < 0 ||
            (r = sd_event_add_time(m->event, &n->retry, CLOCK_BOOTTIME, 0, USEC_PER_SEC, on_retry, n)) < 0 ||
            (r = sd_event_source_set_enabled(n->retry, SD_EVENT_OFF)) < 0)
                return r;
        *ret = TAKE_PTR(n);
        return 0;
}

void notary_stop(Notary *n) {
        Fact f;

        if (!n)
                return;
        f = fact_now(n, FACT_CHECKPOINT, "the daemon ends");
        (void) store_put(n->manager->store, &f, NULL, NULL);
}

/* After the store's end: its completions, and its thread, know the keys. */
Notary *notary_free(Notary *n) {
        if (!n)
                return NULL;
        sd_event_source_disable_unref(n->timer);
        sd_event_source_disable_unref(n->retry);
        free(n->sending);
        dock_keys_free(n->keys);
        free(n);
        return NULL;
}

static void on_replaced(int result, void *userdata) {
        *(int *) userdata = result;
}

static int replace(Store *store, const Settings *settings, int *outcome, ConfError *error) {
        _cleanup_(sign_key_freep) SignKey *key = NULL;
        Fact f = { .kind = FACT_KEY_REPLACED, .text = "the key before it is lost, says whoever ran berthd --replace-key",
                   .by_operator = true, .operator_uid = (uint32_t) getuid() };
        DockKey known;
        int r;

        r = store_dock_key(store, &known);
        if (r == -ENOENT)
                return conf_fail(error, "the dock never had a key: it gets one when berthd is started"), r;
        if (r >= 0)
                r = dock_keys_find(settings->state_dir, true, &key, error);
        if (r < 0)
                return r;
        f.key.public = *sign_key_public(key);
        if (public_key_equal(&f.key.public, &known.public))
                return conf_fail(error, "the key at hand is the dock's: nothing is to be replaced"), -EALREADY;
        moment_now(false, &f.at);
        return store_put(store, &f, on_replaced, outcome);
}

int notary_replace_key(const Settings *settings, ConfError *error) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        Store *store = NULL;
        int r, outcome = 0;

        r = sd_event_new(&event);
        if (r >= 0)
                r = store_open(event, settings->state_dir, &store, error);
        if (r < 0)
                return r;
        r = replace(store, settings, &outcome, error);
        /* Finishes what was handed over. */
        (void) store_close(store);
        if (r >= 0 && outcome < 0)
                return conf_fail(error, "the custody log in %s cannot be written: %s", settings->state_dir, strerror(-outcome)), outcome;
        return r < 0 ? r : 0;
}
