/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/wire_bay.h"
#include "bay/calls.h"
#include "bay/outbox.h"

typedef struct Verify {
        uint32_t clip;
        uint64_t before; /* bytes of the blocks that are done */
} Verify;

static void on_delivered(void *userdata, uint64_t delivered) {
        const Verify *v = userdata;

        outbox_progress(v->clip, v->before + delivered);
}

static int verify_block(Session *s, Verify *v, const Clip *clip, uint32_t number, Fault *fault) {
        uint64_t offset = (uint64_t) number * WIRE_BLOCK_SIZE, length = WIRE_BLOCK_SIZE;
        bool unknown = clip->flags & BERTH_CLIP_SIZE_UNKNOWN;
        Reading reading;
        int r;

        if (number >= WIRE_BLOCKS_MAX || (!unknown && offset >= clip->size_bytes))
                return fault_set(fault, WIRE_BAY_E_CHANGED, "the clip has no block %u (any more)", number);
        if (!unknown)
                length = MIN2(length, clip->size_bytes - offset);
        r = session_read_digest(s, clip, offset, length, on_delivered, v, &reading, fault);
        if (r < 0)
                return r;
        v->before += reading.size_bytes;
        outbox_block(v->clip, number, (uint32_t) reading.size_bytes, &reading.digest);
        return 0;
}

int verify_clip(Session *s, uint32_t index, const uint32_t *blocks, size_t n_blocks, Fault *fault) {
        const Clip *clip = session_clip(s, index, fault);
        Verify v = { .clip = index };

        if (!clip)
                return -EBADE;
        for (size_t i = 0; i < n_blocks; i++) {
                int r = verify_block(s, &v, clip, blocks[i], fault);

                if (r < 0)
                        return r;
        }
        return 0;
}
