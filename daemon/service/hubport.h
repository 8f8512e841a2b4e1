/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The power of a bay's port, by the `disable` file that the kernel has for each port of a hub (Linux 6.0): 1 cuts it and takes
 * the device off the bus, 0 gives it back. Where there is none, by the hub's own requests (USB 2.0, 11.24.2) on its node. A USB 3
 * connector is two ports, of two hubs: both halves are switched. Writing may wait for the device's driver, so a thread does it. udev
 * opens files and nodes to Berth's group.
 */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/macro.h"

#define HUBPORT_PATH_SIZE 192u
/* Long enough for a camera's capacitors, so that it begins anew. */
#define HUBPORT_OFF_USEC (2 * USEC_PER_SEC)

/* "1-1.4" -> "/sys/bus/usb/devices/1-1:1.0/1-1-port4/disable". -EINVAL for what is not a port path. */
int hubport_file(const char *port_path, char ret[static HUBPORT_PATH_SIZE]);
/*
 * 0 when the port can be switched, as far as can be known without trying; -ENOENT: there is no such port; -EACCES, -EROFS: neither
 * its file nor its hub may be written. -EOPNOTSUPP: it is a port of the machine itself, where few controllers can, and some lose the
 * device by trying; or a hub that says that it switches nothing.
 */
int hubport_usable(const char *port_path);
/* The same for whoever wants to try: ports of the machine, and of hubs that say no, too. *ret_way is how it would be done. */
typedef enum HubportWay {
        HUBPORT_FILE,    /* the kernel's `disable` */
        HUBPORT_REQUEST, /* the hub's SetPortFeature and ClearPortFeature */
        _HUBPORT_WAY_MAX,
        _HUBPORT_WAY_INVALID = -22,
} HubportWay;
const char *hubport_way_to_string(HubportWay way);
HubportWay hubport_way_from_string(const char *s);
int hubport_way(const char *port_path, HubportWay *ret_way);
/* Has it power, as far as the kernel knows (or else the hub)? 1, 0, -errno. */
int hubport_is_on(const char *port_path);
/* How often the kernel saw too much current at this port, since the hub came; -ENOENT when it does not count. */
int hubport_over_currents(const char *port_path, uint64_t *ret);
#define HUBPORT_HUB_SIZE 32u
/* Which hub it is on, "2813:9000 0100": another one there switches differently. */
int hubport_hub(const char *port_path, char ret[static HUBPORT_HUB_SIZE]);

typedef struct Hubports Hubports;
int hubports_new(sd_event *event, Hubports **ret);
/* Finishes what was begun: no port stays off that was to come back. */
Hubports *hubports_free(Hubports *h);
DEFINE_CLEANUP(Hubports, hubports_free);

/*
 * Off, a moment, on. `done` runs on the loop with 0 or -errno of the first write that failed; giving the power back is
 * tried in any case. -EALREADY when this port is being switched.
 */
typedef void (*HubportDone)(void *userdata, const char *port_path, int result);
int hubport_cycle(Hubports *h, const char *port_path, HubportDone done, void *userdata);
/* Off, or on, for good; in the order in which it is asked for. 0: it was written, whatever the hub makes of it. -EALREADY as above. */
int hubport_set(Hubports *h, const char *port_path, bool on, HubportDone done, void *userdata);
/*
 * What the hub itself sees at the port, and its peer, now; in *done*'s result: a sum of HUBPORT_SEES_*, or -errno when its node cannot be
 * asked.
 */
#define HUBPORT_SEES_DEVICE 1
#define HUBPORT_SEES_POWER 2
#define HUBPORT_SEES_OVER_CURRENT 4 /* now, not since it was last asked */
int hubport_ask(Hubports *h, const char *port_path, HubportDone done, void *userdata);
/* Gives a port its power when a daemon that was killed left it off. 1 when it was off. */
int hubport_restore(const char *port_path);
