/* SPDX-License-Identifier: Apache-2.0 */

/* The footage and the manifests of an export: from the spool what it has, the rest from the store. What cannot be had is said. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/measure.h"
#include "base/text.h"
#include "proof/export_private.h"
#include "proof/uplink_socket.h"

#define BASE_NAME_MAX 60u
/* For what is not footage. */
#define ROOM_BESIDE (UINT64_C(1) << 20)

/* What the database knows of a clip's content. */
typedef struct Footage {
        char *spool_name; /* NULL: the spool has no copy */
        char *state;
        uint64_t size_bytes;
        int64_t mtime_unix_sec;
        Digest digest;
        bool known;  /* it was copied: size and digest are its own */
        bool stored; /* there is a receipt */
} Footage;

static void footage_done(Footage *f) {
        free(f->spool_name);
        free(f->state);
        *f = (Footage){ 0 };
}

static int look_up(Export *x, uint64_t clip_id, Footage *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(footage_done) Footage f = { 0 };
        int r;

        r = db_query(x->proof->db,
                     "SELECT spool_name, size_bytes, mtime_unix_sec, digest, state, EXISTS"
                     " (SELECT 1 FROM receipts r WHERE r.clip_id = c.id) FROM clips c WHERE id = ?1", DB_ARGS(DB_INT(clip_id)), &row);
        if (r <= 0)
                return r < 0 ? export_fail(x, r, "clip %" PRIu64 " cannot be read: %s", clip_id, db_message(x->proof->db)) : -ENOENT;
        f.size_bytes = db_column_uint(row, 1);
        f.mtime_unix_sec = sqlite3_column_int64(row, 2);
        f.known = db_column_digest(row, 3, &f.digest) >= 0;
        f.stored = sqlite3_column_int(row, 5) != 0;
        if ((sqlite3_column_type(row, 0) != SQLITE_NULL && db_column_text(row, 0, &f.spool_name) < 0) ||
            db_column_text(row, 4, &f.state) < 0)
                return -ENOMEM;
        *ret = f;
        f = (Footage){ 0 };
        return 0;
}

/* It is said, in the index too, and the export goes on: what can be had is worth having. */
static int miss(Export *x, json_t *clip, const char *format, ...) _printf_(3, 4);
static int miss(Export *x, json_t *clip, const char *format, ...) {
        uint64_t clip_id = (uint64_t) json_integer_value(json_object_get(clip, "clip_id"));
        json_t *list = json_object_get(clip, "missing");
        _cleanup_(freep) char *why = NULL;
        va_list arguments;

        va_start(arguments, format);
        why = text_vformat(format, arguments);
        va_end(arguments);
        if (!why)
                return -ENOMEM;
        if (!list) {
                list = json_array();
                if (!list || json_object_set_new(clip, "missing", list) < 0)
                        return -ENOMEM;
                x->counts.incomplete++;
        }
        if (json_array_append_new(list, json_string(why)) < 0)
                return -ENOMEM;
        if (x->request->missing)
                x->request->missing(x->request->userdata, clip_id, why);
        return 0;
}

/* ---- Footage --------------------------------------------------------------------------------------------------------- */

/* The clip's own name, as far as it is harmless. */
static void base_name(const char *path, char ret[static BASE_NAME_MAX + 1]) {
        const char *slash = path ? strrchr(path, '/') : NULL;
        size_t n = 0;

        for (const char *c = slash ? slash + 1 : path ? path : "clip"; *c && n < BASE_NAME_MAX; c++) {
                bool plain = (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || *c == '-' || *c == '_' ||
                             (*c == '.' && n > 0);

                ret[n++] = plain ? *c : '_';
        }
        ret[n] = 0;
}

/* Copies it into the bundle: 0, -EBADE when it has another digest, or an error that was said. */
static int take(Export *x, json_t *clip, uint64_t clip_id, const Footage *f, int fd) {
        _cleanup_(freep) char *name = NULL;
        char base[BASE_NAME_MAX + 1];
        Digest copied;
        int r;

        base_name(json_string_value(json_object_get(clip, "path")), base);
        name = text_format("clips/%" PRIu64 "/%s", clip_id, base);
        if (!name)
                return -ENOMEM;
        r = bundle_copy(x->bundle, name, fd, f->size_bytes, f->mtime_unix_sec < 0 ? x->bundle->now_unix_sec : f->mtime_unix_sec, &copied);
        if (r < 0)
                return export_fail(x, r, "%s cannot be copied: %s", name, strerror(-r));
        if (!digest_equal(&copied, &f->digest))
                return export_fail(x, -EBADE, "%s is not what was copied from the camera: its SHA-256 is another one",
                                   f->spool_name ? f->spool_name : name);
        x->counts.footage++;
        return json_object_set_new(clip, "file", json_string(name)) < 0 ? -ENOMEM : 0;
}

/* 1: taken from the spool. 0: it is not there. */
static int take_from_spool(Export *x, json_t *clip, uint64_t clip_id, const Footage *f) {
        _cleanup_(fd_closep) int spool = -EBADF, fd = -EBADF;
        int r;

        if (!f->spool_name)
                return 0;
        spool = openat(x->proof->dir, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        fd = spool < 0 ? -1 : openat(spool, f->spool_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        /* Released a moment ago: then it lies in the store. */
        if (fd < 0)
                return errno == ENOENT ? 0 : export_fail(x, -errno, "spool/%s cannot be opened: %s", f->spool_name, strerror(errno));
        r = take(x, clip, clip_id, f, fd);
        return r < 0 ? r : 1;
}

static int take_from_store(Export *x, json_t *clip, uint64_t clip_id, const Footage *f) {
        _cleanup_(fd_closep) int fd = -EBADF;
        ConfError why = { 0 };
        Digest got;
        int r;

        if (!x->request->fetch)
                return miss(x, clip, "the footage lies in the store alone, which was not asked for it");
        r = bundle_scratch(x->bundle, &fd);
        if (r < 0)
                return export_fail(x, r, "no file can be made beside %s for what comes from the store: %s", x->bundle->path, strerror(-r));
        r = x->request->fetch(x->request->userdata, clip_id, f->size_bytes, fd, &why);
        if (r < 0)
                return miss(x, clip, "the footage lies in the store alone, and could not be fetched: %s", why.text);
        /* By our own eyes: who fetched it is not who has to be believed. */
        r = measure_digest(fd, f->size_bytes, &got);
        if (r < 0 || !digest_equal(&got, &f->digest))
                return miss(x, clip, "what the store gave for the footage is not what was copied from the camera");
        r = take(x, clip, clip_id, f, fd);
        if (r >= 0)
                x->counts.fetched++;
        return r;
}

static int put_footage(Export *x, json_t *clip, uint64_t clip_id) {
        _cleanup_(footage_done) Footage f = { 0 };
        int r;

        r = look_up(x, clip_id, &f);
        if (r < 0)
                return r == -ENOENT ? miss(x, clip, "the database does not know the clip any more") : r;
        if (!f.known)
                return miss(x, clip, text_equal(f.state, "lost") ? "it was gone from its camera before it was copied" :
                                                                   "it has not been copied from its camera");
        r = take_from_spool(x, clip, clip_id, &f);
        if (r != 0)
                return r < 0 ? r : 0;
        if (f.stored)
                return take_from_store(x, clip, clip_id, &f);
        return miss(x, clip, "the spool's copy of the footage is gone, and the store has given no receipt for it");
}

/* ---- Manifests ------------------------------------------------------------------------------------------------------- */

static int put_manifest(Export *x, json_t *clip, uint64_t clip_id) {
        const char *key = json_string_value(json_object_get(clip, "manifest_key"));
        _cleanup_(freep) char *text = NULL, *name = text_format("manifests/%" PRIu64 ".json", clip_id);
        ConfError error = { 0 };
        int r;

        if (!key || !x->uplink)
                return 0;
        if (!name)
                return -ENOMEM;
        r = uplink_socket_fetch(x->uplink, key, &text, &error);
        if (r < 0)
                return miss(x, clip, "its manifest cannot be read from the store: %s", error.text);
        r = export_put(x, name, text);
        if (r < 0)
                return r;
        x->counts.manifests++;
        return json_object_set_new(clip, "manifest", json_string(name)) < 0 ? -ENOMEM : 0;
}

/* ---- All of them ------------------------------------------------------------------------------------------------------ */

/* How much of a clip will be written, and how much of that is fetched. */
static int add_room(Export *x, uint64_t clip_id, uint64_t *all, uint64_t *beside) {
        _cleanup_(footage_done) Footage f = { 0 };
        int r = look_up(x, clip_id, &f);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (!f.known || (!f.spool_name && !(f.stored && x->request->fetch)))
                return 0;
        *all += f.size_bytes;
        if (!f.spool_name)
                *beside = MAX2(*beside, f.size_bytes);
        return 0;
}

/* Before any of it is written: what is fetched is held beside the bundle until it was verified, one clip at a time. */
static int check_room(Export *x) {
        uint64_t all = ROOM_BESIDE, beside = 0, free_bytes = 0;
        const char *id;
        json_t *clip;
        int r;

        json_object_foreach(x->clips, id, clip) {
                r = add_room(x, (uint64_t) json_integer_value(json_object_get(clip, "clip_id")), &all, &beside);
                if (r < 0)
                        return r;
        }
        r = bundle_free_bytes(x->bundle, &free_bytes);
        if (r < 0)
                return export_fail(x, r, "how much room there is for %s cannot be found out: %s", x->bundle->path, strerror(-r));
        if (all + beside > free_bytes)
                return export_fail(x, -ENOSPC, "the export needs %" PRIu64 " bytes, and the disk of %s has %" PRIu64 " left: make room "
                                   "there, or export to another place", all + beside, x->bundle->path, free_bytes);
        return 0;
}

int export_clips(Export *x) {
        const char *id;
        json_t *clip;
        int r;

        r = check_room(x);
        if (r < 0)
                return r;
        json_object_foreach(x->clips, id, clip) {
                uint64_t clip_id = (uint64_t) json_integer_value(json_object_get(clip, "clip_id"));

                r = put_footage(x, clip, clip_id);
                if (r >= 0)
                        r = put_manifest(x, clip, clip_id);
                if (r < 0)
                        return r;
                x->counts.clips++;
        }
        return 0;
}
