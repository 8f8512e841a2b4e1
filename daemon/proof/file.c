/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/measure.h"
#include "base/text.h"

static int count(void *userdata, size_t size) {
        Proof *p = userdata;

        p->counts.spool_bytes += size;
        proof_progress(p, "bytes of the spool", p->counts.spool_bytes, 0);
        return 0;
}

int proof_hash_more(Proof *p, int fd, uint64_t from, uint64_t size, Hasher *hasher) {
        return measure_more(fd, from, size, hasher, count, p);
}

int proof_hash_file(Proof *p, int fd, uint64_t from, uint64_t size, Digest *ret) {
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        int r;

        r = hasher_new(&hasher);
        if (r >= 0)
                r = proof_hash_more(p, fd, from, size, hasher);
        return r < 0 ? r : hasher_finish(hasher, ret);
}

void proof_check_file(Proof *p, int dir_fd, const char *folder, const char *name, uint64_t size, const Digest *digest, const char *of) {
        _cleanup_(freep) char *where = text_format("%s/%s", folder, name);
        _cleanup_(fd_closep) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        Digest is;
        int r;

        if (!where)
                return;
        p->counts.spool_files++;
        if (fd < 0)
                return proof_found(p, where, errno == ENOENT ? "the file is missing" : "the file cannot be opened: %s", strerror(errno));
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return proof_found(p, where, "it is no file");
        if (size != UINT64_MAX && (uint64_t) st.st_size != size)
                return proof_found(p, where, "it has %jd bytes, and %s had %" PRIu64, (intmax_t) st.st_size, of, size);
        r = proof_hash_file(p, fd, 0, (uint64_t) st.st_size, &is);
        if (r < 0)
                proof_found(p, where, "it cannot be read: %s", strerror(-r));
        else if (!digest_equal(&is, digest))
                proof_found(p, where, "its SHA-256 is not that of %s", of);
}

DIR *proof_open_folder(Proof *p, int dir_fd, const char *name) {
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (dir)
                return dir;
        if (errno != ENOENT)
                proof_found(p, name, "the folder cannot be read: %s", strerror(errno));
        fd_close(fd);
        return NULL;
}

bool proof_name_ends(const char *name, const char *end) {
        size_t n = strlen(name), m = strlen(end);

        return n > m && text_equal(name + n - m, end);
}
