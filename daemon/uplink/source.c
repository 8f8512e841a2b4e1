/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/layout.h"

#define CHUNK ((size_t) 256 * 1024)

int source_check(Task *task) {
        const PutRequest *request = &task->put;
        struct stat st;

        if (fstat(request->source_fd, &st) < 0)
                return answer_fail(&task->answer, WIRE_UPLINK_E_SOURCE, NULL, "the spool file cannot be looked at: %s",
                                   strerror(errno));
        /* The file of a clip that grows has what was told and more. */
        if (request->growing)
                return 0;
        if ((uint64_t) st.st_size != request->size_bytes)
                return answer_fail(&task->answer, WIRE_UPLINK_E_SOURCE, NULL,
                                   "the spool file has %jd bytes, and %" PRIu64 " were promised", (intmax_t) st.st_size,
                                   request->size_bytes);
        return 0;
}

void source_failed(Task *task, int error) {
        if (error == -ENODATA)
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_SOURCE, NULL, "the spool file became shorter");
        else
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_SOURCE, NULL, "the spool file cannot be read: %s", strerror(-error));
}

void source_differs(Task *task, const Digest *found) {
        char there[DIGEST_HEX_SIZE], promised[DIGEST_HEX_SIZE];

        (void) answer_fail(&task->answer, WIRE_UPLINK_E_SOURCE, NULL, "the spool file's SHA-256 is %s, and %s was promised",
                           digest_to_hex(found, there), digest_to_hex(&task->put.digest, promised));
}

int source_name(const PutRequest *request, const char *day, char **ret) {
        _cleanup_(freep) char *key = NULL;
        int r;

        /* As a key: it has nothing but printable characters then. */
        r = layout_object_key(request->serial, day, request->path, 0, &key);
        if (r < 0)
                return r;
        *ret = text_format("%" PRIu64 " %s", request->clip_id, key);
        return *ret ? 0 : -ENOMEM;
}

int source_read(Task *task, uint64_t offset, uint64_t size_bytes, SourceTake take, void *userdata) {
        _cleanup_(freep) char *buffer = malloc(CHUNK);
        int fd = task->put.source_fd, r;

        if (!buffer)
                return -ENOMEM;
        /* From the disk; then sent from memory. What grew is synced already, and whoever writes on is not to wait for us. */
        r = task->put.grown ? -posix_fadvise(fd, (off_t) offset, (off_t) size_bytes, POSIX_FADV_DONTNEED) :
                              fd_drop_cache(fd, offset, size_bytes);
        if (r < 0)
                return r;
        for (uint64_t at = 0; at < size_bytes;) {
                size_t n = (size_t) MIN2((uint64_t) CHUNK, size_bytes - at);

                if (atomic_load(&task->cancelled))
                        return -ECANCELED;
                if ((r = fd_pread_full(fd, buffer, n, offset + at)) < 0 || (r = take(userdata, buffer, n)) < 0)
                        return r;
                at += n;
                atomic_fetch_add(&task->activity, 1);
        }
        return 0;
}
