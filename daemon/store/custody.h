/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The custody chain. An event is stored as its exact canonical bytes: JSON with sorted keys, no white space, UTF-8,
 * integers only, digests as lower-case hex. Its "prev" is the SHA-256 of the bytes of the event before it (zeros for
 * the first), so that sha256sum of one line gives the next line's "prev". The index columns of the table are made from
 * the bytes.
 */

#include <inttypes.h>

#include <jansson.h>

#include "base/statement.h"
#include "store/chain_head.h"
#include "store/db.h"

/* Takes "event", "time" … as event_new() made them, gives the event its place in the chain and stores it. */
int custody_append(Db *db, ChainHead *head, json_t *event);

/* One event, parsed from its bytes. */
typedef struct CustodyEvent {
        json_t *object; /* owns what `kind` points to */
        uint64_t seq;
        Digest prev, hash; /* the hash is of the bytes */
        const char *kind;
        uint64_t clip_id, camera_id, docking_id; /* 0: none */
        int64_t wall_usec;
} CustodyEvent;
/* -EBADE when these bytes are not a canonical event. */
int custody_parse(const void *bytes, size_t size, CustodyEvent *ret);
void custody_event_done(CustodyEvent *e);

/*
 * Reads event `seq` and checks that its bytes have the recorded hash, that the index columns are what the bytes say,
 * and that the chain holds it: the next event, or the head, names its hash. -EBADE; -ENOENT when there is none.
 */
int custody_read_checked(Db *db, const ChainHead *head, uint64_t seq, CustodyEvent *ret);
/* The newest event of this kind about this clip: its seq, or -ENOENT. */
int custody_find(Db *db, uint64_t clip_id, const char *kind, uint64_t *ret_seq);
/* The newest event that says what the clip's copy is, copied or recovered: its seq, or -ENOENT. */
int custody_find_copy(Db *db, uint64_t clip_id, uint64_t *ret_seq);
/* The newest event about who the camera of a docking is that came back as another device: its seq, or -ENOENT. */
int custody_find_identity(Db *db, uint64_t docking_id, uint64_t *ret_seq);

/*
 * The walk that proves the chain, in as many steps as its caller wants: no read of the database outlasts a step. Whoever
 * verifies a chain, at start, in the background or for a person, goes this way.
 */
typedef struct CustodyWalk {
        Db *db;
        ChainHead at;     /* the last event that is right; the next one must follow it */
        uint64_t bad_seq; /* after -EBADE: the first event that is wrong, or missing */
} CustodyWalk;
/* May look at the event and its bytes; a negative return ends the walk. */
typedef int (*CustodyVisit)(void *userdata, const CustodyEvent *e, const void *bytes, size_t size);

/* The event before `from_seq` is taken at its word. -EBADE when there is none. */
int custody_walk_begin(CustodyWalk *walk, Db *db, uint64_t from_seq);
/*
 * Checks up to `max` further events, none beyond `to_seq`: how many there were, 0 at the end, -EBADE. `visit` may be NULL. That
 * the walk arrives at the head that is known, the caller compares with walk->at.
 */
int custody_walk(CustodyWalk *walk, size_t max, uint64_t to_seq, CustodyVisit visit, void *userdata);

/* ---- What the dock signs: notary.c --------------------------------------------------------------------------------- */

/* The last event that tells of a key of the dock, as custody_parse() gives it: -ENOENT. */
int custody_last_key(Db *db, CustodyEvent *ret);
/* A statement of an event that holds one, checked to be signed by whom it names: -EBADE, -EKEYREJECTED. */
int custody_statement(const CustodyEvent *e, Statement *ret);
/*
 * What stands for the events `from` to `to` in a checkpoint: the SHA-256 over one line for each, in the form of sha256sum:
 * "<hash>  events/<seq, ten digits>.json\n". -EBADE when one is missing.
 */
#define CUSTODY_EVENT_FILE "events/%010" PRIu64 ".json"
int custody_segment(Db *db, uint64_t from, uint64_t to, Digest *ret);

/* Walks from `from_seq` to the end and returns the last: -EBADE, with `ret_bad` the first event that is wrong. */
int custody_verify(Db *db, uint64_t from_seq, ChainHead *ret, uint64_t *ret_bad);
/* The hash that the table has for an event: -ENOENT. */
int custody_hash(Db *db, uint64_t seq, Digest *ret);
