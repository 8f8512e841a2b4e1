/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rollout_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/json_value.h"
#include "base/text.h"

#define WINDOW_DIGITS 8
#define PLACE_DIGITS 6
#define WAVE_DIGITS 2
#define REVISION_DIGITS 6u
#define GIVEN_BACK "void"
#define MINUTE (60 * USEC_PER_SEC)

static int fail(ConfError *error, const char *format, ...) _printf_(2, 3);
static int fail(ConfError *error, const char *format, ...) {
        char text[sizeof(error->text)];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        conf_fail(error, "the rollout's plan is not as it must be: %s", text);
        return -EBADMSG;
}

/* ---- Members ---------------------------------------------------------------------------------------------------------- */

/* A later member may forbid what this version would allow: none is passed over. */
static int refuse_unknown(const json_t *object, const char *const *known, const char *where, ConfError *error) {
        const char *name = json_unknown_member(object, known);

        return !name ? 0 : fail(error, "%s has \"%s\", which this version of Berth does not know", where, name);
}

static int take_text(const json_t *value, char *ret, size_t size, const char *what, ConfError *error) {
        return json_take_text(value, ret, size) ? 0 : fail(error, "%s must be a printable text of at most %zu bytes", what, size - 1);
}

/* One that may be left out keeps the value that it has. */
static int take_number(const json_t *object, const char *name, uint64_t min, uint64_t max, bool optional, uint64_t *ret, ConfError *error) {
        const json_t *value = json_object_get(object, name);

        if (!value && optional)
                return 0;
        if (!json_take_number(value, min, max, ret))
                return fail(error, "\"%s\" must be a number from %" PRIu64 " to %" PRIu64, name, min, max);
        return 0;
}

static int take_number32(const json_t *object, const char *name, uint64_t min, uint64_t max, bool optional, uint32_t *ret,
                         ConfError *error) {
        uint64_t n = *ret;
        int r = take_number(object, name, min, max, optional, &n, error);

        *ret = r < 0 ? *ret : (uint32_t) n;
        return r;
}

static int take_time(const json_t *object, const char *name, uint64_t *ret, ConfError *error) {
        const json_t *value = json_object_get(object, name);
        char text[UTC_TEXT_SIZE], whole[UTC_TEXT_SIZE + 32];
        int64_t usec;
        int r;

        if (!value)
                return 0;
        r = take_text(value, text, sizeof(text), name, error);
        if (r < 0)
                return r;
        (void) snprintf(whole, sizeof(whole), strlen(text) == strlen("2026-11-23") ? "%sT00:00:00.000000Z" : "%s", text);
        if (utc_from_text(whole, &usec) < 0 || usec < 0)
                return fail(error, "\"%s\" must be a day, such as 2027-02-28, or a time, such as 2027-02-28T22:00:00.000000Z", name);
        *ret = (uint64_t) usec;
        return 0;
}

/* ---- Waves ------------------------------------------------------------------------------------------------------------ */

static int take_names(RolloutOrder *o, const json_t *list, uint32_t wave, uint32_t *ret_n, ConfError *error) {
        RolloutNamed *named;
        const json_t *one;
        size_t i;
        int r;

        *ret_n = 0;
        if (!list)
                return 0;
        if (!json_is_array(list) || json_array_size(list) == 0 || o->n_named + json_array_size(list) > ROLLOUT_NAMED_MAX)
                return fail(error, "\"named\" must be a list of serials, %u at most in all waves", ROLLOUT_NAMED_MAX);
        named = reallocarray(o->named, o->n_named + json_array_size(list), sizeof(*named));
        if (!named)
                return -ENOMEM;
        o->named = named;
        json_array_foreach(list, i, one) {
                r = take_text(one, named[o->n_named].serial, ROLLOUT_NAME_SIZE, "a serial in \"named\"", error);
                if (r < 0)
                        return r;
                if (rollout_order_named(o, named[o->n_named].serial) != UINT32_MAX)
                        return fail(error, "the camera %s is named twice", named[o->n_named].serial);
                named[o->n_named++].wave = wave;
        }
        *ret_n = (uint32_t) json_array_size(list);
        return 0;
}

static int take_wave(RolloutOrder *o, const json_t *object, uint32_t number, ConfError *error) {
        static const char *const known[] = { "of_10000", "cameras", "named", "start", NULL };
        RolloutWave *wave = &o->plan.waves[number];
        uint32_t before = 0, named;
        int r;

        for (uint32_t w = 0; w < number; w++)
                before = MAX2(before, o->plan.waves[w].share);
        if (!json_is_object(object))
                return fail(error, "wave %u is no object", number + 1);
        if ((r = refuse_unknown(object, known, "a wave", error)) < 0 ||
            (r = take_names(o, json_object_get(object, "named"), number, &named, error)) < 0 ||
            (r = take_number32(object, "of_10000", before + 1, ROLLOUT_SHARES, named > 0, &wave->share, error)) < 0 ||
            (r = take_time(object, "start", &wave->start_usec, error)) < 0)
                return r;
        wave->cameras = named;
        /* Named alone, or a share of all with about so many. */
        return take_number32(object, "cameras", 1, 100000000, wave->share == 0, &wave->cameras, error);
}

static int take_waves(RolloutOrder *o, const json_t *list, ConfError *error) {
        const json_t *one;
        size_t i;
        int r;

        if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > ROLLOUT_WAVES_MAX)
                return fail(error, "\"waves\" must be a list of 1 to %u", ROLLOUT_WAVES_MAX);
        json_array_foreach(list, i, one) {
                r = take_wave(o, one, (uint32_t) i, error);
                if (r < 0)
                        return r;
                o->plan.n_waves++;
        }
        return 0;
}

/* ---- The whole ---------------------------------------------------------------------------------------------------------- */

static int take_models(RolloutOrder *o, const json_t *list, ConfError *error) {
        const json_t *one;
        size_t i;
        int r;

        if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > ROLLOUT_MODELS_MAX)
                return fail(error, "\"models\" must be a list of 1 to %u sections of cameras.d", ROLLOUT_MODELS_MAX);
        json_array_foreach(list, i, one) {
                r = take_text(one, o->models[i], CATALOG_MODEL_SIZE, "a model", error);
                if (r < 0)
                        return r;
                o->n_models++;
        }
        return 0;
}

static int take_hours(RolloutOrder *o, const json_t *list, ConfError *error) {
        const json_t *one;
        size_t i;

        if (!list)
                return 0;
        if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > ROLLOUT_HOURS_MAX)
                return fail(error, "\"hours\" must be a list of 1 to %u, such as \"Mon-Fri 22:00-05:00\"", ROLLOUT_HOURS_MAX);
        json_array_foreach(list, i, one) {
                const char *text = json_string_value(one), *rest = "";

                if (!text || week_span_parse(text, &o->hours[i], &rest) < 0 || *rest)
                        return fail(error, "\"%s\" in \"hours\" is no time such as \"Mon-Fri 22:00-05:00\"", text ? text : "");
                o->n_hours++;
        }
        return 0;
}

/* A flash in minutes, or, where it is quick, in seconds. */
static int take_spans(RolloutPlan *p, const json_t *said, ConfError *error) {
        uint64_t flash = 20 * 60, fresh = 4 * 3600;
        int r;

        r = take_number(said, "flash_seconds", 5, 24 * 3600, true, &flash, error);
        if (r >= 0)
                r = take_number(said, "fresh_seconds", 1, 24 * 3600, true, &fresh, error);
        p->flash_usec = flash * USEC_PER_SEC;
        p->fresh_usec = fresh * USEC_PER_SEC;
        return r;
}

static int take_limits(RolloutPlan *p, const json_t *said, ConfError *error) {
        int r;

        p->opens_share = 9000;
        p->docks = 1;
        p->bad_share_least = 50;
        if ((r = take_number32(said, "next_wave_at_of_10000", 1, ROLLOUT_SHARES, true, &p->opens_share, error)) < 0 ||
            (r = take_number32(said, "bad_max", 0, 998, false, &p->bad_max, error)) < 0 ||
            (r = take_number32(said, "bad_of_10000", 1, ROLLOUT_SHARES, true, &p->bad_share, error)) < 0 ||
            (r = take_number32(said, "bad_of_10000_from", 1, 100000000, true, &p->bad_share_least, error)) < 0 ||
            (r = take_number32(said, "under_way_max", 2, 2 * ROLLOUT_PLACES_MAX, false, &p->under_way_max, error)) < 0 ||
            (r = take_number32(said, "docks", 1, 1000000, true, &p->docks, error)) < 0)
                return r;
        return take_number32(said, "spread", 0, 1000, true, &p->spread, error);
}

static int take_order(RolloutOrder *o, const json_t *said, ConfError *error) {
        static const char *const known[] = { "id", "fleet", "version", "models", "waves", "hours", "begin", "flash_seconds",
                                             "fresh_seconds", "next_wave_at_of_10000", "bad_max", "bad_of_10000",
                                             "bad_of_10000_from", "under_way_max", "docks", "spread", NULL };
        int r;

        if (!json_is_object(said))
                return fail(error, "it is no object");
        if ((r = refuse_unknown(said, known, "it", error)) < 0 ||
            (r = take_text(json_object_get(said, "id"), o->id, sizeof(o->id), "\"id\"", error)) < 0 ||
            (r = take_text(json_object_get(said, "fleet"), o->fleet, sizeof(o->fleet), "\"fleet\"", error)) < 0 ||
            (r = take_text(json_object_get(said, "version"), o->version, sizeof(o->version), "\"version\"", error)) < 0 ||
            (r = take_models(o, json_object_get(said, "models"), error)) < 0 ||
            (r = take_limits(&o->plan, said, error)) < 0 || (r = take_spans(&o->plan, said, error)) < 0 ||
            (r = take_time(said, "begin", &o->plan.begin_usec, error)) < 0 ||
            (r = take_hours(o, json_object_get(said, "hours"), error)) < 0 ||
            (r = take_waves(o, json_object_get(said, "waves"), error)) < 0)
                return r;
        if (!rollout_id_is_valid(o->id))
                return fail(error, "\"id\" has small letters, digits and '-' alone");
        if (!fleet_id_is_valid(o->fleet))
                return fail(error, "\"fleet\" is no name of a fleet");
        return o->plan.begin_usec > 0 ? 0 : fail(error, "\"begin\" is missing: the day from which on it goes out");
}

int rollout_order_parse(const json_t *said, const char *state, RolloutOrder **ret, ConfError *error) {
        _cleanup_(rollout_order_freep) RolloutOrder *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                return -ENOMEM;
        r = take_order(o, said, error);
        if (r < 0)
                return r;
        o->plan.paused = text_equal(state, "paused");
        o->plan.aborted = text_equal(state, "aborted");
        if (!o->plan.paused && !o->plan.aborted && !text_equal(state, "running"))
                return fail(error, "its state is none that this version of Berth knows");
        o->plan.id = o->id;
        o->said = json_incref((json_t *) said);
        *ret = TAKE_PTR(o);
        return 0;
}

RolloutOrder *rollout_order_free(RolloutOrder *o) {
        if (!o)
                return NULL;
        free(o->named);
        json_decref(o->said);
        free(o);
        return NULL;
}

const char *rollout_order_state(const RolloutOrder *o) {
        return o->plan.aborted ? "aborted" : o->plan.paused ? "paused" : "running";
}

bool rollout_order_is_for(const RolloutOrder *o, const char *model) {
        for (size_t i = 0; i < o->n_models; i++)
                if (text_equal(o->models[i], model))
                        return true;
        return false;
}

uint32_t rollout_order_named(const RolloutOrder *o, const char *serial) {
        for (size_t i = 0; i < o->n_named; i++)
                if (text_equal(o->named[i].serial, serial))
                        return o->named[i].wave;
        return UINT32_MAX;
}

/* ---- Signed ------------------------------------------------------------------------------------------------------------- */

int rollout_order_sign(const SignKey *admin, const RolloutOrder *o, uint64_t revision, const char *state, int64_t now_usec, char **ret) {
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(freep) char *file = NULL;
        char key[ROLLOUT_KEY_SIZE], time[UTC_TEXT_SIZE];
        const StatementAbout about = { STATEMENT_ROLLOUT, rollout_plan_key(o->id, revision, key), o->fleet, "", revision };
        json_t *members;
        int r;

        members = json_pack("{s:s, s:s, s:O}", "time", utc_text(now_usec, time), "state", state, "plan", o->said);
        r = members ? statement_make(admin, &about, members, &s) : -ENOMEM;
        json_decref(members);
        if (r < 0)
                return r;
        file = statement_file(&s);
        if (!file)
                return -ENOMEM;
        if (strlen(file) > ROLLOUT_FILE_MAX)
                return -E2BIG;
        *ret = TAKE_PTR(file);
        return 0;
}

int rollout_order_open(const char *file, size_t size, const char *key, const PublicKey *admin, const char *fleet, uint64_t last_revision,
                       RolloutOrder **ret, ConfError *error) {
        const StatementAbout expected = { .type = STATEMENT_ROLLOUT, .key = key, .fleet = fleet, .dock = "", .seq = last_revision };
        _cleanup_(rollout_order_freep) RolloutOrder *o = NULL;
        _cleanup_(statement_done) Statement s = { 0 };
        char own[ROLLOUT_KEY_SIZE];
        const char *why;
        int r;

        r = statement_parse(file, size, &s);
        if (r < 0) {
                conf_fail(error, "%s", r == -EKEYREJECTED ? "the plan's signature is not that of the key that it names" :
                          "this is no signed plan of a rollout: it was cut off, or is something else");
                return r == -EKEYREJECTED ? r : -EBADE;
        }
        why = statement_mismatch(&s, &expected, admin);
        if (why) {
                conf_fail(error, "the plan does not count: %s", why);
                return -EKEYREJECTED;
        }
        r = rollout_order_parse(json_object_get(s.object, "plan"), json_string_value(json_object_get(s.object, "state")), &o, error);
        if (r < 0)
                return r;
        if (!text_equal(rollout_plan_key(o->id, s.about.seq, own), key) || !text_equal(o->fleet, s.about.fleet)) {
                conf_fail(error, "the plan does not count: its name in the store is not that of its rollout, fleet and revision");
                return -EKEYREJECTED;
        }
        o->revision = s.about.seq;
        *ret = TAKE_PTR(o);
        return 0;
}

/* ---- Names -------------------------------------------------------------------------------------------------------------- */

bool rollout_id_is_valid(const char *s) {
        size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

        return n > 0 && n < ROLLOUT_ID_SIZE && s[n] == 0 && s[0] != '-' && !text_equal(s, "plans");
}

char *rollout_plan_key(const char *id, uint64_t revision, char ret[static ROLLOUT_KEY_SIZE]) {
        (void) snprintf(ret, ROLLOUT_KEY_SIZE, ROLLOUT_PLANS "%s.%0*" PRIu64, id, (int) REVISION_DIGITS, revision);
        return ret;
}

static int take_digits(const char **at, size_t n, uint64_t *ret) {
        uint64_t number = 0;

        if (strspn(*at, "0123456789") < n)
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                number = number * 10 + (uint64_t) ((*at)[i] - '0');
        *at += n;
        *ret = number;
        return 0;
}

int rollout_plan_of_key(const char *key, char ret_id[static ROLLOUT_ID_SIZE], uint64_t *ret_revision) {
        const char *name = key + strlen(ROLLOUT_PLANS), *dot;
        char id[ROLLOUT_ID_SIZE];
        uint64_t revision;

        if (strncmp(key, ROLLOUT_PLANS, strlen(ROLLOUT_PLANS)) != 0 || !(dot = strchr(name, '.')) || (size_t) (dot - name) >= sizeof(id))
                return -EINVAL;
        memcpy(id, name, (size_t) (dot - name));
        id[dot - name] = 0;
        name = dot + 1;
        if (!rollout_id_is_valid(id) || take_digits(&name, REVISION_DIGITS, &revision) < 0 || *name || revision == 0)
                return -EINVAL;
        memcpy(ret_id, id, sizeof(id));
        *ret_revision = revision;
        return 0;
}

char *rollout_folder(const char *id, const char *kind, char ret[static ROLLOUT_KEY_SIZE]) {
        (void) snprintf(ret, ROLLOUT_KEY_SIZE, ROLLOUT_FOLDER "%s.%s/", id, kind);
        return ret;
}

char *rollout_started_key(const char *id, uint64_t window, uint32_t place, char ret[static ROLLOUT_KEY_SIZE]) {
        (void) snprintf(ret, ROLLOUT_KEY_SIZE, ROLLOUT_FOLDER "%s.started/%0*" PRIu64 "-%0*u", id, WINDOW_DIGITS, window, PLACE_DIGITS,
                        place);
        return ret;
}

char *rollout_outcome_key(const char *id, const char *kind, uint64_t window, uint32_t place, uint32_t wave,
                          char ret[static ROLLOUT_KEY_SIZE]) {
        char end[16] = GIVEN_BACK;

        if (wave != UINT32_MAX)
                (void) snprintf(end, sizeof(end), "%0*u", WAVE_DIGITS, wave);
        (void) snprintf(ret, ROLLOUT_KEY_SIZE, ROLLOUT_FOLDER "%s.%s/%0*" PRIu64 "-%0*u-%s", id, kind, WINDOW_DIGITS, window, PLACE_DIGITS,
                        place, end);
        return ret;
}

char *rollout_sum_key(const char *id, uint64_t window, char ret[static ROLLOUT_KEY_SIZE]) {
        (void) snprintf(ret, ROLLOUT_KEY_SIZE, ROLLOUT_FOLDER "%s.sums/%0*" PRIu64, id, WINDOW_DIGITS, window);
        return ret;
}

char *rollout_stop_key(const char *id, char ret[static ROLLOUT_KEY_SIZE]) {
        (void) snprintf(ret, ROLLOUT_KEY_SIZE, ROLLOUT_FOLDER "%s.bad/0-stop", id);
        return ret;
}

int rollout_camera_key(const char *id, const char *serial, char ret[static ROLLOUT_KEY_SIZE]) {
        char hex[DIGEST_HEX_SIZE];
        Digest digest;
        int r = digest_of(serial, strlen(serial), &digest);

        if (r >= 0)
                (void) snprintf(ret, ROLLOUT_KEY_SIZE, ROLLOUT_FOLDER "%s.cameras/%s", id, digest_to_hex(&digest, hex));
        return r;
}

int rollout_numbers_of_key(const char *key, uint64_t *ret_window, uint32_t *ret_place, uint32_t *ret_wave) {
        const char *slash = strrchr(key, '/'), *at = slash ? slash + 1 : key;
        uint64_t window, place = UINT32_MAX, wave = UINT32_MAX;

        if (take_digits(&at, WINDOW_DIGITS, &window) < 0)
                return -EINVAL;
        if (*at == '-' && (at++, take_digits(&at, PLACE_DIGITS, &place) < 0))
                return -EINVAL;
        if (text_equal(at, "-" GIVEN_BACK))
                at += strlen("-" GIVEN_BACK);
        else if (*at == '-' && (at++, take_digits(&at, WAVE_DIGITS, &wave) < 0))
                return -EINVAL;
        if (*at || (wave != UINT32_MAX && wave >= ROLLOUT_WAVES_MAX))
                return -EINVAL;
        *ret_window = window;
        *ret_place = (uint32_t) place;
        *ret_wave = (uint32_t) wave;
        return 0;
}
