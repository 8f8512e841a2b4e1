/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The list of a fleet's docks: a statement (base/statement.h) of the type "fleet-list", signed by the fleet's administrator, whose public
 * key is the one thing that has to be known beforehand. It says which public key speaks for which dock, from when until when, and which
 * does no more. What docks sign is believed by it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/macro.h"
#include "base/statement.h"

#define FLEET_KEYS_MAX 800u /* what a statement has room for */
#define FLEET_NAME_MAX 128u

/* One key of one dock. A dock has several entries after its key was rotated. */
typedef struct FleetKey {
        char dock_id[DOCK_ID_SIZE];
        char name[FLEET_NAME_MAX + 1]; /* for people */
        PublicKey key;
        int64_t from_usec, until_usec; /* wall time; `until` not included */
        bool revoked;                  /* whatever it says is not believed, of whatever time */
} FleetKey;

typedef struct Fleet {
        char id[FLEET_ID_SIZE];
        uint64_t seq; /* of this list; the next one has a higher one */
        PublicKey admin;
        int64_t expires_usec; /* from then on it says nothing any more; 0: never */
        FleetKey *keys;
        size_t n_keys;
} Fleet;

/* An empty fleet, whose first list is still to be signed. */
int fleet_new(const char *id, Fleet **ret);
Fleet *fleet_free(Fleet *f);
DEFINE_CLEANUP(Fleet, fleet_free);

/*
 * Reads a list: -EBADE when it is none, -EKEYREJECTED when it is not signed by `admin`, is of another fleet than `id` (NULL: any), or not
 * newer than list number `last_seq`; with a sentence.
 */
int fleet_parse(const char *file, size_t size, const PublicKey *admin, const char *id, uint64_t last_seq, Fleet **ret, ConfError *error);
/* Signs the next list; the caller frees. */
int fleet_sign(Fleet *f, const SignKey *admin, int64_t now_usec, char **ret);

/* Under which list number `seq` lies in a store; the caller frees. */
char *fleet_list_key(const char *id, uint64_t seq);
/* The number of such a key: -EINVAL for any other. */
int fleet_list_number(const char *key, const char *id, uint64_t *ret);
/* Whoever keeps newer lists from a dock is noticed by this: 1 with a sentence, or 0. */
int fleet_expired(const Fleet *f, int64_t now_usec, ConfError *error);

/* Adds the key, or changes its times: -EEXIST when it speaks for another dock, or was revoked; -E2BIG. */
int fleet_enroll(Fleet *f, const FleetKey *key);
/* Every key of this dock, or the one key: how many there were. */
size_t fleet_revoke(Fleet *f, const char *dock_id, const PublicKey *only);
/* The entry of this key, or NULL. */
const FleetKey *fleet_find(const Fleet *f, const PublicKey *key);

/*
 * Is this statement, which was parsed, to be believed as one of this type, under this key of the store, made at that time? NULL, or why
 * not. `last_seq` is the last number of its dock and type that is known: an equal or lower one is played again.
 */
const char *fleet_judge(const Fleet *f, const Statement *s, const char *type, const char *store_key, uint64_t last_seq, int64_t at_usec);
