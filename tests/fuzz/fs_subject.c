/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_subject.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../plugins/msc/exfat.h"
#include "../plugins/msc/fs_bytes.h"

#define CHECK(condition)                                                                                          \
        do {                                                                                                      \
                if (!(condition))                                                                                 \
                        abort();                                                                                  \
        } while (0)

#define FILES_KEPT 48u
#define ERASED_MAX 12u
/* What a tiny input may cost in sectors read, whatever it says: a loop without an end shows here, not as a time-out. */
#define SECTORS_READ_MAX (40u << 20)

/* ---- The medium: sectors that hold something, found by number ---- */

typedef struct Medium {
        uint32_t shift, n_sectors, n, n_slots;
        uint32_t *slots; /* index + 1 of a sector */
        uint32_t *numbers;
        uint8_t *data;
        uint64_t sectors_read;
        unsigned writes;
} Medium;

static uint32_t find_slot(const Medium *m, uint32_t number) {
        uint32_t i = (number * UINT32_C(2654435761)) & (m->n_slots - 1);

        while (m->slots[i] != 0 && m->numbers[m->slots[i] - 1] != number)
                i = (i + 1) & (m->n_slots - 1);
        return i;
}

static uint8_t *sector(Medium *m, uint32_t number, bool make) {
        uint32_t slot = find_slot(m, number);

        if (m->slots[slot] == 0) {
                if (!make)
                        return NULL;
                CHECK(m->n < m->n_slots / 2);
                m->numbers[m->n] = number;
                m->slots[slot] = ++m->n;
        }
        return m->data + ((size_t) (m->slots[slot] - 1) << m->shift);
}

static void medium_make(Medium *m, const uint8_t *data, size_t size) {
        m->shift = 9 + (data[0] & FS_SUBJECT_SHIFT);
        m->n_sectors = fs_get32(data + 1) % FS_SUBJECT_SECTORS_MAX;
        /* Room for the pieces, and for what an erase may write. */
        m->n_slots = 4096;
        while (m->n_slots < size / 4)
                m->n_slots *= 2;
        m->slots = calloc(m->n_slots, sizeof(*m->slots));
        m->numbers = calloc(m->n_slots / 2, sizeof(*m->numbers));
        m->data = calloc(m->n_slots / 2, (size_t) 1 << m->shift);
        CHECK(m->slots && m->numbers && m->data);
        data += 5;
        size -= 5;
        while (size >= 8 && m->n < m->n_slots / 4) {
                uint32_t number = fs_get32(data), offset = fs_get16(data + 4) & ((1u << m->shift) - 1);
                size_t n = fs_get16(data + 6), room = (1u << m->shift) - offset;

                data += 8;
                size -= 8;
                n = n < size ? n : size;
                if (number < m->n_sectors)
                        memcpy(sector(m, number, true) + offset, data, n < room ? n : room);
                data += n;
                size -= n;
        }
}

static void medium_free(Medium *m) {
        free(m->slots);
        free(m->numbers);
        free(m->data);
}

static int medium_read(void *userdata, uint64_t number, uint32_t n, void *ret) {
        Medium *m = userdata;

        CHECK(n > 0 && number < m->n_sectors && n <= m->n_sectors - number);
        m->sectors_read += n;
        CHECK(m->sectors_read < SECTORS_READ_MAX);
        for (uint32_t i = 0; i < n; i++) {
                const uint8_t *from = sector(m, (uint32_t) number + i, false);
                uint8_t *to = (uint8_t *) ret + ((size_t) i << m->shift);

                if (from)
                        memcpy(to, from, (size_t) 1 << m->shift);
                else
                        memset(to, 0, (size_t) 1 << m->shift);
        }
        return 0;
}

static int medium_write(void *userdata, uint64_t number, uint32_t n, const void *data) {
        Medium *m = userdata;

        CHECK(n > 0 && number < m->n_sectors && n <= m->n_sectors - number);
        m->writes++;
        for (uint32_t i = 0; i < n; i++) {
                if (m->n + 1 >= m->n_slots / 2)
                        return -EIO;
                memcpy(sector(m, (uint32_t) number + i, true), (const uint8_t *) data + ((size_t) i << m->shift), (size_t) 1 << m->shift);
        }
        return 0;
}

static int medium_flush(void *userdata) {
        (void) userdata;
        return 0;
}

/* §3.4 of the exFAT specification, which nobody guesses right by chance. */
static void seal(Medium *m, uint32_t first) {
        size_t size = (size_t) 1 << m->shift;
        uint32_t sum = 0;

        if (m->n_sectors < first + 12)
                return;
        for (uint32_t i = 0; i < 11; i++) {
                const uint8_t *bytes = sector(m, first + i, false);

                for (size_t b = 0; b < size; b++)
                        if (i != 0 || (b != 106 && b != 107 && b != 112))
                                sum = (sum << 31 | sum >> 1) + (bytes ? bytes[b] : 0);
        }
        fs_put32(sector(m, first + 11, true), sum);
}

/* ---- What is known of a file ---- */

typedef struct Known {
        uint64_t handle, size, content, names;
        int64_t mtime;
        int in_use;
        FsExtents extents;
} Known;

typedef struct Files {
        Known items[FILES_KEPT];
        size_t n;
} Files;

static uint64_t mix(uint64_t sum, const void *data, size_t size) {
        for (size_t i = 0; i < size; i++)
                sum = (sum ^ ((const uint8_t *) data)[i]) * UINT64_C(0x100000001b3);
        return sum;
}

static int on_file(void *userdata, const FsFile *file) {
        Files *files = userdata;
        Known known = { .handle = file->handle, .size = file->size_bytes, .mtime = file->mtime_unix_sec };

        CHECK(file->handle != 0 && file->n_names >= 1 && file->n_names <= FS_DEPTH_MAX + 1);
        for (size_t i = 0; i < file->n_names; i++) {
                CHECK(file->names[i].size <= 255 * 3 && file->names[i].text[file->names[i].size] == '\0');
                known.names = mix(known.names + 1, file->names[i].text, file->names[i].size);
        }
        if (files->n < FILES_KEPT)
                files->items[files->n++] = known;
        return 0;
}

static void check_extents(const Medium *m, const FsExtents *e, uint64_t size) {
        uint64_t offset = 0;

        CHECK(e->size_bytes == size && (size == 0) == (e->n == 0));
        for (size_t i = 0; i < e->n; i++) {
                const FsExtent *x = &e->items[i];

                CHECK(x->offset_bytes == offset && x->length_bytes > 0 && x->length_bytes <= size - offset);
                if (x->kind == FS_EXTENT_DATA)
                        CHECK(x->sector < m->n_sectors && (x->length_bytes + (1u << m->shift) - 1) >> m->shift <= m->n_sectors - x->sector);
                CHECK(fs_extents_find(e, offset) == i && fs_extents_find(e, offset + x->length_bytes - 1) == i);
                offset += x->length_bytes;
        }
        CHECK(offset == size && fs_extents_find(e, size) == e->n);
}

/* All content that is not zeros, and where in the file it is. */
static uint64_t content_of(Medium *m, const FsExtents *e) {
        uint64_t sum = 1;

        for (size_t i = 0; i < e->n; i++) {
                if (e->items[i].kind != FS_EXTENT_DATA)
                        continue;
                for (uint32_t k = 0; k < m->n; k++) {
                        uint64_t first = e->items[i].sector, n = (e->items[i].length_bytes + (1u << m->shift) - 1) >> m->shift;
                        uint64_t where;

                        if (m->numbers[k] < first || m->numbers[k] - first >= n)
                                continue;
                        where = e->items[i].offset_bytes + ((m->numbers[k] - first) << m->shift);
                        /* In whatever order the sectors are kept. */
                        sum += mix(where, m->data + ((size_t) k << m->shift), (size_t) 1 << m->shift);
                }
        }
        return sum;
}

/* exFAT: are the file's clusters still called used? */
static int in_use(Fs *fs, const Known *known) {
        FsRuns runs = { 0 };
        int r = 1;

        if (fs->kind != FS_EXFAT || fs->bitmap.bytes == 0)
                return 1;
        for (size_t i = 0; i < known->extents.n && r >= 0; i++) {
                const FsExtent *x = &known->extents.items[i];
                uint64_t first = (x->sector * fs->disk.sector_bytes - fs->heap_at) >> fs->cluster_shift;

                for (uint64_t k = 0; x->kind == FS_EXTENT_DATA && k < fs_clusters_for(fs, x->length_bytes) && k < 64 && r >= 0; k++)
                        r = fs_runs_add(&runs, (uint32_t) (first + k) + FS_CLUSTER_FIRST, FS_EXTENTS_MAX);
        }
        r = r < 0 ? r : exfat_in_use(fs, &runs);
        fs_runs_clear(&runs);
        return r;
}

static void files_clear(Files *files) {
        for (size_t i = 0; i < files->n; i++)
                fs_extents_clear(&files->items[i].extents);
        files->n = 0;
}

/* False when the volume cannot be listed. */
static bool look(Fs *fs, Medium *m, Files *files) {
        int r;

        files_clear(files);
        r = fs_walk(fs, on_file, files);
        CHECK(r <= 0 || r == FS_INCOMPLETE);
        CHECK((r == FS_INCOMPLETE) == (r >= 0 && fs_problem(fs, 0) != NULL));
        if (r < 0)
                return false;
        for (size_t i = 0; i < files->n; i++) {
                Known *known = &files->items[i];

                r = fs_extents(fs, known->handle, &known->extents);
                if (r < 0) {
                        CHECK(r == -E2BIG);
                        known->extents = (FsExtents){ .size_bytes = known->size };
                        continue;
                }
                check_extents(m, &known->extents, known->size);
                known->content = content_of(m, &known->extents);
                known->in_use = in_use(fs, known);
        }
        return true;
}

static bool same_extents(const FsExtents *a, const FsExtents *b) {
        bool same = a->n == b->n;

        for (size_t i = 0; same && i < a->n; i++)
                same = a->items[i].offset_bytes == b->items[i].offset_bytes && a->items[i].length_bytes == b->items[i].length_bytes &&
                       a->items[i].kind == b->items[i].kind && a->items[i].sector == b->items[i].sector;
        return same;
}

/* Everything but the victim is as it was. Handles are in rising order in both. */
static void check_others(const Files *before, const Files *after, uint64_t victim) {
        size_t k = 0;

        for (size_t i = 0; i < before->n; i++) {
                const Known *b = &before->items[i], *a = &after->items[k];

                if (b->handle == victim)
                        continue;
                CHECK(k < after->n && a->handle == b->handle && a->size == b->size && a->names == b->names && a->mtime == b->mtime);
                CHECK(same_extents(&a->extents, &b->extents) && a->content == b->content && a->in_use == b->in_use);
                k++;
        }
        CHECK(k == after->n || before->n == FILES_KEPT);
        for (size_t i = 0; i < after->n; i++)
                CHECK(after->items[i].handle != victim);
}

static void erase_some(Fs *fs, Medium *m, Files *before, Files *after, uint8_t choice) {
        for (unsigned i = 0; i < ERASED_MAX && before->n > 0; i++) {
                const Known *victim = &before->items[(choice + i * 7u) % before->n];
                uint64_t handle = victim->handle;
                unsigned writes = m->writes;
                int r = fs_erase(fs, handle);

                if (r != 0) {
                        CHECK(fs_why(fs)[0] != '\0' || r == -ENOMEM || r == -EINVAL);
                        CHECK(r < 0 || m->writes == writes);
                        if (r < 0)
                                return;
                        continue;
                }
                CHECK(look(fs, m, after));
                check_others(before, after, handle);
                CHECK(fs_erase(fs, handle) == -ENOENT);
                files_clear(before);
                *before = *after;
                after->n = 0;
        }
}

static int read_sevens(void *userdata, uint64_t offset, void *ret, size_t length) {
        (void) userdata;
        (void) offset;
        memset(ret, 7, length);
        return 0;
}

/* A file more, and everything else as it was. */
static void create_one(Fs *fs, Medium *m, Files *before, Files *after) {
        const FsSource source = { .size_bytes = 3000, .read = read_sevens };
        unsigned writes = m->writes;
        uint64_t made = 0;
        int r;

        if (!look(fs, m, before))
                return;
        r = fs_create(fs, "A name that nobody has.bin", &source);
        if (r != 0) {
                CHECK(fs_why(fs)[0] != '\0' || r == -ENOMEM || r == -EINVAL);
                CHECK(r != FS_DENIED || m->writes == writes);
                return;
        }
        CHECK(look(fs, m, after));
        for (size_t i = 0; i < after->n && made == 0; i++)
                if (i >= before->n || after->items[i].handle != before->items[i].handle)
                        made = after->items[i].handle;
        CHECK(made != 0 || after->n == FILES_KEPT);
        if (after->n < FILES_KEPT)
                check_others(after, before, made);
}

void fs_subject_run(const uint8_t *data, size_t size) {
        FsOptions options = { .utc_offset_minutes = 60, .erase_dirty = size > 0 && (data[0] & FS_SUBJECT_DIRTY) };
        static Files before, after;
        Medium medium = { 0 };
        char why[FS_WHY_MAX] = "";
        Fs *fs = NULL;
        FsInfo info;
        Disk disk;
        int r;

        if (size < 5)
                return;
        medium_make(&medium, data, size);
        if (data[0] & FS_SUBJECT_SEAL) {
                seal(&medium, 0);
                seal(&medium, 12);
        }
        disk = (Disk){ .userdata = &medium, .sector_bytes = 1u << medium.shift, .n_sectors = medium.n_sectors, .read = medium_read,
                       .write = medium_write, .flush = medium_flush };
        r = fs_open(&disk, &options, &fs, why);
        if (r < 0) {
                CHECK(why[0] != '\0' && !fs);
        } else {
                (void) fs_info(fs, &info);
                if (look(fs, &medium, &before))
                        erase_some(fs, &medium, &before, &after, data[1]);
                create_one(fs, &medium, &before, &after);
                files_clear(&before);
                files_clear(&after);
                CHECK(fs_close(fs) == NULL);
        }
        medium_free(&medium);
}
