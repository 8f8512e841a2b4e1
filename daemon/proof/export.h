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
        bool footage;              /* the clips themselves, as far as the spool has them */
} ExportRequest;

typedef struct ExportCounts {
        uint64_t events, checkpoints, clips, footage, manifests;
} ExportCounts;

/*
 * Writes the bundle. -ENOENT: there is nothing to export; -ENODATA: its newest events are not covered by a checkpoint yet; -EBADE: the
 * evidence is not whole, so that nothing is exported; with a sentence.
 */
int proof_export(Proof *p, const ExportRequest *request, Bundle *b, ExportCounts *ret, ConfError *error);
/* The page. */
extern const char export_howto[];
