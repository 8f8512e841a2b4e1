/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The rack as lines for people: the dock's summary, its bays as a table, and the live frame. */

#include "ctl/display.h"
#include "ctl/dock.h"

/* Each appends to `lines`; -ENOMEM. */
int rack_view_summary(const Dock *dock, const Look *look, Lines *lines);
/* The bays as `status` shows them. */
int rack_view_status(const Dock *dock, const Look *look, Lines *lines);
/*
 * The frame of `watch`, at most `rows` lines (0: any number): when there are more bays than room, empty ones go first,
 * then the last. `now_usec` is CLOCK_BOOTTIME; `notice` is a line that stands above all, NULL when there is none.
 */
int rack_view_frame(const Dock *dock, uint64_t now_usec, const char *notice, unsigned rows, const Look *look,
                    Lines *lines);
/* The style that a state is shown in. */
Style rack_view_style(const char *state);
