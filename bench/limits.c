/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the machine itself gives, measured in the same run as what is compared with it.
 *
 *   limits sha BYTES           SHA-256 over memory
 *   limits disk BYTES FOLDER   writing a file there in large pieces, the disk begun with each 8 MiB, fdatasync at the end
 *
 * Prints "SECONDS CPU_SECONDS".
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fd.h"
#include "stopwatch.h"

#define PIECE (1 * MIB)
#define BEGIN_EVERY (8 * MIB)

static int hash(const void *piece, uint64_t bytes) {
        _cleanup_(hasher_freep) Hasher *h = NULL;
        Digest d;
        int r;

        r = hasher_new(&h);
        for (uint64_t done = 0; r >= 0 && done < bytes; done += PIECE)
                r = hasher_update(h, piece, PIECE);
        return r < 0 ? r : hasher_finish(h, &d);
}

static int write_out(const void *piece, uint64_t bytes, const char *folder) {
        _cleanup_(fd_closep) int fd = -EBADF;
        char path[4096];
        int r = 0;

        snprintf(path, sizeof(path), "%s/limit", folder);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        for (uint64_t done = 0; r >= 0 && done < bytes; done += PIECE) {
                r = fd_write_full(fd, piece, PIECE);
                if ((done + PIECE) % BEGIN_EVERY == 0)
                        (void) sync_file_range(fd, (off_t) (done + PIECE - BEGIN_EVERY), BEGIN_EVERY, SYNC_FILE_RANGE_WRITE);
        }
        if (r >= 0 && fdatasync(fd) < 0)
                r = -errno;
        (void) unlink(path);
        return r;
}

int main(int argc, char **argv) {
        _cleanup_(freep) uint8_t *piece = malloc(PIECE);
        uint64_t bytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 0, state = 1;
        double wall_before, cpu_before;
        int r;

        if (!piece || bytes == 0 || (strcmp(argv[1], "disk") == 0 && argc < 4)) {
                fputs("usage: limits sha BYTES | limits disk BYTES FOLDER\n", stderr);
                return 2;
        }
        for (size_t i = 0; i < PIECE; i++) {
                state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
                piece[i] = (uint8_t) (state >> 56);
        }
        wall_before = wall();
        cpu_before = cpu(RUSAGE_SELF);
        r = strcmp(argv[1], "sha") == 0 ? hash(piece, bytes) : write_out(piece, bytes, argv[3]);
        if (r < 0) {
                fprintf(stderr, "limits %s: %s\n", argv[1], strerror(-r));
                return 1;
        }
        printf("%.6f %.6f\n", wall() - wall_before, cpu(RUSAGE_SELF) - cpu_before);
        return 0;
}
