/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/crash_point.h"
#include "store/store_private.h"

/* Ids set aside at once; a crash loses what is left of them, which costs nothing but their looks. */
#define IDS_RESERVED UINT64_C(65536)

static const char *const max_id_sql[_STORE_ID_MAX] = {
        [STORE_ID_CAMERA] = "SELECT max((SELECT next FROM ids WHERE which = 'camera'),"
                            " (SELECT ifnull(max(id), 0) + 1 FROM cameras))",
        [STORE_ID_DOCKING] = "SELECT max((SELECT next FROM ids WHERE which = 'docking'),"
                             " (SELECT ifnull(max(id), 0) + 1 FROM dockings))",
        [STORE_ID_CLIP] = "SELECT max((SELECT next FROM ids WHERE which = 'clip'),"
                          " (SELECT ifnull(max(id), 0) + 1 FROM clips))",
};
static const char *const set_id_sql[_STORE_ID_MAX] = {
        [STORE_ID_CAMERA] = "UPDATE ids SET next = ?1 WHERE which = 'camera'",
        [STORE_ID_DOCKING] = "UPDATE ids SET next = ?1 WHERE which = 'docking'",
        [STORE_ID_CLIP] = "UPDATE ids SET next = ?1 WHERE which = 'clip'",
};

static int ids_open(Store *s, ConfError *error) {
        Db *db = s->dir.db;
        int r = 0;

        for (size_t i = 0; i < _STORE_ID_MAX && r >= 0; i++) {
                int64_t next = 0;

                r = db_number(db, max_id_sql[i], DB_NO_ARGS, &next);
                if (r < 0)
                        break;
                s->next_id[i] = (uint64_t) next;
                s->reserved_id[i] = s->next_id[i] + IDS_RESERVED;
                r = db_run(db, set_id_sql[i], DB_ARGS(DB_INT(s->reserved_id[i])));
                CRASH_POINT("ids-reserved");
        }
        return r < 0 ? db_fail(error, r, "%s: %s: free some space, or see to the disk", s->dir.db_path, db_message(db))
                     : 0;
}

/* An orderly end gives back what was set aside. Failing to costs nothing. */
static void ids_close(Store *s) {
        for (size_t i = 0; i < _STORE_ID_MAX && s->dir.db && s->next_id[i] > 0; i++)
                (void) db_run(s->dir.db, set_id_sql[i], DB_ARGS(DB_INT(s->next_id[i])));
        CRASH_POINT("ids-returned");
}

static void batch_done(void *job, int result);
static int batch_run(void *job);

static int submit(Store *s, StoreBatch *b) {
        int r;

        b->store = s;
        r = job_thread_submit(s->thread, batch_run, batch_done, b);
        if (r < 0)
                return r;
        s->pending++;
        return 0;
}

/* Half of the reserved ids are gone: reserve more, in time for the other half. */
static void reserve_more_ids(Store *s) {
        StoreBatch *b;

        if (s->reserving || store_batch_new(&b) < 0)
                return;
        for (size_t i = 0; i < _STORE_ID_MAX; i++)
                b->reserve[i] = s->next_id[i] + IDS_RESERVED;
        if (store_submit(s, b, NULL, NULL) >= 0)
                s->reserving = true;
}

uint64_t store_next_id(Store *s, StoreId which) {
        uint64_t id = s->next_id[which];

        if (id + IDS_RESERVED / 2 >= s->reserved_id[which])
                reserve_more_ids(s);
        if (id >= s->reserved_id[which])
                return 0;
        s->next_id[which]++;
        return id;
}

void store_raise_ids(Store *s, StoreId which, uint64_t next) {
        s->next_id[which] = MAX2(s->next_id[which], next);
        s->reserved_id[which] = MAX2(s->reserved_id[which], next);
}

/* Runs on the thread, once for each batch in order; the first of several that wait settles them all. */
static int batch_run(void *job) {
        StoreBatch *b = job;

        while (!b->settled)
                store_commit_waiting(b->store);
        return b->result;
}

static void note_outcome(Store *s, const StoreBatch *b, int result) {
        s->pending--;
        s->failing = !b->committed;
        if (s->failing)
                memcpy(s->failing_why, b->why, WHY_SIZE);
        if (result < 0)
                memcpy(s->refusal, b->why, WHY_SIZE);
        for (size_t i = 0; i < _STORE_ID_MAX; i++) {
                if (b->reserve[i] == 0)
                        continue;
                s->reserving = false;
                if (result >= 0)
                        s->reserved_id[i] = MAX2(s->reserved_id[i], b->reserve[i]);
        }
}

static void batch_done(void *job, int result) {
        StoreBatch *b = job;
        StoreDone done = b->done;
        void *userdata = b->userdata;

        for (size_t i = 0; i < b->n; i++)
                CRASH_POINT_OF("facts-reported", fact_kind_to_string(b->facts[i].kind));
        note_outcome(b->store, b, result);
        (void) store_batch_free(b);
        /* Last: it may close the store. */
        if (done)
                done(result, userdata);
}

int store_submit(Store *s, StoreBatch *b, StoreDone done, void *userdata) {
        int r;

        b->done = done;
        b->userdata = userdata;
        b->next = NULL;
        /* Queued before the thread hears of it, as its job may settle every batch that waits. */
        (void) pthread_mutex_lock(&s->mutex);
        r = submit(s, b);
        if (r >= 0) {
                *s->end = b;
                s->end = &b->next;
        }
        (void) pthread_mutex_unlock(&s->mutex);
        if (r < 0)
                (void) store_batch_free(b);
        return r;
}

int store_put(Store *s, const Fact *fact, StoreDone done, void *userdata) {
        _cleanup_(store_batch_freep) StoreBatch *b = NULL;
        int r;

        r = store_batch_new(&b);
        if (r < 0)
                return r;
        r = store_batch_add(b, fact);
        if (r < 0)
                return r;
        return store_submit(s, TAKE_PTR(b), done, userdata);
}

bool store_is_failing(Store *s, const char **ret_why) {
        bool held;

        (void) pthread_mutex_lock(&s->mutex);
        held = s->head_failing;
        if (held)
                memcpy(s->failing_why, s->head_why, WHY_SIZE);
        (void) pthread_mutex_unlock(&s->mutex);
        if (ret_why)
                *ret_why = held || s->failing ? s->failing_why : "";
        return held || s->failing;
}

size_t store_pending(const Store *s) {
        return s->pending;
}

const char *store_last_refusal(const Store *s) {
        return s->refusal;
}

void store_set_signing(Store *s, const SignKey *key, const SignKey *next, const char *fleet) {
        (void) pthread_mutex_lock(&s->mutex);
        s->signing.key = key;
        s->signing.next = next;
        (void) snprintf(s->signing.fleet, sizeof(s->signing.fleet), "%s", fleet);
        (void) pthread_mutex_unlock(&s->mutex);
}

static void init_locks(Store *s) {
        pthread_condattr_t monotonic;

        (void) pthread_mutex_init(&s->mutex, NULL);
        (void) pthread_condattr_init(&monotonic);
        (void) pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        (void) pthread_cond_init(&s->closes, &monotonic);
        (void) pthread_condattr_destroy(&monotonic);
}

/*
 * Reads once at once: only then is the reader attached to the index of the log, and keeps it when the writer is opened
 * anew after an I/O error (see recover() in commit.c). An index made anew from the log would take a commit that failed
 * for a good one.
 */
static int reader_open(Store *s) {
        int64_t clips;
        int r;

        r = db_open(s->dir.db_path, DB_READ, &s->reader);
        if (r < 0)
                return r;
        return db_number(s->reader, "SELECT sum(clips) FROM clip_totals", DB_NO_ARGS, &clips);
}

int store_open(sd_event *event, const char *state_dir, Store **ret, ConfError *error) {
        _cleanup_(store_closep) Store *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return db_fail(error, -ENOMEM, "out of memory");
        s->dir.fd = -EBADF;
        s->end = &s->first;
        init_locks(s);
        r = state_dir_open(state_dir, &s->dir, error);
        if (r < 0)
                return r;
        r = ids_open(s, error);
        if (r < 0)
                return r;
        r = reader_open(s);
        if (r < 0)
                return db_fail(error, r, "%s cannot be opened for reading: %s", s->dir.db_path, strerror(-r));
        s->writer.db = s->dir.db;
        s->writer.head = s->committed = s->opened = s->dir.head;
        r = job_thread_new(event, "berth-store", &s->thread);
        if (r < 0)
                return db_fail(error, r, "the store's thread cannot be started: %s", strerror(-r));
        *ret = TAKE_PTR(s);
        return 0;
}

Store *store_close(Store *s) {
        if (!s)
                return NULL;
        (void) pthread_mutex_lock(&s->mutex);
        s->closing = true;
        (void) pthread_cond_signal(&s->closes);
        (void) pthread_mutex_unlock(&s->mutex);
        s->thread = job_thread_free(s->thread);
        if (s->dir.db && !s->suspect) {
                ids_close(s);
                db_settle(s->dir.db);
        }
        /* The writing connection goes last: it folds the log into the file. */
        s->reader = db_close(s->reader);
        state_dir_close(&s->dir);
        CRASH_POINT("store-closed");
        (void) pthread_cond_destroy(&s->closes);
        (void) pthread_mutex_destroy(&s->mutex);
        free(s);
        return NULL;
}
