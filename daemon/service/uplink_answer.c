/* SPDX-License-Identifier: Apache-2.0 */

/* What the uplink answers, parsed at the border: whatever is not what it must be is no answer. */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/text.h"
#include "base/wire_digest.h"
#include "service/uplink_private.h"

#define KEY_MAX 1024u
/* A longer time is the store's mistake, or an attack on the uplink. */
#define RETRY_AFTER_MAX_SEC (24u * 3600u)

static const char *const uplink_result_table[_UPLINK_RESULT_MAX] = {
        [UPLINK_OK] = "ok",
        [UPLINK_UNAVAILABLE] = "unavailable",
        [UPLINK_BUSY] = "busy",
        [UPLINK_FULL] = "full",
        [UPLINK_SOURCE] = "source",
        [UPLINK_CONFLICT] = "conflict",
        [UPLINK_GONE] = "gone",
        [UPLINK_INVALID] = "invalid",
        [UPLINK_STOPPED] = "stopped",
        [UPLINK_WHOLE] = "whole",
};

const char *uplink_result_to_string(UplinkResult r) {
        return (size_t) r < ELEMENTSOF(uplink_result_table) ? uplink_result_table[(size_t) r] : NULL;
}

/* ---- The end of a call ---------------------------------------------------------------------------------------------- */

UplinkCall *uplink_call_free(UplinkCall *c) {
        if (!c)
                return NULL;
        TAILQ_REMOVE(&c->uplink->calls, c, list);
        sd_bus_slot_unref(c->slot);
        free(c->prefix);
        free(c);
        return NULL;
}

void uplink_call_finish(UplinkCall *c, const UplinkAnswer *answer) {
        Uplink *u = c->uplink;
        UplinkCall call = *c;

        (void) uplink_call_free(c);
        if (call.put_done)
                call.put_done(u->userdata, call.cookie, answer);
        else if (call.confirm_done)
                call.confirm_done(u->userdata, call.cookie, answer);
        else if (call.keep_done)
                call.keep_done(u->userdata, call.cookie, answer);
        else if (call.examine_done)
                call.examine_done(u->userdata, call.cookie, answer);
        else if (call.list_done)
                call.list_done(u->userdata, call.cookie, answer, NULL);
}

void uplink_call_fail(UplinkCall *c, UplinkResult result, const char *text) {
        uplink_call_finish(c, &(UplinkAnswer){ .result = result, .text = text });
}

/* ---- What comes ---------------------------------------------------------------------------------------------------- */

static UplinkResult result_of_error(const sd_bus_error *e, char text[static UPLINK_TEXT_SIZE]) {
        static const struct {
                const char *name;
                UplinkResult result;
        } errors[] = {
                { WIRE_UPLINK_E_UNAVAILABLE, UPLINK_UNAVAILABLE }, { WIRE_UPLINK_E_FULL, UPLINK_FULL },
                { WIRE_UPLINK_E_SOURCE, UPLINK_SOURCE },           { WIRE_UPLINK_E_CONFLICT, UPLINK_CONFLICT },
                { WIRE_UPLINK_E_GONE, UPLINK_GONE },               { WIRE_UPLINK_E_INVALID, UPLINK_INVALID },
                { WIRE_UPLINK_E_BUSY, UPLINK_BUSY },               { WIRE_UPLINK_E_STOPPED, UPLINK_STOPPED },
                { WIRE_UPLINK_E_WHOLE, UPLINK_WHOLE },
                /* sd-bus's own, when the connection or memory is at an end */
                { SD_BUS_ERROR_NO_REPLY, UPLINK_UNAVAILABLE },     { SD_BUS_ERROR_DISCONNECTED, UPLINK_UNAVAILABLE },
                { SD_BUS_ERROR_TIMEOUT, UPLINK_UNAVAILABLE },      { SD_BUS_ERROR_NO_MEMORY, UPLINK_UNAVAILABLE },
        };

        text_sanitise(e->message && *e->message ? e->message : e->name, text, UPLINK_TEXT_SIZE);
        for (size_t i = 0; i < ELEMENTSOF(errors); i++)
                if (text_equal(errors[i].name, e->name))
                        return errors[i].result;
        return UPLINK_INVALID;
}

/* An uplink that says busy and no more names no time. */
static uint64_t read_retry_after(sd_bus_message *m) {
        const char *text;
        uint64_t sec = 0;

        if (!text_equal(sd_bus_message_get_signature(m, true), "st") || sd_bus_message_rewind(m, true) < 0 ||
            sd_bus_message_read(m, "st", &text, &sec) < 0)
                return 0;
        return MIN2(sec, RETRY_AFTER_MAX_SEC) * USEC_PER_SEC;
}

static void take_error(UplinkCall *c, sd_bus_message *m) {
        char text[UPLINK_TEXT_SIZE];
        UplinkAnswer answer = { .result = result_of_error(sd_bus_message_get_error(m), text), .text = text };

        /* Each is an answer to one kind of call alone. */
        if ((!c->confirm_done && !c->keep_done && answer.result == UPLINK_GONE) ||
            (!c->put_done && !c->getting && answer.result == UPLINK_STOPPED) || (answer.result == UPLINK_WHOLE && !c->growing))
                answer.result = UPLINK_INVALID;
        if (answer.result == UPLINK_BUSY)
                answer.retry_after_usec = read_retry_after(m);
        uplink_call_finish(c, &answer);
}

static bool is_key(const char *s) {
        return s[0] != 0 && strlen(s) <= KEY_MAX && text_is_printable(s);
}

static const char *take_strength(const char *s) {
        static const char *const strengths[] = { WIRE_STRENGTH_DIGEST, WIRE_STRENGTH_SIZE, WIRE_STRENGTH_LOCAL };

        for (size_t i = 0; i < ELEMENTSOF(strengths); i++)
                if (text_equal(strengths[i], s))
                        return strengths[i];
        return NULL;
}

/* What berthd goes by when it erases: every member is what it must be, or there is no receipt. */
static const char *check_receipt(const UplinkCall *c, const UplinkReceipt *receipt, const char *strength) {
        if (c->growing)
                return "the uplink gave a receipt for a clip that is still being pulled";
        if (receipt->size_bytes != c->size_bytes)
                return "the uplink gave a receipt for another size";
        if (!digest_equal(&receipt->digest, &c->digest))
                return "the uplink gave a receipt for another digest";
        if (!is_key(receipt->object_key) || !is_key(receipt->manifest_key))
                return "the uplink gave a receipt without proper keys";
        if (strlen(receipt->version) > KEY_MAX || !text_is_printable(receipt->version))
                return "the uplink gave a receipt without a proper version";
        if (!take_strength(strength))
                return "the uplink gave a receipt of a strength that does not exist";
        if (receipt->time_unix_sec < 0 || receipt->time_unix_sec > INT64_C(253402300799))
                return "the uplink gave a receipt without a proper time";
        return NULL;
}

static int read_receipt(sd_bus_message *m, UplinkReceipt *ret, const char **ret_strength) {
        const char *object, *manifest, *version;
        int already_there, r;

        r = sd_bus_message_read(m, "ssst", &object, &manifest, &version, &ret->size_bytes);
        if (r >= 0)
                r = wire_read_digest(m, &ret->digest);
        if (r >= 0)
                r = sd_bus_message_read(m, "sxb", ret_strength, &ret->time_unix_sec, &already_there);
        if (r < 0)
                return r;
        /* The struct's strings are the receiver's to change in principle; nobody does, and they end with the callback. */
        ret->object_key = (char *) object;
        ret->manifest_key = (char *) manifest;
        ret->version = (char *) version;
        ret->strength = (char *) *ret_strength;
        ret->already_there = already_there;
        return 0;
}

int uplink_on_put_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        UplinkReceipt receipt = { 0 };
        const char *strength, *why;
        UplinkCall *c = userdata;

        (void) error;
        CRASH_POINT_OF("uplink-answered", "Put");
        c->uplink->heard_at_usec = clock_boottime_usec();
        if (sd_bus_message_is_method_error(m, NULL) > 0) {
                take_error(c, m);
                return 1;
        }
        why = read_receipt(m, &receipt, &strength) < 0 ? "the uplink answered with something that is no receipt" :
                                                         check_receipt(c, &receipt, strength);
        if (why)
                uplink_call_fail(c, UPLINK_INVALID, why);
        else
                uplink_call_finish(c, &(UplinkAnswer){ .result = UPLINK_OK, .receipt = &receipt, .strength = strength });
        return 1;
}

int uplink_on_confirm_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *strength = NULL;
        UplinkCall *c = userdata;

        (void) error;
        CRASH_POINT_OF("uplink-answered", "Confirm");
        c->uplink->heard_at_usec = clock_boottime_usec();
        if (sd_bus_message_is_method_error(m, NULL) > 0) {
                take_error(c, m);
                return 1;
        }
        if (sd_bus_message_read(m, "s", &strength) < 0 || !(strength = take_strength(strength)))
                uplink_call_fail(c, UPLINK_INVALID, "the uplink confirmed with a strength that does not exist");
        else
                uplink_call_finish(c, &(UplinkAnswer){ .result = UPLINK_OK, .strength = strength });
        return 1;
}

int uplink_on_keep_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        UplinkCall *c = userdata;

        (void) error;
        c->uplink->heard_at_usec = clock_boottime_usec();
        if (sd_bus_message_is_method_error(m, NULL) > 0)
                take_error(c, m);
        else
                uplink_call_finish(c, &(UplinkAnswer){ .result = UPLINK_OK });
        return 1;
}

static const char *take_lock(const char *s) {
        static const char *const locks[] = { WIRE_LOCK_ON, WIRE_LOCK_OFF, WIRE_LOCK_STAYS, WIRE_LOCK_NONE };

        for (size_t i = 0; i < ELEMENTSOF(locks); i++)
                if (text_equal(locks[i], s))
                        return locks[i];
        return NULL;
}

int uplink_on_lock_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *lock = NULL, *text = NULL;
        char clean[UPLINK_TEXT_SIZE];
        UplinkCall *c = userdata;

        (void) error;
        c->uplink->heard_at_usec = clock_boottime_usec();
        if (sd_bus_message_is_method_error(m, NULL) > 0) {
                take_error(c, m);
                return 1;
        }
        if (sd_bus_message_read(m, "ss", &lock, &text) < 0 || !(lock = take_lock(lock)))
                uplink_call_fail(c, UPLINK_INVALID, "the uplink answered with something that is no legal hold");
        else {
                text_sanitise(text, clean, sizeof(clean));
                uplink_call_finish(c, &(UplinkAnswer){ .result = UPLINK_OK, .lock = lock, .text = clean });
        }
        return 1;
}

static bool verdict_is_known(const char *verdict) {
        static const char *const verdicts[] = { WIRE_VERDICT_OK, WIRE_VERDICT_NOTE, WIRE_VERDICT_WARNING, WIRE_VERDICT_FAILED };

        for (size_t i = 0; i < ELEMENTSOF(verdicts); i++)
                if (text_equal(verdicts[i], verdict))
                        return true;
        return false;
}

static int read_report(sd_bus_message *m, UplinkReport *ret) {
        UplinkPoint *p = ret->points;
        int r;

        r = sd_bus_message_read(m, "s", &ret->strength);
        if (r >= 0 && *ret->strength && !take_strength(ret->strength))
                return -EBADMSG;
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(sss)");
        while (r >= 0 && ret->n_points < WIRE_POINTS_MAX && (r = sd_bus_message_read(m, "(sss)", &p->name, &p->verdict, &p->text)) > 0) {
                if (!*p->name || !text_is_printable(p->name) || !text_is_printable(p->text) || strlen(p->text) >= UPLINK_TEXT_SIZE ||
                    !verdict_is_known(p->verdict))
                        return -EBADMSG;
                p = &ret->points[++ret->n_points];
        }
        return r;
}

int uplink_on_examine_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        UplinkReport report = {};
        UplinkCall *c = userdata;

        (void) error;
        c->uplink->heard_at_usec = clock_boottime_usec();
        if (sd_bus_message_is_method_error(m, NULL) > 0)
                take_error(c, m);
        else if (read_report(m, &report) < 0)
                uplink_call_fail(c, UPLINK_INVALID, "the uplink answered with something that is no report");
        else
                uplink_call_finish(c, &(UplinkAnswer){ .result = UPLINK_OK, .report = &report });
        return 1;
}

int uplink_on_fetch_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        UplinkCall *c = userdata;
        const char *text;

        (void) error;
        c->uplink->heard_at_usec = clock_boottime_usec();
        if (sd_bus_message_is_method_error(m, NULL) > 0)
                take_error(c, m);
        else if (sd_bus_message_read(m, "s", &text) < 0)
                uplink_call_fail(c, UPLINK_INVALID, "the uplink answered with something that is no text");
        else
                uplink_call_finish(c, &(UplinkAnswer){ .result = UPLINK_OK, .text = text });
        return 1;
}

/* In order, all of them below what was asked for: an uplink that lists something else is not believed. */
static bool takes_key(const UplinkCall *c, const char *before, const char *key) {
        return is_key(key) && strncmp(key, c->prefix, strlen(c->prefix)) == 0 && (!before || strcmp(before, key) < 0);
}

static int read_keys(UplinkCall *c, sd_bus_message *m, const char **keys, UplinkKeys *ret) {
        int more, r;

        ret->keys = keys;
        r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && ret->n < WIRE_LIST_MAX && (r = sd_bus_message_read(m, "s", &keys[ret->n])) > 0) {
                if (!takes_key(c, ret->n > 0 ? keys[ret->n - 1] : NULL, keys[ret->n]))
                        return -EBADMSG;
                ret->n++;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_read(m, "b", &more);
        if (r < 0)
                return r;
        ret->more = more;
        return 0;
}

static void finish_list(UplinkCall *c, const UplinkKeys *keys) {
        const Uplink *u = c->uplink;
        UplinkListDone done = c->list_done;
        void *cookie = c->cookie;

        (void) uplink_call_free(c);
        if (done)
                done(u->userdata, cookie, &(UplinkAnswer){ .result = UPLINK_OK }, keys);
}

int uplink_on_list_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(freep) const char **keys = calloc(WIRE_LIST_MAX, sizeof(*keys));
        UplinkKeys list = { .n = 0 };
        UplinkCall *c = userdata;

        (void) error;
        c->uplink->heard_at_usec = clock_boottime_usec();
        if (sd_bus_message_is_method_error(m, NULL) > 0)
                take_error(c, m);
        else if (!keys || read_keys(c, m, keys, &list) < 0)
                uplink_call_fail(c, UPLINK_INVALID, "the uplink answered with something that is no list of keys");
        else
                finish_list(c, &list);
        return 1;
}
