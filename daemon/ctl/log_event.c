/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/log_event.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "ctl/json_out.h"

#define DIGEST_SHOWN 12 /* hex digits of a digest that a line shows; JSON has all of them */

/* Shown in columns of their own, or only of use to a program. */
static const char *const members_elsewhere[] = {
        "seq", "prev", "event", "time", "boot", "boottime_usec", "synchronised", "docking_id", "camera_id", "clip_id",
        "bay", "serial", "path", "reason", "flags", "head", "tail", "descriptors",
        "statement", "signature", "owner_known",
};

static bool is_elsewhere(const char *key) {
        for (size_t i = 0; i < ELEMENTSOF(members_elsewhere); i++)
                if (text_equal(members_elsewhere[i], key))
                        return true;
        return false;
}

static const char *member(const json_t *event, const char *key) {
        const char *text = json_string_value(json_object_get(event, key));
        return text ? text : "";
}

/* "9000000+4096,9010000+512": where each begins, and how long it is. */
static void put_ranges(FILE *f, const char *key, const json_t *ranges) {
        size_t i;
        json_t *range;
        json_array_foreach(ranges, i, range)
                fprintf(f, "%s%s%s%" JSON_INTEGER_FORMAT "+%" JSON_INTEGER_FORMAT, i == 0 ? " " : ",", i == 0 ? key : "", i == 0 ? "=" : "",
                        json_integer_value(json_array_get(range, 0)), json_integer_value(json_array_get(range, 1)));
}

/* "a,b" */
static void put_texts(FILE *f, const char *key, const json_t *texts) {
        size_t i;
        json_t *text;
        json_array_foreach(texts, i, text)
                fprintf(f, "%s%s%s%s", i == 0 ? " " : ",", i == 0 ? key : "", i == 0 ? "=" : "", json_string_value(text) ?: "");
}

static void put_member(FILE *f, const char *key, const json_t *value) {
        if (json_is_string(value)) {
                const char *text = json_string_value(value);
                bool digest = strlen(text) == DIGEST_HEX_SIZE - 1 && strspn(text, "0123456789abcdef") == strlen(text);
                fprintf(f, " %s=%.*s", key, digest ? DIGEST_SHOWN : (int) strlen(text), text);
        } else if (json_is_integer(value))
                fprintf(f, " %s=%" JSON_INTEGER_FORMAT, key, json_integer_value(value));
        else if (json_is_array(value) && text_equal(key, "ranges"))
                put_ranges(f, key, value);
        else if (json_is_array(value) && json_is_string(json_array_get(value, 0)))
                put_texts(f, key, value);
        else if (json_is_boolean(value))
                fprintf(f, " %s=%s", key, json_is_true(value) ? "yes" : "no");
}

/* Everything but the number, as raw text. */
static char *event_text(json_t *event) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        if (!f)
                return NULL;

        const char *time = member(event, "time");
        if (strlen(time) > 19)
                fprintf(f, "%.10s %.8s%s", time, time + 11,
                        json_is_false(json_object_get(event, "synchronised")) ? "?" : " ");
        else
                fprintf(f, "%-20s", time);
        fprintf(f, "  %-16s", member(event, "event"));

        static const char *const about[] = { "bay", "serial", "path" };
        for (size_t i = 0; i < ELEMENTSOF(about); i++)
                if (*member(event, about[i]))
                        fprintf(f, " %s", member(event, about[i]));
        if (json_object_get(event, "clip_id"))
                fprintf(f, " (clip %" JSON_INTEGER_FORMAT ")", json_integer_value(json_object_get(event, "clip_id")));

        const char *key;
        json_t *value;
        json_object_foreach(event, key, value)
                if (!is_elsewhere(key))
                        put_member(f, key, value);
        if (*member(event, "reason"))
                fprintf(f, ": %s", member(event, "reason"));
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static Style event_style(const json_t *object) {
        const char *event = member(object, "event");
        static const char *const bad[] = { "fault", "over-current", "conflict", "quarantined", "erase-failed", "clip-lost",
                                           "pull-unreadable", "store-refused" };
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (text_equal(bad[i], event))
                        return STYLE_BAD;
        if (text_equal(member(object, "container_state"), "incomplete"))
                return STYLE_WARN;
        return text_equal(event, "refused") ? STYLE_WARN : text_equal(event, "erased") ? STYLE_GOOD : STYLE_PLAIN;
}

char *log_event_line(uint64_t seq, const char *bytes, const Look *look) {
        _cleanup_(json_decrefp) json_t *event = json_loads(bytes, JSON_REJECT_DUPLICATES, NULL);
        bool known = json_is_object(event);
        _cleanup_(freep) char *text = known ? event_text(event) : strdup(bytes);
        _cleanup_(freep) char *safe = text ? display_text(text, look) : NULL;
        if (!safe)
                return NULL;
        Style style = known ? event_style(event) : STYLE_PLAIN;
        return text_format("%6llu %s%s%s", (unsigned long long) seq, style_begin(style, look), safe,
                           style_end(style, look));
}

json_t *log_event_json(uint64_t seq, const char *bytes, const char *hash) {
        json_t *event = json_loads(bytes, JSON_REJECT_DUPLICATES, NULL);
        return json_pack("{s:I, s:s, s:s, s:o}", "seq", (json_int_t) seq, "hash", hash, "bytes", bytes, "event",
                         event ? event : json_null());
}
