/* SPDX-License-Identifier: Apache-2.0 */
#include "service/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/fd.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/text.h"
#include "service/recover_private.h"
#include "store/chain_check.h"
#include "store/chain_head.h"

/* What belongs to a database. */
static const char *const database_files[] = { "berth.db", "berth.db-wal", "berth.db-shm", CHAIN_HEAD_NAME };

int recovery_fail(Recovery *r, int error, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(r->error->text, sizeof(r->error->text), format, arguments);
        va_end(arguments);
        return error;
}

static bool is_there(int dir_fd, const char *name) {
        struct stat st;

        return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- Facts --------------------------------------------------------------------------------------------------------- */

static void put_done(int result, void *userdata) {
        Recovery *r = userdata;

        r->put_result = result;
        r->put_done = true;
}

int recovery_put(Recovery *r, Fact *fact) {
        int result;

        moment_now(false, &fact->at);
        r->put_done = false;
        result = store_put(r->store, fact, put_done, r);
        while (result >= 0 && !r->put_done)
                result = sd_event_run(r->event, UINT64_MAX);
        if (result >= 0 && r->put_result < 0)
                return recovery_fail(r, r->put_result, "the new database does not take what was found: %s", store_last_refusal(r->store));
        return result < 0 ? recovery_fail(r, result, "the new database cannot be written: %s", strerror(-result)) : 0;
}

void recovery_note_id(Recovery *r, StoreId which, uint64_t id) {
        r->next_id[which] = MAX2(r->next_id[which], id + 1);
}

uint64_t recovery_camera(Recovery *r, const char *serial, uint64_t wanted_id) {
        RecoveryCamera *grown;
        bool taken = wanted_id == 0;

        for (size_t i = 0; i < r->n_cameras; i++) {
                if (text_equal(r->cameras[i].serial, serial))
                        return r->cameras[i].id;
                taken |= r->cameras[i].id == wanted_id;
        }
        grown = reallocarray(r->cameras, r->n_cameras + 1, sizeof(*grown));
        if (!grown)
                return 0;
        r->cameras = grown;
        grown[r->n_cameras].serial = strdup(serial);
        if (!grown[r->n_cameras].serial)
                return 0;
        if (taken)
                wanted_id = r->next_id[STORE_ID_CAMERA];
        recovery_note_id(r, STORE_ID_CAMERA, wanted_id);
        grown[r->n_cameras++].id = wanted_id;
        return wanted_id;
}

int recovery_keep(Recovery *r, int place_fd, const char *place, const char *name, const char *why) {
        Fact fact = { .kind = FACT_FILE_KEPT, .text = why };
        _cleanup_(freep) char *kept = NULL, *from = text_format("%s/%s", place, name);
        int result;

        /* An earlier recovery may have kept a file of this name. */
        do {
                free(kept);
                kept = text_format("%s.recovered.%u", name, ++r->next_kept);
                if (!kept || !from)
                        return recovery_fail(r, -ENOMEM, "out of memory");
                result = fd_rename_durable(place_fd, name, r->kept_fd, kept);
        } while (result == -EEXIST);
        if (result < 0)
                return recovery_fail(r, result, "%s cannot be moved to kept/: %s", from, strerror(-result));
        log_warning(NULL, "%s is kept as kept/%s: %s", from, kept, why);
        fact.file.name = from;
        fact.file.kept = kept;
        r->result.files_kept++;
        return recovery_put(r, &fact);
}

/* ---- Is one needed? ------------------------------------------------------------------------------------------------ */

static int holds_clip(const char *name, void *userdata) {
        uint64_t id;

        (void) userdata;
        return spool_clip_of(name, &id) ? -EEXIST : 0;
}

/* The database is gone, yet there are clips that only it knew: a new one must not be begun as if nothing had been. */
static bool database_is_lost(int state_fd) {
        _cleanup_(fd_closep) int spool = -EBADF;

        if (is_there(state_fd, "berth.db"))
                return false;
        spool = openat(state_fd, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return spool >= 0 && folder_each(spool, holds_clip, NULL) == -EEXIST;
}

int recover_check(const char *state_dir, ConfError *error) {
        _cleanup_(fd_closep) int fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        /* What is wrong with the folder, the store says. */
        if (fd < 0)
                return 0;
        if (is_there(fd, RECOVERY_FOLDER)) {
                (void) snprintf(error->text, sizeof(error->text),
                                "a recovery of %s was begun and is not finished: run 'berthctl recover' again", state_dir);
                return -EBADE;
        }
        if (database_is_lost(fd)) {
                (void) snprintf(error->text, sizeof(error->text),
                                "%s/berth.db is gone, but the spool holds clips: restore it and chain.head from a backup, or run "
                                "'berthctl recover'", state_dir);
                return -EBADE;
        }
        return 0;
}

/* 0: it is whole. 1: it is not, r->why says why. Negative: that is not for a recovery to heal. */
static int judge_database(Recovery *r) {
        _cleanup_(store_closep) Store *old = NULL;
        ConfError error = {};
        int result;

        if (is_there(r->state_fd, RECOVERY_FOLDER) || database_is_lost(r->state_fd)) {
                (void) snprintf(r->why, sizeof(r->why), "%s",
                                is_there(r->state_fd, "berth.db") ? "an earlier recovery was not finished" : "the database is gone");
                return 1;
        }
        result = store_open(r->event, r->settings->state_dir, &old, &error);
        if (result >= 0)
                result = chain_check_now(old, &error);
        if (result >= 0)
                return 0;
        if (result != -EBADMSG && result != -EBADE && result != -EIO)
                return recovery_fail(r, result, "%s", error.text);
        (void) snprintf(r->why, sizeof(r->why), "%s", error.text);
        return 1;
}

/* ---- Before and after ---------------------------------------------------------------------------------------------- */

static int lock_state(Recovery *r) {
        const char *path = r->settings->state_dir;

        r->state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (r->state_fd < 0)
                return recovery_fail(r, -errno, "the state folder %s cannot be opened: %s", path, strerror(errno));
        return 0;
}

static int open_places(Recovery *r) {
        if (flock(r->state_fd, LOCK_EX | LOCK_NB) < 0)
                return recovery_fail(r, -EBUSY, "%s is in use: stop berthd first", r->settings->state_dir);
        r->work_fd = fd_open_dir(r->state_fd, RECOVERY_FOLDER, 0700);
        r->spool_fd = fd_open_dir(r->state_fd, "spool", 0700);
        r->kept_fd = fd_open_dir(r->state_fd, "kept", 0700);
        if (r->work_fd < 0 || r->spool_fd < 0 || r->kept_fd < 0)
                return recovery_fail(r, -EACCES, "the folders in %s cannot be opened or made; the daemon's user must own them",
                                     r->settings->state_dir);
        return 0;
}

/* What an earlier try that did not come to its end had made so far. */
static int clear_work(Recovery *r) {
        for (size_t i = 0; i < ELEMENTSOF(database_files); i++)
                if (unlinkat(r->work_fd, database_files[i], 0) < 0 && errno != ENOENT)
                        return recovery_fail(r, -errno, RECOVERY_FOLDER "/%s cannot be removed: %s", database_files[i], strerror(errno));
        CRASH_POINT("recovery-begun");
        return 0;
}

/* The folder for the old files, when there are any. */
static int make_kept_folder(Recovery *r) {
        char time[UTC_TEXT_SIZE];
        bool any = false;

        for (size_t i = 0; i < ELEMENTSOF(database_files); i++)
                any |= is_there(r->state_fd, database_files[i]);
        if (!any)
                return 0;
        (void) utc_text(clock_wall_usec(), time);
        for (unsigned n = 1;; n++) {
                /* "2026-11-23T09:15:00": without the fraction. */
                (void) snprintf(r->result.kept, sizeof(r->result.kept), "damaged-%.19s%s%.0u", time, n > 1 ? "-" : "", n > 1 ? n : 0);
                if (mkdirat(r->state_fd, r->result.kept, 0700) == 0) {
                        CRASH_POINT("damaged-folder-made");
                        return 0;
                }
                if (errno != EEXIST)
                        return recovery_fail(r, -errno, "%s cannot be made: %s", r->result.kept, strerror(errno));
        }
}

static int open_new_store(Recovery *r) {
        _cleanup_(freep) char *path = text_format("%s/" RECOVERY_FOLDER, r->settings->state_dir);
        int result;

        if (!path)
                return recovery_fail(r, -ENOMEM, "out of memory");
        result = store_open(r->event, path, &r->store, r->error);
        if (result < 0)
                return result;
        for (StoreId i = 0; i < _STORE_ID_MAX; i++)
                store_raise_ids(r->store, i, r->next_id[i]);
        return 0;
}

static int record_beginning(Recovery *r) {
        _cleanup_(chain_file_freep) ChainFile *file = NULL;
        Fact fact = { .kind = FACT_RECOVERY_BEGUN, .text = r->why };
        ChainHead head = { 0 };

        fact.old.kept = r->result.kept;
        fact.old.head_known = chain_file_open(r->state_fd, &file, &head) >= 0;
        fact.old.head_seq = head.seq;
        fact.old.head_hash = head.hash;
        return recovery_put(r, &fact);
}

static int record_end(Recovery *r) {
        char text[256];
        Fact fact = { .kind = FACT_RECOVERY_DONE, .text = text };

        (void) snprintf(text, sizeof(text), "%" PRIu64 " clips from the spool, %" PRIu64 " from the store; %" PRIu64 " files kept aside; %"
                        PRIu64 " holds in force", r->result.from_spool, r->result.from_store, r->result.files_kept, r->result.holds);
        fact.found.from_spool = r->result.from_spool;
        fact.found.from_store = r->result.from_store;
        fact.found.files_kept = r->result.files_kept;
        fact.found.holds = r->result.holds;
        return recovery_put(r, &fact);
}

static int move_files(Recovery *r, int from_fd, int to_fd) {
        for (size_t i = 0; i < ELEMENTSOF(database_files); i++) {
                int result = fd_rename_durable(from_fd, database_files[i], to_fd, database_files[i]);

                if (result >= 0 && from_fd == r->work_fd)
                        CRASH_POINT_OF("recovered-file-moved", database_files[i]);
                else if (result >= 0)
                        CRASH_POINT_OF("damaged-file-moved", database_files[i]);
                if (result < 0 && result != -ENOENT)
                        return recovery_fail(r, result, "%s cannot be moved: %s", database_files[i], strerror(-result));
        }
        return 0;
}

/* While RECOVERY_FOLDER is there no daemon starts: whatever a crash leaves of this is done again. */
static int take_place(Recovery *r) {
        _cleanup_(fd_closep) int kept = -EBADF;
        int result = 0;

        r->store = store_close(r->store);
        CRASH_POINT("recovery-complete");
        if (r->result.kept[0]) {
                kept = fd_open_dir(r->state_fd, r->result.kept, 0700);
                result = kept < 0 ? recovery_fail(r, kept, "%s cannot be opened: %s", r->result.kept, strerror(-kept)) :
                                    move_files(r, r->state_fd, kept);
        }
        if (result >= 0)
                result = move_files(r, r->work_fd, r->state_fd);
        if (result < 0)
                return result;
        if (unlinkat(r->state_fd, RECOVERY_FOLDER, AT_REMOVEDIR) < 0)
                return recovery_fail(r, -errno, "%s/" RECOVERY_FOLDER " holds what is not Berth's and cannot be removed: %s",
                                     r->settings->state_dir, strerror(errno));
        CRASH_POINT("recovery-folder-removed");
        result = fd_sync_dir(r->state_fd);
        CRASH_POINT("recovery-durable");
        return result < 0 ? recovery_fail(r, result, "%s cannot be synced: %s", r->settings->state_dir, strerror(-result)) : 0;
}

static int rebuild(Recovery *r) {
        int result;

        if ((result = open_places(r)) < 0 || (result = clear_work(r)) < 0 || (result = make_kept_folder(r)) < 0 ||
            (result = recovery_scan_ids(r)) < 0 || (result = open_new_store(r)) < 0 || (result = record_beginning(r)) < 0 ||
            (result = recovery_take_spool(r)) < 0 || (result = recovery_keep_parts(r)) < 0 ||
            (result = recovery_take_store(r)) < 0 || (result = record_end(r)) < 0)
                return result;
        return take_place(r);
}

static void recovery_done(Recovery *r) {
        r->store = store_close(r->store);
        for (size_t i = 0; i < r->n_cameras; i++)
                free(r->cameras[i].serial);
        free(r->cameras);
        recovery_forget_names(&r->contents);
        r->work_fd = fd_close(r->work_fd);
        r->spool_fd = fd_close(r->spool_fd);
        r->kept_fd = fd_close(r->kept_fd);
        r->state_fd = fd_close(r->state_fd);
}

int recover_run(sd_event *event, const Settings *settings, RecoveryResult *ret, ConfError *error) {
        Recovery r = {
                .event = event,
                .settings = settings,
                .error = error,
                .state_fd = -EBADF,
                .work_fd = -EBADF,
                .spool_fd = -EBADF,
                .kept_fd = -EBADF,
                .next_id = { 1, 1, 1 },
        };
        int result;

        error->text[0] = 0;
        result = lock_state(&r);
        if (result >= 0)
                result = judge_database(&r);
        if (result > 0) {
                r.result.needed = true;
                log_message(LOG_NOTICE, MESSAGE_DATABASE_REBUILT, "The database is made anew: %s", r.why);
                result = rebuild(&r);
        }
        if (result >= 0)
                *ret = r.result;
        recovery_done(&r);
        return result;
}
