/* SPDX-License-Identifier: Apache-2.0 */

/* What the dock's own disk tells a recovery: sealed clips with their notes, and whatever else lies there. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/fd.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/measure.h"
#include "service/recover_private.h"
#include "service/spool_note.h"

/* Whose a sealed file is that has no note: it is stored under this name, for a person to sort out. */
#define NOBODY "unidentified"

/* ret_digest may be NULL. */
static int read_note(Recovery *r, uint64_t clip_id, SpoolNote **ret, Digest *ret_digest) {
        _cleanup_(spool_note_freep) SpoolNote *note = NULL;
        _cleanup_(freep) char *text = NULL;
        char name[SPOOL_NAME_SIZE];
        size_t size;
        int result;

        spool_note_name_of(clip_id, name);
        result = fd_read_file(r->spool_fd, name, SPOOL_NOTE_MAX, &text, &size);
        if (result >= 0)
                result = spool_note_parse(text, size, &note);
        if (result < 0)
                return result;
        if (note->clip_id != clip_id)
                return -EBADMSG;
        result = ret_digest ? digest_of(text, size, ret_digest) : 0;
        if (result < 0)
                return result;
        *ret = TAKE_PTR(note);
        return 0;
}

/* ---- Ids that were given out --------------------------------------------------------------------------------------- */

static int note_names(const char *name, void *userdata) {
        Recovery *r = userdata;
        uint64_t clip_id = 0, docking_id = 0;
        int n;

        /* "<clip>.clip", "<clip>.part", "<clip>.<docking>.<n>" */
        n = sscanf(name, "%" SCNu64 ".%" SCNu64, &clip_id, &docking_id);
        if (n >= 1 && clip_id < INT64_MAX)
                recovery_note_id(r, STORE_ID_CLIP, clip_id);
        if (n == 2 && docking_id < INT64_MAX)
                recovery_note_id(r, STORE_ID_DOCKING, docking_id);
        return 0;
}

static int note_sealed(const char *name, void *userdata) {
        _cleanup_(spool_note_freep) SpoolNote *note = NULL;
        Recovery *r = userdata;
        uint64_t clip_id;

        (void) note_names(name, r);
        if (!spool_clip_of(name, &clip_id) || read_note(r, clip_id, &note, NULL) < 0)
                return 0;
        recovery_note_id(r, STORE_ID_CAMERA, note->camera_id);
        recovery_note_id(r, STORE_ID_DOCKING, note->docking_id);
        return 0;
}

static int note_docking(const char *name, void *userdata) {
        uint64_t docking_id;

        if (sscanf(name, "%" SCNu64, &docking_id) == 1 && docking_id < INT64_MAX)
                recovery_note_id(userdata, STORE_ID_DOCKING, docking_id);
        return 0;
}

static int each_in(Recovery *r, const char *place, int (*visit)(const char *name, void *userdata)) {
        _cleanup_(fd_closep) int fd = openat(r->state_fd, place, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int result = fd >= 0 ? folder_each(fd, visit, r) : errno == ENOENT ? 0 : -errno;

        /* A visit has said better what went wrong. */
        if (result < 0 && !r->error->text[0])
                return recovery_fail(r, result, "%s/%s cannot be read: %s", r->settings->state_dir, place, strerror(-result));
        return result;
}

int recovery_scan_ids(Recovery *r) {
        int result;

        if ((result = each_in(r, "spool", note_sealed)) < 0 || (result = each_in(r, "parts", note_names)) < 0 ||
            (result = each_in(r, "kept", note_names)) < 0)
                return result;
        return each_in(r, "incoming", note_docking);
}

/* ---- Sealed files -------------------------------------------------------------------------------------------------- */

static Fact clip_fact(const Measure *m, uint64_t clip_id, const char *name) {
        Fact fact = { .kind = FACT_CLIP_RECOVERED, .clip_id = clip_id };

        fact.recovered.spool_name = name;
        fact.recovered.size_bytes = m->size_bytes;
        fact.recovered.digest = m->digest;
        fact.recovered.head = m->head;
        fact.recovered.tail = m->tail;
        fact.recovered.blocks = m->blocks;
        fact.recovered.n_blocks = m->n_blocks;
        return fact;
}

static int put_clip(Recovery *r, Fact *fact, uint64_t wanted_camera) {
        int result;

        fact->camera_id = recovery_camera(r, fact->recovered.serial, wanted_camera);
        if (fact->camera_id == 0)
                return recovery_fail(r, -ENOMEM, "out of memory");
        result = recovery_put(r, fact);
        if (result < 0)
                return result;
        r->result.from_spool++;
        if (recovery_note_content(r, fact->recovered.serial, fact->recovered.path, &fact->recovered.digest) < 0)
                return recovery_fail(r, -ENOMEM, "out of memory");
        return 0;
}

static int take_noted(Recovery *r, const SpoolNote *note, const Digest *note_digest, const Measure *m, const char *name) {
        Fact fact = clip_fact(m, note->clip_id, name);

        fact.text = "in the spool, with the digest that its note names";
        fact.recovered.note = *note_digest;
        fact.recovered.serial = note->serial;
        fact.recovered.manufacturer = note->manufacturer;
        fact.recovered.model = note->model;
        fact.recovered.firmware = note->firmware;
        fact.recovered.storage_id = note->storage_id;
        fact.recovered.model_id = note->model_id;
        fact.recovered.ambiguous = note->ambiguous;
        fact.recovered.path = note->path;
        fact.recovered.mtime_unix_sec = note->mtime_unix_sec;
        fact.recovered.seen_usec = note->seen_usec;
        fact.recovered.ordinal = note->ordinal;
        fact.recovered.flags = note->flags;
        return put_clip(r, &fact, note->camera_id);
}

static int take_nobodys(Recovery *r, uint64_t clip_id, const Measure *m, const char *name) {
        Fact fact = clip_fact(m, clip_id, name);

        log_warning(NULL, "spool/%s has no note of whose it is: it is stored as a clip of the camera '" NOBODY "'", name);
        fact.text = "in the spool, without a note of whose it is";
        fact.recovered.serial = NOBODY;
        fact.recovered.ambiguous = true;
        fact.recovered.path = name;
        fact.recovered.mtime_unix_sec = FACT_UNKNOWN_TIME;
        fact.recovered.seen_usec = clock_wall_usec();
        return put_clip(r, &fact, 0);
}

/* A file that cannot be read is no less evidence: a better reader may come. */
static int keep_sealed(Recovery *r, uint64_t clip_id, const char *name, const char *why) {
        char note[SPOOL_NAME_SIZE];
        struct stat st;
        int result;

        result = recovery_keep(r, r->spool_fd, "spool", name, why);
        spool_note_name_of(clip_id, note);
        if (result < 0 || fstatat(r->spool_fd, note, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return result;
        return recovery_keep(r, r->spool_fd, "spool", note, "the note of that file");
}

static int take_sealed(const char *name, void *userdata) {
        _cleanup_(spool_note_freep) SpoolNote *note = NULL;
        _cleanup_(measure_done) Measure m = { 0 };
        _cleanup_(fd_closep) int fd = -EBADF;
        Recovery *r = userdata;
        Digest note_digest;
        uint64_t clip_id;
        int result;

        if (!spool_clip_of(name, &clip_id))
                return 0;
        fd = spool_open_file(r->spool_fd, name);
        result = fd < 0 ? fd : measure_file(fd, &m);
        if (result == -ENOMEM)
                return recovery_fail(r, result, "out of memory");
        if (result < 0)
                return keep_sealed(r, clip_id, name, "it cannot be read whole");
        result = read_note(r, clip_id, &note, &note_digest);
        if (result == -ENOMEM)
                return recovery_fail(r, result, "out of memory");
        if (result < 0)
                return take_nobodys(r, clip_id, &m, name);
        if (note->size_bytes != m.size_bytes || !digest_equal(&note->digest, &m.digest))
                return keep_sealed(r, clip_id, name, "its bytes are not those that were hashed as they were read from the camera");
        return take_noted(r, note, &note_digest, &m, name);
}

int recovery_take_spool(Recovery *r) {
        return each_in(r, "spool", take_sealed);
}

/* ---- Parts --------------------------------------------------------------------------------------------------------- */

#define NO_FACTS "half pulled; without the facts about its blocks nobody knows how much of it is what the camera gave"

typedef struct Parts {
        Recovery *recovery;
        int fd;
        const char *place;
} Parts;

static int keep_part(const char *name, void *userdata) {
        const Parts *parts = userdata;

        return recovery_keep(parts->recovery, parts->fd, parts->place, name, NO_FACTS);
}

static int keep_all_in(Recovery *r, int fd, const char *place) {
        Parts parts = { .recovery = r, .fd = fd, .place = place };

        return folder_each(fd, keep_part, &parts);
}

static int keep_incoming(const char *name, void *userdata) {
        _cleanup_(fd_closep) int incoming = -EBADF, fd = -EBADF;
        Recovery *r = userdata;
        int result;

        incoming = openat(r->state_fd, "incoming", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (incoming < 0)
                return -errno;
        /* What is no folder is not Berth's. */
        fd = openat(incoming, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return 0;
        result = keep_all_in(r, fd, "incoming");
        CRASH_POINT("incoming-kept");
        if (result >= 0)
                (void) unlinkat(incoming, name, AT_REMOVEDIR);
        return result;
}

int recovery_keep_parts(Recovery *r) {
        _cleanup_(fd_closep) int parts = openat(r->state_fd, "parts", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int result = parts < 0 ? 0 : keep_all_in(r, parts, "parts");

        return result < 0 ? result : each_in(r, "incoming", keep_incoming);
}
