/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What `watch` prints where there is no terminal to paint on: one line per change, for people or as JSON. */

#include "ctl/dock.h"

/* What a line of JSON is about. */
typedef enum WatchChange {
        WATCH_DAEMON_BACK, /* also: it is there */
        WATCH_DAEMON_GONE,
        WATCH_DOCK,
        WATCH_BAY,
        WATCH_BAY_REMOVED,
        WATCH_CAMERA,
        WATCH_CAMERA_REMOVED,
        _WATCH_CHANGE_MAX,
} WatchChange;

/* Prints one line: a CtlExit. `bay` and `camera` where the change is about one. */
int watch_print_json(WatchChange change, const Dock *dock, const DockBay *bay, const DockCamera *camera);

/* "2026-11-23T09:15:00Z …" with safe text: a CtlExit. Takes `text` (NULL is "out of memory"). */
int watch_print_line(char *text);
/* The line about a bay, when its state, reason or camera is not what was last told: a CtlExit. */
int watch_tell_bay(DockBay *bay);
/* Likewise about the dock, its store and its spool; *told is what was said last and is updated. */
int watch_tell_dock(const DockManager *manager, char **told);
