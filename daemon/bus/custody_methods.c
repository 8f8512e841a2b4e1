/* SPDX-License-Identifier: Apache-2.0 */

/* The methods of org.berth.Dock1.Manager about what the dock signs. */

#include <errno.h>
#include <string.h>

#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/manager_methods.h"
#include "service/notary.h"

static Notary *notary_of(void *userdata) {
        return manager_notary((*(Bus **) userdata)->manager);
}

static int given(sd_bus_message *m, int r, sd_bus_error *ret_error) {
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        switch (r) {
        case -EBUSY:
        case -EALREADY:
                return sd_bus_error_set(ret_error, BUS_E_BUSY, "Another key is taking over already.");
        case -EPERM:
                return sd_bus_error_set(ret_error, BUS_E_NOT_ALLOWED,
                                        "The dock's key is the credential dock-key of berthd.service: put another one there, the old "
                                        "one beside it as dock-key-old, and restart berthd.");
        default:
                return error_set(ret_error, r, "The order could not be given: %s.", strerror(-r));
        }
}

int manager_bus_make_checkpoint(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Operator by;
        Caller caller;
        int r;

        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        return given(m, notary_order_checkpoint(notary_of(userdata), &by, caller_answer, sd_bus_message_ref(m)), ret_error);
}

int manager_bus_rotate_key(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Operator by;
        Caller caller;
        int r;

        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        return given(m, notary_order_rotation(notary_of(userdata), &by, caller_answer, sd_bus_message_ref(m)), ret_error);
}
