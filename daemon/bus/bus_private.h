/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of the bus layer. */

#include <systemd/sd-bus.h>

#include "bus/actions.h"
#include "bus/authority.h"
#include "bus/bus.h"
#include "bus/error.h"

#define BUS_NAME "org.berth.Dock1"
#define BUS_PATH "/org/berth/Dock1"
#define BUS_MANAGER_INTERFACE "org.berth.Dock1.Manager"
#define BUS_BAY_INTERFACE "org.berth.Dock1.Bay"
#define BUS_CAMERA_INTERFACE "org.berth.Dock1.Camera"
#define BUS_ROLLOUT_INTERFACE "org.berth.Dock1.Rollout"
#define BUS_JOB_INTERFACE "org.berth.Dock1.Job"
#define BUS_ROSTER_INTERFACE "org.berth.Dock1.Roster"
#define BUS_TRANSFERS_INTERFACE "org.berth.Dock1.Transfers"
#define BUS_TRANSFER_INTERFACE "org.berth.Dock1.Transfer"
#define BUS_TRANSFER_PATH BUS_PATH "/transfer"
#define BUS_CATALOG_INTERFACE "org.berth.Dock1.Catalog"
#define BUS_FIRMWARE_INTERFACE "org.berth.Dock1.Firmware"
#define BUS_FIRMWARE_PATH BUS_PATH "/firmware"
#define BUS_ROSTER_PATH BUS_PATH "/roster"

typedef struct BusManager BusManager;
typedef struct BusBay BusBay;
typedef struct BusCamera BusCamera;
typedef struct BusRollout BusRollout;
typedef struct BusRoster BusRoster;
typedef struct BusCatalog BusCatalog;
typedef struct BusTransfers BusTransfers;
typedef struct Job Job;

struct Bus {
        sd_event *event;
        Manager *manager;
        sd_bus *bus; /* NULL while there is none */
        Authority *authority;
        sd_bus_slot *object_manager;
        sd_event_source *flush; /* what changed is announced when the change is complete … */
        sd_event_source *later; /* … or, progress, when its time has come */
        sd_event_source *reconnect;

        BusManager *shown;
        BusBay *bays;
        BusCamera *cameras;
        BusRoster *roster;
        BusCatalog *catalog;
        BusTransfers *transfers;
        sd_bus_slot *rollouts, *rollout_nodes;
        BusRollout *rollouts_shown; /* what was announced of them */
        uint64_t rollouts_looked_usec;
        Job *jobs; /* the newest first */
        uint64_t jobs_begun;
};

/* Has the changed objects looked at soon. */
void bus_wake(Bus *b);

/*
 * Each noun's object: made with the dock, put on a connection and taken off it, marked when its noun changed, and
 * shown: a negative errno of *_show is out of memory, and the object is tried again. `*wake_usec` is lowered to when
 * (CLOCK_BOOTTIME) progress may be announced that was held back now.
 */
int manager_bus_new(Bus *b);
void manager_bus_free(Bus *b);
int manager_bus_connect(Bus *b);
void manager_bus_disconnect(Bus *b);
void manager_bus_changed(Bus *b);
/* A bay is in another state: what the manager counts is told along with it. */
void manager_bus_hurry(Bus *b);
/* The signal of the same name. */
void manager_bus_fleet_camera_overdue(Bus *b, const char *serial, const char *dock_id, const char *dock_name, const char *officer_id,
                                      int64_t due_usec);
int manager_bus_show(Bus *b, uint64_t now_usec, uint64_t *wake_usec);

int bay_bus_new_all(Bus *b);
void bay_bus_free_all(Bus *b);
int bay_bus_connect_all(Bus *b);
void bay_bus_disconnect_all(Bus *b);
void bay_bus_changed(Bus *b, const Bay *bay);
int bay_bus_show_all(Bus *b, uint64_t now_usec, uint64_t *wake_usec);
/* "/org/berth/Dock1/bay/7" into `ret`; "/" for NULL. */
#define BAY_PATH_SIZE 40u
const char *bay_bus_path(const Bay *bay, char ret[static BAY_PATH_SIZE]);

int roster_bus_new(Bus *b);
void roster_bus_free(Bus *b);
int roster_bus_connect(Bus *b);
void roster_bus_disconnect(Bus *b);
void roster_bus_changed(Bus *b);
int roster_bus_show(Bus *b);
/* The signal of the same name. */
void roster_bus_camera_overdue(Bus *b, const IssueRow *issue);

int transfer_bus_new(Bus *b);
void transfer_bus_free(Bus *b);
int transfer_bus_connect_all(Bus *b);
void transfer_bus_disconnect_all(Bus *b);
void transfer_bus_changed(Bus *b);
int transfer_bus_show_all(Bus *b, uint64_t now_usec, uint64_t *wake_usec);

/* With the images that it has. */
int catalog_bus_new(Bus *b);
void catalog_bus_free(Bus *b);
int catalog_bus_connect_all(Bus *b);
void catalog_bus_disconnect_all(Bus *b);
void catalog_bus_changed(Bus *b);
int catalog_bus_show(Bus *b);

/* Makes the object when there is none for it yet, and announces it. */
int camera_bus_add(Bus *b, Camera *camera);
void camera_bus_remove(Bus *b, const Camera *camera);
void camera_bus_free_all(Bus *b);
int camera_bus_connect_all(Bus *b);
void camera_bus_disconnect_all(Bus *b);
void camera_bus_changed(Bus *b, const Camera *camera);
int camera_bus_show_all(Bus *b);
/* -ENOMEM; "/" for NULL. The caller frees. */
int camera_bus_path(const Camera *camera, char **ret);

/* Jobs: job.h has what those need who begin them. */
int job_bus_connect_all(Bus *b);
void job_bus_disconnect_all(Bus *b);
/* What is not over then goes on unseen. */
void job_bus_free_all(Bus *b);
int job_bus_show_all(Bus *b, uint64_t now_usec, uint64_t *wake_usec);
/* The action of the method that began the job at this path, and whether it was this user; _ACTION_INVALID: there is no such job. */
Action job_bus_action(const Bus *b, const char *path, uint32_t uid, bool *ret_own);

/* Rollouts are read when they are asked for; what changed of them is looked for four times a second at most. */
int rollout_bus_connect_all(Bus *b);
void rollout_bus_disconnect_all(Bus *b);
int rollout_bus_show_all(Bus *b, uint64_t now_usec, uint64_t *wake_usec);
void rollout_bus_free_all(Bus *b);
