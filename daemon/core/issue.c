/* SPDX-License-Identifier: Apache-2.0 */
#include "core/issue.h"

#include "base/macro.h"

static bool charged_enough(const IssueCamera *c) {
        return c->battery_percent < 0 || (unsigned) c->battery_percent >= c->battery_floor_percent;
}

/* A charge that is not known is taken for the least that may be issued. */
static int charge_class(const IssueCamera *c) {
        int percent = c->battery_percent < 0 ? (int) c->battery_floor_percent : c->battery_percent;

        return MIN2(percent, ISSUE_CHARGED_PERCENT);
}

static bool is_better(const IssueCamera *a, const IssueCamera *b) {
        if (a->warned != b->warned)
                return !a->warned;
        if (charge_class(a) != charge_class(b))
                return charge_class(a) > charge_class(b);
        if (a->issues != b->issues)
                return a->issues < b->issues;
        if (a->last_issued_usec != b->last_issued_usec)
                return a->last_issued_usec < b->last_issued_usec;
        return a->bay < b->bay;
}

/* What keeps it from being issued; _ISSUE_WHY_MAX: nothing. */
static IssueWhy obstacle(const IssueCamera *c, bool fixed) {
        if (fixed ? !c->for_officer : c->for_other)
                return ISSUE_NONE_HERE;
        if (c->reserved)
                return ISSUE_RESERVED;
        if (c->held_back)
                return ISSUE_HELD_BACK;
        if (!c->ready)
                return ISSUE_BUSY;
        return charged_enough(c) ? _ISSUE_WHY_MAX : ISSUE_LOW;
}

/* What is over the soonest is told: waiting for it makes sense. */
static unsigned hope(IssueWhy why) {
        static const unsigned hopes[_ISSUE_WHY_MAX] = {
                [ISSUE_NONE_HERE] = 0, [ISSUE_RESERVED] = 1, [ISSUE_HELD_BACK] = 2, [ISSUE_LOW] = 3, [ISSUE_BUSY] = 4,
        };

        return hopes[why];
}

int issue_pick(const IssueCamera *cameras, size_t n, bool fixed, IssueWhy *ret_why) {
        IssueWhy why = ISSUE_NONE_HERE;
        int best = -1;

        for (size_t i = 0; i < n; i++) {
                IssueWhy here = obstacle(&cameras[i], fixed);

                if (here == _ISSUE_WHY_MAX && (best < 0 || is_better(&cameras[i], &cameras[best])))
                        best = (int) i;
                else if (here != _ISSUE_WHY_MAX && hope(here) > hope(why))
                        why = here;
        }
        if (best < 0)
                *ret_why = why;
        return best;
}

const char *issue_why_to_text(IssueWhy why, bool fixed) {
        static const char *const pool[_ISSUE_WHY_MAX] = {
                [ISSUE_NONE_HERE] = "no camera of the pool is in a bay",
                [ISSUE_HELD_BACK] = "the pool's cameras that are here are not to be issued; 'berthctl camera list' tells why",
                [ISSUE_BUSY] = "no camera of the pool is ready yet: footage is on its way from those that are here; try again soon",
                [ISSUE_LOW] = "no camera of the pool is charged enough yet; try again later",
                [ISSUE_RESERVED] = "the pool's cameras that are here are checked out already",
        };
        static const char *const own[_ISSUE_WHY_MAX] = {
                [ISSUE_NONE_HERE] = "the officer's own camera is in no bay of this dock",
                [ISSUE_HELD_BACK] = "the officer's own camera may not be issued, see 'berthctl camera health'; 'berthctl assign' can help",
                [ISSUE_BUSY] = "the officer's own camera is not ready yet: its footage is on its way; try again soon",
                [ISSUE_LOW] = "the officer's own camera is not charged enough yet; try again later",
                [ISSUE_RESERVED] = "the officer's own camera is checked out already",
        };

        return fixed ? own[why] : pool[why];
}

int64_t issue_late_usec(int64_t due_usec, int64_t now_usec) {
        return due_usec > 0 && now_usec > due_usec ? now_usec - due_usec : 0;
}
