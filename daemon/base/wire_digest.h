/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Digests in the messages between the processes: arrays of DIGEST_SIZE bytes, "ay". */

#include <errno.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "base/digest.h"

static inline int wire_append_digest(sd_bus_message *m, const Digest *d) {
        return sd_bus_message_append_array(m, 'y', d->bytes, DIGEST_SIZE);
}

/* -EBADMSG when it is none. */
static inline int wire_read_digest(sd_bus_message *m, Digest *ret) {
        const void *bytes;
        size_t size;
        int r;

        r = sd_bus_message_read_array(m, 'y', &bytes, &size);
        if (r < 0)
                return r;
        if (size != DIGEST_SIZE)
                return -EBADMSG;
        memcpy(ret->bytes, bytes, size);
        return 0;
}
