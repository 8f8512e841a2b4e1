/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/tus_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <jansson.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "uplink/journal.h"

#define VERSION 1

static void forget(TusRecord *r) {
        r->fd = fd_close(r->fd);
        free(r->object);
        free(r->name);
        free(r->pieces);
        *r = (TusRecord){ .dir = r->dir, .fd = -EBADF };
}

static void record_endp(TusRecord *r) {
        forget(r);
}

TusRecord *tus_record_free(TusRecord *r) {
        if (!r)
                return NULL;
        forget(r);
        free(r);
        return NULL;
}

/* Few enough for all of them to be kept in memory, and in a file that can be read. */
static int make_pieces(TusRecord *r, uint64_t size_bytes, uint64_t part_size_bytes) {
        uint64_t n = MAX2(size_bytes / part_size_bytes + (size_bytes % part_size_bytes > 0), UINT64_C(1));

        if (n > TUS_PIECES_MAX)
                return -EBADMSG;
        r->pieces = calloc(n, sizeof(*r->pieces));
        if (!r->pieces)
                return -ENOMEM;
        r->n_pieces = (unsigned) n;
        r->size_bytes = size_bytes;
        r->part_size_bytes = part_size_bytes;
        return 0;
}

/* ---- What the lines mean ------------------------------------------------------------------------------------------- */

static void take_upload(TusRecord *r, const TusUpload *upload) {
        (void) snprintf(r->upload, sizeof(r->upload), "%s", upload->key);
        r->expires_unix_sec = upload->expires_unix_sec;
        r->deferred = upload->deferred;
        r->with_checks = upload->with_checks;
        memset(r->pieces, 0, r->n_pieces * sizeof(*r->pieces));
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

static int take_seal(TusRecord *r, const char *name, const Digest *digest) {
        char *copy = strdup(name);

        if (!copy)
                return -ENOMEM;
        free(r->name);
        r->name = copy;
        r->content = *digest;
        r->content_known = true;
        return 0;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

/* "" or the key of an upload. */
static bool is_key(const char *text) {
        return text[0] == 0 || tus_key_is_valid(text);
}

/* What is there of it goes into the record. */
static int take_head(TusRecord *r, const char *line, const char *store) {
        _cleanup_(json_decrefp) json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *place = journal_string(j, "store"), *name = journal_string(j, "name"), *object = journal_string(j, "object");
        const char *sha256 = journal_string(j, "sha256");
        uint64_t version, size, part_size;

        if (journal_uint(j, "berth_tus", INT64_MAX, &version) < 0 || version != VERSION || !place || !name || !object ||
            !text_equal(place, store) || (sha256 && digest_from_hex(sha256, &r->content) < 0) ||
            journal_uint(j, "size", INT64_MAX, &size) < 0 || journal_uint(j, "part_size", INT64_MAX, &part_size) < 0 || part_size == 0)
                return -EBADMSG;
        r->content_known = sha256 != NULL;
        r->object = strdup(object);
        r->name = strdup(name);
        return r->object && r->name ? make_pieces(r, size, part_size) : -ENOMEM;
}

static int take_piece(TusRecord *r, uint64_t number, const char *sha256) {
        if (number >= r->n_pieces || !sha256 || digest_from_hex(sha256, &r->pieces[number].digest) < 0)
                return -EBADMSG;
        r->pieces[number].known = true;
        return 0;
}

static int take_line(TusRecord *r, const char *line) {
        _cleanup_(json_decrefp) json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *upload = journal_string(j, "upload"), *manifest = journal_string(j, "manifest");
        const char *name = journal_string(j, "name"), *sha256 = journal_string(j, "sha256");
        uint64_t number;
        Digest digest;

        if (upload) {
                if (!is_key(upload) || journal_uint(j, "expires", INT64_MAX, &number) < 0)
                        return -EBADMSG;
                take_upload(r, &(TusUpload){ .key = upload, .expires_unix_sec = (int64_t) number,
                                             .deferred = json_is_true(json_object_get(j, "deferred")),
                                             .with_checks = json_is_true(json_object_get(j, "checks")) });
        } else if (journal_uint(j, "piece", TUS_PIECES_MAX, &number) >= 0)
                return take_piece(r, number, sha256);
        else if (name)
                return sha256 && digest_from_hex(sha256, &digest) >= 0 ? take_seal(r, name, &digest) : -EBADMSG;
        else if (manifest) {
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

/* By the name that it has now: the file of one that was sealed has either. */
static int compare(const TusRecord *r, const TusRecordKey *key, const char *first_name) {
        bool named = text_equal(r->name, key->name) || text_equal(first_name, key->name);
        bool same = key->digest_unknown || !r->content_known || digest_equal(&r->content, &key->digest);

        if (!named)
                return -EBADMSG;
        if (r->size_bytes != key->size_bytes || !same)
                return key->alone ? -EEXIST : -EBADMSG;
        return 0;
}

/* `key` NULL: whatever of that store. Returns how many bytes are whole lines, or negative. */
static ssize_t parse(TusRecord *r, char *text, const char *store, const TusRecordKey *key) {
        _cleanup_(freep) char *first_name = NULL;
        char *at = text, *line = journal_next_line(&at);
        int k;

        k = line ? take_head(r, line, store) : -EBADMSG;
        if (k < 0)
                return k;
        first_name = strdup(r->name);
        if (!first_name)
                return -ENOMEM;
        if (key && key->alone && (k = compare(r, key, first_name)) < 0)
                return k;
        while (k >= 0 && (line = journal_next_line(&at)))
                k = take_line(r, line);
        if (k >= 0 && key)
                k = compare(r, key, first_name);
        return k < 0 ? k : at - text;
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
        k = journal_line(json_pack("{s:i, s:s, s:s, s:s, s:I, s:s*, s:I}", "berth_tus", VERSION, "store", key->store, "name",
                                key->name, "object", r->object, "size", (json_int_t) key->size_bytes, "sha256",
                                key->digest_unknown ? NULL : digest_to_hex(&key->digest, hex), "part_size",
                                (json_int_t) r->part_size_bytes),
                      &line);
        return k < 0 ? k : journal_create(r->dir, r->file, line, &r->fd);
}

static int begin(TusRecord *r, const TusRecordKey *key, const char *object, uint64_t part_size_bytes) {
        int k;

        k = make_pieces(r, key->size_bytes, part_size_bytes);
        if (k < 0)
                return k == -EBADMSG ? -EINVAL : k;
        r->object = strdup(object);
        r->name = strdup(key->name);
        r->content = key->digest;
        r->content_known = !key->digest_unknown;
        return r->object && r->name ? create(r, key) : -ENOMEM;
}

/* With `ret` filled: 1 when it is one that was there. */
static int find(int dir, const TusRecordKey *key, TusRecord **ret) {
        _cleanup_(tus_record_freep) TusRecord *r = calloc(1, sizeof(*r));
        char file[TUS_RECORD_NAME_SIZE];
        int k;

        if (!r)
                return -ENOMEM;
        r->dir = dir;
        r->fd = -EBADF;
        k = journal_name(key->name, file);
        if (k < 0)
                return k;
        memcpy(r->file, file, sizeof(r->file));
        k = dir >= 0 ? resume(r, key) : 0;
        if (k == -EBADMSG) {
                /* What the upload is of that it names is known to nobody else: it is ended when it is old. */
                k = key->digest_unknown ? tus_record_set_aside(r) : 0;
                forget(r);
                memcpy(r->file, file, sizeof(r->file));
        }
        if (k < 0)
                return k;
        *ret = TAKE_PTR(r);
        return k;
}

int tus_record_reopen(int dir, const TusRecordKey *key, TusRecord **ret) {
        _cleanup_(tus_record_freep) TusRecord *r = NULL;
        int k;

        k = find(dir, key, &r);
        if (k > 0)
                *ret = TAKE_PTR(r);
        return k;
}

int tus_record_open(int dir, const TusRecordKey *key, const char *object, uint64_t part_size_bytes, TusRecord **ret) {
        _cleanup_(tus_record_freep) TusRecord *r = NULL;
        int k;

        k = find(dir, key, &r);
        if (k == 0)
                k = begin(r, key, object, part_size_bytes);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(r);
        return 0;
}

int tus_record_set_upload(TusRecord *r, const TusUpload *upload) {
        int k;

        k = journal_append(r->fd, json_pack("{s:s, s:I, s:b, s:b}", "upload", upload->key, "expires", (json_int_t) upload->expires_unix_sec,
                                     "deferred", (int) upload->deferred, "checks", (int) upload->with_checks));
        if (k >= 0)
                take_upload(r, upload);
        return k;
}

int tus_record_forget_upload(TusRecord *r) {
        return tus_record_set_upload(r, &(TusUpload){ .key = "" });
}

int tus_record_set_piece(TusRecord *r, unsigned number, const Digest *digest) {
        char hex[DIGEST_HEX_SIZE];
        int k;

        CRASH_POINT("tus-piece-begins");
        k = journal_append(r->fd, json_pack("{s:I, s:s}", "piece", (json_int_t) number, "sha256", digest_to_hex(digest, hex)));
        if (k >= 0)
                r->pieces[number] = (TusRecordPiece){ .known = true, .digest = *digest };
        CRASH_POINT("tus-piece-recorded");
        return k;
}

static int move(TusRecord *r, const char *file) {
        int k;

        CRASH_POINT("tus-move-begins");
        k = journal_move(r->dir, r->file, file);
        if (k >= 0)
                memcpy(r->file, file, sizeof(r->file));
        CRASH_POINT("tus-moved");
        return k;
}

int tus_record_seal(TusRecord *r, const char *name, const Digest *digest) {
        char file[TUS_RECORD_NAME_SIZE], hex[DIGEST_HEX_SIZE];
        int k;

        k = journal_name(name, file);
        if (k >= 0)
                k = journal_append(r->fd, json_pack("{s:s, s:s}", "name", name, "sha256", digest_to_hex(digest, hex)));
        if (k >= 0)
                k = take_seal(r, name, digest);
        if (k < 0 || r->fd < 0)
                return k;
        return move(r, file);
}

int tus_record_set_aside(TusRecord *r) {
        char file[TUS_RECORD_NAME_SIZE];
        uint64_t random;

        if (r->fd < 0)
                return 0;
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EAGAIN;
        (void) snprintf(file, sizeof(file), "%.16s%016" PRIx64, r->file, random);
        return move(r, file);
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
        _cleanup_(record_endp) TusRecord r = { .fd = -EBADF };
        char file[TUS_RECORD_NAME_SIZE];
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
        _cleanup_(record_endp) TusRecord r = { .fd = -EBADF };
        Search *search = userdata;
        ssize_t whole;

        whole = parse(&r, text, search->store, NULL);
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
