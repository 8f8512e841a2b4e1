/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The terminal: what it can show, and a frame on it that is repainted in place. */

#include <stdbool.h>

#include "ctl/display.h"

/* How stdout looks: colour only on a terminal that has it, and not with NO_COLOR; width 0 when it is not a terminal. */
void term_look(Look *ret);
/* stdout goes to the terminal by way of something else from here on: this is how it looks. */
void term_look_stays(const Look *look);
/* stdout is a terminal on which a frame can be repainted. */
bool term_is_live(void);

typedef struct Term Term;

/*
 * Takes the terminal: alternate screen, no cursor, and when stdin is the same terminal and ours to read, keys without
 * echo. One at a time. -errno.
 */
int term_enter(Term **ret);
/* Gives it back as it was. Safe to call with NULL. */
Term *term_leave(Term *t);
DEFINE_CLEANUP(Term, term_leave);
/* Asks for the size again; the next frame is painted whole. */
void term_resized(Term *t);
/* What a frame has to fit in. */
void term_size(const Term *t, unsigned *ret_rows, Look *ret_look);
/* Whether keys arrive on stdin. */
bool term_has_keys(const Term *t);
/*
 * Shows the frame. Only the rows that differ from the frame before are written, all at once; rows past the height are
 * not shown. Takes the lines. -errno when the terminal is gone.
 */
int term_paint(Term *t, Lines *lines);
