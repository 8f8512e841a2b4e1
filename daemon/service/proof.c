/* SPDX-License-Identifier: Apache-2.0 */

/* The whole custody chain is proven after each start; what comes of it is told, and is an event itself. */

#include "service/docking.h"
#include "service/manager_private.h"

static void chain_checked(void *userdata, ChainState state, const char *text) {
        Manager *m = userdata;
        Fact fact = { .kind = state == CHAIN_WHOLE ? FACT_CHAIN_VERIFIED : FACT_CHAIN_BROKEN, .text = text };

        m->chain_state = state;
        if (state == CHAIN_WHOLE)
                log_message(LOG_INFO, MESSAGE_CUSTODY_WHOLE, "%s", text);
        else {
                log_message(LOG_ERR, MESSAGE_CUSTODY_BROKEN, "Nothing is erased any more: %s", text);
                (void) snprintf(m->chain_text, sizeof(m->chain_text), "nothing is erased any more: %s", text);
        }
        manager_moment(m, &fact.at);
        (void) store_put(m->store, &fact, NULL, NULL);
        manager_tell(m);
        manager_kick_bays(m);
}

int proof_start(Manager *m) {
        return chain_check_start(m->event, m->store, chain_checked, m, &m->chain_check);
}

bool proof_allows_erase(const Manager *m) {
        return m->chain_state == CHAIN_CHECKING || m->chain_state == CHAIN_WHOLE;
}

const char *manager_chain_state(const Manager *m) {
        return chain_state_to_string(m->chain_state);
}
