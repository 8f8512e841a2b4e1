/* SPDX-License-Identifier: Apache-2.0 */

/* The keys of a model's section. Each value is checked here, once; berth-cameras(5) describes them in the same order. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/model.h"

#define LIST_MAX 64u
#define PATTERN_MAX 200u
#define CHARGE_MA_MAX 5000u
#define BATTERY_MAH_MAX 100000u
#define ZONE_MINUTES_MAX (14 * 60)

static void list_done(ModelList *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->items[i]);
        free(l->items);
}

Model *model_free(Model *m) {
        if (!m)
                return NULL;
        free(m->id);
        free(m->description);
        free(m->tested);
        free(m->file);
        free(m->ids);
        free(m->match_manufacturer);
        free(m->match_product);
        free(m->match_serial);
        free(m->interfaces.items);
        free(m->others.items);
        free(m->plugin);
        list_done(&m->options);
        list_done(&m->returns_as);
        list_done(&m->footage);
        list_done(&m->priority);
        list_done(&m->companions_taken);
        list_done(&m->companions_ignored);
        free(m->hardware);
        free(m->firmware_file);
        free(m->update_mode);
        free(m);
        return NULL;
}

int model_list_append(const ConfLine *line, ModelList *list, const char *value, ConfError *error) {
        char **grown;

        if (list->n >= LIST_MAX)
                return conf_error(line, error, "more than %u of them", LIST_MAX);
        /* One more than needed, so that the list ends with NULL. */
        grown = reallocarray(list->items, list->n + 2, sizeof(char *));
        if (!grown)
                return -ENOMEM;
        list->items = grown;
        grown[list->n] = strdup(value);
        if (!grown[list->n])
                return -ENOMEM;
        grown[++list->n] = NULL;
        return 0;
}

/* ---- What the device is ------------------------------------------------------------------------------------------ */

static int parse_hex4(const char *s, uint16_t *ret) {
        if (strspn(s, "0123456789abcdefABCDEF") < 4)
                return -EINVAL;
        *ret = (uint16_t) strtoul((const char[]){ s[0], s[1], s[2], s[3], 0 }, NULL, 16);
        return 0;
}

/* "any", or "1234:abcd" */
static int parse_match(Model *m, const ConfLine *line, ConfError *error) {
        const char *v = line->value;
        ModelId id, *grown;

        if (text_equal(v, "any") ? m->n_ids > 0 : m->match_any_id)
                return conf_error(line, error, "'any' stands alone: take the other match lines away, or this one");
        if (text_equal(v, "any")) {
                m->match_any_id = true;
                return 0;
        }
        if (strlen(v) != 9 || v[4] != ':' || parse_hex4(v, &id.vid) < 0 || parse_hex4(v + 5, &id.pid) < 0)
                return conf_error(line, error, "'%s' is neither 'any' nor vendor:product in hex, such as 4255:0001", v);
        for (size_t i = 0; i < m->n_ids; i++)
                if (m->ids[i].vid == id.vid && m->ids[i].pid == id.pid)
                        return conf_error(line, error, "%s is there twice", v);
        if (m->n_ids >= LIST_MAX)
                return conf_error(line, error, "more than %u of them", LIST_MAX);
        grown = reallocarray(m->ids, m->n_ids + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        m->ids = grown;
        grown[m->n_ids++] = id;
        return 0;
}

/* A pattern that could match nothing else than its own mistake is none. */
static int check_pattern(const ConfLine *line, ConfError *error) {
        if (strlen(line->value) > PATTERN_MAX)
                return conf_error(line, error, "the pattern is longer than %u bytes", PATTERN_MAX);
        if (!line->value[0])
                return conf_error(line, error, "must not be empty");
        if (!text_is_printable(line->value))
                return conf_error(line, error, "holds a control character");
        return 0;
}

static int parse_word(const ConfLine *line, char **ret, ConfError *error) {
        int r;

        r = check_pattern(line, error);
        return r < 0 ? r : conf_string(line, ret, error);
}

static int hex_byte(const char *s, uint8_t *ret) {
        if (strspn(s, "0123456789abcdefABCDEF") < 2)
                return -EINVAL;
        *ret = (uint8_t) strtoul((const char[]){ s[0], s[1], 0 }, NULL, 16);
        return 0;
}

/* "06/01/01" */
static int parse_class(const ConfLine *line, ModelClasses *classes, ConfError *error) {
        const char *v = line->value;
        UsbClass *grown, c = {};

        if (strlen(v) != 8 || v[2] != '/' || v[5] != '/' || hex_byte(v, &c.class_code) < 0 || hex_byte(v + 3, &c.subclass) < 0 ||
            hex_byte(v + 6, &c.protocol) < 0)
                return conf_error(line, error, "'%s' is not class/subclass/protocol in hex, such as 06/01/01", v);
        if (classes->n >= LIST_MAX)
                return conf_error(line, error, "more than %u of them", LIST_MAX);
        grown = reallocarray(classes->items, classes->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        classes->items = grown;
        grown[classes->n++] = c;
        return 0;
}

static int parse_device(Model *m, const ConfLine *line, ConfError *error) {
        if (text_equal(line->key, "match"))
                return parse_match(m, line, error);
        if (text_equal(line->key, "match_manufacturer"))
                return parse_word(line, &m->match_manufacturer, error);
        if (text_equal(line->key, "match_product"))
                return parse_word(line, &m->match_product, error);
        if (text_equal(line->key, "match_serial"))
                return parse_word(line, &m->match_serial, error);
        if (text_equal(line->key, "interface"))
                return parse_class(line, &m->interfaces, error);
        if (text_equal(line->key, "other_interface"))
                return parse_class(line, &m->others, error);
        return -ENOENT;
}

/* ---- Who speaks to it -------------------------------------------------------------------------------------------- */

/* A plugin's name becomes a file name: one plain word. */
static int parse_plugin(Model *m, const ConfLine *line, ConfError *error) {
        if (line->value[strspn(line->value, "abcdefghijklmnopqrstuvwxyz0123456789-")] || !line->value[0])
                return conf_error(line, error, "'%s' is not a plugin's name (lower-case letters, digits, '-')", line->value);
        return conf_string(line, &m->plugin, error);
}

static int parse_option(Model *m, const ConfLine *line, ConfError *error) {
        const char *key = line->key + strlen("plugin.");
        _cleanup_(freep) char *option = text_format("%s=%s", key, line->value);

        if (!option)
                return -ENOMEM;
        for (size_t i = 0; i < m->options.n; i++)
                if (strncmp(m->options.items[i], option, strlen(key) + 1) == 0)
                        return conf_error(line, error, "is there twice");
        return model_list_append(line, &m->options, option, error);
}

static int parse_speaker(Model *m, const ConfLine *line, ConfError *error) {
        if (text_equal(line->key, "plugin"))
                return parse_plugin(m, line, error);
        if (strncmp(line->key, "plugin.", 7) == 0 && line->key[7])
                return parse_option(m, line, error);
        return -ENOENT;
}

/* ---- What its files are ------------------------------------------------------------------------------------------ */

static int parse_pattern(const ConfLine *line, ModelList *list, ConfError *error) {
        int r;

        r = check_pattern(line, error);
        return r < 0 ? r : model_list_append(line, list, line->value, error);
}

/* "SOS/": the folder anywhere on the camera, as two patterns. */
static int parse_priority_folder(Model *m, const ConfLine *line, ConfError *error) {
        const char *v = line->value;
        _cleanup_(freep) char *inner = NULL, *top = NULL;
        size_t n = strlen(v);
        int r;

        r = check_pattern(line, error);
        if (r < 0)
                return r;
        n -= v[n - 1] == '/';
        if (n == 0 || v[0] == '/' || v[strcspn(v, "*?[\\")])
                return conf_error(line, error, "'%s' is not a folder's name or path, such as SOS/", v);
        top = text_format("%.*s/*", (int) n, v);
        inner = text_format("*/%.*s/*", (int) n, v);
        if (!top || !inner)
                return -ENOMEM;
        r = model_list_append(line, &m->priority, top, error);
        return r < 0 ? r : model_list_append(line, &m->priority, inner, error);
}

/* "*.gpx take", "*.thm ignore" */
static int parse_companion(Model *m, const ConfLine *line, ConfError *error) {
        const char *space = strrchr(line->value, ' ');
        _cleanup_(freep) char *pattern = NULL;
        size_t n;
        int r;

        r = check_pattern(line, error);
        if (r < 0)
                return r;
        if (!space || (!text_equal(space + 1, "take") && !text_equal(space + 1, "ignore")))
                return conf_error(line, error, "'%s' does not end in 'take' or 'ignore', as in *.gpx take", line->value);
        n = (size_t) (space - line->value);
        while (n > 0 && line->value[n - 1] == ' ')
                n--;
        if (n == 0)
                return conf_error(line, error, "names no pattern, as in *.gpx take");
        pattern = strndup(line->value, n);
        if (!pattern)
                return -ENOMEM;
        return model_list_append(line, text_equal(space + 1, "take") ? &m->companions_taken : &m->companions_ignored, pattern, error);
}

/* "utc", "local", "+05:30" */
static int parse_zone(Model *m, const ConfLine *line, ConfError *error) {
        const char *v = line->value;
        int minutes;

        if (text_equal(v, "utc") || text_equal(v, "local")) {
                m->zone = text_equal(v, "utc") ? MODEL_ZONE_UTC : MODEL_ZONE_LOCAL;
                return 0;
        }
        if (strlen(v) != 6 || (v[0] != '+' && v[0] != '-') || v[3] != ':' || strspn(v + 1, "0123456789") != 2 ||
            strspn(v + 4, "0123456789") != 2 || v[4] > '5')
                return conf_error(line, error, "'%s' is neither utc nor local nor an offset such as +02:00", v);
        minutes = ((v[1] - '0') * 10 + (v[2] - '0')) * 60 + (v[4] - '0') * 10 + (v[5] - '0');
        if (minutes > ZONE_MINUTES_MAX)
                return conf_error(line, error, "no zone is further than 14 hours from UTC");
        m->zone = MODEL_ZONE_FIXED;
        m->zone_minutes = v[0] == '-' ? -minutes : minutes;
        return 0;
}

static int parse_erase(Model *m, const ConfLine *line, ConfError *error) {
        if (strncmp(line->value, "after ", 6) == 0) {
                ConfLine span = *line;

                span.value = line->value + 6;
                m->erase = MODEL_ERASE_AFTER;
                return conf_span(&span, USEC_PER_SEC, MODEL_ERASE_AFTER_MAX_USEC, &m->erase_after_usec, error);
        }
        for (ModelErase e = 0; e < _MODEL_ERASE_MAX; e++)
                if (e != MODEL_ERASE_AFTER && text_equal(line->value, model_erase_to_string(e))) {
                        m->erase = e;
                        return 0;
                }
        return conf_error(line, error, "'%s' is none of receipted, never, by-hand, format, and 'after' with a time such as 14d",
                          line->value);
}

static int parse_files(Model *m, const ConfLine *line, ConfError *error) {
        if (text_equal(line->key, "footage"))
                return parse_pattern(line, &m->footage, error);
        if (text_equal(line->key, "priority"))
                return parse_pattern(line, &m->priority, error);
        if (text_equal(line->key, "priority_folder"))
                return parse_priority_folder(m, line, error);
        if (text_equal(line->key, "companion"))
                return parse_companion(m, line, error);
        if (text_equal(line->key, "file_times"))
                return parse_zone(m, line, error);
        if (text_equal(line->key, "erase"))
                return parse_erase(m, line, error);
        return -ENOENT;
}

/* ---- Battery and firmware ---------------------------------------------------------------------------------------- */

/* One "80:900" of a charge curve; returns what follows it, or NULL. */
static const char *parse_point(const char *s, unsigned *ret_percent, unsigned *ret_ma) {
        int used = 0;

        if (*s < '0' || *s > '9' || sscanf(s, "%3u:%4u%n", ret_percent, ret_ma, &used) != 2 || used == 0)
                return NULL;
        s += used;
        return *s == ' ' || *s == 0 ? s + strspn(s, " ") : NULL;
}

static int parse_charge_curve(Model *m, const ConfLine *line, ConfError *error) {
        size_t n = 0;

        for (const char *s = line->value; *s;) {
                unsigned percent = 0, ma = 0;

                s = parse_point(s, &percent, &ma);
                if (!s || percent > 100 || ma > CHARGE_MA_MAX)
                        return conf_error(line, error, "'%s' is not a list of percent:milliamperes such as 0:900 80:900 95:300 100:50",
                                          line->value);
                if (n == BATTERY_POINTS_MAX)
                        return conf_error(line, error, "more than %u points", BATTERY_POINTS_MAX);
                if (n > 0 && percent <= m->charge_curve[n - 1].percent)
                        return conf_error(line, error, "the percentages do not rise: %u after %u", percent, m->charge_curve[n - 1].percent);
                m->charge_curve[n++] = (ChargePoint){ (uint8_t) percent, (uint16_t) ma };
        }
        if (n < 2)
                return conf_error(line, error, "a curve needs two points or more");
        m->n_charge_curve = n;
        return 0;
}

static int parse_firmware(Model *m, const ConfLine *line, ConfError *error) {
        const char *v = line->value, *file = strncmp(v, "file ", 5) == 0 ? v + 5 + strspn(v + 5, " ") : NULL;

        free(m->firmware_file);
        m->firmware_file = NULL;
        if (text_equal(v, "none") || text_equal(v, "dfu")) {
                m->firmware = text_equal(v, "dfu") ? MODEL_FIRMWARE_DFU : MODEL_FIRMWARE_NONE;
                return 0;
        }
        if (!file)
                return conf_error(line, error, "'%s' is none of none, dfu and file PATH", v);
        if (!text_path_is_valid(file))
                return conf_error(line, error, "'%s' is not a path on the camera such as UPDATE/firmware.bin (relative, without '..')",
                                  file);
        m->firmware_file = strdup(file);
        if (!m->firmware_file)
                return -ENOMEM;
        m->firmware = MODEL_FIRMWARE_FILE;
        return 0;
}

static int parse_number(const ConfLine *line, uint32_t min, uint32_t max, uint32_t *ret, ConfError *error) {
        uint64_t v;
        int r;

        r = conf_uint(line, min, max, &v, error);
        if (r < 0)
                return r;
        *ret = (uint32_t) v;
        return 0;
}

static int parse_body(Model *m, const ConfLine *line, ConfError *error) {
        uint32_t floor;
        int r;

        if (text_equal(line->key, "charge_ma"))
                return parse_number(line, 1, CHARGE_MA_MAX, &m->charge_ma, error);
        if (text_equal(line->key, "battery_mah"))
                return parse_number(line, 1, BATTERY_MAH_MAX, &m->battery_mah, error);
        if (text_equal(line->key, "battery_floor_percent")) {
                r = parse_number(line, 0, 100, &floor, error);
                if (r < 0)
                        return r;
                m->battery_floor_percent = (uint8_t) floor;
                return 0;
        }
        if (text_equal(line->key, "charge_curve"))
                return parse_charge_curve(m, line, error);
        if (text_equal(line->key, "firmware"))
                return parse_firmware(m, line, error);
        if (text_equal(line->key, "hardware"))
                return conf_string(line, &m->hardware, error);
        return -ENOENT;
}

/* Of two that say different things the later would win unseen. Keys that are not here may be given again: they add up. */
static int check_single(Model *m, const ConfLine *line, ConfError *error) {
        static const char *const keys[] = { "match_manufacturer", "match_product", "match_serial", "plugin", "returns_within",
                                            "file_times", "erase", "charge_ma", "battery_mah", "battery_floor_percent",
                                            "charge_curve", "firmware", "hardware", "update_mode", "update_within",
                                            "update_restart", "description", "tested" };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const uint32_t bit = UINT32_C(1) << i;

                if (!text_equal(line->key, keys[i]))
                        continue;
                if (m->keys_given & bit)
                        return conf_error(line, error, "is there twice");
                m->keys_given |= bit;
        }
        return 0;
}

int model_parse_key(Model *m, const ConfLine *line, ConfError *error) {
        int (*const parts[])(Model *, const ConfLine *, ConfError *) = { parse_device, parse_speaker, model_parse_returns,
                                                                               model_parse_update, parse_files, parse_body };
        int r;

        r = check_single(m, line, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                r = parts[i](m, line, error);
                if (r != -ENOENT)
                        return r;
        }
        if (text_equal(line->key, "description"))
                return conf_string(line, &m->description, error);
        if (text_equal(line->key, "tested"))
                return conf_string(line, &m->tested, error);
        return conf_error(line, error, "unknown key; berth-cameras(5) lists what there is");
}

/* The zone of the file times is an option of every plugin that reads such times. */
int model_finish(Model *m, ConfError *error) {
        _cleanup_(freep) char *option = NULL;
        const ConfLine line = { .file = m->file, .line = m->line, .section = "model", .name = m->id };

        if (m->zone == MODEL_ZONE_UTC)
                return 0;
        for (size_t i = 0; i < m->options.n; i++)
                if (strncmp(m->options.items[i], "utc-offset-minutes=", 19) == 0)
                        return conf_error(&line, error, "file_times and plugin.utc-offset-minutes say one thing; leave one of them out");
        option = m->zone == MODEL_ZONE_LOCAL ? strdup("utc-offset-minutes=local") :
                                               text_format("utc-offset-minutes=%d", m->zone_minutes);
        if (!option)
                return -ENOMEM;
        return model_list_append(&line, &m->options, option, error);
}
