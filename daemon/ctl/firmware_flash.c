/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl firmware flash`: one camera gets one version of the catalog now. */

#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/firmware.h"
#include "ctl/json_out.h"

/* The daemon's own deadlines end it earlier, but for a camera with a very large image. */
#define FLASH_TIMEOUT_USEC (UINT64_C(4) * 3600 * USEC_PER_SEC)

static int new_call(sd_bus *bus, const Options *o, sd_bus_message **ret) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = sd_bus_path_encode(DOCK_PATH "/camera", o->args[1], &path);
        if (r >= 0)
                r = sd_bus_message_new_method_call(bus, ret, DOCK_BUS_NAME, path, DOCK_BUS_NAME ".Camera", "UpdateFirmware");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(*ret, false);
        return r < 0 ? r : sd_bus_message_append(*ret, "sb", o->args[2], o->n_args == 4);
}

static int tell(const Options *o, sd_bus_message *reply) {
        const char *outcome, *came_back, *text;
        char safe[1024];
        int r = sd_bus_message_read(reply, "sss", &outcome, &came_back, &text);
        int exit_code;

        if (r < 0)
                return bus_client_report(NULL, r);
        exit_code = text_equal(outcome, "ok") ? CTL_OK : CTL_FAILURE;
        if (o->json) {
                r = json_out(json_pack("{s:s, s:s, s:s, s:s, s:s}", "schema", JSON_SCHEMA("flash"), "camera", o->args[1], "outcome",
                                       outcome,
                                       "version", came_back, "text", text), false);
                return r == CTL_OK ? exit_code : r;
        }
        text_sanitise(text, safe, sizeof(safe));
        printf("%s: %s: %s\n", o->args[1], outcome, safe);
        return exit_code;
}

int firmware_flash(const Options *o) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int exit_code, r;

        if (o->n_args != 3 && !(o->n_args == 4 && text_equal(o->args[3], "again")))
                return ctl_fail(CTL_USAGE, "'firmware flash' takes the SERIAL of a camera and the VERSION that it is to get, and perhaps "
                                           "'again'");
        exit_code = bus_client_open(o, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        r = new_call(bus, o, &call);
        if (r < 0)
                return bus_client_report(NULL, r);
        r = sd_bus_call(bus, call, FLASH_TIMEOUT_USEC, &error, &reply);
        if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return ctl_fail(CTL_FAILURE, "no camera of the serial '%s' was in a bay since the daemon's start", o->args[1]);
        return r < 0 ? bus_client_report(&error, r) : tell(o, reply);
}
