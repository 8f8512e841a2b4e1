/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl custody …`: what the dock can prove. */

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/custody.h"

static int checkpoint(const Options *options) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        return bus_client_call(bus, DOCK_MANAGER_INTERFACE, "MakeCheckpoint", &reply, "");
}

int verb_custody(const Options *options) {
        const char *what = options->n_args > 0 ? options->args[0] : "";
        if (text_equal(what, "checkpoint")) {
                if (options->n_args != 1)
                        return ctl_fail(CTL_USAGE, "'custody checkpoint' takes nothing more");
                return checkpoint(options);
        }
        if (text_equal(what, "show"))
                return custody_show_verb(options);
        if (text_equal(what, "archive"))
                return custody_archive_verb(options);
        if (text_equal(what, "verify"))
                return custody_verify_verb(options);
        if (text_equal(what, "export"))
                return custody_export_verb(options);
        return ctl_fail(CTL_USAGE, "'custody' is followed by 'show CLIP', 'verify', 'export', 'archive' or 'checkpoint'");
}
