/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/msc_medium.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"

#define CACHED_MAX 65536u

void msc_medium_init(MscMedium *m) {
        *m = (MscMedium) { .fd = -EBADF, .cut_after = UINT64_MAX };
}

int msc_medium_open(MscMedium *m, const char *path, uint64_t size, uint32_t sector_bytes) {
        _cleanup_(fd_closep) int fd = -EBADF;
        struct stat st;

        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        msc_medium_close(m);
        m->fd = fd;
        fd = -EBADF;
        m->sector_bytes = sector_bytes;
        m->n_sectors = MAX2(size, (uint64_t) st.st_size) / sector_bytes;
        return 0;
}

void msc_medium_forget(MscMedium *m) {
        for (size_t i = 0; i < m->n_cached; i++)
                free(m->cached[i].data);
        m->n_cached = 0;
}

void msc_medium_close(MscMedium *m) {
        msc_medium_forget(m);
        free(m->cached);
        m->cached = NULL;
        m->cached_room = 0;
        if (m->fd >= 0)
                (void) close(m->fd);
        m->fd = -EBADF;
        m->n_sectors = 0;
}

uint64_t msc_medium_good(const MscMedium *m, uint64_t sector, uint64_t n) {
        for (size_t i = 0; i < m->n_bad; i++) {
                const MscRange *bad = &m->bad[i];

                if (bad->first + bad->n <= sector || bad->first >= sector + n)
                        continue;
                n = bad->first > sector ? bad->first - sector : 0;
        }
        return n;
}

int msc_medium_read(MscMedium *m, uint64_t offset, uint8_t *ret, size_t size) {
        size_t done = 0;

        while (done < size) {
                ssize_t n = pread(m->fd, ret + done, size - done, (off_t) (offset + done));

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        break;
                done += n > 0 ? (size_t) n : 0;
        }
        memset(ret + done, 0, size - done);
        for (size_t i = 0; i < m->n_cached; i++) {
                uint64_t at = m->cached[i].sector * m->sector_bytes, from = MAX2(at, offset);
                uint64_t to = MIN2(at + m->sector_bytes, offset + size);

                if (from < to)
                        memcpy(ret + (from - offset), m->cached[i].data + (from - at), (size_t) (to - from));
        }
        return 0;
}

/* One sector into the file. */
static int put_sector(MscMedium *m, uint64_t sector, const uint8_t *data) {
        if (m->is_cut)
                return -ESHUTDOWN;
        if (m->cut_after == 0) {
                m->is_cut = true;
                msc_medium_forget(m);
                return -ESHUTDOWN;
        }
        if (m->cut_after != UINT64_MAX)
                m->cut_after--;
        if (m->forgets)
                return 0;
        if (pwrite(m->fd, data, m->sector_bytes, (off_t) (sector * m->sector_bytes)) != (ssize_t) m->sector_bytes)
                return -EIO;
        return 0;
}

static int cache_sector(MscMedium *m, uint64_t sector, const uint8_t *data) {
        uint8_t *copy;

        if (m->n_cached == m->cached_room) {
                size_t room = MAX2(m->cached_room * 2, (size_t) 64);
                MscCached *grown = room <= CACHED_MAX ? reallocarray(m->cached, room, sizeof(*grown)) : NULL;

                if (!grown)
                        return -ENOMEM;
                m->cached = grown;
                m->cached_room = room;
        }
        copy = malloc(m->sector_bytes);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, data, m->sector_bytes);
        m->cached[m->n_cached++] = (MscCached) { sector, copy };
        return 0;
}

int msc_medium_write(MscMedium *m, uint64_t sector, const uint8_t *data, uint64_t n) {
        int r = 0;

        for (uint64_t i = 0; r == 0 && i < n; i++) {
                const uint8_t *from = data + i * m->sector_bytes;

                r = m->has_cache ? cache_sector(m, sector + i, from) : put_sector(m, sector + i, from);
                if (r == 0)
                        m->sectors_written++;
        }
        return r;
}

int msc_medium_flush(MscMedium *m) {
        size_t done = 0;
        int r = 0;

        m->flushes++;
        while (r == 0 && done < m->n_cached) {
                r = put_sector(m, m->cached[done].sector, m->cached[done].data);
                done++;
        }
        msc_medium_forget(m);
        return r;
}
