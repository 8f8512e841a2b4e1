/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a dock signs in a manifest (docs/store-layout.md): a statement (base/statement.h) of the type "stored-clip", as text under
 * `signed` of the manifest's `facts`. It covers where the manifest lies, camera, path, time, size and digest of the clip, and all the other
 * facts by their digest. Which object it is the uplink says later, and it does not need to be believed: the digest says what must be in it.
 *
 * Whoever meets a manifest asks stored_clip_judge() whether its signer counts, and reads the object itself all the same.
 */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/digest.h"
#include "base/fleet.h"
#include "base/macro.h"
#include "base/statement.h"

#define MANIFEST_VERSION 1

typedef struct StoredClip {
        const char *serial, *path;
        int64_t mtime_unix_sec; /* one that no calendar knows: the manifest has null */
        uint64_t size_bytes;
        Digest digest;
} StoredClip;

/*
 * The members of the statement about a clip with these facts (a JSON object without `signed`), said at that wall time; the caller unrefs.
 * NULL when out of memory, or for a text that is no UTF-8.
 */
json_t *stored_clip_members(const StoredClip *clip, const json_t *facts, int64_t now_usec);

/* What is to be known of who signed: empty, and 0, as far as nobody did. */
typedef struct StoredClipSigner {
        char dock_id[DOCK_ID_SIZE];
        uint64_t seq;
        int64_t at_usec; /* wall, by the signer's clock */
} StoredClipSigner;

/* By what a manifest is believed. */
typedef struct StoredClipTrust {
        const Fleet *list;   /* the list of the fleet's docks in force; NULL when the dock goes by none */
        const char *dock_id; /* this dock's */
        const PublicKey *own_keys; /* which it has, and had: what it signed itself needs no list */
        size_t n_own_keys;
        const StoredClipSigner *known; /* who had signed what lay under this name before, for certain; NULL: nobody knows */
        int64_t now_usec;    /* wall */
} StoredClipTrust;

typedef enum StoredClipVerdict {
        STORED_CLIP_OURS,     /* this dock signed it */
        STORED_CLIP_FLEETS,   /* a dock of the fleet's list did */
        STORED_CLIP_UNSIGNED, /* nobody did: a version of Berth that did not sign yet, or a stranger */
        STORED_CLIP_REFUSED,  /* forged, copied, played again, or signed by a key that does not count */
        _STORED_CLIP_VERDICT_MAX,
        _STORED_CLIP_VERDICT_INVALID = -EINVAL,
} StoredClipVerdict;

/*
 * Judges a manifest's text, which is untrusted. `key` is the name under which it lay in the store, or NULL where the store gives names
 * of its own (tus). *ret_why gets the reason of UNSIGNED and REFUSED, a part of a sentence ("it was signed by …"), else NULL; `ret_signer`
 * may be NULL. Pure; a verdict, or -ENOMEM.
 */
int stored_clip_judge(const char *manifest, size_t size, const char *key, const StoredClipTrust *trust, const char **ret_why,
                      StoredClipSigner *ret_signer);
