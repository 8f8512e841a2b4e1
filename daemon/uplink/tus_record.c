/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/tus_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/fd.h"
#include "base/text.h"
#include "uplink/journal.h"

#define VERSION 1

TusRecord *tus_record_free(TusRecord *r) {
        if (!r)
                return NULL;
        fd_close(r->fd);
        free(r->object);
        free(r);
        return NULL;
}

/* ---- What the lines mean ------------------------------------------------------------------------------------------- */

static void take_upload(TusRecord *r, const char *upload, int64_t expires_unix_sec, bool with_checks) {
        (void) snprintf(r->upload, sizeof(r->upload), "%s", upload);
        r->expires_unix_sec = expires_unix_sec;
        r->with_checks = with_checks;
        r->checked_bytes = 0;
        r->doubtful = false;
        r->manifest[0] = 0;
        r->done = false;
}

static void take_manifest(TusRecord *r, const char *manifest, int64_t stored_unix_sec, bool digest_known, bool read_back) {
        (void) snprintf(r->manifest, sizeof(r->manifest), "%s", manifest);
        r->stored_unix_sec = stored_unix_sec;
        r->digest_known = digest_known;
        r->read_back = read_back;
        r->done = false;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

/* "" or the key of an upload. */
static bool is_key(const char *text) {
        return text[0] == 0 || tus_key_is_valid(text);
}

typedef struct Head {
        json_t *json;
        const char *store, *name, *object;
        uint64_t size_bytes, part_size_bytes;
        Digest digest;
} Head;

static int parse_head(const char *line, Head *ret) {
        json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        Head h = {
                .json = j, .store = journal_string(j, "store"), .name = journal_string(j, "name"), .object = journal_string(j, "object")
        };
        const char *sha256 = journal_string(j, "sha256");
        uint64_t version;

        if (journal_uint(j, "berth_tus", INT64_MAX, &version) < 0 || version != VERSION || !h.store || !h.name || !h.object || !sha256 ||
            digest_from_hex(sha256, &h.digest) < 0 || journal_uint(j, "size", INT64_MAX, &h.size_bytes) < 0 ||
            journal_uint(j, "part_size", INT64_MAX, &h.part_size_bytes) < 0 || h.part_size_bytes == 0) {
                json_decref(j);
                return -EBADMSG;
        }
        *ret = h;
        return 0;
}

static int take_line(TusRecord *r, const char *line) {
        _cleanup_(json_decrefp) json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *upload = journal_string(j, "upload"), *manifest = journal_string(j, "manifest");
        uint64_t number;

        if (upload) {
                if (!is_key(upload) || journal_uint(j, "expires", INT64_MAX, &number) < 0)
                        return -EBADMSG;
                take_upload(r, upload, (int64_t) number, json_is_true(json_object_get(j, "checks")));
        } else if (manifest) {
                if (!is_key(manifest) || journal_uint(j, "stored", INT64_MAX, &number) < 0)
                        return -EBADMSG;
                take_manifest(r, manifest, (int64_t) number, json_is_true(json_object_get(j, "digest")),
                              json_is_true(json_object_get(j, "read_back")));
        } else if (journal_uint(j, "checked", INT64_MAX, &number) >= 0)
                r->checked_bytes = number;
        else if (json_is_true(json_object_get(j, "doubtful")))
                r->doubtful = true;
        else if (json_is_true(json_object_get(j, "done")))
                r->done = true;
        else
                return -EBADMSG;
        return 0;
}

/* `key` NULL: whatever of that store. Returns how many bytes are whole lines, or negative. */
static ssize_t parse(TusRecord *r, char *text, const char *store, const TusRecordKey *key) {
        char *at = text, *line = journal_next_line(&at);
        Head head;
        int k = 0;

        if (!line || parse_head(line, &head) < 0)
                return -EBADMSG;
        if (!text_equal(head.store, store) || (key && !text_equal(head.name, key->name)))
                k = -EBADMSG;
        else if (key && (head.size_bytes != key->size_bytes || !digest_equal(&head.digest, &key->digest)))
                k = key->alone ? -EEXIST : -EBADMSG;
        else if (!(r->object = strdup(head.object)))
                k = -ENOMEM;
        r->part_size_bytes = head.part_size_bytes;
        json_decref(head.json);
        while (k >= 0 && (line = journal_next_line(&at)))
                k = take_line(r, line);
        return k < 0 ? k : at - text;
}

static void forget(TusRecord *r) {
        r->fd = fd_close(r->fd);
        free(r->object);
        r->object = NULL;
        take_upload(r, "", 0, false);
}

/* 1: gone on with. 0: there is none, or one that is of something else or damaged. */
static int resume(TusRecord *r, const TusRecordKey *key) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        ssize_t whole;
        int k;

        k = journal_open(r->dir, r->file, &r->fd, &text, &size);
        if (k == -ENOENT || k == -EBADMSG)
                return 0;
        if (k < 0)
                return k;
        whole = parse(r, text, key->store, key);
        if (whole == -EBADMSG) {
                forget(r);
                return 0;
        }
        if (whole >= 0)
                whole = journal_cut(r->fd, (size_t) whole, size);
        return whole < 0 ? (int) whole : 1;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static int create(TusRecord *r, const TusRecordKey *key) {
        _cleanup_(freep) char *line = NULL;
        char hex[DIGEST_HEX_SIZE];
        int k;

        if (r->dir < 0)
                return 0;
        k = journal_line(json_pack("{s:i, s:s, s:s, s:s, s:I, s:s, s:I}", "berth_tus", VERSION, "store", key->store, "name",
                                key->name, "object", r->object, "size", (json_int_t) key->size_bytes, "sha256",
                                digest_to_hex(&key->digest, hex), "part_size", (json_int_t) r->part_size_bytes),
                      &line);
        return k < 0 ? k : journal_create(r->dir, r->file, line, &r->fd);
}

int tus_record_open(int dir, const TusRecordKey *key, const char *object, uint64_t part_size_bytes, TusRecord **ret) {
        _cleanup_(tus_record_freep) TusRecord *r = calloc(1, sizeof(*r));
        int k;

        if (!r)
                return -ENOMEM;
        r->dir = dir;
        r->fd = -EBADF;
        k = journal_name(key->name, r->file);
        if (k < 0)
                return k;
        k = dir >= 0 ? resume(r, key) : 0;
        if (k < 0)
                return k;
        if (k == 0) {
                r->part_size_bytes = part_size_bytes;
                r->object = strdup(object);
                k = r->object ? create(r, key) : -ENOMEM;
                if (k < 0)
                        return k;
        }
        *ret = TAKE_PTR(r);
        return 0;
}

int tus_record_set_upload(TusRecord *r, const char *upload, int64_t expires_unix_sec, bool with_checks) {
        int k;

        k = journal_append(r->fd, json_pack("{s:s, s:I, s:b}", "upload", upload, "expires", (json_int_t) expires_unix_sec, "checks",
                                     (int) with_checks));
        if (k >= 0)
                take_upload(r, upload, expires_unix_sec, with_checks);
        return k;
}

int tus_record_set_checked(TusRecord *r, uint64_t bytes) {
        int k;

        k = journal_append(r->fd, json_pack("{s:I}", "checked", (json_int_t) bytes));
        if (k >= 0)
                r->checked_bytes = bytes;
        return k;
}

int tus_record_set_doubtful(TusRecord *r) {
        int k;

        k = journal_append(r->fd, json_pack("{s:b}", "doubtful", 1));
        if (k >= 0)
                r->doubtful = true;
        return k;
}

int tus_record_set_manifest(TusRecord *r, const char *manifest, int64_t stored_unix_sec, bool digest_known, bool read_back) {
        int k;

        k = journal_append(r->fd, json_pack("{s:s, s:I, s:b, s:b}", "manifest", manifest, "stored", (json_int_t) stored_unix_sec,
                                     "digest", (int) digest_known, "read_back", (int) read_back));
        if (k >= 0)
                take_manifest(r, manifest, stored_unix_sec, digest_known, read_back);
        return k;
}

int tus_record_set_done(TusRecord *r) {
        int k;

        k = journal_append(r->fd, json_pack("{s:b}", "done", 1));
        if (k >= 0)
                r->done = true;
        return k;
}

int tus_record_remove(TusRecord *r) {
        return journal_remove(r->dir, r->file, &r->fd);
}

int tus_record_find(int dir, const char *store, const char *name, char ret[static TUS_KEY_SIZE]) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(fd_closep) int fd = -EBADF;
        char file[TUS_RECORD_NAME_SIZE];
        TusRecord r = { .fd = -EBADF };
        size_t size;
        ssize_t whole;
        int k;

        if (dir < 0)
                return 0;
        k = journal_name(name, file);
        if (k >= 0)
                k = journal_open(dir, file, &fd, &text, &size);
        if (k < 0)
                return k == -ENOENT || k == -EBADMSG ? 0 : k;
        whole = parse(&r, text, store, NULL);
        free(r.object);
        if (whole < 0 || !r.done)
                return whole == -ENOMEM ? -ENOMEM : 0;
        memcpy(ret, r.upload, TUS_KEY_SIZE);
        return 1;
}

/* ---- Old ones ------------------------------------------------------------------------------------------------------ */

typedef struct Search {
        const char *store;
        int64_t done_before;
        TusOld found;
} Search;

/* 1: it is one. */
static int look_at(const char *name, char *text, int64_t mtime_unix_sec, void *userdata) {
        TusRecord r = { .fd = -EBADF };
        Search *search = userdata;
        ssize_t whole;

        whole = parse(&r, text, search->store, NULL);
        free(r.object);
        if (whole < 0 || (r.done && mtime_unix_sec >= search->done_before))
                return whole == -ENOMEM ? -ENOMEM : 0;
        (void) snprintf(search->found.file, sizeof(search->found.file), "%s", name);
        if (!r.done) {
                memcpy(search->found.upload, r.upload, sizeof(search->found.upload));
                memcpy(search->found.manifest, r.manifest, sizeof(search->found.manifest));
        }
        return 1;
}

int tus_record_find_old(int dir, const char *store, int64_t unfinished_before, int64_t done_before, TusOld *ret) {
        Search search = { .store = store, .done_before = done_before };
        int r;

        r = journal_find_old(dir, unfinished_before, look_at, &search);
        if (r > 0)
                *ret = search.found;
        return r;
}

int tus_record_remove_old(int dir, const TusOld *old) {
        return journal_remove_old(dir, old->file);
}
