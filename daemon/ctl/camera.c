/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl camera confirm|owner|erase`, `berthctl clip erase`: orders about what is in a bay. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/cameras.h"
#include "ctl/job.h"
#include "ctl/number.h"

#define CAMERA_INTERFACE DOCK_BUS_NAME ".Camera"
#define OWNER_WORDS 4u
#define NOT_STORED DOCK_BUS_NAME ".Error.NotStored"
/* The camera answers to that; the daemon's own deadlines are shorter. */
#define ORDER_TIMEOUT_USEC (180 * USEC_PER_SEC)

static int new_call(sd_bus *bus, const char *serial, const char *method, sd_bus_message **ret) {
        _cleanup_(freep) char *path = NULL;
        int r = sd_bus_path_encode(DOCK_PATH "/camera", serial, &path);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(bus, ret, DOCK_BUS_NAME, path, CAMERA_INTERFACE, method);
        /* Looking at the dock must not start it. */
        return r < 0 ? r : sd_bus_message_set_auto_start(*ret, false);
}

static char *no_such_camera(const char *serial) {
        return text_format("no camera of the serial '%s' was in a bay since the daemon's start", serial);
}

static int report(const char *serial, const sd_bus_error *error, int r) {
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT) || sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_METHOD)) {
                _cleanup_(freep) char *text = no_such_camera(serial);
                return ctl_fail(CTL_FAILURE, "%s", text ? text : strerror(ENOMEM));
        }
        return bus_client_report(error, r);
}

static int confirm(const Options *options, const char *serial) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = new_call(bus, serial, "ConfirmIdentity", &call);
        if (r < 0)
                return bus_client_report(NULL, r);
        r = bus_client_send(bus, call, ORDER_TIMEOUT_USEC, &error, NULL);
        return r < 0 ? report(serial, &error, r) : CTL_OK;
}

static int owner_set(void *userdata, const JobEnd *end) {
        (void) userdata;
        (void) end;
        return CTL_OK;
}

static int set_owner(const Options *options, const char *serial, char *const *words) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(freep) char *no_object = no_such_camera(serial);
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = new_call(bus, serial, "SetOwner", &call);
        for (size_t i = 0; i < OWNER_WORDS && r >= 0; i++)
                r = sd_bus_message_append(call, "s", words[i]);
        if (r < 0)
                return bus_client_report(NULL, r);
        return job_run(options, bus, &(JobOrder){ .call = call, .no_object = no_object, .tell = owner_set });
}

/* What was ordered, in words; CTL_FAILURE when something stays. */
static int tell_ordered(sd_bus_message *reply) {
        uint32_t ordered, held, unsafe;
        int r = sd_bus_message_read(reply, "uuu", &ordered, &held, &unsafe);
        if (r < 0)
                return bus_client_report(NULL, r);
        printf("%u clips will be erased.\n", ordered);
        if (held > 0)
                printf("%u are held, and stay on the camera; 'berthctl hold' lists the holds.\n", held);
        if (unsafe > 0)
                printf("%u stay: they are not whole on the dock, in conflict, or protected by the camera.\n", unsafe);
        return held > 0 || unsafe > 0 ? CTL_FAILURE : CTL_OK;
}

static int erase(const Options *options, const char *serial, uint64_t clip) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = serial ? new_call(bus, serial, "Erase", &call) : bus_client_message(bus, DOCK_MANAGER_INTERFACE, "EraseClip", &call);
        if (r >= 0 && !serial)
                r = sd_bus_message_append(call, "t", clip);
        if (r >= 0)
                r = sd_bus_message_append(call, "b", (int) options->not_stored);
        if (r < 0)
                return bus_client_report(NULL, r);
        r = bus_client_send(bus, call, ORDER_TIMEOUT_USEC, &error, &reply);
        if (sd_bus_error_has_name(&error, NOT_STORED))
                return ctl_fail(CTL_FAILURE, "%s --not-stored says that: then those clips are on the dock alone until they are stored",
                                error.message);
        if (r < 0)
                return serial ? report(serial, &error, r) : bus_client_report(&error, r);
        return tell_ordered(reply);
}

int verb_clip(const Options *options) {
        uint64_t clip;
        if (options->n_args == 0 || !text_equal(options->args[0], "erase"))
                return ctl_fail(CTL_USAGE, "'clip' is followed by 'erase ID'");
        if (options->n_args != 2 || number_parse(options->args[1], 1, INT64_MAX, &clip) < 0)
                return ctl_fail(CTL_USAGE, "'clip erase' takes the number of one clip; 'berthctl clips' lists them");
        return erase(options, NULL, clip);
}

int verb_camera(const Options *options) {
        const char *what = options->n_args > 0 ? options->args[0] : "list";
        if (text_equal(what, "erase")) {
                if (options->n_args != 2)
                        return ctl_fail(CTL_USAGE, "'camera erase' takes one SERIAL");
                return erase(options, options->args[1], 0);
        }
        if (options->not_stored)
                return ctl_fail(CTL_USAGE, "--not-stored is for 'camera erase' and 'clip erase'");
        if (text_equal(what, "list"))
                return options->n_args <= 1 ? cameras_list(options) : ctl_fail(CTL_USAGE, "'camera list' takes nothing more");
        if (text_equal(what, "health"))
                return options->n_args == 2 ? cameras_health(options, options->args[1]) :
                                              ctl_fail(CTL_USAGE, "'camera health' takes one SERIAL");
        if (text_equal(what, "release")) {
                if (options->n_args != 2 && options->n_args != 3)
                        return ctl_fail(CTL_USAGE, "'camera release' takes one SERIAL, and perhaps a reason in quotes");
                return cameras_release(options, options->args[1], options->n_args == 3 ? options->args[2] : "");
        }
        if (text_equal(what, "confirm")) {
                if (options->n_args != 2)
                        return ctl_fail(CTL_USAGE, "'camera confirm' takes one SERIAL");
                return confirm(options, options->args[1]);
        }
        if (text_equal(what, "owner")) {
                if (options->n_args != 2 + OWNER_WORDS)
                        return ctl_fail(CTL_USAGE,
                                        "'camera owner' takes SERIAL OFFICER-ID OFFICER-NAME UNIT-ID UNIT-NAME; '' leaves one empty");
                return set_owner(options, options->args[1], options->args + 2);
        }
        return ctl_fail(CTL_USAGE, "'camera' is followed by 'list', 'health SERIAL', 'release SERIAL', 'confirm SERIAL', 'erase SERIAL' or "
                                   "'owner SERIAL OFFICER-ID OFFICER-NAME UNIT-ID UNIT-NAME'");
}
