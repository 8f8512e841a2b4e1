/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The dock's memory: one SQLite database (WAL, synchronous=FULL) and the custody chain's head file beside it.
 *
 * One thread owns the writing connection. The loop hands it batches of facts; each batch is applied whole or not at
 * all (a savepoint each), waiting batches share one commit, and each batch's completion runs on the loop after that
 * commit and after the head file is synced. No effect may start before the completion of the facts that allow it.
 *
 * Reads run on the loop over a second, read-only connection. They are short, indexed and paged, and see what is
 * committed.
 */

#include <systemd/sd-event.h>

#include "base/conf.h"
#include "base/macro.h"
#include "base/statement.h"
#include "store/facts.h"

typedef struct Store Store;
typedef struct StoreBatch StoreBatch;

/*
 * Opens (or creates) `berth.db` and `chain.head` in the state folder, migrates, and checks: database newer than
 * this program (-EPROTONOSUPPORT), damaged or not a database (-EBADMSG), chain broken or behind its head file (-EBADE),
 * locked by another daemon (-EBUSY), disk full, no permission … `error` says it in one sentence with what to do.
 */
int store_open(sd_event *event, const char *state_dir, Store **ret, ConfError *error);
/* Finishes what is queued, then closes. Completions of what was queued still run. */
Store *store_close(Store *s);
DEFINE_CLEANUP(Store, store_close);

typedef enum StoreId { STORE_ID_CAMERA, STORE_ID_DOCKING, STORE_ID_CLIP, _STORE_ID_MAX } StoreId;
/*
 * The next unused id: never given out before, not even before a crash or for a batch that failed. Ids are reserved
 * ahead in the database; 0 when the store has been failing for so long that none are left.
 */
uint64_t store_next_id(Store *s, StoreId which);

/* For a recovery: ids below `next` may have been given out by a database that is lost. Before any is asked for. */
void store_raise_ids(Store *s, StoreId which, uint64_t next);

/*
 * `result` is 0, or the -errno of the first fact of the batch that could not be applied, or of the commit: then nothing
 * of the batch is in the database. (But for a crash, or store_close(), while the disk is failing: what is there then is
 * unknown.)
 */
typedef void (*StoreDone)(int result, void *userdata);

int store_batch_new(StoreBatch **ret);
StoreBatch *store_batch_free(StoreBatch *b);
DEFINE_CLEANUP(StoreBatch, store_batch_free);
int store_batch_add(StoreBatch *b, const Fact *fact);
/*
 * Hands over the batch (freed in any case). `done` may be NULL. After a commit that failed (disk full, I/O error) the
 * store goes on; store_is_failing() tells until a commit succeeds again.
 */
int store_submit(Store *s, StoreBatch *b, StoreDone done, void *userdata);
/* One fact in a batch of its own. */
int store_put(Store *s, const Fact *fact, StoreDone done, void *userdata);
bool store_is_failing(Store *s, const char **ret_why);
/* Batches not yet committed: what the caller's backpressure looks at. */
size_t store_pending(const Store *s);

/* Gives some pages that the database does not need any more back to the disk, when there are many. For now and then, at rest. */
void store_tidy(Store *s);

/*
 * FACT_ERASE_BEGUN is the last gate before a clip leaves a camera (rules of evidence): it is applied only when, in the
 * database, the clip is copied or verified; its receipt names the same size and digest and is of a strength in
 * `text` (a comma-separated list that the site's policy accepts, "digest" by default); every block of the
 * clip was last read from the camera in the fact's own docking; the clip has no conflict; and the chained
 * bytes of the custody events behind the copy and the receipt hash to what the chain says and name that digest.
 * A camera that came back as another device must be known by its recorded storage, or confirmed by somebody, in the row and by
 * the chain's last event about it.
 * Nor may the docking be over or of another camera, and the chain must not know of a conflict, or of a refusal by the
 * store after the receipt. Else -EKEYREJECTED, nothing is written, and store_last_refusal() says which of these failed.
 */
/* Why the newest batch failed whose completion has begun: one sentence, for any failure. */
const char *store_last_refusal(const Store *s);

/*
 * By which key the dock's checkpoints are signed, of which fleet ("" for none). The keys are the caller's, and stay until store_close().
 * FACT_CHECKPOINT is signed by that of the two whose public key the chain knows as the dock's, and fails with -ENOKEY when none is;
 * FACT_KEY_ROTATED takes `next`, and is signed by `key`.
 */
void store_set_signing(Store *s, const SignKey *key, const SignKey *next, const char *fleet);

/* ---- Reading. Each returns rows by an array that the caller frees with the noun's free function. ---- */

typedef struct CameraRow {
        uint64_t id;
        char *serial, *manufacturer, *model, *firmware, *storage_id, *model_id;
        bool ambiguous;
        int64_t first_seen_usec, last_docked_usec; /* wall */
        int battery_percent;                       /* of the last check, -1 unknown */
        bool drift_known;
        int64_t drift_usec; /* camera minus dock, of the last check */
        /* Of the storage that it turns into; "" when none is recorded. */
        char *behind_id;
        uint64_t behind_docking_id; /* in whose change of mode that was first seen */
        bool behind_confirmed;
        char *officer_id, *officer_name, *unit_id, *unit_name; /* as the camera last told */
        /* What its last judgement came to: core/health.h's findings as JSON, and codes joined by commas. */
        char *findings_json, *held_back, *accepted;
        char *held_back_reason; /* in words; "" when it is not */
} CameraRow;
CameraRow *camera_row_free(CameraRow *c);
DEFINE_CLEANUP(CameraRow, camera_row_free);

/* 0, or -ENOENT. */
int store_camera_by_serial(Store *s, const char *serial, CameraRow **ret);
int store_camera(Store *s, uint64_t camera_id, CameraRow **ret);
/* Is this storage recorded for a camera other than that one? 0 or 1, -errno. */
int store_behind_of_other(Store *s, const char *behind_id, uint64_t camera_id);

typedef struct HealthPoint {
        int64_t wall_usec, value;
} HealthPoint;
#define HEALTH_POINTS_MAX 48u

/* What the dock knows of a camera over its dockings, as far as core/health.h asks. */
typedef struct HealthRow {
        uint64_t storage_before_bytes; /* the most that its present storage ever told before; 0: nothing */
        bool drift_known;              /* its clock was read in its last docking, and the dock's own was right: … */
        int64_t drift_usec, shown_usec; /* … camera minus dock, and what it showed, as first told then */
        int64_t since_set_usec;        /* how long before that the dock had set it; 0: never */
        bool restarts_known;
        uint64_t restarts;             /* that nobody asked for, in the last dockings */
        HealthPoint capacities[HEALTH_POINTS_MAX], drifts[HEALTH_POINTS_MAX]; /* core/health.h; the newest, newest first */
        size_t n_capacities, n_drifts;
        unsigned medium_errors;        /* recordings with unreadable bytes, in the last dockings */
        unsigned faulted_dockings, faulted_bays; /* of the last dockings: that faulted, and in how many bays */
        unsigned weak_dockings;        /* in a row up to now, whose first check told of `weak_percent` of battery or less */
} HealthRow;
int store_health(Store *s, uint64_t camera_id, const char *storage_id, unsigned dockings, int weak_percent, HealthRow *ret);

/* Footage of a camera that the store has no receipt for: on the camera, or on the dock. */
typedef struct UnstoredRow {
        uint64_t clips;
        int64_t oldest_usec; /* wall: when the oldest of it was recorded, as far as that is known, else first seen; 0: none */
        uint64_t clips_on_camera; /* of these: not yet on the dock */
        int64_t oldest_on_camera_usec, oldest_on_dock_usec;
} UnstoredRow;
int store_unstored(Store *s, uint64_t camera_id, UnstoredRow *ret);

/* What happened in a bay in its last dockings, as far as core/bay_health.h asks. */
typedef struct BayRow {
        unsigned cameras, cameras_faulted, faulted_here;
        /* Faults of the bay itself, since the first of those dockings: */
        unsigned rests, over_currents;
} BayRow;
int store_bay(Store *s, const char *bay, unsigned dockings, BayRow *ret);

/* An officer of the roster. */
typedef struct OfficerRow {
        char *id, *name, *unit_id, *unit_name, *badge;
        char *serial; /* of their own camera, "" for the pool's */
} OfficerRow;
OfficerRow *officer_row_free(OfficerRow *o);
DEFINE_CLEANUP(OfficerRow, officer_row_free);
void officer_rows_free(OfficerRow **rows, size_t n);
/* By id or by badge; -ENOENT. */
int store_officer(Store *s, const char *id_or_badge, OfficerRow **ret);
/* Whose own camera it is; -ENOENT. */
int store_officer_of_camera(Store *s, const char *serial, OfficerRow **ret);
/* In order of their ids, id > after (""), at most `max`. */
int store_officers(Store *s, const char *after_id, size_t max, OfficerRow ***ret, size_t *ret_n);

/* 1 when there is a roster, with the number of the fleet's (0: the dock's own); 0, or negative. */
int store_roster(Store *s, uint64_t *ret_seq);

/* The firmware catalog that the dock goes by. */
typedef struct CatalogRow {
        uint64_t version;
        char *document, *keys, *root; /* as in FACT_CATALOG */
} CatalogRow;
CatalogRow *catalog_row_free(CatalogRow *c);
DEFINE_CLEANUP(CatalogRow, catalog_row_free);
/* -ENOENT when there is none yet. */
int store_catalog(Store *s, CatalogRow **ret);

/* The fleet's list of docks that this dock goes by, as it was signed (the caller frees): -ENOENT when there is none by that key. */
int store_fleet_list(Store *s, const char *fleet, const char *admin_hex, uint64_t *ret_seq, char **ret);

/* A rollout's plan, in the newest revision that was seen. */
typedef struct RolloutRow {
        char *id, *statement;
        uint64_t revision;
} RolloutRow;
void rollout_rows_free(RolloutRow *rows, size_t n);
int store_rollouts(Store *s, RolloutRow **ret, size_t *ret_n);

/* A camera that this dock began to flash in a rollout. */
typedef struct RolloutCameraRow {
        uint64_t camera_id, window;
        char *serial, *outcome; /* "": not known yet */
        uint32_t place, wave;
        int64_t begun_usec; /* wall */
        bool told;          /* the outcome lies in the store */
} RolloutCameraRow;
void rollout_camera_rows_free(RolloutCameraRow *rows, size_t n);
int store_rollout_cameras(Store *s, const char *rollout, RolloutCameraRow **ret, size_t *ret_n);

/* A camera that somebody has, or had. */
typedef struct IssueRow {
        uint64_t id, camera_id;
        char *serial; /* of the camera */
        char *officer_id, *officer_name, *unit_id, *unit_name; /* "": taken by nobody known */
        int64_t ordered_usec, taken_usec, due_usec, ended_usec; /* wall; 0: not (yet) */
        bool overdue; /* that was told */
} IssueRow;
IssueRow *issue_row_free(IssueRow *i);
DEFINE_CLEANUP(IssueRow, issue_row_free);
void issue_rows_free(IssueRow **rows, size_t n);
/* Of that camera the open one; -ENOENT. */
int store_issue_open(Store *s, uint64_t camera_id, IssueRow **ret);
/* All that are open, id > after, at most `max`. */
int store_issues_open(Store *s, uint64_t after_id, size_t max, IssueRow ***ret, size_t *ret_n);
/* The newest `max`, open or over, id < before (0: from the newest); camera_id 0: of any. */
int store_issues(Store *s, uint64_t camera_id, uint64_t before_id, size_t max, IssueRow ***ret, size_t *ret_n);
/* How often it was issued since then, and when last (0: never). */
int store_issue_count(Store *s, uint64_t camera_id, int64_t since_usec, uint64_t *ret_n, int64_t *ret_last_usec);

/* The camera that was sent into its storage mode at a bay and has not left nor gone back since. */
typedef struct SwitchRow {
        uint64_t camera_id, docking_id;
        char *model_id; /* of its command mode */
        char boot_id[BOOT_ID_SIZE];
        uint64_t begun_boottime_usec, until_boottime_usec;
        bool ejected; /* its storage was let go of */
} SwitchRow;
SwitchRow *switch_row_free(SwitchRow *s);
DEFINE_CLEANUP(SwitchRow, switch_row_free);
/* 0, or -ENOENT. */
int store_switch(Store *s, const char *bay, SwitchRow **ret);
/* Cameras with id > after, in order of id, at most `max`. */
int store_cameras(Store *s, uint64_t after_id, size_t max, CameraRow ***ret, size_t *ret_n);

typedef enum ClipState {
        CLIP_SEEN,
        CLIP_COPYING,
        CLIP_COPIED,
        CLIP_UPLOADING, /* a state of the running daemon; stored as copied */
        CLIP_RECEIPTED,
        CLIP_ERASING,
        CLIP_ERASED,
        CLIP_CONFLICT,
        CLIP_LOST,
        _CLIP_STATE_MAX,
        _CLIP_STATE_INVALID = -22,
} ClipState;
const char *clip_state_to_string(ClipState s);
ClipState clip_state_from_string(const char *s);

typedef struct ClipRow {
        uint64_t id, camera_id;
        char *serial; /* of its camera */
        char *path;
        uint64_t size_bytes;
        int64_t mtime_unix_sec;
        uint32_t ordinal, flags;
        ClipState state;
        uint64_t first_docking_id, last_docking_id; /* seen first, and read last */
        uint64_t part_docking_id;                   /* whose incoming folder holds the part; 0: none */
        uint64_t durable_bytes;                     /* of the part: length of the run of block facts from 0 */
        int64_t seen_usec;                          /* wall time when first listed */
        /* from COPIED on */
        Digest digest, head, tail;
        char *spool_name; /* NULL when the spool copy is gone */
        /* from RECEIPTED on */
        char *object_key, *manifest_key, *strength;
        Digest receipt_digest;
        uint64_t receipt_size_bytes;
        int64_t receipt_unix_sec;
        char *reason; /* of a conflict, or the last refusal; else NULL */
        Container container; /* from COPIED on; of "no container" before, and of what an earlier version copied */
        bool urgent;  /* an operator wants it in the store before anything else */
        bool by_port; /* last read from a device that was known to be its camera by the port alone */
        int64_t receipted_usec; /* wall time when the receipt was recorded … */
        uint64_t receipted_running_usec; /* … and the dock's running time then */
        bool held; /* by itself, or with its camera */
        uint64_t partial_of; /* it is what could be read of this clip; 0: it is whole */
        bool salvaged; /* there is such a copy of it */
} ClipRow;
ClipRow *clip_row_free(ClipRow *c);
DEFINE_CLEANUP(ClipRow, clip_row_free);
/* Frees an array of n rows and their strings. */
void clip_rows_free(ClipRow **rows, size_t n);
void camera_rows_free(CameraRow **rows, size_t n);

/* Copies of what could be read of this clip that were not finished: the ids of at most `max`. */
int store_partials_unfinished(Store *s, uint64_t clip_id, size_t max, uint64_t *ret, size_t *ret_n);
/* The camera's clips that are not erased nor lost, and whole or to be copied whole, in order of id, id > after, at most `max`. */
int store_clips_on_camera(Store *s, uint64_t camera_id, uint64_t after_id, size_t max, ClipRow ***ret, size_t *ret_n);
/* Clips that are copied and have no receipt, in order of id. */
int store_clips_unstored(Store *s, uint64_t after_id, size_t max, ClipRow ***ret, size_t *ret_n);
/* Clips that have a receipt, still a copy in the spool, and are not held; oldest receipt first, by the dock's running time. */
int store_clips_releasable(Store *s, size_t max, ClipRow ***ret, size_t *ret_n);
int store_clip(Store *s, uint64_t clip_id, ClipRow **ret);
/* Who signed the manifest that the clip's newest receipt was given for, and under which number: "" and 0 when that is not on record. */
int store_receipt_signer(Store *s, uint64_t clip_id, char ret_dock_id[static DOCK_ID_SIZE], uint64_t *ret_number);
/*
 * A clip of this content that the dock or the store has: by the digest over its block digests, and its size. 0 with the id of the
 * newest one, or -ENOENT.
 */
int store_clip_by_content(Store *s, const Digest *digest, uint64_t size_bytes, uint64_t *ret_id);
/* For people: newest first, id < before (0: from the newest); NULL or _CLIP_STATE_INVALID mean any. */
int store_clips_query(Store *s, const char *serial, ClipState state, uint64_t before_id, size_t max, ClipRow ***ret,
                      size_t *ret_n);

/* The bytes of the clip that could not be read when that was last tried; the caller frees *ret with free(). */
int store_unreadable(Store *s, uint64_t clip_id, ByteRange **ret, size_t *ret_n);

typedef struct BlockRow {
        uint32_t number, length;
        Digest digest;
        uint64_t docking_id; /* in which it was last read from the camera */
} BlockRow;
/* All blocks of a clip in order of their number; the caller frees *ret with free(). */
int store_blocks(Store *s, uint64_t clip_id, BlockRow **ret, size_t *ret_n);
/* 1 when events tell of blocks of the clip as an older Berth had them, on record no more, and nothing of it was set aside since; else 0. */
int store_part_is_older(Store *s, uint64_t clip_id);

typedef struct EventRow {
        uint64_t seq;
        char *bytes; /* the canonical JSON, NUL-terminated */
        Digest hash; /* SHA-256 of those bytes */
} EventRow;
EventRow *event_row_free(EventRow *e);
DEFINE_CLEANUP(EventRow, event_row_free);
void event_rows_free(EventRow **rows, size_t n);
/* Custody events with seq > after, in order; camera_id and clip_id filter when not 0. */
int store_events(Store *s, uint64_t after_seq, uint64_t camera_id, uint64_t clip_id, size_t max, EventRow ***ret,
                 size_t *ret_n);
/* The newest `max` of them, still in ascending order. */
int store_events_last(Store *s, uint64_t camera_id, uint64_t clip_id, size_t max, EventRow ***ret, size_t *ret_n);

/* What the chain says about how a clip's bytes came to the dock. */
typedef struct CopyEvidence {
        uint64_t seq; /* of the event of its copy … */
        Digest hash;  /* … and that event's hash */
        bool drift_known;
        int64_t drift_usec;     /* camera minus dock, as measured in the docking of the copy */
        int64_t copied_usec;    /* wall */
        bool dock_synchronised; /* was the dock's clock known right then? */
        char *officer_id, *officer_name, *unit_id, *unit_name; /* as the camera told in that docking … */
        bool officer_by_roster; /* … or, when it told none, who brought it back; NULL when nobody is known */
} CopyEvidence;
void copy_evidence_done(CopyEvidence *e);
/* -ENOENT for a clip that was not copied. */
int store_copy_evidence(Store *s, uint64_t clip_id, CopyEvidence *ret);

/* The settings of the last start, as FACT_SETTINGS has them; "{}" before the first. The caller frees. */
int store_settings(Store *s, char **ret);

/* The dock's key, by the last event that tells of one. */
typedef struct DockKey {
        char dock_id[DOCK_ID_SIZE];
        uint64_t number; /* the first is 1 */
        PublicKey public;
} DockKey;
/* -ENOENT when the chain knows of none. */
int store_dock_key(Store *s, DockKey *ret);
/* Each public key that is or was the dock's, the oldest first; the caller frees. */
int store_dock_keys(Store *s, PublicKey **ret, size_t *ret_n);

/* The newest checkpoint: the event that holds it, what it covers, and when it was made. -ENOENT when there is none. */
typedef struct CheckpointRow {
        uint64_t seq, event_seq, head_seq;
        int64_t wall_usec;
} CheckpointRow;
int store_last_checkpoint(Store *s, CheckpointRow *ret);

/* A signed statement that is not in the store yet. */
typedef struct StatementRow {
        char *key;  /* in the store */
        char *file; /* what is to lie there: base/statement.h */
} StatementRow;
StatementRow *statement_row_free(StatementRow *s);
DEFINE_CLEANUP(StatementRow, statement_row_free);
/* The oldest of them after that event, or -ENOENT. *ret_event_seq is the event that holds it. */
int store_statement_waiting(Store *s, uint64_t after_event_seq, StatementRow **ret, uint64_t *ret_event_seq);

typedef struct StoreTotals {
        uint64_t clips_by_state[_CLIP_STATE_MAX], bytes_by_state[_CLIP_STATE_MAX];
        uint64_t unstored_bytes; /* copied, no receipt */
        uint64_t events;
        Digest chain_head;
} StoreTotals;
int store_totals(Store *s, StoreTotals *ret);

/* The clip that waits longest for the store, on camera or dock; conflicts do not wait. -ENOENT when all is stored. */
int store_oldest_unstored(Store *s, ClipRow **ret);
/* The cameras that were docked last, from the last back. */
int store_cameras_by_docking(Store *s, size_t max, CameraRow ***ret, size_t *ret_n);

/* Does this order of an operator stand? 1, 0, or negative. */
#define STORE_ORDER_PAUSE "uploads-paused"
int store_order(Store *s, const char *what);
/* When the shift begins that was called, wall; -ENOENT. */
#define STORE_ORDER_SHIFT "shift"
int store_shift_called(Store *s, int64_t *ret_usec);

/* What was measured of a bay's port. */
typedef struct PortRow {
        char *hub; /* which it was on */
        char *way; /* by which its power was switched */
        bool switches, returns;
        uint64_t back_usec;
        int64_t at_usec; /* wall */
} PortRow;
/* How long the camera charges, in thousandths of what its model says; 1000 when that was not measured. */
int store_charge_permille(Store *s, uint64_t camera_id, unsigned *ret);
PortRow *port_row_free(PortRow *p);
DEFINE_CLEANUP(PortRow, port_row_free);
/* 0, or -ENOENT. */
int store_port(Store *s, const char *bay, PortRow **ret);

/* A camera that was given firmware. */
typedef struct FlashRow {
        uint64_t id, camera_id, docking_id, size_bytes;
        int64_t begun_usec; /* wall */
        unsigned sendings;
        char *bay, *model_id, *version, *from_version, *purpose;
        char *transfer; /* "", "sending", "sent", "cut-short" */
        char *boot_id;
        uint64_t until_usec; /* as in the last of its facts, CLOCK_BOOTTIME of boot_id */
        char *outcome, *came_back, *text;
        Digest digest;
} FlashRow;
FlashRow *flash_row_free(FlashRow *f);
DEFINE_CLEANUP(FlashRow, flash_row_free);
void flash_rows_free(FlashRow **rows, size_t n);
/* Those that have not ended, and the last one of each camera when it did not end well: it may still. */
int store_flashes_unsettled(Store *s, FlashRow ***ret, size_t *ret_n);
/* How often the camera was given this image, and did not come to have it. */
int store_flash_attempts(Store *s, uint64_t camera_id, const Digest *digest, unsigned *ret);

/* How long the dock has run in all, over every boot; its clock may be put anywhere meanwhile. */
typedef struct StoreRunning {
        uint64_t total_usec;
        uint64_t since_step_usec; /* since the clock was last stepped; UINT64_MAX: never */
        int64_t step_usec; /* it was stepped since the last fact; else 0 */
} StoreRunning;
int store_running(Store *s, const Moment *now, StoreRunning *ret);

typedef struct HoldRow {
        uint64_t id; /* the sequence number of its custody event */
        uint64_t clip_id; /* 0: all of the camera */
        uint64_t camera_id;
        char *serial, *path, *case_name, *reason, *operator_name; /* never NULL */
        uint32_t operator_uid;
        int64_t since_usec; /* wall */
        /* Of its clips, those that are stored; whose objects have a legal hold there; and which the store cannot hold. */
        uint64_t stored_clips, locked_clips, unlockable_clips;
} HoldRow;
HoldRow *hold_row_free(HoldRow *h);
DEFINE_CLEANUP(HoldRow, hold_row_free);
void hold_rows_free(HoldRow **rows, size_t n);
/* Holds that stand, in the order in which they were set, id > after, at most `max`. */
int store_holds(Store *s, uint64_t after_id, size_t max, HoldRow ***ret, size_t *ret_n);
/* Is it held? clip_id 0: the whole camera. 1 with the case (the caller frees it), 0, or negative. */
int store_hold_of(Store *s, uint64_t clip_id, uint64_t camera_id, char **ret_case);

/* 1: what was held since a backup that was put back is to be read in the store: statements with numbers after `after`, up to `upto`. 0. */
int store_holds_unread(Store *s, uint64_t *ret_after, uint64_t *ret_upto);

/* A clip whose object is not held in the store as the clip is here. */
typedef struct ObjectHoldRow {
        uint64_t clip_id;
        char *object_key, *manifest_key, *version; /* version: "" when the store has none */
        bool held;                                 /* it should be */
        bool asked;                                /* the store was asked to hold it, and what it answered is not on record */
} ObjectHoldRow;
ObjectHoldRow *object_hold_row_free(ObjectHoldRow *o);
DEFINE_CLEANUP(ObjectHoldRow, object_hold_row_free);
/* The first one after that clip, or -ENOENT. */
int store_object_hold_due(Store *s, uint64_t after_clip_id, ObjectHoldRow **ret);

/* A file that was set aside, below the state folder, whose digest is not on record yet. */
typedef struct KeptFile {
        char *name;
        uint64_t event_seq; /* tells of it */
} KeptFile;
KeptFile *kept_file_free(KeptFile *f);
DEFINE_CLEANUP(KeptFile, kept_file_free);
/* The next one by its name after `after_name` (""): -ENOENT when there is none. */
int store_kept_due(Store *s, const char *after_name, KeptFile **ret);
/* The newest event of all: 0 when there is none. */
int store_newest_event(Store *s, uint64_t *ret_seq);

typedef struct StoreFlow {
        uint64_t seen_bytes;       /* footage that was first listed in that time */
        int64_t since_wall_usec;   /* which begins later than asked for when more clips came than are looked at */
        uint64_t releasable_bytes; /* spool copies whose clips have a receipt */
} StoreFlow;
/* The newest clips that were first listed between the two, STORE_FLOW_MAX at most: a dock's busiest day has fewer. */
#define STORE_FLOW_MAX 10000
int store_flow(Store *s, int64_t since_wall_usec, int64_t until_wall_usec, StoreFlow *ret);

typedef struct RefusedRow {
        uint64_t id; /* the sequence number of its custody event */
        char *bay;
        uint16_t vid, pid, bcd_device;
        char *usb_serial, *usb_manufacturer, *usb_product;
        char *descriptors_hex, *reason;
        int64_t refused_usec; /* wall */
} RefusedRow;
RefusedRow *refused_row_free(RefusedRow *d);
DEFINE_CLEANUP(RefusedRow, refused_row_free);
void refused_rows_free(RefusedRow **rows, size_t n);
/* Refused devices, newest first, id < before (0: from the newest). */
int store_refused(Store *s, uint64_t before_id, size_t max, RefusedRow ***ret, size_t *ret_n);
