/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Is all of a dock's evidence as it was? Asked of the state folder itself, by whoever may read it, beside a running daemon or without one:
 * read-only, a few events at a time, so that the daemon's work is not held up. It needs no daemon because it matters most when there is
 * none: one that refuses a damaged folder, or a copy of the folder on another machine.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/digest.h"
#include "base/fleet.h"
#include "base/macro.h"
#include "base/statement.h"
#include "store/chain_head.h"
#include "store/db.h"

typedef struct ProofOps {
        /*
         * Something is not as it was: `where` names it ("custody event 12", "spool/7.clip"), `what` is a sentence without its full stop.
         * NULL: findings are counted alone.
         */
        void (*found)(void *userdata, const char *where, const char *what);
        /* How far it is; `total` is 0 when that is not known. May be NULL. */
        void (*progress)(void *userdata, const char *what, uint64_t done, uint64_t total);
        void *userdata;
} ProofOps;

typedef struct ProofCounts {
        uint64_t events, checkpoints, keys, rows, spool_files, spool_bytes, stored_statements, stored_clips;
        uint64_t uncovered; /* events after the last checkpoint */
        uint64_t recoveries, recovered_clips; /* the database was made anew, and so many clips are known by that alone */
        uint64_t archived_events; /* in the store */
        uint64_t restorations; /* it was put back from a backup: what happened between is not in the log */
        uint64_t findings;
} ProofCounts;

typedef struct Proof {
        const ProofOps *ops;
        const char *state_dir;
        int dir;
        Db *db;
        ProofCounts counts;
        char dock_id[DOCK_ID_SIZE];
        PublicKey key; /* that the chain tells of last */
        bool has_key;
        uint64_t last_checkpoint, key_number; /* their numbers */
} Proof;

/* Opens for reading: -errno with a sentence when nothing can be verified at all. */
int proof_open(const char *state_dir, const ProofOps *ops, Proof *ret, ConfError *error);
void proof_close(Proof *p);

/* Reports, and counts. More than PROOF_FINDINGS_MAX are counted alone. */
#define PROOF_FINDINGS_MAX 1000u
void proof_found(Proof *p, const char *where, const char *format, ...) _printf_(3, 4);
void proof_progress(const Proof *p, const char *what, uint64_t done, uint64_t total);

/*
 * Each returns 0 when it could look at everything, whatever it found; negative, after saying so as a finding, when it could not.
 *
 * chain: the database as such, its schema, each event, its columns, the chain, its head file, keys and checkpoints.
 */
int proof_chain(Proof *p);
/* What tables say against the events that they were made from. */
int proof_tables(Proof *p);
/* The part of it that is about columns which are made from more than one event. */
int proof_columns(Proof *p);
/* The dock's copies against their digests; files that belong to nothing. */
int proof_spool(Proof *p);
/* All other files of the state folder. */
int proof_files(Proof *p);
/* By berth-uplink's socket: checkpoints as the store has them, and each receipted clip's object, read whole. */
int proof_store(Proof *p, const char *socket_path);
/* Were the keys that signed the log the dock's, by this list? After proof_chain(). */
int proof_fleet(Proof *p, const Fleet *fleet);
