/* SPDX-License-Identifier: Apache-2.0 */

/* What the store holds already: manifests, and the objects that they name. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "uplink/dir_private.h"
#include "uplink/uncached.h"

const char *dir_strength(const DirStore *s, bool same_file_system, bool read_back) {
        if (same_file_system && !s->same_disk_is_store)
                return WIRE_STRENGTH_LOCAL;
        return read_back ? WIRE_STRENGTH_DIGEST : WIRE_STRENGTH_SIZE;
}

static int open_regular(int dir, const char *name, struct stat *ret) {
        _cleanup_(fd_closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

        if (fd < 0)
                return -errno;
        if (fstat(fd, ret) < 0)
                return -errno;
        if (!S_ISREG(ret->st_mode))
                return -EBADMSG;
        return TAKE_FD(fd);
}

int dir_read_small(int dir, const char *name, char **ret, size_t *ret_size) {
        _cleanup_(fd_closep) int fd = -EBADF;
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        int r;

        fd = open_regular(dir, name, &st);
        if (fd < 0)
                return fd;
        if (st.st_size > (off_t) MANIFEST_SIZE_MAX)
                return -EBADMSG;
        r = fd_drop_cache(fd, 0, 0);
        if (r < 0)
                return r;
        text = malloc((size_t) st.st_size + 1);
        if (!text)
                return -ENOMEM;
        r = fd_pread_full(fd, text, (size_t) st.st_size, 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        *ret_size = (size_t) st.st_size;
        return 0;
}

static int read_manifest_at(const DirChain *c, const LayoutKey *key, Manifest **ret) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int r;

        r = dir_read_small(c->fds[2], key->parts[3], &text, &size);
        return r < 0 ? r : manifest_parse(text, size, ret);
}

int dir_read_manifest(int root, const LayoutKey *key, Manifest **ret) {
        _cleanup_(dir_close_chain) DirChain c = DIR_CHAIN_NONE;
        int r;

        r = dir_open_chain(root, key, false, &c);
        return r < 0 ? r : read_manifest_at(&c, key, ret);
}

/* ---- A clip that is stored already --------------------------------------------------------------------------------- */

static int conflict(Task *task, const char *format, ...) _printf_(2, 3);
static int conflict(Task *task, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = text_vformat(format, arguments);
        va_end(arguments);
        return answer_fail(&task->answer, WIRE_UPLINK_E_CONFLICT, NULL, "%s", text ? text : "the store holds something else");
}

/* Of this very clip? The name in the store is the same for others only when a stranger put them there. */
static int compare_manifest(Task *task, const char *manifest_key, const Manifest *m) {
        const PutRequest *put = &task->put;

        if (!text_equal(m->manifest, manifest_key))
                return conflict(task, "the manifest %s in the store says that it is %s", manifest_key, m->manifest);
        if (!text_equal(m->serial, put->serial) || !text_equal(m->path, put->path))
                return conflict(task, "the manifest %s in the store is of the clip %s of camera %s", manifest_key, m->path, m->serial);
        if (m->size_bytes != put->size_bytes || !digest_equal(&m->digest, &put->digest))
                return conflict(task, "the manifest %s in the store names another content", manifest_key);
        return 0;
}

/* Reads the object whole and makes sure that it stays. */
static int verify_object(DirStore *s, int root, Task *task, const Manifest *m, uint64_t *ret_device, bool *ret_lost) {
        _cleanup_(dir_close_chain) DirChain c = DIR_CHAIN_NONE;
        _cleanup_(fd_closep) int fd = -EBADF;
        LayoutKey key;
        struct stat st;
        Digest digest;
        int r;

        r = layout_parse_key(m->object, LAYOUT_OBJECTS, &key);
        if (r < 0)
                return conflict(task, "the manifest %s in the store names no object of a store: %s", m->manifest, m->object);
        r = dir_open_chain(root, &key, false, &c);
        fd = r < 0 ? r : open_regular(c.fds[2], key.parts[3], &st);
        *ret_lost = fd == -ENOENT;
        if (fd == -ENOENT)
                return conflict(task, "the store has the manifest %s, but its object %s is gone", m->manifest, m->object);
        if (fd == -EBADMSG || fd == -ELOOP)
                return conflict(task, "the object %s in the store is not a file", m->object);
        if (fd < 0)
                return dir_fail(s, fd, "opening an object", &task->answer);
        if ((uint64_t) st.st_size != m->size_bytes)
                return conflict(task, "the object %s in the store has %jd bytes, and %" PRIu64 " by its manifest", m->object,
                                (intmax_t) st.st_size, m->size_bytes);
        /* Another process may have put it a moment ago and not synced it yet. */
        if (fsync(fd) < 0 || (r = dir_sync_chain(&c)) < 0)
                return dir_fail(s, r < 0 ? r : errno, "syncing an object", &task->answer);
        CRASH_POINT("confirm-synced");
        r = uncached_digest(fd, m->size_bytes, task, &digest);
        if (r < 0)
                return dir_fail(s, r, "reading an object", &task->answer);
        if (!digest_equal(&digest, &m->digest))
                return conflict(task, "the object %s in the store is damaged: its digest is not the one of its manifest", m->object);
        *ret_device = st.st_dev;
        return 0;
}

static int fill_receipt(DirStore *s, Task *task, Manifest *m, bool same_file_system) {
        task->receipt = (Receipt){
                .object_key = TAKE_PTR(m->object),
                .manifest_key = TAKE_PTR(m->manifest),
                .strength = dir_strength(s, same_file_system, true),
                .time_unix_sec = m->stored_unix_sec,
                .already_there = true,
        };
        atomic_store(&task->stored_bytes, m->size_bytes);
        return 1;
}

/* The same bytes under the name that the manifest has of them make it true again; nothing else would, as no manifest is ever replaced. */
static int is_lost(Task *task, Manifest *m, char **ret_lost) {
        char day[11];

        if (layout_day(task->put.mtime_unix_sec, task->put.docked_unix_sec, day) < 0 ||
            !layout_object_is_of(m->object, m->serial, day, m->path))
                return -1;
        task->answer.error = task->answer.state = NULL;
        task->answer.text[0] = 0;
        *ret_lost = TAKE_PTR(m->object);
        return 2;
}

int dir_look_up(DirStore *s, int root, Task *task, const char *manifest_key, uint64_t source_device, char **ret_lost) {
        _cleanup_(dir_close_chain) DirChain c = DIR_CHAIN_NONE;
        _cleanup_(manifest_freep) Manifest *m = NULL;
        uint64_t device = 0;
        bool lost = false;
        LayoutKey key;
        int r;

        r = layout_parse_key(manifest_key, LAYOUT_MANIFESTS, &key);
        if (r >= 0)
                r = dir_open_chain(root, &key, false, &c);
        if (r >= 0)
                r = read_manifest_at(&c, &key, &m);
        if (r == -ENOENT)
                return 0;
        if (r == -EBADMSG || r == -ELOOP)
                return conflict(task, "%s in the store is damaged: it is no manifest", manifest_key);
        if (r == -ENOTSUP)
                return conflict(task, "the manifest %s in the store was written by a later version of Berth", manifest_key);
        if (r < 0)
                return dir_fail(s, r, "reading a manifest", &task->answer);
        if (compare_manifest(task, manifest_key, m) < 0)
                return -1;
        if (verify_object(s, root, task, m, &device, &lost) < 0)
                return lost && ret_lost ? is_lost(task, m, ret_lost) : -1;
        r = dir_sync_chain(&c);
        if (r < 0)
                return dir_fail(s, r, "syncing a manifest", &task->answer);
        return fill_receipt(s, task, m, device == source_device);
}

/* ---- Confirm ------------------------------------------------------------------------------------------------------- */

static int check_object(DirStore *s, int root, Task *task, const LayoutKey *key, bool hash) {
        _cleanup_(dir_close_chain) DirChain c = DIR_CHAIN_NONE;
        const ConfirmRequest *confirm = &task->confirm;
        _cleanup_(fd_closep) int fd = -EBADF;
        struct stat st;
        Digest digest;
        int r;

        r = dir_open_chain(root, key, false, &c);
        fd = r < 0 ? r : open_regular(c.fds[2], key->parts[3], &st);
        if (fd == -ENOENT)
                return answer_fail(&task->answer, WIRE_UPLINK_E_GONE, NULL, "the store holds the object %s no more",
                                   confirm->object_key);
        if (fd == -EBADMSG || fd == -ELOOP)
                return conflict(task, "the object %s in the store is not a file", confirm->object_key);
        if (fd < 0)
                return dir_fail(s, fd, "opening an object", &task->answer);
        if ((uint64_t) st.st_size != confirm->size_bytes)
                return conflict(task, "the object %s in the store has %jd bytes, and %" PRIu64 " by its receipt", confirm->object_key,
                                (intmax_t) st.st_size, confirm->size_bytes);
        if (!hash)
                return 0;
        r = uncached_digest(fd, confirm->size_bytes, task, &digest);
        if (r < 0 && task_fail_file(task))
                return -1;
        if (r < 0)
                return dir_fail(s, r, "reading an object", &task->answer);
        if (!digest_equal(&digest, &confirm->digest))
                return conflict(task, "the object %s in the store is damaged: its digest is not the one of its receipt",
                                confirm->object_key);
        return 0;
}

static int read_confirmed(DirStore *s, int root, Task *task, const LayoutKey *key, Manifest **ret) {
        const ConfirmRequest *confirm = &task->confirm;
        _cleanup_(manifest_freep) Manifest *m = NULL;
        int r;

        r = dir_read_manifest(root, key, &m);
        if (r == -ENOENT)
                return answer_fail(&task->answer, WIRE_UPLINK_E_GONE, NULL, "the store holds the manifest %s no more",
                                   confirm->manifest_key);
        if (r == -EBADMSG || r == -ELOOP || r == -ENOTSUP)
                return conflict(task, "%s in the store is no manifest any more", confirm->manifest_key);
        if (r < 0)
                return dir_fail(s, r, "reading a manifest", &task->answer);
        if (!text_equal(m->manifest, confirm->manifest_key) || !text_equal(m->object, confirm->object_key) ||
            m->size_bytes != confirm->size_bytes || !digest_equal(&m->digest, &confirm->digest))
                return conflict(task, "the manifest %s in the store names something else than the receipt", confirm->manifest_key);
        *ret = TAKE_PTR(m);
        return 0;
}

void dir_confirm(DirStore *s, Task *task) {
        _cleanup_(manifest_freep) Manifest *m = NULL;
        _cleanup_(fd_closep) int root = -EBADF;
        LayoutKey object, manifest;
        bool hash;

        if (layout_parse_key(task->confirm.object_key, LAYOUT_OBJECTS, &object) < 0 ||
            layout_parse_key(task->confirm.manifest_key, LAYOUT_MANIFESTS, &manifest) < 0) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "these are no keys of this store");
                return;
        }
        root = dir_open_root(s, false, &task->answer);
        if (root < 0 || read_confirmed(s, root, task, &manifest, &m) < 0)
                return;
        assert(m);
        /* Put with read_back = no, by another dock or under other settings: what was not done then is done now. */
        hash = task->kind == TASK_VERIFY || task->kind == TASK_GET_CLIP || (s->read_back && !m->read_back);
        if (check_object(s, root, task, &object, hash) < 0)
                return;
        task->strength = dir_strength(s, m->same_file_system, m->read_back || hash);
}
