/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/dir_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

/* ---- Faults -------------------------------------------------------------------------------------------------------------- */

Fault fault;

/* True when the call is to fail without being made. */
static bool before_call(bool is_sync) {
        fault.calls++;
        if (fault.kind == FAULT_NONE || fault.calls != fault.at)
                return false;
        if (fault.kind == FAULT_DIE_BEFORE)
                _exit(DIED);
        if (fault.kind == FAULT_FAIL || fault.kind == FAULT_FAIL_AFTER)
                fault.hit_sync = is_sync;
        if (fault.kind != FAULT_FAIL)
                return false;
        errno = EIO;
        return true;
}

static int after_call(long result) {
        if (fault.calls == fault.at && fault.kind == FAULT_DIE_AFTER)
                _exit(DIED);
        if (fault.calls == fault.at && fault.kind == FAULT_FAIL_AFTER) {
                errno = EIO;
                return -1;
        }
        return (int) result;
}

/* In place of the C library's. */
int fsync(int fd) {
        return before_call(true) ? -1 : after_call(syscall(SYS_fsync, fd));
}

int fdatasync(int fd) {
        return before_call(true) ? -1 : after_call(syscall(SYS_fdatasync, fd));
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
        if (fault.no_rename && flags != 0) {
                errno = EINVAL;
                return -1;
        }
        return before_call(false) ? -1 : after_call(syscall(SYS_renameat2, from_dir, from, to_dir, to, flags));
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
        if (fault.no_link) {
                errno = EPERM;
                return -1;
        }
        return before_call(false) ? -1 : after_call(syscall(SYS_linkat, from_dir, from, to_dir, to, flags));
}

int unlinkat(int dir, const char *name, int flags) {
        return before_call(false) ? -1 : after_call(syscall(SYS_unlinkat, dir, name, flags));
}

int mkdirat(int dir, const char *name, mode_t mode) {
        return before_call(false) ? -1 : after_call(syscall(SYS_mkdirat, dir, name, mode));
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
        return before_call(false) ? -1 : after_call(syscall(SYS_fallocate, fd, mode, offset, length));
}

/* ---- The store ----------------------------------------------------------------------------------------------------------- */

void dir_rig_reopen(DirRig *r, const DirSettings *settings) {
        DirSettings all = settings ? *settings : (DirSettings){ .create = true, .read_back = true, .same_disk_is_store = true };

        all.path = r->store;
        r->s = dir_store_free(r->s);
        assert_int_equal(dir_store_new(&all, &r->s), 0);
}

DirRig *dir_rig_new(const DirSettings *settings) {
        const char *scratch = getenv("TMPDIR");
        DirRig *r = calloc(1, sizeof(*r));

        assert_non_null(r);
        fault = (Fault){ 0 };
        snprintf(r->folder, sizeof(r->folder), "%s/dir-XXXXXX", scratch && strlen(scratch) < 40 ? scratch : "/tmp");
        assert_non_null(mkdtemp(r->folder));
        snprintf(r->store, sizeof(r->store), "%s/store", r->folder);
        assert_int_equal(mkdir(r->store, 0755), 0);
        dir_rig_reopen(r, settings);
        return r;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st;
        (void) type;
        (void) ftw;
        return remove(path);
}

void dir_rig_free(DirRig *r) {
        fault = (Fault){ 0 };
        r->s = dir_store_free(r->s);
        assert_int_equal(nftw(r->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
        free(r);
}

char *dir_rig_path(const DirRig *r, const char *name) {
        char *path = text_format("%s/%s", r->store, name);

        assert_non_null(path);
        return path;
}

/* ---- Calls --------------------------------------------------------------------------------------------------------------- */

int dir_rig_source(const DirRig *r, uint64_t size, uint64_t seed, Digest *ret) {
        _cleanup_(freep) uint8_t *bytes = malloc(size + 1);
        char path[96];
        int fd;

        assert_non_null(bytes);
        for (uint64_t i = 0; i < size; i++) {
                seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                bytes[i] = (uint8_t) (seed >> 56);
        }
        assert_int_equal(digest_of(bytes, size, ret), 0);
        snprintf(path, sizeof(path), "%s/source-XXXXXX", r->folder);
        fd = mkostemp(path, O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(fd_write_full(fd, bytes, size), 0);
        return fd;
}

Task *dir_rig_put_task(int fd, uint64_t size, const Digest *digest, const char *path) {
        Task *task = task_new(TASK_PUT, NULL, NULL);

        assert_non_null(task);
        task->put.clip_id = 1;
        task->put.source_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        assert_true(task->put.source_fd >= 0);
        task->put.serial = strdup(SERIAL);
        task->put.path = strdup(path);
        task->put.facts_json = strdup("{}");
        task->put.mtime_unix_sec = MTIME;
        task->put.docked_unix_sec = MTIME + 86400;
        task->put.size_bytes = size;
        task->put.digest = *digest;
        return task;
}

Task *dir_rig_put(DirRig *r, uint64_t size, uint64_t seed, const char *path) {
        Digest digest;
        int fd = dir_rig_source(r, size, seed, &digest);
        Task *task = dir_rig_put_task(fd, size, &digest, path);

        fd_close(fd);
        dir_put(r->s, task);
        return task;
}

Task *dir_rig_confirm(DirRig *r, const Task *put) {
        Task *task = task_new(TASK_CONFIRM, NULL, NULL);

        assert_non_null(task);
        task->confirm.object_key = strdup(put->receipt.object_key);
        task->confirm.manifest_key = strdup(put->receipt.manifest_key);
        task->confirm.size_bytes = put->put.size_bytes;
        task->confirm.digest = put->put.digest;
        dir_confirm(r->s, task);
        return task;
}

const char *dir_rig_probe(DirRig *r, bool thorough, uint64_t need_bytes) {
        _cleanup_(task_freep) Task *task = task_new(TASK_PROBE, NULL, NULL);

        assert_non_null(task);
        task->probe.thorough = thorough;
        task->probe.need_bytes = need_bytes;
        dir_probe(r->s, task);
        if (!task->answer.error)
                return WIRE_STORE_READY;
        assert_true(task->answer.text[0] != 0);
        printf("# %s\n", task->answer.text);
        return task->answer.state ? task->answer.state : "?";
}

void assert_done(const Task *task, bool already_there) {
        if (task->answer.error)
                fail_msg("%s: %s", task->answer.error, task->answer.text);
        if (task->kind == TASK_PUT) {
                assert_int_equal(task->receipt.already_there, already_there);
                assert_string_equal(task->receipt.strength, WIRE_STRENGTH_DIGEST);
        }
}

void assert_failed(const Task *task, const char *error, const char *state) {
        if (!task->answer.error || !text_equal(task->answer.error, error))
                fail_msg("expected %s, got %s: %s", error, task->answer.error ? task->answer.error : "success", task->answer.text);
        if (state)
                assert_string_equal(task->answer.state, state);
        else
                assert_null(task->answer.state);
        assert_true(task->answer.text[0] != 0);
}

/* ---- Looking ------------------------------------------------------------------------------------------------------------- */

/* nftw() takes no userdata. */
static unsigned counted;
static const DirRig *checked;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) path;
        (void) ftw;
        counted += type == FTW_F && S_ISREG(st->st_mode);
        return 0;
}

unsigned dir_rig_count(const DirRig *r, const char *below) {
        _cleanup_(freep) char *path = dir_rig_path(r, below);

        counted = 0;
        if (nftw(path, count_one, 16, FTW_PHYS) < 0)
                assert_int_equal(errno, ENOENT);
        return counted;
}

static int check_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        _cleanup_(freep) char *text = NULL, *object = NULL, *bytes = NULL;
        _cleanup_(manifest_freep) Manifest *m = NULL;
        size_t size = 0;
        Digest digest;

        (void) ftw;
        if (type != FTW_F || !S_ISREG(st->st_mode))
                return 0;
        assert_int_equal(fd_read_file(AT_FDCWD, path, MANIFEST_SIZE_MAX, &text, &size), 0);
        assert_int_equal(manifest_parse(text, size, &m), 0);
        object = dir_rig_path(checked, m->object);
        assert_int_equal(fd_read_file(AT_FDCWD, object, 1u << 28, &bytes, &size), 0);
        assert_int_equal(size, m->size_bytes);
        assert_int_equal(digest_of(bytes, size, &digest), 0);
        assert_true(digest_equal(&digest, &m->digest));
        counted++;
        return 0;
}

unsigned dir_rig_check(const DirRig *r) {
        _cleanup_(freep) char *manifests = dir_rig_path(r, "manifests");
        unsigned n;

        counted = 0;
        checked = r;
        assert_int_equal(nftw(manifests, check_one, 16, FTW_PHYS), 0);
        n = counted;
        assert_int_equal(dir_rig_count(r, "objects"), n);
        return n;
}

void dir_rig_write(const DirRig *r, const char *name, const char *text) {
        _cleanup_(freep) char *path = dir_rig_path(r, name);
        FILE *f;

        /* What the store wrote is read-only; a tampering owner does not mind. */
        (void) chmod(path, 0600);
        f = fopen(path, "w");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}
