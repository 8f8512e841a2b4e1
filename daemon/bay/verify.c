/* SPDX-License-Identifier: Apache-2.0 */

/* Reading again from the camera: a clip from its start, or a few places of it. */

#include <errno.h>

#include "base/wire_bay.h"
#include "bay/calls.h"
#include "bay/outbox.h"
#include "bay/part.h"

typedef struct Verify {
        uint32_t clip;
        uint64_t before; /* bytes of the readings that are done */
} Verify;

static void on_delivered(void *userdata, uint64_t delivered) {
        const Verify *v = userdata;

        outbox_progress(v->clip, v->before + delivered);
}

static void on_block(void *userdata, uint64_t size_bytes, const Digest *prefix) {
        const Verify *v = userdata;

        outbox_block(v->clip, (uint32_t) (size_bytes / WIRE_BLOCK_SIZE) - 1, (uint32_t) WIRE_BLOCK_SIZE, prefix);
}

int verify_clip(Session *s, uint32_t index, uint32_t n_blocks, Fault *fault) {
        const Clip *clip = session_clip(s, index, fault);
        Verify v = { .clip = index };
        uint64_t length = n_blocks * WIRE_BLOCK_SIZE, last = length - WIRE_BLOCK_SIZE;
        Reading reading;
        int r;

        if (!clip)
                return -EBADE;
        if (n_blocks == 0)
                return 0;
        if (n_blocks > WIRE_BLOCKS_MAX || (!(clip->flags & BERTH_CLIP_SIZE_UNKNOWN) && last >= clip->size_bytes))
                return fault_set(fault, WIRE_BAY_E_CHANGED, "the clip has no block %u (any more)", n_blocks - 1);
        if (!(clip->flags & BERTH_CLIP_SIZE_UNKNOWN))
                length = MIN2(length, clip->size_bytes);
        r = session_read_digest(s, clip, 0, length, on_delivered, on_block, &v, &reading, fault);
        if (r < 0)
                return r;
        if (reading.size_bytes <= last)
                return fault_set(fault, WIRE_BAY_E_CHANGED, "the clip has no block %u (any more)", n_blocks - 1);
        if (reading.size_bytes < n_blocks * WIRE_BLOCK_SIZE)
                outbox_block(index, n_blocks - 1, (uint32_t) (reading.size_bytes - last), &reading.digest);
        return 0;
}

int sample_clip(Session *s, uint32_t index, const char *part, const ByteRange *places, size_t n, Sample *ret, Fault *fault) {
        const Clip *clip = session_clip(s, index, fault);
        Verify v = { .clip = index };

        if (!clip)
                return -EBADE;
        for (size_t i = 0; i < n; i++) {
                Reading reading;
                int r;

                if (!(clip->flags & BERTH_CLIP_SIZE_UNKNOWN) && places[i].offset + places[i].length > clip->size_bytes)
                        return fault_set(fault, WIRE_BAY_E_CHANGED, "the clip is shorter than it was");
                r = session_read_digest(s, clip, places[i].offset, places[i].length, on_delivered, NULL, &v, &reading, fault);
                if (r < 0)
                        return r;
                ret[i] = (Sample){ .camera = reading.digest };
                if (part[0])
                        r = part_sample(s->incoming_fd, part, &places[i], &ret[i].part, fault);
                if (r < 0)
                        return r;
                v.before += reading.size_bytes;
        }
        return 0;
}
