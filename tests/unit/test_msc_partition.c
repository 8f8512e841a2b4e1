/* SPDX-License-Identifier: Apache-2.0 */

/* Partition tables: MBR with chains of logical partitions, GPT, none; hostile ones. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../plugins/msc/partition.h"
#include "base/macro.h"

#define SECTORS_KEPT 256u

/* A medium of which the first and the last sectors are in memory, and the rest is zeros. */
static struct {
        uint8_t head[SECTORS_KEPT][4096], tail[SECTORS_KEPT][4096];
        uint64_t bad; /* a sector that cannot be read */
        unsigned reads;
        Disk disk;
} medium;

static uint8_t *sector_at(uint64_t sector) {
        if (sector < SECTORS_KEPT)
                return medium.head[sector];
        return medium.disk.n_sectors - sector <= SECTORS_KEPT ? medium.tail[medium.disk.n_sectors - sector - 1] : NULL;
}

static int medium_read(void *userdata, uint64_t sector, uint32_t n, void *ret) {
        (void) userdata;
        assert_true(sector < medium.disk.n_sectors && n <= medium.disk.n_sectors - sector);
        for (uint32_t i = 0; i < n; i++) {
                const uint8_t *from = sector_at(sector + i);

                medium.reads++;
                if (sector + i == medium.bad)
                        return -EIO;
                if (from)
                        memcpy((uint8_t *) ret + (size_t) i * medium.disk.sector_bytes, from, medium.disk.sector_bytes);
                else
                        memset((uint8_t *) ret + (size_t) i * medium.disk.sector_bytes, 0, medium.disk.sector_bytes);
        }
        return 0;
}

static void medium_new(uint64_t n_sectors, uint32_t sector_bytes) {
        memset(&medium, 0, sizeof(medium));
        medium.bad = UINT64_MAX;
        medium.disk = (Disk){ .sector_bytes = sector_bytes, .n_sectors = n_sectors, .read = medium_read };
}

static void put_le(uint8_t *p, uint64_t v, size_t size) {
        for (size_t i = 0; i < size; i++)
                p[i] = (uint8_t) (v >> 8 * i);
}

static void entry(uint64_t sector, unsigned i, uint8_t type, uint32_t first, uint32_t n) {
        uint8_t *s = sector_at(sector), *e = s + 446 + (size_t) 16 * i;

        s[510] = 0x55;
        s[511] = 0xAA;
        e[4] = type;
        put_le(e + 8, first, 4);
        put_le(e + 12, n, 4);
}

static int read_them(Partitions *ret) {
        const char *why = NULL;
        int r;

        memset(ret, 0, sizeof(*ret));
        r = partitions_read(&medium.disk, ret, &why);
        assert_non_null(why);
        return r;
}

static void assert_partition(const Partitions *list, size_t i, unsigned number, uint64_t sector, uint64_t n, bool files) {
        assert_true(i < list->n);
        assert_int_equal(list->items[i].number, number);
        assert_int_equal(list->items[i].sector, sector);
        assert_int_equal(list->items[i].n_sectors, n);
        assert_int_equal(list->items[i].may_hold_files, files);
}

/* ---- MBR ---- */

static void test_primary_and_logical_partitions_are_found(void **state) {
        Partitions list;

        (void) state;
        medium_new(100000, 512);
        entry(0, 0, 0x0C, 64, 1000);
        entry(0, 2, 0x05, 100, 50000);
        entry(0, 3, 0x83, 60000, 100);
        /* Each extended record: the logical one from itself on, the next record from the first one on. */
        entry(100, 0, 0x07, 2000, 3000);
        entry(100, 1, 0x05, 80, 20000);
        entry(180, 0, 0x82, 10000, 500);
        assert_int_equal(read_them(&list), 0);
        assert_int_equal(list.n, 4);
        assert_partition(&list, 0, 1, 64, 1000, true);
        assert_partition(&list, 1, 5, 2100, 3000, true);
        assert_partition(&list, 2, 6, 10180, 500, false);
        assert_partition(&list, 3, 4, 60000, 100, false);
}

static void test_medium_without_a_table_is_one_volume(void **state) {
        static const struct {
                const char *name;
                size_t offset;
                const char *bytes;
                size_t n;
        } kinds[] = {
                { "nothing", 0, "", 0 },
                { "a boot sector with code where the table is", 446, "\x0d\x0aRemove disks", 14 },
                { "exFAT", 3, "EXFAT   ", 8 },
                { "a boot sector with zeros there", 0, "\xeb\x58\x90mkfs.fat", 11 },
        };
        Partitions list;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                medium_new(5000, 512);
                memcpy(medium.head[0] + kinds[i].offset, kinds[i].bytes, kinds[i].n);
                medium.head[0][510] = 0x55;
                medium.head[0][511] = 0xAA;
                if (i == 2)
                        entry(0, 0, 0x07, 1, 100);
                assert_int_equal(read_them(&list), 0);
                assert_int_equal(list.n, 1);
                assert_partition(&list, 0, 0, 0, 5000, true);
        }
}

static void test_partition_that_is_longer_than_the_medium_is_cut(void **state) {
        Partitions list;

        (void) state;
        medium_new(5000, 512);
        entry(0, 0, 0x0B, 2048, 100000);
        assert_int_equal(read_them(&list), 0);
        assert_partition(&list, 0, 1, 2048, 2952, true);
}

static void test_chains_that_loop_or_lead_away_are_refused(void **state) {
        static const uint32_t next[] = { 0, 80, 20, 100000, 0xFFFFFFFF };
        Partitions list;

        (void) state;
        /* To itself, to the second again, to each other, past the end of its partition, and past that of the medium. */
        for (size_t i = 0; i < ELEMENTSOF(next); i++) {
                medium_new(100000, 512);
                entry(0, 0, 0x0F, 100, 90000);
                entry(100, 1, 0x05, 80, 10);
                entry(180, 1, 0x05, next[i], 10);
                entry(120, 1, 0x05, 80, 10);
                assert_int_equal(read_them(&list), -EBADMSG);
                assert_true(medium.reads < 100);
                assert_int_equal(list.n, 0);
        }
}

static void test_partitions_over_each_other_are_refused(void **state) {
        Partitions list;

        (void) state;
        medium_new(100000, 512);
        entry(0, 0, 0x0C, 64, 1000);
        entry(0, 1, 0x0C, 1063, 1000);
        assert_int_equal(read_them(&list), -EBADMSG);
        entry(0, 1, 0x0C, 1064, 1000);
        assert_int_equal(read_them(&list), 0);
}

static void test_more_partitions_than_berth_looks_at_are_refused(void **state) {
        Partitions list;

        (void) state;
        medium_new(100000, 512);
        entry(0, 0, 0x0F, 100, 90000);
        for (uint32_t i = 0; i < 40; i++) {
                entry(100 + i, 0, 0x0C, 1000 + 10 * i, 5);
                entry(100 + i, 1, 0x05, i + 1, 10);
        }
        assert_int_equal(read_them(&list), -E2BIG);
}

static void test_sector_that_cannot_be_read_is_told_as_that(void **state) {
        Partitions list;

        (void) state;
        medium_new(100000, 512);
        medium.bad = 0;
        assert_int_equal(read_them(&list), -EIO);
}

/* ---- GPT ---- */

static uint32_t crc32_of(const uint8_t *data, size_t size) {
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < size; i++) {
                crc ^= data[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xEDB88320) : crc >> 1;
        }
        return ~crc;
}

static void sign_header(uint64_t at) {
        uint8_t *h = sector_at(at);

        put_le(h + 16, 0, 4);
        put_le(h + 16, crc32_of(h, 92), 4);
}

/* Four entries of 128 bytes, which lie in one sector. */
static void write_header(uint64_t at, uint64_t other, uint64_t array) {
        uint8_t *h = sector_at(at);

        memcpy(h, "EFI PART\0\0\1\0", 12);
        put_le(h + 12, 92, 4);
        put_le(h + 24, at, 8);
        put_le(h + 32, other, 8);
        put_le(h + 40, 34, 8);
        put_le(h + 48, medium.disk.n_sectors - 34, 8);
        put_le(h + 72, array, 8);
        put_le(h + 80, 4, 4);
        put_le(h + 84, 128, 4);
        put_le(h + 88, crc32_of(sector_at(array), 512), 4);
        sign_header(at);
}

static void gpt_entry(unsigned i, const char *type, uint64_t first, uint64_t last) {
        uint64_t arrays[] = { 2, medium.disk.n_sectors - 2 };

        for (size_t k = 0; k < ELEMENTSOF(arrays); k++) {
                uint8_t *e = sector_at(arrays[k]) + (size_t) 128 * i;

                memcpy(e, type, 16);
                put_le(e + 32, first, 8);
                put_le(e + 40, last, 8);
        }
}

#define BASIC "\xA2\xA0\xD0\xEB\xE5\xB9\x33\x44\x87\xC0\x68\xB6\xB7\x26\x99\xC7"
#define LINUX "\xAF\x3D\xC6\x0F\x83\x84\x72\x47\x8E\x79\x3D\x69\xD8\x47\x7D\xE4"

static void gpt_finish(void) {
        entry(0, 0, 0xEE, 1, UINT32_MAX);
        write_header(1, medium.disk.n_sectors - 1, 2);
        write_header(medium.disk.n_sectors - 1, 1, medium.disk.n_sectors - 2);
}

static void gpt_new(uint64_t n_sectors, uint32_t sector_bytes) {
        medium_new(n_sectors, sector_bytes);
        gpt_entry(0, LINUX, 40, 99);
        gpt_entry(2, BASIC, 100, n_sectors - 100);
        gpt_finish();
}

static void test_guid_table_is_read_on_media_of_any_size(void **state) {
        static const struct {
                uint64_t n;
                uint32_t bytes;
        } sizes[] = { { 1000, 512 }, { UINT64_C(0x300000000), 512 }, { UINT64_C(0x300000000), 4096 } };
        Partitions list;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                gpt_new(sizes[i].n, sizes[i].bytes);
                assert_int_equal(read_them(&list), 0);
                assert_int_equal(list.n, 2);
                assert_partition(&list, 0, 1, 40, 60, false);
                assert_partition(&list, 1, 3, 100, sizes[i].n - 199, true);
        }
}

static void test_backup_table_is_used_when_the_first_one_is_broken(void **state) {
        Partitions list;

        (void) state;
        /* A changed header, a changed array, a sector that cannot be read. */
        for (int what = 0; what < 4; what++) {
                gpt_new(10000, 512);
                if (what == 0)
                        medium.head[1][48]++;
                else if (what == 1)
                        medium.head[2][300]++;
                else
                        medium.bad = what == 2 ? 1 : 2;
                assert_int_equal(read_them(&list), 0);
                assert_int_equal(list.n, 2);
        }
        gpt_new(10000, 512);
        medium.head[1][48]++;
        medium.tail[0][48]++;
        assert_int_equal(read_them(&list), -EBADMSG);
}

static void test_header_at_another_place_is_none(void **state) {
        Partitions list;

        (void) state;
        gpt_new(10000, 512);
        put_le(medium.head[1] + 24, 2, 8);
        sign_header(1);
        memset(medium.tail[0], 0, 512);
        assert_int_equal(read_them(&list), -EBADMSG);
}

static void test_hostile_headers_with_a_right_checksum_are_refused(void **state) {
        static const struct {
                size_t offset, width;
                uint64_t value;
        } lies[] = {
                { 12, 4, 91 },     { 12, 4, 513 },        { 12, 4, UINT32_MAX }, { 48, 8, 10000 },  { 48, 8, UINT64_MAX },
                { 72, 8, 0 },      { 72, 8, UINT64_MAX }, { 80, 4, 100000 },     { 80, 4, UINT32_MAX }, { 80, 4, 0x02000000 },
                { 84, 4, 0 },
                { 84, 4, 64 },     { 84, 4, 192 },        { 84, 4, 8192 },       { 84, 4, UINT32_MAX }, { 40, 8, 9999 },
        };
        Partitions list;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(lies); i++) {
                gpt_new(10000, 512);
                for (int copy = 0; copy < 2; copy++) {
                        uint64_t at = copy == 0 ? 1 : 9999;
                        size_t size = lies[i].offset == 12 && lies[i].value <= 512 ? (size_t) lies[i].value : 92;
                        uint8_t *h = sector_at(at);

                        put_le(h + lies[i].offset, lies[i].value, lies[i].width);
                        put_le(h + 16, 0, 4);
                        put_le(h + 16, crc32_of(h, size), 4);
                }
                assert_int_equal(read_them(&list), -EBADMSG);
        }
}

static void test_hostile_entries_are_refused(void **state) {
        static const uint64_t lies[][2] = {
                { 1, 100 }, { 200, 100 }, { 100, 9990 }, { 0, UINT64_MAX }, { UINT64_MAX, UINT64_MAX }, { 50, 200 },
        };
        Partitions list;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(lies); i++) {
                gpt_new(10000, 512);
                gpt_entry(3, BASIC, lies[i][0], lies[i][1]);
                gpt_finish();
                assert_int_equal(read_them(&list), -EBADMSG);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_primary_and_logical_partitions_are_found),
                cmocka_unit_test(test_medium_without_a_table_is_one_volume),
                cmocka_unit_test(test_partition_that_is_longer_than_the_medium_is_cut),
                cmocka_unit_test(test_chains_that_loop_or_lead_away_are_refused),
                cmocka_unit_test(test_partitions_over_each_other_are_refused),
                cmocka_unit_test(test_more_partitions_than_berth_looks_at_are_refused),
                cmocka_unit_test(test_sector_that_cannot_be_read_is_told_as_that),
                cmocka_unit_test(test_guid_table_is_read_on_media_of_any_size),
                cmocka_unit_test(test_backup_table_is_used_when_the_first_one_is_broken),
                cmocka_unit_test(test_header_at_another_place_is_none),
                cmocka_unit_test(test_hostile_headers_with_a_right_checksum_are_refused),
                cmocka_unit_test(test_hostile_entries_are_refused),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
