/* SPDX-License-Identifier: Apache-2.0 */
#include "service/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/fd.h"
#include "base/folder.h"
#include "base/jobs.h"
#include "base/text.h"

struct Spool {
        JobThread *thread;
        int state_fd, incoming_fd, parts_fd, sealed_fd, kept_fd;
        uint64_t reserve_bytes, free_bytes, total_bytes;
        uint64_t written_bytes; /* noted since the look under way began */
        uint64_t next_kept;
};

#define COMPARED_AT_ONCE ((size_t) 1 << 20)

typedef struct SpoolJob {
        Spool *spool;
        int (*act)(struct SpoolJob *job);
        uint64_t docking_id;
        char from[SPOOL_NAME_SIZE], to[SPOOL_NAME_SIZE];
        char note_name[SPOOL_NAME_SIZE];
        char *note; /* to be written under that name */
        struct statvfs stat;
        SpoolDone done;
        void *userdata;
} SpoolJob;

void spool_name_of(uint64_t clip_id, char ret[static SPOOL_NAME_SIZE]) {
        snprintf(ret, SPOOL_NAME_SIZE, "%" PRIu64 ".clip", clip_id);
}

void spool_note_name_of(uint64_t clip_id, char ret[static SPOOL_NAME_SIZE]) {
        snprintf(ret, SPOOL_NAME_SIZE, "%" PRIu64 ".json", clip_id);
}

void spool_part_name_of(uint64_t clip_id, char ret[static SPOOL_NAME_SIZE]) {
        snprintf(ret, SPOOL_NAME_SIZE, "%" PRIu64 ".part", clip_id);
}

static void docking_name(uint64_t docking_id, char ret[static SPOOL_NAME_SIZE]) {
        snprintf(ret, SPOOL_NAME_SIZE, "%" PRIu64, docking_id);
}

static int run_job(void *p) {
        SpoolJob *job = p;

        return job->act(job);
}

static SpoolJob *job_free(SpoolJob *job) {
        if (!job)
                return NULL;
        free(job->note);
        free(job);
        return NULL;
}
DEFINE_CLEANUP(SpoolJob, job_free);

static void finish_job(void *p, int result) {
        _cleanup_(job_freep) SpoolJob *job = p;

        if (job->done)
                job->done(result, job->userdata);
}

static SpoolJob *job_new(Spool *s, int (*act)(SpoolJob *), uint64_t docking_id, SpoolDone done, void *userdata) {
        SpoolJob *job = calloc(1, sizeof(*job));

        if (job)
                *job = (SpoolJob){ .spool = s, .act = act, .docking_id = docking_id, .done = done, .userdata = userdata };
        return job;
}

static int submit(Spool *s, SpoolJob *job) {
        int r;

        r = job_thread_submit(s->thread, run_job, finish_job, job);
        if (r < 0)
                (void) job_free(job);
        return r;
}

static int open_docking(Spool *s, uint64_t docking_id) {
        char name[SPOOL_NAME_SIZE];
        int fd;

        docking_name(docking_id, name);
        fd = openat(s->incoming_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* The clip ids of the parts in a folder, one at a time by their names; anything else is left alone. */
static bool parse_id(const char *name, const char *suffix, uint64_t *ret) {
        char tail[16];

        return sscanf(name, "%" SCNu64 "%15s", ret, tail) == 2 && text_equal(tail, suffix);
}

bool spool_clip_of(const char *name, uint64_t *ret_clip_id) {
        return parse_id(name, ".clip", ret_clip_id);
}

typedef struct Rescue {
        Spool *spool;
        int dir_fd;
        unsigned moved;
} Rescue;

static int rescue_part(const char *name, void *userdata) {
        Rescue *rescue = userdata;
        uint64_t clip_id;

        if (!parse_id(name, ".part", &clip_id))
                return 0;
        /* One part a clip: a leftover under the same name in parts/ is an older try that a newer docking began afresh. */
        CRASH_POINT("rescue-begins");
        if (renameat(rescue->dir_fd, name, rescue->spool->parts_fd, name) < 0)
                return -errno;
        CRASH_POINT("part-rescued");
        rescue->moved++;
        return 0;
}

static int rescue_folder(Spool *s, const char *folder) {
        _cleanup_(fd_closep) int dir = -EBADF;
        Rescue rescue = { .spool = s };
        int r;

        dir = openat(s->incoming_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        rescue.dir_fd = dir;
        r = folder_each(dir, rescue_part, &rescue);
        if (r < 0)
                return r;
        if (rescue.moved > 0) {
                r = fd_sync_dir(s->parts_fd);
                if (r < 0)
                        return r;
        }
        CRASH_POINT("rescued-synced");
        /* A folder that holds something else stays for somebody to look at. */
        if (unlinkat(s->incoming_fd, folder, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != EEXIST)
                return -errno;
        CRASH_POINT("incoming-removed");
        return 0;
}

static int rescue_visit(const char *name, void *userdata) {
        int r;

        r = rescue_folder(userdata, name);
        return r == -ENOTDIR || r == -ELOOP ? 0 : r;
}

static int open_place(const char *state_dir, int state_fd, const char *name, mode_t mode, int *ret, ConfError *error) {
        int fd = fd_open_dir(state_fd, name, mode);

        if (fd < 0) {
                snprintf(error->text, sizeof(error->text), "%s/%s cannot be opened: %s; the daemon's user must own it", state_dir, name,
                         strerror(-fd));
                return fd;
        }
        *ret = fd;
        return 0;
}

int spool_open(sd_event *event, const char *state_dir, uint64_t reserve_bytes, Spool **ret, ConfError *error) {
        _cleanup_(spool_closep) Spool *s = NULL;
        struct statvfs st;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->state_fd = s->incoming_fd = s->parts_fd = s->sealed_fd = s->kept_fd = -EBADF;
        s->reserve_bytes = reserve_bytes;
        s->state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->state_fd < 0) {
                r = -errno;
                snprintf(error->text, sizeof(error->text), "The state folder %s cannot be opened: %s", state_dir, strerror(-r));
                return r;
        }
        if ((r = open_place(state_dir, s->state_fd, "incoming", 0700, &s->incoming_fd, error)) < 0 ||
            (r = open_place(state_dir, s->state_fd, "parts", 0700, &s->parts_fd, error)) < 0 ||
            (r = open_place(state_dir, s->state_fd, "spool", 0700, &s->sealed_fd, error)) < 0 ||
            (r = open_place(state_dir, s->state_fd, "kept", 0700, &s->kept_fd, error)) < 0)
                return r;
        r = folder_each(s->incoming_fd, rescue_visit, s);
        if (r < 0) {
                snprintf(error->text, sizeof(error->text), "%s/incoming cannot be put in order: %s", state_dir, strerror(-r));
                return r;
        }
        if (fstatvfs(s->state_fd, &st) == 0) {
                s->free_bytes = (uint64_t) st.f_bavail * st.f_frsize;
                s->total_bytes = (uint64_t) st.f_blocks * st.f_frsize;
        }
        r = job_thread_new(event, "spool", &s->thread);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Spool *spool_close(Spool *s) {
        if (!s)
                return NULL;
        job_thread_free(s->thread);
        fd_close(s->state_fd);
        fd_close(s->incoming_fd);
        fd_close(s->parts_fd);
        fd_close(s->sealed_fd);
        fd_close(s->kept_fd);
        free(s);
        return NULL;
}

typedef struct CheckSealed {
        Spool *spool;
        int (*judge)(void *userdata, uint64_t clip_id, const char *name);
        void *userdata;
} CheckSealed;

/* A note whose file is gone: it was removed, or made a part again. */
static int sweep_note(Spool *s, uint64_t clip_id, const char *name) {
        char clip[SPOOL_NAME_SIZE];
        struct stat st;

        spool_name_of(clip_id, clip);
        if (fstatat(s->sealed_fd, clip, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return 0;
        if (errno != ENOENT)
                return -errno;
        CRASH_POINT("note-sweep-begins");
        /* It may have gone together with its file, in this same walk. */
        return unlinkat(s->sealed_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* A note without its file is swept at the next start, should this be as far as it comes. */
static int remove_sealed(Spool *s, const char *name, const char *note) {
        int r;

        CRASH_POINT("copy-remove-begins");
        if (unlinkat(s->sealed_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        CRASH_POINT("copy-removed");
        if (note[0] && unlinkat(s->sealed_fd, note, 0) < 0 && errno != ENOENT)
                return -errno;
        CRASH_POINT("copy-note-removed");
        r = fd_sync_dir(s->sealed_fd);
        CRASH_POINT("copy-removal-synced");
        return r;
}

/* It takes the place of an older part, which this one began afresh from (as in rescue_part()). */
static int unseal(Spool *s, const char *name, const char *part) {
        CRASH_POINT("unseal-begins");
        if (fchmodat(s->sealed_fd, name, 0600, 0) < 0)
                return -errno;
        CRASH_POINT("unseal-mode-set");
        if (unlinkat(s->parts_fd, part, 0) < 0 && errno != ENOENT)
                return -errno;
        CRASH_POINT("older-part-removed");
        return fd_rename_durable(s->sealed_fd, name, s->parts_fd, part);
}

static int check_sealed(const char *name, void *userdata) {
        CheckSealed *check = userdata;
        char part[SPOOL_NAME_SIZE], note[SPOOL_NAME_SIZE];
        uint64_t clip_id;
        int r;

        if (parse_id(name, ".json", &clip_id))
                return sweep_note(check->spool, clip_id, name);
        if (!spool_clip_of(name, &clip_id))
                return 0;
        r = check->judge(check->userdata, clip_id, name);
        if (r == SPOOL_REMOVE) {
                spool_note_name_of(clip_id, note);
                return remove_sealed(check->spool, name, note);
        }
        if (r != SPOOL_UNSEAL)
                return r;
        spool_part_name_of(clip_id, part);
        return unseal(check->spool, name, part);
}

int spool_check_sealed(Spool *s, int (*judge)(void *userdata, uint64_t clip_id, const char *name), void *userdata) {
        CheckSealed check = { .spool = s, .judge = judge, .userdata = userdata };

        return folder_each(s->sealed_fd, check_sealed, &check);
}

int spool_open_incoming(Spool *s, uint64_t docking_id) {
        char name[SPOOL_NAME_SIZE];

        /*
         * Not synced here: the loop must not wait for the disk. If the folder is lost with the power, so are its parts, and the
         * clips begin afresh from the camera, which still has them.
         */
        docking_name(docking_id, name);
        if (mkdirat(s->incoming_fd, name, 0700) < 0 && errno != EEXIST)
                return -errno;
        CRASH_POINT("incoming-made");
        return open_docking(s, docking_id);
}

static int act_end_docking(SpoolJob *job) {
        int r;

        r = rescue_folder(job->spool, job->from);
        return r == -ENOENT ? 0 : r;
}

int spool_end_docking(Spool *s, uint64_t docking_id) {
        SpoolJob *job = job_new(s, act_end_docking, docking_id, NULL, NULL);

        if (!job)
                return -ENOMEM;
        docking_name(docking_id, job->from);
        return submit(s, job);
}

static int act_take_part(SpoolJob *job) {
        _cleanup_(fd_closep) int dir = open_docking(job->spool, job->docking_id);

        if (dir < 0)
                return dir;
        CRASH_POINT("part-take-begins");
        /* It was made read-only when the dock ended before it was sealed. */
        if (fchmodat(job->spool->parts_fd, job->from, 0640, 0) < 0)
                return -errno;
        return fd_rename_durable(job->spool->parts_fd, job->from, dir, job->from);
}

int spool_take_part(Spool *s, uint64_t clip_id, uint64_t docking_id, SpoolDone done, void *userdata) {
        SpoolJob *job = job_new(s, act_take_part, docking_id, done, userdata);

        if (!job)
                return -ENOMEM;
        spool_part_name_of(clip_id, job->from);
        return submit(s, job);
}

static int act_set_aside(SpoolJob *job) {
        _cleanup_(fd_closep) int dir = open_docking(job->spool, job->docking_id);
        int r;

        if (dir < 0)
                return dir;
        CRASH_POINT("part-aside-begins");
        r = fd_rename_durable(dir, job->from, job->spool->kept_fd, job->to);
        return r == -ENOENT ? 0 : r;
}

void spool_number_kept_from(Spool *s, uint64_t number) {
        s->next_kept = MAX2(s->next_kept, number);
}

void spool_name_for_kept(Spool *s, uint64_t clip_id, uint64_t docking_id, char ret[static SPOOL_NAME_SIZE]) {
        /* An older Berth gave lower numbers twice. */
        do
                snprintf(ret, SPOOL_NAME_SIZE, "%" PRIu64 ".%" PRIu64 ".%" PRIu64, clip_id, docking_id, ++s->next_kept);
        while (faccessat(s->kept_fd, ret, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
}

int spool_set_aside(Spool *s, uint64_t clip_id, uint64_t docking_id, const char *kept, SpoolDone done, void *userdata) {
        SpoolJob *job = job_new(s, act_set_aside, docking_id, done, userdata);

        if (!job)
                return -ENOMEM;
        spool_part_name_of(clip_id, job->from);
        (void) snprintf(job->to, sizeof(job->to), "%s", kept);
        return submit(s, job);
}

/* The note goes along, as far as it can: it tells whose the kept file is. */
static void set_note_aside(Spool *s, const SpoolJob *job) {
        char name[SPOOL_NAME_SIZE + 8];

        snprintf(name, sizeof(name), "%s.json", job->to);
        (void) renameat2(s->sealed_fd, job->note_name, s->kept_fd, name, RENAME_NOREPLACE);
}

static int act_set_sealed_aside(SpoolJob *job) {
        int r;

        CRASH_POINT("copy-aside-begins");
        set_note_aside(job->spool, job);
        CRASH_POINT("note-aside");
        r = fd_rename_durable(job->spool->sealed_fd, job->from, job->spool->kept_fd, job->to);
        return r == -ENOENT ? 0 : r;
}

int spool_set_sealed_aside(Spool *s, uint64_t clip_id, const char *kept, SpoolDone done, void *userdata) {
        SpoolJob *job = job_new(s, act_set_sealed_aside, 0, done, userdata);

        if (!job)
                return -ENOMEM;
        spool_name_of(clip_id, job->from);
        spool_note_name_of(clip_id, job->note_name);
        (void) snprintf(job->to, sizeof(job->to), "%s", kept);
        return submit(s, job);
}

/* ---- Parts that nobody goes on with ---------------------------------------------------------------------------------------- */

typedef struct EachPart {
        int (*look)(void *userdata, uint64_t clip_id, const char *name);
        void *userdata;
} EachPart;

static int look_at_part(const char *name, void *userdata) {
        const EachPart *each = userdata;
        uint64_t clip_id;

        return parse_id(name, ".part", &clip_id) ? each->look(each->userdata, clip_id, name) : 0;
}

int spool_each_part(Spool *s, int (*look)(void *userdata, uint64_t clip_id, const char *name), void *userdata) {
        EachPart each = { .look = look, .userdata = userdata };

        return folder_each(s->parts_fd, look_at_part, &each);
}

/* How much of both is alike from their beginning on is as long as the part: 0. */
static int compare_files(int part, int whole) {
        _cleanup_(freep) char *a = malloc(COMPARED_AT_ONCE), *b = malloc(COMPARED_AT_ONCE);
        struct stat part_st, whole_st;

        if (!a || !b)
                return -ENOMEM;
        if (fstat(part, &part_st) < 0 || fstat(whole, &whole_st) < 0)
                return -errno;
        if (part_st.st_size > whole_st.st_size)
                return 1;
        for (uint64_t at = 0; at < (uint64_t) part_st.st_size;) {
                size_t n = (size_t) MIN2((uint64_t) COMPARED_AT_ONCE, (uint64_t) part_st.st_size - at);
                int r;

                if ((r = fd_pread_full(part, a, n, at)) < 0 || (r = fd_pread_full(whole, b, n, at)) < 0)
                        return r;
                if (memcmp(a, b, n) != 0)
                        return 1;
                at += n;
        }
        return 0;
}

static int act_compare_part(SpoolJob *job) {
        _cleanup_(fd_closep) int part = -EBADF, whole = -EBADF;
        uint64_t clip_id = 0;
        struct stat st;

        (void) spool_clip_of(job->to, &clip_id);
        part = spool_open_part(job->spool->parts_fd, clip_id);
        if (part < 0)
                return part;
        if (fstat(part, &st) < 0)
                return -errno;
        if (st.st_size == 0)
                return 0;
        whole = spool_open_file(job->spool->sealed_fd, job->to);
        /* One that cannot be read is no reason to keep the other from being kept. */
        return whole < 0 || compare_files(part, whole) != 0 ? 1 : 0;
}

int spool_compare_part(Spool *s, uint64_t clip_id, SpoolDone done, void *userdata) {
        SpoolJob *job = job_new(s, act_compare_part, 0, done, userdata);

        if (!job)
                return -ENOMEM;
        spool_name_of(clip_id, job->to);
        return submit(s, job);
}

static int act_remove_part(SpoolJob *job) {
        CRASH_POINT("part-remove-begins");
        if (unlinkat(job->spool->parts_fd, job->from, 0) < 0 && errno != ENOENT)
                return -errno;
        CRASH_POINT("part-removed");
        return fd_sync_dir(job->spool->parts_fd);
}

int spool_remove_part(Spool *s, uint64_t clip_id, SpoolDone done, void *userdata) {
        SpoolJob *job = job_new(s, act_remove_part, 0, done, userdata);

        if (!job)
                return -ENOMEM;
        spool_part_name_of(clip_id, job->from);
        return submit(s, job);
}

static int act_keep_part(SpoolJob *job) {
        CRASH_POINT("part-keep-begins");
        return fd_rename_durable(job->spool->parts_fd, job->from, job->spool->kept_fd, job->to);
}

int spool_keep_part(Spool *s, uint64_t clip_id, const char *kept, SpoolDone done, void *userdata) {
        SpoolJob *job = job_new(s, act_keep_part, 0, done, userdata);

        if (!job)
                return -ENOMEM;
        spool_part_name_of(clip_id, job->from);
        (void) snprintf(job->to, sizeof(job->to), "%s", kept);
        return submit(s, job);
}

/* ---- Sealing ---------------------------------------------------------------------------------------------------------------- */

static int act_seal(SpoolJob *job) {
        _cleanup_(fd_closep) int dir = open_docking(job->spool, job->docking_id);
        int r;

        if (dir < 0)
                return dir;
        CRASH_POINT("seal-begins");
        if (faccessat(job->spool->sealed_fd, job->to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return -EEXIST;
        /* First, so that no sealed file is ever without. */
        r = fd_replace_file(job->spool->sealed_fd, job->note_name, job->note, strlen(job->note), 0440);
        if (r < 0)
                return r;
        if (fchmodat(dir, job->from, 0440, 0) < 0)
                return -errno;
        CRASH_POINT("seal-mode-set");
        return fd_rename_durable(dir, job->from, job->spool->sealed_fd, job->to);
}

int spool_seal(Spool *s, uint64_t clip_id, uint64_t docking_id, const char *note, SpoolDone done, void *userdata) {
        SpoolJob *job = job_new(s, act_seal, docking_id, done, userdata);

        if (!job)
                return -ENOMEM;
        job->note = strdup(note);
        if (!job->note) {
                (void) job_free(job);
                return -ENOMEM;
        }
        spool_note_name_of(clip_id, job->note_name);
        spool_part_name_of(clip_id, job->from);
        spool_name_of(clip_id, job->to);
        return submit(s, job);
}

static int act_unseal(SpoolJob *job) {
        return unseal(job->spool, job->from, job->to);
}

int spool_unseal(Spool *s, uint64_t clip_id, SpoolDone done, void *userdata) {
        SpoolJob *job = job_new(s, act_unseal, 0, done, userdata);

        if (!job)
                return -ENOMEM;
        spool_name_of(clip_id, job->from);
        spool_part_name_of(clip_id, job->to);
        return submit(s, job);
}

static int act_remove(SpoolJob *job) {
        return remove_sealed(job->spool, job->from, job->note_name);
}

int spool_remove(Spool *s, const char *spool_name, SpoolDone done, void *userdata) {
        SpoolJob *job = job_new(s, act_remove, 0, done, userdata);
        uint64_t clip_id;

        if (!job)
                return -ENOMEM;
        snprintf(job->from, sizeof(job->from), "%s", spool_name);
        if (spool_clip_of(spool_name, &clip_id))
                spool_note_name_of(clip_id, job->note_name);
        return submit(s, job);
}

int spool_open_file(int sealed_fd, const char *name) {
        int fd = openat(sealed_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int spool_open_sealed(Spool *s, const char *spool_name) {
        return spool_open_file(s->sealed_fd, spool_name);
}

int spool_open_part(int incoming_fd, uint64_t clip_id) {
        _cleanup_(fd_closep) int fd = -EBADF;
        char name[SPOOL_NAME_SIZE];
        struct stat st;

        spool_part_name_of(clip_id, name);
        /* The worker may put anything there: nothing is waited for, and nothing but its own file taken. */
        fd = openat(incoming_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
                return -EBADMSG;
        return TAKE_FD(fd);
}

static int act_look(SpoolJob *job) {
        return fstatvfs(job->spool->state_fd, &job->stat) < 0 ? -errno : 0;
}

static void look_done(void *p, int result) {
        SpoolJob *job = p;

        if (result == 0) {
                uint64_t seen = (uint64_t) job->stat.f_bavail * job->stat.f_frsize;

                /* It may have looked before those bytes were there or after: counted twice until the next look at worst. */
                job->spool->free_bytes = seen - MIN2(seen, job->spool->written_bytes);
                job->spool->total_bytes = (uint64_t) job->stat.f_blocks * job->stat.f_frsize;
        }
        finish_job(p, result);
}

void spool_look(Spool *s, SpoolDone done, void *userdata) {
        SpoolJob *job = job_new(s, act_look, 0, done, userdata);

        s->written_bytes = 0;
        if (job && job_thread_submit(s->thread, run_job, look_done, job) < 0)
                (void) job_free(job);
}

void spool_note_written(Spool *s, uint64_t bytes) {
        s->written_bytes += bytes;
        s->free_bytes -= MIN2(s->free_bytes, bytes);
}

uint64_t spool_free_bytes(const Spool *s) {
        return s->free_bytes;
}

uint64_t spool_total_bytes(const Spool *s) {
        return s->total_bytes;
}

uint64_t spool_reserve_bytes(const Spool *s) {
        return s->reserve_bytes;
}
