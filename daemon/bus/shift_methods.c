/* SPDX-License-Identifier: Apache-2.0 */

/* The method of org.berth.Dock1.Manager that says when cameras are wanted. */

#include <errno.h>
#include <string.h>

#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/manager_methods.h"

int manager_bus_call_shift(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        int64_t at_usec;
        Operator by;
        Caller caller;
        int r;

        r = sd_bus_message_read(m, "x", &at_usec);
        if (r < 0)
                return r;
        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = manager_call_shift((*(Bus **) userdata)->manager, at_usec, &by, caller_answer, sd_bus_message_ref(m));
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        if (r == -EALREADY)
                return sd_bus_reply_method_return(m, NULL);
        if (r != -EINVAL)
                return error_set(ret_error, r, "The order could not be given: %s.", strerror(-r));
        return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "at_usec: a shift begins within a week from now.");
}
