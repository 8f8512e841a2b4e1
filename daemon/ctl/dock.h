/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The dock as its bus objects show it. One table per interface (property.c) says which property becomes which
 * member and which JSON key.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "ctl/rate.h"

#define DOCK_BUS_NAME "org.berth.Dock1"
#define DOCK_PATH "/org/berth/Dock1"
#define DOCK_MANAGER_INTERFACE "org.berth.Dock1.Manager"
#define DOCK_BAY_INTERFACE "org.berth.Dock1.Bay"
#define DOCK_CAMERA_INTERFACE "org.berth.Dock1.Camera"
#define DOCK_ROLLOUT_INTERFACE "org.berth.Dock1.Rollout"
#define DOCK_CATALOG_INTERFACE "org.berth.Dock1.Catalog"
#define DOCK_FIRMWARE_INTERFACE "org.berth.Dock1.Firmware"
#define DOCK_TRANSFERS_INTERFACE "org.berth.Dock1.Transfers"
#define DOCK_JOB_INTERFACE "org.berth.Dock1.Job"
#define DOCK_ROSTER_INTERFACE "org.berth.Dock1.Roster"
#define DOCK_E_INVALID_ARGUMENT "org.berth.Dock1.Error.InvalidArgument"

/* Strings are never NULL. */
typedef struct DockManager {
        char *version, *dock_name, *dock_id, *dock_key, *fleet, *state, *reason, *store_state, *store_reason, *spool_state, *chain_state;
        uint64_t spool_used_bytes, spool_free_bytes, unstored_clips, unstored_bytes;
        int64_t spool_holds_sec; /* -1: unknown */
        int64_t next_shift_usec; /* 0: nobody said */
        bool clock_synchronised, uploads_paused;
} DockManager;

typedef struct DockBay {
        char *object_path;
        uint32_t number;
        char *port_path, *state, *light, *reason, *camera_path, *serial, *model;
        int32_t battery_percent; /* -1 unknown */
        bool power, ready_in_time;
        char *charge;
        int32_t charge_percent, minutes_to_full; /* -1 unknown */
        int64_t ready_at_usec; /* 0 unknown */
        uint32_t clips_total, clips_copied, clips_stored, clips_erased, faults;
        uint64_t bytes_total, bytes_copied, bytes_stored, retry_at_usec;
        char *current_clip, *identity, *flash_version;
        int32_t flash_percent; /* of the firmware that its camera is given; -1: none */
        Rate copying; /* of bytes_copied, as seen from here */
        char *told;   /* what a watcher last said about it; NULL: nothing */
} DockBay;

typedef struct DockCamera {
        char *object_path;
        char *serial, *manufacturer, *model, *firmware, *model_id;
        char *officer_id, *officer_name, *unit_id, *unit_name;
        char *health, *held_back;
        int32_t battery_percent; /* -1 unknown */
        char *bay_path;
        int64_t clock_drift_usec;
        bool clock_drift_known;
        int64_t temperature_decidegrees; /* tenths of a degree Celsius */
        bool temperature_known;
        uint64_t last_docked_usec;
        bool ambiguous;
} DockCamera;

typedef struct Dock {
        bool present; /* the daemon answered, and has not gone since; else this is what it last said */
        DockManager manager;
        DockBay **bays; /* in order of their number */
        size_t n_bays;
        DockCamera **cameras; /* in order of their serial */
        size_t n_cameras;
} Dock;

/* Which object a message was about. */
typedef enum DockNoun { DOCK_NOTHING, DOCK_MANAGER, DOCK_BAY, DOCK_CAMERA } DockNoun;
typedef struct DockChange {
        DockNoun noun;
        DockBay *bay;
        DockCamera *camera;
} DockChange;

int dock_new(Dock **ret);
Dock *dock_free(Dock *d);
DEFINE_CLEANUP(Dock, dock_free);

/* Reads the answer of Properties.GetAll of the manager. -EBADMSG when it is not one. */
int dock_load_manager(Dock *d, sd_bus_message *reply);
/* Reads the answer of GetManagedObjects into a new dock, which is then present. -EBADMSG when it is not one. */
int dock_load_objects(Dock *d, sd_bus_message *reply);
/* Moves the manager, and what a watcher remembers of the bays (`told`, `copying`), from what was known before. */
void dock_inherit(Dock *d, Dock *before);
/* PropertiesChanged of `path`, InterfacesAdded. Objects and properties that are not known are passed over. */
int dock_properties_changed(Dock *d, sd_bus_message *signal, DockChange *ret);
int dock_interfaces_added(Dock *d, sd_bus_message *signal, DockChange *ret);
/* InterfacesRemoved: the object is taken out and is the caller's to free. */
int dock_interfaces_removed(Dock *d, sd_bus_message *signal, DockChange *ret);

DockBay *dock_bay_free(DockBay *b);
DockCamera *dock_camera_free(DockCamera *c);
/* NULL when there is none at this object path. */
DockBay *dock_find_bay(const Dock *d, const char *object_path);

/* What a bay is doing, as far as a watcher cares. */
bool dock_bay_is_working(const DockBay *b);
