/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/sync_batch.h"

/* What is compared is the time of so much: one long batch, or as many short ones as make it. */
#define WINDOW SYNC_BATCH_LONG
/*
 * The other length is tried for one window: soon while it is new which one stays, and may be a mistake, later seldom, since it costs
 * something where it is worse.
 */
#define TRY_SOON 4u
#define TRY_SELDOM 16u
/* It wins when it takes less than so much of the time. Noise, and what the ring held at a window's end, make less of a difference. */
#define WINS_PERCENT 90u

uint64_t sync_batch_bytes(const SyncBatch *b) {
        return b->is_long != b->trying ? SYNC_BATCH_LONG : SYNC_BATCH_SHORT;
}

/* … than the length that stays was in its windows. */
static bool is_faster(const SyncBatch *b) {
        return (double) b->usec * (double) b->kept_bytes * 100 < (double) b->kept_usec * (double) b->bytes * WINS_PERCENT;
}

static void end_trial(SyncBatch *b) {
        bool changes = is_faster(b);

        *b = (SyncBatch){ .is_long = b->is_long != changes, .settled = !changes };
}

static void end_window(SyncBatch *b) {
        b->kept_bytes += b->bytes;
        b->kept_usec += b->usec;
        b->windows++;
        b->trying = b->windows >= (b->settled ? TRY_SELDOM : TRY_SOON);
        b->bytes = b->usec = 0;
}

void sync_batch_note(SyncBatch *b, uint64_t bytes, uint64_t usec) {
        b->bytes += bytes;
        b->usec += usec;
        if (b->bytes < WINDOW)
                return;
        if (b->trying)
                end_trial(b);
        else
                end_window(b);
}
