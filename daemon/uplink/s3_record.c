/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/s3_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"

#define VERSION 1
#define FILE_SIZE_MAX ((size_t) 8 * 1024 * 1024)
#define MODE 0600
#define NAME_DIGITS 32

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

/* The next whole line, cut off at its end; NULL past the last. A line that a crash tore has no end and is none. */
static char *next_line(char **text) {
        char *line = *text, *end = strchr(line, '\n');

        if (!end)
                return NULL;
        *end = 0;
        *text = end + 1;
        return line;
}

static const char *string_of(const json_t *j, const char *key) {
        const json_t *member = json_object_get(j, key);
        const char *s = json_string_value(member);

        return s && strlen(s) == json_string_length(member) && text_is_printable(s) ? s : NULL;
}

static int uint_of(const json_t *j, const char *key, uint64_t max, uint64_t *ret) {
        const json_t *member = json_object_get(j, key);

        if (!json_is_integer(member) || json_integer_value(member) < 0 || (uint64_t) json_integer_value(member) > max)
                return -EBADMSG;
        *ret = (uint64_t) json_integer_value(member);
        return 0;
}

typedef struct Head {
        json_t *json;
        const char *store, *clip, *object;
        uint64_t size_bytes, part_size_bytes;
} Head;

static int parse_head(const char *line, Head *ret) {
        json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        Head h = { .json = j,
                   .store = string_of(j, "store"),
                   .clip = string_of(j, "clip"),
                   .object = string_of(j, "object") };
        uint64_t version;

        if (uint_of(j, "berth_upload", INT64_MAX, &version) < 0 || version != VERSION || !h.store || !h.clip ||
            !h.object || uint_of(j, "size", INT64_MAX, &h.size_bytes) < 0 ||
            uint_of(j, "part_size", INT64_MAX, &h.part_size_bytes) < 0 || h.part_size_bytes == 0) {
                json_decref(j);
                return -EBADMSG;
        }
        *ret = h;
        return 0;
}

static int take_line(S3Record *r, const char *line) {
        _cleanup_(json_decrefp) json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *upload = string_of(j, "upload"), *etag = string_of(j, "etag"), *sha256 = string_of(j, "sha256");
        const char *whole = string_of(j, "whole");
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
        if (uint_of(j, "part", r->n_parts, &number) < 0 || number == 0 || uint_of(j, "size", INT64_MAX, &size) < 0 || !etag ||
            strlen(etag) >= S3_ETAG_SIZE || !sha256 || digest_from_hex(sha256, &digest) < 0)
                return -EBADMSG;
        keep_part(r, (unsigned) number, size, &digest, etag);
        return 0;
}

static int parse(S3Record *r, char *text, const S3RecordKey *key) {
        char *at = text, *line = next_line(&at);
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
        while (k >= 0 && (line = next_line(&at)))
                k = take_line(r, line);
        if (k < 0)
                return k;
        /* What a crash tore is cut off, so that the next line begins anew. */
        if (*at && ftruncate(r->fd, at - text) < 0)
                return -errno;
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

        r->fd = openat(r->dir, r->name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (r->fd < 0) {
                k = -errno;
                r->fd = -EBADF;
                return k == -ENOENT ? 0 : k;
        }
        if (flock(r->fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        k = fd_read_file(r->dir, r->name, FILE_SIZE_MAX, &text, &size);
        if (k >= 0)
                k = parse(r, text, key);
        if (k == -ENOMEM || k == -EIO)
                return k;
        if (k >= 0)
                return 1;
        forget_plan(r);
        return 0;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static int dump_line(json_t *j, char **ret) {
        _cleanup_(freep) char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

        json_decref(j);
        *ret = text ? text_format("%s\n", text) : NULL;
        return *ret ? 0 : -ENOMEM;
}

static int append_line(const S3Record *r, json_t *j) {
        _cleanup_(freep) char *line = NULL;
        int k;

        if (r->fd < 0) {
                json_decref(j);
                return 0;
        }
        k = dump_line(j, &line);
        if (k >= 0)
                k = fd_write_full(r->fd, line, strlen(line));
        CRASH_POINT("record-written");
        if (k >= 0 && fdatasync(r->fd) < 0)
                k = -errno;
        CRASH_POINT("record-synced");
        return k;
}

static json_t *digest_line(const Digest *digest) {
        char hex[DIGEST_HEX_SIZE];

        return json_pack("{s:s}", "whole", digest_to_hex(digest, hex));
}

static int create(S3Record *r, const S3RecordKey *key) {
        _cleanup_(freep) char *head = NULL, *digest = NULL, *text = NULL;
        int k;

        if (r->dir < 0)
                return 0;
        k = dump_line(json_pack("{s:i, s:s, s:s, s:s, s:I, s:I}", "berth_upload", VERSION, "store", key->store, "clip", key->clip,
                                "object", r->object, "size", (json_int_t) key->size_bytes, "part_size",
                                (json_int_t) r->part_size_bytes),
                      &head);
        if (k >= 0 && key->digest)
                k = dump_line(digest_line(key->digest), &digest);
        if (k < 0)
                return k;
        text = text_format("%s%s", head, digest ? digest : "");
        if (!text)
                return -ENOMEM;
        k = fd_replace_file(r->dir, r->name, text, strlen(text), MODE);
        if (k < 0)
                return k;
        r->fd = openat(r->dir, r->name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        if (r->fd < 0) {
                k = -errno;
                r->fd = -EBADF;
                return k;
        }
        return flock(r->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int name_record(const char *clip, char ret[static NAME_DIGITS + 1]) {
        char hex[DIGEST_HEX_SIZE];
        Digest digest;
        int r;

        r = digest_of(clip, strlen(clip), &digest);
        if (r < 0)
                return r;
        (void) snprintf(ret, NAME_DIGITS + 1, "%.*s", NAME_DIGITS, digest_to_hex(&digest, hex));
        return 0;
}

bool s3_record_exists(int dir, const char *clip) {
        char name[NAME_DIGITS + 1];

        return dir >= 0 && name_record(clip, name) >= 0 && faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int s3_record_open(int dir, const S3RecordKey *key, const char *object, uint64_t part_size_bytes, S3Record **ret) {
        _cleanup_(s3_record_freep) S3Record *r = calloc(1, sizeof(*r));
        int k;

        if (!r)
                return -ENOMEM;
        r->dir = dir;
        r->fd = -EBADF;
        k = name_record(key->clip, r->name);
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

        k = append_line(r, digest_line(digest));
        if (k < 0)
                return k;
        r->digest = *digest;
        r->digest_known = true;
        return 0;
}

int s3_record_set_upload(S3Record *r, const char *upload_id) {
        int k;

        k = append_line(r, json_pack("{s:s}", "upload", upload_id));
        if (k < 0)
                return k;
        (void) snprintf(r->upload_id, sizeof(r->upload_id), "%s", upload_id);
        forget_parts(r);
        return 0;
}

int s3_record_add_part(S3Record *r, unsigned number, uint64_t size_bytes, const Digest *digest, const char *etag) {
        char hex[DIGEST_HEX_SIZE];
        int k;

        k = append_line(r, json_pack("{s:I, s:I, s:s, s:s}", "part", (json_int_t) number, "size", (json_int_t) size_bytes,
                                     "sha256", digest_to_hex(digest, hex), "etag", etag));
        if (k < 0)
                return k;
        keep_part(r, number, size_bytes, digest, etag);
        return 0;
}

int s3_record_remove(S3Record *r) {
        if (r->fd < 0)
                return 0;
        CRASH_POINT("record-remove-begins");
        if (unlinkat(r->dir, r->name, 0) < 0 && errno != ENOENT)
                return -errno;
        CRASH_POINT("record-removed");
        r->fd = fd_close(r->fd);
        return fd_sync_dir(r->dir);
}

/* ---- Orphans ------------------------------------------------------------------------------------------------------- */

static bool is_record_name(const char *name) {
        return strlen(name) == NAME_DIGITS && name[strspn(name, "0123456789abcdef")] == 0;
}

/* 1: it is one. */
static int look_at(int dir, const char *name, const char *store, int64_t before_unix_sec, S3Orphan *ret) {
        _cleanup_(fd_closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_(freep) char *text = NULL;
        S3Orphan orphan = {};
        struct stat st;
        S3Record r = { .fd = -EBADF };
        char *at, *line;
        size_t size;
        Head head;
        int k;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (int64_t) st.st_mtime >= before_unix_sec ||
            flock(fd, LOCK_EX | LOCK_NB) < 0)
                return 0;
        k = fd_read_file(dir, name, FILE_SIZE_MAX, &text, &size);
        if (k < 0)
                return k == -ENOMEM ? k : 0;
        at = text;
        line = next_line(&at);
        if (!line || parse_head(line, &head) < 0)
                return 0;
        k = text_equal(head.store, store) ? set_plan(&r, head.object, head.size_bytes, head.part_size_bytes) : -EBADMSG;
        json_decref(head.json);
        while (k >= 0 && (line = next_line(&at)))
                k = take_line(&r, line);
        free(r.parts);
        (void) snprintf(orphan.name, sizeof(orphan.name), "%s", name);
        (void) snprintf(orphan.upload_id, sizeof(orphan.upload_id), "%s", r.upload_id);
        orphan.object = r.object;
        if (k < 0) {
                free(orphan.object);
                return k == -ENOMEM ? k : 0;
        }
        *ret = orphan;
        return 1;
}

int s3_record_find_orphan(int dir, const char *store, int64_t before_unix_sec, S3Orphan *ret) {
        const struct dirent *entry;
        int fd, r = 0;
        DIR *d;

        fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        d = fdopendir(fd);
        if (!d) {
                r = -errno;
                fd_close(fd);
                return r;
        }
        while (r == 0 && (entry = readdir(d)))
                if (is_record_name(entry->d_name))
                        r = look_at(dir, entry->d_name, store, before_unix_sec, ret);
        (void) closedir(d);
        return r;
}

int s3_record_remove_orphan(int dir, const S3Orphan *orphan) {
        CRASH_POINT("orphan-remove-begins");
        if (unlinkat(dir, orphan->name, 0) < 0 && errno != ENOENT)
                return -errno;
        CRASH_POINT("orphan-removed");
        return fd_sync_dir(dir);
}
