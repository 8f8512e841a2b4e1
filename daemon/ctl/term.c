/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/term.h"

#include <errno.h>
#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"
/* Terminals that know it show all that is in between at once; others ignore it. */
#define UPDATE_BEGIN "\033[?2026h"
#define UPDATE_END "\033[?2026l"

struct Term {
        Look look;
        unsigned rows;
        bool has_keys, repaint;
        struct termios saved;
        Lines shown;
};

static bool term_is_capable(void) {
        const char *term = getenv("TERM");
        return isatty(STDOUT_FILENO) && term && *term && !text_equal(term, "dumb");
}

bool term_is_live(void) {
        return term_is_capable();
}

static void size_of_stdout(unsigned *ret_rows, unsigned *ret_columns) {
        struct winsize size = { 0 };
        /* A serial line does not know its size and says 0. */
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
                size = (struct winsize) { 0 };
        *ret_rows = size.ws_row > 0 ? size.ws_row : 24;
        *ret_columns = size.ws_col > 0 ? size.ws_col : 80;
}

/* As it was before a pager came between. */
static Look kept;
static bool is_kept;

void term_look_stays(const Look *look) {
        kept = *look;
        is_kept = true;
}

void term_look(Look *ret) {
        if (is_kept) {
                *ret = kept;
                return;
        }
        const char *no_colour = getenv("NO_COLOR");
        Look look = {
                .utf8 = text_equal(nl_langinfo(CODESET), "UTF-8"),
                .colour = term_is_capable() && !(no_colour && *no_colour),
        };
        unsigned rows;
        if (isatty(STDOUT_FILENO))
                size_of_stdout(&rows, &look.width);
        *ret = look;
}

void term_resized(Term *t) {
        size_of_stdout(&t->rows, &t->look.width);
        /* The last column stays empty: what a terminal does after writing there differs from one to the next. */
        if (t->look.width > 1)
                t->look.width--;
        t->repaint = true;
}

/* Reading keys changes the terminal for whoever else uses it, so only the process group in front may. */
static bool take_keys(struct termios *ret_saved) {
        struct termios saved, keys;
        if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &saved) < 0)
                return false;
        keys = saved;
        keys.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
        keys.c_cc[VMIN] = 1;
        keys.c_cc[VTIME] = 0;
        if (tcsetattr(STDIN_FILENO, TCSANOW, &keys) < 0)
                return false;
        *ret_saved = saved;
        return true;
}

int term_enter(Term **ret) {
        Term *t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        term_look(&t->look);
        term_resized(t);
        t->has_keys = take_keys(&t->saved);
        int r = fd_write_full(STDOUT_FILENO, ENTER, strlen(ENTER));
        if (r < 0) {
                term_leave(t);
                return r;
        }
        *ret = t;
        return 0;
}

Term *term_leave(Term *t) {
        if (!t)
                return NULL;
        /* A terminal that is gone cannot be restored, and needs not. */
        (void) fd_write_full(STDOUT_FILENO, LEAVE, strlen(LEAVE));
        if (t->has_keys)
                (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
        lines_clear(&t->shown);
        free(t);
        return NULL;
}

void term_size(const Term *t, unsigned *ret_rows, Look *ret_look) {
        *ret_rows = t->rows;
        *ret_look = t->look;
}

bool term_has_keys(const Term *t) {
        return t->has_keys;
}

/* Writes the rows that changed; returns how many. */
static size_t compose(FILE *f, const Term *t, const Lines *lines, size_t n) {
        size_t changed = 0;
        for (size_t i = 0; i < n; i++) {
                if (!t->repaint && i < t->shown.n && text_equal(t->shown.lines[i], lines->lines[i]))
                        continue;
                fprintf(f, "\033[%zu;1H%s\033[K", i + 1, lines->lines[i]);
                changed++;
        }
        if (n < t->rows && (t->repaint || n < t->shown.n)) {
                fprintf(f, "\033[%zu;1H\033[J", n + 1);
                changed++;
        }
        return changed;
}

int term_paint(Term *t, Lines *lines) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;

        while (lines->n > t->rows)
                free(lines->lines[--lines->n]);
        fputs(UPDATE_BEGIN, f);
        size_t changed = compose(f, t, lines, lines->n);
        fputs(UPDATE_END, f);
        if (fclose(f) != 0) {
                free(text);
                return -ENOMEM;
        }
        int r = changed > 0 ? fd_write_full(STDOUT_FILENO, text, size) : 0;
        free(text);
        if (r < 0)
                return r;

        lines_clear(&t->shown);
        t->shown = *lines;
        *lines = (Lines) { 0 };
        t->repaint = false;
        return 0;
}
