/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The dock: owns its bays, cameras and clips, and the effects that carry out what core/ decides. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "service/bay.h"
#include "service/camera.h"
#include "service/operator.h"
#include "service/clip.h"
#include "model/model.h"
#include "service/settings.h"
#include "store/store.h"

typedef struct Manager Manager;

/* Told, within the change itself, that something changed that the bus shows: it notes it and looks later. */
typedef struct ManagerObserver {
        void (*manager_changed)(void *userdata);
        void (*bay_changed)(void *userdata, Bay *bay);
        /* What is on its way to the store, how far it is, or what waits for it. */
        void (*transfers_changed)(void *userdata);
        void (*camera_added)(void *userdata, Camera *camera);
        void (*camera_changed)(void *userdata, Camera *camera);
        void (*camera_removed)(void *userdata, Camera *camera);
        /* It should be back by now: told once, when that is on record. */
        void (*camera_overdue)(void *userdata, const IssueRow *issue);
        /* The same of one that was taken from another dock of the fleet. */
        void (*fleet_camera_overdue)(void *userdata, const char *serial, const char *dock_id, const char *dock_name, const char *officer_id,
                                     int64_t due_usec);
} ManagerObserver;

/*
 * Opens the state folder and everything in it, starts watching USB and connects to the uplink. `settings` is owned by
 * the caller and outlives the manager; a reload changes it (service/reload.h). On failure `error` says it in one sentence.
 */
int manager_new(sd_event *event, Settings *settings, Manager **ret, ConfError *error);
/* Ends workers, records the stop, and waits for the store. */
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager, manager_free);

/* The system bus, for timedate1; NULL when there is none: the clock then counts as not synchronised. */
void manager_set_bus(Manager *m, sd_bus *bus);
/* One observer; NULL takes it away. */
void manager_set_observer(Manager *m, const ManagerObserver *observer, void *userdata);

const Settings *manager_settings(const Manager *m);
Store *manager_store(Manager *m);
/* The camera models that it goes by. */
const Models *manager_models(const Manager *m);
bool manager_clock_synchronised(const Manager *m);
/* "checking", "whole", "broken", "unchecked": what the proof of the custody chain came to since the start. */
const char *manager_chain_state(const Manager *m);

/* "running", "degraded", "stopping"; the reason is "" when running. */
const char *manager_state(const Manager *m, const char **ret_reason);
/* WIRE_STORE_* or "disconnected". */
const char *manager_store_state(const Manager *m, const char **ret_reason);

/* One point of how the store is: WIRE_VERDICT_*, and a sentence that says what to do unless it is "ok". */
typedef struct ManagerPoint {
        const char *name, *verdict, *text;
} ManagerPoint;
/* Called once; without points when the daemon ends. They end with the call. */
typedef void (*ManagerExamined)(void *userdata, const ManagerPoint *points, size_t n);
int manager_examine(Manager *m, ManagerExamined done, void *userdata);
/* How the rack is, likewise; `done` is called at once. */
void manager_examine_rack(Manager *m, ManagerExamined done, void *userdata);

typedef struct SpoolStatus {
        const char *state; /* "ok", "full", "failing" */
        uint64_t used_bytes, free_bytes;
        uint64_t unstored_clips, unstored_bytes;
        uint64_t holds_sec; /* how long it will do without the store: core/outlook.h */
} SpoolStatus;
void manager_spool_status(const Manager *m, SpoolStatus *ret);

/* What the dock did since the daemon began; each only rises. */
typedef struct Figures {
        uint64_t read_bytes; /* read from cameras */
        uint64_t copied_clips, copied_bytes, stored_clips, stored_bytes, erased_clips;
        uint64_t faults; /* of dockings */
} Figures;
const Figures *manager_figures(const Manager *m);
/* How many clips are on their way to the store now. */
unsigned manager_uploads_under_way(const Manager *m);

/* Who signs the custody log. */
typedef struct Notary Notary;
Notary *manager_notary(const Manager *m);

/* Who has which camera. */
typedef struct Roster Roster;
Roster *manager_roster(Manager *m);
/* All docks of the fleet. */
typedef struct FleetDocks FleetDocks;
FleetDocks *manager_fleet_docks(Manager *m);
typedef struct RosterFollow RosterFollow;
RosterFollow *manager_roster_follow(Manager *m);

/* The fleet's firmware, and the dock's copies of it. */
typedef struct CatalogFollow CatalogFollow;
const CatalogFollow *manager_catalog_follow(const Manager *m);
typedef struct Images Images;
const Images *manager_images(const Manager *m);

/* How it goes out. */
typedef struct Rollouts Rollouts;
const Rollouts *manager_rollouts(const Manager *m);

/* Bays in order of their number. */
Bay *manager_first_bay(Manager *m);
Bay *manager_bay_by_number(Manager *m, unsigned number);
/* Cameras known in this run: docked now, or docked since the start. */
Camera *manager_first_camera(Manager *m);
Camera *manager_camera_by_serial(Manager *m, const char *serial);

/* ---- What operators order ---- */

/* Once, on the loop, when the order is on record and carried out; else `text` says why not. */
typedef void (*ManagerDone)(void *userdata, int result, const char *text);
/* No new upload is begun until resumed, over restarts too; those under way are finished. -EALREADY. */
int manager_pause_uploads(Manager *m, bool pause, const Operator *by, ManagerDone done, void *userdata);
/* The clip goes before all others. -ENOENT, -ESTALE when it has no way to go any more, -EALREADY. */
int manager_send_now(Manager *m, uint64_t clip_id, const Operator *by, ManagerDone done, void *userdata);
/*
 * Nothing of the clip, or (clip_id 0) of the camera of that serial, is deleted until released: not from the spool, not from the camera.
 * A case is a name, or "". Releasing without clip and serial means all holds of the case. -ENOENT: no such clip, -ENODEV: no such
 * camera, -ESRCH: no such hold. That it is so already is no error.
 */
int manager_set_hold(Manager *m, uint64_t clip_id, const char *serial, const char *case_name, const char *reason, const Operator *by,
                     ManagerDone done, void *userdata);
int manager_release_hold(Manager *m, uint64_t clip_id, const char *serial, const char *case_name, const char *reason, const Operator *by,
                         ManagerDone done, void *userdata);
/*
 * Has a clip that is on a docked camera erased from it, in this docking; `not_stored`: even when the store has no receipt for it that
 * the policy accepts. `done` is called when the order is on record. -ENOENT: no such clip; -ENODEV, -EBUSY (not stored), -EPERM (the
 * policy is never), -EROFS (all is held), -ESRCH (nothing may be erased), each with a sentence in *ret_why that the caller frees.
 */
int manager_order_erase(Manager *m, uint64_t clip_id, bool not_stored, const Operator *by, EraseOrderDone done, void *userdata,
                        char **ret_why);
/*
 * A camera that is held back for what was found out about it may be issued, in spite of that. -ENODEV: no such camera, -EALREADY: it is
 * not held back.
 */
int manager_release_camera(Manager *m, const char *serial, const char *reason, const Operator *by, ManagerDone done, void *userdata);
/* Cameras are wanted then (wall), beside what the schedule says; 0: no longer. -EINVAL: it is over, or more than a week away. */
int manager_call_shift(Manager *m, int64_t at_usec, const Operator *by, ManagerDone done, void *userdata);
/* When they are wanted next; 0: nobody said. */
int64_t manager_next_shift(const Manager *m);
bool manager_uploads_are_paused(const Manager *m);
typedef struct UploadStatus {
        unsigned under_way;
        unsigned at_once; /* so many may be, as the store takes them now */
        uint64_t waiting;
} UploadStatus;
void manager_upload_status(const Manager *m, UploadStatus *ret);
/* What is on its way to the store; then by next_going. */
Clip *manager_first_transfer(Manager *m);
/* What is on its way to the store, then what waits, in the order in which it will go. The caller frees the array alone. */
int manager_transfers(Manager *m, Clip ***ret, size_t *ret_n);
