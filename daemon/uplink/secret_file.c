/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/fd.h"
#include "base/text.h"

#define FILE_SIZE_MAX 16384u

char *secret_forget(char *secret) {
        if (secret)
                OPENSSL_clear_free(secret, strlen(secret) + 1);
        return NULL;
}

char *secret_copy(const char *text, size_t size) {
        return OPENSSL_strndup(text, size);
}

int secret_file_init(SecretFile *f, const char *path, const char *credential) {
        const char *folder = getenv("CREDENTIALS_DIRECTORY");

        *f = (SecretFile){ .from_service_manager = !path };
        if (path)
                f->path = strdup(path);
        else if (folder)
                f->path = text_format("%s/%s", folder, credential);
        return (path || folder) && !f->path ? -ENOMEM : 0;
}

void secret_file_end(SecretFile *f) {
        free(f->path);
        f->path = NULL;
}

int secret_file_complain(const SecretFile *f, ConfError *error, const char *what) {
        (void) snprintf(error->text, sizeof(error->text), "the credentials file %s %s", f->path, what);
        return -EINVAL;
}

static bool is_unchanged(const SecretFile *f, const struct stat *st) {
        return f->loaded && st->st_ino == f->seen.st_ino && st->st_dev == f->seen.st_dev && st->st_size == f->seen.st_size &&
               st->st_mtim.tv_sec == f->seen.st_mtim.tv_sec && st->st_mtim.tv_nsec == f->seen.st_mtim.tv_nsec &&
               st->st_ctim.tv_sec == f->seen.st_ctim.tv_sec && st->st_ctim.tv_nsec == f->seen.st_ctim.tv_nsec;
}

static int read_file(const SecretFile *f, int fd, const struct stat *st, SecretSink sink, void *userdata, ConfError *error) {
        char text[FILE_SIZE_MAX];
        int r;

        if (st->st_size > (off_t) sizeof(text))
                return secret_file_complain(f, error, "is too long to be one");
        r = fd_pread_full(fd, text, (size_t) st->st_size, 0);
        if (r >= 0)
                r = sink(f, text, (size_t) st->st_size, userdata, error);
        OPENSSL_cleanse(text, sizeof(text));
        return r;
}

int secret_file_load(SecretFile *f, SecretSink sink, void *userdata, ConfError *error) {
        _cleanup_(fd_closep) int fd = -EBADF;
        struct stat st;
        int r;

        fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0) {
                (void) snprintf(error->text, sizeof(error->text), "the credentials file %s cannot be read: %s", f->path,
                                strerror(errno));
                return -EINVAL;
        }
        if (is_unchanged(f, &st))
                return 0;
        if (!S_ISREG(st.st_mode))
                return secret_file_complain(f, error, "is not a file");
        /* systemd's own are readable for the service's user alone, by an access list that shows as the group's bits. */
        if (!f->from_service_manager && (st.st_mode & 077))
                return secret_file_complain(f, error, "can be read by others: chmod 600 it, and give it to the user berth-uplink");
        r = read_file(f, fd, &st, sink, userdata, error);
        if (r < 0)
                return r;
        f->seen = st;
        f->loaded = true;
        return 0;
}
