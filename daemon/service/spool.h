/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The dock's own disk: who may write where, and the moves between the places. All of it that may wait for the disk runs on
 * a thread of its own, in order; completions are events on the loop.
 *
 *   incoming/<docking>/<clip>.part   what a worker writes: it sees this one folder
 *   parts/<clip>.part                half-pulled clips whose docking has ended: out of every worker's reach
 *   spool/<clip>.clip                sealed, whole; beside it <clip>.json, whose it is (spool_note.h)
 *   kept/<clip>.<docking>.<n>        parts that were set aside, never deleted by Berth
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/conf.h"
#include "base/macro.h"

typedef struct Spool Spool;

#define SPOOL_NAME_SIZE 64u

/* `result` is 0 or -errno. */
typedef void (*SpoolDone)(int result, void *userdata);

/* Opens the places, making them; moves what is left of ended dockings to parts/. Blocking: before the loop runs. */
int spool_open(sd_event *event, const char *state_dir, uint64_t reserve_bytes, Spool **ret, ConfError *error);
/* Finishes what is queued; completions still run. */
Spool *spool_close(Spool *s);
DEFINE_CLEANUP(Spool, spool_close);

enum {
        SPOOL_STAYS,
        SPOOL_UNSEAL, /* its copy was never committed: it becomes a part again */
        SPOOL_REMOVE, /* its release was committed */
};
/* What `judge` says of each sealed file is done; negative ends the walk. Blocking: before the loop runs. */
int spool_check_sealed(Spool *s, int (*judge)(void *userdata, uint64_t clip_id, const char *name), void *userdata);

/* The folder for a docking's worker; the caller closes the descriptor. */
int spool_open_incoming(Spool *s, uint64_t docking_id);
/* Moves the parts that are left in it to parts/ and removes it. */
int spool_end_docking(Spool *s, uint64_t docking_id);
/* parts/ -> incoming/: -ENOENT when there is no such part. */
int spool_take_part(Spool *s, uint64_t clip_id, uint64_t docking_id, SpoolDone done, void *userdata);
/* Names in kept/ have numbers above that one from now on. */
void spool_number_kept_from(Spool *s, uint64_t number);
/*
 * A name in kept/ that nothing has, for what is about to be set aside: it goes on record first, so that nothing lies there of which nobody
 * tells. docking_id: 0 for none.
 */
void spool_name_for_kept(Spool *s, uint64_t clip_id, uint64_t docking_id, char ret[static SPOOL_NAME_SIZE]);
/* incoming/ -> kept/ under that name; no part there is no error. */
int spool_set_aside(Spool *s, uint64_t clip_id, uint64_t docking_id, const char *kept, SpoolDone done, void *userdata);
/* incoming/ -> spool/, read-only from then on, both directories synced; before that the note, as composed, is beside it. */
int spool_seal(Spool *s, uint64_t clip_id, uint64_t docking_id, const char *note, SpoolDone done, void *userdata);
/* spool/ -> parts/: its copy could not be committed, and is a part again. */
int spool_unseal(Spool *s, uint64_t clip_id, SpoolDone done, void *userdata);
/* What `look` returns for each part in parts/ is minded when it is negative: it ends the walk. Blocking: before the loop runs. */
int spool_each_part(Spool *s, int (*look)(void *userdata, uint64_t clip_id, const char *name), void *userdata);
/* `done` gets 0: each byte of this part in parts/ is in the clip's sealed file at the same place. 1: not so, or there is none. */
int spool_compare_part(Spool *s, uint64_t clip_id, SpoolDone done, void *userdata);
/* parts/ -> nowhere, or kept/ under the name that spool_name_for_kept() gave. */
int spool_remove_part(Spool *s, uint64_t clip_id, SpoolDone done, void *userdata);
int spool_keep_part(Spool *s, uint64_t clip_id, const char *kept, SpoolDone done, void *userdata);
/* spool/ -> kept/: a sealed file whose bytes are not what was read. */
int spool_set_sealed_aside(Spool *s, uint64_t clip_id, const char *kept, SpoolDone done, void *userdata);
/* Deletes a sealed file whose clip the store holds. */
int spool_remove(Spool *s, const char *spool_name, SpoolDone done, void *userdata);
void spool_name_of(uint64_t clip_id, char ret[static SPOOL_NAME_SIZE]);
void spool_note_name_of(uint64_t clip_id, char ret[static SPOOL_NAME_SIZE]);
/* The clip of a name in spool/. */
bool spool_clip_of(const char *name, uint64_t *ret_clip_id);
void spool_part_name_of(uint64_t clip_id, char ret[static SPOOL_NAME_SIZE]);
/* Read-only; -errno. The second is for who has only the folder open. */
int spool_open_sealed(Spool *s, const char *spool_name);
int spool_open_file(int sealed_fd, const char *name);
/* A part that a worker is writing, in its docking's folder; read-only. -EBADMSG when what has its name is no file of its own. */
int spool_open_part(int incoming_fd, uint64_t clip_id);

/* What statvfs said last; asked anew on the thread, at most once a second, by spool_look(). */
void spool_look(Spool *s, SpoolDone done, void *userdata);
/* So much was written since: what statvfs said last is no more true. */
void spool_note_written(Spool *s, uint64_t bytes);
uint64_t spool_free_bytes(const Spool *s);
uint64_t spool_total_bytes(const Spool *s);
uint64_t spool_reserve_bytes(const Spool *s);
