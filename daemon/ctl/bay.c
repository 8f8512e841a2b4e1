/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `berthctl bay locate NUMBER [SECONDS]`: which bay is it? `calibrate NUMBER`: what does its hub do with its power? `eject NUMBER`: its
 * camera is wanted as it is. `health`: is it well?
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/cameras.h"
#include "ctl/job.h"
#include "ctl/number.h"

#define LOCATE_SEC 30u
#define LOCATE_MAX_SEC 3600u
static char *no_such_bay(uint64_t number) {
        return text_format("there is no bay %llu; 'berthctl status' lists them", (unsigned long long) number);
}

static int new_call(sd_bus *bus, uint64_t number, const char *method, sd_bus_message **ret) {
        _cleanup_(freep) char *path = text_format(DOCK_PATH "/bay/%llu", (unsigned long long) number);
        int r = path ? sd_bus_message_new_method_call(bus, ret, DOCK_BUS_NAME, path, DOCK_BAY_INTERFACE, method) : -ENOMEM;

        return r < 0 ? r : sd_bus_message_set_auto_start(*ret, false);
}

static int locate(const Options *options, uint64_t number, uint32_t seconds) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = new_call(bus, number, "Locate", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "u", seconds);
        if (r < 0)
                return bus_client_report(NULL, r);
        r = bus_client_send(bus, call, 0, &error, NULL);
        if (r < 0 && (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
                      sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_METHOD))) {
                _cleanup_(freep) char *text = no_such_bay(number);
                return ctl_fail(CTL_FAILURE, "%s", text ? text : strerror(ENOMEM));
        }
        return r < 0 ? bus_client_report(&error, r) : CTL_OK;
}

static int told(void *userdata, const JobEnd *end) {
        const uint64_t *number = userdata;
        char safe[1024];
        text_sanitise(end->text, safe, sizeof(safe));
        printf("Bay %llu: %s.\n", (unsigned long long) *number, safe);
        return CTL_OK;
}

/* A method that takes nothing, and answers with a job whose text is what came of it. */
static int run(const Options *options, uint64_t number, const char *method) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(freep) char *no_object = no_such_bay(number);
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = new_call(bus, number, method, &call);
        if (r < 0)
                return bus_client_report(NULL, r);
        return job_run(options, bus, &(JobOrder){ .call = call, .no_object = no_object, .tell = told, .userdata = &number });
}

int verb_bay(const Options *options) {
        const char *word = options->n_args > 0 ? options->args[0] : "";
        const char *method = text_equal(word, "calibrate") ? "Calibrate" : text_equal(word, "eject") ? "Eject" : NULL;
        const char *job = options->n_args == 2 ? method : NULL;
        uint64_t number, seconds = LOCATE_SEC;
        if (options->n_args == 1 && text_equal(word, "health"))
                return bays_health(options);
        if (!job && (options->n_args < 2 || options->n_args > 3 || !text_equal(word, "locate")))
                return ctl_fail(CTL_USAGE, "'bay' is followed by 'health', by 'calibrate' or 'eject' and a bay's number, or by 'locate', "
                                           "a bay's number, and perhaps seconds");
        if (number_parse(options->args[1], 1, 9999, &number) < 0)
                return ctl_fail(CTL_USAGE, "'%s' is not the number of a bay", options->args[1]);
        if (job)
                return run(options, number, job);
        if (options->n_args == 3 && number_parse(options->args[2], 0, LOCATE_MAX_SEC, &seconds) < 0)
                return ctl_fail(CTL_USAGE, "'%s' is not a number of seconds up to %u", options->args[2], LOCATE_MAX_SEC);
        return locate(options, number, (uint32_t) seconds);
}
