/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define GAP 2u /* columns between columns */

typedef enum CellKind { CELL_TEXT, CELL_BAR } CellKind;

typedef struct Cell {
        CellKind kind;
        Style style;
        char *raw;   /* as given */
        char *shown; /* as display_text() made it for the look of this rendering */
        unsigned copied, stored;
} Cell;

struct Table {
        const Column *columns;
        size_t n_columns;
        Cell *cells; /* row by row */
        size_t n_rows, next;
        bool out_of_memory;
};

/* One rendering: which columns are shown, and how wide. */
typedef struct Layout {
        size_t *widths;
        bool *dropped;
} Layout;

int table_new(const Column *columns, size_t n_columns, Table **ret) {
        assert(n_columns > 0);
        Table *t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        *t = (Table) { .columns = columns, .n_columns = n_columns, .next = n_columns };
        *ret = t;
        return 0;
}

Table *table_free(Table *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_rows * t->n_columns; i++) {
                free(t->cells[i].raw);
                free(t->cells[i].shown);
        }
        free(t->cells);
        free(t);
        return NULL;
}

void table_row(Table *t) {
        size_t used = t->n_rows * t->n_columns;
        Cell *cells = reallocarray(t->cells, used + t->n_columns, sizeof(*cells));
        if (!cells) {
                t->out_of_memory = true;
                return;
        }
        memset(cells + used, 0, t->n_columns * sizeof(*cells));
        t->cells = cells;
        t->n_rows++;
        t->next = 0;
}

static Cell *next_cell(Table *t) {
        if (t->out_of_memory)
                return NULL;
        assert(t->n_rows > 0 && t->next < t->n_columns);
        return t->cells + (t->n_rows - 1) * t->n_columns + t->next++;
}

static void take_text(Table *t, Style style, char *text) {
        Cell *cell = text ? next_cell(t) : NULL;
        if (!cell) {
                t->out_of_memory = true;
                free(text);
                return;
        }
        cell->style = style;
        cell->raw = text;
}

void table_cell(Table *t, Style style, const char *text) {
        take_text(t, style, strdup(text ? text : ""));
}

void table_cellf(Table *t, Style style, const char *format, ...) {
        va_list ap;
        va_start(ap, format);
        take_text(t, style, text_vformat(format, ap));
        va_end(ap);
}

void table_time(Table *t, int64_t wall_usec, const char *none) {
        char text[UTC_TEXT_SIZE];
        if (wall_usec > 0)
                table_cellf(t, STYLE_PLAIN, "%.10s %.5s", utc_text(wall_usec, text), text + 11);
        else
                table_cell(t, STYLE_PLAIN, none);
}

void table_bar(Table *t, unsigned copied, unsigned stored) {
        Cell *cell = next_cell(t);
        if (!cell)
                return;
        cell->kind = CELL_BAR;
        cell->copied = MIN2(copied, 1000u);
        cell->stored = MIN2(stored, cell->copied);
}

static Cell *cell_at(const Table *t, size_t row, size_t column) {
        return t->cells + row * t->n_columns + column;
}

/* Makes the cells' texts safe and measures the columns. */
static int measure(Table *t, const Look *look, size_t *widths) {
        for (size_t c = 0; c < t->n_columns; c++) {
                widths[c] = display_width(t->columns[c].title);
                for (size_t row = 0; row < t->n_rows; row++) {
                        Cell *cell = cell_at(t, row, c);
                        free(cell->shown);
                        cell->shown = display_text(cell->raw ? cell->raw : "", look);
                        if (!cell->shown)
                                return -ENOMEM;
                        widths[c] = MAX2(widths[c], display_width(cell->shown));
                }
                if (t->columns[c].fill)
                        widths[c] = MAX2(widths[c], (size_t) t->columns[c].min_width);
        }
        return 0;
}

static size_t layout_total(const Table *t, const Layout *l) {
        size_t total = 0;
        for (size_t c = 0; c < t->n_columns; c++)
                if (!l->dropped[c])
                        total += l->widths[c] + (total > 0 ? GAP : 0);
        return total;
}

/* Takes `excess` columns off what may shrink, the widest first. What could not be taken is returned. */
static size_t layout_shrink(const Table *t, Layout *l, size_t excess) {
        while (excess > 0) {
                size_t widest = SIZE_MAX;
                for (size_t c = 0; c < t->n_columns; c++) {
                        unsigned least = t->columns[c].min_width;
                        if (!l->dropped[c] && least > 0 && l->widths[c] > least &&
                            (widest == SIZE_MAX || l->widths[c] > l->widths[widest]))
                                widest = c;
                }
                if (widest == SIZE_MAX)
                        break;
                l->widths[widest]--;
                excess--;
        }
        return excess;
}

static bool layout_drop(const Table *t, Layout *l) {
        size_t victim = SIZE_MAX;
        for (size_t c = 0; c < t->n_columns; c++)
                if (!l->dropped[c] && t->columns[c].drop_rank > 0 &&
                    (victim == SIZE_MAX || t->columns[c].drop_rank > t->columns[victim].drop_rank))
                        victim = c;
        if (victim == SIZE_MAX)
                return false;
        l->dropped[victim] = true;
        return true;
}

static void layout_fill(const Table *t, Layout *l, size_t width) {
        for (size_t c = 0; c < t->n_columns; c++) {
                const Column *column = &t->columns[c];
                size_t total = layout_total(t, l);
                if (!column->fill || l->dropped[c] || total >= width)
                        continue;
                size_t wanted = l->widths[c] + (width - total);
                if (column->max_width > 0)
                        wanted = MIN2(wanted, MAX2((size_t) column->max_width, l->widths[c]));
                l->widths[c] = wanted;
        }
}

static void layout_fit(const Table *t, Layout *l, const size_t *natural, size_t width) {
        for (;;) {
                memcpy(l->widths, natural, t->n_columns * sizeof(*natural));
                size_t total = layout_total(t, l);
                if (total <= width || layout_shrink(t, l, total - width) == 0)
                        break;
                if (!layout_drop(t, l))
                        break;
        }
        layout_fill(t, l, width);
}

static void put_repeated(FILE *f, const char *what, size_t n) {
        for (; n > 0; n--)
                fputs(what, f);
}

static void put_bar(FILE *f, const Cell *cell, size_t width, const Look *look) {
        char percent[16];
        snprintf(percent, sizeof(percent), " %3u%%", cell->copied / 10);
        size_t room = width > strlen(percent) + 2 ? width - strlen(percent) : 0;
        size_t stored = room * cell->stored / 1000, copied = room * cell->copied / 1000;

        fputs(style_begin(STYLE_GOOD, look), f);
        put_repeated(f, look->utf8 ? "\u2588" : "#", stored);
        fputs(style_end(STYLE_GOOD, look), f);
        fputs(style_begin(STYLE_BUSY, look), f);
        put_repeated(f, look->utf8 ? "\u2593" : "=", copied - stored);
        fputs(style_end(STYLE_BUSY, look), f);
        fputs(style_begin(STYLE_DIM, look), f);
        put_repeated(f, look->utf8 ? "\u2591" : ".", room - copied);
        fputs(style_end(STYLE_DIM, look), f);
        put_repeated(f, " ", width - room > strlen(percent) ? width - room - strlen(percent) : 0);
        fputs(room > 0 || width >= strlen(percent) ? percent : "", f);
}

static int put_text(FILE *f, const char *text, Style style, size_t width, const Column *column, bool last,
                    const Look *look) {
        _cleanup_(freep) char *fitted = display_fit(text, width, column->keep_end, look);
        if (!fitted)
                return -ENOMEM;
        size_t space = width - display_width(fitted);
        if (column->right)
                put_repeated(f, " ", space);
        if (*fitted)
                fprintf(f, "%s%s%s", style_begin(style, look), fitted, style_end(style, look));
        if (!column->right && !last)
                put_repeated(f, " ", space);
        return 0;
}

/* One line: the titles when `row` is SIZE_MAX. */
static int render_line(const Table *t, const Layout *l, size_t row, const Look *look, Lines *lines) {
        char *line = NULL;
        size_t size = 0, last = 0;
        for (size_t c = 0; c < t->n_columns; c++)
                if (!l->dropped[c])
                        last = c;

        FILE *f = open_memstream(&line, &size);
        if (!f)
                return -ENOMEM;
        int r = 0;
        bool first = true;
        for (size_t c = 0; c < t->n_columns && r >= 0; c++) {
                const Cell *cell = row == SIZE_MAX ? NULL : cell_at(t, row, c);
                if (l->dropped[c])
                        continue;
                put_repeated(f, " ", first ? 0 : GAP);
                first = false;
                if (!cell)
                        r = put_text(f, t->columns[c].title, STYLE_BOLD, l->widths[c], &t->columns[c], c == last, look);
                else if (cell->kind == CELL_BAR)
                        put_bar(f, cell, l->widths[c], look);
                else
                        r = put_text(f, cell->shown, cell->style, l->widths[c], &t->columns[c], c == last, look);
        }
        if (fclose(f) != 0 || r < 0) {
                free(line);
                return -ENOMEM;
        }
        /* Empty cells at the end leave the gap behind. */
        while (size > 0 && line[size - 1] == ' ')
                line[--size] = '\0';
        return lines_add(lines, line);
}

int table_render(Table *t, const Look *look, Lines *lines) {
        _cleanup_(freep) size_t *natural = calloc(t->n_columns, sizeof(*natural));
        _cleanup_(freep) size_t *widths = calloc(t->n_columns, sizeof(*widths));
        _cleanup_(freep) bool *dropped = calloc(t->n_columns, sizeof(*dropped));
        if (t->out_of_memory || !natural || !widths || !dropped)
                return -ENOMEM;

        int r = measure(t, look, natural);
        if (r < 0)
                return r;
        Layout layout = { .widths = widths, .dropped = dropped };
        layout_fit(t, &layout, natural, look->width > 0 ? look->width : SIZE_MAX / 2);
        /* Without a terminal there is no room to fill. */
        if (look->width == 0)
                memcpy(widths, natural, t->n_columns * sizeof(*natural));

        r = render_line(t, &layout, SIZE_MAX, look, lines);
        for (size_t row = 0; row < t->n_rows && r >= 0; row++)
                r = render_line(t, &layout, row, look, lines);
        return r;
}
