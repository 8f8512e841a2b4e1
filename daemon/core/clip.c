/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clip.h"

/* An officer may take the camera at any moment: what matters most is safe first. */
static int rank(uint32_t flags) {
        return flags & CLIP_FLAG_COMPANION ? 2 : flags & CLIP_FLAG_PRIORITY ? 0 : 1;
}

int clip_compare_pull(uint32_t flags_a, uint32_t index_a, uint32_t flags_b, uint32_t index_b) {
        int a = rank(flags_a), b = rank(flags_b);

        if (a != b)
                return a < b ? -1 : 1;
        return index_a < index_b ? -1 : index_a > index_b;
}

ClipNeed clip_next(const ClipFacts *f) {
        if (!f->on_camera)
                return f->copied && !f->receipted && !f->conflict ? CLIP_NEED_RECEIPT : CLIP_NEED_NOTHING;
        if (f->conflict || f->failures >= CLIP_FAILURES_MAX)
                return CLIP_NEED_PERSON;
        if (f->unreadable >= CLIP_UNREADABLE_MAX || (f->unreadable > 0 && f->medium_fails))
                return f->copied || f->salvaged ? CLIP_NEED_PERSON : CLIP_NEED_SALVAGE;
        if (!f->copied)
                return CLIP_NEED_PULL;
        /* A clip that will not be erased need not be read again. */
        if (!f->erase_allowed || f->protected_by_camera)
                return f->receipted ? CLIP_NEED_NOTHING : CLIP_NEED_RECEIPT;
        /* It would be erased, and is kept: whoever ordered that takes the camera aside, or releases it. */
        if (f->held)
                return f->receipted ? CLIP_NEED_PERSON : CLIP_NEED_RECEIPT;
        if (f->blocks_read_here < f->blocks)
                return CLIP_NEED_VERIFY;
        /* An upload that is under way reads from the spool alone, but its end must find the clip as it left it. */
        if (f->unstored_ordered && !f->receipt_accepted)
                return f->uploading ? CLIP_NEED_RECEIPT : CLIP_NEED_ERASE;
        if (!f->receipted)
                return CLIP_NEED_RECEIPT;
        return f->receipt_accepted ? CLIP_NEED_ERASE : CLIP_NEED_PERSON;
}

/* splitmix64: the samples must not be guessable from outside, for which the caller's seed stands, only well spread here. */
static uint64_t mix(uint64_t *state) {
        uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

size_t clip_sample_blocks(uint32_t n_kept, uint64_t seed, uint32_t ret[static CLIP_SAMPLE_MAX]) {
        size_t n = 0;

        if (n_kept <= CLIP_SAMPLE_MAX) {
                for (uint32_t i = 0; i < n_kept; i++)
                        ret[n++] = i;
                return n;
        }
        ret[n++] = 0;
        /* One in each of the equal stretches between the first and the last block keeps them ascending and distinct. */
        for (uint32_t i = 0; i < CLIP_SAMPLE_MAX - 2; i++) {
                uint64_t inner = (uint64_t) n_kept - 2;
                uint64_t from = 1 + inner * i / (CLIP_SAMPLE_MAX - 2);
                uint64_t to = 1 + inner * (i + 1) / (CLIP_SAMPLE_MAX - 2);

                ret[n++] = (uint32_t) (from + mix(&seed) % (to - from));
        }
        ret[n++] = n_kept - 1;
        return n;
}
