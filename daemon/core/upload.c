/* SPDX-License-Identifier: Apache-2.0 */
#include "core/upload.h"

#include "base/macro.h"
#include "core/backoff.h"

#define SLOW_DOWN_MIN_USEC (1 * USEC_PER_SEC)
#define SLOW_DOWN_MAX_USEC (120 * USEC_PER_SEC)
/* A store that names an absurd time is asked again after this all the same. */
#define RETRY_AFTER_MAX_USEC (3600 * USEC_PER_SEC)

/* What comes first whatever camera it is from; the rest is shared out fairly among cameras. */
static int rank(const UploadFacts *f) {
        return f->urgent        ? 0
               : f->priority    ? 1
               : f->overdue     ? 2
               : f->companion   ? 5
               : f->owner_waits ? 3
                                : 4;
}

#define COMPARE(x, y) ((x) < (y) ? -1 : (x) > (y))

int upload_compare(const UploadFacts *a, const UploadFacts *b) {
        int r;

        r = COMPARE(rank(a), rank(b));
        if (r == 0)
                r = COMPARE(a->camera_under_way, b->camera_under_way);
        if (r == 0)
                r = COMPARE(a->camera_turn, b->camera_turn);
        if (r == 0)
                r = COMPARE(a->since_unix_sec, b->since_unix_sec);
        if (r == 0)
                r = COMPARE(a->clip_id, b->clip_id);
        return r;
}

void upload_pace_init(UploadPace *p, unsigned most) {
        *p = (UploadPace){ .most = most, .limit = most };
}

void upload_pace_went_well(UploadPace *p) {
        p->slowed = 0;
        if (p->limit == p->most || ++p->well < p->limit)
                return;
        p->well = 0;
        p->limit++;
}

void upload_pace_slow_down(UploadPace *p, uint64_t retry_after_usec, uint64_t chance, uint64_t now_usec) {
        uint64_t wait = MIN2(retry_after_usec, RETRY_AFTER_MAX_USEC);

        /* Uploads that ran together are all told: that is one answer, not several. */
        if (now_usec >= p->not_before_usec) {
                p->limit = MAX2(p->limit / 2, 1u);
                p->slowed++;
        }
        p->well = 0;
        if (wait == 0)
                wait = backoff_usec(p->slowed, SLOW_DOWN_MIN_USEC, SLOW_DOWN_MAX_USEC);
        wait += chance % (wait / 4 + 1);
        p->not_before_usec = MAX2(p->not_before_usec, now_usec + wait);
}

unsigned upload_pace_allows(const UploadPace *p, uint64_t now_usec) {
        return now_usec < p->not_before_usec ? 0 : p->limit;
}
