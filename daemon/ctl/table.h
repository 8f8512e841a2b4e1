/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A table that fits the terminal: columns as wide as their content, shrunk and at last dropped for want of room. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/display.h"

typedef struct Column {
        const char *title;
        unsigned min_width; /* it may shrink down to this; 0: its content is never cut */
        unsigned drop_rank; /* when shrinking is not enough the column of the highest rank goes first; 0: never */
        bool right;         /* numbers */
        bool keep_end;      /* cut at the start: paths, and serials, whose ends tell cameras apart */
        bool fill;          /* at least min_width, and takes the room that is left, up to max_width (0: all of it) */
        unsigned max_width;
} Column;

typedef struct Table Table;

/* `columns` stay the caller's and outlive the table. */
int table_new(const Column *columns, size_t n_columns, Table **ret);
Table *table_free(Table *t);
DEFINE_CLEANUP(Table, table_free);

/* Rows are filled cell by cell. After a failure the table renders to -ENOMEM, so that callers check once. */
void table_row(Table *t);
/* Text of any origin: it is made safe here. */
void table_cell(Table *t, Style style, const char *text);
void table_cellf(Table *t, Style style, const char *format, ...) _printf_(3, 4);
/* "2026-11-26 18:00" (UTC); `none` when it is no time: 0, or PROPERTY_TIME_UNKNOWN. */
void table_time(Table *t, int64_t wall_usec, const char *none);
/* A progress bar over the column's width, in 1/1000 of the whole: 0 <= stored <= copied <= 1000. */
void table_bar(Table *t, unsigned copied, unsigned stored);

/* Appends the heading and the rows to `lines`, none wider than the look's width if that is at all possible. */
int table_render(Table *t, const Look *look, Lines *lines);
/* Prints it, as wide as stdout takes it. A CtlExit. */
int table_print(Table *t);
