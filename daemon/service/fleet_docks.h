/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The other docks of the fleet, by what they sign and put into the store of themselves (service/dock_status.h): read again at a steady
 * rhythm, and before it is said of a camera that it should be back. What is shown is derived anew from what they told last; the one thing
 * that is decided by it, that a camera came back somewhere else, is recorded by the roster.
 */

#include "base/dock_report.h"
#include "base/statement.h"
#include "core/whereabouts.h"
#include "service/manager.h"

typedef struct FleetDock {
        char id[DOCK_ID_SIZE];
        char *name;         /* by its own word, else the list's; for people */
        bool own;
        DockReport *report; /* NULL: none was ever read */
        char *trouble;      /* why what lies there now does not count; "" */
        uint64_t seq;
        bool listed;
        struct FleetDock *next;
} FleetDock;

typedef struct FleetDocks FleetDocks;

/* After the list of the fleet's docks. */
int fleet_docks_new(Manager *m, FleetDocks **ret);
FleetDocks *fleet_docks_free(FleetDocks *f);
DEFINE_CLEANUP(FleetDocks, fleet_docks_free);

/*
 * The first of all docks, linked: this one, as it is now, and those of the fleet's list by their ids. Valid until the event loop goes on.
 */
int fleet_docks_all(FleetDocks *f, FleetDock **ret);

/* A camera that some dock knows of, and what is known of it. Its pointers live as long as the docks. */
typedef struct FleetCamera {
        const char *serial;
        const FleetDock *dock;         /* that saw it last */
        const ReportedCamera *seen;    /* ... and what that one says */
        const FleetDock *out_from;     /* NULL: it is not out */
        const ReportedCamera *out;
        Whereabouts at;
} FleetCamera;

/* All of them, by their serials; the caller frees the array. `ret_docks`, which may be NULL: as fleet_docks_all(). */
int fleet_docks_cameras(FleetDocks *f, FleetCamera **ret, size_t *ret_n, FleetDock **ret_docks);

/* Another dock saw this camera after that time: which one, and when; else NULL. */
const FleetDock *fleet_docks_seen(const FleetDocks *f, const char *serial, int64_t after_usec, int64_t *ret_usec);

/*
 * The officer who took this camera from another dock, and has not brought it back there, by what that dock told last: the newest taking
 * before that time, unless any other dock saw the camera in between. NULL when none tells of one. The texts live as long as the docks.
 */
const FleetDock *fleet_docks_taken(const FleetDocks *f, const char *serial, int64_t before_usec, const char **ret_officer_id);

/*
 * Is what the other docks say of the time until `due_usec` known, or cannot be known by now? When not, they are asked, and roster_look() is
 * called once it is.
 */
bool fleet_docks_know(FleetDocks *f, int64_t due_usec, int64_t now_usec);
