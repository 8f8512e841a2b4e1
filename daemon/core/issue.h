/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which camera an officer gets, and how late one is. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One camera in a bay. */
typedef struct IssueCamera {
        bool ready;         /* nothing is left to do with it */
        bool held_back;     /* quarantined, or a serious finding */
        bool reserved;      /* checked out already, and not taken yet */
        bool for_officer;   /* the roster gives it to this officer … */
        bool for_other;     /* … or to another one */
        bool warned;        /* a finding that is a warning */
        int battery_percent; /* -1: not known */
        unsigned battery_floor_percent; /* with less it is not issued; 0: none */
        uint64_t issues;    /* how often it was issued */
        int64_t last_issued_usec;
        unsigned bay;
} IssueCamera;

typedef enum IssueWhy {
        ISSUE_NONE_HERE,  /* no camera for this officer is in a bay */
        ISSUE_HELD_BACK,  /* those that are, are not to be issued */
        ISSUE_BUSY,       /* … or are worked with, */
        ISSUE_LOW,        /* … or not charged enough, */
        ISSUE_RESERVED,   /* … or somebody else's by now */
        _ISSUE_WHY_MAX,
} IssueWhy;

/* From this charge on one camera is as good as another. */
#define ISSUE_CHARGED_PERCENT 90

/*
 * The best one: the index, or -1 with why there is none. `fixed`: the roster gives this officer a camera of their own, and no other will
 * do. Of those that may be issued the ones without warnings come first, then the charged ones, then those that were issued least, so that
 * they wear evenly.
 */
int issue_pick(const IssueCamera *cameras, size_t n, bool fixed, IssueWhy *ret_why);
/* One sentence. */
const char *issue_why_to_text(IssueWhy why, bool fixed);

/* How late, or 0; microseconds. `due_usec` 0: it was never to come back. */
int64_t issue_late_usec(int64_t due_usec, int64_t now_usec);
