/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is known about the store as a whole: asked when the uplink starts, when a transfer met trouble, then again with back-off
 * until it is well, and now and then while it is. A store that does not answer at all is an answer, too.
 */

#include <systemd/sd-event.h>

#include "uplink/backend.h"

typedef struct Probe Probe;

typedef void (*ProbeChanged)(void *userdata);

/* The first look is begun at once. */
int probe_new(sd_event *event, Backend *backend, uint64_t stall_usec, ProbeChanged changed, void *userdata, Probe **ret);
Probe *probe_free(Probe *p);
DEFINE_CLEANUP(Probe, probe_free);

/* WIRE_STORE_*; "error" until the first look has ended. */
const char *probe_state(const Probe *p, const char **ret_text);
bool probe_is_ready(const Probe *p);
/* The first look has ended, or outstayed its deadline. */
bool probe_has_looked(const Probe *p);
/* What the looks found out; without points, and without a strength, while no thorough one has succeeded. */
const StoreReport *probe_report_of(const Probe *p);
/* A transfer found the store in this state; `need_bytes` is what did not fit, or 0. */
void probe_report(Probe *p, const char *state, const char *text, uint64_t need_bytes);
/* A transfer succeeded. */
void probe_proved(Probe *p);
/* A look is under way in the backend. */
bool probe_is_busy(const Probe *p);
/* Ends: no look is begun any more, and `changed` is not called. */
void probe_stop(Probe *p);
