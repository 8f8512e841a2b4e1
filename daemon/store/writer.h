/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What applying facts works on, on the store's thread, within a transaction. Each noun has a function that brings its
 * tables up to one fact; they return 0 or a negative errno after saying why in writer.why.
 */

#include <jansson.h>

#include "base/statement.h"
#include "store/chain_head.h"
#include "store/db.h"
#include "store/facts.h"

#define WHY_SIZE 512u

/* Whom the dock's statements are of, and by which key. */
typedef struct Signing {
        const SignKey *key;  /* NULL: nothing can be signed */
        const SignKey *next; /* takes over with its FACT_KEY_ROTATED; NULL when none is about to */
        char fleet[FLEET_ID_SIZE];
} Signing;

typedef struct Writer {
        Db *db;
        ChainHead head; /* of all that was applied so far; the next event gets seq + 1 */
        Signing signing;
        json_t *extra;  /* members that the noun adds to the fact's custody event; NULL when none */
        char why[WHY_SIZE];
} Writer;

/* Notes why and returns r. */
int writer_refuse(Writer *w, int r, const char *format, ...) _printf_(3, 4);
/* The same for a failure of SQLite: r >= 0 passes. */
int writer_check(Writer *w, int r);
/* Adds a member to the event; takes the reference of `value`. */
int writer_extra(Writer *w, const char *key, json_t *value);

/* Applies one fact with its custody event. The caller's savepoint undoes the database, and the caller the head. */
int writer_apply(Writer *w, const Fact *f);

/* By noun, as writer_apply() hands them out: what the fact changes in their tables. Negative: refused, with a reason (writer_refuse()). */
int camera_apply(Writer *w, const Fact *f);
int docking_apply(Writer *w, const Fact *f);
int run_apply(Writer *w, const Fact *f);
int change_apply(Writer *w, const Fact *f);
int clip_apply(Writer *w, const Fact *f);
int block_apply(Writer *w, const Fact *f);
int receipt_apply(Writer *w, const Fact *f);
int order_apply(Writer *w, const Fact *f);
int hold_apply(Writer *w, const Fact *f);
int object_hold_apply(Writer *w, const Fact *f);
int health_apply(Writer *w, const Fact *f);
int issue_apply(Writer *w, const Fact *f);
int port_apply(Writer *w, const Fact *f);
int rollout_apply(Writer *w, const Fact *f);
int flash_apply(Writer *w, const Fact *f);
int fleet_list_apply(Writer *w, const Fact *f);
/* Is the clip held, by itself or with its camera? 0, 1 with the case in *ret_case (the caller frees it), negative. */
int hold_of_clip(Db *db, uint64_t clip_id, uint64_t camera_id, char **ret_case);
/* Brings the dock's running time up to the fact's moment, and notes in its event when the clock was stepped since the last. */
int running_advance(Writer *w, const Fact *f);
/* The running time as of the last fact. */
int running_total(Writer *w, uint64_t *ret_usec);
int notary_apply(Writer *w, const Fact *f);
/* The dock's signature under what a receipt says, as a statement in the event of that receipt. Nothing before the dock has a key. */
int notary_sign_receipt(Writer *w, const Fact *f);
/* … and under a hold, or the end of one, by which a recovery knows of it. */
int notary_sign_hold(Writer *w, const Fact *f);
int recovery_apply(Writer *w, const Fact *f);
int kept_apply(Writer *w, const Fact *f);
int restored_apply(Writer *w, const Fact *f);
/* 1: the database was put back from a backup, and the store was not asked yet for what is held. 0, or negative. */
int holds_unread(Db *db);
/* The event that is about to be appended tells of a file in kept/, and maybe of its note beside it, whose digests are to follow. */
int kept_note_part(Writer *w, const char *name, bool with_note);
/* FACT_ERASE_BEGUN's gate: see store.h. */
int license_check(Writer *w, const Fact *f);

/* Whom and what a fact is about, with ids that follow from other ids. */
typedef struct Subject {
        uint64_t docking_id, camera_id, clip_id;
        char *serial, *path, *bay;
} Subject;
int subject_resolve(Writer *w, const Fact *f, Subject *ret);
void subject_done(Subject *s);

/* The custody event of a fact, without its place in the chain. */
int event_new(Writer *w, const Fact *f, const Subject *s, json_t **ret);

/* A clip as applying facts needs it. */
typedef struct ClipNow {
        uint64_t camera_id, size_bytes, last_docking_id, part_docking_id;
        uint32_t flags;
        int state; /* ClipState */
        bool conflict, in_spool, receipted;
        bool partial;              /* what could be read of another one */
        bool erased_unstored;      /* it left its camera by an order before the store had it */
        uint64_t order_docking_id; /* somebody ordered its erase in this docking … */
        bool order_not_stored;     /* … even without a receipt */
        Digest digest; /* zeros before COPIED */
} ClipNow;
/* -ENOENT when there is no such clip. */
int clip_now(Writer *w, uint64_t clip_id, ClipNow *ret);

/* A clip's block rows, taken together. */
typedef struct BlockSum {
        uint64_t n, bytes;
        uint64_t read_in_docking; /* how many of them were last read in the docking that was asked for */
        Digest digest;            /* SHA-256 over the block digests, one after the other */
        Digest last;              /* of these, the last: that of the clip, when all is there; zeros when there is none */
} BlockSum;
/* -EBADMSG when they are not a gapless run of full blocks, the last of which may be short. */
int blocks_sum(Writer *w, uint64_t clip_id, uint64_t docking_id, BlockSum *ret);
int blocks_delete(Writer *w, uint64_t clip_id, uint64_t from_number);
