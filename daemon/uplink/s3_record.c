/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/s3_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fd.h"
#include "base/text.h"
#include "uplink/journal.h"

#define VERSION 1

unsigned s3_parts_of(uint64_t size_bytes, uint64_t part_size_bytes) {
        uint64_t n = size_bytes / part_size_bytes + (size_bytes % part_size_bytes != 0);

        return n == 0 ? 1 : (unsigned) MIN2(n, (uint64_t) UINT32_MAX);
}

S3Record *s3_record_free(S3Record *r) {
        if (!r)
                return NULL;
        fd_close(r->fd);
        free(r->object);
        free(r->parts);
        free(r);
        return NULL;
}

static int set_plan(S3Record *r, const char *object, uint64_t size_bytes, uint64_t part_size_bytes) {
        r->n_parts = s3_parts_of(size_bytes, part_size_bytes);
        if (r->n_parts > S3_PARTS_MAX)
                return -EBADMSG;
        r->part_size_bytes = part_size_bytes;
        r->object = strdup(object);
        r->parts = calloc(r->n_parts, sizeof(*r->parts));
        return r->object && r->parts ? 0 : -ENOMEM;
}

static void forget_parts(S3Record *r) {
        memset(r->parts, 0, r->n_parts * sizeof(*r->parts));
}

static void keep_part(S3Record *r, unsigned number, uint64_t size_bytes, const Digest *digest, const char *etag) {
        S3RecordPart *part = &r->parts[number - 1];

        *part = (S3RecordPart){ .stored = true, .size_bytes = size_bytes, .digest = *digest };
        (void) snprintf(part->etag, sizeof(part->etag), "%s", etag);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

typedef struct Head {
        json_t *json;
        const char *store, *clip, *object;
        uint64_t size_bytes, part_size_bytes;
} Head;

static int parse_head(const char *line, Head *ret) {
        json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        Head h = { .json = j,
                   .store = journal_string(j, "store"),
                   .clip = journal_string(j, "clip"),
                   .object = journal_string(j, "object") };
        uint64_t version;

        if (journal_uint(j, "berth_upload", INT64_MAX, &version) < 0 || version != VERSION || !h.store || !h.clip ||
            !h.object || journal_uint(j, "size", INT64_MAX, &h.size_bytes) < 0 ||
            journal_uint(j, "part_size", INT64_MAX, &h.part_size_bytes) < 0 || h.part_size_bytes == 0) {
                json_decref(j);
                return -EBADMSG;
        }
        *ret = h;
        return 0;
}

static int take_line(S3Record *r, const char *line) {
        _cleanup_(json_decrefp) json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *upload = journal_string(j, "upload"), *etag = journal_string(j, "etag"), *sha256 = journal_string(j, "sha256");
        const char *whole = journal_string(j, "whole");
        uint64_t number, size;
        Digest digest;

        if (whole) {
                if (digest_from_hex(whole, &r->digest) < 0)
                        return -EBADMSG;
                r->digest_known = true;
                return 0;
        }
        if (upload) {
                if (strlen(upload) >= sizeof(r->upload_id))
                        return -EBADMSG;
                (void) snprintf(r->upload_id, sizeof(r->upload_id), "%s", upload);
                forget_parts(r);
                return 0;
        }
        if (journal_uint(j, "part", r->n_parts, &number) < 0 || number == 0 || journal_uint(j, "size", INT64_MAX, &size) < 0 || !etag ||
            strlen(etag) >= S3_ETAG_SIZE || !sha256 || digest_from_hex(sha256, &digest) < 0)
                return -EBADMSG;
        keep_part(r, (unsigned) number, size, &digest, etag);
        return 0;
}

static int parse(S3Record *r, char *text, size_t size, const S3RecordKey *key) {
        char *at = text, *line = journal_next_line(&at);
        bool same_size;
        Head head;
        int k;

        if (!line || parse_head(line, &head) < 0)
                return -EBADMSG;
        same_size = head.size_bytes == key->size_bytes;
        k = text_equal(head.store, key->store) && text_equal(head.clip, key->clip) ?
                        set_plan(r, head.object, head.size_bytes, head.part_size_bytes) :
                        -EBADMSG;
        json_decref(head.json);
        while (k >= 0 && (line = journal_next_line(&at)))
                k = take_line(r, line);
        if (k >= 0)
                k = journal_cut(r->fd, (size_t) (at - text), size);
        if (k < 0)
                return k;
        r->outdated = !same_size || (r->digest_known && (!key->digest || !digest_equal(key->digest, &r->digest)));
        return 0;
}

static void forget_plan(S3Record *r) {
        r->fd = fd_close(r->fd);
        free(r->object);
        free(r->parts);
        r->object = NULL;
        r->parts = NULL;
        r->upload_id[0] = 0;
        r->digest_known = r->resumed = r->outdated = false;
}

/* 1: gone on with. 0: there is none, or one that is damaged or of another store. */
static int resume(S3Record *r, const S3RecordKey *key) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int k;

        k = journal_open(r->dir, r->name, &r->fd, &text, &size);
        if (k == -ENOENT)
                return 0;
        if (k >= 0)
                k = parse(r, text, size, key);
        if (k >= 0)
                return 1;
        if (k != -EBADMSG)
                return k;
        forget_plan(r);
        return 0;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static json_t *digest_line(const Digest *digest) {
        char hex[DIGEST_HEX_SIZE];

        return json_pack("{s:s}", "whole", digest_to_hex(digest, hex));
}

static int create(S3Record *r, const S3RecordKey *key) {
        _cleanup_(freep) char *head = NULL, *digest = NULL, *text = NULL;
        int k;

        if (r->dir < 0)
                return 0;
        k = journal_line(json_pack("{s:i, s:s, s:s, s:s, s:I, s:I}", "berth_upload", VERSION, "store", key->store, "clip", key->clip,
                                "object", r->object, "size", (json_int_t) key->size_bytes, "part_size",
                                (json_int_t) r->part_size_bytes),
                      &head);
        if (k >= 0 && key->digest)
                k = journal_line(digest_line(key->digest), &digest);
        if (k < 0)
                return k;
        text = text_format("%s%s", head, digest ? digest : "");
        if (!text)
                return -ENOMEM;
        return journal_create(r->dir, r->name, text, &r->fd);
}

bool s3_record_exists(int dir, const char *clip) {
        char name[JOURNAL_NAME_SIZE];

        return dir >= 0 && journal_name(clip, name) >= 0 && faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int s3_record_open(int dir, const S3RecordKey *key, const char *object, uint64_t part_size_bytes, S3Record **ret) {
        _cleanup_(s3_record_freep) S3Record *r = calloc(1, sizeof(*r));
        int k;

        if (!r)
                return -ENOMEM;
        r->dir = dir;
        r->fd = -EBADF;
        k = journal_name(key->clip, r->name);
        if (k < 0)
                return k;
        k = dir >= 0 ? resume(r, key) : 0;
        if (k < 0)
                return k;
        r->resumed = k > 0;
        if (!r->resumed)
                k = s3_record_renew(r, key, object, part_size_bytes);
        else if (key->digest && !r->digest_known)
                k = s3_record_set_digest(r, key->digest);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(r);
        return 0;
}

int s3_record_renew(S3Record *r, const S3RecordKey *key, const char *object, uint64_t part_size_bytes) {
        int k;

        forget_plan(r);
        k = set_plan(r, object, key->size_bytes, part_size_bytes);
        if (k >= 0)
                k = create(r, key);
        if (k >= 0 && key->digest) {
                r->digest = *key->digest;
                r->digest_known = true;
        }
        return k;
}

int s3_record_set_digest(S3Record *r, const Digest *digest) {
        int k;

        k = journal_append(r->fd, digest_line(digest));
        if (k < 0)
                return k;
        r->digest = *digest;
        r->digest_known = true;
        return 0;
}

int s3_record_set_upload(S3Record *r, const char *upload_id) {
        int k;

        k = journal_append(r->fd, json_pack("{s:s}", "upload", upload_id));
        if (k < 0)
                return k;
        (void) snprintf(r->upload_id, sizeof(r->upload_id), "%s", upload_id);
        forget_parts(r);
        return 0;
}

int s3_record_add_part(S3Record *r, unsigned number, uint64_t size_bytes, const Digest *digest, const char *etag) {
        char hex[DIGEST_HEX_SIZE];
        int k;

        k = journal_append(r->fd, json_pack("{s:I, s:I, s:s, s:s}", "part", (json_int_t) number, "size", (json_int_t) size_bytes,
                                     "sha256", digest_to_hex(digest, hex), "etag", etag));
        if (k < 0)
                return k;
        keep_part(r, number, size_bytes, digest, etag);
        return 0;
}

int s3_record_remove(S3Record *r) {
        return journal_remove(r->dir, r->name, &r->fd);
}

/* ---- Orphans ------------------------------------------------------------------------------------------------------- */

typedef struct Search {
        const char *store;
        S3Orphan found;
} Search;

/* 1: it is one. */
static int look_at(const char *name, char *text, int64_t mtime_unix_sec, void *userdata) {
        S3Record r = { .fd = -EBADF };
        S3Orphan orphan = {};
        Search *search = userdata;
        char *at = text, *line = journal_next_line(&at);
        Head head;
        int k;

        (void) mtime_unix_sec;
        if (!line || parse_head(line, &head) < 0)
                return 0;
        k = text_equal(head.store, search->store) ? set_plan(&r, head.object, head.size_bytes, head.part_size_bytes) : -EBADMSG;
        json_decref(head.json);
        while (k >= 0 && (line = journal_next_line(&at)))
                k = take_line(&r, line);
        free(r.parts);
        (void) snprintf(orphan.name, sizeof(orphan.name), "%s", name);
        (void) snprintf(orphan.upload_id, sizeof(orphan.upload_id), "%s", r.upload_id);
        orphan.object = r.object;
        if (k < 0) {
                free(orphan.object);
                return k == -ENOMEM ? k : 0;
        }
        search->found = orphan;
        return 1;
}

int s3_record_find_orphan(int dir, const char *store, int64_t before_unix_sec, S3Orphan *ret) {
        Search search = { .store = store };
        int r;

        r = journal_find_old(dir, before_unix_sec, look_at, &search);
        if (r > 0)
                *ret = search.found;
        return r;
}

int s3_record_remove_orphan(int dir, const S3Orphan *orphan) {
        return journal_remove_old(dir, orphan->name);
}
