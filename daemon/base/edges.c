/* SPDX-License-Identifier: Apache-2.0 */
#include "base/edges.h"

#include <errno.h>
#include <string.h>

int edges_new(Edges **ret) {
        _cleanup_(edges_freep) Edges *e = NULL;
        int r;

        e = calloc(1, sizeof(Edges));
        if (!e)
                return -ENOMEM;
        r = hasher_new(&e->whole);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(e);
        return 0;
}

Edges *edges_free(Edges *e) {
        if (!e)
                return NULL;
        hasher_free(e->whole);
        free(e);
        return NULL;
}

int edges_update(Edges *e, const void *data, size_t size) {
        const uint8_t *p = data;
        size_t last = MIN2(size, (size_t) WIRE_EDGE_SIZE), at, n;

        if (e->size_bytes < WIRE_EDGE_SIZE)
                memcpy(e->head + e->size_bytes, p, MIN2(size, (size_t) (WIRE_EDGE_SIZE - e->size_bytes)));
        at = (size_t) ((e->size_bytes + size - last) % WIRE_EDGE_SIZE);
        n = MIN2(last, (size_t) WIRE_EDGE_SIZE - at);
        memcpy(e->tail + at, p + size - last, n);
        memcpy(e->tail, p + size - last + n, last - n);
        e->size_bytes += size;
        return hasher_update(e->whole, data, size);
}

int edges_prefix(const Edges *e, Digest *ret) {
        return hasher_peek(e->whole, ret);
}

int edges_finish(Edges *e, Digest *ret_whole, Digest *ret_head, Digest *ret_tail) {
        size_t n = (size_t) MIN2(e->size_bytes, WIRE_EDGE_SIZE);
        size_t first = e->size_bytes <= WIRE_EDGE_SIZE ? 0 : (size_t) (e->size_bytes % WIRE_EDGE_SIZE);
        uint8_t tail[WIRE_EDGE_SIZE];
        int r;

        memcpy(tail, e->tail + first, n - first);
        memcpy(tail + n - first, e->tail, first);
        r = digest_of(e->head, n, ret_head);
        if (r >= 0)
                r = digest_of(tail, n, ret_tail);
        if (r >= 0)
                r = hasher_finish(e->whole, ret_whole);
        e->size_bytes = 0;
        return r;
}
