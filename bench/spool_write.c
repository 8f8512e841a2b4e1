/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Ways of writing a clip into the spool, durable every 64 MiB.
 *
 *   spool_write WAY BYTES FOLDER
 *
 *     cached          pwrite() through the page cache, the disk begun with each 8 MiB, fdatasync(), and the cache let go
 *     direct          O_DIRECT, one piece after the other, out of huge pages: as the worker does in long batches
 *     direct-small    the same out of pages of the usual size
 *     uring           io_uring, O_DIRECT, four pieces in flight, out of huge pages
 *     uring-fixed     the same, out of registered buffers
 *     uring-cached    io_uring through the page cache, else as `cached`
 *
 * Prints "SECONDS CPU_SECONDS", the kernel's threads for io_uring among them.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "stopwatch.h"

#define PIECE (1 * MIB)
#define BEGIN_EVERY (8 * MIB)
#define SYNC_EVERY (64 * MIB)
#define HUGE_PAGE (2 * MIB)
#define IN_FLIGHT 4u

typedef struct Ways {
        bool uring, direct, fixed, huge;
        int fd, ring_fd;
        uint8_t *pieces; /* IN_FLIGHT of them */
        struct io_uring_params params;
        uint8_t *sq, *cq;
        struct io_uring_sqe *entries;
        unsigned flying;
} Ways;

/* ---- io_uring, by its system calls --------------------------------------------------------------------------------- */

static void *map(const Ways *w, size_t size, off_t at) {
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, w->ring_fd, at);

        return p == MAP_FAILED ? NULL : p;
}

static int uring_begin(Ways *w) {
        struct iovec buffers[IN_FLIGHT];

        w->ring_fd = (int) syscall(SYS_io_uring_setup, 2 * IN_FLIGHT, &w->params);
        if (w->ring_fd < 0)
                return -errno;
        w->sq = map(w, w->params.sq_off.array + w->params.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
        w->cq = map(w, w->params.cq_off.cqes + w->params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
        w->entries = map(w, w->params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
        if (!w->sq || !w->cq || !w->entries)
                return -ENOMEM;
        for (unsigned i = 0; i < IN_FLIGHT; i++)
                buffers[i] = (struct iovec){ w->pieces + i * PIECE, PIECE };
        if (w->fixed && syscall(SYS_io_uring_register, w->ring_fd, IORING_REGISTER_BUFFERS, buffers, IN_FLIGHT) < 0)
                return -errno;
        return 0;
}

static int uring_submit(Ways *w, unsigned piece, uint64_t at) {
        _Atomic uint32_t *tail = (_Atomic uint32_t *) (void *) (w->sq + w->params.sq_off.tail);
        uint32_t *array = (uint32_t *) (void *) (w->sq + w->params.sq_off.array);
        uint32_t mask = w->params.sq_entries - 1, place = atomic_load(tail);

        w->entries[place & mask] = (struct io_uring_sqe){
                .opcode = w->fixed ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE,
                .fd = w->fd,
                .off = at,
                .addr = (uint64_t) (uintptr_t) (w->pieces + piece * PIECE),
                .len = (uint32_t) PIECE,
                .buf_index = (uint16_t) (w->fixed ? piece : 0),
        };
        array[place & mask] = place & mask;
        atomic_store(tail, place + 1);
        w->flying++;
        return syscall(SYS_io_uring_enter, w->ring_fd, 1, 0, 0, NULL, 0) == 1 ? 0 : -errno;
}

/* Waits until at most so many are in flight. */
static int uring_reap(Ways *w, unsigned most) {
        _Atomic uint32_t *head = (_Atomic uint32_t *) (void *) (w->cq + w->params.cq_off.head);
        _Atomic uint32_t *tail = (_Atomic uint32_t *) (void *) (w->cq + w->params.cq_off.tail);
        const struct io_uring_cqe *done = (const void *) (w->cq + w->params.cq_off.cqes);

        while (w->flying > most) {
                uint32_t at = atomic_load(head);

                if (at == atomic_load(tail)) {
                        if (syscall(SYS_io_uring_enter, w->ring_fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
                                return -errno;
                        continue;
                }
                if (done[at & (w->params.cq_entries - 1)].res != (int) PIECE)
                        return done[at & (w->params.cq_entries - 1)].res < 0 ? done[at & (w->params.cq_entries - 1)].res : -EIO;
                atomic_store(head, at + 1);
                w->flying--;
        }
        return 0;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static int make_durable(Ways *w, uint64_t from, uint64_t upto) {
        int r = w->uring ? uring_reap(w, 0) : 0;

        if (r >= 0 && fdatasync(w->fd) < 0)
                r = -errno;
        if (!w->direct)
                (void) posix_fadvise(w->fd, (off_t) from, (off_t) (upto - from), POSIX_FADV_DONTNEED);
        return r;
}

static int write_out(Ways *w, uint64_t bytes) {
        uint64_t synced = 0;
        int r = 0;

        for (uint64_t at = 0; r >= 0 && at < bytes; at += PIECE) {
                unsigned piece = (unsigned) (at / PIECE % IN_FLIGHT);

                /* Which of them is done does not matter here, since they all hold the same. */
                if (w->uring)
                        r = uring_reap(w, IN_FLIGHT - 1);
                /* As if something came from a camera. */
                w->pieces[piece * PIECE] = (uint8_t) at;
                if (r >= 0)
                        r = w->uring ? uring_submit(w, piece, at) : fd_pwrite_full(w->fd, w->pieces + piece * PIECE, PIECE, at);
                if (!w->direct && (at + PIECE) % BEGIN_EVERY == 0)
                        (void) sync_file_range(w->fd, (off_t) (at + PIECE - BEGIN_EVERY), BEGIN_EVERY, SYNC_FILE_RANGE_WRITE);
                if (r >= 0 && (at + PIECE - synced == SYNC_EVERY || at + PIECE >= bytes)) {
                        r = make_durable(w, synced, at + PIECE);
                        synced = at + PIECE;
                }
        }
        return r;
}

static int run(Ways *w, uint64_t bytes, const char *folder) {
        _cleanup_(freep) char *path = text_format("%s/spool-write", folder);
        int r;

        if (!path || posix_memalign((void **) &w->pieces, HUGE_PAGE, IN_FLIGHT * PIECE) != 0)
                return -ENOMEM;
        if (madvise(w->pieces, IN_FLIGHT * PIECE, w->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) < 0)
                return -errno;
        memset(w->pieces, 0xa5, IN_FLIGHT * PIECE);
        w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | (w->direct ? O_DIRECT : 0), 0600);
        if (w->fd < 0)
                return -errno;
        r = w->uring ? uring_begin(w) : 0;
        if (r >= 0)
                r = write_out(w, bytes);
        (void) unlink(path);
        (void) close(w->fd);
        return r;
}

int main(int argc, char **argv) {
        static const char *const names[] = { "cached", "direct", "uring", "uring-fixed", "uring-cached", "direct-small" };
        Ways w = { .ring_fd = -1 };
        double wall_before, cpu_before;
        size_t way = 0;
        int r;

        while (argc == 4 && way < ELEMENTSOF(names) && !text_equal(names[way], argv[1]))
                way++;
        if (argc != 4 || way == ELEMENTSOF(names)) {
                fputs("usage: spool_write cached|direct|direct-small|uring|uring-fixed|uring-cached BYTES FOLDER\n", stderr);
                return 2;
        }
        w.uring = way >= 2 && way <= 4;
        w.direct = way != 0 && way != 4;
        w.fixed = way == 3;
        w.huge = way != 5;
        wall_before = wall();
        cpu_before = cpu(RUSAGE_SELF);
        r = run(&w, strtoull(argv[2], NULL, 10) / PIECE * PIECE, argv[3]);
        if (r < 0) {
                fprintf(stderr, "spool_write %s: %s\n", argv[1], strerror(-r));
                return 1;
        }
        printf("%.6f %.6f\n", wall() - wall_before, cpu(RUSAGE_SELF) - cpu_before);
        return 0;
}
