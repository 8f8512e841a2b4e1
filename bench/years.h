/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A dock's memory after years: what years.c and years_lay.c share. */

#include "base/digest.h"
#include "base/sign.h"
#include "base/wire_bay.h"

#define YEARS_CLIPS_PER_DOCKING 17u
#define YEARS_CLIP_BYTES (240 * MIB) /* 17 clips are about 4 GB */

/* What a clip is known by, as a camera, the dock and a store would say. */
typedef struct YearsClip {
        char path[64], object[160], manifest[160], spool[64];
        Digest digest, head, tail, prefixes; /* the last: over those up to the end of each block */
} YearsClip;

Digest years_digest(uint64_t a, uint64_t b);
void years_clip(const char *serial, uint64_t clip_id, int64_t seen_usec, YearsClip *ret);
void years_serial(uint64_t camera_id, char ret[static 32]);
void years_bay(uint64_t camera_id, char ret[static 32]);

/*
 * Lays down so many dockings after the pattern of the last one that the daemon's own code wrote: its custody events with their bytes
 * and the chain over them, its signatures, its rows. Without syncs, and not by facts one after the other: 50 million events are filled
 * in within minutes. The store must be closed. The cameras take turns, beginning with `next_camera`; their ids are 1 to n_cameras.
 */
int years_lay(const char *state_dir, const SignKey *key, uint64_t dockings, uint64_t n_cameras, uint64_t next_camera);
