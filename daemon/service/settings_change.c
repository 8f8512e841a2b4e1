/* SPDX-License-Identifier: Apache-2.0 */

/* Settings that change while the daemon runs, and settings as they are shown. */

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "base/canonical.h"
#include "base/text.h"
#include "service/settings.h"
#include "service/settings_key.h"

/* ---- Taking over ------------------------------------------------------------------------------------------------------ */

static bool counts_now(const char *key) {
        const SettingKey *k = setting_key_of(key);

        return k && k->now;
}

char *settings_in_force(const Settings *s, const Settings *fresh) {
        _cleanup_(json_decrefp) json_t *before = json_loads(s->written, 0, NULL), *after = json_loads(fresh->written, 0, NULL);
        _cleanup_(json_decrefp) json_t *both = json_object();
        const char *key;
        json_t *value;

        if (!before || !after || !both)
                return NULL;
        json_object_foreach(after, key, value)
                if (counts_now(key) && json_object_set(both, key, value) < 0)
                        return NULL;
        json_object_foreach(before, key, value)
                if (!counts_now(key) && json_object_set(both, key, value) < 0)
                        return NULL;
        return canonical_text(both);
}

static void swap_text(char **a, char **b) {
        char *t = *a;

        *a = *b;
        *b = t;
}

static void take_charge(ChargeSettings *c, ChargeSettings *fresh) {
        ShiftSetting *shifts = c->shifts;
        size_t n = c->n_shifts;

        c->shifts = fresh->shifts;
        c->n_shifts = fresh->n_shifts;
        fresh->shifts = shifts;
        fresh->n_shifts = n;
        c->ready_percent = fresh->ready_percent;
        c->look_usec = fresh->look_usec;
        c->gauge_usec = fresh->gauge_usec;
        c->temperature = fresh->temperature;
}

int settings_take_over(Settings *s, Settings *fresh) {
        char *written = settings_in_force(s, fresh);

        if (!written)
                return -ENOMEM;
        free(s->written);
        s->written = written;
        swap_text(&s->origins, &fresh->origins);
        memcpy(s->lights, fresh->lights, sizeof(s->lights));
        take_charge(&s->charge, &fresh->charge);
        s->keep_usec = fresh->keep_usec;
        s->priority_reserve_bytes = fresh->priority_reserve_bytes;
        s->checkpoint_usec = fresh->checkpoint_usec;
        s->erase = fresh->erase;
        swap_text(&s->accept, &fresh->accept);
        s->believe_all = fresh->believe_all;
        s->set_clock = fresh->set_clock;
        s->store_within_usec = fresh->store_within_usec;
        s->due_after_usec = fresh->due_after_usec;
        s->take_within_usec = fresh->take_within_usec;
        s->mark_best = fresh->mark_best;
        s->health = fresh->health;
        s->bay_health = fresh->bay_health;
        swap_text(&s->firmware, &fresh->firmware);
        swap_text(&s->pinned, &fresh->pinned);
        s->call_usec = fresh->call_usec;
        s->stall_usec = fresh->stall_usec;
        s->min_rate = fresh->min_rate;
        s->backoff_min_usec = fresh->backoff_min_usec;
        s->backoff_max_usec = fresh->backoff_max_usec;
        s->over_current_usec = fresh->over_current_usec;
        return 0;
}

/* ---- Showing ----------------------------------------------------------------------------------------------------------- */

static int add(json_t *list, const char *key, const char *value, const char *origin, bool now) {
        return json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:b}", "key", key, "value", value, "origin", origin, "reload", now));
}

/* In the order of the keys; of those with a name as they are written, each with the keys that it leaves out. */
static int add_key(json_t *list, const Settings *s, const SettingKey *k, json_t *written, json_t *origins) {
        _cleanup_(freep) char *key = text_format("%s.%s", k->section, k->key);
        const char *value = key ? json_string_value(json_object_get(written, key)) : NULL;

        if (!key)
                return -ENOMEM;
        if (value)
                return add(list, key, value, json_string_value(json_object_get(origins, key)), k->now);
        return add(list, key, text_equal(key, "dock.name") ? s->name : k->value, NULL, k->now);
}

static int add_named(json_t *list, json_t *written, json_t *origins) {
        const char *key;
        json_t *value;

        json_object_foreach(written, key, value) {
                const SettingKey *k = setting_key_of(key);

                if (k && setting_section_is_named(k->section) &&
                    add(list, key, json_string_value(value), json_string_value(json_object_get(origins, key)), k->now) < 0)
                        return -ENOMEM;
        }
        return 0;
}

char *settings_show(const Settings *s) {
        _cleanup_(json_decrefp) json_t *written = json_loads(s->written, 0, NULL), *origins = json_loads(s->origins, 0, NULL);
        _cleanup_(json_decrefp) json_t *list = json_array(), *all = NULL;
        const SettingKey *keys;
        size_t n;

        keys = setting_keys(&n);
        if (!written || !origins || !list || add_named(list, written, origins) < 0)
                return NULL;
        for (size_t i = 0; i < n; i++)
                if (!setting_section_is_named(keys[i].section) && add_key(list, s, &keys[i], written, origins) < 0)
                        return NULL;
        all = json_pack("{s:s, s:s, s:O}", "schema", "org.berth.ctl.config/1", "file", s->path, "settings", list);
        return all ? json_dumps(all, JSON_ENSURE_ASCII | JSON_INDENT(2)) : NULL;
}
