/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What udevd would say about a device: the properties of its events and its entry in the database. */

#include "sim/bus.h"
#include "sim/uevent.h"

#define INTERFACE_NAME_SIZE (BUS_NAME_SIZE + 16u)
/* "1-1.3:1.0"; those of root hubs are "1-0:1.0". */
void udev_interface_name(const Node *node, unsigned interface, char ret[static INTERFACE_NAME_SIZE]);
/* Of the device, or (interface >= 0) of one interface of it. `driver` may be NULL. */
void udev_properties(const Node *node, int interface, const char *driver, Properties *ret);
/* Writes or removes the entry in /run/udev/data. */
void udev_store(const Node *node, int interface, const Properties *properties);
void udev_forget(const Node *node, int interface);
/* Publishes an event of the device or interface. */
void udev_event(const char *action, const Node *node, int interface, const char *driver);
