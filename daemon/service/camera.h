/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A camera, known by its serial. It stays known in this run after it left its bay. */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"
#include "core/health.h"
#include "service/operator.h"
#include "service/worker.h"
#include "store/store.h"

typedef struct Camera Camera;
typedef struct Bay Bay;
typedef struct Manager Manager;

/* The camera's own words, the last that it told in any docking: never NULL, "" what it does not tell. */
const char *camera_serial(const Camera *c);
const char *camera_manufacturer(const Camera *c);
const char *camera_model(const Camera *c);
const char *camera_firmware(const Camera *c);
/* The section of cameras.d that it fits; "" when none does any more. */
const char *camera_model_id(const Camera *c);
/* Two cameras showed this serial: nothing that is known of it counts for one of them. */
bool camera_is_ambiguous(const Camera *c);
/* Percent, -1 unknown. */
int camera_battery_percent(const Camera *c);
/* Tenths of a degree Celsius, as last told in this run; false when it does not tell. */
bool camera_temperature(const Camera *c, int *ret_decidegrees);
/* Camera minus dock, as measured before the clock was set; false when never measured. */
bool camera_clock_drift(const Camera *c, int64_t *ret_usec);
/* Wall clock, microseconds since 1970. */
int64_t camera_last_docked_usec(const Camera *c);
/* NULL when it is away. */
Bay *camera_bay(const Camera *c);
/* Whom it is issued to, as it last told; never NULL members, "" where it tells nothing. */
WorkerOwner camera_owner(const Camera *c);
/* The findings of its last judgement, as canonical JSON; "[]". And the worst of them: "good", "notice", "warning", "serious". */
const char *camera_findings(const Camera *c);
const char *camera_health(const Camera *c);
/* Who has it, or whom it was checked out for; NULL: nobody. */
const IssueRow *camera_issue(const Camera *c);
/* Why it is not to be issued, in words; "" when it may be. */
const char *camera_held_back(const Camera *c);

/*
 * Orders about a docked camera. 0: `done` is called later, once, with 0 or -errno and a sentence. Else -ENODEV (it is in no bay),
 * -EBUSY, -EINVAL, and `*ret_why` is a sentence. `by` is on whose word, for the custody log.
 */
typedef void (*CameraDone)(void *userdata, int result, const char *text);
int camera_order_owner(Camera *c, const WorkerOwner *owner, const Operator *by, CameraDone done, void *userdata, const char **ret_why);
/* Takes back what was ordered with this userdata: `done` gets -ECANCELED. -EALREADY with a sentence: the camera is at it. */
int camera_order_withdraw(Camera *c, const void *userdata, const char **ret_why);
int camera_order_confirm(Camera *c, const Operator *by, CameraDone done, void *userdata, const char **ret_why);
/* Has all its clips erased by hand: manager_order_erase(). */
int camera_order_erase(Camera *c, bool not_stored, const Operator *by, EraseOrderDone done, void *userdata, char **ret_why);
Camera *camera_next_in_order(Camera *camera);

/* ---- For the service layer ---- */

uint64_t camera_id(const Camera *c);
Manager *camera_manager(const Camera *c);

typedef struct CameraWords {
        const char *manufacturer, *model, *firmware, *storage_id, *model_id;
} CameraWords;

/* A camera of this serial, which stays the manager's: made and linked into the manager when there is none. */
int camera_get(Manager *m, uint64_t id, const char *serial, Camera **ret);
Camera *camera_free(Camera *c);
/* Copies the words; -ENOMEM. Other words than before are not on record yet. */
int camera_set_words(Camera *c, const CameraWords *words);
/* Whether the database has the camera, with these words; and that it has them now. */
bool camera_is_on_record(const Camera *c);
void camera_note_on_record(Camera *c);
const char *camera_storage_id(const Camera *c);
void camera_set_ambiguous(Camera *c);
void camera_set_battery(Camera *c, int percent);
void camera_set_temperature(Camera *c, bool known, int decidegrees);
void camera_set_drift(Camera *c, int64_t usec);
void camera_set_bay(Camera *c, Bay *bay);
/* What it came to when it was judged: core/health.h. Copies; -ENOMEM. */
int camera_set_health(Camera *c, const char *findings_json, HealthStanding standing, const char *held_back_reason);
HealthStanding camera_standing(const Camera *c);
/* Takes the row over; NULL: nobody has it. */
void camera_set_issue(Camera *c, IssueRow *issue);
/* As read from the camera, or written to it. -ENOMEM. */
int camera_set_owner(Camera *c, const WorkerOwner *owner);
/* The camera of a row, with what the row knows. */
int camera_from_row(Manager *m, const CameraRow *row, Camera **ret);
