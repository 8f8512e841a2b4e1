/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"

#define BLOCK 512u
#define CHUNK ((size_t) 1024 * 1024)
/* What the size's octal digits in a header can hold. */
#define TAR_SIZE_MAX UINT64_C(077777777777)

void bundle_done(Bundle *b) {
        for (size_t i = 0; i < b->n_files; i++)
                free(b->files[i].name);
        free(b->files);
        b->fd = fd_close(b->fd);
        *b = (Bundle){ .fd = -EBADF };
}

int bundle_open(const char *path, Bundle *ret) {
        size_t n = strlen(path);
        Bundle b = { .fd = -EBADF, .path = path, .tar = n > 4 && text_equal(path + n - 4, ".tar") };

        b.now_unix_sec = clock_wall_usec() / (int64_t) USEC_PER_SEC;
        if (!b.tar && mkdir(path, 0755) < 0)
                return -errno;
        b.fd = b.tar ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (b.fd < 0)
                return -errno;
        *ret = b;
        return 0;
}

int bundle_scratch(const Bundle *b, int *ret_fd) {
        _cleanup_(freep) char *name = text_format(b->tar ? "%s.part" : "%s/.part", b->path);
        int fd;

        if (!name)
                return -ENOMEM;
        fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (unlink(name) < 0) {
                int r = -errno;

                (void) close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

int bundle_free_bytes(const Bundle *b, uint64_t *ret) {
        struct statvfs st;

        if (fstatvfs(b->fd, &st) < 0)
                return -errno;
        *ret = (uint64_t) st.f_bavail * st.f_frsize;
        return 0;
}

/* ---- Hashes --------------------------------------------------------------------------------------------------------- */

typedef struct Hashes {
        EVP_MD_CTX *sha256, *sha512, *md5;
} Hashes;

static void hashes_done(Hashes *h) {
        EVP_MD_CTX_free(h->sha256);
        EVP_MD_CTX_free(h->sha512);
        EVP_MD_CTX_free(h->md5);
}

static int hashes_init(Hashes *h) {
        h->sha256 = EVP_MD_CTX_new();
        h->sha512 = EVP_MD_CTX_new();
        h->md5 = EVP_MD_CTX_new();
        if (!h->sha256 || !h->sha512 || !h->md5)
                return -ENOMEM;
        return EVP_DigestInit_ex(h->sha256, EVP_sha256(), NULL) == 1 && EVP_DigestInit_ex(h->sha512, EVP_sha512(), NULL) == 1 &&
                               EVP_DigestInit_ex(h->md5, EVP_md5(), NULL) == 1 ?
                       0 :
                       -EIO;
}

static int hashes_update(Hashes *h, const void *data, size_t size) {
        return EVP_DigestUpdate(h->sha256, data, size) == 1 && EVP_DigestUpdate(h->sha512, data, size) == 1 &&
                               EVP_DigestUpdate(h->md5, data, size) == 1 ?
                       0 :
                       -EIO;
}

static int hashes_finish(Hashes *h, BundleFile *file, Digest *ret) {
        uint8_t sha512[SHA512_SIZE], md5[16];
        Digest sha256;

        if (EVP_DigestFinal_ex(h->sha256, sha256.bytes, NULL) != 1 || EVP_DigestFinal_ex(h->sha512, sha512, NULL) != 1 ||
            EVP_DigestFinal_ex(h->md5, md5, NULL) != 1)
                return -EIO;
        (void) c4_from_sha512(sha512, file->c4);
        for (size_t i = 0; i < sizeof(md5); i++)
                (void) snprintf(file->md5 + 2 * i, 3, "%02x", md5[i]);
        *ret = sha256;
        return 0;
}

/* ---- Files ---------------------------------------------------------------------------------------------------------- */

/* Opens the file's folder, making it, and returns the last component's name in *ret_name. */
static int open_folder(const Bundle *b, const char *name, const char **ret_name) {
        int dir = fcntl(b->fd, F_DUPFD_CLOEXEC, 3);

        for (const char *slash; dir >= 0 && (slash = strchr(name, '/')); name = slash + 1) {
                _cleanup_(freep) char *part = strndup(name, (size_t) (slash - name));
                int next = part ? fd_open_dir(dir, part, 0755) : -ENOMEM;

                fd_close(dir);
                dir = next;
        }
        *ret_name = name;
        return dir < 0 && dir != -1 ? dir : dir < 0 ? -errno : dir;
}

/* ustar (POSIX 1003.1-1988): name, mode, owner, size, time, sum, type, magic. */
static int write_header(Bundle *b, const BundleFile *file) {
        char header[BLOCK] = { 0 };
        unsigned sum = 0;

        if (file->size > TAR_SIZE_MAX)
                return -EFBIG;
        memcpy(header, file->name, strlen(file->name));
        (void) snprintf(header + 100, 8, "%07o", 0644u);
        (void) snprintf(header + 108, 8, "%07o", 0u);
        (void) snprintf(header + 116, 8, "%07o", 0u);
        (void) snprintf(header + 124, 12, "%011llo", (unsigned long long) (file->size & TAR_SIZE_MAX));
        (void) snprintf(header + 136, 12, "%011llo", (unsigned long long) (MAX2(file->mtime_unix_sec, 0) & (int64_t) TAR_SIZE_MAX));
        memset(header + 148, ' ', 8);
        header[156] = '0';
        memcpy(header + 257, "ustar\00000", 8);
        for (size_t i = 0; i < BLOCK; i++)
                sum += (unsigned char) header[i];
        (void) snprintf(header + 148, 8, "%06o", sum);
        return fd_write_full(b->fd, header, sizeof(header));
}

static int begin_file(Bundle *b, const BundleFile *file, int *ret_fd) {
        const char *last = NULL;
        int dir, fd, r;

        if (strlen(file->name) > BUNDLE_NAME_MAX)
                return -ENAMETOOLONG;
        if (b->tar) {
                r = write_header(b, file);
                *ret_fd = b->fd;
                return r;
        }
        dir = open_folder(b, file->name, &last);
        if (dir < 0)
                return dir;
        fd = openat(dir, last, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        r = fd < 0 ? -errno : 0;
        fd_close(dir);
        *ret_fd = fd;
        return r;
}

static int end_file(Bundle *b, const BundleFile *file, int fd) {
        static const char zeroes[BLOCK];
        struct timespec times[2] = { { .tv_sec = file->mtime_unix_sec }, { .tv_sec = file->mtime_unix_sec } };
        int r = 0;

        if (b->tar)
                return file->size % BLOCK ? fd_write_full(fd, zeroes, BLOCK - file->size % BLOCK) : 0;
        (void) futimens(fd, times);
        if (fsync(fd) < 0)
                r = -errno;
        fd_close(fd);
        return r;
}

/* Takes the name. */
static int keep_file(Bundle *b, BundleFile *file) {
        BundleFile *grown = reallocarray(b->files, b->n_files + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        b->files = grown;
        grown[b->n_files++] = *file;
        file->name = NULL;
        return 0;
}

/* From a descriptor, or from memory. */
static int add(Bundle *b, BundleFile *file, int from, const char *text, Digest *ret) {
        _cleanup_(freep) char *buffer = text ? NULL : malloc(CHUNK);
        _cleanup_(hashes_done) Hashes hashes = { 0 };
        int fd = -EBADF, r, end;

        r = !text && !buffer ? -ENOMEM : hashes_init(&hashes);
        if (r >= 0)
                r = begin_file(b, file, &fd);
        if (r < 0)
                return r;
        for (uint64_t at = 0; at < file->size && r >= 0;) {
                size_t n = (size_t) MIN2(file->size - at, (uint64_t) CHUNK);

                if (!text)
                        r = fd_pread_full(from, buffer, n, at);
                if (r >= 0)
                        r = hashes_update(&hashes, text ? text + at : buffer, n);
                if (r >= 0)
                        r = fd_write_full(fd, text ? text + at : buffer, n);
                at += n;
        }
        end = end_file(b, file, fd);
        if (r >= 0)
                r = end;
        if (r >= 0)
                r = hashes_finish(&hashes, file, ret);
        return r < 0 ? r : keep_file(b, file);
}

int bundle_copy(Bundle *b, const char *name, int fd, uint64_t size, int64_t mtime_unix_sec, Digest *ret_digest) {
        BundleFile file = { .name = strdup(name), .size = size, .mtime_unix_sec = mtime_unix_sec };
        int r;

        r = file.name ? add(b, &file, fd, NULL, ret_digest) : -ENOMEM;
        free(file.name);
        return r;
}

int bundle_text(Bundle *b, const char *name, const char *text, size_t size) {
        BundleFile file = { .name = strdup(name), .size = size, .mtime_unix_sec = b->now_unix_sec };
        Digest digest;
        int r;

        r = file.name ? add(b, &file, -EBADF, text, &digest) : -ENOMEM;
        free(file.name);
        return r;
}

int bundle_finish(Bundle *b) {
        static const char end[2 * BLOCK];
        int r = 0;

        if (b->tar)
                r = fd_write_full(b->fd, end, sizeof(end));
        if (r >= 0 && fsync(b->fd) < 0)
                r = -errno;
        return r;
}
