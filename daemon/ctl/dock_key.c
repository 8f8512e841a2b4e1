/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl dock show|rotate-key`: who the dock is, and by which key it signs. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/sign.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/dock_fleet.h"
#include "ctl/json_out.h"

static int show(const Options *options) {
        _cleanup_(dock_freep) Dock *dock = NULL;
        _cleanup_(freep) char *pem = NULL;
        PublicKey key;
        int exit_code = bus_client_dock(options, &dock);
        if (exit_code != CTL_OK)
                return exit_code;
        const DockManager *m = &dock->manager;
        if (public_key_from_hex(m->dock_key, &key) < 0 || public_key_to_pem(&key, &pem) < 0)
                return ctl_fail(CTL_FAILURE, "the daemon names no key");
        if (options->json)
                return json_out(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "schema", JSON_SCHEMA("dock"), "name", m->dock_name, "dock_id",
                                          m->dock_id, "fleet", m->fleet, "dock_key", m->dock_key, "pem", pem), false);
        printf("name   %s\nid     %s\nfleet  %s\nkey    %s\n%s", m->dock_name, m->dock_id, *m->fleet ? m->fleet : "none", m->dock_key, pem);
        return CTL_OK;
}

static int rotate(const Options *options) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        return bus_client_call(bus, DOCK_MANAGER_INTERFACE, "RotateKey", &reply, "");
}

int verb_dock(const Options *options) {
        const char *what = options->n_args > 0 ? options->args[0] : "show";
        if (text_equal(what, "enroll"))
                return dock_enroll(options);
        if (text_equal(what, "revoke"))
                return dock_revoke(options);
        if (text_equal(what, "renew"))
                return dock_renew(options);
        if (text_equal(what, "publish"))
                return dock_publish(options);
        if (text_equal(what, "check"))
                return dock_check(options);
        if (options->n_args > 1)
                return ctl_fail(CTL_USAGE, "'dock %s' takes nothing more", what);
        if (text_equal(what, "show"))
                return show(options);
        if (text_equal(what, "rotate-key"))
                return rotate(options);
        return ctl_fail(CTL_USAGE, "'dock' is followed by 'show', 'rotate-key', 'enroll', 'revoke', 'renew', 'publish' or 'check'");
}
