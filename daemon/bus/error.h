/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The errors of org.berth.Dock1, by name: org.berth.Dock1.Manager.xml says what each means. The floors below answer with -errno; here that
 * becomes a name that programs can go by.
 */

#include <stddef.h>

#include <systemd/sd-bus.h>

#include "base/macro.h"

#define BUS_E(name) "org.berth.Dock1.Error." name
#define BUS_E_BAD_SETTINGS BUS_E("BadSettings")
#define BUS_E_BUSY BUS_E("Busy")
#define BUS_E_CAMERA_FAILED BUS_E("CameraFailed")
#define BUS_E_CONFLICT BUS_E("Conflict")
#define BUS_E_FAILED BUS_E("Failed")
#define BUS_E_HELD BUS_E("Held")
#define BUS_E_INVALID_ARGUMENT BUS_E("InvalidArgument")
#define BUS_E_NO_CAMERA BUS_E("NoCamera")
#define BUS_E_NO_SPACE BUS_E("NoSpace")
#define BUS_E_NO_SUCH_CAMERA BUS_E("NoSuchCamera")
#define BUS_E_NO_SUCH_CLIP BUS_E("NoSuchClip")
#define BUS_E_NO_SUCH_OFFICER BUS_E("NoSuchOfficer")
#define BUS_E_NOT_ALLOWED BUS_E("NotAllowed")
#define BUS_E_NOT_AUTHORISED BUS_E("NotAuthorised")
#define BUS_E_NOT_BELIEVED BUS_E("NotBelieved")
#define BUS_E_NOT_DOCKED BUS_E("NotDocked")
#define BUS_E_NOT_FOUND BUS_E("NotFound")
#define BUS_E_NOT_STORED BUS_E("NotStored")
#define BUS_E_NOT_SUPPORTED BUS_E("NotSupported")
#define BUS_E_STOPPING BUS_E("Stopping")
#define BUS_E_STORE_AWAY BUS_E("StoreAway")
#define BUS_E_TOO_LATE BUS_E("TooLate")

typedef struct ErrorRow {
        int number; /* errno; 0: no number means this by itself */
        const char *name;
} ErrorRow;

/* All that there are. */
const ErrorRow *error_rows(size_t *ret_n);
/* What the number of a service means where its method knows nothing better. `r` is negative. */
const char *error_name(int r);
/* Sets it, with a sentence; returns what sd-bus wants of a method's handler. */
int error_set(sd_bus_error *error, int r, const char *format, ...) _printf_(3, 4);
/* Answers a call that waited: "WHY.", or what the number means when there is no sentence. */
int error_reply(sd_bus_message *call, int r, const char *why);
