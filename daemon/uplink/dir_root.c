/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Is the folder the store? A mount point whose mount is gone looks like an empty folder and must not be filled. So a store has a
 * marker with an id; an empty folder becomes a store only where none was known before.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#include <systemd/sd-id128.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "uplink/dir_private.h"
#include "uplink/owner.h"

#define MARKER_VERSION 1
#define MARKER_SIZE_MAX 4096u
#define MEMORY_FILE "store.json"

int dir_fail(const DirStore *s, int error, const char *doing, Answer *answer) {
        const char *state = WIRE_STORE_ERROR;

        error = error < 0 ? -error : error;
        switch (error) {
        case ENOSPC:
        case EDQUOT:
                return answer_fail(answer, WIRE_UPLINK_E_FULL, WIRE_STORE_FULL, "the store %s is full (%s: %s); make room there", s->path,
                                   doing, strerror(error));
        case EROFS:
                return answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_READ_ONLY,
                                   "the store %s is on a read-only file system (%s); mount it writable", s->path, doing);
        case EACCES:
        case EPERM:
                return answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_READ_ONLY,
                                   "the store %s cannot be written by user %u (%s: %s); give it to that user", s->path,
                                   (unsigned) geteuid(), doing, strerror(error));
        case ENOMEM:
        case EMFILE:
        case ENFILE:
        case ECANCELED:
                state = NULL;
                break;
        default:
                break;
        }
        return answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, state, "the store %s failed while %s: %s", s->path, doing,
                           strerror(error));
}

static int missing(Answer *answer, const char *format, ...) _printf_(2, 3);
static int missing(Answer *answer, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = text_vformat(format, arguments);
        va_end(arguments);
        return answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_MISSING, "%s", text ? text : "the store is not there");
}

/* ---- What was seen at this place before ---------------------------------------------------------------------------- */

static bool id_is_valid(const char *id) {
        return id && strlen(id) == 32 && id[strspn(id, "0123456789abcdef")] == 0;
}

static int open_state_dir(const DirStore *s) {
        int fd = open(s->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* The id of the store that was at this path when the uplink last ran; "" when there was none. */
static void recall(DirStore *s) {
        _cleanup_(fd_closep) int dir = s->state_dir ? open_state_dir(s) : -EBADF;
        _cleanup_(json_decrefp) json_t *j = NULL;
        _cleanup_(freep) char *text = NULL;
        const char *path, *id;
        size_t size;

        if (dir < 0 || fd_read_file(dir, MEMORY_FILE, MARKER_SIZE_MAX * 2, &text, &size) < 0)
                return;
        j = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
        path = json_string_value(json_object_get(j, "path"));
        id = json_string_value(json_object_get(j, "id"));
        if (path && text_equal(path, s->path) && id_is_valid(id))
                memcpy(s->known_id, id, sizeof(s->known_id));
}

static int remember(DirStore *s, const char *id, Answer *answer) {
        _cleanup_(fd_closep) int dir = -EBADF;
        _cleanup_(json_decrefp) json_t *j = NULL;
        _cleanup_(freep) char *text = NULL;
        int r;

        if (text_equal(s->known_id, id))
                return 0;
        if (s->state_dir) {
                j = json_pack("{s:s, s:s}", "path", s->path, "id", id);
                text = j ? json_dumps(j, JSON_COMPACT) : NULL;
                if (!text)
                        return dir_fail(s, ENOMEM, "remembering its id", answer);
                dir = open_state_dir(s);
                r = dir < 0 ? dir : fd_replace_file(dir, MEMORY_FILE, text, strlen(text), 0640);
                if (r < 0)
                        return answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                           "the id of the store %s cannot be written to %s: %s", s->path, s->state_dir, strerror(-r));
        }
        memcpy(s->known_id, id, sizeof(s->known_id));
        return 0;
}

/* ---- The marker ---------------------------------------------------------------------------------------------------- */

/* 1: there is one. 0: there is none. -1: answered. */
static int read_marker(const DirStore *s, int root, char ret_id[static 33], Answer *answer) {
        _cleanup_(json_decrefp) json_t *j = NULL;
        _cleanup_(freep) char *text = NULL;
        const json_t *version;
        const char *id;
        size_t size;
        int r;

        r = fd_read_file(root, DIR_MARKER, MARKER_SIZE_MAX, &text, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return dir_fail(s, r, "reading its marker " DIR_MARKER, answer);
        j = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
        version = json_object_get(j, "berth_store");
        id = json_string_value(json_object_get(j, "id"));
        if (json_is_integer(version) && json_integer_value(version) > MARKER_VERSION)
                return answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s is of version %lld; this Berth knows version %d only", s->path,
                                   (long long) json_integer_value(version), MARKER_VERSION);
        if (!json_is_integer(version) || json_integer_value(version) != MARKER_VERSION || !id_is_valid(id))
                return answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "%s/" DIR_MARKER " is no marker of a Berth store; restore it from a backup", s->path);
        memcpy(ret_id, id, 33);
        return 1;
}

static bool may_lie_in_an_empty_store(const char *name) {
        return text_equal(name, ".") || text_equal(name, "..") || text_equal(name, "lost+found") ||
               strncmp(name, DIR_MARKER ".", strlen(DIR_MARKER ".")) == 0;
}

static int is_empty(int root) {
        const struct dirent *entry;
        int fd, r = 1;
        DIR *dir;

        fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir) {
                r = -errno;
                fd_close(fd);
                return r;
        }
        while (r == 1 && (errno = 0, entry = readdir(dir)))
                r = may_lie_in_an_empty_store(entry->d_name);
        if (r == 1 && errno != 0)
                r = -errno;
        (void) closedir(dir);
        return r;
}

/* Two docks may do this at once in an empty share: the first marker stays. */
static int write_marker(int root) {
        char id[SD_ID128_STRING_MAX], text[128], temporary[64];
        _cleanup_(fd_closep) int fd = -EBADF;
        sd_id128_t random;
        int r;

        r = sd_id128_randomize(&random);
        if (r < 0)
                return r;
        (void) snprintf(text, sizeof(text), "{\"berth_store\": %d, \"id\": \"%s\"}\n", MARKER_VERSION, sd_id128_to_string(random, id));
        (void) snprintf(temporary, sizeof(temporary), DIR_MARKER ".%s", id);
        fd = openat(root, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        r = fd_write_full(fd, text, strlen(text));
        CRASH_POINT("marker-written");
        if (r >= 0 && fdatasync(fd) < 0)
                r = -errno;
        CRASH_POINT("marker-synced");
        if (r >= 0)
                r = dir_place(root, temporary, root, DIR_MARKER);
        CRASH_POINT("marker-placed");
        (void) unlinkat(root, temporary, 0);
        if (r == -EEXIST)
                r = 0;
        return r < 0 ? r : fd_sync_dir(root);
}

static int create_marker(const DirStore *s, int root, bool although_known, Answer *answer) {
        int r;

        r = is_empty(root);
        if (r < 0)
                return dir_fail(s, r, "listing it", answer);
        if (r == 0)
                return missing(answer, "%s is not empty and has no " DIR_MARKER ": it is not a store; name an empty folder", s->path);
        if (!although_known && s->known_id[0])
                return missing(answer, "%s is empty, but held the store %s before: mount it, or begin a new store there with "
                                       "berth-uplink --create-store", s->path, s->known_id);
        if (!although_known && !s->create)
                return missing(answer, "%s is empty: mount the store, or begin a new one there with berth-uplink --create-store",
                               s->path);
        r = write_marker(root);
        return r < 0 ? dir_fail(s, r, "writing its marker " DIR_MARKER, answer) : 0;
}

/* ---- The folder ---------------------------------------------------------------------------------------------------- */

static int check_mount_point(const DirStore *s, Answer *answer) {
        struct statx st;

        if (!s->mount_point)
                return 0;
        if (statx(AT_FDCWD, s->mount_point, 0, STATX_TYPE, &st) < 0)
                return missing(answer, "%s, where the store is to be mounted, is not there: %s", s->mount_point, strerror(errno));
        if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
                return missing(answer, "nothing is mounted at %s, where the store %s is expected", s->mount_point, s->path);
        return 0;
}

static int open_folder(const DirStore *s, Answer *answer) {
        int root;

        /* First, so that an automounter notices. */
        root = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ESTALE || errno == ENODEV || errno == ENXIO ||
                         errno == EHOSTDOWN || errno == EHOSTUNREACH || errno == ENOTCONN))
                return missing(answer, "the store's folder %s is not there: %s", s->path, strerror(errno));
        if (root < 0)
                return dir_fail(s, errno, "opening its folder", answer);
        if (check_mount_point(s, answer) < 0) {
                fd_close(root);
                return -1;
        }
        return root;
}

int dir_open_root(DirStore *s, bool may_create, Answer *answer) {
        _cleanup_(fd_closep) int root = open_folder(s, answer);
        char id[33];
        int r;

        if (root < 0)
                return -1;
        r = read_marker(s, root, id, answer);
        if (r < 0)
                return -1;
        (void) pthread_mutex_lock(&s->mutex);
        if (r == 0 && !may_create)
                r = missing(answer, "%s has no " DIR_MARKER ": it is not a store, or not mounted", s->path);
        else if (r == 0 && create_marker(s, root, false, answer) < 0)
                r = -1;
        else if (r == 0)
                r = read_marker(s, root, id, answer);
        if (r > 0 && s->known_id[0] && !text_equal(s->known_id, id))
                r = missing(answer, "%s holds the store %s, not %s as before: mount the right one, or say with berth-uplink "
                                    "--create-store that this is meant", s->path, id, s->known_id);
        if (r > 0)
                r = remember(s, id, answer) < 0 ? -1 : 1;
        (void) pthread_mutex_unlock(&s->mutex);
        return r > 0 ? TAKE_FD(root) : -1;
}

int dir_create_store(const DirSettings *settings, char ret_id[static 33], Answer *answer) {
        _cleanup_(dir_store_freep) DirStore *s = NULL;
        _cleanup_(fd_closep) int root = -EBADF;
        int r;

        r = dir_store_new(settings, &s);
        if (r < 0)
                return answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, NULL, "%s", strerror(-r));
        root = open_folder(s, answer);
        if (root < 0)
                return -1;
        r = read_marker(s, root, ret_id, answer);
        if (r == 0) {
                if (create_marker(s, root, true, answer) < 0)
                        return -1;
                r = read_marker(s, root, ret_id, answer);
        }
        if (r <= 0)
                return -1;
        return remember(s, ret_id, answer);
}

/* ---- The struct ---------------------------------------------------------------------------------------------------- */

static int copy_string(const char *from, char **ret) {
        if (!from)
                return 0;
        *ret = strdup(from);
        return *ret ? 0 : -ENOMEM;
}

int dir_store_new(const DirSettings *settings, DirStore **ret) {
        _cleanup_(dir_store_freep) DirStore *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        (void) pthread_mutex_init(&s->mutex, NULL);
        s->create = settings->create;
        s->read_back = settings->read_back;
        s->same_disk_is_store = settings->same_disk_is_store;
        if ((r = copy_string(settings->path, &s->path)) < 0 || (r = copy_string(settings->mount_point, &s->mount_point)) < 0 ||
            (r = copy_string(settings->state_dir, &s->state_dir)) < 0 || (r = owner_find(s->owner)) < 0)
                return r;
        recall(s);
        *ret = TAKE_PTR(s);
        return 0;
}

DirStore *dir_store_free(DirStore *s) {
        if (!s)
                return NULL;
        (void) pthread_mutex_destroy(&s->mutex);
        free(s->path);
        free(s->mount_point);
        free(s->state_dir);
        successor_end(&s->successor);
        free(s);
        return NULL;
}
