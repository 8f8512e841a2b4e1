/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the store tells a recovery. The dock's own signed receipts say which manifests to look at. None of it is believed by itself: the
 * manifest must be what was signed, and its object is read whole and must have the digest, before a clip counts as stored. Whatever fails
 * that is told of in a sentence and counts as not stored, so that nothing is erased for its sake.
 */

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/layout.h"
#include "base/log.h"
#include "base/statement.h"
#include "base/stored_clip.h"
#include "base/text.h"
#include "core/clip.h"
#include "service/dock_key.h"
#include "service/recover_private.h"
#include "service/uplink.h"

#define CONNECT_USEC (60 * USEC_PER_SEC)
/* Of a call that the store could not serve just now. */
#define ATTEMPTS_MAX 5u
#define PAUSE_USEC USEC_PER_SEC
#define KEYS_MAX 64u

typedef struct StoreLook {
        Recovery *recovery;
        Uplink *uplink;
        char dock_id[DOCK_ID_SIZE];
        PublicKey keys[KEYS_MAX]; /* the dock's, and those that it had */
        size_t n_keys;
        void *taken; /* tsearch(3): manifests that were believed already */

        /* Of the call that is under way. */
        bool done;
        UplinkResult result;
        uint64_t retry_after_usec;
        char why[512];
        char *text;
        char strength[16];
        char **list;
        size_t n_list;
        bool more, out_of_memory;
        bool gone; /* it does not answer any more: nothing else is asked */
} StoreLook;

/* What a receipt that this dock signed says. Points into its statement. */
typedef struct SignedReceipt {
        const char *manifest, *object, *version;
        uint64_t size_bytes;
        Digest digest;
        int64_t time_unix_sec;
} SignedReceipt;

typedef struct StoredManifest {
        json_t *object;
        const json_t *facts;
        const char *serial, *path;
        int64_t mtime_unix_sec;
} StoredManifest;

/* ---- Names that are known ------------------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b) {
        return strcmp(a, b);
}

/* Takes the name. 1 when it is known already. */
static int note_name(void **names, char *name) {
        char **found;

        if (!name)
                return -ENOMEM;
        found = tsearch(name, names, compare_names);
        if (found && *found == name)
                return 0;
        free(name);
        return found ? 1 : -ENOMEM;
}

static char *content_name(const char *serial, const char *path, const Digest *digest) {
        char hex[DIGEST_HEX_SIZE];

        return text_format("%s\n%s\n%s", serial, path, digest_to_hex(digest, hex));
}

int recovery_note_content(Recovery *r, const char *serial, const char *path, const Digest *digest) {
        return note_name(&r->contents, content_name(serial, path, digest));
}

void recovery_forget_names(void **names) {
        while (*names) {
                char *name = **(char ***) names;

                (void) tdelete(name, names, compare_names);
                free(name);
        }
}

/* ---- Calls, one after the other ------------------------------------------------------------------------------------ */

static void on_state(void *userdata, const char *state, const char *reason) {
        (void) userdata;
        (void) state;
        (void) reason;
}

static void on_progress(void *userdata, uint64_t clip_id, uint64_t bytes) {
        (void) userdata;
        (void) clip_id;
        (void) bytes;
}

static const UplinkOps look_ops = { .on_state = on_state, .on_progress = on_progress };

static void forget_list(StoreLook *l) {
        for (size_t i = 0; i < l->n_list; i++)
                free(l->list[i]);
        free(l->list);
        l->list = NULL;
        l->n_list = 0;
}

static void take_answer(StoreLook *l, const UplinkAnswer *answer) {
        l->done = true;
        l->result = answer->result;
        l->retry_after_usec = answer->retry_after_usec;
        if (answer->result != UPLINK_OK)
                (void) snprintf(l->why, sizeof(l->why), "%s", answer->text ? answer->text : "it did not say why");
}

static void on_fetched(void *userdata, void *cookie, const UplinkAnswer *answer) {
        StoreLook *l = cookie;

        (void) userdata;
        take_answer(l, answer);
        if (answer->result != UPLINK_OK)
                return;
        l->text = strdup(answer->text);
        l->out_of_memory |= !l->text;
}

static void on_listed(void *userdata, void *cookie, const UplinkAnswer *answer, const UplinkKeys *keys) {
        StoreLook *l = cookie;

        (void) userdata;
        take_answer(l, answer);
        if (answer->result != UPLINK_OK)
                return;
        l->more = keys->more;
        l->list = calloc(MAX2(keys->n, (size_t) 1), sizeof(char *));
        if (!l->list)
                l->out_of_memory = true;
        for (size_t i = 0; l->list && i < keys->n; i++) {
                l->list[i] = strdup(keys->keys[i]);
                if (!l->list[i]) {
                        l->out_of_memory = true;
                        break;
                }
                l->n_list++;
        }
}

static void on_verified(void *userdata, void *cookie, const UplinkAnswer *answer) {
        StoreLook *l = cookie;

        (void) userdata;
        take_answer(l, answer);
        if (answer->result == UPLINK_OK)
                (void) snprintf(l->strength, sizeof(l->strength), "%s", answer->strength);
}

static int pause_for(StoreLook *l, uint64_t usec) {
        uint64_t until = clock_boottime_usec() + usec;
        int r = 0;

        for (uint64_t now; r >= 0 && (now = clock_boottime_usec()) < until;)
                r = sd_event_run(l->recovery->event, until - now);
        return r < 0 ? r : 0;
}

/* What to ask: a text by its key, the keys after one, or an object by its receipt. */
typedef struct Question {
        const char *fetch, *prefix, *after;
        const SignedReceipt *receipt;
} Question;

static int send_question(StoreLook *l, const Question *q) {
        l->done = false;
        if (q->fetch)
                return uplink_fetch(l->uplink, q->fetch, on_fetched, l);
        if (q->prefix)
                return uplink_list(l->uplink, q->prefix, q->after, WIRE_LIST_MAX, on_listed, l);
        return uplink_verify(l->uplink, q->receipt->object, q->receipt->manifest, q->receipt->size_bytes, &q->receipt->digest, on_verified,
                             l);
}

/* Thousands of receipts are not each given the time that a store which is away has. */
static void give_up(StoreLook *l) {
        l->gone = true;
        l->more = false;
        l->recovery->result.store_asked = false;
        log_warning(NULL, "The store does not answer any more, so that clips which it alone holds, and were not looked at by now, count "
                    "as not stored: %s", l->why);
}

/* Asks until there is an answer, or the store had its chances and is gone: negative only when this machine fails. */
static int ask(StoreLook *l, const Question *q) {
        for (unsigned attempt = 1;; attempt++) {
                int r = send_question(l, q);

                while (r >= 0 && !l->done)
                        r = sd_event_run(l->recovery->event, UINT64_MAX);
                if (r >= 0 && l->out_of_memory)
                        r = -ENOMEM;
                if (r < 0)
                        return recovery_fail(l->recovery, r, "the uplink cannot be asked about the store: %s", strerror(-r));
                if (l->result != UPLINK_UNAVAILABLE && l->result != UPLINK_BUSY)
                        return 0;
                if (attempt == ATTEMPTS_MAX) {
                        give_up(l);
                        return 0;
                }
                r = pause_for(l, MAX2(l->retry_after_usec, PAUSE_USEC));
                if (r < 0)
                        return recovery_fail(l->recovery, r, "the event loop fails: %s", strerror(-r));
        }
}

static int fetch(StoreLook *l, const char *key, char **ret) {
        int r;

        l->text = NULL;
        r = ask(l, &(Question){ .fetch = key });
        *ret = TAKE_PTR(l->text);
        return r;
}

/* ---- The dock's keys ----------------------------------------------------------------------------------------------- */

static bool is_own_key(const StoreLook *l, const PublicKey *key) {
        for (size_t i = 0; i < l->n_keys; i++)
                if (public_key_equal(&l->keys[i], key))
                        return true;
        return false;
}

static bool fits(const StoreLook *l, const Statement *s, const char *type, const char *key) {
        const StatementAbout expected = { .type = type, .key = key, .dock = l->dock_id };

        return !statement_mismatch(s, &expected, NULL);
}

/*
 * A key that signed the takeover of one of the dock's was the dock's before. That proves less than a fleet's list does, since whoever
 * writes into the store can say so of any key; but all that hangs on it is which objects are looked at.
 */
static int look_at_rotation(StoreLook *l, const char *key) {
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(freep) char *text = NULL;
        PublicKey new_key;
        int r;

        r = fetch(l, key, &text);
        if (r < 0 || !text)
                return r;
        if (statement_parse(text, strlen(text), &s) < 0 || !fits(l, &s, STATEMENT_KEY_ROTATION, key) ||
            public_key_from_hex(json_string_value(json_object_get(s.object, "new_key")), &new_key) < 0)
                return 0;
        if (is_own_key(l, &new_key) && !is_own_key(l, &s.signer) && l->n_keys < KEYS_MAX)
                l->keys[l->n_keys++] = s.signer;
        return 0;
}

/* From the newest back. */
static int find_keys(StoreLook *l) {
        _cleanup_(freep) char *prefix = text_format("%s/%s/", WIRE_KEEP_KEYS, l->dock_id);
        int r;

        if (!prefix)
                return recovery_fail(l->recovery, -ENOMEM, "out of memory");
        r = ask(l, &(Question){ .prefix = prefix, .after = "" });
        for (size_t i = l->n_list; r >= 0 && !l->gone && i > 0; i--)
                r = look_at_rotation(l, l->list[i - 1]);
        forget_list(l);
        return r;
}

/* ---- One manifest -------------------------------------------------------------------------------------------------- */

static int not_believed(StoreLook *l, const char *key, const char *why) {
        if (l->gone)
                return 0;
        log_warning(NULL, "%s in the store is not believed: %s; its clip counts as not stored", key, why);
        l->recovery->result.not_taken++;
        return 0;
}

/* NULL, or why it is no receipt of this dock. */
static const char *read_receipt(const StoreLook *l, const char *key, const Statement *s, SignedReceipt *ret) {
        const json_t *size = json_object_get(s->object, "size"), *o = s->object;
        SignedReceipt receipt = {
                .manifest = json_string_value(json_object_get(o, "manifest")),
                .object = json_string_value(json_object_get(o, "object")),
                .version = json_string_value(json_object_get(o, "object_version")),
        };
        const char *digest = json_string_value(json_object_get(o, "sha256")), *time = json_string_value(json_object_get(o, "time"));
        int64_t usec;

        if (!is_own_key(l, &s->signer))
                return "it was signed by a key that is none of this dock's";
        if (!fits(l, s, STATEMENT_MANIFEST, key))
                return "it was signed as something else, or for another dock or another key in the store, and copied here";
        if (!receipt.manifest || !receipt.object || !json_is_integer(size) || json_integer_value(size) < 0 || !digest ||
            digest_from_hex(digest, &receipt.digest) < 0 || !time || utc_from_text(time, &usec) < 0)
                return "it does not say what it must";
        receipt.size_bytes = (uint64_t) json_integer_value(size);
        receipt.time_unix_sec = usec / (int64_t) USEC_PER_SEC;
        *ret = receipt;
        return NULL;
}

static bool is_digest(const json_t *text, const Digest *digest) {
        Digest there;

        return json_is_string(text) && digest_from_hex(json_string_value(text), &there) >= 0 && digest_equal(&there, digest);
}

/* NULL, or why the manifest is not the one that the receipt is about. */
static const char *compare_manifest(const json_t *j, const SignedReceipt *receipt, StoredManifest *ret) {
        const json_t *mtime = json_object_get(j, "mtime"), *size = json_object_get(j, "size");
        const char *day = json_string_value(json_object_get(j, "day"));
        _cleanup_(freep) char *key = NULL;
        StoredManifest m = {
                .facts = json_object_get(j, "facts"),
                .serial = json_string_value(json_object_get(j, "serial")),
                .path = json_string_value(json_object_get(j, "path")),
                .mtime_unix_sec = FACT_UNKNOWN_TIME,
        };
        int64_t usec;

        if (json_integer_value(json_object_get(j, "version")) != MANIFEST_VERSION)
                return "it is no manifest of a version that this Berth knows";
        if (!text_equal(json_string_value(json_object_get(j, "manifest")), receipt->manifest) ||
            !text_equal(json_string_value(json_object_get(j, "object")), receipt->object) ||
            !is_digest(json_object_get(j, "sha256"), &receipt->digest) || !json_is_integer(size) ||
            json_integer_value(size) != (json_int_t) receipt->size_bytes)
                return "it names something else than this dock's receipt";
        if (!m.serial || !m.serial[0] || !m.path || !text_path_is_valid(m.path) || !day || !json_is_object(m.facts))
                return "it does not say whose clip it is";
        if (json_is_string(mtime) && utc_from_text(json_string_value(mtime), &usec) >= 0)
                m.mtime_unix_sec = usec / (int64_t) USEC_PER_SEC;
        else if (!json_is_null(mtime))
                return "its time cannot be read";
        /* The signed receipt covers the key, and the key camera and path. */
        if (layout_manifest_key(m.serial, day, m.path, &receipt->digest, &key) < 0 || !text_equal(key, receipt->manifest))
                return "it says that it is of another clip than its name tells";
        if (json_is_object(json_object_get(m.facts, "partial")))
                return "it is of what could be read of a clip, which is no clip of the camera's";
        *ret = m;
        return NULL;
}

/* A statement of its own, where the manifest carries one, must stand, too. */
static int judge_manifest(StoreLook *l, const char *text, const SignedReceipt *receipt, StoredManifest *ret, const char **ret_why) {
        const StoredClipTrust trust = { .dock_id = l->dock_id, .own_keys = l->keys, .n_own_keys = l->n_keys,
                                        .now_usec = clock_wall_usec() };
        int verdict;

        verdict = stored_clip_judge(text, strlen(text), receipt->manifest, &trust, ret_why, NULL);
        if (verdict < 0)
                return recovery_fail(l->recovery, verdict, "out of memory");
        if (verdict == STORED_CLIP_REFUSED)
                return 0;
        ret->object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        *ret_why = compare_manifest(ret->object, receipt, ret);
        return 0;
}

static const char *fact_text(const json_t *facts, const char *key) {
        const char *text = json_string_value(json_object_get(json_object_get(facts, "camera"), key));

        return text ? text : "";
}

static int put_stored(StoreLook *l, const StoredManifest *m, const SignedReceipt *receipt) {
        const char *seen = json_string_value(json_object_get(m->facts, "first_seen"));
        Fact clip = { .kind = FACT_CLIP_RECOVERED, .text = "in the store, whose object was read whole and has the digest that was signed" };
        Fact stored = { .kind = FACT_RECEIPTED };
        Recovery *r = l->recovery;
        int result;

        clip.clip_id = stored.clip_id = r->next_id[STORE_ID_CLIP];
        recovery_note_id(r, STORE_ID_CLIP, clip.clip_id);
        clip.camera_id = recovery_camera(r, m->serial, 0);
        if (clip.camera_id == 0)
                return recovery_fail(r, -ENOMEM, "out of memory");
        clip.recovered = (FactRecovered){
                .serial = m->serial, .manufacturer = fact_text(m->facts, "manufacturer"), .model = fact_text(m->facts, "model"),
                .firmware = fact_text(m->facts, "firmware"), .storage_id = "", .model_id = fact_text(m->facts, "model_id"),
                .path = m->path, .size_bytes = receipt->size_bytes, .mtime_unix_sec = m->mtime_unix_sec, .digest = receipt->digest,
        };
        /* What an erase compares: of an empty clip it is known. */
        if (receipt->size_bytes == 0)
                clip.recovered.head = clip.recovered.tail = receipt->digest;
        if (text_equal(json_string_value(json_object_get(m->facts, "kind")), "companion"))
                clip.recovered.flags |= CLIP_FLAG_COMPANION;
        if (json_is_true(json_object_get(m->facts, "priority")))
                clip.recovered.flags |= CLIP_FLAG_PRIORITY;
        if (!seen || utc_from_text(seen, &clip.recovered.seen_usec) < 0)
                clip.recovered.seen_usec = receipt->time_unix_sec * (int64_t) USEC_PER_SEC;
        result = recovery_put(r, &clip);
        if (result < 0)
                return result;
        stored.receipt.object_key = receipt->object;
        stored.receipt.manifest_key = receipt->manifest;
        stored.receipt.version = receipt->version ? receipt->version : "";
        stored.receipt.strength = l->strength;
        stored.receipt.size_bytes = receipt->size_bytes;
        stored.receipt.digest = receipt->digest;
        stored.receipt.time_unix_sec = receipt->time_unix_sec;
        stored.receipt.already_there = true;
        r->result.from_store++;
        return recovery_put(r, &stored);
}

static int take_manifest(StoreLook *l, const StoredManifest *m, const SignedReceipt *receipt) {
        int r;

        if (note_name(&l->taken, strdup(receipt->manifest)) < 0)
                return recovery_fail(l->recovery, -ENOMEM, "out of memory");
        /* The spool has it: it is sent as before, and found. */
        r = recovery_note_content(l->recovery, m->serial, m->path, &receipt->digest);
        if (r != 0)
                return r < 0 ? recovery_fail(l->recovery, r, "out of memory") : 0;
        return put_stored(l, m, receipt);
}

static int look_at_manifest(StoreLook *l, const SignedReceipt *receipt) {
        _cleanup_(freep) char *text = NULL;
        StoredManifest m = { 0 };
        const char *why = NULL;
        int r;

        r = fetch(l, receipt->manifest, &text);
        if (r < 0)
                return r;
        if (!text)
                return not_believed(l, receipt->manifest, l->why);
        r = judge_manifest(l, text, receipt, &m, &why);
        if (r >= 0 && !why) {
                r = ask(l, &(Question){ .receipt = receipt });
                if (r >= 0 && l->result != UPLINK_OK)
                        why = l->why;
        }
        if (r >= 0)
                r = why ? not_believed(l, receipt->manifest, why) : take_manifest(l, &m, receipt);
        json_decref(m.object);
        return r;
}

/* ---- All of them --------------------------------------------------------------------------------------------------- */

/* Once there are several receipts of one manifest, one that is proven is enough. */
static int look_at_receipt(StoreLook *l, const char *key) {
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(freep) char *text = NULL;
        SignedReceipt receipt;
        const char *why;
        int r;

        r = fetch(l, key, &text);
        if (r < 0)
                return r;
        if (!text)
                return not_believed(l, key, l->why);
        r = statement_parse(text, strlen(text), &s);
        if (r == -ENOMEM)
                return recovery_fail(l->recovery, r, "out of memory");
        why = r < 0 ? "its signature does not stand, or it is damaged" : read_receipt(l, key, &s, &receipt);
        if (why)
                return not_believed(l, key, why);
        return tfind(receipt.manifest, &l->taken, compare_names) ? 0 : look_at_manifest(l, &receipt);
}

static int look_at_page(StoreLook *l, const char *prefix, char **after) {
        int r;

        r = ask(l, &(Question){ .prefix = prefix, .after = *after ? *after : "" });
        if (r < 0 || l->gone)
                return r;
        if (l->result != UPLINK_OK) {
                log_warning(NULL, "The store does not say which receipts of this dock it has, so that clips which it alone holds count as "
                            "not stored: %s", l->why);
                l->recovery->result.store_asked = false;
                l->more = false;
                return 0;
        }
        free(*after);
        *after = l->n_list > 0 ? strdup(l->list[l->n_list - 1]) : NULL;
        for (size_t i = 0; r >= 0 && !l->gone && i < l->n_list; i++)
                r = look_at_receipt(l, l->list[i]);
        return r;
}

static int look_at_all(StoreLook *l) {
        _cleanup_(freep) char *prefix = text_format("%s/%s/", WIRE_KEEP_RECEIPTS, l->dock_id), *after = NULL;
        bool more = true;
        int r = 0;

        if (!prefix)
                return recovery_fail(l->recovery, -ENOMEM, "out of memory");
        while (r >= 0 && more && !l->gone) {
                r = look_at_page(l, prefix, &after);
                more = l->more && l->n_list > 0;
                forget_list(l);
        }
        return r;
}

/* ---- Holds ---------------------------------------------------------------------------------------------------------- */

static int look_at_hold(StoreLook *l, const char *key, RecoveryHolds *holds) {
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(freep) char *text = NULL;
        const char *why = NULL;
        int r;

        r = fetch(l, key, &text);
        if (r < 0 || l->gone)
                return r;
        r = text ? statement_parse(text, strlen(text), &s) : -EBADE;
        if (r == -ENOMEM)
                return recovery_fail(l->recovery, r, "out of memory");
        if (r < 0)
                why = text ? "its signature does not stand, or it is damaged" : l->why;
        else if (!is_own_key(l, &s.signer))
                why = "it was signed by a key that is none of this dock's";
        else if (!fits(l, &s, STATEMENT_HOLD, key))
                why = "it was signed as something else, or for another dock or another key in the store, and copied here";
        else
                why = recovery_holds_add(holds, &s);
        if (!why)
                return 0;
        log_warning(NULL, "%s in the store is not believed: %s; look whether 'berthctl hold' shows all that has to be held", key, why);
        l->recovery->result.not_taken++;
        return 0;
}

/* By their numbers, which rise: what was released last is. */
static int look_at_holds(StoreLook *l, RecoveryHolds *holds) {
        _cleanup_(freep) char *prefix = text_format("%s/%s/", WIRE_KEEP_HOLDS, l->dock_id), *after = NULL;
        bool more = true;
        int r = 0;

        if (!prefix)
                return recovery_fail(l->recovery, -ENOMEM, "out of memory");
        while (r >= 0 && more && !l->gone) {
                r = ask(l, &(Question){ .prefix = prefix, .after = after ? after : "" });
                if (r < 0 || l->gone)
                        break;
                if (l->result != UPLINK_OK) {
                        log_warning(NULL, "The store does not say what this dock holds: give holds anew with 'berthctl hold set': %s",
                                    l->why);
                        l->recovery->result.store_asked = false;
                        break;
                }
                free(after);
                after = l->n_list > 0 ? strdup(l->list[l->n_list - 1]) : NULL;
                more = l->more && after;
                for (size_t i = 0; r >= 0 && !l->gone && i < l->n_list; i++)
                        r = look_at_hold(l, l->list[i], holds);
                forget_list(l);
        }
        forget_list(l);
        return r;
}

static int take_holds(StoreLook *l) {
        _cleanup_(recovery_holds_freep) RecoveryHolds *holds = NULL;
        int r = recovery_holds_new(&holds);

        if (r < 0)
                return recovery_fail(l->recovery, r, "out of memory");
        r = look_at_holds(l, holds);
        return r < 0 ? r : recovery_take_holds(l->recovery, holds);
}

/* ---- Before that --------------------------------------------------------------------------------------------------- */

static int leave_out(StoreLook *l, const char *why) {
        log_warning(NULL, "The store is not asked, so that clips which it alone holds count as not stored: %s", why);
        l->recovery->result.store_asked = false;
        return 0;
}

/* Positive: it can be asked. 0: it cannot, which was said. */
static int connect_store(StoreLook *l) {
        const char *path = l->recovery->settings->uplink_socket, *reason = NULL;
        uint64_t until = clock_boottime_usec() + CONNECT_USEC;
        struct stat st;
        int r = 0;

        if (stat(path, &st) < 0)
                return leave_out(l, "berth-uplink does not run");
        r = uplink_new(l->recovery->event, path, &look_ops, l, &l->uplink);
        for (uint64_t now;
             r >= 0 && text_equal(uplink_state(l->uplink, &reason), "disconnected") && (now = clock_boottime_usec()) < until;)
                r = sd_event_run(l->recovery->event, until - now);
        if (r < 0)
                return recovery_fail(l->recovery, r, "the uplink cannot be connected to: %s", strerror(-r));
        if (text_equal(uplink_state(l->uplink, &reason), WIRE_STORE_READY) ||
            text_equal(uplink_state(l->uplink, &reason), WIRE_STORE_PAUSED) ||
            text_equal(uplink_state(l->uplink, &reason), WIRE_STORE_FULL) ||
            text_equal(uplink_state(l->uplink, &reason), WIRE_STORE_READ_ONLY))
                return 1;
        return leave_out(l, reason && *reason ? reason : "it cannot be reached");
}

/* Who the dock is: 1, or 0 when nobody can tell. */
static int find_dock(StoreLook *l) {
        _cleanup_(dock_keys_freep) DockKeys *keys = NULL;
        _cleanup_(sign_key_freep) SignKey *key = NULL;
        ConfError error = { 0 };
        int r;

        r = dock_keys_find(l->recovery->settings->state_dir, false, &key, &error);
        if (r < 0)
                return leave_out(l, "the dock's key, by which its own receipts are told from others', is not at hand");
        l->keys[l->n_keys++] = *sign_key_public(key);
        r = dock_keys_open(l->recovery->settings->state_dir, NULL, &keys, &error);
        if (r >= 0)
                r = dock_keys_recall_id(keys, l->dock_id);
        return r < 0 ? leave_out(l, "dock.id, which says under which name its receipts lie there, is not at hand") : 1;
}

int recovery_take_store(Recovery *r) {
        StoreLook l = { .recovery = r };
        int result;

        r->result.store_asked = true;
        result = find_dock(&l);
        if (result > 0)
                result = connect_store(&l);
        if (result > 0) {
                result = find_keys(&l);
                if (result >= 0)
                        result = look_at_all(&l);
                if (result >= 0)
                        result = take_holds(&l);
        }
        l.uplink = uplink_free(l.uplink);
        recovery_forget_names(&l.taken);
        return result < 0 ? result : 0;
}
