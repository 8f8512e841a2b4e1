/* SPDX-License-Identifier: Apache-2.0 */
#include "service/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/canonical.h"
#include "base/statement.h"
#include "base/text.h"

/* Room on both sides for those that are wanted first, and last. */
#define CHARGE_RANK_DEFAULT 100u
#define KEEP_MAX_USEC (10 * 365 * 24 * 3600 * USEC_PER_SEC)

static const char *const erase_mode_table[_ERASE_MODE_MAX] = {
        [ERASE_AFTER_RECEIPT] = "after-receipt",
        [ERASE_BY_HAND] = "by-hand",
        [ERASE_NEVER] = "never",
};

static const LampLook default_lights[_LIGHT_MAX] = {
        [LIGHT_EMPTY] = {},
        [LIGHT_BUSY] = { .blue = 255, .pattern = LAMP_BLINK },
        [LIGHT_CHARGING] = { .red = 255, .green = 96 },
        [LIGHT_READY] = { .green = 255 },
        [LIGHT_TAKE] = { .green = 255, .pattern = LAMP_FAST },
        [LIGHT_KEEP] = { .red = 255 },
        [LIGHT_FAULT] = { .red = 255, .pattern = LAMP_FAST },
};

static void bay_setting_clear(BaySetting *bay) {
        free(bay->port_path);
        free(bay->led);
}

Settings *settings_free(Settings *s) {
        if (!s)
                return NULL;
        free(s->path);
        free(s->written);
        free(s->origins);
        free(s->name);
        free(s->state_dir);
        free(s->plugin_dir);
        free(s->worker);
        free(s->models_dir);
        free(s->local_models_dir);
        free(s->uplink_socket);
        free(s->credentials);
        free(s->fleet);
        for (size_t i = 0; i < s->n_bays; i++)
                bay_setting_clear(&s->bays[i]);
        free(s->bays);
        charge_settings_done(&s->charge);
        free(s->accept);
        free(s->firmware);
        free(s->firmware_keys);
        free(s->pinned);
        free(s);
        return NULL;
}

static int set_default(char **field, const char *value) {
        if (*field)
                return 0;
        *field = strdup(value);
        return *field ? 0 : -ENOMEM;
}

/* A USB port path: bus, dash, port numbers joined by dots ("1-1.4.2"). The kernel goes seven tiers deep. */
bool port_path_is_valid(const char *s) {
        size_t bus = strspn(s, "0123456789");

        if (bus < 1 || bus > 3 || s[bus] != '-')
                return false;
        s += bus + 1;
        for (unsigned tier = 0; tier < 7; tier++) {
                size_t n = strspn(s, "0123456789");

                if (n < 1 || n > 3 || s[0] == '0')
                        return false;
                s += n;
                if (*s == 0)
                        return true;
                if (*s++ != '.')
                        return false;
        }
        return false;
}

static int bay_by_port(Settings *s, const ConfLine *line, BaySetting **ret, ConfError *error) {
        BaySetting *bays;

        for (size_t i = 0; i < s->n_bays; i++)
                if (text_equal(s->bays[i].port_path, line->name)) {
                        /* Two slots that were written down with one port: the second would quietly take the first one's place. */
                        if (!line->key)
                                return conf_error(line, error, "is there twice; each slot of the rack has a port of its own");
                        *ret = &s->bays[i];
                        return 0;
                }
        if (!port_path_is_valid(line->name))
                return conf_error(line, error, "'%s' is not a USB port path such as 1-1.4", line->name);
        if (s->n_bays >= BAYS_MAX)
                return conf_error(line, error, "more than %u bays", BAYS_MAX);
        bays = reallocarray(s->bays, s->n_bays + 1, sizeof(*bays));
        if (!bays)
                return -ENOMEM;
        s->bays = bays;
        bays[s->n_bays] = (BaySetting){ .port_path = strdup(line->name), .charge_rank = CHARGE_RANK_DEFAULT };
        if (!bays[s->n_bays].port_path)
                return -ENOMEM;
        *ret = &bays[s->n_bays++];
        return 0;
}

/* Names of the kernel's LED class: no paths. */
static int parse_led(BaySetting *bay, const ConfLine *line, ConfError *error) {
        unsigned n = 0;

        if (bay->led)
                return conf_error(line, error, "is there twice; a bay's lamps are on one line, joined by spaces");
        for (const char *s = line->value + strspn(line->value, " "); *s; s += strspn(s, " ")) {
                size_t length = strcspn(s, " ");

                if (length > LAMP_NAME_MAX || *s == '.' || memchr(s, '/', length))
                        return conf_error(line, error, "'%.*s' is not the name of a lamp in /sys/class/leds", (int) length, s);
                s += length;
                n++;
        }
        if (n == 0 || n > LAMPS_PER_BAY_MAX)
                return conf_error(line, error, "a bay has one to %u lamps", LAMPS_PER_BAY_MAX);
        return conf_string(line, &bay->led, error);
}

static int parse_light(Settings *s, const ConfLine *line, ConfError *error) {
        Light light = light_from_string(line->key);

        if (light < 0)
                return conf_error(line, error, "unknown key; these are empty, busy, charging, ready, take, keep and fault");
        if (lamp_look_parse(line->value, &s->lights[light]) < 0)
                return conf_error(line, error, "'%s' is not a colour (off, red, green, blue, amber, yellow, white, violet, or as #ff8000), "
                                  "and perhaps blink or fast", line->value);
        return 0;
}

static int parse_bay(Settings *s, const ConfLine *line, ConfError *error) {
        BaySetting *bay = NULL;
        uint64_t number;
        int r;

        r = bay_by_port(s, line, &bay, error);
        if (r < 0 || !bay)
                return r;
        if (!line->key)
                return 0;
        if (text_equal(line->key, "led"))
                return parse_led(bay, line, error);
        if (text_equal(line->key, "charge_rank")) {
                r = conf_uint(line, 0, 9999, &number, error);
                bay->charge_rank = r < 0 ? bay->charge_rank : (unsigned) number;
                return r;
        }
        if (!text_equal(line->key, "number"))
                return conf_error(line, error, "unknown key");
        r = conf_uint(line, 1, 9999, &number, error);
        if (r < 0)
                return r;
        if (bay->number > 0)
                return conf_error(line, error, "is there twice");
        for (size_t i = 0; i < s->n_bays; i++)
                if (s->bays[i].number == number && &s->bays[i] != bay)
                        return conf_error(line, error, "bay %s already has the number %u", s->bays[i].port_path,
                                          s->bays[i].number);
        bay->number = (unsigned) number;
        return 0;
}

static int parse_dock(Settings *s, const ConfLine *line, ConfError *error) {
        if (text_equal(line->key, "name"))
                return conf_string(line, &s->name, error);
        if (text_equal(line->key, "state_dir"))
                return conf_path(line, &s->state_dir, error);
        if (text_equal(line->key, "plugin_dir"))
                return conf_path(line, &s->plugin_dir, error);
        if (text_equal(line->key, "worker"))
                return conf_path(line, &s->worker, error);
        if (text_equal(line->key, "models_dir"))
                return conf_path(line, &s->models_dir, error);
        if (text_equal(line->key, "local_models_dir"))
                return conf_path(line, &s->local_models_dir, error);
        if (text_equal(line->key, "uplink_socket"))
                return conf_path(line, &s->uplink_socket, error);
        if (text_equal(line->key, "credentials"))
                return conf_path(line, &s->credentials, error);
        if (text_equal(line->key, "status_every"))
                return conf_span(line, 0, 24 * 3600 * USEC_PER_SEC, &s->status_usec, error);
        if (text_equal(line->key, "fleet_key")) {
                if (public_key_from_hex(line->value, &s->fleet_key) < 0)
                        return conf_error(line, error, "the administrator's public key is 64 hex digits: 'berthctl roster sign' tells it");
                s->fleet_key_known = true;
                return 0;
        }
        if (text_equal(line->key, "fleet")) {
                if (!fleet_id_is_valid(line->value))
                        return conf_error(line, error, "a fleet's id has 1 to %d letters, digits, '.', '_' and '-'", FLEET_ID_SIZE - 1);
                return conf_string(line, &s->fleet, error);
        }
        return conf_error(line, error, "unknown key");
}

/* Every strength that is named must be one: a misspelt list would accept nothing, or be thought to. */
static int parse_accept(Settings *s, const ConfLine *line, ConfError *error) {
        _cleanup_(freep) char *list = NULL;
        char *save = NULL;
        int r;

        r = conf_string(line, &list, error);
        if (r < 0)
                return r;
        free(s->accept);
        s->accept = strdup(list);
        if (!s->accept)
                return -ENOMEM;
        for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save))
                if (!text_equal(word, "digest") && !text_equal(word, "size") && !text_equal(word, "local"))
                        return conf_error(line, error, "'%s' is not a receipt strength (digest, size or local, joined by commas "
                                                       "without spaces)", word);
        return 0;
}

static int parse_erase(Settings *s, const ConfLine *line, ConfError *error) {
        ConfLine span = *line;

        for (size_t i = 0; i < ELEMENTSOF(erase_mode_table); i++)
                if (erase_mode_table[i] && text_equal(erase_mode_table[i], line->value)) {
                        s->erase = (ErasePolicy){ .mode = (EraseMode) i };
                        return 0;
                }
        if (strncmp(line->value, "after ", 6) != 0)
                return conf_error(line, error, "'%s' is none of after-receipt, by-hand, never, and 'after' with a time such as 14d",
                                  line->value);
        span.value = line->value + 6;
        s->erase.mode = ERASE_AFTER_TIME;
        return conf_span(&span, USEC_PER_SEC, KEEP_MAX_USEC, &s->erase.after_usec, error);
}

static int parse_believe(Settings *s, const ConfLine *line, ConfError *error) {
        s->believe_all = text_equal(line->value, "content");
        if (s->believe_all || text_equal(line->value, "signed"))
                return 0;
        return conf_error(line, error, "'%s' is neither signed nor content", line->value);
}

static int parse_policy(Settings *s, const ConfLine *line, ConfError *error) {
        uint64_t u;
        int r;

        if (text_equal(line->key, "erase"))
                return parse_erase(s, line, error);
        if (text_equal(line->key, "accept"))
                return parse_accept(s, line, error);
        if (text_equal(line->key, "believe"))
                return parse_believe(s, line, error);
        if (text_equal(line->key, "set_clock"))
                return conf_bool(line, &s->set_clock, error);
        if (text_equal(line->key, "store_within"))
                return conf_span(line, 60 * USEC_PER_SEC, 365 * 24 * 3600 * USEC_PER_SEC, &s->store_within_usec, error);
        if (text_equal(line->key, "uploads")) {
                r = conf_uint(line, 1, 64, &u, error);
                if (r < 0)
                        return r;
                s->uploads = (unsigned) u;
                return 0;
        }
        return conf_error(line, error, "unknown key");
}

static int parse_timeouts(Settings *s, const ConfLine *line, ConfError *error) {
        static const uint64_t min = 100 * USEC_PER_MSEC, max = 24 * 3600 * USEC_PER_SEC;
        const struct {
                const char *key;
                uint64_t *field;
        } keys[] = {
                { "call", &s->call_usec },
                { "stall", &s->stall_usec },
                { "backoff_min", &s->backoff_min_usec },
                { "backoff_max", &s->backoff_max_usec },
                { "over_current", &s->over_current_usec },
                { "reconcile", &s->reconcile_usec },
                { "store_late", &s->store_late_usec },
        };

        if (text_equal(line->key, "min_rate"))
                return conf_bytes(line, 0, GIB, &s->min_rate, error);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (text_equal(line->key, keys[i].key))
                        return conf_span(line, min, max, keys[i].field, error);
        return conf_error(line, error, "unknown key");
}

static int parse_custody(Settings *s, const ConfLine *line, ConfError *error) {
        if (text_equal(line->key, "checkpoint_every"))
                return conf_span(line, USEC_PER_SEC, 24 * 3600 * USEC_PER_SEC, &s->checkpoint_usec, error);
        return conf_error(line, error, "unknown key");
}

/* "acme-bc1:2.1 acme-bc2:1.7.3" */
static int parse_firmware(Settings *s, const ConfLine *line, ConfError *error) {
        for (const char *word = line->value + strspn(line->value, " "); *word; word += strspn(word, " ")) {
                size_t n = strcspn(word, " "), colon = strcspn(word, ":");

                if (colon == 0 || colon + 1 >= n)
                        return conf_error(line, error, "'%.*s' is not a camera model's id, a colon and a version", (int) n, word);
                word += n;
        }
        return conf_string(line, &s->firmware, error);
}

static int parse_health(Settings *s, const ConfLine *line, ConfError *error) {
        HealthLimits *h = &s->health;
        const struct {
                const char *key;
                unsigned *field;
                uint64_t min, max;
        } keys[] = {
                { "storage_free_percent", &h->storage_free_percent, 0, 90 },
                { "medium_errors", &h->medium_errors, 1, 1000 },
                { "faulted_dockings", &h->faulted_dockings, 0, HEALTH_DOCKINGS },
                { "battery_wear_percent", &h->battery_wear_percent, 1, 100 },
                { "weak_dockings", &h->weak_dockings, 0, HEALTH_DOCKINGS },
                { "battery_fade_percent", &h->battery_fade_percent, 0, 100 },
                { "restarts", &h->restarts, 0, 1000000 },
                { "bay_cameras", &s->bay_health.cameras, 1, BAY_HEALTH_DOCKINGS },
                { "bay_rests", &s->bay_health.rests, 1, 1000 },
                { "bay_over_currents", &s->bay_health.over_currents, 1, 1000 },
        };
        int64_t celsius;
        uint64_t u;
        int r;

        if (text_equal(line->key, "hot_celsius")) {
                r = conf_int(line, 0, 150, &celsius, error);
                if (r >= 0)
                        h->hot_decidegrees = (int) celsius * 10;
                return r;
        }
        if (text_equal(line->key, "firmware"))
                return parse_firmware(s, line, error);
        if (text_equal(line->key, "clock_per_day") || text_equal(line->key, "clock_trend")) {
                bool trend = text_equal(line->key, "clock_trend");

                r = conf_span(line, trend ? 0 : USEC_PER_SEC, 3600 * USEC_PER_SEC, &u, error);
                if (r >= 0)
                        *(trend ? &h->drift_trend_usec : &h->drift_usec_per_day) = (int64_t) u;
                return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (text_equal(line->key, keys[i].key)) {
                        r = conf_uint(line, keys[i].min, keys[i].max, &u, error);
                        if (r >= 0)
                                *keys[i].field = (unsigned) u;
                        return r;
                }
        return conf_error(line, error, "unknown key");
}

static int parse_roster(Settings *s, const ConfLine *line, ConfError *error) {
        if (text_equal(line->key, "due_after"))
                return conf_span(line, 0, 365 * 24 * 3600 * USEC_PER_SEC, &s->due_after_usec, error);
        if (text_equal(line->key, "follow_every"))
                return conf_span(line, 0, 24 * 3600 * USEC_PER_SEC, &s->follow_usec, error);
        if (text_equal(line->key, "mark_best"))
                return conf_bool(line, &s->mark_best, error);
        if (text_equal(line->key, "take_within"))
                return conf_span(line, USEC_PER_SEC, 24 * 3600 * USEC_PER_SEC, &s->take_within_usec, error);
        return conf_error(line, error, "unknown key");
}

static int parse_firmware_section(Settings *s, const ConfLine *line, ConfError *error) {
        if (text_equal(line->key, "keys")) {
                s->firmware_keys_given = true;
                return conf_path(line, &s->firmware_keys, error);
        }
        if (text_equal(line->key, "follow_every"))
                return conf_span(line, 0, 24 * 3600 * USEC_PER_SEC, &s->firmware_usec, error);
        if (text_equal(line->key, "pinned"))
                return conf_string(line, &s->pinned, error);
        return conf_error(line, error, "unknown key");
}

char *settings_describe_port(const Settings *s, const char *port) {
        for (size_t i = 0; i < s->n_bays; i++)
                if (text_equal(s->bays[i].port_path, port))
                        return text_format("BERTH_BAY=%u\n", s->bays[i].number);
        return strdup("");
}

bool settings_is_pinned(const Settings *s, const char *serial) {
        for (const char *word = s->pinned ? s->pinned : ""; *word; word += strspn(word, " ")) {
                size_t n = strcspn(word, " ");

                if (n == strlen(serial) && strncmp(word, serial, n) == 0)
                        return true;
                word += n;
        }
        return false;
}

static int parse_line(const ConfLine *line, void *userdata, ConfError *error) {
        Settings *s = userdata;

        if (text_equal(line->section, "hub") || text_equal(line->section, "shift"))
                return charge_settings_line(&s->charge, line, error);
        if (text_equal(line->section, "bay"))
                return parse_bay(s, line, error);
        if (line->name[0])
                return conf_error(line, error, "section [%s] takes no name", line->section);
        if (text_equal(line->section, "dock"))
                return line->key ? parse_dock(s, line, error) : 0;
        if (text_equal(line->section, "policy"))
                return line->key ? parse_policy(s, line, error) : 0;
        if (text_equal(line->section, "custody"))
                return line->key ? parse_custody(s, line, error) : 0;
        if (text_equal(line->section, "roster"))
                return line->key ? parse_roster(s, line, error) : 0;
        if (text_equal(line->section, "firmware"))
                return line->key ? parse_firmware_section(s, line, error) : 0;
        if (text_equal(line->section, "health"))
                return line->key ? parse_health(s, line, error) : 0;
        if (text_equal(line->section, "timeouts"))
                return line->key ? parse_timeouts(s, line, error) : 0;
        if (text_equal(line->section, "charging"))
                return charge_settings_line(&s->charge, line, error);
        if (text_equal(line->section, "lights"))
                return line->key ? parse_light(s, line, error) : 0;
        if (text_equal(line->section, "rack")) {
                if (!line->key)
                        return 0;
                if (text_equal(line->key, "authorise"))
                        return conf_bool(line, &s->authorise, error);
                if (text_equal(line->key, "budget"))
                        return charge_settings_line(&s->charge, line, error);
                return conf_error(line, error, "unknown key");
        }
        if (text_equal(line->section, "spool")) {
                if (!line->key)
                        return 0;
                if (text_equal(line->key, "reserve"))
                        return conf_bytes(line, RESERVE_MIN_BYTES, UINT64_C(1) << 50, &s->reserve_bytes, error);
                if (text_equal(line->key, "keep"))
                        return conf_span(line, 0, KEEP_MAX_USEC, &s->keep_usec, error);
                if (text_equal(line->key, "priority_reserve"))
                        return conf_bytes(line, 0, UINT64_C(1) << 50, &s->priority_reserve_bytes, error);
                return conf_error(line, error, "unknown key");
        }
        return conf_error(line, error, "unknown section");
}

static int compare_bays(const void *a, const void *b) {
        const BaySetting *x = a, *y = b;

        return x->number < y->number ? -1 : x->number > y->number;
}

/* What berthd.service lets systemd hand over, when nothing else is named. */
static int find_credentials(Settings *s) {
        const char *dir = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_(freep) char *path = NULL;

        if (s->credentials || !dir || dir[0] != '/')
                return 0;
        path = text_format("%s/cameras", dir);
        if (!path)
                return -ENOMEM;
        if (access(path, F_OK) < 0)
                return 0;
        s->credentials = TAKE_PTR(path);
        s->credentials_from_systemd = true;
        return 0;
}

static int fill_defaults(Settings *s) {
        char host[256] = "dock";
        int r;

        (void) gethostname(host, sizeof(host) - 1);
        if ((r = set_default(&s->name, host)) < 0 || (r = set_default(&s->state_dir, "/var/lib/berth")) < 0 ||
            (r = set_default(&s->plugin_dir, BERTH_LIBDIR "/plugins")) < 0 ||
            (r = set_default(&s->worker, BERTH_LIBDIR "/berth-bay")) < 0 ||
            (r = set_default(&s->models_dir, BERTH_DATADIR "/cameras.d")) < 0 ||
            (r = set_default(&s->local_models_dir, "/etc/berth/cameras.d")) < 0 ||
            (r = set_default(&s->uplink_socket, "/run/berth-uplink/uplink.sock")) < 0 ||
            (r = set_default(&s->accept, "digest")) < 0 || (r = set_default(&s->firmware_keys, BERTH_SYSCONFDIR "/firmware.pub")) < 0 ||
             (r = find_credentials(s)) < 0)
                return r;
        return 0;
}

/* "1-1.4.2" is behind "1-1.4". */
static bool port_is_behind(const char *port_path, const char *hub) {
        size_t n = strlen(hub);

        return strncmp(port_path, hub, n) == 0 && port_path[n] == '.';
}

/* What no single line can be blamed for. */
static int check_whole(const Settings *s, const char *path, ConfError *error) {
        if (s->n_bays == 0) {
                snprintf(error->text, sizeof(error->text),
                         "%s: no bay is described; add a section such as [bay 1-1.1] with number = 1 for each slot", path);
                return -EINVAL;
        }
        for (size_t i = 0; i < s->n_bays; i++)
                if (s->bays[i].number == 0) {
                        snprintf(error->text, sizeof(error->text), "%s: [bay %s] has no number; add number = N", path,
                                 s->bays[i].port_path);
                        return -EINVAL;
                }
        for (size_t i = 0; i < s->n_bays; i++)
                for (size_t k = 0; k < s->n_bays; k++)
                        if (port_is_behind(s->bays[k].port_path, s->bays[i].port_path)) {
                                snprintf(error->text, sizeof(error->text),
                                         "%s: [bay %s] is behind the hub at %s, which cannot be a bay itself", path,
                                         s->bays[k].port_path, s->bays[i].port_path);
                                return -EINVAL;
                        }
        if (charge_settings_check(&s->charge, path, error) < 0)
                return -EINVAL;
        if (s->backoff_min_usec > s->backoff_max_usec) {
                snprintf(error->text, sizeof(error->text), "%s: [timeouts] backoff_min is longer than backoff_max", path);
                return -EINVAL;
        }
        return 0;
}

typedef struct Reading {
        Settings *settings;
        json_t *written, *origins;
} Reading;

/* Everything that counts is noted as it was written, whatever it means; a key that is there twice as it was written last. */
static int take_line(const ConfLine *line, void *userdata, ConfError *error) {
        Reading *reading = userdata;
        _cleanup_(freep) char *key = NULL, *origin = NULL;
        int r;

        r = parse_line(line, reading->settings, error);
        if (r < 0 || !line->key)
                return r;
        key = text_format("%s%s%s.%s", line->section, line->name[0] ? " " : "", line->name, line->key);
        origin = text_format("%s:%u", line->file, line->line);
        if (!key || !origin || json_object_set_new(reading->written, key, json_string(line->value)) < 0)
                return -ENOMEM;
        return json_object_set_new(reading->origins, key, json_string(origin)) < 0 ? -ENOMEM : r;
}

static int read_files(const char *path, Settings *s, ConfError *error) {
        _cleanup_(json_decrefp) json_t *written = json_object(), *origins = json_object();
        _cleanup_(freep) char *dropins = text_format("%s.d", path);
        Reading reading = { .settings = s, .written = written, .origins = origins };
        int r;

        if (!written || !origins || !dropins)
                return -ENOMEM;
        r = conf_parse_file(path, take_line, &reading, error);
        if (r >= 0)
                r = conf_parse_dir(dropins, take_line, &reading, error);
        if (r < 0)
                return r;
        s->path = strdup(path);
        s->written = canonical_text(written);
        s->origins = canonical_text(origins);
        return s->path && s->written && s->origins ? 0 : -ENOMEM;
}

int settings_load(const char *path, Settings **ret, ConfError *error) {
        _cleanup_(settings_freep) Settings *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        memcpy(s->lights, default_lights, sizeof(s->lights));
        charge_settings_default(&s->charge);
        s->reserve_bytes = GIB;
        s->priority_reserve_bytes = 4 * GIB;
        s->erase = (ErasePolicy){ .mode = ERASE_AFTER_RECEIPT };
        s->set_clock = true;
        s->uploads = 8;
        s->store_within_usec = 24 * 3600 * USEC_PER_SEC;
        s->checkpoint_usec = 600 * USEC_PER_SEC;
        s->status_usec = 300 * USEC_PER_SEC;
        s->health = (HealthLimits){
                .drift_usec_per_day = 10 * (int64_t) USEC_PER_SEC,
                .storage_free_percent = 10,
                .medium_errors = 3,
                .faulted_dockings = 4,
                .battery_wear_percent = 30,
                .weak_dockings = 3,
                .hot_decidegrees = 600,
                .battery_fade_percent = 5,
                .drift_trend_usec = 2 * (int64_t) USEC_PER_SEC,
                .restarts = 5,
        };
        s->bay_health = (BayLimits){ .cameras = 2, .rests = 3, .over_currents = 1 };
        s->due_after_usec = 14 * 3600 * USEC_PER_SEC;
        s->take_within_usec = 600 * USEC_PER_SEC;
        s->follow_usec = 300 * USEC_PER_SEC;
        s->firmware_usec = 300 * USEC_PER_SEC;
        s->call_usec = 60 * USEC_PER_SEC;
        s->stall_usec = 15 * USEC_PER_SEC;
        s->min_rate = 16 * KIB;
        s->backoff_min_usec = 2 * USEC_PER_SEC;
        s->backoff_max_usec = 300 * USEC_PER_SEC;
        s->over_current_usec = 60 * USEC_PER_SEC;
        s->reconcile_usec = 30 * USEC_PER_SEC;
        s->store_late_usec = 20 * 60 * USEC_PER_SEC;
        r = read_files(path, s, error);
        if (r < 0)
                return r;
        r = fill_defaults(s);
        if (r < 0)
                return r;
        if (s->n_bays > 0)
                qsort(s->bays, s->n_bays, sizeof(*s->bays), compare_bays);
        r = check_whole(s, path, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}
