/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Putting a clip. In this order, each step durable before the next:
 *
 *   tmp/<owner>/<random>.object     written, synced, read back
 *   tmp/<owner>/<random>.manifest   whole, and with it the intent: it names the object's key
 *   objects/…                       the object moves there
 *   manifests/…                     the manifest moves there, never replacing another; now the clip counts as stored
 *
 * Wherever a kill strikes, what is left in tmp/ tells what to remove (dir_sweep()): nothing that a manifest names.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "uplink/dir_private.h"
#include "uplink/uncached.h"

/* How much may wait in memory for the disk: more, and the last sync takes long without a sign of life. */
#define WRITE_BEHIND (UINT64_C(32) * 1024 * 1024)
#define TMP_NAME_SIZE 48u

typedef struct Put {
        DirStore *store;
        Task *task;
        const PutRequest *request;
        int root, tmp, object_fd, manifest_fd;
        char object_tmp[TMP_NAME_SIZE], manifest_tmp[TMP_NAME_SIZE];
        char day[11];
        Manifest manifest; /* its strings belong to this struct or to the request */
        LayoutKey object_key, manifest_key;
        DirChain objects, manifests;
        uint64_t source_device;
        bool object_placed;      /* or perhaps */
        bool manifest_uncertain; /* it is there, or perhaps */
        bool lost;               /* it is there, and names an object that is not: ours takes its name */
} Put;

static int trouble(Put *p, int error, const char *doing) {
        return dir_fail(p->store, error, doing, &p->task->answer);
}

static int source_error(Put *p, const char *format, ...) _printf_(2, 3);
static int source_error(Put *p, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = text_vformat(format, arguments);
        va_end(arguments);
        return answer_fail(&p->task->answer, WIRE_UPLINK_E_SOURCE, NULL, "%s", text ? text : "the spool file is not as promised");
}

/* ---- The source ---------------------------------------------------------------------------------------------------- */

static int check_source(Put *p) {
        struct stat st;

        if (fstat(p->request->source_fd, &st) < 0)
                return source_error(p, "the spool file cannot be looked at: %s", strerror(errno));
        if ((uint64_t) st.st_size != p->request->size_bytes)
                return source_error(p, "the spool file has %jd bytes, and %" PRIu64 " were promised", (intmax_t) st.st_size,
                                    p->request->size_bytes);
        p->source_device = st.st_dev;
        return 0;
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

/* Starts writing what came last, and waits for what came before. */
static int limit_write_behind(Put *p, uint64_t at) {
        if (at % WRITE_BEHIND != 0)
                return 0;
        if (sync_file_range(p->object_fd, (off_t) (at - WRITE_BEHIND), (off_t) WRITE_BEHIND, SYNC_FILE_RANGE_WRITE) < 0)
                return errno == ESPIPE || errno == EINVAL || errno == ENOSYS ? 0 : -errno;
        if (at < 2 * WRITE_BEHIND)
                return 0;
        if (sync_file_range(p->object_fd, (off_t) (at - 2 * WRITE_BEHIND), (off_t) WRITE_BEHIND,
                            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) < 0)
                return -errno;
        return 0;
}

/* All of it is written in the end, in pieces as fast as the limits allow. */
static int write_paced(Put *p, const char *data, size_t size) {
        while (size > 0) {
                size_t n = task_wait_pace(p->task, size);
                int r;

                if (n == 0)
                        return -ECANCELED;
                r = fd_write_full(p->object_fd, data, n);
                if (r < 0)
                        return r;
                CRASH_POINT("object-written");
                data += n;
                size -= n;
        }
        return 0;
}

static int copy_chunks(Put *p, Uncached *source, Hasher *hasher, void *buffer) {
        Task *task = p->task;

        for (uint64_t at = 0; at < p->request->size_bytes;) {
                ssize_t n;
                int r;

                if (atomic_load(&task->cancelled))
                        return trouble(p, ECANCELED, "sending");
                n = uncached_read(source, buffer, at);
                if (n == -ENODATA)
                        return source_error(p, "the spool file became shorter while it was read");
                if (n < 0)
                        return source_error(p, "the spool file cannot be read: %s", strerror((int) -n));
                r = hasher_update(hasher, buffer, (size_t) n);
                if (r < 0)
                        return trouble(p, r, "hashing");
                r = write_paced(p, buffer, (size_t) n);
                if (r < 0)
                        return trouble(p, r, "writing an object");
                at += (uint64_t) n;
                r = limit_write_behind(p, at);
                if (r < 0)
                        return trouble(p, r, "writing an object");
                atomic_store(&task->stored_bytes, at);
                atomic_fetch_add(&task->activity, 1);
        }
        return 0;
}

static int copy_source(Put *p, Digest *ret) {
        _cleanup_(uncached_close) Uncached source = { .direct_fd = -EBADF };
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        _cleanup_(freep) void *buffer = uncached_buffer();
        int r;

        r = buffer ? hasher_new(&hasher) : -ENOMEM;
        if (r < 0)
                return trouble(p, r, "sending");
        r = uncached_open(p->request->source_fd, p->request->size_bytes, &source);
        if (r < 0)
                return source_error(p, "the spool file cannot be read: %s", strerror(-r));
        if (copy_chunks(p, &source, hasher, buffer) < 0)
                return -1;
        r = hasher_finish(hasher, ret);
        return r < 0 ? trouble(p, r, "hashing") : 0;
}

static int create_object(Put *p) {
        uint64_t size = p->request->size_bytes;

        p->tmp = dir_open_tmp(p->store, p->root, true);
        if (p->tmp < 0)
                return trouble(p, p->tmp, "opening its folder for unfinished work");
        p->object_fd = dir_create_tmp(p->tmp, p->object_tmp);
        if (p->object_fd < 0)
                return trouble(p, p->object_fd, "making an object");
        CRASH_POINT("object-made");
        /* Room for all of it, or none of it is sent. What cannot be reserved is found out while writing. */
        if (size > 0 && fallocate(p->object_fd, 0, 0, (off_t) size) < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
                return trouble(p, errno, "reserving room for an object");
        return 0;
}

static int send_object(Put *p) {
        Digest digest;

        if (create_object(p) < 0 || copy_source(p, &digest) < 0 || check_source(p) < 0)
                return -1;
        if (!digest_equal(&digest, &p->request->digest)) {
                char sent[DIGEST_HEX_SIZE], promised[DIGEST_HEX_SIZE];

                return source_error(p, "the spool file's SHA-256 is %s, and %s was promised", digest_to_hex(&digest, sent),
                                    digest_to_hex(&p->request->digest, promised));
        }
        CRASH_POINT("object-sync-begins");
        /* All of it, the size too. */
        if (fsync(p->object_fd) < 0)
                return trouble(p, errno, "syncing an object");
        CRASH_POINT("object-synced");
        return 0;
}

static int read_back(Put *p) {
        Digest digest;
        int r;

        if (!p->store->read_back)
                return 0;
        r = uncached_digest(p->object_fd, p->request->size_bytes, p->task, &digest);
        if (r < 0)
                return trouble(p, r, "reading an object back");
        if (!digest_equal(&digest, &p->request->digest))
                return answer_fail(&p->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s gave other bytes back than were written to it: its disk or its network is at fault",
                                   p->store->path);
        return 0;
}

/* ---- Publishing ---------------------------------------------------------------------------------------------------- */

static int write_manifest(Put *p) {
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        int r;

        if (fstat(p->object_fd, &st) < 0)
                return trouble(p, errno, "looking at an object");
        p->manifest.same_file_system = st.st_dev == p->source_device;
        p->manifest.read_back = p->store->read_back;
        p->manifest.stored_unix_sec = clock_wall_usec() / (int64_t) USEC_PER_SEC;
        r = manifest_compose(&p->manifest, p->request->facts_json, &text);
        if (r == -EINVAL)
                return answer_fail(&p->task->answer, WIRE_UPLINK_E_INVALID, NULL, "no manifest can be made of the clip's names and facts");
        if (r < 0)
                return trouble(p, r, "composing a manifest");
        p->manifest_fd = dir_create_tmp(p->tmp, p->manifest_tmp);
        if (p->manifest_fd < 0)
                return trouble(p, p->manifest_fd, "making a manifest");
        CRASH_POINT("manifest-made");
        r = fd_write_full(p->manifest_fd, text, strlen(text));
        CRASH_POINT("manifest-written");
        if (r >= 0 && fsync(p->manifest_fd) < 0)
                r = -errno;
        CRASH_POINT("manifest-synced");
        if (r >= 0)
                r = fd_sync_dir(p->tmp);
        CRASH_POINT("intent-durable");
        return r < 0 ? trouble(p, r, "writing a manifest") : 0;
}

static int place_object(Put *p) {
        struct stat ours, there;
        int r;

        r = dir_open_chain(p->root, &p->object_key, true, &p->objects);
        if (r < 0)
                return trouble(p, r, "opening the folder for an object");
        r = dir_place(p->tmp, p->object_tmp, p->objects.fds[2], p->object_key.parts[3]);
        /* After an error it may be there all the same; unless the random name is another's. */
        p->object_placed = r != -EEXIST;
        if (r < 0)
                return trouble(p, r, "naming an object");
        CRASH_POINT("object-placed");
        (void) fchmod(p->object_fd, FILE_MODE);
        r = dir_sync_chain(&p->objects);
        if (r < 0)
                return trouble(p, r, "syncing the folder of an object");
        CRASH_POINT("object-durable");
        if (fstat(p->object_fd, &ours) < 0 || fstatat(p->objects.fds[2], p->object_key.parts[3], &there, AT_SYMLINK_NOFOLLOW) < 0)
                return trouble(p, errno, "looking at an object");
        if (there.st_ino != ours.st_ino || (uint64_t) there.st_size != p->request->size_bytes)
                return trouble(p, EIO, "looking at an object under its name");
        return 0;
}

/* 0: placed. -EEXIST: another's is there. -1: answered. */
static int place_manifest(Put *p) {
        int r;

        r = dir_open_chain(p->root, &p->manifest_key, true, &p->manifests);
        if (r < 0)
                return trouble(p, r, "opening the folder for a manifest");
        r = dir_place(p->tmp, p->manifest_tmp, p->manifests.fds[2], p->manifest_key.parts[3]);
        if (r == -EEXIST)
                return r;
        /* It may be there all the same. Whatever it names is not touched any more. */
        p->manifest_uncertain = true;
        if (r < 0)
                return trouble(p, r, "naming a manifest");
        CRASH_POINT("manifest-placed");
        (void) fchmod(p->manifest_fd, FILE_MODE);
        r = dir_sync_chain(&p->manifests);
        CRASH_POINT("manifest-durable");
        return r < 0 ? trouble(p, r, "syncing the folder of a manifest") : 0;
}

/* Our own object, which no manifest names. */
static void withdraw_object(Put *p) {
        if (!p->object_placed)
                return;
        CRASH_POINT("withdraw-begins");
        if (unlinkat(p->objects.fds[2], p->object_key.parts[3], 0) < 0 && errno != ENOENT)
                return;
        CRASH_POINT("object-withdrawn");
        if (fd_sync_dir(p->objects.fds[2]) >= 0)
                p->object_placed = false;
}

static int give_receipt(Put *p) {
        p->task->receipt = (Receipt){
                .object_key = TAKE_PTR(p->manifest.object),
                .manifest_key = TAKE_PTR(p->manifest.manifest),
                .strength = dir_strength(p->store, p->manifest.same_file_system, p->manifest.read_back),
                .time_unix_sec = p->manifest.stored_unix_sec,
        };
        return 0;
}

static int look_up(Put *p) {
        int r = dir_look_up(p->store, p->root, p->task, p->manifest.manifest, p->source_device, NULL);

        return r != 0 ? r : trouble(p, EAGAIN, "naming a manifest, which another dock did at the same time");
}

/* The manifest that lies there counts again. */
static int replace_lost(Put *p) {
        if (place_object(p) < 0 || look_up(p) < 0)
                return -1;
        p->object_placed = false;
        return 0;
}

static int publish(Put *p) {
        int r;

        if (p->lost)
                return replace_lost(p);

        if (write_manifest(p) < 0 || place_object(p) < 0)
                return -1;
        r = place_manifest(p);
        if (r == 0)
                return give_receipt(p);
        if (r != -EEXIST)
                return -1;
        /* Another dock, or an earlier try of ours, was first: its object counts, when it is the same. */
        withdraw_object(p);
        return look_up(p);
}

/* ---- All of it ----------------------------------------------------------------------------------------------------- */

static int make_keys(Put *p) {
        const PutRequest *request = p->request;
        uint64_t random[2];
        int r;

        if (getrandom(random, sizeof(random), 0) != sizeof(random))
                return trouble(p, EAGAIN, "asking for random numbers");
        (void) snprintf(p->object_tmp, sizeof(p->object_tmp), "%016" PRIx64 ".object", random[1]);
        (void) snprintf(p->manifest_tmp, sizeof(p->manifest_tmp), "%016" PRIx64 ".manifest", random[1]);
        r = layout_day(request->mtime_unix_sec, request->docked_unix_sec, p->day);
        if (r < 0)
                return answer_fail(&p->task->answer, WIRE_UPLINK_E_INVALID, NULL, "neither the clip nor its docking has a time");
        if ((r = layout_object_key(request->serial, p->day, request->path, random[0], &p->manifest.object)) < 0 ||
            (r = layout_manifest_key(request->serial, p->day, request->path, &request->digest, &p->manifest.manifest)) < 0 ||
            (r = layout_parse_key(p->manifest.object, LAYOUT_OBJECTS, &p->object_key)) < 0 ||
            (r = layout_parse_key(p->manifest.manifest, LAYOUT_MANIFESTS, &p->manifest_key)) < 0)
                return trouble(p, r, "naming the clip");
        p->manifest.size_bytes = request->size_bytes;
        p->manifest.digest = request->digest;
        p->manifest.serial = request->serial;
        p->manifest.path = request->path;
        p->manifest.mtime_unix_sec = request->mtime_unix_sec;
        memcpy(p->manifest.day, p->day, sizeof(p->day));
        return 0;
}

static void put_end(Put *p) {
        bool placed = p->task->answer.error == NULL;

        /* In this order: as long as the object may be there without its manifest, the sweep finds it by the one in tmp/. */
        if (!placed && !p->manifest_uncertain)
                withdraw_object(p);
        if (p->object_fd >= 0)
                (void) unlinkat(p->tmp, p->object_tmp, 0);
        if (p->manifest_fd >= 0 && !p->manifest_uncertain && !p->object_placed)
                (void) unlinkat(p->tmp, p->manifest_tmp, 0);
        CRASH_POINT("put-ends");
        fd_close(p->object_fd);
        fd_close(p->manifest_fd);
        dir_close_chain(&p->objects);
        dir_close_chain(&p->manifests);
        fd_close(p->tmp);
        fd_close(p->root);
        free(p->manifest.object);
        free(p->manifest.manifest);
}

/* 0: it is to be put, maybe under the name of an object that the store has lost. Else answered. */
static int find_stored(Put *p) {
        char *lost = NULL;
        int r;

        r = dir_look_up(p->store, p->root, p->task, p->manifest.manifest, p->source_device, &lost);
        if (r != 2)
                return r;
        p->lost = true;
        free(p->manifest.object);
        p->manifest.object = lost;
        r = layout_parse_key(lost, LAYOUT_OBJECTS, &p->object_key);
        return r < 0 ? trouble(p, r, "naming the clip") : 0;
}

void dir_put(DirStore *s, Task *task) {
        _cleanup_(put_end) Put p = {
                .store = s,
                .task = task,
                .request = &task->put,
                .root = -EBADF,
                .tmp = -EBADF,
                .object_fd = -EBADF,
                .manifest_fd = -EBADF,
                .objects = DIR_CHAIN_NONE,
                .manifests = DIR_CHAIN_NONE,
        };

        if (check_source(&p) < 0 || make_keys(&p) < 0)
                return;
        p.root = dir_open_root(s, false, &task->answer);
        if (p.root < 0)
                return;
        /* Before anything is sent. */
        if (find_stored(&p) != 0)
                return;
        if (send_object(&p) < 0 || read_back(&p) < 0)
                return;
        (void) publish(&p);
}
