/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A signed statement: what a dock, or a fleet's administrator, says for good. A small text of three lines,
 *
 *   berth-statement 1
 *   {"dock":"…","fleet":"…","key":"…","seq":…,"signer":"…","type":"…","v":1, …}
 *   <base64 of the Ed25519 signature over the first two lines, with their ends>
 *
 * whose second line is canonical JSON (base/canonical.h). Its first line keeps the signature from fitting anything else that is
 * ever signed; `type` says what it is, `key` under which name it lies in the store, `fleet` and `dock` whose it is, `seq` the
 * how manieth of its type, and `signer` is the whole public key in hex. So a copy under another name, of another dock, or an
 * older one played again is none.
 */

#include <stdint.h>

#include <jansson.h>

#include "base/digest.h"
#include "base/sign.h"

#define STATEMENT_MAGIC "berth-statement 1"
#define STATEMENT_SIZE_MAX (256u * 1024u)

#define DOCK_ID_SIZE 33  /* 32 hex digits and the NUL */
#define FLEET_ID_SIZE 65 /* with the NUL; see fleet_id_is_valid() */

#define STATEMENT_CHECKPOINT "checkpoint"
#define STATEMENT_KEY_ROTATION "key-rotation"
#define STATEMENT_MANIFEST "manifest"
#define STATEMENT_HOLD "hold"
#define STATEMENT_DOCK_STATUS "dock-status"
#define STATEMENT_FLEET_LIST "fleet-list"
#define STATEMENT_ROSTER "roster"
#define STATEMENT_STORED_CLIP "stored-clip"
#define STATEMENT_ROLLOUT "rollout"
#define STATEMENT_ROLLOUT_STARTED "rollout-started"
#define STATEMENT_ROLLOUT_OUTCOME "rollout-outcome"
#define STATEMENT_ROLLOUT_SUM "rollout-sum"
#define STATEMENT_ROLLOUT_STOP "rollout-stop"
#define STATEMENT_ROLLOUT_CAMERA "rollout-camera"

/* 1 to FLEET_ID_SIZE - 1 of A-Z a-z 0-9 . _ - */
bool fleet_id_is_valid(const char *s);

/* What each one covers. Empty texts are texts: a dock that is in no fleet says "". */
typedef struct StatementAbout {
        const char *type, *key, *fleet, *dock;
        uint64_t seq;
} StatementAbout;

typedef struct Statement {
        char *text;     /* the JSON line, without its end */
        json_t *object; /* owns what `about` points to */
        StatementAbout about;
        PublicKey signer;
        Signature signature;
        Digest hash; /* SHA-256 of `text` */
} Statement;

/* Adds the members of `about` and the signer to `members`, and signs: the three lines, which the caller frees. */
int statement_make(const SignKey *key, const StatementAbout *about, json_t *members, Statement *ret);
void statement_done(Statement *s);
/* The three lines; the caller frees. NULL when out of memory. */
char *statement_file(const Statement *s);

/*
 * Parses the three lines, or their second and third apart. -EBADE when they are not exactly of that form; -EKEYREJECTED when the
 * signature is not the signer's. Whether the signer is to be believed is the caller's question.
 */
int statement_parse(const char *file, size_t size, Statement *ret);
int statement_from_parts(const char *text, const char *signature, Statement *ret);

/*
 * Is it the one that is meant? NULL, or why not: of another type, under another key, of another fleet, another dock, by another signer, or
 * not of a higher number than `expected->seq` (the last that is known). A NULL text, or NULL signer, is not asked for.
 */
const char *statement_mismatch(const Statement *s, const StatementAbout *expected, const PublicKey *signer);
