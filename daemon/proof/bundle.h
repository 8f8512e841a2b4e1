/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an export is written into: a new folder, or a tar file (ustar). Each file is hashed on its way, for the media hash list. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/macro.h"
#include "proof/c4.h"

#define BUNDLE_NAME_MAX 99u /* bytes of a file's name in the bundle, as tar has them */

typedef struct BundleFile {
        char *name;
        uint64_t size;
        int64_t mtime_unix_sec;
        char c4[C4_SIZE];
        char md5[33];
} BundleFile;

typedef struct Bundle {
        int fd; /* the folder's, or the tar file's */
        bool tar;
        const char *path; /* as it was opened with; borrowed */
        int64_t now_unix_sec;
        BundleFile *files;
        size_t n_files;
} Bundle;

/* `path` must not exist, and stays the caller's; a tar file when it ends in ".tar". -EEXIST. */
int bundle_open(const char *path, Bundle *ret);
/*
 * An empty file beside what is written, on the same disk, without a name: for what has to be had whole before it can be copied. The caller
 * closes it.
 */
int bundle_scratch(const Bundle *b, int *ret_fd);
/* How much more that disk takes. */
int bundle_free_bytes(const Bundle *b, uint64_t *ret);
/* The end: everything is synced. */
int bundle_finish(Bundle *b);
void bundle_done(Bundle *b);
/* `name` is a relative path of harmless components. -ENAMETOOLONG, -EEXIST. */
int bundle_text(Bundle *b, const char *name, const char *text, size_t size);
/* A file's content, of that size; *ret_digest is its SHA-256. */
int bundle_copy(Bundle *b, const char *name, int fd, uint64_t size, int64_t mtime_unix_sec, Digest *ret_digest);
