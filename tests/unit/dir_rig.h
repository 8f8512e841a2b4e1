/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A `dir` store in a scratch folder, called directly, and the calls by which it makes things durable, which can be told to fail or
 * to end the process. Failures of the rig end the running test.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "uplink/dir_private.h"

#define SERIAL "SN-0001"
#define CLIP_PATH "DCIM/A.MP4"
#define MTIME 1700000000
#define DAY "2023-11-14"

/* ---- Faults: fsync, fdatasync, renameat2, linkat, unlinkat, mkdirat and fallocate ---------------------------------------- */

typedef enum FaultKind {
        FAULT_NONE,
        FAULT_DIE_BEFORE,  /* the process ends, the call is not made */
        FAULT_DIE_AFTER,   /* the call is made, then the process ends */
        FAULT_FAIL,        /* EIO, the call is not made */
        FAULT_FAIL_AFTER,  /* the call is made, and EIO returned all the same */
} FaultKind;

#define DIED 42

typedef struct Fault {
        FaultKind kind;
        unsigned at;     /* which call, counted from 1 */
        unsigned calls;  /* made so far */
        bool hit_sync;   /* the call that failed was fsync() or fdatasync() */
        bool no_rename;  /* renameat2() knows no flags, as on NFS */
        bool no_link;    /* linkat() is not permitted */
} Fault;
extern Fault fault;

/* ---- The store ----------------------------------------------------------------------------------------------------------- */

typedef struct DirRig {
        char folder[64];
        char store[96];
        DirStore *s;
} DirRig;

/* With same_disk_is_store, read_back and create, unless `settings` says otherwise; its path is filled in. */
DirRig *dir_rig_new(const DirSettings *settings);
/* The same folder anew, as after a restart. */
void dir_rig_reopen(DirRig *r, const DirSettings *settings);
void dir_rig_free(DirRig *r);
char *dir_rig_path(const DirRig *r, const char *name);

/* A source of `size` bytes, its content by `seed`; the caller closes. */
int dir_rig_source(const DirRig *r, uint64_t size, uint64_t seed, Digest *ret);
/* The caller frees the task. */
Task *dir_rig_put_task(int fd, uint64_t size, const Digest *digest, const char *path);
Task *dir_rig_put(DirRig *r, uint64_t size, uint64_t seed, const char *path);
Task *dir_rig_confirm(DirRig *r, const Task *put);
/* WIRE_STORE_READY or what it was found in. */
const char *dir_rig_probe(DirRig *r, bool thorough, uint64_t need_bytes);
void assert_done(const Task *task, bool already_there);
void assert_failed(const Task *task, const char *error, const char *state);

unsigned dir_rig_count(const DirRig *r, const char *below);
/* Every manifest names its object, of right size and digest, and there is no other object. Returns how many. */
unsigned dir_rig_check(const DirRig *r);
void dir_rig_write(const DirRig *r, const char *name, const char *text);
