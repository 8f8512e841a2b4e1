/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Events, and the dock's process that plays them. */

#include "property/world.h"

#define STATUS_STOPPED 78

typedef enum EventKind {
        EVENT_ANSWER,   /* an effect that waits is done, and its answer comes */
        EVENT_TROUBLE,  /* … or it fails in one of many ways */
        EVENT_DIE,      /* a worker that has nothing to do */
        EVENT_PLUG,
        EVENT_UNPLUG,
        EVENT_RECORD,   /* a camera makes a recording */
        EVENT_CHANGE,   /* … under the name and date of an older one */
        EVENT_CHANGE_AWAY, /* … one of which the dock has a part by then, while its camera is away for a moment */
        EVENT_STORE,    /* it goes away, or is there again */
        EVENT_TIME,
        EVENT_CLOCK,    /* the wall clock is stepped, or is not known right any more */
        EVENT_CRASH,    /* at once */
        EVENT_CRASH_IN, /* in a few steps, in whatever thread */
        EVENT_STOP,     /* in order */
        EVENT_PAUSE,    /* operators: uploads pause, or go on */
        EVENT_NOW,
        EVENT_HOLD,     /* a camera is held, or released */
        EVENT_HOLD_LATE, /* one is held as soon as an erase is licensed there and not asked for yet */
        EVENT_ROOM,     /* the spool's disk is full, or has room again */
        EVENT_LOSE,     /* the store loses an object whose recording is on its camera */
        EVENT_ROT,      /* the spool's disk changes a byte of a copy whose recording is on its camera */
        _EVENT_MAX,
} EventKind;

typedef struct Event {
        EventKind kind;
        uint32_t a, b;
        bool hurry; /* the next event comes before the dock is quiet */
} Event;

#define EVENT_TEXT_SIZE 48u
const char *event_to_text(const Event *e, char ret[static EVENT_TEXT_SIZE]);
bool event_from_text(const char *text, Event *ret);

/* A new world with empty cameras. */
void world_begin(void);
/* The dock's process, from a start to its end: by a crash, an order to stop, or when the sequence has come to its end. */
void play_dock(const Event *events, size_t n, const char *folder) __attribute__((noreturn));
