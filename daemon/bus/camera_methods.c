/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/camera_methods.h"

#include <errno.h>
#include <string.h>

#include <berth/plugin.h>

#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/error.h"
#include "bus/job.h"
#include "bus/manager_methods.h"
#include "service/flash.h"

static int refuse(sd_bus_error *ret_error, int r, const char *why) {
        return error_set(ret_error, r, "%s.", why ? why : strerror(-r));
}

/* ---- Owner --------------------------------------------------------------------------------------------------------- */

static int check_words(const WorkerOwner *owner, sd_bus_error *ret_error) {
        const char *const words[] = { owner->officer_id, owner->officer_name, owner->unit_id, owner->unit_name };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strlen(words[i]) >= BERTH_TEXT_MAX || !text_is_printable(words[i]))
                        return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT,
                                                 "An owner's id or name is printable and shorter than %u bytes.", BERTH_TEXT_MAX);
        return 0;
}

/* The camera answers when it is done, or left. */
typedef struct OwnerOrder {
        Job *job;
        Camera *camera;
} OwnerOrder;

static void owner_set(void *userdata, int result, const char *text) {
        _cleanup_(freep) OwnerOrder *o = userdata;

        if (result >= 0)
                return job_end(o->job, JOB_DONE, NULL, "it is written to the camera, and on record", NULL, 0);
        job_end(o->job, result == -ECANCELED ? JOB_CANCELLED : JOB_FAILED, result == -ECANCELED ? NULL : error_name(result),
                text && *text ? text : strerror(-result), NULL, 0);
}

static int withdraw(void *operation, const Operator *by, const char **ret_why) {
        const OwnerOrder *o = operation;

        (void) by;
        return camera_order_withdraw(o->camera, o, ret_why);
}

int camera_bus_set_owner(sd_bus_message *m, Bus *b, Camera *camera, sd_bus_error *ret_error) {
        static const JobKind kind = { .name = "set-owner", .unit = "", .action = ACTION_SETTINGS, .cancel = withdraw };
        const char *why = NULL;
        OwnerOrder *o;
        Operator by;
        Caller caller;
        WorkerOwner owner;
        Job *job;
        int r;

        r = sd_bus_message_read(m, "ssss", &owner.officer_id, &owner.officer_name, &owner.unit_id, &owner.unit_name);
        if (r < 0)
                return r;
        if ((r = check_words(&owner, ret_error)) < 0 || (r = caller_get(m, &caller, ret_error)) < 0 ||
            (r = job_new(b, m, &kind, sd_bus_message_get_path(m), &job, ret_error)) < 0)
                return r;
        o = calloc(1, sizeof(*o));
        if (o) {
                *o = (OwnerOrder){ .job = job, .camera = camera };
                by = caller_operator(&caller);
                r = camera_order_owner(camera, &owner, &by, owner_set, o, &why);
        } else
                r = -ENOMEM;
        if (r >= 0)
                return job_answer(job, o);
        free(o);
        job_drop(job);
        return refuse(ret_error, r, why);
}

/* ---- Identity ------------------------------------------------------------------------------------------------------ */

int camera_bus_confirm_identity(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *why = NULL;
        Operator by;
        Caller caller;
        int r;

        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = camera_order_confirm(userdata, &by, caller_answer, sd_bus_message_ref(m), &why);
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        return refuse(ret_error, r, why);
}

/* ---- Firmware ------------------------------------------------------------------------------------------------------ */

static const char *flash_error(int r) {
        return r == -EAGAIN ? BUS_E_STORE_AWAY : r == -EBADMSG ? BUS_E_CONFLICT : error_name(r);
}

static void flashed(void *userdata, int result, const FlashEnd *end, const char *text) {
        if (result >= 0 && end) {
                const JobValue values[] = {
                        { .name = "Outcome", .text = flash_outcome_to_string(end->outcome) },
                        { .name = "Version", .text = end->came_back },
                };

                return job_end(userdata, JOB_DONE, NULL, text, values, ELEMENTSOF(values));
        }
        job_end(userdata, result == -ECANCELED ? JOB_CANCELLED : JOB_FAILED,
                result == -ECANCELED ? NULL : flash_error(result), text ? text : strerror(-result), NULL, 0);
}

static void flash_moved(void *userdata, uint64_t bytes, uint64_t size_bytes) {
        job_progress(userdata, bytes, size_bytes);
}

static int cancel_flash(void *operation, const Operator *by, const char **ret_why) {
        (void) by;
        *ret_why = "the camera is being given its firmware, and would be left without any";
        return flash_order_cancel(operation);
}

static const JobKind flash_kind = { .name = "update-firmware", .unit = "bytes", .action = ACTION_FIRMWARE, .cancel = cancel_flash };

int camera_bus_update_firmware(sd_bus_message *m, Bus *b, Camera *camera, sd_bus_error *ret_error) {
        _cleanup_(freep) char *why = NULL;
        const char *version;
        FlashOrder *order;
        int in_spite, r;
        Operator by;
        Caller caller;
        Job *job;

        r = sd_bus_message_read(m, "sb", &version, &in_spite);
        if (r >= 0)
                r = caller_get(m, &caller, ret_error);
        if (r >= 0)
                r = job_new(b, m, &flash_kind, sd_bus_message_get_path(m), &job, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = camera_order_flash(camera, version, in_spite != 0, &by, flash_moved, flashed, job, &order, &why);
        if (r >= 0)
                return job_answer(job, order);
        job_drop(job);
        return refuse(ret_error, r, why);
}

/* ---- Erasing by hand ----------------------------------------------------------------------------------------------- */

static void erase_ordered(void *userdata, int result, const char *text, const EraseOrdered *ordered) {
        sd_bus_message *call = userdata;

        if (result < 0)
                (void) error_reply(call, result, text);
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
        return sd_bus_error_setf(ret_error, r == -EBUSY ? BUS_E_NOT_STORED : error_name(r), "Nothing is erased: %s.",
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
