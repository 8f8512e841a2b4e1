/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The power of a bay's port, by the `disable` file that the kernel has for each port of a hub (Linux 6.0): 1 cuts it and takes
 * the device off the bus, 0 gives it back. Writing may wait for the device's driver, so a thread does it. udev opens the files
 * to Berth's group.
 */

#include <systemd/sd-event.h>

#include "base/macro.h"

#define HUBPORT_PATH_SIZE 192u
/* Long enough for a camera's capacitors, so that it begins anew. */
#define HUBPORT_OFF_USEC (2 * USEC_PER_SEC)

/* "1-1.4" -> "/sys/bus/usb/devices/1-1:1.0/1-1-port4/disable". -EINVAL for what is not a port path. */
int hubport_file(const char *port_path, char ret[static HUBPORT_PATH_SIZE]);
/*
 * 0 when the port can be switched; -ENOENT: the kernel has no such file; -EACCES, -EROFS: it may not be written. -EOPNOTSUPP: it
 * is a port of the machine itself, where few controllers can, and some lose the device by trying.
 */
int hubport_usable(const char *port_path);

typedef struct Hubports Hubports;
int hubports_new(sd_event *event, Hubports **ret);
/* Finishes what was begun: no port stays off. */
Hubports *hubports_free(Hubports *h);
DEFINE_CLEANUP(Hubports, hubports_free);

/*
 * Off, a moment, on. `done` runs on the loop with 0 or -errno of the first write that failed; giving the power back is
 * tried in any case. -EALREADY when this port is being switched.
 */
typedef void (*HubportDone)(void *userdata, const char *port_path, int result);
int hubport_cycle(Hubports *h, const char *port_path, HubportDone done, void *userdata);
/* Gives a port its power when a daemon that was killed left it off. 1 when it was off. */
int hubport_restore(const char *port_path);
