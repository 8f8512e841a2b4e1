/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The dock on the system bus: org.berth.Dock1. What the objects are is written in the org.berth.Dock1.*.xml files
 * beside this one.
 */

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "service/manager.h"

typedef struct Bus Bus;

/*
 * Connects, shows the manager's objects and takes the name: -EEXIST when another daemon has it. Becomes the manager's
 * observer, and gives it the connection. Should the bus go away later, the dock goes on without it and comes back when
 * the bus does.
 */
int bus_new(sd_event *event, Manager *manager, Bus **ret);
/* Before the manager. */
Bus *bus_free(Bus *b);
DEFINE_CLEANUP(Bus, bus_free);
