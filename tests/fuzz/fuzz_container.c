/* SPDX-License-Identifier: Apache-2.0 */

/* Containers: whatever a camera's file holds, looking at it ends soon and says only what can be. */

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "bay/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Files are larger than the structure in them: the last byte says how much of a hole follows. */
static uint64_t with_hole(int fd, const uint8_t *data, size_t size) {
        uint64_t whole = size;

        if (size > 0 && data[size - 1] >= 0x80)
                whole += UINT64_C(1) << (data[size - 1] & 0x1f);
        assert(ftruncate(fd, 0) == 0 && fd_pwrite_full(fd, data, size, 0) == 0 && ftruncate(fd, (off_t) whole) == 0);
        return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static int fd = -1;
        Container c;
        Look l;

        if (fd < 0)
                fd = memfd_create("fuzz", MFD_CLOEXEC);
        assert(fd >= 0);
        look_init(&l, fd, with_hole(fd, data, size), NULL);
        container_look_through(&l, &c);
        assert(l.bytes <= LOOK_BYTES_MAX && l.reads <= LOOK_READS_MAX);
        assert(container_format_to_string(c.format) && container_verdict_to_string(c.verdict));
        assert(strlen(c.reason) < sizeof(c.reason) && text_is_printable(c.reason));
        assert(c.offset <= l.size && c.duration_msec <= CONTAINER_DURATION_MAX_MSEC);
        assert((c.verdict == CONTAINER_INCOMPLETE) <= (c.reason[0] != 0));
        assert(c.format != CONTAINER_NONE || (c.verdict == CONTAINER_UNCHECKED && c.reason[0] == 0));
        assert(c.recorded_unix_sec == CONTAINER_TIME_UNKNOWN ||
               (c.recorded_unix_sec >= CONTAINER_TIME_MIN && c.recorded_unix_sec < CONTAINER_TIME_END));
        return 0;
}
