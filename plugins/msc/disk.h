/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the file systems stand on. Above this line nobody knows of SCSI or USB, below it nobody of files: a test puts an
 * image, a log of writes or a liar in its place.
 */

#include <stdbool.h>
#include <stdint.h>

#define DISK_SECTOR_MIN 512u
#define DISK_SECTOR_MAX 4096u

/*
 * A run of sectors: a partition, or a whole medium. Offsets and lengths are in its own sectors, from its start. The calls
 * return 0 or a negative errno: -EIO is a sector that the medium does not give (unrecovered read error), -EROFS write
 * protection, -ENODEV unplugged, -EINVAL sectors past the end. Whoever reads many sectors with one call that fails learns
 * which of them are bad by asking for fewer.
 */
typedef struct Disk {
        void *userdata;
        uint32_t sector_bytes; /* DISK_SECTOR_MIN to DISK_SECTOR_MAX, a power of two */
        uint64_t n_sectors;
        bool read_only;
        /* Into memory: for metadata. Any number of sectors. */
        int (*read)(void *userdata, uint64_t sector, uint32_t n, void *ret);
        /* Reaches the device in the order of the calls; what it keeps in a cache may be lost until flush() returned. */
        int (*write)(void *userdata, uint64_t sector, uint32_t n, const void *data);
        /* Everything written before is on the medium before anything that is written after. */
        int (*flush)(void *userdata);
} Disk;
