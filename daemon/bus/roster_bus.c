/* SPDX-License-Identifier: Apache-2.0 */

/* org.berth.Dock1.Roster: see org.berth.Dock1.Roster.xml. */

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus_private.h"
#include "bus/roster_methods.h"
#include "bus/view.h"
#include "service/roster_follow.h"

typedef struct RosterView {
        uint64_t number;
        int follows;
        char *trouble;
} RosterView;

struct BusRoster {
        Bus *bus; /* first: what its methods get */
        sd_bus_slot *slot;
        RosterView view;
        bool changed;
};

#define ROSTER(name, type, kind, member)                                                                          \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(BusRoster, view) + offsetof(RosterView, member), SD_BUS_VTABLE_PROPERTY_##kind)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("ListOfficers", SD_BUS_ARGS("s", after_id, "u", max), SD_BUS_RESULT("t", number, "aa{sv}", officers),
                                roster_bus_list_officers, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListIssues", SD_BUS_ARGS("b", open, "t", from_id, "u", max), SD_BUS_RESULT("aa{sv}", issues),
                                roster_bus_list_issues, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ImportOfficers", SD_BUS_ARGS("s", source, "a(ssssss)", officers), SD_BUS_NO_RESULT,
                                roster_bus_import_officers, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Publish", SD_BUS_ARGS("s", statement), SD_BUS_RESULT("o", job), roster_bus_publish,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Assign", SD_BUS_ARGS("s", officer, "s", serial), SD_BUS_NO_RESULT, roster_bus_assign,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Checkout", SD_BUS_ARGS("s", officer), SD_BUS_RESULT("o", job), roster_bus_checkout,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CancelCheckout", SD_BUS_ARGS("s", serial), SD_BUS_NO_RESULT, roster_bus_cancel_checkout,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("CameraOverdue", SD_BUS_ARGS("s", serial, "s", officer_id, "s", officer_name, "x", due_usec), 0),
        ROSTER("Number", "t", EMITS_CHANGE, number),
        ROSTER("Follows", "b", EMITS_CHANGE, follows),
        ROSTER("Trouble", "s", EMITS_CHANGE, trouble),
        SD_BUS_VTABLE_END,
};

static const ViewMember members[] = {
        { "Number", VIEW_U64, offsetof(RosterView, number) },
        { "Follows", VIEW_BOOL, offsetof(RosterView, follows) },
        { "Trouble", VIEW_TEXT, offsetof(RosterView, trouble) },
};

void roster_bus_camera_overdue(Bus *b, const IssueRow *i) {
        int r;

        if (!b->bus)
                return;
        r = sd_bus_emit_signal(b->bus, BUS_ROSTER_PATH, BUS_ROSTER_INTERFACE, "CameraOverdue", "sssx", i->serial, i->officer_id,
                               i->officer_name, i->due_usec);
        if (r < 0)
                log_debug(NULL, "That camera %s should be back cannot be announced: %s", i->serial, strerror(-r));
}

int roster_bus_show(Bus *b) {
        const RosterFollow *follow = manager_roster_follow(b->manager);
        BusRoster *o = b->roster;
        RosterView now = { .number = roster_follow_number(follow), .follows = roster_follow_is_on(follow) };
        int r;

        if (!o->changed)
                return 0;
        r = view_text(&now.trouble, roster_follow_trouble(follow));
        if (r >= 0) {
                o->changed = false;
                view_show(b->bus, BUS_ROSTER_PATH, BUS_ROSTER_INTERFACE, members, ELEMENTSOF(members), &o->view, &now, sizeof(now));
        }
        view_clear(members, ELEMENTSOF(members), &now);
        return r;
}

void roster_bus_changed(Bus *b) {
        b->roster->changed = true;
        bus_wake(b);
}

int roster_bus_new(Bus *b) {
        b->roster = calloc(1, sizeof(*b->roster));
        if (!b->roster)
                return -ENOMEM;
        *b->roster = (BusRoster){ .bus = b, .changed = true };
        return roster_bus_show(b);
}

void roster_bus_free(Bus *b) {
        if (!b->roster)
                return;
        sd_bus_slot_unref(b->roster->slot);
        view_clear(members, ELEMENTSOF(members), &b->roster->view);
        free(b->roster);
        b->roster = NULL;
}

int roster_bus_connect(Bus *b) {
        return sd_bus_add_object_vtable(b->bus, &b->roster->slot, BUS_ROSTER_PATH, BUS_ROSTER_INTERFACE, vtable, b->roster);
}

void roster_bus_disconnect(Bus *b) {
        if (b->roster)
                b->roster->slot = sd_bus_slot_unref(b->roster->slot);
}
