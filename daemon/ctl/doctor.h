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

/* doctor_machine.c: users, the bus, udev, the clock. They need no daemon. */
int doctor_users(Doctor *d);
int doctor_bus_policy(Doctor *d);
int doctor_udev(Doctor *d);
int doctor_clock(Doctor *d);
/* doctor_disk.c: room and health of what holds the state folders. */
int doctor_disks(Doctor *d);
