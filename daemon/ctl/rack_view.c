/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/rack_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/table.h"

#define DASH "-"

Style rack_view_style(const char *state) {
        static const struct {
                const char *state;
                Style style;
        } styles[] = {
                { "empty", STYLE_DIM },         { "ready", STYLE_GOOD },        { "settled", STYLE_BUSY },
                { "pulling", STYLE_BUSY },      { "checking", STYLE_BUSY },     { "identifying", STYLE_BUSY },
                { "switching", STYLE_BUSY },    { "updating", STYLE_BUSY },     { "refused", STYLE_WARN },
                { "ejected", STYLE_WARN },      { "quarantined", STYLE_BAD },   { "fault", STYLE_BAD },         { "running", STYLE_GOOD },
                { "degraded", STYLE_BAD },      { "stopping", STYLE_WARN },     { "ok", STYLE_GOOD },
                { "full", STYLE_BAD },          { "failing", STYLE_BAD },       { "missing", STYLE_BAD },
                { "read-only", STYLE_BAD },     { "error", STYLE_BAD },         { "disconnected", STYLE_BAD },
        };
        for (size_t i = 0; i < ELEMENTSOF(styles); i++)
                if (text_equal(styles[i].state, state))
                        return styles[i].style;
        return STYLE_PLAIN;
}

/* One line of plain text, cut to the width, in one style. */
static int add_line(Lines *lines, const Look *look, Style style, char *text) {
        _cleanup_(freep) char *raw = text;
        _cleanup_(freep) char *safe = raw ? display_text(raw, look) : NULL;
        size_t width = look->width > 0 ? look->width : SIZE_MAX;
        _cleanup_(freep) char *fitted = safe ? display_fit(safe, width, false, look) : NULL;
        if (!fitted)
                return -ENOMEM;
        return lines_add(lines, text_format("%s%s%s", style_begin(style, look), fitted, style_end(style, look)));
}

/* "Store     ready" with the sentence behind it when there is one. */
static int add_fact(Lines *lines, const Look *look, const char *label, const char *state, const char *rest) {
        _cleanup_(freep) char *safe_state = display_text(state, look);
        _cleanup_(freep) char *safe_rest = display_text(rest, look);
        if (!safe_state || !safe_rest)
                return -ENOMEM;
        size_t used = 7 + display_width(safe_state) + 2;
        size_t room = look->width == 0 ? SIZE_MAX : look->width > used ? look->width - used : 0;
        _cleanup_(freep) char *fitted = display_fit(safe_rest, room, false, look);
        if (!fitted)
                return -ENOMEM;
        Style style = rack_view_style(state);
        return lines_add(lines, text_format("%-7s%s%s%s%s%s", label, style_begin(style, look), safe_state,
                                            style_end(style, look), *fitted ? "  " : "", fitted));
}

/* "room for about 2 days without the store"; "" when nobody can say. */
static char *outlook_text(int64_t sec) {
        static const struct {
                int64_t sec;
                const char *one, *many;
        } units[] = { { 86400, "day", "days" }, { 3600, "hour", "hours" }, { 60, "minute", "minutes" } };

        if (sec < 0)
                return strdup("");
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                /* Two of a unit or more: "1 day" could be nearly two. */
                if (sec >= 2 * units[i].sec || i + 1 == ELEMENTSOF(units)) {
                        long long n = (long long) (sec / units[i].sec);
                        return text_format("; room for about %lld %s without the store", n, n == 1 ? units[i].one : units[i].many);
                }
        return strdup("");
}

int rack_view_summary(const Dock *dock, const Look *look, Lines *lines) {
        const DockManager *m = &dock->manager;
        char all[16], free_text[16], unstored[16];
        int r = add_line(lines, look, STYLE_BOLD, text_format("Berth %s, dock %s", m->version, m->dock_name));
        if (r >= 0)
                r = add_fact(lines, look, "Dock", m->state, m->reason);
        if (r >= 0)
                r = add_fact(lines, look, "Store", m->store_state, m->store_reason);
        if (r < 0)
                return r;

        _cleanup_(freep) char *outlook = outlook_text(m->spool_holds_sec);
        if (!outlook)
                return -ENOMEM;
        _cleanup_(freep) char *spool = text_format(
                "%s free of %s; %llu %s (%s) not stored yet%s", text_bytes(m->spool_free_bytes, free_text),
                text_bytes(m->spool_used_bytes + m->spool_free_bytes, all), (unsigned long long) m->unstored_clips,
                m->unstored_clips == 1 ? "clip" : "clips", text_bytes(m->unstored_bytes, unstored), outlook);
        r = spool ? add_fact(lines, look, "Spool", m->spool_state, spool) : -ENOMEM;
        if (r >= 0 && m->uploads_paused)
                r = add_line(lines, look, STYLE_WARN,
                             strdup("Uploads  paused; 'berthctl transfer resume' lets them go on"));
        if (r < 0 || m->clock_synchronised)
                return r;
        return add_line(lines, look, STYLE_WARN,
                        strdup("Clock  not known to be synchronised: cameras' clocks are neither judged nor set"));
}

static void add_battery(Table *t, const DockBay *b) {
        if (b->battery_percent < 0)
                table_cell(t, STYLE_DIM, *b->serial ? DASH : "");
        else
                table_cellf(t, b->battery_percent < 20 ? STYLE_BAD : STYLE_PLAIN, "%d%%", b->battery_percent);
}

/* "updating 45%" */
static void add_state(Table *t, const DockBay *b) {
        if (b->flash_percent >= 0)
                table_cellf(t, rack_view_style(b->state), "%s %d%%", b->state, b->flash_percent);
        else
                table_cell(t, rack_view_style(b->state), b->state);
}

static const char *or_dash(const char *s) {
        return *s ? s : DASH;
}

/* Below the table, where there is room for sentences: an empty line, and one line for each bay that has a reason. */
static int add_reasons(const Dock *dock, size_t room, const Look *look, Lines *lines) {
        size_t end = room < SIZE_MAX - lines->n ? lines->n + room : SIZE_MAX;
        bool first = true;
        for (size_t i = 0; i < dock->n_bays && lines->n + first < end; i++) {
                const DockBay *b = dock->bays[i];
                if (!*b->reason)
                        continue;
                int r = first ? lines_add(lines, strdup("")) : 0;
                if (r >= 0)
                        r = add_line(lines, look, rack_view_style(b->state),
                                     text_format("Bay %u: %s", b->number, b->reason));
                if (r < 0)
                        return r;
                first = false;
        }
        return 0;
}

int rack_view_status(const Dock *dock, const Look *look, Lines *lines) {
        static const Column columns[] = {
                { .title = "BAY", .right = true },
                { .title = "STATE" },
                { .title = "CAMERA", .min_width = 8, .keep_end = true },
                { .title = "MODEL", .min_width = 8, .drop_rank = 3 },
                { .title = "BATT", .right = true, .drop_rank = 2 },
                { .title = "CLIPS", .right = true },
                { .title = "COPIED", .right = true, .drop_rank = 4 },
                { .title = "STORED", .right = true, .drop_rank = 5 },
                { .title = "ERASED", .right = true, .drop_rank = 6 },
                { .title = "SIZE", .right = true, .drop_rank = 7 },
        };
        _cleanup_(table_freep) Table *t = NULL;
        int r = table_new(columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < dock->n_bays; i++) {
                const DockBay *b = dock->bays[i];
                char size[16];
                table_row(t);
                table_cellf(t, STYLE_PLAIN, "%u", b->number);
                add_state(t, b);
                table_cell(t, STYLE_PLAIN, or_dash(b->serial));
                table_cell(t, STYLE_PLAIN, or_dash(b->model));
                add_battery(t, b);
                table_cellf(t, STYLE_PLAIN, "%u", b->clips_total);
                table_cellf(t, STYLE_PLAIN, "%u", b->clips_copied);
                table_cellf(t, STYLE_PLAIN, "%u", b->clips_stored);
                table_cellf(t, STYLE_PLAIN, "%u", b->clips_erased);
                table_cell(t, STYLE_PLAIN, text_bytes(b->bytes_total, size));
        }
        r = lines_add(lines, strdup(""));
        if (r >= 0)
                r = table_render(t, look, lines);
        /* Whole, however long: the terminal wraps what does not fit. */
        Look unlimited = { .utf8 = look->utf8, .colour = look->colour };
        return r < 0 ? r : add_reasons(dock, SIZE_MAX, &unlimited, lines);
}

/* ---- The live frame ---- */

static unsigned permille(uint64_t part, uint64_t whole) {
        if (part >= whole)
                return 1000;
        return (unsigned) ((double) part * 1000 / (double) whole);
}

/* How far the camera's footage, or its firmware, has come: by bytes, or by clips when there are no bytes to count. */
static void add_progress(Table *t, const DockBay *b) {
        bool counting = *b->serial && (b->clips_total > 0 || text_equal(b->state, "ready"));
        bool done = text_equal(b->state, "ready") || text_equal(b->state, "pulling") ||
                    text_equal(b->state, "settled") || text_equal(b->state, "updating") || text_equal(b->state, "ejected");
        if (b->flash_percent >= 0)
                table_bar(t, (unsigned) b->flash_percent * 10, (unsigned) b->flash_percent * 10);
        else if (!counting || !done)
                table_cell(t, STYLE_PLAIN, "");
        else if (b->bytes_total > 0)
                table_bar(t, permille(b->bytes_copied, b->bytes_total), permille(b->bytes_stored, b->bytes_total));
        else
                table_bar(t, permille(b->clips_copied, b->clips_total), permille(b->clips_stored, b->clips_total));
}

static uint64_t bay_rate(const DockBay *b, uint64_t now_usec) {
        return text_equal(b->state, "pulling") ? rate_bytes_per_sec(&b->copying, now_usec) : 0;
}

static void add_rate(Table *t, const DockBay *b, uint64_t now_usec) {
        uint64_t rate = bay_rate(b, now_usec);
        char text[16];
        if (rate > 0)
                table_cellf(t, STYLE_PLAIN, "%s/s", text_bytes(rate, text));
        else if (text_equal(b->state, "fault") && b->retry_at_usec > now_usec)
                table_cellf(t, STYLE_PLAIN, "retry %llus",
                            (unsigned long long) ((b->retry_at_usec - now_usec + USEC_PER_SEC - 1) / USEC_PER_SEC));
        else
                table_cell(t, STYLE_PLAIN, "");
}

static void add_live_row(Table *t, const DockBay *b, uint64_t now_usec) {
        char size[16];
        table_row(t);
        table_cellf(t, STYLE_PLAIN, "%u", b->number);
        add_state(t, b);
        table_cell(t, STYLE_PLAIN, b->serial);
        add_battery(t, b);
        add_progress(t, b);
        add_rate(t, b, now_usec);
        if (*b->serial && b->clips_total > 0) {
                table_cellf(t, STYLE_PLAIN, "%u/%u", b->clips_copied, b->clips_total);
                table_cellf(t, STYLE_PLAIN, "%u", b->clips_stored);
                table_cellf(t, STYLE_PLAIN, "%u", b->clips_erased);
                table_cell(t, STYLE_PLAIN, text_bytes(b->bytes_total, size));
        } else
                for (unsigned i = 0; i < 4; i++)
                        table_cell(t, STYLE_PLAIN, "");
        table_cell(t, STYLE_DIM, b->current_clip);
}

/* "12 bays: 3 pulling, 8 ready, 1 refused; 120.0 MiB/s" */
static int add_totals(const Dock *dock, uint64_t now_usec, const Look *look, Lines *lines) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        uint64_t rate = 0;
        char rate_text[16];
        FILE *f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;

        fprintf(f, "%zu %s", dock->n_bays, dock->n_bays == 1 ? "bay" : "bays");
        for (size_t i = 0; i < dock->n_bays; i++) {
                size_t before = 0, equal = 0;
                rate += bay_rate(dock->bays[i], now_usec);
                for (size_t j = 0; j < dock->n_bays; j++)
                        if (text_equal(dock->bays[j]->state, dock->bays[i]->state)) {
                                before += j < i;
                                equal++;
                        }
                /* Each state once, at its first bay. */
                if (before == 0)
                        fprintf(f, "%s %zu %s", i == 0 ? ":" : ",", equal, dock->bays[i]->state);
        }
        if (rate > 0)
                fprintf(f, "; %s/s", text_bytes(rate, rate_text));
        if (fclose(f) != 0)
                return -ENOMEM;
        return add_line(lines, look, STYLE_BOLD, TAKE_PTR(text));
}

static int add_bays(const Dock *dock, uint64_t now_usec, size_t room, const Look *look, Lines *lines) {
        static const Column columns[] = {
                { .title = "BAY", .right = true },
                { .title = "STATE" },
                { .title = "CAMERA", .min_width = 10, .keep_end = true },
                { .title = "BATT", .right = true, .drop_rank = 2 },
                { .title = "PROGRESS", .min_width = 16, .max_width = 40, .fill = true, .drop_rank = 1 },
                { .title = "RATE", .right = true, .drop_rank = 3 },
                { .title = "COPIED", .right = true },
                { .title = "STORED", .right = true, .drop_rank = 4 },
                { .title = "ERASED", .right = true, .drop_rank = 5 },
                { .title = "SIZE", .right = true, .drop_rank = 6 },
                { .title = "READING", .min_width = 12, .keep_end = true, .drop_rank = 7 },
        };
        _cleanup_(table_freep) Table *t = NULL;
        int r = table_new(columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;

        bool skip_empty = dock->n_bays > room;
        size_t shown = 0;
        for (size_t i = 0; i < dock->n_bays && shown < room; i++) {
                if (skip_empty && text_equal(dock->bays[i]->state, "empty"))
                        continue;
                add_live_row(t, dock->bays[i], now_usec);
                shown++;
        }
        return table_render(t, look, lines);
}

int rack_view_frame(const Dock *dock, uint64_t now_usec, const char *notice, unsigned rows, const Look *look,
                    Lines *lines) {
        int r = 0;
        if (notice)
                r = add_line(lines, look, STYLE_WARN, strdup(notice));
        if (r < 0 || (!dock->present && dock->n_bays == 0))
                return r;
        r = rack_view_summary(dock, look, lines);
        if (r >= 0)
                r = lines_add(lines, strdup(""));
        if (r < 0)
                return r;
        /* The heading, the totals and an empty line above them take three. */
        size_t room = rows == 0 ? SIZE_MAX : rows > lines->n + 3 ? rows - lines->n - 3 : 1;
        r = add_bays(dock, now_usec, room, look, lines);
        room = rows == 0 ? SIZE_MAX : rows > lines->n + 2 ? rows - lines->n - 2 : 0;
        if (r >= 0)
                r = add_reasons(dock, room, look, lines);
        if (r >= 0)
                r = lines_add(lines, strdup(""));
        return r < 0 ? r : add_totals(dock, now_usec, look, lines);
}
