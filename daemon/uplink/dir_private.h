/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parts of the dir backend. All of it blocks, and runs on any number of threads at once. */

#include <pthread.h>

#include "uplink/dir.h"
#include "base/layout.h"
#include "uplink/manifest.h"
#include "uplink/successor.h"

#define DIR_MARKER ".berth-store"
#define DIR_TMP "tmp"
#define DIR_MODE 0750
#define TMP_MODE 0640
#define FILE_MODE 0440 /* once whole */

typedef struct DirStore {
        char *path, *mount_point, *state_dir;
        bool create, read_back, same_disk_is_store;
        char owner[17]; /* this machine's folder in tmp/ */

        pthread_mutex_t mutex;
        char known_id[33]; /* guarded: the store that was seen at this place, "" before the first look */
        Successor successor; /* of the thread that replaces */
        bool swept;          /* of the thread that probes: what was left behind when this process began is gone */
} DirStore;

int dir_store_new(const DirSettings *settings, DirStore **ret);
DirStore *dir_store_free(DirStore *s);
DEFINE_CLEANUP(DirStore, dir_store_free);

/* ---- dir_root.c: is this the store? -------------------------------------------------------------------------------- */

/* The store's folder, when it is there and is the one that it was before; with `may_create`, made a store when it is empty. */
int dir_open_root(DirStore *s, bool may_create, Answer *answer);
/* Fills `answer` for an errno that came up while `doing` ("writing an object"). */
int dir_fail(const DirStore *s, int error, const char *doing, Answer *answer);

/* ---- dir_file.c: names and durability ------------------------------------------------------------------------------ */

/* A folder that is there. */
int dir_open_dir(int dir, const char *name);
/* The three folders that a key lies in. */
typedef struct DirChain {
        int fds[3];
} DirChain;
#define DIR_CHAIN_NONE { { -EBADF, -EBADF, -EBADF } }

/* -ENOENT when `make` is not set and one is missing; the topmost is never made here. */
int dir_open_chain(int root, const LayoutKey *key, bool make, DirChain *ret);
void dir_close_chain(DirChain *c);
int dir_sync_chain(const DirChain *c);
/* Moves without ever replacing: -EEXIST. -EOPNOTSUPP when the file system has no way of doing so. */
int dir_place(int from_dir, const char *from, int to_dir, const char *to);
/* tmp/<owner>/ */
int dir_open_tmp(const DirStore *s, int root, bool make);
/* A new file of ours there, locked against the sweep of another process of this machine. */
int dir_create_tmp(int tmp, const char *name);
#define DIR_NEW_NAME_SIZE 24u
/*
 * A file under a name of its own in tmp/, for what is put in one piece: both descriptors are the caller's. `making` says in the answer's
 * sentence what could not be done ("making …").
 */
int dir_new_tmp(DirStore *s, int root, const char *making, char ret_name[static DIR_NEW_NAME_SIZE], int *ret_tmp, int *ret_fd,
                Answer *answer);
/* -EBUSY when another holds it; another error where the file system knows no locks. Ends with the descriptor. */
int dir_lock(int fd);

/* ---- dir_read.c: what is there already ----------------------------------------------------------------------------- */

/* A whole file of at most MANIFEST_SIZE_MAX bytes, from the disk: -ENOENT, -EBADMSG when it is larger or no file. */
int dir_read_small(int dir, const char *name, char **ret, size_t *ret_size);
const char *dir_strength(const DirStore *s, bool same_file_system, bool read_back);
/* From the disk. -ENOENT; -EBADMSG and -ENOTSUP as manifest_parse(). */
int dir_read_manifest(int root, const LayoutKey *key, Manifest **ret);
/*
 * Is the clip stored already? 0: no. 1: yes, and the object was read whole; the task's receipt is filled. -1: answered, also
 * when something else is there. With ret_lost, 2: its manifest is there, and the object that it names is gone, whose key the caller frees.
 */
int dir_look_up(DirStore *s, int root, Task *task, const char *manifest_key, uint64_t source_device, char **ret_lost);
void dir_confirm(DirStore *s, Task *task);

/* ---- dir_put.c, dir_probe.c ---------------------------------------------------------------------------------------- */

void dir_put(DirStore *s, Task *task);
void dir_probe(DirStore *s, Task *task);
void dir_keep(DirStore *s, Task *task);
void dir_replace(DirStore *s, Task *task);
void dir_fetch(DirStore *s, Task *task);
/* dir_list.c, dir_image.c */
void dir_list(DirStore *s, Task *task);
void dir_put_image(DirStore *s, Task *task);
void dir_get_image(DirStore *s, Task *task);
/* Removes what killed processes of this machine left behind; -errno when it could not look. */
int dir_sweep(DirStore *s, int root);
