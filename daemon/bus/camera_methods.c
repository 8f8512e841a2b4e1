/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/camera_methods.h"

#include <errno.h>
#include <string.h>

#include <berth/plugin.h>

#include "base/log.h"
#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/caller.h"

/* The camera answers when it is done, or left; the caller waits for that. */
static void answer(void *userdata, int result, const char *text) {
        sd_bus_message *call = userdata;
        int r;

        if (result >= 0)
                r = sd_bus_reply_method_return(call, NULL);
        else
                r = sd_bus_reply_method_errorf(call, BUS_E_FAILED, "%s.", *text ? text : strerror(-result));
        if (r < 0)
                log_debug(NULL, "Nobody waits for the end of an order: %s", strerror(-r));
        sd_bus_message_unref(call);
}

static int refuse(sd_bus_error *ret_error, int r, const char *why) {
        return sd_bus_error_setf(ret_error, r == -EBUSY ? BUS_E_BUSY : BUS_E_FAILED, "%s.", why ? why : strerror(-r));
}

static int check_words(const WorkerOwner *owner, sd_bus_error *ret_error) {
        const char *const words[] = { owner->officer_id, owner->officer_name, owner->unit_id, owner->unit_name };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strlen(words[i]) >= BERTH_TEXT_MAX || !text_is_printable(words[i]))
                        return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT,
                                                 "An owner's id or name is printable and shorter than %u bytes.", BERTH_TEXT_MAX);
        return 0;
}

int camera_bus_set_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *why = NULL;
        Operator by;
        Caller caller;
        WorkerOwner owner;
        int r;

        r = sd_bus_message_read(m, "ssss", &owner.officer_id, &owner.officer_name, &owner.unit_id, &owner.unit_name);
        if (r < 0)
                return r;
        if ((r = check_words(&owner, ret_error)) < 0 || (r = caller_admin(m, &caller, ret_error)) < 0)
                return r;
        by = caller_operator(&caller);
        r = camera_order_owner(userdata, &owner, &by, answer, sd_bus_message_ref(m), &why);
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        return refuse(ret_error, r, why);
}

int camera_bus_confirm_identity(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *why = NULL;
        Operator by;
        Caller caller;
        int r;

        r = caller_admin(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = camera_order_confirm(userdata, &by, answer, sd_bus_message_ref(m), &why);
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        return refuse(ret_error, r, why);
}
