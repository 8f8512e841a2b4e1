/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The whole custody chain, from its first event to the head that was known when the store was opened, the rows against it
 * (facts_check.h), and then the database as SQLite knows it, indexes too, proven beside the daemon's work: on a thread of its own
 * over a read-only connection of its own, a few events at a time with rests between them.
 */

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "store/store.h"

typedef enum ChainState {
        CHAIN_CHECKING,
        CHAIN_WHOLE,
        CHAIN_BROKEN,    /* an event was changed, is missing, or lies in a damaged part of the database; or a row says otherwise */
        CHAIN_UNCHECKED, /* the database could not be read to the end */
        _CHAIN_STATE_MAX,
} ChainState;
const char *chain_state_to_string(ChainState s);

typedef struct ChainCheck ChainCheck;

/* All of it at once, for who has nothing else to do: -EBADE, or another errno, with a sentence in `error`. */
int chain_check_now(Store *store, ConfError *error);

/* On the loop, once. `text`: a sentence for people. */
typedef void (*ChainCheckDone)(void *userdata, ChainState state, const char *text);

int chain_check_start(sd_event *event, Store *store, ChainCheckDone done, void *userdata, ChainCheck **ret);
/* Stops it, finished or not; then `done` is not called any more. Before the store is closed. */
ChainCheck *chain_check_free(ChainCheck *c);
DEFINE_CLEANUP(ChainCheck, chain_check_free);
