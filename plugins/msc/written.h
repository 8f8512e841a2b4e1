/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an erase, or the making of a file, wrote, sector by sector, so that it can be looked at again: worn-out cards take writes and
 * forget them.
 */

#include <stddef.h>

#include "disk.h"

typedef struct WrittenSector {
        uint64_t sector, digest;
        uint32_t order;
} WrittenSector;

typedef struct Written {
        WrittenSector *items;
        size_t n, room;
} Written;

/* -E2BIG past what is remembered of one erase. */
int written_note(Written *w, const Disk *disk, uint64_t sector, uint32_t n, const void *data);
/* Reads all of them from the disk. -EIO when one has another content than was written to it last; errors of the disk. */
int written_check(Written *w, const Disk *disk);
void written_clear(Written *w);
