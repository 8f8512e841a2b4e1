/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/import_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <berth/plugin.h>

#include "base/fd.h"
#include "base/text.h"
#include "model/model.h"

#define DEPTH_MAX 64u

/* What cameras and editors call video; a model says more exactly what its camera's footage is. */
static const char *const video[] = { "3g2", "3gp", "asf", "avi",  "dav", "f4v", "flv", "h264", "h265", "insv", "lrv", "m2t",  "m2ts", "m4v",
                                     "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogv",  "sec",  "ts",   "vob", "webm", "wmv" };

typedef struct Walk {
        ImportFiles *files;
        const Model *model; /* NULL: video files */
        unsigned depth;
} Walk;

static bool is_video(const char *path) {
        const char *dot = strrchr(path, '.');
        for (size_t i = 0; dot && i < ELEMENTSOF(video); i++)
                if (strcasecmp(dot + 1, video[i]) == 0)
                        return true;
        return false;
}

static char *join(const char *folder, const char *name) {
        return folder[0] ? text_format("%s/%s", folder, name) : strdup(name);
}

static int add(Walk *w, const char *raw, const char *path, const struct stat *st) {
        ImportFiles *f = w->files;
        ImportFile *items;
        if (w->model ? model_file(w->model, path) == MODEL_FILE_NONE : !is_video(path))
                return 0;
        if (f->n == BERTH_CLIPS_MAX || strlen(path) >= BERTH_PATH_MAX)
                return f->n == BERTH_CLIPS_MAX ? -E2BIG : -ENAMETOOLONG;
        items = reallocarray(f->items, f->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        f->items = items;
        items[f->n] = (ImportFile){ strdup(raw), strdup(path), (uint64_t) st->st_size, (int64_t) st->st_mtim.tv_sec };
        f->n++;
        return items[f->n - 1].raw && items[f->n - 1].path ? 0 : -ENOMEM;
}

static int walk(Walk *w, int folder, const char *raw, const char *path);

/* One entry: files count, folders are walked into, links and the rest are passed over. */
static int visit(Walk *w, int folder, const char *name, const char *raw, const char *path) {
        _cleanup_(freep) char *raw_here = join(raw, name), *path_here = NULL;
        char escaped[3 * NAME_MAX + 1];
        struct stat st;
        if (!raw_here || text_escape_name(name, strlen(name), escaped, sizeof(escaped)) < 0 || !(path_here = join(path, escaped)))
                return -ENOMEM;
        if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (S_ISREG(st.st_mode))
                return add(w, raw_here, path_here, &st);
        if (!S_ISDIR(st.st_mode))
                return 0;
        if (w->depth == DEPTH_MAX)
                return -ELOOP;
        w->depth++;
        int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r = fd < 0 ? -errno : walk(w, fd, raw_here, path_here);
        w->depth--;
        return r;
}

/* Takes `folder`. */
static int walk(Walk *w, int folder, const char *raw, const char *path) {
        DIR *dir = fdopendir(folder);
        int r = 0;
        if (!dir) {
                r = -errno;
                (void) close(folder);
                return r;
        }
        for (struct dirent *e; r >= 0 && (errno = 0, e = readdir(dir));)
                if (!text_equal(e->d_name, ".") && !text_equal(e->d_name, ".."))
                        r = visit(w, dirfd(dir), e->d_name, raw, path);
        if (r >= 0 && errno != 0)
                r = -errno;
        (void) closedir(dir);
        return r;
}

static int compare(const void *a, const void *b) {
        return strcmp(((const ImportFile *) a)->path, ((const ImportFile *) b)->path);
}

static int find_model(const Options *options, Models **ret_models, const Model **ret) {
        ConfError error = { 0 };
        int r = models_load(options->models_dir ? options->models_dir : BERTH_DATADIR "/cameras.d",
                            options->local_models_dir ? options->local_models_dir : "/etc/berth/cameras.d", ret_models, &error);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s", error.text[0] ? error.text : strerror(-r));
        *ret = models_find(*ret_models, options->model);
        return *ret ? CTL_OK : ctl_fail(CTL_USAGE, "--model: there is no model '%s'; 'berthctl model list' lists them", options->model);
}

int import_files_find(const Options *options, const char *folder, ImportFiles *ret) {
        _cleanup_(models_freep) Models *models = NULL;
        Walk w = { .files = ret };
        if (options->model) {
                int exit_code = find_model(options, &models, &w.model);
                if (exit_code != CTL_OK)
                        return exit_code;
        }
        ret->root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int again = ret->root < 0 ? -1 : openat(ret->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = again < 0 ? -errno : walk(&w, again, "", "");
        if (r == -E2BIG)
                return ctl_fail(CTL_FAILURE, "there are more than %u files in '%s'; import its folders one by one", BERTH_CLIPS_MAX,
                                folder);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "'%s' cannot be read whole: %s; nothing was imported", folder, strerror(-r));
        if (ret->n > 0)
                qsort(ret->items, ret->n, sizeof(*ret->items), compare);
        return CTL_OK;
}

int import_files_open(const ImportFiles *files, size_t index) {
        _cleanup_(freep) char *path = strdup(files->items[index].raw);
        _cleanup_(fd_closep) int folder = -EBADF;
        int at = files->root;
        char *name = path;
        if (!path)
                return -ENOMEM;
        /* Component by component: no link on the way, whoever put it there meanwhile. */
        for (char *slash; (slash = strchr(name, '/')); name = slash + 1) {
                *slash = 0;
                int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (next < 0)
                        return -errno;
                fd_close(folder);
                folder = at = next;
        }
        /* O_NOATIME is for the owner and root; where it is refused the time of the last reading may change. */
        int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOATIME);
        if (fd < 0 && errno == EPERM)
                fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        return fd < 0 ? -errno : fd;
}

int import_files_id(const ImportFiles *files, char *ret, size_t size) {
        struct statfs fs;
        struct stat st;
        uint32_t id[2];
        if (fstat(files->root, &st) < 0 || fstatfs(files->root, &fs) < 0)
                return -errno;
        memcpy(id, &fs.f_fsid, sizeof(id));
        (void) snprintf(ret, size, "device %u:%u, inode %llu, file system %08lx %08x%08x", major(st.st_dev), minor(st.st_dev),
                        (unsigned long long) st.st_ino, (unsigned long) fs.f_type, id[0], id[1]);
        return 0;
}

void import_files_done(ImportFiles *f) {
        for (size_t i = 0; i < f->n; i++) {
                free(f->items[i].raw);
                free(f->items[i].path);
        }
        free(f->items);
        fd_close(f->root);
}
