/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bounded way in for one worker, or for the uplink. sd-bus would buffer messages of up to 128 MiB and as many as come; so the
 * other side's bytes come through here first. Whole messages that keep the limits of base/wire_bay.h are handed to sd-bus; the
 * first that does not is the last: nothing more is read, and on_breach is called once.
 *
 * What berthd sends goes to the other side directly.
 */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/macro.h"

typedef struct Peer Peer;

typedef struct PeerOps {
        /* A sentence about what the other side did. The peer reads nothing any more. */
        void (*on_breach)(void *userdata, const char *text);
        /* The other side closed its end. */
        void (*on_closed)(void *userdata);
} PeerOps;

/* A worker: takes `fd`, berthd's end of the socketpair, also on failure. No descriptors go either way. */
int peer_new(sd_event *event, int fd, const PeerOps *ops, void *userdata, Peer **ret);
/* The uplink, to which descriptors may be sent; several replies may be awaited. */
int peer_new_uplink(sd_event *event, int fd, const PeerOps *ops, void *userdata, Peer **ret);
Peer *peer_free(Peer *p);
DEFINE_CLEANUP(Peer, peer_free);
/* The connection, started and attached to the event loop. Belongs to the peer. */
sd_bus *peer_bus(Peer *p);
/*
 * One more reply may come: without this one is a breach. A reply is bounded in its size but not counted against the budgets, as
 * berthd decides how often it asks.
 */
void peer_expect_reply(Peer *p);
