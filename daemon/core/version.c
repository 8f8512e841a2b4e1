/* SPDX-License-Identifier: Apache-2.0 */
#include "core/version.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* A number or a word; neither at the end. */
typedef struct Part {
        const char *text;
        size_t length;
        bool number;
} Part;

/* Of ASCII alone, whatever the locale. */
static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* Bytes past ASCII belong to words. */
static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char) c >= 0x80;
}

static Part next_part(const char **text) {
        const char *p = *text;
        Part part = { 0 };

        while (*p && !is_digit(*p) && !is_letter(*p))
                p++;
        part.text = p;
        part.number = is_digit(*p);
        while (part.number ? is_digit(*p) : is_letter(*p))
                p++;
        part.length = (size_t) (p - part.text);
        *text = p;
        return part;
}

static int sign(int i) {
        return (i > 0) - (i < 0);
}

/* Of any length: makers use dates and build numbers. */
static int compare_numbers(Part a, Part b) {
        for (; a.length > 0 && *a.text == '0'; a.length--)
                a.text++;
        for (; b.length > 0 && *b.text == '0'; b.length--)
                b.text++;
        if (a.length != b.length)
                return a.length < b.length ? -1 : 1;
        return sign(memcmp(a.text, b.text, a.length));
}

/* *ret is 0 where they say the same. `after_number`: the part before them was a number. */
static int compare_parts(Part a, Part b, bool after_number, int *ret) {
        if (a.number && b.number) {
                *ret = compare_numbers(a, b);
                return 0;
        }
        /* One of them has ended: it is older than the one that counts on. */
        if ((a.length == 0 && b.number) || (b.length == 0 && a.number)) {
                *ret = a.length == 0 ? -1 : 1;
                return 0;
        }
        if (a.number || b.number || a.length == 0 || b.length == 0)
                return -EINVAL;
        if (a.length == b.length && strncasecmp(a.text, b.text, a.length) == 0) {
                *ret = 0;
                return 0;
        }
        if (!after_number || a.length != 1 || b.length != 1)
                return -EINVAL;
        *ret = sign(strncasecmp(a.text, b.text, 1));
        return 0;
}

int version_compare(const char *a, const char *b, int *ret) {
        bool after_number = false, any = false;
        int order = 0, r;

        for (;;) {
                Part pa = next_part(&a), pb = next_part(&b);

                if (!any && (pa.length == 0 || pb.length == 0))
                        return -EINVAL;
                any = true;
                if (pa.length == 0 && pb.length == 0)
                        break;
                r = compare_parts(pa, pb, after_number, &order);
                if (r < 0)
                        return r;
                if (order != 0)
                        break;
                after_number = pa.number;
        }
        *ret = order;
        return 0;
}
