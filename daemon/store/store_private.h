/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The store itself. Which thread may touch what is said at each member. */

#include <pthread.h>

#include "base/jobs.h"
#include "store/batch.h"
#include "store/state_dir.h"

struct Store {
        /* The loop's. */
        JobThread *thread;
        Db *reader;
        uint64_t next_id[_STORE_ID_MAX];     /* to be given out */
        uint64_t reserved_id[_STORE_ID_MAX]; /* durable: ids below were set aside for this run */
        bool reserving, tidying;
        size_t pending;
        bool failing;
        char failing_why[WHY_SIZE], refusal[WHY_SIZE];

        /* The thread's, once it runs. */
        StateDir dir;
        Writer writer;
        ChainHead opened;    /* as it was found at the start; read only from then on */
        ChainHead committed; /* the database's; the head file follows */
        bool suspect; /* an I/O error happened: nothing in memory is trusted */

        pthread_mutex_t mutex; /* guards what follows */
        StoreBatch *first, **end;
        pthread_cond_t closes;
        Signing signing;
        bool closing;
        bool head_failing; /* the head file cannot be written: completions are held */
        char head_why[WHY_SIZE];
};

/* On the thread: applies what waits, in one commit. */
void store_commit_waiting(Store *s);
