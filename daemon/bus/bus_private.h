/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of the bus layer. */

#include <systemd/sd-bus.h>

#include "bus/authority.h"
#include "bus/bus.h"

#define BUS_NAME "org.berth.Dock1"
#define BUS_PATH "/org/berth/Dock1"
#define BUS_MANAGER_INTERFACE "org.berth.Dock1.Manager"
#define BUS_BAY_INTERFACE "org.berth.Dock1.Bay"
#define BUS_CAMERA_INTERFACE "org.berth.Dock1.Camera"
#define BUS_ROLLOUT_INTERFACE "org.berth.Dock1.Rollout"
#define BUS_E_INVALID_ARGUMENT "org.berth.Dock1.Error.InvalidArgument"
#define BUS_E_FAILED "org.berth.Dock1.Error.Failed"
#define BUS_E_NOT_AUTHORISED "org.berth.Dock1.Error.NotAuthorised"
#define BUS_E_NO_SUCH_CAMERA "org.berth.Dock1.Error.NoSuchCamera"
#define BUS_E_NO_SUCH_CLIP "org.berth.Dock1.Error.NoSuchClip"
#define BUS_E_TOO_LATE "org.berth.Dock1.Error.TooLate"
#define BUS_E_NOT_STORED "org.berth.Dock1.Error.NotStored"
#define BUS_E_BUSY "org.berth.Dock1.Error.Busy"
#define BUS_E_NO_SUCH_OFFICER "org.berth.Dock1.Error.NoSuchOfficer"
#define BUS_E_NO_CAMERA "org.berth.Dock1.Error.NoCamera"

typedef struct BusManager BusManager;
typedef struct BusBay BusBay;
typedef struct BusCamera BusCamera;

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
        sd_bus_slot *rollouts, *rollout_nodes;
        size_t rollouts_shown; /* so many were announced */
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
void manager_bus_camera_overdue(Bus *b, const IssueRow *issue);
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

/* Rollouts are read when they are asked for. */
int rollout_bus_connect_all(Bus *b);
void rollout_bus_disconnect_all(Bus *b);
void rollout_bus_show(Bus *b);
