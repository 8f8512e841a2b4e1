/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A hub's own requests (USB 2.0, 11.24.2; USB 3.2, 10.16.2) about the power of its ports, sent to its node of usbfs beside the kernel's
 * driver, which notices what comes of them. They may wait for the hub: not for the loop.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

typedef struct HubStatus {
        bool power, connected, over_current;
} HubStatus;

/* Opens the hub of this name in /sys/bus/usb/devices ("1-1", "usb2"): its node, or -errno. */
int hubrequest_open(const char *hub, bool *ret_superspeed);
/* SetPortFeature, ClearPortFeature (PORT_POWER). */
int hubrequest_power(int fd, unsigned port, bool on);
/* GetPortStatus. */
int hubrequest_status(int fd, bool superspeed, unsigned port, HubStatus *ret);
/* Does the hub say that it switches the power of each of its ports (wHubCharacteristics)? 1, 0, -errno. */
int hubrequest_says_it_switches(int fd, bool superspeed);
