/* SPDX-License-Identifier: Apache-2.0 */

/* The methods of org.berth.Dock1.Manager that say how the store and the rack are. */

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus_private.h"
#include "bus/manager_methods.h"

static int append_points(sd_bus_message *m, const ManagerPoint *points, size_t n) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sss)");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = sd_bus_message_append(m, "(sss)", points[i].name, points[i].verdict, points[i].text);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void on_examined(void *userdata, const ManagerPoint *points, size_t n) {
        sd_bus_message *call = userdata, *reply = NULL;
        int r;

        if (n == 0)
                r = error_reply(call, -ESHUTDOWN, "The daemon ends");
        else {
                r = sd_bus_message_new_method_return(call, &reply);
                if (r >= 0)
                        r = append_points(reply, points, n);
                if (r >= 0)
                        r = sd_bus_send(NULL, reply, NULL);
                sd_bus_message_unref(reply);
        }
        if (r < 0)
                log_debug(NULL, "Nobody waits for what was looked at: %s", strerror(-r));
        sd_bus_message_unref(call);
}

int manager_bus_examine_store(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        int r;

        r = manager_examine((*(Bus **) userdata)->manager, on_examined, sd_bus_message_ref(m));
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        return error_set(ret_error, r, "The store could not be examined: %s.", strerror(-r));
}

int manager_bus_examine_rack(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        manager_examine_rack((*(Bus **) userdata)->manager, on_examined, sd_bus_message_ref(m));
        return 1;
}
