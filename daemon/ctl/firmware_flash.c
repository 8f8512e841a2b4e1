/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl firmware flash`: one camera gets one version of the catalog now. */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/firmware.h"
#include "ctl/job.h"
#include "ctl/json_out.h"

static int new_call(sd_bus *bus, const Options *o, sd_bus_message **ret) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = sd_bus_path_encode(DOCK_PATH "/camera", o->args[1], &path);
        if (r >= 0)
                r = sd_bus_message_new_method_call(bus, ret, DOCK_BUS_NAME, path, DOCK_CAMERA_INTERFACE, "UpdateFirmware");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(*ret, false);
        return r < 0 ? r : sd_bus_message_append(*ret, "sb", o->args[2], o->n_args == 4);
}

static int tell(void *userdata, const JobEnd *end) {
        const Options *o = userdata;
        const char *outcome = job_end_text(end, "Outcome");
        char safe[1024];
        int exit_code = text_equal(outcome, "ok") ? CTL_OK : CTL_FAILURE;

        if (o->json) {
                int r = json_out(json_pack("{s:s, s:s, s:s, s:s, s:s}", "schema", JSON_SCHEMA("flash"), "camera", o->args[1], "outcome",
                                           outcome, "version", job_end_text(end, "Version"), "text", end->text), false);
                return r == CTL_OK ? exit_code : r;
        }
        text_sanitise(end->text, safe, sizeof(safe));
        printf("%s: %s: %s\n", o->args[1], outcome, safe);
        return exit_code;
}

int firmware_flash(const Options *o) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(freep) char *no_object = NULL;
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
        no_object = text_format("no camera of the serial '%s' was in a bay since the daemon's start", o->args[1]);
        return job_run(o, bus, &(JobOrder){ .call = call, .no_object = no_object, .tell = tell, .userdata = (void *) o });
}
