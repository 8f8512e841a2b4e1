/* SPDX-License-Identifier: Apache-2.0 */

/* The store's thread: many batches, one commit. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/store_private.h"
#include "base/crash_point.h"

/* What one commit takes: the batches behind them wait no longer than these take to apply. */
#define COMMIT_BATCHES_MAX 256u
#define HEAD_RETRY_SEC 1

static StoreBatch *take_waiting(Store *s) {
        StoreBatch *first, **end;
        unsigned n = 0;

        (void) pthread_mutex_lock(&s->mutex);
        first = s->first;
        for (end = &first; *end && n < COMMIT_BATCHES_MAX; n++)
                end = &(*end)->next;
        s->first = *end;
        if (!s->first)
                s->end = &s->first;
        *end = NULL;
        (void) pthread_mutex_unlock(&s->mutex);
        return first;
}

static void settle(StoreBatch *b, int result, const char *why) {
        b->result = result;
        (void) snprintf(b->why, sizeof(b->why), "%s", why);
}

static int reserve_ids(Writer *w, const StoreBatch *b) {
        static const char *const names[_STORE_ID_MAX] = { "camera", "docking", "clip" };

        for (size_t i = 0; i < _STORE_ID_MAX; i++) {
                int r;

                if (b->reserve[i] == 0)
                        continue;
                r = db_run(w->db, "UPDATE ids SET next = max(next, ?2) WHERE which = ?1",
                           DB_ARGS(DB_TEXT(names[i]), DB_INT(b->reserve[i])));
                if (r < 0)
                        return writer_check(w, r);
        }
        return 0;
}

static int apply_facts(Writer *w, const StoreBatch *b) {
        int r;

        r = reserve_ids(w, b);
        for (size_t i = 0; i < b->n && r >= 0; i++)
                r = writer_apply(w, &b->facts[i]);
        return r;
}

/*
 * Whole or not at all. A batch that fails is settled and leaves nothing behind. Negative when not the batch but the
 * transaction failed: SQLite undoes all of it by itself after some errors, and after others (the disk, memory) nobody
 * should build on it.
 */
static int apply_batch(Writer *w, StoreBatch *b) {
        ChainHead before = w->head;
        int r, undo;

        r = db_run(w->db, "SAVEPOINT batch", DB_NO_ARGS);
        if (r < 0)
                return writer_check(w, r);
        r = apply_facts(w, b);
        if (r >= 0) {
                r = db_run(w->db, "RELEASE batch", DB_NO_ARGS);
                return r < 0 ? writer_check(w, r) : 0;
        }
        settle(b, r, w->why);
        w->head = before;
        if (r == -EIO || r == -ENOSPC || r == -ENOMEM || r == -EBUSY || r == -EROFS ||
            sqlite3_get_autocommit(db_handle(w->db)))
                return r;
        undo = db_run(w->db, "ROLLBACK TO batch", DB_NO_ARGS);
        if (undo >= 0)
                undo = db_run(w->db, "RELEASE batch", DB_NO_ARGS);
        return undo < 0 ? writer_check(w, undo) : 0;
}

/*
 * After an I/O error the connection is thrown away. A commit whose sync failed left pages in the log that the kernel
 * may count as clean without having written them: syncing again would "succeed" and mean nothing. Opening anew reads
 * what the database holds, and folding the log into the file (state_dir_reopen_db()) drops those pages, so that the
 * next commit is written and synced from its first byte. Until that works the store is failing and nothing is accepted.
 * The reading connection stays open meanwhile: it keeps alive the shared index of the log, which knows where the last
 * good commit ended.
 */
static int recover(Store *s) {
        ConfError error = { 0 };
        int r;

        r = state_dir_reopen_db(&s->dir, &s->committed, &error);
        s->writer.db = s->dir.db;
        if (r < 0)
                return writer_refuse(&s->writer, r, "%s", error.text);
        s->writer.head = s->committed;
        s->suspect = false;
        return 0;
}

/* A commit's crash points, one for each fact in it. */
#define EACH_FACT(first, name)                                                                       \
        do {                                                                                         \
                for (const StoreBatch *each = (first); each; each = each->next)                      \
                        for (size_t nth = 0; nth < each->n; nth++)                                   \
                                CRASH_POINT_OF(name, fact_kind_to_string(each->facts[nth].kind));    \
        } while (0)

static int apply_waiting(Store *s, StoreBatch *first) {
        Writer *w = &s->writer;
        int r;

        if (s->suspect) {
                r = recover(s);
                if (r < 0)
                        return r;
        }
        (void) pthread_mutex_lock(&s->mutex);
        w->signing = s->signing;
        (void) pthread_mutex_unlock(&s->mutex);
        r = writer_check(w, db_run(w->db, "BEGIN IMMEDIATE", DB_NO_ARGS));
        for (StoreBatch *b = first; b && r >= 0; b = b->next)
                r = apply_batch(w, b);
        if (r < 0)
                return r;
        EACH_FACT(first, "facts-applied");
        r = writer_check(w, db_run(w->db, "COMMIT", DB_NO_ARGS));
        EACH_FACT(first, "facts-committed");
        if (r >= 0)
                s->committed = w->head;
        return r;
}

/* Nothing of the transaction stays. */
static void abandon(Store *s, int r) {
        Writer *w = &s->writer;

        w->head = s->committed;
        if (w->db && !sqlite3_get_autocommit(db_handle(w->db)))
                (void) db_run(w->db, "ROLLBACK", DB_NO_ARGS);
        /* A full disk, or somebody's lock, was refused cleanly: nothing was synced, let alone in vain. */
        if (r != -ENOSPC && r != -EBUSY)
                s->suspect = true;
}

/* Tells the loop, and waits before the next attempt. False when the store is being closed meanwhile. */
static bool hold(Store *s, int r) {
        struct timespec until;
        bool goes_on;

        (void) clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += HEAD_RETRY_SEC;
        (void) pthread_mutex_lock(&s->mutex);
        s->head_failing = true;
        (void) snprintf(s->head_why, sizeof(s->head_why), "chain.head cannot be written: %s", strerror(-r));
        while (!s->closing && pthread_cond_timedwait(&s->closes, &s->mutex, &until) == 0)
                ;
        goes_on = !s->closing;
        (void) pthread_mutex_unlock(&s->mutex);
        return goes_on;
}

/*
 * The facts are in the database by now, so that no completion can say that they failed; and it may not say that they
 * are safe before the head file is. So it waits. Each attempt writes the slot whole again before it syncs it.
 */
static int write_head(Store *s) {
        Writer *w = &s->writer;
        int r = 0;

        if (w->head.seq == s->dir.head.seq)
                return 0;
        do
                r = chain_file_write(s->dir.chain, &w->head);
        while (r < 0 && hold(s, r));
        if (r < 0)
                return writer_refuse(w, r, "chain.head cannot be written: %s", strerror(-r));
        s->dir.head = w->head;
        (void) pthread_mutex_lock(&s->mutex);
        s->head_failing = false;
        (void) pthread_mutex_unlock(&s->mutex);
        return 0;
}

void store_commit_waiting(Store *s) {
        StoreBatch *first = take_waiting(s);
        char why[WHY_SIZE];
        int r;

        if (!first)
                return;
        r = apply_waiting(s, first);
        if (r < 0) {
                (void) snprintf(why, sizeof(why), "%s", s->writer.why);
                abandon(s, r);
        } else {
                r = write_head(s);
                (void) snprintf(why, sizeof(why), "%s", s->writer.why);
        }
        while (first) {
                StoreBatch *b = first;

                first = b->next;
                b->next = NULL;
                if (r < 0)
                        settle(b, r, why);
                b->committed = r >= 0;
                b->settled = true;
        }
}
