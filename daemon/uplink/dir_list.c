/* SPDX-License-Identifier: Apache-2.0 */

/* Which small texts there are. */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "uplink/dir_private.h"

/* More lie in no folder of ours: what somebody else put there must not cost all memory. */
#define NAMES_MAX 1000000u

typedef struct Names {
        char **names;
        size_t n, room;
} Names;

static void names_done(Names *names) {
        for (size_t i = 0; i < names->n; i++)
                free(names->names[i]);
        free(names->names);
}

static int add(Names *names, const char *name) {
        if (names->n >= NAMES_MAX)
                return -E2BIG;
        if (names->n == names->room) {
                size_t room = names->room ? 2 * names->room : 64;
                char **grown = reallocarray(names->names, room, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                names->names = grown;
                names->room = room;
        }
        names->names[names->n] = strdup(name);
        if (!names->names[names->n])
                return -ENOMEM;
        names->n++;
        return 0;
}

static int compare(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Takes the descriptor. What is being written has its place in tmp/: all that lies here is whole. */
static int read_names(int fd, const char *begin, Names *names) {
        const struct dirent *e;
        DIR *d = fdopendir(fd);
        int r = 0;

        if (!d) {
                r = -errno;
                fd_close(fd);
                return r;
        }
        for (errno = 0; r >= 0 && (e = readdir(d)); errno = 0)
                if (e->d_name[0] != '.' && strncmp(e->d_name, begin, strlen(begin)) == 0)
                        r = add(names, e->d_name);
        if (r >= 0 && errno != 0)
                r = -errno;
        (void) closedir(d);
        if (r >= 0 && names->n > 1)
                qsort(names->names, names->n, sizeof(*names->names), compare);
        return r;
}

static int give(Task *task, const LayoutSmallKey *prefix, const Names *names) {
        int r = 0;

        for (size_t i = 0; i < names->n && r == 0; i++) {
                _cleanup_(freep) char *key = text_format("%s/%s/%s", prefix->parts[0], prefix->parts[1], names->names[i]);
                LayoutSmallKey whole;

                if (!key)
                        return -ENOMEM;
                /* What could not be asked for by its name is none of ours. */
                if (strcmp(key, task->list.after) > 0 && layout_parse_prefix(key, &whole) >= 0)
                        r = task_take_key(task, key);
        }
        return r < 0 ? r : 0;
}

void dir_list(DirStore *s, Task *task) {
        _cleanup_(fd_closep) int root = -EBADF, top = -EBADF, folder = -EBADF;
        _cleanup_(names_done) Names names = { 0 };
        LayoutSmallKey prefix;
        int r = 0;

        if (layout_parse_prefix(task->list.prefix, &prefix) < 0) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s is no folder of small texts", task->list.prefix);
                return;
        }
        root = dir_open_root(s, false, &task->answer);
        if (root < 0)
                return;
        top = dir_open_dir(root, prefix.parts[0]);
        folder = top < 0 ? top : dir_open_dir(top, prefix.parts[1]);
        if (folder >= 0)
                r = read_names(TAKE_FD(folder), prefix.parts[2], &names);
        else if (folder != -ENOENT)
                r = folder;
        if (r >= 0)
                r = give(task, &prefix, &names);
        if (r < 0)
                (void) dir_fail(s, r, "listing small texts", &task->answer);
}
