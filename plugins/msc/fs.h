/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A FAT12, FAT16, FAT32 or exFAT file system on a Disk. Everything on it is taken for an attack: each number is checked
 * before it is used, work is bounded by the size of the medium, memory by the limits below.
 *
 * Nothing is written but by fs_erase() and fs_create(), which leave a medium on which at most clusters of that file are lost when
 * its power goes at any write (see README.md).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk.h"

#define FS_FILES_MAX 131072u           /* files of one file system, and as many folders */
#define FS_NAMES_MAX (32u << 20)       /* bytes of all their names */
#define FS_DEPTH_MAX 64u               /* folders above a file */
#define FS_FOLDERS_BYTES_MAX (UINT64_C(128) << 20) /* all folders together, as they are on the medium */
#define FS_EXTENTS_MAX (1u << 20)      /* of one file */
#define FS_RUNS_MAX (2u << 20)         /* of all files and folders together; with more, nothing is erased */
#define FS_LABEL_MAX 64u
#define FS_WHY_MAX 320u

#define FS_TIME_UNKNOWN INT64_MIN
#define FS_BYTES_UNKNOWN UINT64_MAX

/* Answers of fs_walk() and fs_erase(): documented, no failures. The first two are BERTH_GONE and BERTH_DENIED. */
#define FS_GONE 1
#define FS_DENIED 2
#define FS_INCOMPLETE 3

typedef struct Fs Fs;

typedef enum FsKind {
        FS_FAT12,
        FS_FAT16,
        FS_FAT32,
        FS_EXFAT,
        _FS_KIND_MAX,
} FsKind;

/* "FAT12", "FAT16", "FAT32", "exFAT" */
const char *fs_kind_name(FsKind kind);

typedef struct FsOptions {
        int utc_offset_minutes; /* how far the camera's dates are ahead of UTC where they name no zone of their own */
        int64_t (*to_utc)(int64_t wall_sec); /* converts those instead, when it is not NULL */
        bool erase_dirty;       /* erase from a volume that somebody else did not leave cleanly, too */
} FsOptions;

typedef struct FsInfo {
        FsKind kind;
        uint32_t volume_id;
        char label[FS_LABEL_MAX]; /* UTF-8, "" when there is none */
        bool dirty;               /* whoever wrote to it last did not leave it cleanly */
        bool dirty_by_erase;      /* and that was an erase of ours, which was cut short: more may be erased */
        bool failing;             /* whoever had it last met sectors that fail */
        uint32_t cluster_bytes;
        uint64_t total_bytes;
        uint64_t free_bytes; /* or FS_BYTES_UNKNOWN */
} FsInfo;

/* A name as it is on the medium, in UTF-8; unpaired surrogates stay apart (as three bytes that are not UTF-8). */
typedef struct FsName {
        const char *text; /* NUL-terminated, which says nothing about its end: it may hold NULs */
        size_t size;
} FsName;

typedef struct FsFile {
        const FsName *names; /* from the root folder down; the last is the file's own */
        size_t n_names;
        uint64_t size_bytes;
        int64_t mtime_unix_sec; /* or FS_TIME_UNKNOWN */
        bool read_only, hidden, system;
        uint64_t handle; /* never 0; the same in each walk until fs_close(), unless the file was erased */
} FsFile;

/*
 * Where the bytes of a file are, in their order, without gaps: each byte of it lies in exactly one extent. Those of kind
 * FS_EXTENT_DATA begin at the start of a sector; only the last of a file, and the last before FS_EXTENT_ZEROS, end within one.
 */
typedef enum FsExtentKind {
        FS_EXTENT_DATA,
        FS_EXTENT_ZEROS, /* not on the medium: the file says that they were never written, they read as zeros */
        FS_EXTENT_LOST,  /* the file says that they exist, and the medium not where: an error, never zeros */
} FsExtentKind;

typedef struct FsExtent {
        uint64_t offset_bytes; /* in the file */
        uint64_t length_bytes; /* never 0 */
        uint64_t sector;       /* on the Disk, of FS_EXTENT_DATA */
        FsExtentKind kind;
} FsExtent;

typedef struct FsExtents {
        FsExtent *items;
        size_t n; /* 0 for an empty file */
        uint64_t size_bytes;
} FsExtents;

/* Called for each file; a negative return ends the walk and is returned. Everything in it is good until the return. */
typedef int (*FsFileSink)(void *userdata, const FsFile *file);

/*
 * Looks whether there is a file system. The Disk is copied; its userdata must outlive the Fs. 0; -EMEDIUMTYPE when it is
 * neither FAT nor exFAT; -EUCLEAN when it is one and too damaged to be read; errors of the Disk; -ENOMEM. On failure `why`
 * is one sentence.
 */
int fs_open(const Disk *disk, const FsOptions *options, Fs **ret, char why[FS_WHY_MAX]);
/* Takes NULL. Writes nothing. Returns NULL. */
Fs *fs_close(Fs *fs);

/* What the last negative or positive answer was about, one sentence; "" after none. Good until the next call. */
const char *fs_why(const Fs *fs);

/* May read the whole allocation table, when that is not too big, and nothing else says how much is free. */
int fs_info(Fs *fs, FsInfo *ret);

/*
 * Reads all folders, then calls the sink for each file. 0; FS_INCOMPLETE when there are folders or entries that cannot be
 * read or make no sense: the sink has seen everything else, fs_problem() names them, and nothing is erased from that medium;
 * -E2BIG past a limit; errors of the sink and, when the medium is gone, of the Disk.
 */
int fs_walk(Fs *fs, FsFileSink sink, void *userdata);
/* The n-th thing that the last walk stumbled over, one sentence; NULL past the end. The first few are kept. */
const char *fs_problem(const Fs *fs, size_t n);

/*
 * Where the file's bytes are. Free it by fs_extents_clear(). 0; -ENOENT for a handle that the last walk did not tell; -E2BIG
 * for more than FS_EXTENTS_MAX; errors of the Disk. A damaged file is no failure: see FS_EXTENT_LOST, and fs_why().
 */
int fs_extents(Fs *fs, uint64_t handle, FsExtents *ret);
void fs_extents_clear(FsExtents *extents);
/* The index of the extent that holds the byte at `offset`; n when the file ends before it. */
size_t fs_extents_find(const FsExtents *extents, uint64_t offset);

/*
 * Deletes the file and frees its clusters. 0 when all of it is on the medium; FS_GONE when the entry is not there any more as it
 * was listed; FS_DENIED, with fs_why(), for what cannot be erased without harm: clusters that another file uses too, damage,
 * a dirty volume, write protection; -ENOENT as fs_extents(); errors of the Disk, after which nothing more is
 * erased and the volume stays marked as dirty.
 */
int fs_erase(Fs *fs, uint64_t handle);

/* The bytes of a file that is made: `length` of them from `offset` on, or -errno. */
typedef struct FsSource {
        uint64_t size_bytes;
        int (*read)(void *userdata, uint64_t offset, void *ret, size_t length);
        void *userdata;
} FsSource;

/*
 * Makes a file after a walk, in place of one of that name (case does not count), and the folders above it that are missing. `path` is
 * ASCII, its components joined by '/'. It is there whole, or not at all. 0 when all of it is on the medium; FS_DENIED, with fs_why(), as
 * fs_erase(); -ENOSPC, with fs_why(); -EINVAL, with fs_why(), for a name that the file system cannot have; errors of the source and of the
 * Disk, as fs_erase(). What was listed counts for nothing any more afterwards.
 */
int fs_create(Fs *fs, const char *path, const FsSource *source);
/* How much of the path the walk has found: the folders, and with the last one the file itself. */
size_t fs_depth_found(const Fs *fs, const char *path);
