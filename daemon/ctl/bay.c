/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `berthctl bay locate NUMBER [SECONDS]`: which bay is it? `calibrate NUMBER`: what does its hub do with its power? `health`: is it
 * well?
 */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/cameras.h"
#include "ctl/number.h"

#define LOCATE_SEC 30u
#define LOCATE_MAX_SEC 3600u
/* A camera may take most of a minute to come back. */
#define CALIBRATE_USEC (120 * USEC_PER_SEC)

/* Calls a method of the bay. `wait_usec` 0: the usual time. */
static int call_bay(const Options *options, uint64_t number, const char *method, uint64_t wait_usec, const uint32_t *seconds,
                    sd_bus_message **ret) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *path = text_format(DOCK_PATH "/bay/%llu", (unsigned long long) number);
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = path ? sd_bus_message_new_method_call(bus, &call, DOCK_BUS_NAME, path, DOCK_BAY_INTERFACE, method) : -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0 && seconds)
                r = sd_bus_message_append(call, "u", *seconds);
        if (r < 0)
                return bus_client_report(NULL, r);
        r = bus_client_send(bus, call, wait_usec, &error, ret);
        if (r < 0 && (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
                      sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_METHOD)))
                return ctl_fail(CTL_FAILURE, "there is no bay %llu; 'berthctl status' lists them", (unsigned long long) number);
        return r < 0 ? bus_client_report(&error, r) : CTL_OK;
}

static int calibrate(const Options *options, uint64_t number) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *found;
        int exit_code = call_bay(options, number, "Calibrate", CALIBRATE_USEC, NULL, &reply);
        if (exit_code != CTL_OK)
                return exit_code;
        if (sd_bus_message_read(reply, "s", &found) < 0)
                return bus_client_report(NULL, -EBADMSG);
        printf("Bay %llu: %s.\n", (unsigned long long) number, found);
        return CTL_OK;
}

int verb_bay(const Options *options) {
        const char *word = options->n_args > 0 ? options->args[0] : "";
        bool measures = text_equal(word, "calibrate") && options->n_args == 2;
        uint64_t number, seconds = LOCATE_SEC;
        if (options->n_args == 1 && text_equal(word, "health"))
                return bays_health(options);
        if (!measures && (options->n_args < 2 || options->n_args > 3 || !text_equal(word, "locate")))
                return ctl_fail(CTL_USAGE, "'bay' is followed by 'health', by 'calibrate' and a bay's number, or by 'locate', a bay's "
                                           "number, and perhaps seconds");
        if (number_parse(options->args[1], 1, 9999, &number) < 0)
                return ctl_fail(CTL_USAGE, "'%s' is not the number of a bay", options->args[1]);
        if (measures)
                return calibrate(options, number);
        if (options->n_args == 3 && number_parse(options->args[2], 0, LOCATE_MAX_SEC, &seconds) < 0)
                return ctl_fail(CTL_USAGE, "'%s' is not a number of seconds up to %u", options->args[2], LOCATE_MAX_SEC);
        return call_bay(options, number, "Locate", 0, &(uint32_t){ (uint32_t) seconds }, NULL);
}
