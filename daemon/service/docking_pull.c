/* SPDX-License-Identifier: Apache-2.0 */

/* Pulling: footage from the camera into the spool, going on where the last durable block ended. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <berth/plugin.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/leftover.h"
#include "service/manager_private.h"
#include "service/spool_note.h"

static void pull_from(Docking *d, Clip *c, uint32_t kept);

/* ---- Beginning afresh ---------------------------------------------------------------------------------------- */

static void set_aside(Docking *d, Clip *clip, int result) {
        kept_look(clip->manager->kept);
        if (d && result < 0)
                docking_trouble(d, result, "a part in incoming/ cannot be moved to kept/");
        else if (d)
                docking_step_done(d);
}

/* Without its docking the part is in parts/ by now, or will be, where leftover.h finds it. */
static void aside_recorded(Docking *d, Clip *c, int result) {
        Spool *spool = c->manager->spool;
        DockingPending *p;

        if (!d || !spool)
                return;
        if (result < 0)
                return docking_trouble(d, result, "the database cannot be written");
        result = docking_pending_new(d, c, set_aside, &p);
        if (result < 0)
                return docking_trouble(d, result, "a part cannot be set aside");
        result = spool_set_aside(spool, c->id, d->id, c->kept_as, docking_pending_done, p);
        if (result < 0) {
                docking_pending_cancel(p);
                docking_trouble(d, result, "a part cannot be set aside");
        }
}

void docking_start_afresh(Docking *d, Clip *c, const char *why) {
        Fact fact = docking_fact(d, FACT_PART_SET_ASIDE, c);
        char name[SPOOL_NAME_SIZE];
        int r;

        spool_name_for_kept(d->manager->spool, c->id, d->id, name);
        free(c->kept_as);
        c->kept_as = strdup(name);
        if (!c->kept_as)
                return docking_trouble(d, -ENOMEM, "a part cannot be set aside");
        fact.text = why;
        fact.pull.part = name;
        fact.pull.offset_bytes = clip_kept_blocks(c) * WIRE_BLOCK_SIZE;
        clip_drop_blocks(c);
        c->part_here = c->sampled = false;
        c->part_docking_id = 0;
        upload_pull_begins_afresh(c);
        clip_set_state(c, CLIP_SEEN, why);
        r = docking_commit_fact(d, &fact, c, aside_recorded);
        if (r < 0)
                docking_trouble(d, r, "the database cannot be written");
}

/* ---- The copy is whole ----------------------------------------------------------------------------------------- */

static void unsealed(Docking *d, Clip *c, int result) {
        if (result < 0)
                log_error(&(LogAbout){ .clip = c->path }, "Its sealed file cannot be made a part again: %s", strerror(-result));
        docking_kick(d);
}

/* The file is whole but no fact says so: it becomes a part again, and what is recorded of it decides how much counts. */
static void unseal(Docking *d, Clip *c, int error) {
        Manager *m = c->manager;
        DockingPending *p;

        upload_seal_failed(c);
        c->part_here = c->sampled = false;
        clip_drop_blocks(c);
        if (docking_pending_new(d, c, unsealed, &p) < 0)
                return;
        /* When the daemon ends, the spool is closed by now; the next start does it. */
        if (!m->spool || spool_unseal(m->spool, c->id, docking_pending_done, p) < 0)
                docking_pending_cancel(p);
        if (d)
                docking_trouble(d, error, "the database cannot be written");
}

static void copy_recorded(Docking *d, Clip *c, int result) {
        char name[SPOOL_NAME_SIZE];

        if (result < 0)
                return unseal(d, c, result);
        spool_name_of(c->id, name);
        free(c->spool_name);
        c->spool_name = strdup(name);
        c->copied_here = d != NULL;
        c->manager->figures.copied_clips++;
        c->manager->figures.copied_bytes += c->size_bytes;
        clip_set_state(c, CLIP_COPIED, NULL);
        upload_count_waiting(c);
        upload_copied(c);
        leftover_look(c->manager, c->id);
        if (d)
                d->faults_in_row = 0;
        docking_kick(d);
}

/* The seal outlives the docking: the officer may take the camera while the disk is still busy. */
static void sealed(Docking *d, Clip *c, int result) {
        Fact fact = c->copy_fact;
        char name[SPOOL_NAME_SIZE];
        DockingPending *p;

        if (result < 0) {
                upload_seal_failed(c);
                if (d)
                        docking_trouble(d, result, "a pulled clip cannot be moved into the spool");
                return;
        }
        spool_name_of(c->id, name);
        fact.copy.spool_name = name;
        manager_moment(c->manager, &fact.at);
        if (docking_pending_new(d, c, copy_recorded, &p) < 0)
                return unseal(d, c, -ENOMEM);
        result = store_put(c->manager->store, &fact, docking_pending_done, p);
        if (result < 0) {
                docking_pending_cancel(p);
                unseal(d, c, result);
        }
}

/* Every block must be there and together they must be the clip, whatever the worker says. */
static bool copy_is_whole(const Clip *c, const WorkerCopy *copy) {
        uint64_t sum = 0;

        if (copy->size_bytes != c->size_bytes || (c->n_blocks > 0 && !clip_ends_with(c, &copy->digest)))
                return false;
        for (size_t i = 0; i < c->n_blocks; i++) {
                if (!c->blocks || !c->blocks[i].known)
                        return false;
                sum += c->blocks[i].length;
        }
        return sum == copy->size_bytes;
}

/* A recording that a dying battery cut short is footage like any other: it goes its whole way, with this said about it. */
static void note_container(Docking *d, Clip *c, const Container *container) {
        LogAbout about = docking_about(d);

        c->container = *container;
        if (container->verdict != CONTAINER_INCOMPLETE)
                return;
        about.clip = c->path;
        log_notice(&about, "The clip's container is incomplete: %s", container->reason);
}

/* What a recovery without the database will know of the sealed file. The caller frees. */
static int note_of(const Docking *d, const Clip *c, char **ret) {
        const SpoolNote note = {
                .clip_id = c->id,
                .camera_id = c->camera_id,
                .docking_id = d->id,
                .serial = c->serial,
                .manufacturer = (char *) camera_manufacturer(d->camera),
                .model = (char *) camera_model(d->camera),
                .firmware = (char *) camera_firmware(d->camera),
                .storage_id = (char *) camera_storage_id(d->camera),
                .model_id = (char *) camera_model_id(d->camera),
                .ambiguous = camera_is_ambiguous(d->camera),
                .path = c->path,
                .size_bytes = c->size_bytes,
                .mtime_unix_sec = c->mtime_unix_sec,
                .ordinal = c->ordinal,
                .flags = c->flags,
                .digest = c->digest,
                .head = c->head,
                .tail = c->tail,
                .seen_usec = c->seen_unix_sec * (int64_t) USEC_PER_SEC,
                .sealed_usec = clock_wall_usec(),
        };

        return spool_note_compose(&note, ret);
}

void docking_seal(Docking *d, Clip *c, const WorkerCopy *copy) {
        _cleanup_(freep) char *note = NULL;
        DockingPending *p;
        int r;

        if ((c->flags & BERTH_CLIP_SIZE_UNKNOWN) && clip_set_size(c, copy->size_bytes) < 0)
                return docking_trouble(d, -ENOMEM, "a pulled clip cannot be held in memory");
        if (!copy_is_whole(c, copy))
                return docking_fault(d, WORKER_BREACH, "the worker called a pull complete that is not");
        if (c == d->current) {
                d->manager->figures.read_bytes += copy->size_bytes - MIN2(d->current_bytes, copy->size_bytes);
                d->current_bytes = copy->size_bytes;
        }
        c->digest = copy->digest;
        c->head = copy->head;
        c->tail = copy->tail;
        note_container(d, c, &copy->container);
        c->copy_fact = docking_fact(d, FACT_COPIED, c);
        c->copy_fact.bay = NULL; /* it may outlive the bay's strings */
        c->copy_fact.copy.size_bytes = copy->size_bytes;
        c->copy_fact.copy.digest = copy->digest;
        c->copy_fact.copy.head = copy->head;
        c->copy_fact.copy.tail = copy->tail;
        c->copy_fact.copy.container = copy->container;
        r = note_of(d, c, &note);
        if (r >= 0)
                r = digest_of(note, strlen(note), &c->copy_fact.copy.note);
        if (r >= 0)
                r = docking_pending_new(d, c, sealed, &p);
        if (r < 0)
                return docking_trouble(d, r, "a pulled clip cannot be moved into the spool");
        r = spool_seal(d->manager->spool, c->id, d->id, note, docking_pending_done, p);
        if (r < 0) {
                docking_pending_cancel(p);
                return docking_trouble(d, r, "a pulled clip cannot be moved into the spool");
        }
        upload_pull_sealing(c);
        spool_note_written(d->manager->spool, copy->size_bytes - MIN2(copy->size_bytes, d->pull_offset));
        docking_step_done(d);
}

/* ---- The pull -------------------------------------------------------------------------------------------------- */

static void interrupted(Docking *d, Clip *c, const char *text) {
        Fact fact = docking_fact(d, FACT_PULL_INTERRUPTED, c);

        fact.text = text;
        fact.pull.offset_bytes = clip_kept_blocks(c) * WIRE_BLOCK_SIZE;
        (void) docking_commit_fact(d, &fact, c, NULL);
}

static void clip_lost(Docking *d, Clip *c) {
        Fact fact = docking_fact(d, FACT_CLIP_LOST, c);

        fact.text = "the camera listed the clip and then said that it is not there";
        c->on_camera = false;
        clip_set_state(c, CLIP_LOST, fact.text);
        (void) docking_commit_fact(d, &fact, c, NULL);
        docking_step_done(d);
}

static void pulled(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy) {
        Docking *d = userdata;
        Clip *c = d->current;

        switch (result) {
        case WORKER_OK:
                return docking_seal(d, c, copy);
        case WORKER_GONE:
                return clip_lost(d, c);
        case WORKER_PREFIX:
        case WORKER_CHANGED:
                c->failures++;
                return docking_start_afresh(d, c, text);
        case WORKER_UNREADABLE:
                return docking_unreadable(d, c, text);
        case WORKER_SPACE:
                interrupted(d, c, text);
                d->spool_waits = d->spool_short = true;
                room_start(d->manager);
                return docking_step_done(d);
        case WORKER_DISK:
                interrupted(d, c, text);
                return docking_trouble(d, 0, text);
        default:
                return docking_fault(d, result, text);
        }
}

static void pull_begun(Docking *d, Clip *c, int result) {
        char part[SPOOL_NAME_SIZE];
        _cleanup_(freep) Digest *kept = NULL;
        size_t n;

        if (!d || d->current != c || !d->worker)
                return;
        if (result < 0)
                return docking_trouble(d, result, "the database cannot be written");
        n = (size_t) (d->pull_offset / WIRE_BLOCK_SIZE);
        kept = calloc(n + 1, sizeof(*kept));
        if (!kept)
                return docking_trouble(d, -ENOMEM, "the pull cannot be started");
        for (size_t i = 0; i < n; i++)
                kept[i] = c->blocks[i].digest;
        spool_part_name_of(c->id, part);
        result = worker_pull(d->worker, c->index, part, d->pull_offset, kept, n, pulled);
        if (result < 0)
                return docking_trouble(d, result, "the worker cannot be called");
        upload_pull_begun(c, d->pull_offset);
}

static void pull_from(Docking *d, Clip *c, uint32_t kept) {
        Fact fact = docking_fact(d, FACT_PULL_BEGUN, c);
        int r;

        /* Blocks past the kept ones are read anew; their old digests must not pass for what comes now. */
        for (size_t i = kept; c->blocks && i < c->n_blocks; i++) {
                c->n_read_here -= c->blocks[i].read_here;
                c->blocks[i] = (ClipBlock){};
        }
        d->pull_offset = d->current_bytes = kept * WIRE_BLOCK_SIZE;
        fact.pull.offset_bytes = d->pull_offset;
        c->part_docking_id = d->id;
        c->part_here = c->sampled = true;
        clip_set_state(c, CLIP_COPYING, NULL);
        r = docking_commit_fact(d, &fact, c, pull_begun);
        if (r < 0)
                docking_trouble(d, r, "the database cannot be written");
}

/* ---- Going on with a part of an earlier docking ---------------------------------------------------------------- */

static void part_taken(Docking *d, Clip *c, int result) {
        if (!d || d->current != c || !d->worker)
                return;
        if (result == -ENOENT)
                return docking_start_afresh(d, c, "the part is not in parts/ any more");
        if (result < 0)
                return docking_trouble(d, result, "a part cannot be moved into incoming/");
        c->part_here = true;
        if (clip_kept_blocks(c) == 0)
                return docking_start_afresh(d, c, "an older Berth pulled it, and had other records of its blocks");
        result = docking_sample(d, c);
        if (result < 0)
                docking_trouble(d, result, "the kept part cannot be compared with the camera");
}

static void continue_part(Docking *d, Clip *c) {
        DockingPending *p;
        int r;

        if (c->part_here && c->sampled)
                return pull_from(d, c, clip_kept_blocks(c));
        if (c->part_here)
                return part_taken(d, c, 0);
        r = docking_pending_new(d, c, part_taken, &p);
        if (r < 0)
                return docking_trouble(d, r, "a part cannot be moved into incoming/");
        r = spool_take_part(d->manager->spool, c->id, d->id, docking_pending_done, p);
        if (r < 0) {
                docking_pending_cancel(p);
                docking_trouble(d, r, "a part cannot be moved into incoming/");
        }
}

static Clip *next_to_pull(const Docking *d) {
        uint64_t now = clock_boottime_usec();
        Clip *best = NULL;

        for (size_t i = 0; i < d->n_clips; i++) {
                Clip *c = d->clips[i];

                if (c->pending == 0 && !docking_clip_rests(c, now) && clip_need(c) == CLIP_NEED_PULL &&
                    (!best || clip_compare_pull(c->flags, c->index, best->flags, best->index) < 0))
                        best = c;
        }
        return best;
}

void docking_pull(Docking *d) {
        Clip *c = next_to_pull(d);
        bool older;
        uint32_t kept;
        int r;

        if (!c)
                return;
        if (c->state == CLIP_COPYING && !c->blocks) {
                r = clip_load_blocks(c);
                if (r < 0)
                        return docking_trouble(d, r, "what is known of a half-pulled clip cannot be read");
        }
        kept = c->state == CLIP_COPYING ? clip_kept_blocks(c) : 0;
        older = c->state == CLIP_COPYING && kept == 0 && store_part_is_older(d->manager->store, c->id) > 0;
        if (!manager_has_room(d->manager, c->size_bytes - MIN2(c->size_bytes, kept * WIRE_BLOCK_SIZE),
                              (c->flags & CLIP_FLAG_PRIORITY) != 0)) {
                d->spool_waits = d->spool_short = true;
                return docking_kick(d);
        }
        d->spool_short = false;
        d->busy = true;
        d->current = c;
        /* Of a serial that two devices have shown nothing is continued: the part may be the other one's. */
        if (kept > 0 && camera_is_ambiguous(d->camera) && c->part_docking_id != d->id)
                kept = 0;
        if (kept > 0 || older)
                continue_part(d, c);
        else
                pull_from(d, c, 0);
}

/* ---- Blocks ------------------------------------------------------------------------------------------------------ */

void docking_block_read(Docking *d, uint32_t index, uint32_t number, uint32_t length, const Digest *digest) {
        Fact fact;
        Clip *c = d->current;
        int r;

        if (!c || c->index != index)
                return;
        if (d->salvage)
                c = d->salvage;
        if (d->verifying) {
                const ClipBlock *known = c->blocks && number < c->n_blocks && c->blocks[number].known ? &c->blocks[number] : NULL;

                d->n_verified++;
                /* Of a copy that an older Berth made none is: what they come to in the end is compared then. */
                if (known && (known->length != length || !digest_equal(&known->digest, digest))) {
                        d->verify_differs = true;
                        return;
                }
        }
        r = clip_note_block(c, number, length, digest);
        if (r >= 0) {
                fact = docking_fact(d, FACT_BLOCK, c);
                fact.block.number = number;
                fact.block.length = length;
                fact.block.digest = *digest;
                fact.block.from_camera_only = d->verifying;
                r = d->verifying ? store_put(d->manager->store, &fact, NULL, NULL) : upload_put_block(c, &fact);
        }
        if (r < 0)
                docking_trouble(d, r, "a block of a clip cannot be recorded");
}
