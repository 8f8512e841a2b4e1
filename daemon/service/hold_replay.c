/* SPDX-License-Identifier: Apache-2.0 */
#include "service/hold_replay.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/statement.h"
#include "base/text.h"
#include "core/backoff.h"
#include "service/manager_private.h"

#define RETRY_MIN_USEC (2 * USEC_PER_SEC)
#define RETRY_MAX_USEC (600 * USEC_PER_SEC)
#define CLIPS_A_READ 256u

struct HoldReplay {
        Manager *manager;
        sd_event_source *retry;
        uint64_t after, upto; /* numbers of what the backup does not know, the first left out */
        bool waits, busy;
        unsigned failures;
        char said[512]; /* the last sentence that was logged */

        /* One try. */
        char **keys; /* of a page, that are to be read */
        size_t n_keys, at_key;
        char *listed; /* the last key that was listed */
        bool more;
        uint64_t number; /* of a store that lists nothing: the next one that is asked for */
        bool one_by_one;
        json_t *last;    /* of each thing and case, what was signed of it last */
        void *at;        /* which of these is being put on record */
        uint64_t camera_id; /* that was made for it */
        unsigned set, released;
};

static void read_next(HoldReplay *h);
static void apply_next(HoldReplay *h);

bool hold_replay_waits(const HoldReplay *h) {
        return h && h->waits;
}

/* ---- Beginning and end of a try ------------------------------------------------------------------------------------ */

static void forget_keys(HoldReplay *h) {
        for (size_t i = 0; i < h->n_keys; i++)
                free(h->keys[i]);
        free(h->keys);
        h->keys = NULL;
        h->n_keys = h->at_key = 0;
}

static void forget(HoldReplay *h) {
        forget_keys(h);
        free(h->listed);
        h->listed = NULL;
        json_decref(h->last);
        h->last = NULL;
        h->at = NULL;
        h->camera_id = 0;
        h->set = h->released = 0;
        h->more = h->one_by_one = h->busy = false;
}

/* Once for each sentence: a store that is away for days says the same each time. */
static void try_again(HoldReplay *h, const char *why) {
        forget(h);
        if (!text_equal(h->said, why)) {
                (void) snprintf(h->said, sizeof(h->said), "%s", why);
                log_warning(NULL, "What was held when the database was put back from a backup is not known yet, so that nothing is erased: "
                            "%s", why);
        }
        (void) sd_event_source_set_time(h->retry, clock_boottime_usec() + backoff_usec(++h->failures, RETRY_MIN_USEC, RETRY_MAX_USEC));
        (void) sd_event_source_set_enabled(h->retry, SD_EVENT_ONESHOT);
}

static void on_all_read(int result, void *userdata) {
        HoldReplay *h = userdata;
        Manager *m = h->manager;

        if (m->stopping)
                return;
        if (result < 0 && result != -EALREADY)
                return try_again(h, store_last_refusal(m->store));
        log_notice(NULL, "What was held when the database was put back from a backup is in force again: %u holds, %u releases", h->set,
                   h->released);
        forget(h);
        h->waits = false;
        holds_look_up_all(m);
}

static void all_applied(HoldReplay *h) {
        _cleanup_(freep) char *text = text_format("%u holds and %u releases that came after the backup", h->set, h->released);
        Fact f = { .kind = FACT_HOLDS_READ, .text = text };

        manager_moment(h->manager, &f.at);
        if (!text || store_put(h->manager->store, &f, on_all_read, h) < 0)
                try_again(h, "out of memory");
}

/* ---- On record ------------------------------------------------------------------------------------------------------ */

static const char *member(const json_t *hold, const char *name) {
        const char *text = json_string_value(json_object_get(hold, name));

        return text ? text : "";
}

/* The clip of that camera, path and content, or 0. */
static int find_clip(HoldReplay *h, const json_t *hold, uint64_t *ret) {
        uint64_t before = 0, found = 0;
        Digest digest = { 0 };
        size_t n = 1;

        /* One that was not copied when it was held has none, and may have one now: then its path must do. */
        (void) digest_from_hex(member(hold, "sha256"), &digest);
        while (n > 0 && found == 0) {
                ClipRow **rows;
                int r = store_clips_query(h->manager->store, member(hold, "serial"), _CLIP_STATE_INVALID, before, CLIPS_A_READ, &rows, &n);

                if (r < 0)
                        return r;
                for (size_t i = 0; i < n && found == 0; i++) {
                        before = rows[i]->id;
                        if (text_equal(rows[i]->path, member(hold, "path")) &&
                            (digest_is_zero(&digest) || digest_equal(&rows[i]->digest, &digest)))
                                found = rows[i]->id;
                }
                clip_rows_free(rows, n);
                n = n < CLIPS_A_READ ? 0 : n;
        }
        *ret = found;
        return 0;
}

static void on_recorded(int result, void *userdata) {
        HoldReplay *h = userdata;
        bool held = json_is_true(json_object_get(json_object_iter_value(h->at), "held"));

        /* It is as it should be: by the backup, or because another clip that is not known any more was held with the same camera. */
        if (result < 0 && result != -EALREADY && result != -ENOENT)
                return try_again(h, store_last_refusal(h->manager->store));
        if (result >= 0 && held)
                h->set++;
        else if (result >= 0)
                h->released++;
        h->at = json_object_iter_next(h->last, h->at);
        apply_next(h);
}

static void on_camera(int result, void *userdata) {
        HoldReplay *h = userdata;

        if (result < 0)
                return try_again(h, store_last_refusal(h->manager->store));
        apply_next(h);
}

/* A camera that was first docked after the backup. */
static int put_camera(HoldReplay *h, const char *serial) {
        Fact f = { .kind = FACT_CAMERA_SEEN, .camera_id = store_next_id(h->manager->store, STORE_ID_CAMERA) };

        f.camera.serial = serial;
        f.camera.manufacturer = f.camera.model = f.camera.firmware = f.camera.storage_id = f.camera.model_id = "";
        manager_moment(h->manager, &f.at);
        return store_put(h->manager->store, &f, on_camera, h);
}

static int put_hold(HoldReplay *h, const json_t *hold, uint64_t camera_id) {
        const char *path = member(hold, "path"), *by = member(hold, "operator"), *reason = member(hold, "reason");
        bool held = json_is_true(json_object_get(hold, "held"));
        Fact f = {
                .kind = held ? FACT_HOLD_SET : FACT_HOLD_RELEASED,
                .camera_id = camera_id,
                .text = reason[0] ? reason : NULL,
                .by_operator = true,
                .operator_uid = (uint32_t) json_integer_value(json_object_get(hold, "operator_uid")),
                .operator_name = by[0] ? by : NULL,
                .hold.case_name = member(hold, "case"),
        };
        _cleanup_(freep) char *all_of_it = NULL;
        int r;

        r = path[0] ? find_clip(h, hold, &f.clip_id) : 0;
        if (r < 0)
                return r;
        /* Rather too much than too little: its camera may still have it. What was held with it alone is not let go for another's sake. */
        if (path[0] && f.clip_id == 0) {
                if (!held)
                        return -ENOENT;
                all_of_it = text_format("%s%sheld was its clip %s, which is not known any more", reason, reason[0] ? "; " : "", path);
                if (!all_of_it)
                        return -ENOMEM;
                f.text = all_of_it;
        }
        manager_moment(h->manager, &f.at);
        return store_put(h->manager->store, &f, on_recorded, h);
}

static void apply_next(HoldReplay *h) {
        _cleanup_(camera_row_freep) CameraRow *camera = NULL;
        const json_t *hold = json_object_iter_value(h->at);
        int r;

        if (h->manager->stopping)
                return;
        if (!h->at)
                return all_applied(h);
        r = store_camera_by_serial(h->manager->store, member(hold, "serial"), &camera);
        if (r >= 0)
                r = put_hold(h, hold, camera->id);
        else if (r == -ENOENT && json_is_true(json_object_get(hold, "held")))
                r = put_camera(h, member(hold, "serial"));
        if (r == -ENOENT)
                return on_recorded(r, h);
        if (r < 0)
                try_again(h, strerror(-r));
}

/* ---- Reading --------------------------------------------------------------------------------------------------------- */

static void all_known(HoldReplay *h) {
        h->at = json_object_iter(h->last);
        apply_next(h);
}

static bool is_own_key(const HoldReplay *h, const PublicKey *key) {
        _cleanup_(freep) PublicKey *own = NULL;
        size_t n = 0;

        if (store_dock_keys(h->manager->store, &own, &n) < 0)
                return false;
        for (size_t i = 0; i < n; i++)
                if (public_key_equal(&own[i], key))
                        return true;
        return false;
}

/* NULL, or why it says nothing. Numbers rise: what is read later was signed later. */
static const char *take(HoldReplay *h, const char *key, const char *text) {
        const StatementAbout expected = { .type = STATEMENT_HOLD, .key = key, .dock = notary_dock_id(h->manager->notary) };
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(freep) char *about = NULL;
        int r;

        r = statement_parse(text, strlen(text), &s);
        if (r < 0)
                return "its signature does not stand, or it is damaged";
        if (!is_own_key(h, &s.signer))
                return "it was signed by a key that is none of this dock's";
        if (statement_mismatch(&s, &expected, NULL))
                return "it was signed as something else, or for another dock or another key in the store, and copied here";
        about = text_format("%s\n%s\n%s\n%s", member(s.object, "serial"), member(s.object, "path"), member(s.object, "sha256"),
                            member(s.object, "case"));
        if (!about || !member(s.object, "serial")[0] || !json_is_boolean(json_object_get(s.object, "held")) ||
            !json_is_integer(json_object_get(s.object, "operator_uid")))
                return "it does not say what it must";
        return json_object_set(h->last, about, s.object) < 0 ? "there is no memory for it" : NULL;
}

static void on_read(void *userdata, void *cookie, const UplinkAnswer *answer) {
        HoldReplay *h = cookie;
        const char *key = h->keys[h->at_key], *why;

        (void) userdata;
        if (answer->result == UPLINK_GONE && h->one_by_one)
                return all_known(h);
        if (answer->result != UPLINK_OK && answer->result != UPLINK_INVALID && answer->result != UPLINK_GONE)
                return try_again(h, answer->text);
        why = answer->result == UPLINK_OK ? take(h, key, answer->text) : answer->text;
        if (why)
                log_error(&(LogAbout){ .message = MESSAGE_STATEMENT_REFUSED },
                          "%s in the store is not believed: %s; look whether 'berthctl hold' shows all that has to be held", key, why);
        h->at_key++;
        read_next(h);
}

static int add_key(HoldReplay *h, const char *key) {
        char **grown = reallocarray(h->keys, h->n_keys + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        h->keys = grown;
        grown[h->n_keys] = strdup(key);
        return grown[h->n_keys] ? (int) ++h->n_keys : -ENOMEM;
}

static int key_of(const HoldReplay *h, uint64_t number, char **ret) {
        *ret = text_format("%s/%s/%010" PRIu64, WIRE_KEEP_HOLDS, notary_dock_id(h->manager->notary), number);
        return *ret ? 0 : -ENOMEM;
}

/* A server that names what it takes lists nothing: their numbers rise by one. */
static int add_next_number(HoldReplay *h) {
        _cleanup_(freep) char *key = NULL;
        int r = key_of(h, ++h->number, &key);

        return r < 0 ? r : add_key(h, key);
}

static void on_listed(void *userdata, void *cookie, const UplinkAnswer *answer, const UplinkKeys *keys) {
        HoldReplay *h = cookie;
        int r = 0;

        (void) userdata;
        if (answer->result == UPLINK_INVALID) {
                h->one_by_one = true;
                h->number = h->after;
                return read_next(h);
        }
        if (answer->result != UPLINK_OK || !keys)
                return try_again(h, answer->text);
        forget_keys(h);
        h->more = keys->more && keys->n > 0;
        for (size_t i = 0; i < keys->n && r >= 0; i++) {
                const char *slash = strrchr(keys->keys[i], '/');
                uint64_t number;

                /* What the dock signed after it was put back is in the database. */
                if (slash && sscanf(slash, "/%" SCNu64, &number) == 1 && number > h->after && number <= h->upto)
                        r = add_key(h, keys->keys[i]);
        }
        free(h->listed);
        h->listed = keys->n > 0 ? strdup(keys->keys[keys->n - 1]) : NULL;
        if (r < 0 || (h->more && !h->listed))
                return try_again(h, "out of memory");
        read_next(h);
}

static int list(HoldReplay *h) {
        _cleanup_(freep) char *prefix = text_format("%s/%s/", WIRE_KEEP_HOLDS, notary_dock_id(h->manager->notary)), *after = NULL;
        int r = prefix ? key_of(h, h->after, &after) : -ENOMEM;

        return r < 0 ? r : uplink_list(h->manager->uplink, prefix, h->listed ? h->listed : after, WIRE_LIST_MAX, on_listed, h);
}

static void read_next(HoldReplay *h) {
        int r;

        if (h->at_key == h->n_keys) {
                if (!h->one_by_one && !h->more)
                        return all_known(h);
                r = h->one_by_one ? add_next_number(h) : list(h);
                if (r < 0)
                        return try_again(h, "the uplink cannot be asked");
                if (!h->one_by_one)
                        return;
        }
        if (uplink_fetch(h->manager->uplink, h->keys[h->at_key], on_read, h) < 0)
                try_again(h, "the uplink cannot be asked");
}

void hold_replay_look(HoldReplay *h) {
        const char *state;

        if (!hold_replay_waits(h) || h->busy || h->manager->stopping)
                return;
        /* That it was put back is not on record yet: whoever puts it there comes here. */
        if (store_holds_unread(h->manager->store, &h->after, &h->upto) <= 0)
                return;
        state = manager_store_state(h->manager, NULL);
        if (!text_equal(state, WIRE_STORE_READY) && !text_equal(state, WIRE_STORE_PAUSED))
                return;
        h->busy = true;
        h->last = json_object();
        if (!h->last || list(h) < 0)
                try_again(h, "the uplink cannot be asked");
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        hold_replay_look(userdata);
        return 0;
}

int hold_replay_new(Manager *m, HoldReplay **ret) {
        _cleanup_(hold_replay_freep) HoldReplay *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        h->manager = m;
        r = sd_event_add_time(m->event, &h->retry, CLOCK_BOOTTIME, 0, USEC_PER_SEC / 10, on_retry, h);
        if (r >= 0)
                r = sd_event_source_set_enabled(h->retry, SD_EVENT_OFF);
        if (r >= 0)
                r = store_holds_unread(m->store, &h->after, &h->upto);
        if (r < 0)
                return r;
        h->waits = r > 0 || m->put_back;
        *ret = TAKE_PTR(h);
        return 0;
}

HoldReplay *hold_replay_free(HoldReplay *h) {
        if (!h)
                return NULL;
        forget(h);
        sd_event_source_disable_unref(h->retry);
        free(h);
        return NULL;
}
