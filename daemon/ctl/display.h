/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Text on its way to a terminal: without anything that steers it, and measured in columns. What cameras call
 * themselves and their clips passes through here before it is printed.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

/* How output looks: what the terminal (or the file) at the other end takes. */
typedef struct Look {
        unsigned width; /* columns; 0: as many as needed */
        bool utf8;      /* the locale's character set; else ASCII alone is printed */
        bool colour;
} Look;

typedef enum Style {
        STYLE_PLAIN,
        STYLE_BOLD,
        STYLE_DIM,
        STYLE_GOOD,
        STYLE_BUSY,
        STYLE_WARN,
        STYLE_BAD,
        _STYLE_MAX,
} Style;

/* The escape sequences that begin and end a style; "" without colour or for STYLE_PLAIN. */
const char *style_begin(Style style, const Look *look);
const char *style_end(Style style, const Look *look);

/*
 * A copy with '?' in place of each byte or character that is invalid, not printable, invisible, or that changes the
 * direction of text; runs of combining characters are cut short. NULL when out of memory.
 */
char *display_text(const char *s, const Look *look);
/* Columns of a text that display_text() made. */
size_t display_width(const char *s);
/*
 * A copy of a text that display_text() made, cut to at most `width` columns, an ellipsis standing for
 * what was cut: at the end, or at the start when `keep_end`. NULL when out of memory.
 */
char *display_fit(const char *s, size_t width, bool keep_end, const Look *look);

/* The lines of a frame, or of a table. */
typedef struct Lines {
        char **lines;
        size_t n;
} Lines;
/* Takes `line` (NULL is "out of memory"), also on failure. */
int lines_add(Lines *l, char *line);
void lines_clear(Lines *l);
