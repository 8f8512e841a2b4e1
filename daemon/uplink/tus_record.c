/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/tus_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fd.h"
#include "base/text.h"

#define VERSION 1
#define FILE_SIZE_MAX ((size_t) 8 * 1024 * 1024)
#define MODE 0600
#define NAME_DIGITS (TUS_RECORD_NAME_SIZE - 1)

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

static int int_of(const json_t *j, const char *key, int64_t *ret) {
        const json_t *member = json_object_get(j, key);

        if (!json_is_integer(member) || json_integer_value(member) < 0)
                return -EBADMSG;
        *ret = (int64_t) json_integer_value(member);
        return 0;
}

/* "" or the key of an upload. */
static bool is_key(const char *text) {
        return text[0] == 0 || tus_key_is_valid(text);
}

typedef struct Head {
        json_t *json;
        const char *store, *name, *object;
        int64_t size_bytes, part_size_bytes;
        Digest digest;
} Head;

static int parse_head(const char *line, Head *ret) {
        json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        Head h = {
                .json = j, .store = string_of(j, "store"), .name = string_of(j, "name"), .object = string_of(j, "object")
        };
        const char *sha256 = string_of(j, "sha256");
        int64_t version;

        if (int_of(j, "berth_tus", &version) < 0 || version != VERSION || !h.store || !h.name || !h.object || !sha256 ||
            digest_from_hex(sha256, &h.digest) < 0 || int_of(j, "size", &h.size_bytes) < 0 ||
            int_of(j, "part_size", &h.part_size_bytes) < 0 || h.part_size_bytes == 0) {
                json_decref(j);
                return -EBADMSG;
        }
        *ret = h;
        return 0;
}

static int take_line(TusRecord *r, const char *line) {
        _cleanup_(json_decrefp) json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *upload = string_of(j, "upload"), *manifest = string_of(j, "manifest");
        int64_t number;

        if (upload) {
                if (!is_key(upload) || int_of(j, "expires", &number) < 0)
                        return -EBADMSG;
                take_upload(r, upload, number, json_is_true(json_object_get(j, "checks")));
        } else if (manifest) {
                if (!is_key(manifest) || int_of(j, "stored", &number) < 0)
                        return -EBADMSG;
                take_manifest(r, manifest, number, json_is_true(json_object_get(j, "digest")),
                              json_is_true(json_object_get(j, "read_back")));
        } else if (int_of(j, "checked", &number) >= 0)
                r->checked_bytes = (uint64_t) number;
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
        char *at = text, *line = next_line(&at);
        Head head;
        int k = 0;

        if (!line || parse_head(line, &head) < 0)
                return -EBADMSG;
        if (!text_equal(head.store, store) || (key && !text_equal(head.name, key->name)))
                k = -EBADMSG;
        else if (key && ((uint64_t) head.size_bytes != key->size_bytes || !digest_equal(&head.digest, &key->digest)))
                k = key->alone ? -EEXIST : -EBADMSG;
        else if (!(r->object = strdup(head.object)))
                k = -ENOMEM;
        r->part_size_bytes = (uint64_t) head.part_size_bytes;
        json_decref(head.json);
        while (k >= 0 && (line = next_line(&at)))
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

        r->fd = openat(r->dir, r->file, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (r->fd < 0) {
                k = -errno;
                r->fd = -EBADF;
                return k == -ENOENT ? 0 : k;
        }
        if (flock(r->fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        k = fd_read_file(r->dir, r->file, FILE_SIZE_MAX, &text, &size);
        if (k < 0)
                return k;
        whole = parse(r, text, key->store, key);
        if (whole == -ENOMEM || whole == -EEXIST)
                return (int) whole;
        if (whole < 0) {
                forget(r);
                return 0;
        }
        /* What a crash tore is cut off, so that the next line begins anew. */
        return (size_t) whole < size && ftruncate(r->fd, whole) < 0 ? -errno : 1;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static int dump_line(json_t *j, char **ret) {
        _cleanup_(freep) char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

        json_decref(j);
        *ret = text ? text_format("%s\n", text) : NULL;
        return *ret ? 0 : -ENOMEM;
}

static int append_line(const TusRecord *r, json_t *j) {
        _cleanup_(freep) char *line = NULL;
        int k;

        if (r->fd < 0) {
                json_decref(j);
                return 0;
        }
        k = dump_line(j, &line);
        if (k >= 0)
                k = fd_write_full(r->fd, line, strlen(line));
        if (k >= 0 && fdatasync(r->fd) < 0)
                k = -errno;
        return k;
}

static int create(TusRecord *r, const TusRecordKey *key) {
        _cleanup_(freep) char *line = NULL;
        char hex[DIGEST_HEX_SIZE];
        int k;

        if (r->dir < 0)
                return 0;
        k = dump_line(json_pack("{s:i, s:s, s:s, s:s, s:I, s:s, s:I}", "berth_tus", VERSION, "store", key->store, "name",
                                key->name, "object", r->object, "size", (json_int_t) key->size_bytes, "sha256",
                                digest_to_hex(&key->digest, hex), "part_size", (json_int_t) r->part_size_bytes),
                      &line);
        if (k >= 0)
                k = fd_replace_file(r->dir, r->file, line, strlen(line), MODE);
        if (k < 0)
                return k;
        r->fd = openat(r->dir, r->file, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        if (r->fd < 0) {
                k = -errno;
                r->fd = -EBADF;
                return k;
        }
        return flock(r->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int name_file(const char *name, char ret[static TUS_RECORD_NAME_SIZE]) {
        char hex[DIGEST_HEX_SIZE];
        Digest digest;
        int r;

        r = digest_of(name, strlen(name), &digest);
        if (r < 0)
                return r;
        (void) snprintf(ret, TUS_RECORD_NAME_SIZE, "%.*s", NAME_DIGITS, digest_to_hex(&digest, hex));
        return 0;
}

int tus_record_open(int dir, const TusRecordKey *key, const char *object, uint64_t part_size_bytes, TusRecord **ret) {
        _cleanup_(tus_record_freep) TusRecord *r = calloc(1, sizeof(*r));
        int k;

        if (!r)
                return -ENOMEM;
        r->dir = dir;
        r->fd = -EBADF;
        k = name_file(key->name, r->file);
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

        k = append_line(r, json_pack("{s:s, s:I, s:b}", "upload", upload, "expires", (json_int_t) expires_unix_sec, "checks",
                                     (int) with_checks));
        if (k >= 0)
                take_upload(r, upload, expires_unix_sec, with_checks);
        return k;
}

int tus_record_set_checked(TusRecord *r, uint64_t bytes) {
        int k;

        k = append_line(r, json_pack("{s:I}", "checked", (json_int_t) bytes));
        if (k >= 0)
                r->checked_bytes = bytes;
        return k;
}

int tus_record_set_doubtful(TusRecord *r) {
        int k;

        k = append_line(r, json_pack("{s:b}", "doubtful", 1));
        if (k >= 0)
                r->doubtful = true;
        return k;
}

int tus_record_set_manifest(TusRecord *r, const char *manifest, int64_t stored_unix_sec, bool digest_known, bool read_back) {
        int k;

        k = append_line(r, json_pack("{s:s, s:I, s:b, s:b}", "manifest", manifest, "stored", (json_int_t) stored_unix_sec,
                                     "digest", (int) digest_known, "read_back", (int) read_back));
        if (k >= 0)
                take_manifest(r, manifest, stored_unix_sec, digest_known, read_back);
        return k;
}

int tus_record_set_done(TusRecord *r) {
        int k;

        k = append_line(r, json_pack("{s:b}", "done", 1));
        if (k >= 0)
                r->done = true;
        return k;
}

int tus_record_remove(TusRecord *r) {
        if (r->fd < 0)
                return 0;
        if (unlinkat(r->dir, r->file, 0) < 0 && errno != ENOENT)
                return -errno;
        r->fd = fd_close(r->fd);
        return fd_sync_dir(r->dir);
}

int tus_record_find(int dir, const char *store, const char *name, char ret[static TUS_KEY_SIZE]) {
        _cleanup_(freep) char *text = NULL;
        char file[TUS_RECORD_NAME_SIZE];
        TusRecord r = { .fd = -EBADF };
        size_t size;
        ssize_t whole;
        int k;

        if (dir < 0)
                return 0;
        k = name_file(name, file);
        if (k >= 0)
                k = fd_read_file(dir, file, FILE_SIZE_MAX, &text, &size);
        if (k < 0)
                return k == -ENOENT ? 0 : k;
        whole = parse(&r, text, store, NULL);
        free(r.object);
        if (whole < 0 || !r.done)
                return whole == -ENOMEM ? -ENOMEM : 0;
        memcpy(ret, r.upload, TUS_KEY_SIZE);
        return 1;
}

/* ---- Old ones ------------------------------------------------------------------------------------------------------ */

static bool is_record_name(const char *name) {
        return strlen(name) == NAME_DIGITS && name[strspn(name, "0123456789abcdef")] == 0;
}

/* 1: it is one. */
static int look_at(int dir, const char *name, const char *store, int64_t unfinished_before, int64_t done_before, TusOld *ret) {
        _cleanup_(fd_closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_(freep) char *text = NULL;
        TusRecord r = { .fd = -EBADF };
        TusOld old = {};
        struct stat st;
        size_t size;
        ssize_t whole;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (int64_t) st.st_mtime >= unfinished_before ||
            flock(fd, LOCK_EX | LOCK_NB) < 0 || fd_read_file(dir, name, FILE_SIZE_MAX, &text, &size) < 0)
                return 0;
        whole = parse(&r, text, store, NULL);
        free(r.object);
        if (whole < 0 || (r.done && (int64_t) st.st_mtime >= done_before))
                return whole == -ENOMEM ? -ENOMEM : 0;
        (void) snprintf(old.file, sizeof(old.file), "%s", name);
        if (!r.done) {
                memcpy(old.upload, r.upload, sizeof(old.upload));
                memcpy(old.manifest, r.manifest, sizeof(old.manifest));
        }
        *ret = old;
        return 1;
}

int tus_record_find_old(int dir, const char *store, int64_t unfinished_before, int64_t done_before, TusOld *ret) {
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
                        r = look_at(dir, entry->d_name, store, unfinished_before, done_before, ret);
        (void) closedir(d);
        return r;
}

int tus_record_remove_old(int dir, const TusOld *old) {
        if (unlinkat(dir, old->file, 0) < 0 && errno != ENOENT)
                return -errno;
        return fd_sync_dir(dir);
}
