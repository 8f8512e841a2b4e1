/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a clip needs next: pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a clip is to the dock, by its camera's model: bits of its flags beside those that a plugin may set. They are part of the
 * fact that it was seen, and stay as they were then.
 */
#define CLIP_FLAG_PRIORITY (UINT32_C(1) << 16)  /* footage that goes first */
#define CLIP_FLAG_COMPANION (UINT32_C(1) << 17) /* no footage: a track, a log, a thumbnail */

/* Negative when the clip with these flags at this place of its camera's listing is pulled before the other one. */
int clip_compare_pull(uint32_t flags_a, uint32_t index_a, uint32_t flags_b, uint32_t index_b);

typedef enum ClipNeed {
        CLIP_NEED_NOTHING,
        CLIP_NEED_PULL,    /* its footage is not whole on the dock */
        CLIP_NEED_VERIFY,  /* it is, but was not read whole from this device in this docking */
        CLIP_NEED_RECEIPT, /* it is being uploaded or waits for it */
        CLIP_NEED_ERASE,   /* everything that licenses the erase is there, as far as the loop knows */
        CLIP_NEED_SALVAGE, /* it cannot be read whole, and what can be read is not on the dock */
        CLIP_NEED_PERSON,  /* it stays on the camera until somebody decides */
        _CLIP_NEED_MAX,
} ClipNeed;

typedef struct ClipFacts {
        bool on_camera; /* listed in this docking and not erased since */
        bool copied;    /* whole, sealed in the spool (now or before it was released) */
        bool conflict;
        bool protected_by_camera;
        bool receipted, receipt_accepted; /* its strength is one that the site's policy accepts */
        size_t blocks, blocks_read_here;  /* all blocks of the content; those read in this docking */
        bool erase_allowed;               /* by the site's policy and the camera's model */
        bool unstored_ordered;            /* somebody ordered its erase even without a receipt */
        bool uploading;
        bool held;                        /* an operator ordered that it is deleted nowhere */
        unsigned failures;                /* failed attempts of the current kind in this docking */
        unsigned unreadable;              /* readings in this docking that ended at bytes which the medium does not give */
        bool salvaged;                    /* what can be read of it is on the dock, or that was tried in vain */
        bool medium_fails;                /* CLIP_MEDIUM_FAILS or more such readings of all clips together */
} ClipFacts;

/* After so many failed attempts in one docking a clip waits for a person. */
#define CLIP_FAILURES_MAX 3u
/* A medium that does not give some bytes may give them when it has rested: so often it is tried in one docking. */
#define CLIP_UNREADABLE_MAX 4u
/* After so many such readings in a docking a medium fails as a whole: from then on each clip gets one try. */
#define CLIP_MEDIUM_FAILS 256u

ClipNeed clip_next(const ClipFacts *facts);

/*
 * Which kept blocks to read again from the camera before a part is continued in another docking: the first, the last and
 * a few in between, picked by `seed`. Fills `ret` in ascending order, without repeats, and returns how many.
 */
#define CLIP_SAMPLE_MAX 6u
size_t clip_sample_blocks(uint32_t n_kept, uint64_t seed, uint32_t ret[static CLIP_SAMPLE_MAX]);
