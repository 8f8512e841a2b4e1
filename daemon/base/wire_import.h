/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Between an import's worker and the berthctl that serves the folder: packets over a SOCK_SEQPACKET pair, one end of which berthctl
 * hands to berthd, which hands it to the worker unread. The worker asks, berthctl answers; neither trusts the other. Files are opened
 * by berthctl, with the rights of whoever runs it.
 *
 *   WIRE_IMPORT_ENTRY  the index-th file: its path below the folder, size and time; -ENOENT past the last
 *   WIRE_IMPORT_OPEN   the same file, opened for reading: the descriptor comes with the answer
 */

#include <stdint.h>

#include <berth/plugin.h>

enum { WIRE_IMPORT_ENTRY = 1, WIRE_IMPORT_OPEN = 2 };

typedef struct WireImportRequest {
        uint32_t what, index;
} WireImportRequest;

typedef struct WireImportAnswer {
        int32_t result; /* 0 or -errno */
        uint32_t path_length;
        uint64_t size_bytes;
        int64_t mtime_unix_sec;
        char path[BERTH_PATH_MAX]; /* as plugin.h has paths; path_length bytes of it are sent */
} WireImportAnswer;

/* What the custody log calls the camera that an import's clips are of. No camera may have such a serial. */
#define IMPORT_SERIAL_PREFIX "import:"
