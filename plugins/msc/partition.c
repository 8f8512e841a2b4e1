/* SPDX-License-Identifier: Apache-2.0 */
#include "partition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

#define TABLE_OFFSET 446u
#define ENTRY_SIZE 16u
#define ENTRIES 4u
#define SIGNATURE_OFFSET 510u
#define LOGICAL_MAX 64u /* hops along a chain of extended boot records */
#define FIRST_LOGICAL 5u

#define TYPE_GPT 0xEE

typedef struct Entry {
        uint8_t status, type;
        uint32_t first, n;
} Entry;

static Entry entry_at(const uint8_t *sector, size_t i) {
        const uint8_t *p = sector + TABLE_OFFSET + i * ENTRY_SIZE;

        return (Entry){ .status = p[0], .type = p[4], .first = get_le32(p + 8), .n = get_le32(p + 12) };
}

static bool is_extended(uint8_t type) {
        return type == 0x05 || type == 0x0F || type == 0x85;
}

/* FAT12/16/32 in all their forms, and 07: NTFS and exFAT. */
static bool is_for_files(uint8_t type) {
        return type == 0x01 || type == 0x04 || type == 0x06 || type == 0x07 || type == 0x0B || type == 0x0C || type == 0x0E;
}

int partitions_add(Partitions *list, const Disk *disk, const Partition *partition) {
        Partition p = *partition;

        if (list->n == PARTITIONS_MAX)
                return -E2BIG;
        if (p.n_sectors == 0 || p.sector == 0 || p.sector >= disk->n_sectors)
                return -EBADMSG;
        /* Cards that were cloned onto slightly smaller ones go on working; what is not there fails when it is read. */
        if (p.n_sectors > disk->n_sectors - p.sector)
                p.n_sectors = disk->n_sectors - p.sector;
        for (size_t i = 0; i < list->n; i++) {
                const Partition *other = &list->items[i];

                if (p.sector < other->sector + other->n_sectors && other->sector < p.sector + p.n_sectors)
                        return -EBADMSG;
        }
        list->items[list->n++] = p;
        return 0;
}

/* The chain of extended boot records (each names a logical partition and the next record). It may not come back to itself. */
static int read_logical(const Disk *disk, uint8_t *buffer, uint64_t base, uint64_t length, Partitions *ret) {
        uint64_t at = base;

        for (unsigned hop = 0; hop < LOGICAL_MAX; hop++) {
                Entry logical, next;
                int r;

                r = disk->read(disk->userdata, at, 1, buffer);
                if (r < 0)
                        return r;
                if (get_le16(buffer + SIGNATURE_OFFSET) != 0xAA55)
                        return -EBADMSG;
                logical = entry_at(buffer, 0);
                next = entry_at(buffer, 1);
                if (logical.type != 0 && logical.n > 0) {
                        r = partitions_add(ret, disk, &(const Partition){
                                .number = FIRST_LOGICAL + hop,
                                .sector = at + logical.first,
                                .n_sectors = logical.n,
                                .may_hold_files = is_for_files(logical.type),
                        });
                        if (r < 0)
                                return r;
                }
                if (!is_extended(next.type) || next.n == 0)
                        return 0;
                /* Records can still loop: the hops are counted, and no logical partition is added twice. */
                if (next.first >= length || base + next.first >= disk->n_sectors || base + next.first == at)
                        return -EBADMSG;
                at = base + next.first;
        }
        return -EBADMSG;
}

/* A boot sector of a file system ends like a partition table; the four entries are then code or nothing. */
static bool is_table(const uint8_t *sector, const Disk *disk) {
        bool any = false;

        if (get_le16(sector + SIGNATURE_OFFSET) != 0xAA55 || memcmp(sector + 3, "EXFAT   ", 8) == 0)
                return false;
        for (size_t i = 0; i < ENTRIES; i++) {
                Entry e = entry_at(sector, i);

                if (e.status != 0 && e.status != 0x80)
                        return false;
                if (e.type == 0 || e.n == 0)
                        continue;
                if (e.first == 0 || e.first >= disk->n_sectors)
                        return false;
                any = true;
        }
        return any;
}

static bool is_protective(const uint8_t *sector) {
        for (size_t i = 0; i < ENTRIES; i++)
                if (entry_at(sector, i).type == TYPE_GPT)
                        return true;
        return false;
}

static int read_mbr(const Disk *disk, const uint8_t *sector, uint8_t *buffer, Partitions *ret, const char **ret_why) {
        int r = 0;

        for (size_t i = 0; i < ENTRIES && r == 0; i++) {
                Entry e = entry_at(sector, i);

                if (e.type == 0 || e.n == 0 || e.type == TYPE_GPT)
                        continue;
                if (is_extended(e.type))
                        r = read_logical(disk, buffer, e.first, e.n, ret);
                else
                        r = partitions_add(ret, disk, &(const Partition){
                                .number = (unsigned) i + 1,
                                .sector = e.first,
                                .n_sectors = e.n,
                                .may_hold_files = is_for_files(e.type),
                        });
        }
        if (r == -EBADMSG)
                *ret_why = "its partitions lie over each other or outside of it, or their chain never ends";
        else if (r == -E2BIG)
                *ret_why = "it has more partitions than Berth looks at";
        return r;
}

static int read_table(const Disk *disk, uint8_t *sector, uint8_t *buffer, Partitions *ret, const char **ret_why) {
        int r;

        r = disk->read(disk->userdata, 0, 1, sector);
        if (r < 0)
                return r;
        if (is_table(sector, disk)) {
                r = is_protective(sector) ? gpt_read(disk, buffer, ret, ret_why) : 1;
                if (r == 1)
                        r = read_mbr(disk, sector, buffer, ret, ret_why);
                return r;
        }
        ret->items[ret->n++] = (Partition){ .number = 0, .sector = 0, .n_sectors = disk->n_sectors, .may_hold_files = true };
        return 0;
}

int partitions_read(const Disk *disk, Partitions *ret, const char **ret_why) {
        Partitions list = { .n = 0 };
        uint8_t *sectors;
        int r;

        *ret_why = "its first sectors cannot be read";
        sectors = malloc((size_t) 2 * disk->sector_bytes);
        if (!sectors)
                return -ENOMEM;
        r = read_table(disk, sectors, sectors + disk->sector_bytes, &list, ret_why);
        free(sectors);
        if (r < 0)
                return r;
        *ret = list;
        return 0;
}
