/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/camera_methods.h"

#include <errno.h>
#include <string.h>

#include <berth/plugin.h>

#include "base/log.h"
#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/manager_methods.h"
#include "service/flash.h"

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
        if ((r = check_words(&owner, ret_error)) < 0 || (r = caller_get(m, &caller, ret_error)) < 0)
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

        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = camera_order_confirm(userdata, &by, answer, sd_bus_message_ref(m), &why);
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        return refuse(ret_error, r, why);
}

/* ---- Firmware ------------------------------------------------------------------------------------------------------ */

static void flashed(void *userdata, int result, const FlashEnd *end, const char *text) {
        sd_bus_message *call = userdata;
        int r;

        if (result < 0 || !end)
                r = sd_bus_reply_method_errorf(call, result == -EBUSY ? BUS_E_BUSY : BUS_E_FAILED, "%s.", text ? text : strerror(-result));
        else
                r = sd_bus_reply_method_return(call, "sss", flash_outcome_to_string(end->outcome), end->came_back, text);
        if (r < 0)
                log_debug(NULL, "Nobody waits for the end of a flash: %s", strerror(-r));
        sd_bus_message_unref(call);
}

int camera_bus_update_firmware(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(freep) char *why = NULL;
        const char *version;
        int in_spite, r;
        Operator by;
        Caller caller;

        r = sd_bus_message_read(m, "sb", &version, &in_spite);
        if (r >= 0)
                r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = camera_order_flash(userdata, version, in_spite != 0, &by, flashed, sd_bus_message_ref(m), &why);
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        return refuse(ret_error, r, why);
}

/* ---- Erasing by hand ----------------------------------------------------------------------------------------------- */

static void erase_ordered(void *userdata, int result, const char *text, const EraseOrdered *ordered) {
        sd_bus_message *call = userdata;

        if (result < 0)
                (void) sd_bus_reply_method_errorf(call, BUS_E_FAILED, "%s.", text ? text : strerror(-result));
        else
                (void) sd_bus_reply_method_return(call, "uuu", (uint32_t) ordered->ordered, (uint32_t) ordered->held,
                                                  (uint32_t) ordered->unsafe);
        sd_bus_message_unref(call);
}

static int erase_given(sd_bus_message *m, int r, char *why, sd_bus_error *ret_error) {
        _cleanup_(freep) char *text = why;

        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        if (r == -ENOENT)
                return sd_bus_error_set(ret_error, BUS_E_NO_SUCH_CLIP, "The dock knows no clip with this id.");
        return sd_bus_error_setf(ret_error, r == -EBUSY ? BUS_E_NOT_STORED : BUS_E_FAILED, "Nothing is erased: %s.",
                                 text ? text : strerror(-r));
}

int camera_bus_erase(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        char *why = NULL;
        int not_stored, r;
        Operator by;
        Caller caller;

        r = sd_bus_message_read(m, "b", &not_stored);
        if (r >= 0)
                r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = camera_order_erase(userdata, not_stored != 0, &by, erase_ordered, sd_bus_message_ref(m), &why);
        return erase_given(m, r, why, ret_error);
}

int manager_bus_erase_clip(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Manager *manager = (*(Bus **) userdata)->manager;
        char *why = NULL;
        int not_stored, r;
        uint64_t clip_id;
        Operator by;
        Caller caller;

        r = sd_bus_message_read(m, "tb", &clip_id, &not_stored);
        if (r < 0)
                return r;
        if (clip_id == 0 || clip_id > INT64_MAX)
                return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "clip_id: no clip has this id.");
        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = manager_order_erase(manager, clip_id, not_stored != 0, &by, erase_ordered, sd_bus_message_ref(m), &why);
        return erase_given(m, r, why, ret_error);
}
