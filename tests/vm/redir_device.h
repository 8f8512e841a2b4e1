/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A device model of the simulated rack (sim/device.h) without that rack: what QEMU's usb-redir reaches it by. The models'
 * side of the bus, sim_device_…() and sim_now_usec(), is here as well; all is on one thread.
 */

#include <stdbool.h>

#include "sim/descriptors.h"
#include "sim/device.h"

struct SimDevice {
        char *name;
        const SimModel *model;
        void *state;
        Descriptors descriptors;
        uint8_t configuration;
        uint8_t alternates[INTERFACES_MAX];
        bool halted[ENDPOINT_IN * 2]; /* by address */
        SimDevice *home;              /* what it was before it became this */

        /* It leaves the bus, and comes back as another, or as nothing. */
        bool leaving;
        char *become;
        uint64_t leave_usec, return_usec;
};

/* From the JSON of a `camera` command; NULL when the text or the model is no good, which is printed. */
SimDevice *device_from_json(const char *text);
/* One of those that were made; NULL when there is none of that name. */
SimDevice *device_by_name(const char *name);
/* A line of JSON, {"camera": its name, "cmd": "set", …}, as berth-sim's control socket has them. What is wrong with it is printed. */
void device_command(const char *line);
/* Powers it up, with the descriptors that it has now. -EBADMSG when they are none. */
int device_power_up(SimDevice *device);
/* A control request: bytes moved, -EPIPE, or SIM_NAK. */
int device_control(SimDevice *device, const uint8_t setup[8], uint8_t *data, size_t length);
void device_set_configuration(SimDevice *device, uint8_t configuration);
void device_set_alternate(SimDevice *device, uint8_t interface, uint8_t alternate);
void device_reset(SimDevice *device);
