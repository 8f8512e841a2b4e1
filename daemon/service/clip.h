/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A clip as the loop knows it while it matters: it is on a docked camera, or its upload is not finished. Everything
 * durable about it is a fact in the store; this object goes and comes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/container.h"
#include "base/digest.h"
#include "core/clip.h"
#include "core/policy.h"
#include "store/store.h"

typedef struct Clip Clip;
typedef struct Docking Docking;
typedef struct Manager Manager;
typedef struct UploadVouch UploadVouch;

typedef struct ClipBlock {
        Digest digest; /* of the clip from its start to the block's end */
        uint32_t length;
        bool known;     /* a block fact exists */
        bool read_here; /* in the docking that the clip is in now */
} ClipBlock;

struct Clip {
        Manager *manager;
        Clip *next_in_hash;
        Clip *next_upload, *prev_upload;
        Clip *next_going, *prev_going; /* those on their way to the store, in the order in which they were begun */

        uint64_t id, camera_id;
        char *serial, *path;
        uint64_t size_bytes;
        int64_t mtime_unix_sec;
        uint32_t ordinal, flags;
        int64_t seen_unix_sec; /* wall clock when it was first listed */
        ClipState state;
        char *reason;

        /* The part, while it is being pulled. */
        uint64_t part_docking_id;
        ClipBlock *blocks; /* NULL until clip_load_blocks() or the first clip_note_block() */
        size_t n_blocks;   /* blocks that the content has, as far as known */
        size_t n_read_here;

        Digest digest, head, tail;
        char *kept_as; /* the name of its part, or bad copy, that is about to be moved to kept/ */
        char *spool_name;
        bool receipted, receipt_accepted;
        char *object_key, *manifest_key, *strength;
        Digest receipt_digest;
        Container container;

        /* In the docking. */
        Docking *docking;
        uint32_t index; /* of the worker's listing */
        bool on_camera;
        bool part_here;   /* the part lies in this docking's folder */
        bool sampled;     /* … and its samples agreed with the camera */
        bool copied_here;   /* sealed in this docking */
        bool verified_here; /* read again whole in this docking */
        bool erase_licensed; /* in this round of erasing: its beginning is committed */
        unsigned failures;
        unsigned unreadable;      /* readings that ended at bytes which the medium does not give … */
        uint64_t reread_at_usec;  /* … and when to try again; CLOCK_BOOTTIME, 0: at once */

        Fact copy_fact; /* while it is being sealed */

        /* Its upload while it is pulled: upload_grow.c. */
        struct {
                bool pulling;           /* its pull is under way … */
                uint64_t durable_bytes; /* … and has so many bytes on record */
                uint64_t turn;          /* counts pulls: what a commit of an earlier one tells is not of this one */
                bool under_way;         /* the uplink has the part, and does not know the digest yet */
                bool stopping;          /* … and was told to end that … */
                bool outlived;          /* … as it is of a pull that has ended */
                bool whole_only;        /* there is nothing to be gained */
                bool afresh;            /* what the store has of it is of a pull that was thrown away … */
                bool afresh_told;       /* … as the uplink was told */
                uint64_t retry_at_usec; /* CLOCK_BOOTTIME */
                unsigned failures;
        } grow;

        uint64_t stored_bytes;   /* progress of the upload */
        bool queued, uploading;  /* for the uplink */
        bool going;              /* uploading, or growing: in that list */
        int64_t going_since_usec; /* wall clock */
        bool urgent;             /* an operator wants it there first */
        uint64_t retry_at_usec;  /* of the upload */
        unsigned upload_failures;
        uint64_t signed_number; /* of what was signed for its manifest last; 0: nothing was */
        UploadVouch *vouch; /* who put there what lay there already is being asked */
        char *not_believed; /* why it was not, as it is on record */
        int64_t receipted_usec; /* when the receipt was recorded: wall clock … */
        uint64_t receipted_running_usec; /* … and the dock's running time */
        enum { CLIP_NO_ORDER, CLIP_ORDERED, CLIP_ORDERED_UNSTORED } erase_order; /* of this docking */
        bool leaving_unstored; /* its erase by such an order is under way: its upload waits for the end of that */
        bool erased_unstored; /* by such an order: its camera has it no more */
        uint64_t partial_of; /* it is what could be read of that clip, and on no camera */
        bool salvaged; /* what can be read of it is kept, or was tried for in vain in this docking */
        bool held; /* by an operator's order: deleted nowhere … */
        char *held_for; /* … for this case; NULL or "": none */
        unsigned pending; /* commits, spool jobs and uplink calls under way that point here */
};

/* Makes the object of a row, or returns the one that is there. */
int clip_from_row(Manager *m, const ClipRow *row, Clip **ret);
/* A clip that was never seen before. */
int clip_new(Manager *m, uint64_t camera_id, const char *serial, const char *path, uint64_t size_bytes, int64_t mtime_unix_sec,
             uint32_t ordinal, uint32_t flags, Clip **ret);
Clip *clip_free(Clip *c);
/* Frees the clip when nothing needs the object any more. */
void clip_release(Clip *c);
Clip *manager_clip(Manager *m, uint64_t id);

/* The one place that changes `state`; tells the observer. `reason` may be NULL. */
void clip_set_state(Clip *c, ClipState state, const char *reason);
/* Fetches the block facts; marks as read here those of the docking it is in. */
int clip_load_blocks(Clip *c);
void clip_drop_blocks(Clip *c);
int clip_note_block(Clip *c, uint32_t number, uint32_t length, const Digest *digest);
/* Length of the run of known whole blocks from 0: where a pull can go on. */
uint32_t clip_kept_blocks(const Clip *c);
/* Is the last block known, and this the digest at its end? Only of a clip that has one. */
bool clip_ends_with(const Clip *c, const Digest *digest);
/* The size shows when it was read. */
int clip_set_size(Clip *c, uint64_t size_bytes);
void clip_facts(const Clip *c, ClipFacts *ret);
ClipNeed clip_need(const Clip *c);
/* What the site and its model say about its erase. */
ErasePolicy clip_erase_policy(const Clip *c);
/* When policy may let it be erased, CLOCK_BOOTTIME; 0: it does now, or that depends on facts alone. */
uint64_t clip_policy_at(const Clip *c, uint64_t now_usec);
