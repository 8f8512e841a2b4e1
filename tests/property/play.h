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
        EVENT_PULL_OUT, /* the transfer that breaks is seen before the hub tells */
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
        EVENT_RELEASE,  /* a camera that is held back may be issued */
        EVENT_ERASE,    /* a clip is to be erased by order, if it is stored */
        EVENT_IMPORT,   /* a folder, with recordings that are new in it; or the one under way is cancelled */
        EVENT_ROOM,     /* the spool's disk is full, or has room again */
        EVENT_LOSE,     /* the store loses an object whose recording is on its camera */
        EVENT_ROT,      /* the spool's disk changes a byte of a copy whose recording is on its camera */
        EVENT_FLASH,    /* an operator wants a camera to have another version */
        EVENT_ROLLOUT,  /* the fleet's administrator begins one, pauses it, goes on, ends it */
        EVENT_BATTERY,  /* of a camera that is in nobody's bay: it is used up, or charged */
        EVENT_EJECT,    /* an operator wants the camera of a bay as it is; it is not taken out by that */
        EVENT_CALM,     /* for a while all goes well, and time passes when nothing else is to be waited for */
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

/* The dock's process. */
typedef struct Dock {
        sd_event *event;
        Manager *manager;
        char state_dir[256];
} Dock;

/* Until nothing moves by itself any more. */
void run_until_quiet(const Dock *d);
/* An effect that waits is done, and its answer comes: `pick` is which of them, `trouble` 0 when all is well. */
void answer(uint32_t pick, unsigned trouble);
/* One answer, or the next time at which a timer runs out. False: there is nothing to wait for. */
bool go_on(const Dock *d);

/* operators.c */
void order_pause(Dock *d);
void order_now(Dock *d, uint32_t a);
void order_hold(Dock *d, uint32_t camera);
void order_release(Dock *d, uint32_t camera);
void order_erase(Dock *d, uint32_t a);
void order_eject(Dock *d, unsigned bay);
void order_import(Dock *d, uint32_t b);
void order_flash(Dock *d, uint32_t camera, uint32_t b);
/* A hold, when one waits for an erase that is licensed and not asked for yet. */
void hold_when_licensed(Dock *d);

/* settle.c: all trouble ends, the cameras are put in once more, and everything must come to its end. */
void settle(Dock *d);

/* A new world with empty cameras. */
void world_begin(void);
/* The dock's process, from a start to its end: by a crash, an order to stop, or when the sequence has come to its end. */
void play_dock(const Event *events, size_t n, const char *folder) __attribute__((noreturn));
