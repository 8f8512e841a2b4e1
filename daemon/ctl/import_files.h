/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The footage in a folder that is imported. */

#include <stddef.h>
#include <stdint.h>

#include "ctl/ctl.h"

typedef struct ImportFile {
        char *raw;  /* below the folder, as the file system has it */
        char *path; /* the same as plugin.h has paths */
        uint64_t size_bytes;
        int64_t mtime_unix_sec;
} ImportFile;

typedef struct ImportFiles {
        int root; /* the folder */
        ImportFile *items;
        size_t n;
} ImportFiles;

/* Files that --model calls footage or companions, or else video files, in order of their paths: a CtlExit. */
int import_files_find(const Options *options, const char *folder, ImportFiles *ret);
/* Opened for reading, without following a link anywhere below the folder; -errno. */
int import_files_open(const ImportFiles *files, size_t index);
/* What the folder is to its file system. */
int import_files_id(const ImportFiles *files, char *ret, size_t size);
void import_files_done(ImportFiles *files);
