/* SPDX-License-Identifier: Apache-2.0 */

/* org.berth.Dock1.Manager: see org.berth.Dock1.Manager.xml. */

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/manager_methods.h"
#include "bus/view.h"
#include "core/outlook.h"
#include "service/notary.h"

typedef struct ManagerView {
        char *version, *dock_name, *dock_id, *dock_key, *fleet, *state, *reason, *store_state, *store_reason, *spool_state, *chain_state;
        uint64_t spool_used_bytes, spool_free_bytes, unstored_clips, unstored_bytes;
        int64_t spool_holds_sec, next_shift_usec;
        int clock_synchronised;
} ManagerView;

struct BusManager {
        Bus *bus;
        sd_bus_slot *slot;
        ManagerView view;
        bool changed;
        uint64_t progress_usec; /* when the spool's numbers were last shown */
};

#define MANAGER(name, type, kind, member)                                                                         \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(BusManager, view) + offsetof(ManagerView, member),             \
                        SD_BUS_VTABLE_PROPERTY_##kind)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        /* Reading needs no privilege beyond the bus's own policy. */
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ListClips", SD_BUS_ARGS("s", serial, "s", state, "t", before_id, "u", max),
                                       SD_BUS_RESULT("aa{sv}", clips), manager_bus_list_clips,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ListEvents", SD_BUS_ARGS("t", after_seq, "s", serial, "t", clip_id, "u", max),
                                       SD_BUS_RESULT("a(tss)", events), manager_bus_list_events,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("LastEvents", SD_BUS_ARGS("s", serial, "t", clip_id, "u", max),
                                       SD_BUS_RESULT("a(tss)", events), manager_bus_last_events,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ListRefused", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", refused),
                                       manager_bus_list_refused, offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ListModels", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", models), manager_bus_list_models,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ListHolds", SD_BUS_ARGS("t", after_id, "u", max), SD_BUS_RESULT("aa{sv}", holds),
                                       manager_bus_list_holds, offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ListCameras", SD_BUS_ARGS("t", after_id, "u", max), SD_BUS_RESULT("aa{sv}", cameras),
                                       manager_bus_list_cameras, offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ListFindings", SD_BUS_ARGS("s", serial), SD_BUS_RESULT("a(ssss)", findings),
                                       manager_bus_list_findings, offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ListBayFindings", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ussss)", findings),
                                       manager_bus_list_bay_findings, offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ListFleetDocks", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", docks), manager_bus_list_fleet_docks,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ListFleetCameras", SD_BUS_ARGS("s", after_serial, "u", max), SD_BUS_RESULT("aa{sv}", cameras),
                                       manager_bus_list_fleet_cameras, offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("GetFigures", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", figures), manager_bus_get_figures,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ExamineStore", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sss)", points), manager_bus_examine_store,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ExamineRack", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sss)", points), manager_bus_examine_rack,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        /* Each asks who calls by itself. */
        SD_BUS_SIGNAL_WITH_ARGS("FleetCameraOverdue",
                                SD_BUS_ARGS("s", serial, "s", dock_id, "s", dock_name, "s", officer_id, "x", due_usec), 0),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ReleaseCamera", SD_BUS_ARGS("s", serial, "s", reason), SD_BUS_NO_RESULT,
                                       manager_bus_release_camera, offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("SetHold", SD_BUS_ARGS("t", clip_id, "s", serial, "s", case, "s", reason), SD_BUS_NO_RESULT,
                                       manager_bus_set_hold, offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("ReleaseHold", SD_BUS_ARGS("t", clip_id, "s", serial, "s", case, "s", reason), SD_BUS_NO_RESULT,
                                       manager_bus_release_hold, offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("Reload", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sasasb)", changes), manager_bus_reload,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("EraseClip", SD_BUS_ARGS("t", clip_id, "b", not_stored),
                                       SD_BUS_RESULT("u", ordered, "u", held, "u", unsafe), manager_bus_erase_clip,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("CallShift", SD_BUS_ARGS("x", at_usec), SD_BUS_NO_RESULT, manager_bus_call_shift,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("MakeCheckpoint", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, manager_bus_make_checkpoint,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("RotateKey", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, manager_bus_rotate_key,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("Import", SD_BUS_ARGS("s", name, "s", source, "s", folder_id, "h", socket),
                                       SD_BUS_RESULT("o", job), manager_bus_import,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS_OFFSET("FetchClip", SD_BUS_ARGS("t", clip_id, "h", file), SD_BUS_RESULT("o", job), manager_bus_fetch_clip,
                                       offsetof(BusManager, bus), SD_BUS_VTABLE_UNPRIVILEGED),
        MANAGER("Version", "s", CONST, version),
        MANAGER("DockName", "s", CONST, dock_name),
        MANAGER("DockId", "s", CONST, dock_id),
        MANAGER("DockKey", "s", EMITS_CHANGE, dock_key),
        MANAGER("Fleet", "s", CONST, fleet),
        MANAGER("State", "s", EMITS_CHANGE, state),
        MANAGER("Reason", "s", EMITS_CHANGE, reason),
        MANAGER("StoreState", "s", EMITS_CHANGE, store_state),
        MANAGER("StoreReason", "s", EMITS_CHANGE, store_reason),
        MANAGER("SpoolState", "s", EMITS_CHANGE, spool_state),
        MANAGER("SpoolUsedBytes", "t", EMITS_CHANGE, spool_used_bytes),
        MANAGER("SpoolFreeBytes", "t", EMITS_CHANGE, spool_free_bytes),
        MANAGER("SpoolHoldsSec", "x", EMITS_CHANGE, spool_holds_sec),
        MANAGER("UnstoredClips", "t", EMITS_CHANGE, unstored_clips),
        MANAGER("UnstoredBytes", "t", EMITS_CHANGE, unstored_bytes),
        MANAGER("ClockSynchronised", "b", EMITS_CHANGE, clock_synchronised),
        MANAGER("ChainState", "s", EMITS_CHANGE, chain_state),
        MANAGER("NextShiftUsec", "x", EMITS_CHANGE, next_shift_usec),
        SD_BUS_VTABLE_END,
};

static const ViewMember members[] = {
        { "Version", VIEW_TEXT, offsetof(ManagerView, version) },
        { "DockName", VIEW_TEXT, offsetof(ManagerView, dock_name) },
        { "DockId", VIEW_TEXT, offsetof(ManagerView, dock_id) },
        { "DockKey", VIEW_TEXT, offsetof(ManagerView, dock_key) },
        { "Fleet", VIEW_TEXT, offsetof(ManagerView, fleet) },
        { "State", VIEW_TEXT, offsetof(ManagerView, state) },
        { "Reason", VIEW_TEXT, offsetof(ManagerView, reason) },
        { "StoreState", VIEW_TEXT, offsetof(ManagerView, store_state) },
        { "StoreReason", VIEW_TEXT, offsetof(ManagerView, store_reason) },
        { "SpoolState", VIEW_TEXT, offsetof(ManagerView, spool_state) },
        { "SpoolUsedBytes", VIEW_U64, offsetof(ManagerView, spool_used_bytes) },
        { "SpoolFreeBytes", VIEW_U64, offsetof(ManagerView, spool_free_bytes) },
        { "SpoolHoldsSec", VIEW_I64, offsetof(ManagerView, spool_holds_sec) },
        { "UnstoredClips", VIEW_U64, offsetof(ManagerView, unstored_clips) },
        { "UnstoredBytes", VIEW_U64, offsetof(ManagerView, unstored_bytes) },
        { "ClockSynchronised", VIEW_BOOL, offsetof(ManagerView, clock_synchronised) },
        { "ChainState", VIEW_TEXT, offsetof(ManagerView, chain_state) },
        { "NextShiftUsec", VIEW_I64, offsetof(ManagerView, next_shift_usec) },
};

static int view_dock(const Manager *m, ManagerView *v) {
        const Notary *notary = manager_notary(m);
        char key[PUBLIC_KEY_HEX_SIZE];
        int r;

        if ((r = view_text(&v->dock_name, manager_settings(m)->name)) < 0 || (r = view_text(&v->fleet, manager_settings(m)->fleet)) < 0 ||
            (r = view_text(&v->dock_id, notary_dock_id(notary))) < 0)
                return r;
        return view_text(&v->dock_key, public_key_to_hex(notary_public_key(notary), key));
}

static int view_manager(const Manager *m, const ManagerView *shown, bool progress, ManagerView *v) {
        const char *reason = "", *store_reason = "", *state, *store_state;
        SpoolStatus spool;
        int r;

        state = manager_state(m, &reason);
        store_state = manager_store_state(m, &store_reason);
        manager_spool_status(m, &spool);
        v->next_shift_usec = manager_next_shift(m);
        v->clock_synchronised = manager_clock_synchronised(m);
        v->spool_used_bytes = progress ? spool.used_bytes : shown->spool_used_bytes;
        v->spool_free_bytes = progress ? spool.free_bytes : shown->spool_free_bytes;
        v->spool_holds_sec = spool.holds_sec == OUTLOOK_UNKNOWN ? -1 : (int64_t) spool.holds_sec;
        v->unstored_clips = progress ? spool.unstored_clips : shown->unstored_clips;
        v->unstored_bytes = progress ? spool.unstored_bytes : shown->unstored_bytes;
        if ((r = view_text(&v->version, BERTH_VERSION)) < 0 ||
            (r = view_dock(m, v)) < 0 || (r = view_text(&v->state, state)) < 0 ||
            (r = view_text(&v->reason, reason)) < 0 || (r = view_text(&v->store_state, store_state)) < 0 ||
            (r = view_text(&v->store_reason, store_reason)) < 0 ||
            (r = view_text(&v->chain_state, manager_chain_state(m))) < 0)
                return r;
        return view_text(&v->spool_state, spool.state);
}

int manager_bus_show(Bus *b, uint64_t now_usec, uint64_t *wake_usec) {
        BusManager *o = b->shown;
        ManagerView now = { 0 };
        bool due = now_usec - o->progress_usec >= VIEW_PROGRESS_USEC;
        int r;

        if (!o->changed)
                return 0;
        r = view_manager(b->manager, &o->view, due, &now);
        if (r >= 0) {
                if (due) {
                        o->progress_usec = now_usec;
                        o->changed = false;
                } else
                        *wake_usec = MIN2(*wake_usec, o->progress_usec + VIEW_PROGRESS_USEC);
                view_show(b->bus, BUS_PATH, BUS_MANAGER_INTERFACE, members, ELEMENTSOF(members), &o->view, &now,
                          sizeof(now));
        }
        view_clear(members, ELEMENTSOF(members), &now);
        return r;
}

void manager_bus_changed(Bus *b) {
        b->shown->changed = true;
        bus_wake(b);
}

void manager_bus_hurry(Bus *b) {
        b->shown->progress_usec = 0;
}

int manager_bus_new(Bus *b) {
        uint64_t wake_usec = UINT64_MAX;

        b->shown = calloc(1, sizeof(*b->shown));
        if (!b->shown)
                return -ENOMEM;
        *b->shown = (BusManager) { .bus = b, .changed = true };
        return manager_bus_show(b, VIEW_PROGRESS_USEC, &wake_usec);
}

void manager_bus_free(Bus *b) {
        if (!b->shown)
                return;
        sd_bus_slot_unref(b->shown->slot);
        view_clear(members, ELEMENTSOF(members), &b->shown->view);
        free(b->shown);
        b->shown = NULL;
}

int manager_bus_connect(Bus *b) {
        return sd_bus_add_object_vtable(b->bus, &b->shown->slot, BUS_PATH, BUS_MANAGER_INTERFACE, vtable, b->shown);
}

void manager_bus_disconnect(Bus *b) {
        if (b->shown)
                b->shown->slot = sd_bus_slot_unref(b->shown->slot);
}
