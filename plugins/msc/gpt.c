/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "partition.h"

/* The GUID partition table (UEFI 2.10 §5.3): a header and an array at either end of the medium. */

#define HEADER_SIZE_MIN 92u
#define ENTRY_SIZE_MIN 128u
#define ENTRY_SIZE_MAX 4096u
#define ENTRIES_MAX 1024u
#define ARRAY_BYTES_MAX (1u << 20)
#define GUID_SIZE 16u

/* EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, as it lies in memory: what Windows calls basic data. */
static const uint8_t basic_data[GUID_SIZE] = {
        0xA2, 0xA0, 0xD0, 0xEB, 0xE5, 0xB9, 0x33, 0x44, 0x87, 0xC0, 0x68, 0xB6, 0xB7, 0x26, 0x99, 0xC7,
};

typedef struct Header {
        uint64_t first_usable, last_usable, array;
        uint32_t n_entries, entry_size, array_crc;
} Header;

static uint32_t crc32_add(uint32_t crc, const uint8_t *data, size_t size) {
        for (size_t i = 0; i < size; i++) {
                crc ^= data[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xEDB88320) : 0);
        }
        return crc;
}

/* -EBADMSG unless the sector at `at` holds a header that is whole and at its place. */
static int parse_header(const Disk *disk, uint64_t at, const uint8_t *sector, Header *ret) {
        static const uint8_t no_crc[4];
        uint32_t size = get_le32(sector + 12), crc;
        Header h = {
                .first_usable = get_le64(sector + 40),
                .last_usable = get_le64(sector + 48),
                .array = get_le64(sector + 72),
                .n_entries = get_le32(sector + 80),
                .entry_size = get_le32(sector + 84),
                .array_crc = get_le32(sector + 88),
        };

        if (memcmp(sector, "EFI PART", 8) != 0 || size < HEADER_SIZE_MIN || size > disk->sector_bytes ||
            get_le64(sector + 24) != at)
                return -EBADMSG;
        crc = crc32_add(UINT32_MAX, sector, 16);
        crc = crc32_add(crc, no_crc, sizeof(no_crc));
        crc = crc32_add(crc, sector + 20, size - 20);
        if (~crc != get_le32(sector + 16))
                return -EBADMSG;
        if (h.entry_size < ENTRY_SIZE_MIN || h.entry_size > ENTRY_SIZE_MAX || (h.entry_size & (h.entry_size - 1)) != 0 ||
            h.n_entries > ENTRIES_MAX || h.n_entries * h.entry_size > ARRAY_BYTES_MAX || h.last_usable >= disk->n_sectors ||
            h.first_usable > h.last_usable)
                return -EBADMSG;
        *ret = h;
        return 0;
}

/* *ret is new, to be freed. */
static int read_array(const Disk *disk, const Header *h, uint8_t **ret) {
        size_t size = (size_t) h->n_entries * h->entry_size;
        uint32_t n = (uint32_t) ((size + disk->sector_bytes - 1) / disk->sector_bytes);
        uint8_t *array;
        int r;

        if (h->array < 2 || h->array >= disk->n_sectors || n > disk->n_sectors - h->array)
                return -EBADMSG;
        array = calloc((size_t) n + 1, disk->sector_bytes);
        if (!array)
                return -ENOMEM;
        r = disk->read(disk->userdata, h->array, n, array);
        if (r == 0 && ~crc32_add(UINT32_MAX, array, size) != h->array_crc)
                r = -EBADMSG;
        if (r < 0) {
                free(array);
                return r;
        }
        *ret = array;
        return 0;
}

/* One of the two copies. */
static int read_copy(const Disk *disk, uint64_t at, uint8_t *buffer, Header *ret_header, uint8_t **ret_array) {
        int r;

        r = disk->read(disk->userdata, at, 1, buffer);
        if (r < 0)
                return r;
        r = parse_header(disk, at, buffer, ret_header);
        if (r < 0)
                return r;
        return read_array(disk, ret_header, ret_array);
}

static int take_entries(const Disk *disk, const Header *h, const uint8_t *array, Partitions *ret) {
        static const uint8_t unused[GUID_SIZE];

        for (uint32_t i = 0; i < h->n_entries; i++) {
                const uint8_t *entry = array + (size_t) i * h->entry_size;
                uint64_t first = get_le64(entry + 32), last = get_le64(entry + 40);
                int r;

                if (memcmp(entry, unused, GUID_SIZE) == 0)
                        continue;
                if (first < h->first_usable || last > h->last_usable || first > last)
                        return -EBADMSG;
                r = partitions_add(ret, disk, &(const Partition){
                        .number = i + 1,
                        .sector = first,
                        .n_sectors = last - first + 1,
                        .may_hold_files = memcmp(entry, basic_data, GUID_SIZE) == 0,
                });
                if (r < 0)
                        return r;
        }
        return 0;
}

int gpt_read(const Disk *disk, uint8_t *buffer, Partitions *ret, const char **ret_why) {
        uint8_t *array = NULL;
        Header header;
        int r;

        if (disk->n_sectors < 6)
                return 1;
        r = read_copy(disk, 1, buffer, &header, &array);
        if (r == -EBADMSG || r == -EIO)
                r = read_copy(disk, disk->n_sectors - 1, buffer, &header, &array);
        if (r < 0) {
                if (r == -EBADMSG)
                        *ret_why = "neither of its two GUID partition tables is whole";
                return r;
        }
        r = take_entries(disk, &header, array, ret);
        free(array);
        if (r == -EBADMSG)
                *ret_why = "its GUID partition table names sectors outside of it, or the same ones twice";
        else if (r == -E2BIG)
                *ret_why = "it has more partitions than Berth looks at";
        return r;
}
