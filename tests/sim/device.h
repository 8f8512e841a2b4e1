/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a simulated USB device is to the simulated bus. The bus (usbfs.c) serves the ioctls, queues URBs and copies the
 * clients' memory; a device model answers control requests and moves bytes at its endpoints.
 *
 * All calls of one device are serialised by the bus under that device's own lock. A model that has nothing to say at
 * an IN endpoint returns SIM_NAK and later calls sim_bus_kick() to be asked again; a real device would NAK.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define SIM_NAK (-1000) /* not an errno: nothing now */

typedef struct SimDevice SimDevice;

typedef struct SimModel {
        const char *name; /* "ptp", as in the control socket's {"type": "ptp"} */
        /* From the JSON of the `camera` command. On error returns -errno and fills `why`. */
        int (*create)(SimDevice *dev, const json_t *spec, void **ret_state, char *why, size_t why_size);
        void (*destroy)(void *state);
        /* The device descriptor followed by the configuration descriptors, as sysfs `descriptors` has them. */
        size_t (*descriptors)(void *state, uint8_t *ret, size_t size);
        /* String descriptor `index` as UTF-8, or NULL (stall). */
        const char *(*string)(void *state, uint8_t index);
        /* Class and vendor requests (standard ones are the bus's). Bytes moved, -EPIPE to stall, SIM_NAK: no answer
         * (yet). */
        int (*control)(void *state, const uint8_t setup[8], uint8_t *data, size_t length);
        /* Host to device: bytes taken (all of them), SIM_NAK, -EPIPE, or -ESHUTDOWN: at this moment its power is gone. */
        int (*out)(void *state, uint8_t endpoint, const uint8_t *data, size_t length);
        /*
         * Device to host: fills at most `length` bytes; fewer ends the transfer (short packet), SIM_NAK, or -EPIPE.
         * `length` is what the host asked for, rounded up to whole packets: a model that sends more than was asked for
         * overflows.
         */
        int (*in)(void *state, uint8_t endpoint, uint8_t *data, size_t length);
        /* Plugged in (power on): volatile state starts afresh; unplugged (power gone). */
        void (*power)(void *state, int on);
        /* Its battery has so many percent now. May be NULL. */
        void (*battery)(void *state, unsigned percent);
        /* The host cleared a halt, set the configuration or alternate setting, or reset the device. */
        void (*clear_halt)(void *state, uint8_t endpoint);
        void (*reset)(void *state);
        /* A control-socket command for this device ("set", "state", "fault", …). New reference in *ret_answer. */
        int (*command)(void *state, const char *name, const json_t *args, json_t **ret_answer, char *why,
                       size_t why_size);
} SimModel;

extern const SimModel sim_model_ptp;
extern const SimModel sim_model_msc;
extern const SimModel sim_model_ambarella;
extern const SimModel sim_model_dfu;
extern const SimModel sim_model_stranger;
extern const SimModel sim_model_loopback;
extern const SimModel sim_model_tiny;

/*
 * Provided by the bus: ask the model's in() (or out()) again for what NAKed. From any thread, without the device's
 * lock. Not needed for what a call of the host made ready: after each control(), out(), in(), clear_halt(), reset() and
 * command() the bus asks again by itself.
 */
void sim_device_kick(SimDevice *dev);
/* The name given by the control socket's `camera` command. */
const char *sim_device_name(const SimDevice *dev);

/*
 * A camera that changes its mode: `dev` leaves the bus `leave_msec` from now, and `away_msec` later the device called `name` is
 * at its port in its place, with descriptors and a device number of its own. NULL, or a device that does not exist or is at
 * a port itself: nothing comes back. Its own name: the same device again. When the port loses power, the first of them
 * comes back; unplugging either ends it. From a call of the model; a later call takes the place of an earlier one.
 */
void sim_device_become(SimDevice *dev, const char *name, unsigned leave_msec, unsigned away_msec);
/* The same, back to what it was before it became `dev`. False, and nothing happens, when it always was `dev`. */
bool sim_device_go_home(SimDevice *dev, unsigned leave_msec, unsigned away_msec);
