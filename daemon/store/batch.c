/* SPDX-License-Identifier: Apache-2.0 */
#include "store/batch.h"

#include <errno.h>

#include "store/fact.h"

/* Far above what any step of the work puts into one batch: a page of clips is 64. */
#define BATCH_FACTS_MAX 4096u

int store_batch_new(StoreBatch **ret) {
        StoreBatch *b = calloc(1, sizeof(*b));

        if (!b)
                return -ENOMEM;
        *ret = b;
        return 0;
}

StoreBatch *store_batch_free(StoreBatch *b) {
        if (!b)
                return NULL;
        for (size_t i = 0; i < b->n; i++)
                fact_done(&b->facts[i]);
        free(b->facts);
        free(b);
        return NULL;
}

/* Facts are large, and most batches have one. */
static int make_room(StoreBatch *b) {
        size_t room = b->room > 0 ? 2 * b->room : 1;
        Fact *facts;

        if (b->n < b->room)
                return 0;
        facts = reallocarray(b->facts, room, sizeof(*facts));
        if (!facts)
                return -ENOMEM;
        b->facts = facts;
        b->room = room;
        return 0;
}

int store_batch_add(StoreBatch *b, const Fact *fact) {
        int r;

        if (b->n >= BATCH_FACTS_MAX)
                return -E2BIG;
        r = make_room(b);
        if (r < 0)
                return r;
        r = fact_copy(fact, &b->facts[b->n]);
        if (r < 0)
                return r;
        b->n++;
        return 0;
}
