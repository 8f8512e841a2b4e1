/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl bay locate NUMBER [SECONDS]`: which bay is it? `bay health`: is it well? */

#include <errno.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/cameras.h"
#include "ctl/number.h"

#define LOCATE_SEC 30u
#define LOCATE_MAX_SEC 3600u

static int locate(const Options *options, uint64_t number, uint64_t seconds) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *path = text_format(DOCK_PATH "/bay/%llu", (unsigned long long) number);
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = path ? sd_bus_message_new_method_call(bus, &call, DOCK_BUS_NAME, path, DOCK_BAY_INTERFACE, "Locate") : -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0)
                r = sd_bus_message_append(call, "u", (uint32_t) seconds);
        if (r < 0)
                return bus_client_report(NULL, r);
        r = sd_bus_call(bus, call, 0, &error, NULL);
        if (r < 0 && (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
                      sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_METHOD)))
                return ctl_fail(CTL_FAILURE, "there is no bay %llu; 'berthctl status' lists them", (unsigned long long) number);
        return r < 0 ? bus_client_report(&error, r) : CTL_OK;
}

int verb_bay(const Options *options) {
        uint64_t number, seconds = LOCATE_SEC;
        if (options->n_args == 1 && text_equal(options->args[0], "health"))
                return bays_health(options);
        if (options->n_args < 2 || options->n_args > 3 || !text_equal(options->args[0], "locate"))
                return ctl_fail(CTL_USAGE, "'bay' is followed by 'health', or by 'locate', a bay's number, and perhaps seconds");
        if (number_parse(options->args[1], 1, 9999, &number) < 0)
                return ctl_fail(CTL_USAGE, "'%s' is not the number of a bay", options->args[1]);
        if (options->n_args == 3 && number_parse(options->args[2], 0, LOCATE_MAX_SEC, &seconds) < 0)
                return ctl_fail(CTL_USAGE, "'%s' is not a number of seconds up to %u", options->args[2], LOCATE_MAX_SEC);
        return locate(options, number, seconds);
}
