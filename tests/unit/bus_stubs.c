/* SPDX-License-Identifier: Apache-2.0 */

/* What the bus layer asks of the floors below and test_bus.c does not play: whole docks do, in tests/integration/test_bus_contract.py. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "service/calibrate.h"
#include "service/notary.h"
#include "base/text.h"
#include "bus/bus.h"
#include "service/catalog_follow.h"
#include "service/flash.h"
#include "service/fleet_docks.h"
#include "service/image.h"
#include "service/fetch.h"
#include "service/import.h"
#include "service/reload.h"
#include "service/rollout.h"
#include "service/roster.h"
#include "service/roster_follow.h"

Notary *manager_notary(const Manager *m) {
        (void) m;
        return NULL;
}

const char *notary_dock_id(const Notary *n) {
        (void) n;
        return "0123456789abcdef0123456789abcdef";
}

const PublicKey *notary_public_key(const Notary *n) {
        static const PublicKey key = { { 1 } };

        (void) n;
        return &key;
}

int notary_order_checkpoint(Notary *n, const Operator *by, ManagerDone done, void *userdata) {
        (void) n;
        (void) by;
        (void) done;
        (void) userdata;
        return -ENOMEM;
}

int notary_order_rotation(Notary *n, const Operator *by, ManagerDone done, void *userdata) {
        return notary_order_checkpoint(n, by, done, userdata);
}

Store *manager_store(Manager *m) {
        (void) m;
        return NULL;
}

Clip *manager_clip(Manager *m, uint64_t id) {
        (void) m;
        (void) id;
        return NULL;
}

bool manager_uploads_are_paused(const Manager *m) {
        (void) m;
        return false;
}

int manager_transfers(Manager *m, Clip ***ret, size_t *ret_n) {
        (void) m;
        *ret = NULL;
        *ret_n = 0;
        return 0;
}

int manager_reload(Manager *m, const Operator *by, ReloadDone done, void *userdata, ConfError *error) {
        (void) m, (void) by, (void) done, (void) userdata, (void) error;
        return -EOPNOTSUPP;
}

/* What they are is for whole docks: tests/integration/test_bus_contract.py. */
const Figures *manager_figures(const Manager *m) {
        static const Figures none;

        (void) m;
        return &none;
}

unsigned manager_uploads_under_way(const Manager *m) {
        (void) m;
        return 0;
}

/* Orders are for whole docks: tests/integration/test_uploads.py. */
int camera_order_erase(Camera *c, bool not_stored, const Operator *by, EraseOrderDone done, void *userdata, char **ret_why) {
        (void) c, (void) not_stored, (void) by, (void) done, (void) userdata, (void) ret_why;
        return -EOPNOTSUPP;
}

int manager_order_erase(Manager *m, uint64_t clip_id, bool not_stored, const Operator *by, EraseOrderDone done, void *userdata,
                        char **ret_why) {
        (void) m, (void) clip_id, (void) not_stored, (void) by, (void) done, (void) userdata, (void) ret_why;
        return -EOPNOTSUPP;
}

int manager_import(Manager *m, const ImportOrder *order, const Operator *by, ImportMoved moved, ImportDone done, void *userdata,
                   Import **ret) {
        (void) m, (void) order, (void) by, (void) moved, (void) done, (void) userdata, (void) ret;
        return -EOPNOTSUPP;
}

int import_cancel(Import *i, const Operator *by) {
        (void) i, (void) by;
        return -EALREADY;
}

int manager_fetch_clip(Manager *m, uint64_t clip_id, int fd, const Operator *by, FetchMoved moved, FetchDone done, void *userdata,
                       Fetch **ret) {
        (void) moved, (void) ret;
        (void) m, (void) clip_id, (void) fd, (void) by, (void) done, (void) userdata;
        return -EOPNOTSUPP;
}

void fetch_stop(Fetch *f) {
        (void) f;
}

int manager_set_hold(Manager *m, uint64_t clip_id, const char *serial, const char *case_name, const char *reason, const Operator *by,
                     ManagerDone done, void *userdata) {
        (void) m, (void) clip_id, (void) serial, (void) case_name, (void) reason, (void) by, (void) done, (void) userdata;
        return -EOPNOTSUPP;
}

int manager_release_hold(Manager *m, uint64_t clip_id, const char *serial, const char *case_name, const char *reason, const Operator *by,
                         ManagerDone done, void *userdata) {
        (void) m, (void) clip_id, (void) serial, (void) case_name, (void) reason, (void) by, (void) done, (void) userdata;
        return -EOPNOTSUPP;
}

int manager_pause_uploads(Manager *m, bool pause, const Operator *by, ManagerDone done, void *userdata) {
        (void) m;
        (void) pause;
        (void) by;
        (void) done;
        (void) userdata;
        return -EALREADY;
}

int manager_send_now(Manager *m, uint64_t clip_id, const Operator *by, ManagerDone done, void *userdata) {
        (void) m;
        (void) clip_id;
        (void) by;
        (void) done;
        (void) userdata;
        return -ENOENT;
}

const char *manager_chain_state(const Manager *m) {
        (void) m;
        return "whole";
}

bool manager_clock_synchronised(const Manager *m) {
        (void) m;
        return true;
}

const char *manager_store_state(const Manager *m, const char **ret_reason) {
        (void) m;
        *ret_reason = "";
        return "ready";
}

int manager_examine(Manager *m, ManagerExamined done, void *userdata) {
        const ManagerPoint point = { "store", "ok", "" };

        (void) m;
        done(userdata, &point, 1);
        return 0;
}

void manager_examine_rack(Manager *m, ManagerExamined done, void *userdata) {
        (void) m;
        done(userdata, NULL, 0);
}

unsigned bay_number(const Bay *b) {
        (void) b;
        return 7;
}

const char *bay_port_path(const Bay *b) {
        (void) b;
        return "1-1.7";
}

unsigned bay_faults(const Bay *b) {
        (void) b;
        return 0;
}

Light bay_light(const Bay *b) {
        (void) b;
        return LIGHT_EMPTY;
}

int bay_point_at(Bay *b, uint64_t usec) {
        (void) b;
        (void) usec;
        return 0;
}

uint64_t bay_retry_at_usec(const Bay *b) {
        (void) b;
        return 0;
}

int bay_flash_percent(const Bay *b, const char **ret_version) {
        (void) b;
        *ret_version = "";
        return -1;
}

void bay_charge(const Bay *b, ChargeStatus *ret) {
        (void) b;
        *ret = (ChargeStatus) { .power = true, .why = "empty", .percent = -1, .minutes_to_full = -1 };
}

int bay_hand_out(Bay *b, const Operator *by, BayHandedOut done, void *userdata, const char **ret_why) {
        (void) b;
        (void) by;
        (void) done;
        (void) userdata;
        *ret_why = "nothing is in it";
        return -ENODEV;
}

int calibrate_bay(Bay *bay, const Operator *by, ManagerDone done, void *userdata, Calibration **ret, const char **ret_why) {
        (void) ret;
        (void) bay;
        (void) by;
        (void) done;
        (void) userdata;
        *ret_why = "nothing is measured here";
        return -ENODEV;
}

int calibration_cancel(Calibration *c) {
        (void) c;
        return -EALREADY;
}

int64_t manager_next_shift(const Manager *m) {
        (void) m;
        return 0;
}

int manager_call_shift(Manager *m, int64_t at_usec, const Operator *by, ManagerDone done, void *userdata) {
        (void) m;
        (void) at_usec;
        (void) by;
        (void) done;
        (void) userdata;
        return -EINVAL;
}

const HotplugDevice *bay_device(const Bay *b, const UsbShape **ret_shape) {
        (void) b;
        (void) ret_shape;
        return NULL;
}

const Models *manager_models(const Manager *m) {
        static const Models none;

        (void) m;
        return &none;
}

const char *bay_identity(const Bay *b) {
        (void) b;
        return "";
}

Bay *bay_next_in_order(Bay *b) {
        (void) b;
        return NULL;
}

const char *camera_manufacturer(const Camera *c) {
        (void) c;
        return "";
}

const char *camera_firmware(const Camera *c) {
        (void) c;
        return "";
}

const char *camera_model_id(const Camera *c) {
        (void) c;
        return "";
}

bool camera_is_ambiguous(const Camera *c) {
        (void) c;
        return false;
}

bool camera_temperature(const Camera *c, int *ret_decidegrees) {
        (void) c;
        (void) ret_decidegrees;
        return false;
}

bool camera_clock_drift(const Camera *c, int64_t *ret_usec) {
        (void) c;
        (void) ret_usec;
        return false;
}

const CatalogFollow *manager_catalog_follow(const Manager *m) {
        (void) m;
        return NULL;
}

const Images *manager_images(const Manager *m) {
        (void) m;
        return NULL;
}

bool catalog_follow_is_on(const CatalogFollow *f) {
        (void) f;
        return false;
}

const Catalog *catalog_follow_newest(const CatalogFollow *f) {
        (void) f;
        return NULL;
}

const Rollouts *manager_rollouts(const Manager *m) {
        (void) m;
        return NULL;
}

Rollout *rollouts_first(const Rollouts *r) {
        (void) r;
        return NULL;
}

Rollout *rollout_next_in_order(const Rollout *r) {
        (void) r;
        return NULL;
}

const RolloutOrder *rollout_order(const Rollout *r) {
        (void) r;
        return NULL;
}

const RolloutCounts *rollout_counts(const Rollout *r) {
        (void) r;
        return NULL;
}

const char *rollout_state(const Rollout *r) {
        (void) r;
        return "";
}

const char *rollout_trouble(const Rollout *r) {
        (void) r;
        return "";
}

RolloutUnit *rollout_first_unit(const Rollout *r) {
        (void) r;
        return NULL;
}

RolloutUnit *rollout_unit_next(const RolloutUnit *u) {
        (void) u;
        return NULL;
}

void rollout_unit_view(const RolloutUnit *u, RolloutUnitView *ret) {
        (void) u;
        *ret = (RolloutUnitView){ .serial = "", .state = "", .code = "", .why = "" };
}

bool images_has(const Images *i, const CatalogImage *image) {
        (void) i;
        (void) image;
        return false;
}

RosterFollow *manager_roster_follow(Manager *m) {
        (void) m;
        return NULL;
}

int roster_publish(RosterFollow *f, const char *file, ManagerDone done, void *userdata, ConfError *error) {
        (void) f;
        (void) file;
        (void) done;
        (void) userdata;
        (void) error;
        return -ENOSYS;
}

FleetDocks *manager_fleet_docks(Manager *m) {
        (void) m;
        return NULL;
}

int fleet_docks_cameras(FleetDocks *f, FleetCamera **ret, size_t *ret_n, FleetDock **ret_docks) {
        (void) f;
        (void) ret;
        (void) ret_n;
        (void) ret_docks;
        return -ENOSYS;
}

Roster *manager_roster(Manager *m) {
        (void) m;
        return NULL;
}

int roster_import(Roster *r, const json_t *officers, const char *source, const Operator *by, ManagerDone done, void *userdata) {
        (void) r;
        (void) officers;
        (void) source;
        (void) by;
        (void) done;
        (void) userdata;
        return -ENOSYS;
}

int roster_assign(Roster *r, const char *officer_id, const char *serial, const Operator *by, ManagerDone done, void *userdata) {
        (void) officer_id;
        return roster_import(r, NULL, serial, by, done, userdata);
}

int roster_checkout(Roster *r, const char *officer, const Operator *by, RosterCheckoutDone done, void *userdata, Checkout **ret,
                    const char **ret_why) {
        (void) done, (void) ret;
        *ret_why = "nothing is here";
        return roster_import(r, NULL, officer, by, NULL, userdata);
}

int roster_checkout_withdraw(Checkout *c, const char **ret_why) {
        (void) c, (void) ret_why;
        return -EALREADY;
}

bool roster_follow_is_on(const RosterFollow *f) {
        (void) f;
        return false;
}

uint64_t roster_follow_number(const RosterFollow *f) {
        (void) f;
        return 0;
}

const char *roster_follow_trouble(const RosterFollow *f) {
        (void) f;
        return "";
}

uint64_t images_revision(const Images *i) {
        (void) i;
        return 0;
}

int roster_cancel(Roster *r, const char *serial, const Operator *by, ManagerDone done, void *userdata) {
        return roster_import(r, NULL, serial, by, done, userdata);
}

Camera *manager_camera_by_serial(Manager *m, const char *serial) {
        (void) m;
        (void) serial;
        return NULL;
}

int manager_release_camera(Manager *m, const char *serial, const char *reason, const Operator *by, ManagerDone done, void *userdata) {
        (void) m;
        (void) serial;
        (void) reason;
        (void) by;
        (void) done;
        (void) userdata;
        return -ENODEV;
}

const char *camera_health(const Camera *c) {
        (void) c;
        return "good";
}

const char *camera_held_back(const Camera *c) {
        (void) c;
        return "";
}

WorkerOwner camera_owner(const Camera *c) {
        (void) c;
        return (WorkerOwner){ (char *) "", (char *) "", (char *) "", (char *) "" };
}

int camera_order_withdraw(Camera *c, const void *userdata, const char **ret_why) {
        (void) c, (void) userdata, (void) ret_why;
        return -EALREADY;
}

int camera_order_owner(Camera *c, const WorkerOwner *owner, const Operator *by, CameraDone done, void *userdata, const char **ret_why) {
        (void) c;
        (void) owner;
        (void) by;
        (void) done;
        (void) userdata;
        *ret_why = "no camera";
        return -ENODEV;
}

int camera_order_confirm(Camera *c, const Operator *by, CameraDone done, void *userdata, const char **ret_why) {
        return camera_order_owner(c, NULL, by, done, userdata, ret_why);
}

int camera_order_flash(Camera *c, const char *version, bool in_spite, const Operator *by, FlashMoved moved, FlashOrderDone done,
                       void *userdata, FlashOrder **ret, char **ret_why) {
        (void) moved;
        (void) ret;
        (void) c;
        (void) version;
        (void) in_spite;
        (void) by;
        (void) done;
        (void) userdata;
        (void) ret_why;
        return -ENOSYS;
}

int flash_order_cancel(FlashOrder *o) {
        (void) o;
        return -EALREADY;
}

const char *flash_outcome_to_string(FlashOutcome o) {
        (void) o;
        return "ok";
}

int64_t camera_last_docked_usec(const Camera *c) {
        (void) c;
        return -1;
}
