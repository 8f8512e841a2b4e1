/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/until.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "ctl/dock.h"
#include "ctl/number.h"

#define IDLE_MAX_SEC UINT64_C(86400)

static bool is_state(const char *word) {
        static const char *const states[] = { UNTIL_STATES };
        for (size_t i = 0; i < ELEMENTSOF(states); i++)
                if (text_equal(states[i], word))
                        return true;
        return false;
}

static int add_states(UntilTerm *term, const char *list) {
        _cleanup_(freep) char *copy = strdup(list);
        if (!copy)
                return -ENOMEM;

        char *rest = copy;
        for (char *state; (state = strsep(&rest, ",")) != NULL;) {
                if (*state == '\0' || state[strspn(state, "abcdefghijklmnopqrstuvwxyz-")] != '\0')
                        return -EINVAL;
                if (term->n_states == UNTIL_STATES_MAX)
                        return -E2BIG;
                if (!is_state(state))
                        return -ENOENT;
                term->states[term->n_states] = strdup(state);
                if (!term->states[term->n_states])
                        return -ENOMEM;
                term->n_states++;
        }
        return 0;
}

int until_add(Until *u, const char *text) {
        const char *equals = strchr(text, '=');
        if (!equals)
                return -EINVAL;
        if (u->n_terms == UNTIL_MAX)
                return -E2BIG;

        UntilTerm *term = &u->terms[u->n_terms];
        *term = (UntilTerm) { 0 };
        _cleanup_(freep) char *what = strndup(text, (size_t) (equals - text));
        if (!what)
                return -ENOMEM;
        if (text_equal(what, "idle")) {
                int r = number_seconds(equals + 1, IDLE_MAX_SEC, &term->idle_usec);
                if (r < 0)
                        return r;
                u->n_terms++;
                return 0;
        }

        int r = number_parse(equals + 1, 1, UINT32_MAX, &term->bays);
        if (r < 0)
                return r;
        /* Counted first: a term that failed half way is then released by until_clear(). */
        u->n_terms++;
        return add_states(term, what);
}

void until_clear(Until *u) {
        for (size_t i = 0; i < u->n_terms; i++)
                for (size_t j = 0; j < u->terms[i].n_states; j++)
                        free(u->terms[i].states[j]);
        *u = (Until) { 0 };
}

static bool dock_is_idle(const Dock *dock) {
        for (size_t i = 0; i < dock->n_bays; i++)
                if (dock_bay_is_working(dock->bays[i]))
                        return false;
        return dock->manager.unstored_clips == 0;
}

static uint64_t count_bays(const UntilTerm *term, const Dock *dock) {
        uint64_t n = 0;
        for (size_t i = 0; i < dock->n_bays; i++)
                for (size_t j = 0; j < term->n_states; j++)
                        if (text_equal(dock->bays[i]->state, term->states[j])) {
                                n++;
                                break;
                        }
        return n;
}

bool until_holds(Until *u, const Dock *dock, uint64_t now_usec, uint64_t *ret_wake_usec) {
        *ret_wake_usec = 0;
        if (u->busy_at_usec == 0 || !dock->present || !dock_is_idle(dock))
                u->busy_at_usec = now_usec;
        if (u->n_terms == 0 || !dock->present)
                return false;

        bool holds = true;
        uint64_t wake = 0;
        for (size_t i = 0; i < u->n_terms; i++) {
                const UntilTerm *term = &u->terms[i];
                if (term->n_states > 0) {
                        holds = holds && count_bays(term, dock) >= term->bays;
                        continue;
                }
                uint64_t due = u->busy_at_usec + term->idle_usec;
                if (now_usec >= due && dock_is_idle(dock))
                        continue;
                holds = false;
                wake = MAX2(wake, due);
        }
        /* While something is going on a change will tell; only the wait for idleness to last needs the clock. */
        if (!holds && dock_is_idle(dock))
                *ret_wake_usec = wake;
        return holds;
}
