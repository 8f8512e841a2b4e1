/* SPDX-License-Identifier: Apache-2.0 */

/* The methods of org.berth.Dock1.Manager about holds. */

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/manager_methods.h"

#define HOLDS_DEFAULT 100u
#define HOLDS_MAX 500u
#define NAME_MAX_BYTES 255u
#define REASON_MAX_BYTES 1000u

static Manager *manager_of(void *userdata) {
        return (*(Bus **) userdata)->manager;
}

/* ---- Orders -------------------------------------------------------------------------------------------------------- */

static int given(sd_bus_message *m, int r, sd_bus_error *ret_error) {
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        switch (r) {
        case -ENOENT:
                return sd_bus_error_set(ret_error, BUS_E_NO_SUCH_CLIP, "The dock knows no clip with this id.");
        case -ENODEV:
                return sd_bus_error_set(ret_error, BUS_E_NO_SUCH_CAMERA, "The dock never saw a camera of this serial.");
        case -ESRCH:
                return sd_bus_error_set(ret_error, BUS_E_NOT_FOUND, "There is no such hold; ListHolds tells which there are.");
        default:
                return error_set(ret_error, r, "The order could not be given: %s.", strerror(-r));
        }
}

typedef struct Words {
        uint64_t clip_id;
        const char *serial, *case_name, *reason;
} Words;

static int read_words(sd_bus_message *m, bool by_case, Words *ret, sd_bus_error *ret_error) {
        Words w = { 0 };
        int r;

        r = sd_bus_message_read(m, "tsss", &w.clip_id, &w.serial, &w.case_name, &w.reason);
        if (r < 0)
                return r;
        if (w.clip_id > INT64_MAX || strlen(w.serial) > NAME_MAX_BYTES)
                return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "There is no such clip or camera.");
        if (strlen(w.case_name) > NAME_MAX_BYTES || !text_is_printable(w.case_name))
                return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT, "case: a case's name is printable and at most %u bytes long.",
                                         NAME_MAX_BYTES);
        if (strlen(w.reason) > REASON_MAX_BYTES || !text_is_printable(w.reason))
                return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT, "reason: a reason is printable and at most %u bytes long.",
                                         REASON_MAX_BYTES);
        if (w.clip_id != 0 && w.serial[0])
                return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "A hold is of a clip or of a camera: one of both is named.");
        if (w.clip_id == 0 && !w.serial[0] && !(by_case && w.case_name[0]))
                return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT,
                                        by_case ? "Neither a clip, nor a camera, nor a case is named."
                                                : "Neither a clip nor a camera is named.");
        *ret = w;
        return 0;
}

static int hold(sd_bus_message *m, void *userdata, bool set, sd_bus_error *ret_error) {
        Manager *manager = manager_of(userdata);
        Operator by;
        Caller caller;
        Words w = { 0 };
        int r;

        if ((r = read_words(m, !set, &w, ret_error)) < 0 || (r = caller_get(m, &caller, ret_error)) < 0)
                return r;
        by = caller_operator(&caller);
        sd_bus_message_ref(m);
        if (set)
                r = manager_set_hold(manager, w.clip_id, w.serial, w.case_name, w.reason, &by, caller_answer, m);
        else
                r = manager_release_hold(manager, w.clip_id, w.serial, w.case_name, w.reason, &by, caller_answer, m);
        return given(m, r, ret_error);
}

int manager_bus_set_hold(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return hold(m, userdata, true, ret_error);
}

int manager_bus_release_hold(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return hold(m, userdata, false, ret_error);
}

/* ---- The list ------------------------------------------------------------------------------------------------------ */

static int append_hold(sd_bus_message *m, const HoldRow *h) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}", "Id", "t", h->id, "Serial", "s", h->serial, "Case", "s",
                                          h->case_name, "Reason", "s", h->reason, "SinceUsec", "x", h->since_usec, "OperatorUid", "u",
                                          h->operator_uid);
        if (r >= 0 && h->operator_name[0])
                r = sd_bus_message_append(m, "{sv}", "Operator", "s", h->operator_name);
        if (r >= 0 && h->clip_id != 0)
                r = sd_bus_message_append(m, "{sv}{sv}", "ClipId", "t", h->clip_id, "Path", "s", h->path);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "StoredClips", "t", h->stored_clips, "LockedClips", "t", h->locked_clips,
                                          "UnlockableClips", "t", h->unlockable_clips);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int reply_holds(sd_bus_message *m, HoldRow **rows, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_hold(reply, rows[i]);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int manager_bus_list_holds(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        HoldRow **rows = NULL;
        uint64_t after_id;
        uint32_t max;
        size_t n = 0;
        int r;

        r = sd_bus_message_read(m, "tu", &after_id, &max);
        if (r < 0)
                return r;
        if (after_id > INT64_MAX)
                return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "after_id: it is larger than any.");
        r = store_holds(manager_store(manager_of(userdata)), after_id, max == 0 ? HOLDS_DEFAULT : MIN2(max, HOLDS_MAX), &rows, &n);
        if (r < 0)
                return sd_bus_error_setf(ret_error, BUS_E_FAILED, "The dock's database could not be read: %s.", strerror(-r));
        r = reply_holds(m, rows, n);
        hold_rows_free(rows, n);
        return r;
}
