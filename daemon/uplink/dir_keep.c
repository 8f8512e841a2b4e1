/* SPDX-License-Identifier: Apache-2.0 */

/* Small texts that are kept for good: a dock's checkpoints. And reading them, or a manifest, for whoever verifies. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "uplink/dir_private.h"

/* The folder that a key lies in; with `make` all of it, from the top. */
static int open_folder(int root, const LayoutSmallKey *key, bool make) {
        _cleanup_(fd_closep) int top = make ? fd_open_dir(root, key->parts[0], DIR_MODE) : dir_open_dir(root, key->parts[0]);

        if (top < 0)
                return top;
        return make ? fd_open_dir(top, key->parts[1], DIR_MODE) : dir_open_dir(top, key->parts[1]);
}

/* 1: it lies there, the very text. 0: nothing does. -1: answered. */
static int compare(DirStore *s, int folder, Task *task, const LayoutSmallKey *key) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        int r;

        r = dir_read_small(folder, key->parts[2], &text, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0 && r != -EBADMSG && r != -ELOOP)
                return dir_fail(s, r, "reading what was kept", &task->answer);
        if (r < 0 || size != strlen(task->keep.text) || memcmp(text, task->keep.text, size) != 0)
                return answer_fail(&task->answer, WIRE_UPLINK_E_CONFLICT, NULL, "another text lies in the store as %s", task->keep.key);
        return 1;
}

/* Written under a name in tmp/, synced, and moved to where nothing is; or, when it replaces, to where its predecessor is. */
static int write_new(DirStore *s, int root, int folder, Task *task, const LayoutSmallKey *key) {
        _cleanup_(fd_closep) int tmp = -EBADF, fd = -EBADF;
        char name[DIR_NEW_NAME_SIZE];
        int r = dir_new_tmp(s, root, "making a file to be kept", name, &tmp, &fd, &task->answer);

        if (r < 0)
                return r;
        r = fd_write_full(fd, task->keep.text, strlen(task->keep.text));
        CRASH_POINT_OF("kept-written", key->parts[0]);
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        CRASH_POINT_OF("kept-synced", key->parts[0]);
        if (r >= 0 && task->kind == TASK_REPLACE)
                r = renameat(tmp, name, folder, key->parts[2]) < 0 ? -errno : 0;
        else if (r >= 0)
                r = dir_place(tmp, name, folder, key->parts[2]);
        CRASH_POINT_OF("kept-placed", key->parts[0]);
        if (r < 0)
                (void) unlinkat(tmp, name, 0);
        else
                (void) fchmod(fd, FILE_MODE);
        /* Another was faster: then that one is what is compared. */
        return r < 0 && r != -EEXIST ? dir_fail(s, r, "writing a file to be kept", &task->answer) : 0;
}

void dir_keep(DirStore *s, Task *task) {
        _cleanup_(fd_closep) int root = -EBADF, folder = -EBADF;
        LayoutSmallKey key;
        int r;

        if (layout_parse_small_key(task->keep.key, &key) < 0) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s is no key of what is kept", task->keep.key);
                return;
        }
        root = dir_open_root(s, false, &task->answer);
        if (root < 0)
                return;
        folder = open_folder(root, &key, true);
        if (folder < 0) {
                (void) dir_fail(s, folder, "opening the folder of what is kept", &task->answer);
                return;
        }
        r = compare(s, folder, task, &key);
        task->already_there = r > 0;
        if (r == 0 && write_new(s, root, folder, task, &key) == 0)
                r = compare(s, folder, task, &key);
        if (r == 0 && !task->answer.error)
                (void) dir_fail(s, EIO, "looking for what was just kept", &task->answer);
        if (r > 0 && (r = fd_sync_dir(folder)) < 0)
                (void) dir_fail(s, r, "syncing the folder of what is kept", &task->answer);
        CRASH_POINT_OF("kept-durable", key.parts[0]);
}

/* ---- Replacing ----------------------------------------------------------------------------------------------------- */

static int replace(DirStore *s, int root, int folder, Task *task, const LayoutSmallKey *key) {
        _cleanup_(freep) char *there = NULL;
        size_t size = 0;
        int r;

        r = dir_read_small(folder, key->parts[2], &there, &size);
        if (r < 0 && r != -ENOENT)
                return dir_fail(s, r, "reading a status", &task->answer);
        if (r >= 0 && successor_check(&s->successor, task, there, size) < 0)
                return -1;
        r = write_new(s, root, folder, task, key);
        if (r >= 0 && (r = fd_sync_dir(folder)) < 0)
                return dir_fail(s, r, "syncing the folder of a status", &task->answer);
        CRASH_POINT_OF("kept-durable", key->parts[0]);
        if (r >= 0)
                successor_note(&s->successor, task);
        return r;
}

void dir_replace(DirStore *s, Task *task) {
        _cleanup_(fd_closep) int root = -EBADF, folder = -EBADF;
        LayoutSmallKey key;

        if (layout_parse_replaced_key(task->keep.key, &key) < 0) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s is no key of what is replaced", task->keep.key);
                return;
        }
        root = dir_open_root(s, false, &task->answer);
        if (root < 0)
                return;
        folder = open_folder(root, &key, true);
        if (folder < 0)
                (void) dir_fail(s, folder, "opening the folder of a status", &task->answer);
        else
                (void) replace(s, root, folder, task, &key);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

static int read_text(int root, const char *key_text, char **ret, size_t *ret_size) {
        _cleanup_(dir_close_chain) DirChain c = DIR_CHAIN_NONE;
        _cleanup_(fd_closep) int folder = -EBADF;
        LayoutSmallKey small;
        LayoutKey key;
        int r;

        if (layout_parse_key(key_text, LAYOUT_MANIFESTS, &key) >= 0) {
                r = dir_open_chain(root, &key, false, &c);
                return r < 0 ? r : dir_read_small(c.fds[2], key.parts[3], ret, ret_size);
        }
        r = layout_parse_small_key(key_text, &small);
        if (r < 0)
                r = layout_parse_replaced_key(key_text, &small);
        if (r < 0)
                return r;
        folder = open_folder(root, &small, false);
        return folder < 0 ? folder : dir_read_small(folder, small.parts[2], ret, ret_size);
}

void dir_fetch(DirStore *s, Task *task) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(fd_closep) int root = dir_open_root(s, false, &task->answer);
        size_t size = 0;
        int r;

        if (root < 0)
                return;
        r = read_text(root, task->fetch.key, &text, &size);
        if (r == -ENOENT)
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_GONE, NULL, "there is no %s in the store", task->fetch.key);
        else if (r == -EINVAL)
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s is no key of a small text", task->fetch.key);
        else if (r < 0)
                (void) dir_fail(s, r, "reading a small text", &task->answer);
        else if (task_take_text(task, text, size) < 0)
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_CONFLICT, NULL, "%s in the store is no text", task->fetch.key);
}
