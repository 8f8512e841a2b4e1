/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is plugged in where: libudev's monitor, and a reconciliation with sysfs at the start and periodically, since a netlink
 * socket may drop events. The caller sees each device once: one `removed` for each `added`.
 */

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "model/usb.h"

#define HOTPLUG_DESCRIPTORS_MAX 4096u

typedef struct HotplugDevice {
        char *port_path; /* "1-1.4" */
        char *sys_path;  /* "/sys/devices/…/1-1.4" */
        char *node_path; /* "/dev/bus/usb/001/007" */
        unsigned busnum, devnum;
        uint64_t appeared_usec; /* CLOCK_BOOTTIME, as udev tells */
        char *usb_serial, *usb_manufacturer, *usb_product; /* printable; "" when absent */
        uint8_t *descriptors; /* as many as there are, or one more than HOTPLUG_DESCRIPTORS_MAX: then it has too many */
        size_t n_descriptors;
} HotplugDevice;
HotplugDevice *hotplug_device_free(HotplugDevice *d);
DEFINE_CLEANUP(HotplugDevice, hotplug_device_free);

typedef struct HotplugOps {
        /* Takes the device over. */
        void (*added)(void *userdata, HotplugDevice *device);
        void (*removed)(void *userdata, const char *port_path);
        /* udev went on with it: its interfaces' rules may have run. May be NULL. */
        void (*changed)(void *userdata, const char *port_path);
        /* A hub of this name ("1-1") came, or came again, with its driver: its ports are as it likes. May be NULL. */
        void (*hub_came)(void *userdata, const char *name);
        /* Is this port one of ours? Devices elsewhere are never looked at. */
        bool (*wanted)(void *userdata, const char *port_path);
} HotplugOps;

typedef struct Hotplug Hotplug;
/* Starts the monitor; devices that are there already arrive from the loop's first turn. */
int hotplug_new(sd_event *event, uint64_t reconcile_usec, const HotplugOps *ops, void *userdata, Hotplug **ret);
Hotplug *hotplug_free(Hotplug *h);
DEFINE_CLEANUP(Hotplug, hotplug_free);
