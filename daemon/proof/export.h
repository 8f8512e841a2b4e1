/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a court gets: the events about a clip, a camera or a time, each provable without its neighbours and without Berth, with the footage,
 * the store's manifests, and a page that says how to verify all of it.
 */

#include "proof/bundle.h"
#include "proof/proof.h"

typedef struct ExportRequest {
        uint64_t clip_id;          /* one of these: not 0 … */
        const char *serial;        /* … not NULL … */
        uint64_t from_seq, to_seq; /* … or not 0 */
        int64_t from_usec, to_usec; /* … wall time, `to` not included, or to_usec 0 */
        const char *socket_path;   /* of berth-uplink, for the manifests; NULL: without them */
        /*
         * Reads a clip of which the spool has no copy from the store into an empty file: 0, or -errno with why. It is hashed afterwards.
         * NULL: that is not asked for.
         */
        int (*fetch)(void *userdata, uint64_t clip_id, uint64_t size_bytes, int fd, ConfError *error);
        /* Something of this clip that belongs in the bundle is not in it: a sentence without its full stop. */
        void (*missing)(void *userdata, uint64_t clip_id, const char *why);
        void *userdata;
} ExportRequest;

typedef struct ExportCounts {
        uint64_t events, checkpoints, clips, footage, manifests;
        uint64_t fetched;    /* of the footage, what came from the store */
        uint64_t incomplete; /* clips of which something is missing */
} ExportCounts;

/*
 * Writes the bundle. -ENOENT: there is nothing to export; -ENODATA: its newest events are not covered by a checkpoint yet; -EBADE: the
 * evidence is not whole, so that nothing is exported; -ENOSPC: the place has no room for the footage; with a sentence.
 */
int proof_export(Proof *p, const ExportRequest *request, Bundle *b, ExportCounts *ret, ConfError *error);
/* The page. */
extern const char export_howto[];
