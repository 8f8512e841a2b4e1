/* SPDX-License-Identifier: Apache-2.0 */
#include "fat.h"
#include "fs_bytes.h"

/* In the tables, not in the boot sector: what is never written cannot be lost. FAT12 has no place for it. */
int fat_set_dirty(Fs *fs, bool dirty) {
        uint32_t clean = fat_clean_bit(fs);
        int r;

        r = fs_mark_set(fs, dirty);
        for (unsigned i = 0; i < fs->n_fats && r >= 0; i++)
                r = fs_table_set(fs, i, 1, clean, dirty ? 0 : clean);
        return r;
}

static int free_in_table(Fs *fs, unsigned table, const FsRuns *runs) {
        for (size_t i = 0; i < runs->n; i++) {
                for (uint32_t k = 0; k < runs->items[i].count; k++) {
                        int r = fs_table_set(fs, table, runs->items[i].first + k, UINT32_C(0x0FFFFFFF), 0);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int fat_free_clusters(Fs *fs, const FsRuns *runs) {
        int r = 0;

        for (unsigned i = 0; i < fs->n_fats && r >= 0; i++)
                r = free_in_table(fs, i, runs);
        return r;
}

int fat_update_counts(Fs *fs, int64_t freed) {
        const uint8_t *at;
        uint8_t *changed;
        int64_t n_free;
        int r;

        if (fs->fsinfo_at == 0 || freed == 0)
                return 0;
        r = fs_cache_read(&fs->cache, fs->fsinfo_at + FAT_FSINFO_FREE_AT, 4, &at);
        if (r < 0)
                return r;
        n_free = fs_get32(at);
        if (n_free > fs->n_clusters) /* unknown, and stays so */
                return 0;
        n_free = n_free + freed < fs->n_clusters ? n_free + freed : fs->n_clusters;
        n_free = n_free > 0 ? n_free : 0;
        r = fs_cache_modify(&fs->cache, fs->fsinfo_at + FAT_FSINFO_FREE_AT, 4, &changed);
        if (r < 0)
                return r;
        fs_put32(changed, (uint32_t) n_free);
        return 1;
}
