/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the parts of `berthctl doctor` share: they look, and add points. */

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "ctl/ctl.h"

#define DOCTOR_OK "ok"
#define DOCTOR_NOTE "note"
#define DOCTOR_WARNING "warning"
#define DOCTOR_FAILED "failed"

typedef struct Doctor {
        const Options *options;
        sd_bus *bus;     /* NULL: there is none */
        bool has_daemon; /* on it */
        json_t *points;
} Doctor;

/* One point: a stable name, one of the verdicts above, and a sentence, which says what to do unless all is well. -ENOMEM. */
int doctor_add(Doctor *d, const char *name, const char *verdict, const char *format, ...) _printf_(4, 5);

#define DOCTOR_USB_DEVICES "/sys/bus/usb/devices"
/* A number in a file of a device's folder in sysfs, in whose path is no link; -errno. */
int doctor_read_number(const char *device, const char *name, int base, unsigned *ret);
/* Does udev have this file of rules? 1: yes; 0: an empty one, which switches them off; -ENOENT. */
int doctor_find_rules(const char *name);

/* doctor_machine.c: users, the bus, udev, the clock. They need no daemon. */
int doctor_users(Doctor *d);
int doctor_bus_policy(Doctor *d);
int doctor_udev(Doctor *d);
int doctor_clock(Doctor *d);
/* doctor_bays.c: the links in /dev/berth. */
int doctor_bays(Doctor *d);
/* doctor_disk.c: room and health of what holds the state folders. */
int doctor_disks(Doctor *d);
