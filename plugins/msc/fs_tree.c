/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"
#include "fs_text.h"

void fs_tree_clear(FsTree *tree) {
        free(tree->folders);
        free(tree->entries);
        free(tree->names);
        *tree = (FsTree){ 0 };
}

/* Room for one more, twice as much each time. */
static int grow(void **items, size_t *allocated, size_t n, size_t more, size_t size, size_t max) {
        size_t wanted = *allocated ? *allocated : 256;
        void *grown;

        if (more > max - n)
                return -E2BIG;
        if (n + more <= *allocated)
                return 0;
        while (wanted < n + more)
                wanted *= 2;
        grown = realloc(*items, wanted * size);
        if (!grown)
                return -ENOMEM;
        *items = grown;
        *allocated = wanted;
        return 0;
}

static int add_name(FsTree *tree, const char *name, size_t size, uint32_t *ret) {
        int r;

        r = grow((void **) &tree->names, &tree->names_allocated, tree->names_size, size + 1, 1, FS_NAMES_MAX);
        if (r < 0)
                return r;
        if (size > 0)
                memcpy(tree->names + tree->names_size, name, size);
        tree->names[tree->names_size + size] = '\0';
        *ret = (uint32_t) tree->names_size;
        tree->names_size += size + 1;
        return 0;
}

int fs_tree_add_folder(FsTree *tree, const FsFolder *folder, const char *name, size_t name_size) {
        uint32_t name_at;
        int r;

        r = grow((void **) &tree->folders, &tree->folders_allocated, tree->n_folders, 1, sizeof(*tree->folders), FS_FILES_MAX);
        if (r >= 0)
                r = add_name(tree, name, name_size, &name_at);
        if (r < 0)
                return r;
        tree->folders[tree->n_folders] = *folder;
        tree->folders[tree->n_folders].name_at = name_at;
        tree->folders[tree->n_folders].name_size = (uint32_t) name_size;
        tree->n_folders++;
        return 0;
}

int fs_tree_add_entry(FsTree *tree, const FsEntry *entry, const char *name, size_t name_size) {
        uint32_t name_at;
        int r;

        r = grow((void **) &tree->entries, &tree->entries_allocated, tree->n_entries, 1, sizeof(*tree->entries), FS_FILES_MAX);
        if (r >= 0)
                r = add_name(tree, name, name_size, &name_at);
        if (r < 0)
                return r;
        tree->entries[tree->n_entries] = *entry;
        tree->entries[tree->n_entries].name_at = name_at;
        tree->entries[tree->n_entries].name_size = (uint32_t) name_size;
        tree->n_entries++;
        return 0;
}

static int by_address(const void *a, const void *b) {
        uint64_t x = ((const FsEntry *) a)->at, y = ((const FsEntry *) b)->at;

        return x < y ? -1 : x > y;
}

void fs_tree_sort(FsTree *tree) {
        if (tree->n_entries > 0)
                qsort(tree->entries, tree->n_entries, sizeof(*tree->entries), by_address);
}

FsEntry *fs_tree_find(const FsTree *tree, uint64_t at) {
        FsEntry key = { .at = at };

        if (tree->n_entries == 0)
                return NULL;
        return bsearch(&key, tree->entries, tree->n_entries, sizeof(key), by_address);
}

const char *fs_tree_name(const FsTree *tree, uint32_t name_at) {
        return tree->names + name_at;
}

void fs_tree_text(const FsTree *tree, uint32_t folder, char ret[FS_TEXT_MAX]) {
        static const char cut[] = "…/";
        char text[FS_TEXT_MAX], name[64];
        size_t at = sizeof(text) - 1;

        text[at] = '\0';
        for (uint32_t i = folder; i != FS_ROOT; i = tree->folders[i].parent) {
                size_t n;

                fs_name_to_text(fs_tree_name(tree, tree->folders[i].name_at), tree->folders[i].name_size, name, sizeof(name));
                n = strlen(name);
                if (n + 1 + strlen(cut) > at) {
                        at -= strlen(cut);
                        memcpy(text + at, cut, strlen(cut));
                        break;
                }
                if (text[at] != '\0')
                        text[--at] = '/';
                at -= n;
                memcpy(text + at, name, n);
        }
        (void) snprintf(ret, FS_TEXT_MAX, "%s", text[at] ? text + at : "/");
}
