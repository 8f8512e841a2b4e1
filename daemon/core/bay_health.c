/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bay_health.h"

#include <stdio.h>

#include "base/macro.h"

const char *bay_code_to_string(BayCode c) {
        static const char *const names[_BAY_HEALTH_MAX] = {
                [BAY_HEALTH_FAULTS] = "bay-faults",
                [BAY_HEALTH_CONTACTS] = "bay-contacts",
                [BAY_HEALTH_CURRENT] = "bay-over-current",
        };

        return (size_t) c < ELEMENTSOF(names) ? names[(size_t) c] : NULL;
}

size_t bay_judge(const BayRecord *b, const BayLimits *l, unsigned number, BayFinding ret[static _BAY_HEALTH_MAX]) {
        BayFinding all[_BAY_HEALTH_MAX] = { 0 };
        size_t n = 0, sorted = 0;

        if (b->over_currents > 0) {
                all[n] = (BayFinding){ BAY_HEALTH_CURRENT, b->over_currents >= l->over_currents ? HEALTH_SERIOUS : HEALTH_WARNING, "",
                                       "find what shorts its contacts; clean or replace the bay" };
                (void) snprintf(all[n++].text, sizeof(all[0].text), "bay %u drew too much current %u %s", number, b->over_currents,
                                b->over_currents == 1 ? "time" : "times");
        }
        if (b->faulted_here >= l->cameras) {
                all[n] = (BayFinding){ BAY_HEALTH_FAULTS, b->faulted_here * 2 > b->cameras ? HEALTH_SERIOUS : HEALTH_WARNING, "",
                                       "clean or replace the bay" };
                (void) snprintf(all[n++].text, sizeof(all[0].text), "%u of %u cameras faulted in bay %u and not in other bays",
                                b->faulted_here, b->cameras, number);
        }
        if (b->rests > 0) {
                all[n] = (BayFinding){ BAY_HEALTH_CONTACTS, b->rests >= l->rests ? HEALTH_SERIOUS : HEALTH_WARNING, "",
                                       "clean the bay's contacts, else replace the bay" };
                (void) snprintf(all[n++].text, sizeof(all[0].text), "the contacts of bay %u flapped: it had to rest %u times", number,
                                b->rests);
        }
        for (HealthSeverity s = _HEALTH_SEVERITY_MAX; s-- > 0;)
                for (size_t i = 0; i < n; i++)
                        if (all[i].severity == s)
                                ret[sorted++] = all[i];
        return sorted;
}
