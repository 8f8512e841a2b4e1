/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The tree at /sys and the udev database at /run/udev/data, plain files, and the events that go with each change. All
 * need topology_lock. Files that act when they are written to (a port's `disable`, an interface's `authorized`, `drivers_probe`)
 * are served by FUSE (usbfs.c) and bind-mounted, so that a write has taken effect when it returns.
 */

#include "sim/bus.h"

/* The folders that are there without any device. 0 or -errno. */
int sysfs_start(void);
/* Where bus `bus` hangs: "/devices/pci0000:00/0000:00:14.0". */
void sysfs_controller_path(unsigned bus, char *ret, size_t size);
/* Files, links, database, then the events. `hub` when the device is one. */
void sysfs_node_added(const Node *node, const Hub *hub);
/* Ports have no `disable` file (Linux before 6.0). Set before the bus starts. */
extern bool sysfs_no_port_files;
/* Its count changed. */
void sysfs_port_over_current(const Port *port);
void sysfs_node_removed(const Node *node, const Hub *hub);
/* /sys/bus/usb/drivers_probe; after usbfs was mounted. */
void sysfs_serve_probe(void);
/* What the controller's root hub says of new devices: its file `interface_authorized_default`. */
bool sysfs_interfaces_authorized(const Node *node);
/* Announces the device and its interfaces again, as added. */
void sysfs_trigger(const Node *node);
void sysfs_driver_bound(const Node *node, unsigned interface, const char *driver);
void sysfs_driver_unbound(const Node *node, unsigned interface, const char *driver);
/* The driver that Linux would bind to an interface of this class, or NULL. */
const char *sysfs_kernel_driver(const UsbInterface *interface);
