/* SPDX-License-Identifier: Apache-2.0 */

/* Reload of org.berth.Dock1.Manager. */

#include <errno.h>
#include <string.h>

#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/manager_methods.h"
#include "service/reload.h"

static int append_maybe(sd_bus_message *m, const char *text) {
        return text ? sd_bus_message_append(m, "as", 1, text) : sd_bus_message_append(m, "as", 0);
}

static int append_change(sd_bus_message *m, const SettingChange *c) {
        int r;

        r = sd_bus_message_open_container(m, 'r', "sasasb");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", c->key);
        if (r >= 0)
                r = append_maybe(m, c->before);
        if (r >= 0)
                r = append_maybe(m, c->after);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", (int) c->now);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int reply(sd_bus_message *call, const SettingChange *changes, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_return(call, &m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sasasb)");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_change(m, &changes[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_send(m);
}

static void reloaded(void *userdata, int result, const char *text, const SettingChange *changes, size_t n) {
        sd_bus_message *call = userdata;

        if (result >= 0)
                result = reply(call, changes, n);
        if (result < 0)
                (void) error_reply(call, result, text);
        sd_bus_message_unref(call);
}

int manager_bus_reload(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        ConfError error = {};
        Operator by;
        Caller caller;
        int r;

        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = manager_reload((*(Bus **) userdata)->manager, &by, reloaded, sd_bus_message_ref(m), &error);
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        /* What is wrong in a file, or that there is none. */
        return sd_bus_error_setf(ret_error, error.text[0] ? BUS_E_BAD_SETTINGS : error_name(r), "The settings stay as they are: %s",
                                 error.text[0] ? error.text : strerror(-r));
}
