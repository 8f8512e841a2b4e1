/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/manifest.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"
#include "uplink/backend.h"

Manifest *manifest_free(Manifest *m) {
        if (!m)
                return NULL;
        free(m->object);
        free(m->manifest);
        free(m->serial);
        free(m->path);
        free(m->etag);
        free(m);
        return NULL;
}

int manifest_check_facts(const char *facts_json) {
        _cleanup_(json_decrefp) json_t *facts = NULL;
        size_t size = strlen(facts_json);

        if (size > FACTS_SIZE_MAX)
                return -EINVAL;
        facts = json_loadb(facts_json, size, JSON_REJECT_DUPLICATES, NULL);
        return json_is_object(facts) ? 0 : -EINVAL;
}

/* A time as text; an unknown one, or one that no calendar knows, is null. */
static json_t *json_time(int64_t unix_sec) {
        char text[UTC_TEXT_SIZE];

        if (unix_sec < 0 || unix_sec > INT64_C(253402300799))
                return json_null();
        return json_string(utc_text(unix_sec * (int64_t) USEC_PER_SEC, text));
}

int manifest_compose(const Manifest *m, const char *facts_json, char **ret) {
        _cleanup_(json_decrefp) json_t *j = NULL;
        _cleanup_(manifest_freep) Manifest *again = NULL;
        _cleanup_(freep) char *head = NULL;
        char hex[DIGEST_HEX_SIZE];
        size_t length;
        char *text;
        int r;

        if (m->size_bytes > INT64_MAX)
                return -EINVAL;
        j = json_pack("{s:i, s:s, s:s, s:I, s:s, s:s, s:s, s:o, s:s, s:o, s:b, s:b}", "version", MANIFEST_VERSION, "object", m->object,
                      "manifest", m->manifest, "size", (json_int_t) m->size_bytes, "sha256", digest_to_hex(&m->digest, hex), "serial",
                      m->serial, "path", m->path, "mtime", json_time(m->mtime_unix_sec), "day", m->day, "stored",
                      json_time(m->stored_unix_sec), "read_back", (int) m->read_back, "same_file_system", (int) m->same_file_system);
        if (!j)
                return -EINVAL;
        if (m->store_checked && json_object_set_new(j, "store_checked", json_true()) < 0)
                return -ENOMEM;
        if (m->etag && json_object_set_new(j, "etag", json_string(m->etag)) < 0)
                return -EINVAL;
        head = json_dumps(j, JSON_INDENT(2));
        if (!head)
                return -ENOMEM;
        /* The facts go in as they came: cut off the closing "\n}" and write it anew behind them. */
        length = strlen(head) - 2;
        text = text_format("%.*s,\n  \"facts\": %s\n}\n", (int) length, head, facts_json);
        if (!text)
                return -ENOMEM;
        /* One that could not be read again, such as with facts nested too deep, would be a conflict for ever. */
        r = manifest_parse(text, strlen(text), &again);
        if (r < 0) {
                free(text);
                return r == -ENOMEM ? r : -EINVAL;
        }
        *ret = text;
        return 0;
}

/* A copy of a printable string member, or NULL. */
static char *take_string(const json_t *j, const char *key, size_t max) {
        const json_t *member = json_object_get(j, key);
        const char *s = json_string_value(member);

        if (!s || strlen(s) != json_string_length(member) || s[0] == 0 || strlen(s) > max || !text_is_printable(s))
                return NULL;
        return strdup(s);
}

static int take_time(const json_t *j, const char *key, bool may_be_null, int64_t *ret) {
        const json_t *member = json_object_get(j, key);
        int64_t usec;

        if (may_be_null && json_is_null(member)) {
                *ret = UNKNOWN_TIME;
                return 0;
        }
        if (!json_is_string(member) || utc_from_text(json_string_value(member), &usec) < 0)
                return -EBADMSG;
        *ret = usec / (int64_t) USEC_PER_SEC;
        return 0;
}

static int take_members(const json_t *j, Manifest *m) {
        _cleanup_(freep) char *day = take_string(j, "day", sizeof(m->day) - 1);
        const json_t *size = json_object_get(j, "size");
        const char *sha256 = json_string_value(json_object_get(j, "sha256"));
        const json_t *read_back = json_object_get(j, "read_back"), *same = json_object_get(j, "same_file_system");

        m->object = take_string(j, "object", 1024);
        m->manifest = take_string(j, "manifest", 1024);
        m->serial = take_string(j, "serial", 1024);
        m->path = take_string(j, "path", 8192);
        if (!m->object || !m->manifest || !m->serial || !m->path || !day || !sha256)
                return -EBADMSG;
        if (!json_is_integer(size) || json_integer_value(size) < 0 || digest_from_hex(sha256, &m->digest) < 0)
                return -EBADMSG;
        if (!json_is_boolean(read_back) || !json_is_boolean(same))
                return -EBADMSG;
        m->size_bytes = (uint64_t) json_integer_value(size);
        m->read_back = json_is_true(read_back);
        /* Of stores that have such a thing. */
        m->store_checked = json_is_true(json_object_get(j, "store_checked"));
        m->etag = take_string(j, "etag", 128);
        m->same_file_system = json_is_true(same);
        memcpy(m->day, day, strlen(day) + 1);
        if (take_time(j, "mtime", true, &m->mtime_unix_sec) < 0)
                return -EBADMSG;
        return take_time(j, "stored", false, &m->stored_unix_sec);
}

int manifest_parse(const char *text, size_t size, Manifest **ret) {
        _cleanup_(manifest_freep) Manifest *m = calloc(1, sizeof(*m));
        _cleanup_(json_decrefp) json_t *j = NULL;
        const json_t *version;
        int r;

        if (!m)
                return -ENOMEM;
        j = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
        version = json_object_get(j, "version");
        if (!json_is_integer(version) || json_integer_value(version) < 1)
                return -EBADMSG;
        if (json_integer_value(version) > MANIFEST_VERSION)
                return -ENOTSUP;
        r = take_members(j, m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}
