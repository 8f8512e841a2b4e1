/* SPDX-License-Identifier: Apache-2.0 */

/* GetFigures of org.berth.Dock1.Manager: how much there is, and how much was done. */

#include <errno.h>
#include <string.h>

#include "bus/bus_private.h"
#include "bus/manager_methods.h"

static int append_by_state(sd_bus_message *m, const char *key, const uint64_t figures[static _CLIP_STATE_MAX]) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{st}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{st}");
        for (int i = 0; i < _CLIP_STATE_MAX && r >= 0; i++)
                r = sd_bus_message_append(m, "{st}", clip_state_to_string((ClipState) i), figures[i]);
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_oldest(sd_bus_message *m, Store *store) {
        _cleanup_(clip_row_freep) ClipRow *oldest = NULL;
        int r = store_oldest_unstored(store, &oldest);

        if (r == -ENOENT)
                return 0;
        return r < 0 ? r : sd_bus_message_append(m, "{sv}", "OldestUnstoredUsec", "x", oldest->seen_usec);
}

static int append_done(sd_bus_message *m, const Manager *manager) {
        const Figures *f = manager_figures(manager);

        return sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "UploadsUnderWay", "u",
                                     (uint32_t) manager_uploads_under_way(manager), "ReadBytes", "t", f->read_bytes,
                                     "CopiedClips", "t", f->copied_clips, "CopiedBytes", "t",
                                     f->copied_bytes, "StoredClips", "t", f->stored_clips, "StoredBytes", "t", f->stored_bytes,
                                     "ErasedClips", "t", f->erased_clips, "Faults", "t", f->faults);
}

int manager_bus_get_figures(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Manager *manager = (*(Bus **) userdata)->manager;
        StoreTotals totals = {};
        int r;

        r = store_totals(manager_store(manager), &totals);
        if (r < 0)
                return sd_bus_error_setf(ret_error, BUS_E_FAILED, "The dock's database could not be read: %s.", strerror(-r));
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = append_by_state(reply, "Clips", totals.clips_by_state);
        if (r >= 0)
                r = append_by_state(reply, "Bytes", totals.bytes_by_state);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}", "CustodyEvents", "t", totals.events);
        if (r >= 0)
                r = append_oldest(reply, manager_store(manager));
        if (r >= 0)
                r = append_done(reply, manager);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}
