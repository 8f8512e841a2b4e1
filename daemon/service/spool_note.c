/* SPDX-License-Identifier: Apache-2.0 */
#include "service/spool_note.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/facts.h"

#define NOTE_VERSION 1

SpoolNote *spool_note_free(SpoolNote *n) {
        if (!n)
                return NULL;
        free(n->serial);
        free(n->manufacturer);
        free(n->model);
        free(n->firmware);
        free(n->storage_id);
        free(n->model_id);
        free(n->path);
        free(n);
        return NULL;
}

static const char *or_empty(const char *s) {
        return s ? s : "";
}

static json_t *note_camera(const SpoolNote *n) {
        return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "id", (json_int_t) n->camera_id, "serial", or_empty(n->serial),
                         "manufacturer", or_empty(n->manufacturer), "model", or_empty(n->model), "firmware", or_empty(n->firmware),
                         "storage_id", or_empty(n->storage_id), "model_id", or_empty(n->model_id), "ambiguous", (int) n->ambiguous);
}

int spool_note_compose(const SpoolNote *n, char **ret) {
        char digest[DIGEST_HEX_SIZE], head[DIGEST_HEX_SIZE], tail[DIGEST_HEX_SIZE], seen[UTC_TEXT_SIZE], sealed[UTC_TEXT_SIZE];
        _cleanup_(spool_note_freep) SpoolNote *again = NULL;
        _cleanup_(freep) char *text = NULL;
        json_t *j;
        int r;

        j = json_pack("{s:i, s:I, s:I, s:o, s:s, s:I, s:o, s:I, s:I, s:s, s:s, s:s, s:s, s:s}", "version", NOTE_VERSION, "clip_id",
                      (json_int_t) n->clip_id, "docking_id", (json_int_t) n->docking_id, "camera", note_camera(n), "path",
                      or_empty(n->path), "size_bytes", (json_int_t) n->size_bytes, "mtime_unix_sec",
                      n->mtime_unix_sec == FACT_UNKNOWN_TIME ? json_null() : json_integer(n->mtime_unix_sec), "ordinal",
                      (json_int_t) n->ordinal, "flags", (json_int_t) n->flags, "sha256", digest_to_hex(&n->digest, digest), "head",
                      digest_to_hex(&n->head, head), "tail", digest_to_hex(&n->tail, tail), "first_seen", utc_text(n->seen_usec, seen),
                      "sealed", utc_text(n->sealed_usec, sealed));
        text = j ? json_dumps(j, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
        json_decref(j);
        if (!text)
                return -EINVAL;
        r = spool_note_parse(text, strlen(text), &again);
        if (r < 0)
                return r == -ENOMEM ? r : -EINVAL;
        *ret = TAKE_PTR(text);
        return 0;
}

static int take_text(const json_t *j, const char *key, char **ret) {
        const json_t *member = json_object_get(j, key);
        const char *s = json_string_value(member);

        if (!s || strlen(s) != json_string_length(member) || strlen(s) > FACT_TEXT_MAX)
                return -EBADMSG;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

static int take_uint(const json_t *j, const char *key, uint64_t min, uint64_t max, uint64_t *ret) {
        const json_t *member = json_object_get(j, key);

        if (!json_is_integer(member) || json_integer_value(member) < 0 || (uint64_t) json_integer_value(member) < min ||
            (uint64_t) json_integer_value(member) > max)
                return -EBADMSG;
        *ret = (uint64_t) json_integer_value(member);
        return 0;
}

static int take_digest(const json_t *j, const char *key, Digest *ret) {
        const char *hex = json_string_value(json_object_get(j, key));

        return hex && digest_from_hex(hex, ret) >= 0 ? 0 : -EBADMSG;
}

static int take_time(const json_t *j, const char *key, int64_t *ret) {
        const char *text = json_string_value(json_object_get(j, key));

        return text && utc_from_text(text, ret) >= 0 ? 0 : -EBADMSG;
}

static int take_camera(const json_t *j, SpoolNote *n) {
        const json_t *ambiguous = json_object_get(j, "ambiguous");
        int r;

        if ((r = take_uint(j, "id", 1, INT64_MAX, &n->camera_id)) < 0 || (r = take_text(j, "serial", &n->serial)) < 0 ||
            (r = take_text(j, "manufacturer", &n->manufacturer)) < 0 || (r = take_text(j, "model", &n->model)) < 0 ||
            (r = take_text(j, "firmware", &n->firmware)) < 0 || (r = take_text(j, "storage_id", &n->storage_id)) < 0 ||
            (r = take_text(j, "model_id", &n->model_id)) < 0)
                return r;
        if (!json_is_boolean(ambiguous) || !n->serial[0])
                return -EBADMSG;
        n->ambiguous = json_is_true(ambiguous);
        return 0;
}

static int take_clip(const json_t *j, SpoolNote *n) {
        const json_t *mtime = json_object_get(j, "mtime_unix_sec");
        uint64_t ordinal = 0, flags = 0;
        int r;

        if ((r = take_uint(j, "clip_id", 1, INT64_MAX, &n->clip_id)) < 0 ||
            (r = take_uint(j, "docking_id", 0, INT64_MAX, &n->docking_id)) < 0 ||
            (r = take_text(j, "path", &n->path)) < 0 || (r = take_uint(j, "size_bytes", 0, INT64_MAX, &n->size_bytes)) < 0 ||
            (r = take_uint(j, "ordinal", 0, UINT32_MAX, &ordinal)) < 0 || (r = take_uint(j, "flags", 0, UINT32_MAX, &flags)) < 0 ||
            (r = take_digest(j, "sha256", &n->digest)) < 0 || (r = take_digest(j, "head", &n->head)) < 0 ||
            (r = take_digest(j, "tail", &n->tail)) < 0 || (r = take_time(j, "first_seen", &n->seen_usec)) < 0 ||
            (r = take_time(j, "sealed", &n->sealed_usec)) < 0)
                return r;
        if (!text_path_is_valid(n->path) || (!json_is_null(mtime) && !json_is_integer(mtime)))
                return -EBADMSG;
        n->mtime_unix_sec = json_is_null(mtime) ? FACT_UNKNOWN_TIME : (int64_t) json_integer_value(mtime);
        n->ordinal = (uint32_t) ordinal;
        n->flags = (uint32_t) flags;
        return 0;
}

int spool_note_parse(const char *text, size_t size, SpoolNote **ret) {
        _cleanup_(spool_note_freep) SpoolNote *n = calloc(1, sizeof(*n));
        json_auto_t *j = NULL;
        int r;

        if (!n)
                return -ENOMEM;
        j = size <= SPOOL_NOTE_MAX ? json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (!json_is_object(j) || json_integer_value(json_object_get(j, "version")) != NOTE_VERSION)
                return -EBADMSG;
        r = take_clip(j, n);
        if (r >= 0)
                r = take_camera(json_object_get(j, "camera"), n);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(n);
        return 0;
}
