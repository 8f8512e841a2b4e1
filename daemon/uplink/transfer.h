/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The transfers: a queue, a few of which are under way in the backend, each watched. One that shows no sign of life is given up
 * on: whoever asked gets an answer, and what the backend says later is not heard.
 */

#include <systemd/sd-event.h>

#include "uplink/backend.h"
#include "uplink/probe.h"

typedef struct Transfers Transfers;

/* How many may wait; more are refused. berthd asks for a few at once. */
#define TRANSFERS_WAITING_MAX 1024u

/* One of the two, once for each transfer, never from within transfers_add(). Whoever is called releases the cookie. */
typedef void (*TransferDone)(void *owner, void *cookie, Task *task);
typedef void (*TransferDrop)(void *cookie); /* its owner was forgotten */
typedef void (*TransferProgress)(void *owner, uint64_t clip_id, uint64_t bytes);

typedef struct TransferOps {
        TransferDone done;
        TransferDrop drop;
        TransferProgress progress; /* at most four a second for each transfer */
} TransferOps;

typedef struct TransferSettings {
        unsigned puts_at_once;
        uint64_t stall_usec;
        Pace *pace; /* borrowed */
} TransferSettings;

int transfers_new(sd_event *event, Backend *backend, Probe *probe, const TransferSettings *settings, const TransferOps *ops,
                  Transfers **ret);
/* Only when nothing is under way. */
Transfers *transfers_free(Transfers *t);
DEFINE_CLEANUP(Transfers, transfers_free);

/* Takes `task`, also on failure: -EBUSY when too many wait. The task's own done and userdata are the queue's. */
int transfers_add(Transfers *t, Task *task, void *owner, void *cookie);
/*
 * News of the put of a clip, by the owner that asked for it; of one that has ended meanwhile it is too late, which is no error. The
 * facts are copied; -ENOMEM.
 */
void transfers_grown(Transfers *t, const void *owner, uint64_t clip_id, uint64_t durable_bytes);
int transfers_seal(Transfers *t, const void *owner, uint64_t clip_id, uint64_t size_bytes, const Digest *digest, const char *facts_json);
/* It ends, and is answered with WIRE_UPLINK_E_STOPPED: at once or, when it grows, after the part that is under way. */
void transfers_stop(Transfers *t, const void *owner, uint64_t clip_id, bool now);
/* Who wants nothing to be sent. */
typedef enum TransferHold {
        TRANSFER_HOLD_ORDER = 1 << 0,
        TRANSFER_HOLD_SCHEDULE = 1 << 1,
} TransferHold;
/*
 * While anybody holds, no put begins, and those that wait are answered with WIRE_UPLINK_E_STOPPED. So are those that are under way, where
 * the store goes on with them; where it would begin anew, they stand still.
 */
void transfers_hold(Transfers *t, TransferHold who, bool held);
/* It ends, and is answered with this error. The texts are the program's own. */
void transfers_refuse(Transfers *t, const void *owner, uint64_t clip_id, const char *error, const char *text);
/* A clip that is being read for a file is read no more: answered with WIRE_UPLINK_E_STOPPED. */
void transfers_stop_get(Transfers *t, const void *owner, uint64_t clip_id);
/* Its connection is gone: what waits is dropped, what is under way is cancelled. */
void transfers_forget(Transfers *t, const void *owner);
/* The store is not ready: what waits is answered so. */
void transfers_fail_waiting(Transfers *t);
bool transfers_are_idle(const Transfers *t);
