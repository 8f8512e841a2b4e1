/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pages of the database that nothing is in any more go back to the disk, a few at a time, and only while no batch waits: SQLite takes new
 * rows from them first, so that a dock with its usual work has none to give.
 */

#include <errno.h>

#include "store/store_private.h"

#define TIDY_FREE_MIN 256  /* pages */
#define TIDY_FREE_SHARE 16 /* of all pages */
#define TIDY_STEPS 16u     /* transactions of one call … */
#define TIDY_PAGES "64"    /* … of so many pages each: a batch that comes meanwhile waits for one of them */

static int free_pages(Db *db, int64_t *ret, int64_t *ret_all) {
        int r = db_number(db, "PRAGMA freelist_count", DB_NO_ARGS, ret);

        return r < 0 ? r : db_number(db, "PRAGMA page_count", DB_NO_ARGS, ret_all);
}

static bool batch_waits(Store *s) {
        bool waits;

        (void) pthread_mutex_lock(&s->mutex);
        waits = s->first != NULL || s->closing;
        (void) pthread_mutex_unlock(&s->mutex);
        return waits;
}

/* On the thread. Each transaction is durable as any other; a failure leaves the pages where they are. */
static int tidy_run(void *job) {
        Store *s = job;
        int r = 0;

        for (unsigned i = 0; i < TIDY_STEPS && r >= 0 && !s->suspect && !batch_waits(s); i++)
                r = db_run(s->writer.db, "PRAGMA incremental_vacuum(" TIDY_PAGES ")", DB_NO_ARGS);
        if (r < 0 && r != -ENOSPC && r != -EBUSY)
                s->suspect = true;
        return r;
}

static void tidy_done(void *job, int result) {
        Store *s = job;

        (void) result;
        s->tidying = false;
}

void store_tidy(Store *s) {
        int64_t unused = 0, all = 0;

        if (s->tidying || free_pages(s->reader, &unused, &all) < 0 || unused < TIDY_FREE_MIN || unused < all / TIDY_FREE_SHARE)
                return;
        s->tidying = job_thread_submit(s->thread, tidy_run, tidy_done, s) >= 0;
}
