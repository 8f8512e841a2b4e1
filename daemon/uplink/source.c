/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/source.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

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
