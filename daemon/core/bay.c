/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bay.h"

#include <errno.h>

#include "base/text.h"

static const char *const bay_state_table[_BAY_STATE_MAX] = {
        [BAY_EMPTY] = "empty",
        [BAY_IDENTIFYING] = "identifying",
        [BAY_SWITCHING] = "switching",
        [BAY_CHECKING] = "checking",
        [BAY_PULLING] = "pulling",
        [BAY_SETTLED] = "settled",
        [BAY_UPDATING] = "updating",
        [BAY_READY] = "ready",
        [BAY_REFUSED] = "refused",
        [BAY_QUARANTINED] = "quarantined",
        [BAY_FAULT] = "fault",
        [BAY_EJECTED] = "ejected",
};
DEFINE_STRING_TABLE(bay_state, BayState, bay_state_table)

static const char *const bay_step_table[_BAY_STEP_MAX] = {
        [BAY_STEP_WAIT] = "wait",
        [BAY_STEP_IDENTIFY] = "identify",
        [BAY_STEP_CHECK] = "check",
        [BAY_STEP_LIST] = "list",
        [BAY_STEP_PULL] = "pull",
        [BAY_STEP_VERIFY] = "verify",
        [BAY_STEP_SALVAGE] = "salvage",
        [BAY_STEP_CLOSE] = "close",
        [BAY_STEP_ERASE] = "erase",
        [BAY_STEP_FORMAT] = "format",
        [BAY_STEP_SWITCH] = "switch",
        [BAY_STEP_LOST] = "lost",
        [BAY_STEP_EJECT] = "eject",
        [BAY_STEP_CYCLE] = "cycle",
};
const char *bay_step_to_string(BayStep s) {
        return (size_t) s < ELEMENTSOF(bay_step_table) ? bay_step_table[s] : NULL;
}

/* Reading from the camera: footage first (an officer may take the camera away), then what an erase will need. */
static BayDecision next_reading(const BayFacts *f) {
        if (f->to_pull > 0)
                return (BayDecision){ BAY_PULLING, f->spool_full ? BAY_STEP_WAIT : BAY_STEP_PULL, 0 };
        if (f->to_verify > 0)
                return (BayDecision){ BAY_PULLING, BAY_STEP_VERIFY, 0 };
        if (f->to_salvage > 0)
                return (BayDecision){ BAY_PULLING, f->spool_full ? BAY_STEP_WAIT : BAY_STEP_SALVAGE, f->reread_at_usec };
        /* One clip that the medium does not give is not the camera's fault: the others went on, and now it has rested. */
        return (BayDecision){ BAY_PULLING, BAY_STEP_WAIT, f->reread_at_usec };
}

/*
 * Everything is safe on the dock. The eraser is a worker of its own, so it waits until all receipts are there, unless
 * the store stands still and would keep the camera's room occupied for nothing.
 */
static BayDecision next_settled(const BayFacts *f) {
        if (f->erasable > 0 && (f->awaiting_store == 0 || f->store_waiting))
                return (BayDecision){ BAY_SETTLED,
                                      f->formats && f->awaiting_store == 0 && f->held == 0 ? BAY_STEP_FORMAT : BAY_STEP_ERASE, 0 };
        if (f->awaiting_store > 0 || f->erasable > 0 || f->held > 0 || f->erase_retry_at_usec > 0)
                return (BayDecision){ BAY_SETTLED, BAY_STEP_CLOSE, f->erase_retry_at_usec };
        return (BayDecision){ BAY_READY, BAY_STEP_CLOSE, f->policy_at_usec };
}

/* Off the bus, or about to leave it: nothing can be asked of it, it can only be waited for. */
static BayDecision next_away(const BayFacts *f, uint64_t now_usec) {
        if (now_usec < f->back_by_usec)
                return (BayDecision){ BAY_SWITCHING, BAY_STEP_WAIT, f->back_by_usec };
        if (!f->lost)
                return (BayDecision){ BAY_SWITCHING, BAY_STEP_LOST, 0 };
        if (f->port_power && !f->cycled)
                return (BayDecision){ BAY_SWITCHING, BAY_STEP_CYCLE, 0 };
        return (BayDecision){ BAY_FAULT, BAY_STEP_WAIT, 0 };
}

/*
 * Nothing is left to do in the storage mode. Back in its command mode it can tell its battery again; where the port's power
 * cannot be switched, and the camera does not go back by itself, it stays as it is. A clip that somebody must still
 * confirm keeps it here: its erase is done in this mode.
 */
static BayDecision next_behind(const BayFacts *f, uint64_t now_usec) {
        if (f->held > 0)
                return (BayDecision){ BAY_SETTLED, BAY_STEP_CLOSE, 0 };
        if (!f->ejected)
                return (BayDecision){ BAY_SETTLED, BAY_STEP_EJECT, 0 };
        if (f->port_power)
                return (BayDecision){ BAY_SETTLED, BAY_STEP_CYCLE, 0 };
        if (now_usec < f->back_by_usec)
                return (BayDecision){ BAY_SETTLED, BAY_STEP_CLOSE, f->back_by_usec };
        return (BayDecision){ BAY_READY, BAY_STEP_CLOSE, 0 };
}

/*
 * Its port is off: whether it still is in the bay shows when the power comes back. It had nothing left to do when it was switched off, and
 * whoever takes it takes a camera that is ready.
 */
static BayDecision next_resting(const BayFacts *f, uint64_t now_usec) {
        if (!f->waking)
                return (BayDecision){ BAY_READY, BAY_STEP_WAIT, 0 };
        if (now_usec < f->back_by_usec)
                return (BayDecision){ BAY_READY, BAY_STEP_WAIT, f->back_by_usec };
        return (BayDecision){ BAY_READY, BAY_STEP_LOST, 0 };
}

static BayDecision next_in_command_mode(const BayFacts *f) {
        if (!f->emptied)
                return (BayDecision){ BAY_SWITCHING, BAY_STEP_SWITCH, 0 };
        return (BayDecision){ BAY_READY, BAY_STEP_CLOSE, 0 };
}

/* What must not be cut short, which is an erase, comes to its end first. Then nothing is begun any more, whatever there would be to do. */
static BayDecision next_handed_out(const BayFacts *f) {
        if (f->worker_busy || f->in_session)
                return (BayDecision){ BAY_SETTLED, f->worker_busy ? BAY_STEP_WAIT : BAY_STEP_CLOSE, 0 };
        return (BayDecision){ BAY_EJECTED, BAY_STEP_WAIT, 0 };
}

BayDecision bay_next(const BayFacts *f, uint64_t now_usec) {
        BayDecision d;

        if (!f->occupied)
                return (BayDecision){ BAY_EMPTY, BAY_STEP_WAIT, 0 };
        if (f->refused)
                return (BayDecision){ BAY_REFUSED, BAY_STEP_WAIT, 0 };
        if (f->quarantined)
                return (BayDecision){ BAY_QUARANTINED, BAY_STEP_CLOSE, 0 };
        if (f->handed_out)
                return next_handed_out(f);
        if (f->retry_at_usec > now_usec)
                return (BayDecision){ BAY_FAULT, BAY_STEP_WAIT, f->retry_at_usec };

        if (f->updating)
                d = (BayDecision){ BAY_UPDATING, BAY_STEP_WAIT, 0 };
        else if (f->resting)
                d = next_resting(f, now_usec);
        else if (f->away)
                d = next_away(f, now_usec);
        /* Let go of: a new session would take it up again for nothing. */
        else if (f->behind && f->ejected)
                d = next_behind(f, now_usec);
        else if (!f->identified)
                d = (BayDecision){ BAY_IDENTIFYING, BAY_STEP_IDENTIFY, 0 };
        else if (!f->checked)
                d = (BayDecision){ BAY_CHECKING, BAY_STEP_CHECK, 0 };
        else if (f->switches)
                d = next_in_command_mode(f);
        else if (!f->listed)
                d = (BayDecision){ BAY_CHECKING, BAY_STEP_LIST, 0 };
        else if (f->to_pull > 0 || f->to_verify > 0 || f->to_salvage > 0 || f->being_settled > 0 || f->reread_at_usec > 0)
                d = next_reading(f);
        else
                d = next_settled(f);
        if (d.state == BAY_READY && f->behind)
                d = next_behind(f, now_usec);

        if (f->worker_busy)
                d.step = BAY_STEP_WAIT;
        return d;
}
