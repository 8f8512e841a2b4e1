/* SPDX-License-Identifier: Apache-2.0 */
#include "service/reload.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "service/manager_private.h"
#include "service/settings_key.h"

typedef struct Reload {
        Manager *manager;
        Settings *fresh;
        SettingChange *changes;
        size_t n;
        char *operator_name;
        ReloadDone done;
        void *userdata;
} Reload;

static Reload *reload_free(Reload *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n; i++) {
                free(r->changes[i].key);
                free(r->changes[i].before);
                free(r->changes[i].after);
        }
        free(r->changes);
        settings_free(r->fresh);
        free(r->operator_name);
        free(r);
        return NULL;
}
DEFINE_CLEANUP(Reload, reload_free);

/* ---- What changed ------------------------------------------------------------------------------------------------------ */

static int add_change(Reload *r, const char *key, const char *before, const char *after) {
        const SettingKey *k = setting_key_of(key);
        SettingChange *grown = reallocarray(r->changes, r->n + 1, sizeof(*grown)), *c;

        if (!grown)
                return -ENOMEM;
        r->changes = grown;
        c = &grown[r->n++];
        *c = (SettingChange){ .key = strdup(key), .before = before ? strdup(before) : NULL, .after = after ? strdup(after) : NULL,
                              .now = k && k->now };
        return c->key && !c->before == !before && !c->after == !after ? 0 : -ENOMEM;
}

static int compare(Reload *r) {
        _cleanup_(json_decrefp) json_t *before = json_loads(r->manager->settings->written, 0, NULL);
        _cleanup_(json_decrefp) json_t *after = json_loads(r->fresh->written, 0, NULL);
        const char *key;
        json_t *value;

        if (!before || !after)
                return -ENOMEM;
        json_object_foreach(after, key, value) {
                const char *was = json_string_value(json_object_get(before, key));

                if (!text_equal(was, json_string_value(value)) && add_change(r, key, was, json_string_value(value)) < 0)
                        return -ENOMEM;
        }
        json_object_foreach(before, key, value)
                if (!json_object_get(after, key) && add_change(r, key, json_string_value(value), NULL) < 0)
                        return -ENOMEM;
        return 0;
}

/* ---- In force ------------------------------------------------------------------------------------------------------------ */

static void log_changes(const Reload *r) {
        if (r->n == 0)
                log_info(NULL, "The settings were read anew, and are as they were");
        for (size_t i = 0; i < r->n; i++) {
                const SettingChange *c = &r->changes[i];

                log_message(LOG_NOTICE, MESSAGE_SETTING_CHANGED, "Setting %s: %s, was %s%s", c->key, c->after ?: "not written any more",
                         c->before ?: "not written", c->now ? "" : "; it counts from the next start on");
        }
}

/* Whoever goes by a setting reads it when it is wanted; these are told to look now. */
static void look_again(Manager *m) {
        lamps_look_changed(m->lamps);
        roster_bays_changed(m->roster);
        room_start(m);
        manager_kick_bays(m);
        upload_pump(m);
        manager_tell(m);
}

static void finish(Reload *r, int result, const char *text) {
        if (result >= 0) {
                log_changes(r);
                look_again(r->manager);
        }
        r->done(r->userdata, result, text, r->changes, r->n);
        reload_free(r);
}

/* On record, and so in force: an erase by the old policy may have been begun meanwhile, which had its licence. */
static void recorded(int result, void *userdata) {
        _cleanup_(freep) char *text = NULL;
        Reload *r = userdata;

        if (result >= 0 && settings_take_over(r->manager->settings, r->fresh) < 0)
                result = -ENOMEM;
        if (result < 0)
                text = text_format("The new settings could not be recorded, and do not count: %s", store_last_refusal(r->manager->store));
        finish(r, result, text);
}

static bool anything_now(const Reload *r) {
        for (size_t i = 0; i < r->n; i++)
                if (r->changes[i].now)
                        return true;
        return false;
}

int manager_reload(Manager *m, const Operator *by, ReloadDone done, void *userdata, ConfError *error) {
        _cleanup_(reload_freep) Reload *reload = calloc(1, sizeof(*reload));
        Fact fact = { .kind = FACT_SETTINGS };
        _cleanup_(freep) char *written = NULL;
        int r;

        if (!reload)
                return -ENOMEM;
        *reload = (Reload){ .manager = m, .done = done, .userdata = userdata };
        r = settings_load(m->settings->path, &reload->fresh, error);
        if (r >= 0)
                r = compare(reload);
        if (r < 0)
                return r;
        if (!anything_now(reload)) {
                finish(TAKE_PTR(reload), 0, NULL);
                return 0;
        }
        written = settings_in_force(m->settings, reload->fresh);
        reload->operator_name = by && by->name ? strdup(by->name) : NULL;
        if (!written || (by && by->name && !reload->operator_name))
                return -ENOMEM;
        fact.text = written;
        fact.by_operator = by != NULL;
        fact.operator_uid = by ? by->uid : 0;
        fact.operator_name = reload->operator_name;
        manager_moment(m, &fact.at);
        r = store_put(m->store, &fact, recorded, reload);
        if (r < 0)
                return conf_fail(error, "The new settings could not be recorded, and do not count: %s", strerror(-r)), r;
        TAKE_PTR(reload);
        return 0;
}
