/* SPDX-License-Identifier: Apache-2.0 */

/* The methods of org.berth.Dock1.Transfers. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/transfer_methods.h"
#include "service/clip.h"

#define TRANSFERS_DEFAULT 100u
#define TRANSFERS_MAX 500u

static Manager *manager_of(void *userdata) {
        return (*(Bus **) userdata)->manager;
}

/* ---- Orders ------------------------------------------------------------------------------------------------------- */

/* `r` is what became of giving the order: 1 once the answer is on its way or will be. */
static int given(sd_bus_message *m, int r, sd_bus_error *ret_error) {
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        switch (r) {
        case -EALREADY:
                return sd_bus_reply_method_return(m, NULL);
        case -ENOENT:
                return sd_bus_error_set(ret_error, BUS_E_NO_SUCH_CLIP, "The dock knows no clip with this id.");
        case -ESTALE:
                return sd_bus_error_set(ret_error, BUS_E_TOO_LATE, "The clip is stored, lost or in conflict: it waits for nothing.");
        default:
                return error_set(ret_error, r, "The order could not be given: %s.", strerror(-r));
        }
}

static int pause_uploads(sd_bus_message *m, void *userdata, bool pause, sd_bus_error *ret_error) {
        Operator by;
        Caller caller;
        int r;

        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        return given(m, manager_pause_uploads(manager_of(userdata), pause, &by, caller_answer, sd_bus_message_ref(m)), ret_error);
}

int transfer_bus_pause(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return pause_uploads(m, userdata, true, ret_error);
}

int transfer_bus_resume(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return pause_uploads(m, userdata, false, ret_error);
}

int transfer_bus_send_now(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        uint64_t clip_id;
        Operator by;
        Caller caller;
        int r;

        r = sd_bus_message_read(m, "t", &clip_id);
        if (r < 0)
                return r;
        if (clip_id == 0 || clip_id > INT64_MAX)
                return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "clip_id: no clip has this id.");
        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        return given(m, manager_send_now(manager_of(userdata), clip_id, &by, caller_answer, sd_bus_message_ref(m)), ret_error);
}

/* ---- The list ----------------------------------------------------------------------------------------------------- */

const char *transfer_reason(const Clip *c) {
        /* To a store that would begin it anew. */
        if (c->uploading && manager_uploads_are_paused(c->manager))
                return "stands still until uploads are resumed";
        if (c->grow.under_way)
                return "while it is pulled from the camera";
        return c->reason ?: "";
}

static int append_transfer(sd_bus_message *m, const Clip *c) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "ClipId", "t", c->id, "Serial", "s", c->serial, "Path", "s", c->path,
                                  "SizeBytes", "t", c->size_bytes, "StoredBytes", "t", c->stored_bytes, "State", "s",
                                  c->uploading || c->grow.under_way ? "uploading" : "waiting", "Urgent", "b", (int) c->urgent);
        if (r >= 0 && c->retry_at_usec > clock_boottime_usec())
                r = sd_bus_message_append(m, "{sv}", "RetryAtUsec", "t", c->retry_at_usec);
        if (r >= 0 && *transfer_reason(c))
                r = sd_bus_message_append(m, "{sv}", "Reason", "s", transfer_reason(c));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int reply_transfers(sd_bus_message *m, Clip *const *clips, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_transfer(reply, clips[i]);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int transfer_bus_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(freep) Clip **clips = NULL;
        size_t n = 0, first = 0;
        uint64_t after_id;
        uint32_t max;
        int r;

        r = sd_bus_message_read(m, "tu", &after_id, &max);
        if (r < 0)
                return r;
        r = manager_transfers(manager_of(userdata), &clips, &n);
        if (r < 0)
                return r;
        if (after_id > 0) {
                while (first < n && clips[first]->id != after_id)
                        first++;
                /* Where the page would begin nobody knows: what was before it has moved up, or gone. */
                if (first++ == n)
                        return sd_bus_error_set(ret_error, BUS_E_TOO_LATE, "after_id: this clip is not on its way any more; begin with 0.");
        }
        return reply_transfers(m, clips + first, MIN2(n - first, max == 0 ? TRANSFERS_DEFAULT : MIN2(max, TRANSFERS_MAX)));
}
