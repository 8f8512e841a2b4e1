/* SPDX-License-Identifier: Apache-2.0 */

/* Does the store keep its promises? And the sweep of what killed processes of this machine left in it. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "uplink/dir_private.h"
#include "uplink/uncached.h"

/* What the folders and the manifest of one small clip need. */
#define ROOM_MIN (UINT64_C(64) * 1024)
#define SAMPLE_SIZE 8192u

/* ---- Sweep --------------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end) {
        size_t n = strlen(s), m = strlen(end);

        return n > m && text_equal(s + n - m, end);
}

/* Does a manifest in the store name this object? 1, 0, or -errno when that cannot be told. */
static int is_named(int root, const Manifest *intent) {
        _cleanup_(manifest_freep) Manifest *there = NULL;
        LayoutKey key;
        int r;

        r = layout_parse_key(intent->manifest, LAYOUT_MANIFESTS, &key);
        if (r >= 0)
                r = dir_read_manifest(root, &key, &there);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        return text_equal(there->object, intent->object);
}

/* Removes the object of a put that was killed before its manifest was in place. */
static int undo(int root, const Manifest *intent) {
        _cleanup_(dir_close_chain) DirChain c = DIR_CHAIN_NONE;
        LayoutKey key;
        int r;

        r = is_named(root, intent);
        if (r != 0)
                return r < 0 ? r : 0;
        r = layout_parse_key(intent->object, LAYOUT_OBJECTS, &key);
        if (r >= 0)
                r = dir_open_chain(root, &key, false, &c);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        CRASH_POINT("undo-begins");
        if (unlinkat(c.fds[2], key.parts[3], 0) < 0)
                return errno == ENOENT ? 0 : -errno;
        CRASH_POINT("undone");
        return fd_sync_dir(c.fds[2]);
}

/* Opens a left file unless a living process holds it, or may do so. -EBUSY then. */
static int open_left(const DirStore *s, int tmp, const char *name) {
        /* For writing, as NFS wants it for a lock. */
        _cleanup_(fd_closep) int fd = openat(tmp, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

        int r;

        if (fd < 0)
                return -errno;
        r = dir_lock(fd);
        /*
         * On a file system without locks, this machine's one uplink is the only one that has files here: they were left behind at its
         * first look, before which it puts nothing, and may be those of its own puts from then on.
         */
        return r == -EBUSY || (r < 0 && s->swept) ? -EBUSY : TAKE_FD(fd);
}

static int sweep_one(const DirStore *s, int root, int tmp, const char *name) {
        _cleanup_(manifest_freep) Manifest *intent = NULL;
        _cleanup_(fd_closep) int fd = open_left(s, tmp, name);
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        int r;

        if (fd < 0)
                return fd == -ENOENT || fd == -EBUSY ? 0 : fd;
        if (ends_with(name, ".manifest")) {
                r = fd_read_file(tmp, name, MANIFEST_SIZE_MAX, &text, &size);
                if (r < 0)
                        return r;
                r = manifest_parse(text, size, &intent);
                if (r == -ENOMEM)
                        return r;
                /* One that is not whole was never synced, and its object never moved. */
                if (r != -EBADMSG) {
                        r = r < 0 ? r : undo(root, intent);
                        /* What a later version meant, or what a damaged manifest names, is not for us to judge. */
                        if (r < 0)
                                return r == -ENOTSUP || r == -EBADMSG ? 0 : r;
                }
        }
        CRASH_POINT("sweep-begins");
        r = unlinkat(tmp, name, 0) < 0 && errno != ENOENT ? -errno : 0;
        CRASH_POINT("swept");
        return r;
}

int dir_sweep(DirStore *s, int root) {
        const struct dirent *entry;
        int tmp, r = 0;
        DIR *dir;

        tmp = dir_open_tmp(s, root, false);
        s->swept |= tmp == -ENOENT;
        if (tmp < 0)
                return tmp == -ENOENT ? 0 : tmp;
        dir = fdopendir(tmp);
        if (!dir) {
                r = -errno;
                fd_close(tmp);
                return r;
        }
        while (r >= 0 && (errno = 0, entry = readdir(dir)))
                if (ends_with(entry->d_name, ".object") || ends_with(entry->d_name, ".manifest") ||
                    ends_with(entry->d_name, ".probe") || ends_with(entry->d_name, ".kept"))
                        r = sweep_one(s, root, dirfd(dir), entry->d_name);
        if (r >= 0 && errno != 0)
                r = -errno;
        s->swept |= r >= 0;
        (void) closedir(dir);
        return r;
}

/* ---- Probe --------------------------------------------------------------------------------------------------------- */

static int check_room(const DirStore *s, int root, Task *task) {
        uint64_t need = MAX2(task->probe.need_bytes, ROOM_MIN), free_bytes;
        char have[16], want[16];
        struct statvfs st;

        if (fstatvfs(root, &st) < 0)
                return dir_fail(s, errno, "asking for its free space", &task->answer);
        if (st.f_flag & ST_RDONLY)
                return dir_fail(s, EROFS, "looking at it", &task->answer);
        if (__builtin_mul_overflow((uint64_t) st.f_bavail, (uint64_t) st.f_frsize, &free_bytes))
                free_bytes = UINT64_MAX;
        if (free_bytes < need)
                return answer_fail(&task->answer, WIRE_UPLINK_E_FULL, WIRE_STORE_FULL,
                        "the store %s has %s free, and %s are needed", s->path,
                                   text_bytes(free_bytes, have), text_bytes(need, want));
        if (st.f_files > 0 && st.f_favail == 0)
                return answer_fail(&task->answer, WIRE_UPLINK_E_FULL, WIRE_STORE_FULL, "the store %s can hold no more files (inodes)",
                                   s->path);
        return 0;
}

static int make_folders(const DirStore *s, int root, Answer *answer) {
        static const char *const names[] = { LAYOUT_OBJECTS, LAYOUT_MANIFESTS, DIR_TMP };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(fd_closep) int fd = fd_open_dir(root, names[i], DIR_MODE);

                if (fd < 0)
                        return dir_fail(s, fd, "making its folders", answer);
        }
        return 0;
}

/* Writes a sample and reads it back; leaves room for what is needed reserved in it, so that a quota shows. */
static int write_sample(const DirStore *s, int tmp, const char *name, Task *task) {
        _cleanup_(fd_closep) int fd = dir_create_tmp(tmp, name);
        uint8_t sample[SAMPLE_SIZE];
        Digest written, there;
        struct stat st;
        int r;

        if (fd < 0)
                return dir_fail(s, fd, "writing a sample", &task->answer);
        if (getrandom(sample, sizeof(sample), 0) != sizeof(sample))
                return dir_fail(s, EAGAIN, "asking for random numbers", &task->answer);
        r = fd_write_full(fd, sample, sizeof(sample));
        CRASH_POINT("probe-written");
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        if (r >= 0)
                r = digest_of(sample, sizeof(sample), &written);
        if (r >= 0)
                r = uncached_digest(fd, sizeof(sample), task, &there);
        if (r >= 0 && fstat(fd, &st) < 0)
                r = -errno;
        if (r < 0)
                return dir_fail(s, r, "writing a sample", &task->answer);
        /* On a network mount the server says when. */
        report_clock(&task->report, st.st_mtim.tv_sec);
        if (!digest_equal(&written, &there))
                return answer_fail(&task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s gave other bytes back than were written to it", s->path);
        if (task->probe.need_bytes > 0 && task->probe.need_bytes < INT64_MAX &&
            fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t) task->probe.need_bytes) < 0 && (errno == ENOSPC || errno == EDQUOT))
                return dir_fail(s, errno, "reserving room", &task->answer);
        return 0;
}

/* A store in which one manifest can replace another serves no two docks, and no retry. */
static int check_no_replace(const DirStore *s, int tmp, const char *first, const char *second, Answer *answer) {
        int r;

        r = dir_place(tmp, second, tmp, first);
        if (r == -EEXIST)
                return 0;
        if (r == 0 || r == -EOPNOTSUPP)
                return answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE,
                        WIRE_STORE_ERROR,
                                   "the file system of the store %s cannot name a file without replacing another; use one that can",
                                   s->path);
        return dir_fail(s, r, "naming a sample", answer);
}

static int try_out(const DirStore *s, int root, Task *task) {
        char names[2][32];
        uint64_t random;
        int tmp, r = 0;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return dir_fail(s, EAGAIN, "asking for random numbers", &task->answer);
        tmp = dir_open_tmp(s, root, true);
        if (tmp < 0)
                return dir_fail(s, tmp, "making its folder for unfinished work", &task->answer);
        for (size_t i = 0; i < 2 && r >= 0; i++) {
                (void) snprintf(names[i], sizeof(names[i]), "%016" PRIx64 ".%zu.probe", random, i);
                r = write_sample(s, tmp, names[i], task);
                /* Only one reserves the room. */
                task->probe.need_bytes = 0;
        }
        if (r >= 0)
                r = check_no_replace(s, tmp, names[0], names[1], &task->answer);
        for (size_t i = 0; i < 2; i++)
                (void) unlinkat(tmp, names[i], 0);
        fd_close(tmp);
        return r;
}

static void report(const DirStore *s, int root, StoreReport *to) {
        struct stat st;

        to->strength = dir_strength(s, false, s->read_back);
        if (fstat(root, &st) == 0) {
                to->device = st.st_dev;
                to->strength_there = dir_strength(s, true, s->read_back);
        }
        if (s->read_back)
                report_point(to, WIRE_POINT_STORE_CHECKSUMS, WIRE_VERDICT_OK, "each object is read back past the page cache");
        else
                report_point(to, WIRE_POINT_STORE_CHECKSUMS, WIRE_VERDICT_WARNING,
                             "a folder checks no digests, and read_back = no: its receipts say size; set read_back = yes in "
                             "[store] of uplink.conf");
        report_point(to, WIRE_POINT_STORE_DELETE, WIRE_VERDICT_NOTE,
                     "a folder cannot keep its writer from deleting: let another machine make snapshots of it, or store in a bucket");
        report_point(to, WIRE_POINT_STORE_REPLACE, WIRE_VERDICT_NOTE,
                     "the dock never replaces a file there, and a folder cannot keep its writer from it");
        report_point(to, WIRE_POINT_STORE_LOCK, WIRE_VERDICT_NOTE,
                     "a folder has no retention: the file system's own means alone keep what is stored");
}

void dir_probe(DirStore *s, Task *task) {
        _cleanup_(fd_closep) int root = dir_open_root(s, task->probe.thorough, &task->answer);
        int r;

        if (root < 0 || check_room(s, root, task) < 0)
                return;
        if (!task->probe.thorough)
                return;
        if (make_folders(s, root, &task->answer) < 0)
                return;
        r = dir_sweep(s, root);
        if (r < 0) {
                (void) dir_fail(s, r, "clearing away unfinished work", &task->answer);
                return;
        }
        if (try_out(s, root, task) >= 0)
                report(s, root, &task->report);
}
