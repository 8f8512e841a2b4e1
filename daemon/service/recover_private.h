/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A recovery under way. */

#include "base/statement.h"
#include "service/recover.h"
#include "service/spool.h"
#include "store/store.h"

typedef struct RecoveryCamera {
        char *serial;
        uint64_t id;
} RecoveryCamera;

typedef struct Recovery {
        sd_event *event;
        const Settings *settings;
        ConfError *error;
        RecoveryResult result;
        int state_fd;  /* holds the lock */
        int work_fd;   /* RECOVERY_FOLDER */
        int spool_fd, kept_fd;
        Store *store;  /* the new one */
        char why[512]; /* what the old one suffers from */
        uint64_t next_id[_STORE_ID_MAX];
        RecoveryCamera *cameras;
        size_t n_cameras;
        void *contents; /* tsearch(3): what was found so far, by camera, path and digest */
        unsigned next_kept;
        bool put_done;
        int put_result;
} Recovery;

/* Fills the error and returns r. */
int recovery_fail(Recovery *r, int error, const char *format, ...) _printf_(3, 4);
/* A fact of now, in the new database when it returns 0. */
int recovery_put(Recovery *r, Fact *fact);
/* The id of this serial: the one that is wanted, unless another has it. 0: out of memory. */
uint64_t recovery_camera(Recovery *r, const char *serial, uint64_t wanted_id);
/* An id was in use. */
void recovery_note_id(Recovery *r, StoreId which, uint64_t id);
/* Moves a file of a place to kept/, and records it. */
int recovery_keep(Recovery *r, int place_fd, const char *place, const char *name, const char *why);

/* recover_store.c */
/* Clips of which the store is proven to hold the object. */
int recovery_take_store(Recovery *r);
/* 1 when this content was found before. */
int recovery_note_content(Recovery *r, const char *serial, const char *path, const Digest *digest);
void recovery_forget_names(void **names);

/* recover_hold.c */
typedef struct RecoveryHolds RecoveryHolds;
int recovery_holds_new(RecoveryHolds **ret);
RecoveryHolds *recovery_holds_free(RecoveryHolds *h);
DEFINE_CLEANUP(RecoveryHolds, recovery_holds_free);
/* What the dock signed of a hold, or of its end, in the order of its numbers: NULL, or why it says nothing. */
const char *recovery_holds_add(RecoveryHolds *h, const Statement *s);
/* Those that were not released are in force again. */
int recovery_take_holds(Recovery *r, const RecoveryHolds *h);

/* recover_spool.c */
/* Which ids were given out, as far as file names tell. */
int recovery_scan_ids(Recovery *r);
int recovery_take_spool(Recovery *r);
/* What was half pulled. */
int recovery_keep_parts(Recovery *r);
