/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/look.h"

#include <errno.h>

#include "base/clock.h"
#include "base/fd.h"

/* How many reads pass between two looks at the clock. */
#define READS_PER_SIGN_OF_LIFE 256u

void look_init(Look *l, int fd, uint64_t size, void (*alive)(void)) {
        *l = (Look){ .fd = fd, .size = size, .alive = alive, .give_up_usec = clock_boottime_usec() + LOOK_USEC_MAX };
}

int look_at(Look *l, uint64_t offset, void *ret, size_t n) {
        if (offset > l->size || n > l->size - offset)
                return -ENODATA;
        if (l->bytes + n > LOOK_BYTES_MAX || l->reads >= LOOK_READS_MAX)
                return -EFBIG;
        if (l->reads % READS_PER_SIGN_OF_LIFE == READS_PER_SIGN_OF_LIFE - 1) {
                if (clock_boottime_usec() > l->give_up_usec)
                        return -EFBIG;
                if (l->alive)
                        l->alive();
        }
        l->bytes += n;
        l->reads++;
        return fd_pread_full(l->fd, ret, n, offset);
}
