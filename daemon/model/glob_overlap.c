/* SPDX-License-Identifier: Apache-2.0 */

/* Whether two patterns of fnmatch(3) can match the same text. */

#include <string.h>

#include "model/model.h"

#define TOKENS_MAX 256u

typedef struct Token {
        enum { ONE_CHAR, ANY_CHAR, ANY_TEXT } kind;
        char c;
} Token;

/* The length of a bracket expression, 0 when the bracket is a plain character. */
static size_t bracket_length(const char *p) {
        size_t n = 1;

        if (p[n] == '!' || p[n] == '^')
                n++;
        if (p[n] == ']')
                n++;
        while (p[n] && p[n] != ']')
                n++;
        return p[n] ? n + 1 : 0;
}

/* A bracket counts as any character: so the answer errs towards "they do". False when the pattern is too long to tell. */
static bool tokens_of(const char *p, Token ret[static TOKENS_MAX], size_t *ret_n) {
        size_t n = 0;

        while (*p) {
                size_t bracket = *p == '[' ? bracket_length(p) : 0;

                if (n == TOKENS_MAX)
                        return false;
                if (*p == '\\' && p[1])
                        p++;
                else if (*p == '*' || *p == '?' || bracket > 0) {
                        ret[n++].kind = *p == '*' ? ANY_TEXT : ANY_CHAR;
                        p += bracket > 0 ? bracket : 1;
                        continue;
                }
                ret[n++] = (Token){ ONE_CHAR, *p++ };
        }
        *ret_n = n;
        return true;
}

static bool same_char(const Token *a, const Token *b) {
        return a->kind == ANY_CHAR || b->kind == ANY_CHAR || a->c == b->c;
}

bool glob_overlaps(const char *a, const char *b) {
        Token x[TOKENS_MAX], y[TOKENS_MAX];
        /* Can what is left of `a` from i and of `b` from j match one text? Of this row, and of the one for i + 1. */
        bool row[TOKENS_MAX + 1], below[TOKENS_MAX + 1] = {};
        size_t n, m;

        if (!tokens_of(a, x, &n) || !tokens_of(b, y, &m))
                return true;
        for (size_t i = n + 1; i-- > 0;) {
                for (size_t j = m + 1; j-- > 0;) {
                        if (i == n && j == m)
                                row[j] = true;
                        else if ((i < n && x[i].kind == ANY_TEXT) || (j < m && y[j].kind == ANY_TEXT))
                                /* The star ends here, or takes one more of the other pattern. */
                                row[j] = (i < n && below[j]) || (j < m && row[j + 1]);
                        else
                                row[j] = i < n && j < m && same_char(&x[i], &y[j]) && below[j + 1];
                }
                memcpy(below, row, sizeof(below));
        }
        return row[0];
}
