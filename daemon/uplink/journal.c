/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/text.h"

#define FILE_SIZE_MAX ((size_t) 8 * 1024 * 1024)
#define MODE 0600
#define NAME_DIGITS (JOURNAL_NAME_SIZE - 1)

int journal_name(const char *of, char ret[static JOURNAL_NAME_SIZE]) {
        char hex[DIGEST_HEX_SIZE];
        Digest digest;
        int r;

        r = digest_of(of, strlen(of), &digest);
        if (r < 0)
                return r;
        (void) snprintf(ret, JOURNAL_NAME_SIZE, "%.*s", NAME_DIGITS, digest_to_hex(&digest, hex));
        return 0;
}

/* ---- One file ------------------------------------------------------------------------------------------------------ */

static int lock(int fd) {
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        return 0;
}

int journal_open(int dir, const char *name, int *ret_fd, char **ret_text, size_t *ret_size) {
        _cleanup_(fd_closep) int fd = openat(dir, name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        int r;

        if (fd < 0)
                return -errno;
        r = lock(fd);
        if (r < 0)
                return r;
        r = fd_read_file(dir, name, FILE_SIZE_MAX, ret_text, ret_size);
        if (r < 0)
                return r == -ENOMEM || r == -EIO ? r : -EBADMSG;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int journal_cut(int fd, size_t whole, size_t size) {
        return whole < size && ftruncate(fd, (off_t) whole) < 0 ? -errno : 0;
}

int journal_create(int dir, const char *name, const char *text, int *ret_fd) {
        _cleanup_(fd_closep) int fd = -EBADF;
        int r;

        r = fd_replace_file(dir, name, text, strlen(text), MODE);
        if (r < 0)
                return r;
        fd = openat(dir, name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        r = lock(fd);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int journal_line(json_t *j, char **ret) {
        _cleanup_(freep) char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

        json_decref(j);
        *ret = text ? text_format("%s\n", text) : NULL;
        return *ret ? 0 : -ENOMEM;
}

int journal_append(int fd, json_t *j) {
        _cleanup_(freep) char *line = NULL;
        int r;

        if (fd < 0) {
                json_decref(j);
                return 0;
        }
        r = journal_line(j, &line);
        if (r >= 0)
                r = fd_write_full(fd, line, strlen(line));
        CRASH_POINT("record-written");
        if (r >= 0 && fdatasync(fd) < 0)
                r = -errno;
        CRASH_POINT("record-synced");
        return r;
}

int journal_move(int dir, const char *from, const char *to) {
        if (renameat(dir, from, dir, to) < 0)
                return -errno;
        return fd_sync_dir(dir);
}

int journal_remove(int dir, const char *name, int *fd) {
        if (*fd < 0)
                return 0;
        CRASH_POINT("record-remove-begins");
        if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
                return -errno;
        CRASH_POINT("record-removed");
        *fd = fd_close(*fd);
        return fd_sync_dir(dir);
}

/* ---- Lines --------------------------------------------------------------------------------------------------------- */

char *journal_next_line(char **text) {
        char *line = *text, *end = strchr(line, '\n');

        if (!end)
                return NULL;
        *end = 0;
        *text = end + 1;
        return line;
}

const char *journal_string(const json_t *line, const char *key) {
        const json_t *member = json_object_get(line, key);
        const char *s = json_string_value(member);

        return s && strlen(s) == json_string_length(member) && text_is_printable(s) ? s : NULL;
}

int journal_uint(const json_t *line, const char *key, uint64_t max, uint64_t *ret) {
        const json_t *member = json_object_get(line, key);

        if (!json_is_integer(member) || json_integer_value(member) < 0 || (uint64_t) json_integer_value(member) > max)
                return -EBADMSG;
        *ret = (uint64_t) json_integer_value(member);
        return 0;
}

/* ---- Old ones ------------------------------------------------------------------------------------------------------ */

static bool is_name(const char *name) {
        return strlen(name) == NAME_DIGITS && name[strspn(name, "0123456789abcdef")] == 0;
}

static int look_at(int dir, const char *name, int64_t before_unix_sec, JournalLook look, void *userdata) {
        _cleanup_(fd_closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        size_t size;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (int64_t) st.st_mtime >= before_unix_sec || lock(fd) < 0)
                return 0;
        r = fd_read_file(dir, name, FILE_SIZE_MAX, &text, &size);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        return look(name, text, (int64_t) st.st_mtime, userdata);
}

int journal_find_old(int dir, int64_t before_unix_sec, JournalLook look, void *userdata) {
        const struct dirent *entry;
        int fd, r = 0;
        DIR *d;

        fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        d = fdopendir(fd);
        if (!d) {
                r = -errno;
                fd_close(fd);
                return r;
        }
        while (r == 0 && (entry = readdir(d)))
                if (is_name(entry->d_name))
                        r = look_at(dir, entry->d_name, before_unix_sec, look, userdata);
        (void) closedir(d);
        return r;
}

int journal_remove_old(int dir, const char *name) {
        CRASH_POINT("orphan-remove-begins");
        if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
                return -errno;
        CRASH_POINT("orphan-removed");
        return fd_sync_dir(dir);
}
