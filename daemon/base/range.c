/* SPDX-License-Identifier: Apache-2.0 */
#include "base/range.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/macro.h"

/* What a sentence names one by one. */
#define SHOWN_MAX 8u

static int compare(const void *a, const void *b) {
        const ByteRange *x = a, *y = b;

        return x->offset < y->offset ? -1 : x->offset > y->offset;
}

size_t ranges_settle(ByteRange *ranges, size_t n, uint64_t size) {
        size_t cut = 0, kept = 0;

        for (size_t i = 0; i < n; i++)
                if (ranges[i].offset < size && ranges[i].length > 0) {
                        ranges[cut].offset = ranges[i].offset;
                        ranges[cut++].length = MIN2(ranges[i].length, size - ranges[i].offset);
                }
        if (cut > 0)
                qsort(ranges, cut, sizeof(*ranges), compare);
        for (size_t i = 0; i < cut; i++) {
                ByteRange *last = kept > 0 ? &ranges[kept - 1] : NULL;

                if (last && ranges[i].offset <= last->offset + last->length)
                        last->length = MAX2(last->offset + last->length, ranges[i].offset + ranges[i].length) - last->offset;
                else
                        ranges[kept++] = ranges[i];
        }
        return kept;
}

bool ranges_are_settled(const ByteRange *ranges, size_t n, uint64_t size) {
        for (size_t i = 0; i < n; i++) {
                if (ranges[i].length == 0 || ranges[i].offset >= size || ranges[i].length > size - ranges[i].offset)
                        return false;
                if (i > 0 && ranges[i].offset <= ranges[i - 1].offset + ranges[i - 1].length)
                        return false;
        }
        return true;
}

char *ranges_text(const ByteRange *ranges, size_t n) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (size_t i = 0; i < MIN2(n, (size_t) SHOWN_MAX); i++)
                fprintf(f, "%s%" PRIu64 " to %" PRIu64, i == 0 ? "bytes " : ", ", ranges[i].offset,
                        ranges[i].offset + ranges[i].length - 1);
        if (n > SHOWN_MAX)
                fprintf(f, " and %zu more %s", n - SHOWN_MAX, n - SHOWN_MAX == 1 ? "place" : "places");
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}
