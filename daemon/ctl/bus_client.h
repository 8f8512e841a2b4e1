/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The way to the daemon. What goes wrong is said on stderr, once, and comes back as the program's exit code. */

#include <systemd/sd-bus.h>

#include "ctl/ctl.h"
#include "ctl/dock.h"

#define BUS_PROPERTIES "org.freedesktop.DBus.Properties"
#define BUS_OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

/* Connects to the system bus, or to the address of the options. -errno. */
int bus_client_connect(const Options *options, sd_bus **ret);
/* The same for verbs: reports, and returns a CtlExit. */
int bus_client_open(const Options *options, sd_bus **ret);
/* A call of the one object that has this interface (the dock's manager, for those of the bus's own), to be filled and sent. -errno. */
int bus_client_message(sd_bus *bus, const char *interface, const char *member, sd_bus_message **ret);
/*
 * Sends the call and waits for the answer; 0: for the usual time. Whoever sits at a terminal, and is not root, may be asked for an
 * administrator's password. As sd_bus_call().
 */
int bus_client_send(sd_bus *bus, sd_bus_message *call, uint64_t wait_usec, sd_bus_error *error, sd_bus_message **ret);
/* Calls it and waits: a CtlExit. The caller unrefs the reply. */
int bus_client_call(sd_bus *bus, const char *interface, const char *member, sd_bus_message **ret, const char *types,
                    ...);
/* The properties (a{sv}) of the object at the path, or (NULL) of the one that has the interface: a CtlExit. The caller unrefs the reply. */
int bus_client_properties(sd_bus *bus, const char *path, const char *interface, sd_bus_message **ret);
/* All of the dock, over a connection that is there: a CtlExit. The answer of GetManagedObjects, too, when it is asked for; the caller's. */
int bus_client_load(sd_bus *bus, Dock **ret, sd_bus_message **ret_objects);
/* The same, over a connection of its own. */
int bus_client_dock(const Options *options, Dock **ret);
/* Whether this error (of a call, or -errno without one) means that nobody is there, rather than that it failed. */
bool bus_client_is_unreachable(const sd_bus_error *error, int r);
/* Whether the daemon is on the bus now; false also when the bus is not there. */
bool bus_client_has_daemon(sd_bus *bus);
/* Says why and returns the exit code for it. */
int bus_client_report(const sd_bus_error *error, int r);

static inline void bus_unrefp(sd_bus **bus) {
        sd_bus_flush_close_unref(*bus);
}
