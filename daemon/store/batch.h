/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A batch on its way through the store's thread. */

#include "store/store.h"
#include "store/writer.h"

struct StoreBatch {
        Fact *facts;
        size_t n, room;
        uint64_t reserve[_STORE_ID_MAX]; /* ids to reserve, up to but not including; 0: none */

        Store *store;
        StoreDone done;
        void *userdata;
        StoreBatch *next; /* in the queue */

        /* Filled on the thread. */
        bool settled;
        bool committed; /* the commit that it was part of succeeded, whether or not this batch was applied */
        int result;
        char why[WHY_SIZE];
};
