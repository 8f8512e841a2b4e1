/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes of the largest size that there is, on a medium that makes up its sectors: they must cost no more than small ones. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../plugins/msc/fs.h"
#include "../plugins/msc/fs_bytes.h"

#define SECTOR 512u
#define WRITTEN_MAX 512u
#define HEAP_MAX (8u << 20)

/* ---- A medium that is computed ---- */

typedef struct Huge {
        void (*make)(const struct Huge *h, uint64_t sector, uint8_t *ret); /* into zeros */
        uint64_t heap;                                                     /* the sector of cluster 2 */
        uint64_t fat;
        uint32_t sectors_per_cluster, n_clusters, n_bitmap; /* exFAT: clusters of the bitmap, from 2 on */
        uint64_t numbers[WRITTEN_MAX];
        uint8_t written[WRITTEN_MAX][SECTOR];
        size_t n_written;
        uint64_t sectors_read, writes;
} Huge;

static int huge_read(void *userdata, uint64_t sector, uint32_t n, void *ret) {
        Huge *h = userdata;

        h->sectors_read += n;
        memset(ret, 0, (size_t) n * SECTOR);
        for (uint32_t i = 0; i < n; i++) {
                uint8_t *to = (uint8_t *) ret + (size_t) i * SECTOR;

                h->make(h, sector + i, to);
                for (size_t k = 0; k < h->n_written; k++)
                        if (h->numbers[k] == sector + i)
                                memcpy(to, h->written[k], SECTOR);
        }
        return 0;
}

static int huge_write(void *userdata, uint64_t sector, uint32_t n, const void *data) {
        Huge *h = userdata;

        h->writes += n;
        for (uint32_t i = 0; i < n; i++) {
                size_t k = 0;

                while (k < h->n_written && h->numbers[k] != sector + i)
                        k++;
                assert_true(k < WRITTEN_MAX);
                h->n_written += k == h->n_written;
                h->numbers[k] = sector + i;
                memcpy(h->written[k], (const uint8_t *) data + (size_t) i * SECTOR, SECTOR);
        }
        return 0;
}

static int huge_flush(void *userdata) {
        (void) userdata;
        return 0;
}

static Disk disk_of(Huge *h, uint64_t n_sectors) {
        return (Disk){ .userdata = h, .sector_bytes = SECTOR, .n_sectors = n_sectors, .read = huge_read, .write = huge_write,
                       .flush = huge_flush };
}

/* ---- FAT32 of 2 TiB ---- */

#define FAT_CLUSTER_SECTORS 128u
#define FAT_SECTORS 262144u
#define FAT_LINKS 4u
/* The file's clusters, as far from each other as can be. */
static const uint32_t fat_links[FAT_LINKS] = { 3, 16000000, 33000000, 100 };

static void fat_boot(uint8_t *b) {
        memcpy(b, "\xEB\x58\x90MSDOS5.0", 11);
        fs_put16(b + 11, SECTOR);
        b[13] = FAT_CLUSTER_SECTORS;
        fs_put16(b + 14, 32);
        b[16] = 2;
        b[21] = 0xF8;
        fs_put32(b + 32, UINT32_MAX);
        fs_put32(b + 36, FAT_SECTORS);
        fs_put32(b + 44, 2);
        fs_put16(b + 48, 1);
        b[510] = 0x55;
        b[511] = 0xAA;
}

static void fat_table(uint64_t sector, uint8_t *to) {
        for (uint32_t i = 0; i < SECTOR / 4; i++) {
                uint64_t cluster = sector * (SECTOR / 4) + i;

                if (cluster < 3)
                        fs_put32(to + 4 * i, UINT32_C(0x0FFFFFFF));
                for (size_t k = 0; k < FAT_LINKS; k++)
                        if (cluster == fat_links[k])
                                fs_put32(to + 4 * i, k + 1 < FAT_LINKS ? fat_links[k + 1] : UINT32_C(0x0FFFFFFF));
        }
}

static void fat_make(const Huge *h, uint64_t sector, uint8_t *to) {
        if (sector == 0) {
                fat_boot(to);
        } else if (sector == 1) {
                fs_put32(to, UINT32_C(0x41615252));
                fs_put32(to + 484, UINT32_C(0x61417272));
                fs_put32(to + 488, 1000);
                fs_put32(to + 508, UINT32_C(0xAA550000));
        } else if (sector >= 32 && sector < h->heap) {
                fat_table((sector - 32) % FAT_SECTORS, to);
        } else if (sector == h->heap) {
                memcpy(to, "CLIP    MP4\x20", 12);
                fs_put16(to + 26, (uint16_t) fat_links[0]);
                fs_put32(to + 28, FAT_LINKS * FAT_CLUSTER_SECTORS * SECTOR);
        }
}

/* ---- exFAT of 2 TiB with the smallest clusters: a bitmap of 512 MiB ---- */

#define EXFAT_CLUSTERS UINT32_C(0xF8000000)
#define EXFAT_FAT 128u
#define EXFAT_FAT_SECTORS (EXFAT_CLUSTERS / 128u + 1)
#define EXFAT_FILE_FIRST UINT32_C(0xF0000000)
#define EXFAT_FILE_CLUSTERS UINT32_C(0x00100000)

static void exfat_boot(const Huge *h, uint8_t *b) {
        memcpy(b, "\xEB\x76\x90" "EXFAT   ", 11);
        fs_put32(b + 72, (uint32_t) (h->heap + EXFAT_CLUSTERS));
        fs_put32(b + 76, (uint32_t) ((h->heap + EXFAT_CLUSTERS) >> 32));
        fs_put32(b + 80, EXFAT_FAT);
        fs_put32(b + 84, EXFAT_FAT_SECTORS);
        fs_put32(b + 88, (uint32_t) h->heap);
        fs_put32(b + 92, EXFAT_CLUSTERS);
        fs_put32(b + 96, 2 + h->n_bitmap);
        fs_put16(b + 104, 0x100);
        b[108] = 9;
        b[110] = 1;
        b[112] = 0xFF;
        b[510] = 0x55;
        b[511] = 0xAA;
}

static void exfat_root(const Huge *h, uint8_t *to) {
        uint16_t sum = 0;
        uint8_t *set = to + 32;

        to[0] = 0x81;
        fs_put32(to + 20, 2);
        fs_put32(to + 24, h->n_bitmap * SECTOR);
        set[0] = 0x85;
        set[1] = 2;
        set[32] = 0xC0;
        set[33] = 3;
        set[35] = 4;
        fs_put32(set + 32 + 8, EXFAT_FILE_CLUSTERS * SECTOR);
        fs_put32(set + 32 + 20, EXFAT_FILE_FIRST);
        fs_put32(set + 32 + 24, EXFAT_FILE_CLUSTERS * SECTOR);
        set[64] = 0xC1;
        memcpy(set + 66, "c\0l\0i\0p", 7);
        for (size_t i = 0; i < 96; i++)
                if (i != 2 && i != 3)
                        sum = (uint16_t) ((sum << 15 | sum >> 1) + set[i]);
        fs_put16(set + 2, sum);
}

static void exfat_make(const Huge *h, uint64_t sector, uint8_t *to) {
        if (sector == 0) {
                exfat_boot(h, to);
        } else if (sector == 11) {
                uint8_t boot[SECTOR] = { 0 };
                uint32_t sum = 0;

                exfat_boot(h, boot);
                for (uint32_t i = 0; i < 11 * SECTOR; i++)
                        if (i != 106 && i != 107 && i != 112)
                                sum = (sum << 31 | sum >> 1) + (i < SECTOR ? boot[i] : 0);
                fs_put32(to, sum);
        } else if (sector >= EXFAT_FAT && sector < h->heap) {
                for (uint32_t i = 0; i < SECTOR / 4; i++) {
                        uint64_t cluster = (sector - EXFAT_FAT) * (SECTOR / 4) + i;

                        if (cluster < 2 || cluster + 1 == 2 + (uint64_t) h->n_bitmap || cluster == 2 + (uint64_t) h->n_bitmap)
                                fs_put32(to + 4 * i, UINT32_MAX);
                        else if (cluster < h->n_bitmap + 2)
                                fs_put32(to + 4 * i, (uint32_t) cluster + 1);
                }
        } else if (sector >= h->heap && sector < h->heap + h->n_bitmap) {
                uint64_t bit = (sector - h->heap) * SECTOR * 8;

                if (bit < h->n_bitmap || (bit >= EXFAT_FILE_FIRST - 2 - 4096 && bit < EXFAT_FILE_FIRST + EXFAT_FILE_CLUSTERS))
                        memset(to, 0xFF, SECTOR);
        } else if (sector == h->heap + h->n_bitmap) {
                exfat_root(h, to);
        }
}

/* ---- The tests ---- */

static int keep_handle(void *userdata, const FsFile *file) {
        *(uint64_t *) userdata = file->handle;
        return 0;
}

static size_t heap_in_use(void) {
        struct mallinfo2 m = mallinfo2();

        return m.uordblks + m.hblkhd;
}

/* Everything that can be done, and what it cost; the sanitizers' heap tells nothing about itself. */
static void use(Huge *h, uint64_t n_sectors, uint64_t size, size_t n_extents, uint64_t sectors_read_max) {
        Disk disk = disk_of(h, n_sectors);
        FsOptions options = { 0 };
        char why[FS_WHY_MAX];
        size_t heap = heap_in_use();
        uint64_t handle = 0;
        FsExtents extents;
        FsInfo info;
        Fs *fs;

        assert_int_equal(fs_open(&disk, &options, &fs, why), 0);
        assert_int_equal(fs_info(fs, &info), 0);
        assert_true(info.total_bytes > UINT64_C(1900) << 30);
        assert_int_equal(fs_walk(fs, keep_handle, &handle), 0);
        assert_int_not_equal(handle, 0);
        assert_int_equal(fs_extents(fs, handle, &extents), 0);
        assert_int_equal(extents.size_bytes, size);
        assert_int_equal(extents.n, n_extents);
        assert_string_equal(fs_why(fs), "");
        fs_extents_clear(&extents);
        assert_int_equal(fs_erase(fs, handle), 0);
        assert_true(heap_in_use() < heap + HEAP_MAX);
        assert_true(h->sectors_read < sectors_read_max);
        handle = 0;
        assert_int_equal(fs_walk(fs, keep_handle, &handle), 0);
        assert_int_equal(handle, 0);
        print_message("# %s: %llu sectors read, %llu written\n", fs_kind_name(info.kind), (unsigned long long) h->sectors_read,
                      (unsigned long long) h->writes);
        (void) fs_close(fs);
}

static void test_fat32_of_two_tebibytes_costs_no_more_than_a_small_one(void **state) {
        static Huge h;

        (void) state;
        h = (Huge){ .make = fat_make, .heap = 32 + 2 * (uint64_t) FAT_SECTORS };
        use(&h, UINT32_MAX, (uint64_t) FAT_LINKS * FAT_CLUSTER_SECTORS * SECTOR, FAT_LINKS, 2000);
        /* Cells in three sectors of both tables, the flag in both twice, the entry, and the count. */
        assert_int_equal(h.writes, 2 * 3 + 2 * 2 + 1 + 1);
}

static void test_exfat_with_a_bitmap_of_512_mebibytes_is_looked_at_in_parts(void **state) {
        static Huge h;
        uint64_t bitmap_links;

        (void) state;
        h = (Huge){ .make = exfat_make, .heap = EXFAT_FAT + (uint64_t) EXFAT_FAT_SECTORS };
        h.n_bitmap = EXFAT_CLUSTERS / 8 / SECTOR;
        bitmap_links = h.n_bitmap / (SECTOR / 4);
        use(&h, h.heap + EXFAT_CLUSTERS, (uint64_t) EXFAT_FILE_CLUSTERS * SECTOR, 1, bitmap_links + 2000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fat32_of_two_tebibytes_costs_no_more_than_a_small_one),
                cmocka_unit_test(test_exfat_with_a_bitmap_of_512_mebibytes_is_looked_at_in_parts),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
