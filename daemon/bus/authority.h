/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one door to the dock's methods: each call of org.berth.Dock1.* passes here before it reaches its object, and goes on when its
 * caller is root, the daemon's own user, or allowed by polkit for the method's action (bus/actions.h). polkit is asked without waiting
 * for it; where it says nothing in time the caller is refused. Where it is not installed everybody may look, and nobody else touch.
 */

#include <systemd/sd-bus.h>

typedef struct Authority Authority;

typedef struct Bus Bus;

/* -ENOMEM. */
int authority_new(const Bus *b, Authority **ret);
/* What waits for an answer is let go of. */
Authority *authority_free(Authority *a);
/* Before objects are put on the connection. A negative errno of sd-bus. */
int authority_connect(Authority *a, sd_bus *bus);
void authority_disconnect(Authority *a);
