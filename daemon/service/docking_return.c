/* SPDX-License-Identifier: Apache-2.0 */

/* Who came back: the identity of a camera in its storage mode, and what holds its clips until that is certain. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/return.h"
#include "service/docking.h"
#include "service/manager_private.h"

/* ---- A daemon that was restarted meanwhile -------------------------------------------------------------------------- */

/*
 * The device in a bay may be a camera that an earlier run of the daemon sent into its storage mode: by the same rule, from
 * the facts. When it appeared, udev tells.
 */
static int find_switch(const Docking *d, SwitchRow **ret, const Model **ret_command) {
        _cleanup_(switch_row_freep) SwitchRow *row = NULL;
        const Model *command;
        ReturnTiming timing;
        Moment now;
        int r;

        r = store_switch(d->manager->store, bay_port_path(d->bay), &row);
        if (r < 0)
                return r;
        manager_moment(d->manager, &now);
        command = models_find(d->manager->models, row->model_id);
        timing = (ReturnTiming){
                .same_boot = text_equal(row->boot_id, now.boot_id),
                .model_expected = command && model_returns_as(command, d->model->id),
                .begun_usec = row->begun_boottime_usec,
                .until_usec = row->until_boottime_usec,
                .appeared_usec = d->device->appeared_usec,
        };
        if (!return_is_in_time(&timing))
                return -ENOENT;
        *ret = TAKE_PTR(row);
        *ret_command = command;
        return 0;
}

int docking_inherit(Docking *d) {
        _cleanup_(switch_row_freep) SwitchRow *change = NULL;
        _cleanup_(camera_row_freep) CameraRow *row = NULL;
        const Model *command = NULL;
        Camera *camera;
        int r;

        r = find_switch(d, &change, &command);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = store_camera(d->manager->store, change->camera_id, &row);
        if (r < 0)
                return r;
        r = camera_from_row(d->manager, row, &camera);
        if (r < 0)
                return r;
        d->camera = camera;
        d->command_model = command;
        d->switch_docking_id = change->docking_id;
        d->behind = true;
        d->identity = IDENTITY_PORT;
        /* Its footage was settled, and it shows its storage no more. */
        d->emptied = d->ejected = change->ejected;
        d->port_power = bay_has_port_power(d->bay);
        camera_set_bay(camera, d->bay);
        return 1;
}

/* ---- What its storage is known by ------------------------------------------------------------------------------------ */

/* The serial of the device and the id of its volume together: each alone is the same on many cameras of some makers. */
static void storage_id_of(const Docking *d, const WorkerIdentity *id, char ret[static DOCKING_STORAGE_ID_SIZE]) {
        const char *serial = return_id_is_telling(id->serial)               ? id->serial
                             : return_id_is_telling(d->device->usb_serial) ? d->device->usb_serial
                                                                           : "";
        const char *volume = return_id_is_telling(id->storage_id) ? id->storage_id : "";

        (void) snprintf(ret, DOCKING_STORAGE_ID_SIZE, "%s%s%s", serial, *serial && *volume ? " " : "", volume);
}

static int judge(const Docking *d, const char *found, const CameraRow *row, ReturnVerdict *ret) {
        int other = store_behind_of_other(d->manager->store, found, row->id);

        if (other < 0)
                return other;
        *ret = return_verdict(&(ReturnFacts){
                .found = found,
                .recorded = row->behind_id,
                .confirmed = row->behind_confirmed,
                .this_change = row->behind_docking_id == d->switch_docking_id,
                .of_another = other,
        });
        return 0;
}

static void identity_recorded(Docking *d, Clip *clip, int result) {
        (void) clip;
        if (!d || !d->worker)
                return;
        if (result < 0)
                return docking_trouble(d, result, "the database cannot be written");
        d->identified = true;
        docking_step_done(d);
}

static int record_identity(Docking *d, const char *found) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        Fact fact;
        int r;

        r = store_batch_new(&batch);
        if (r < 0)
                return r;
        if (!d->identity_known) {
                fact = docking_fact(d, FACT_STORAGE_IDENTIFIED, NULL);
                fact.storage.identity = d->identity;
                fact.storage.storage_id = found;
                fact.storage.switch_docking_id = d->switch_docking_id;
                r = store_batch_add(batch, &fact);
        }
        if (r >= 0) {
                fact = docking_fact(d, FACT_IDENTIFIED, NULL);
                r = store_batch_add(batch, &fact);
        }
        if (r >= 0)
                r = docking_commit(d, TAKE_PTR(batch), NULL, identity_recorded);
        return r;
}

static void first_look(Docking *d, const char *found) {
        static const DockingIdentity identities[] = {
                [RETURN_BY_PORT] = IDENTITY_PORT, [RETURN_OTHER] = IDENTITY_OTHER, [RETURN_RECOGNISED] = IDENTITY_STORAGE,
        };
        _cleanup_(camera_row_freep) CameraRow *row = NULL;
        ReturnVerdict verdict;
        int r;

        r = store_camera(d->manager->store, camera_id(d->camera), &row);
        if (r >= 0)
                r = judge(d, found, row, &verdict);
        if (r < 0)
                return docking_trouble(d, r, "the camera cannot be looked up in the database");
        d->identity = identities[verdict];
        r = record_identity(d, found);
        if (r < 0)
                return docking_trouble(d, r, "the camera's return cannot be recorded");
        d->identity_known = true;
        (void) snprintf(d->storage_id, sizeof(d->storage_id), "%s", found);
        if (verdict == RETURN_OTHER)
                docking_quarantine(d, "the device that came back has the storage '%s', which is not the one of camera %s%s%s%s; nothing is "
                                      "read from it. Take it out and put each camera in by itself; when its card was exchanged: "
                                      "berthctl camera confirm %s", found, camera_serial(d->camera), *row->behind_id ? " ('" : "",
                                   row->behind_id, *row->behind_id ? "')" : "", camera_serial(d->camera));
}

void docking_storage_known(Docking *d, const WorkerIdentity *id) {
        const Docking *twin = docking_twin(d, camera_serial(d->camera));
        char found[DOCKING_STORAGE_ID_SIZE];
        int r;

        storage_id_of(d, id, found);
        if (twin)
                return docking_twins(d, (Docking *) twin, d->camera);
        if (!d->identity_known)
                return first_look(d, found);
        /* A session that began anew with the same device. */
        if (!text_equal(found, d->storage_id))
                return docking_quarantine(d, "its storage is now '%s', before it was '%s', without having left the bay", found,
                                          d->storage_id);
        r = record_identity(d, found);
        if (r < 0)
                docking_trouble(d, r, "the camera's return cannot be recorded");
}

/* ---- Somebody vouches for it -------------------------------------------------------------------------------------- */

bool docking_is_by_port(const Docking *d) {
        return d->behind && d->identity != IDENTITY_STORAGE;
}

static void confirmed(Docking *d, Clip *clip, int result) {
        LogAbout about;

        (void) clip;
        if (!d)
                return;
        about = docking_about(d);
        if (result < 0) {
                log_warning(&about, "Its identity was not confirmed: %s", store_last_refusal(d->manager->store));
                docking_order_done(d, DOCKING_ORDER_CONFIRM, result, store_last_refusal(d->manager->store));
                return;
        }
        log_notice(&about, "Its identity was confirmed");
        if (d->identity == IDENTITY_OTHER)
                d->quarantined = false;
        d->identity = IDENTITY_STORAGE;
        docking_order_done(d, DOCKING_ORDER_CONFIRM, 0, NULL);
        bay_changed(d->bay);
        docking_kick(d);
}

int docking_confirm(Docking *d, const Operator *by, DockingOrderDone done, void *userdata, const char **ret_why) {
        Fact fact = docking_fact(d, FACT_IDENTITY_CONFIRMED, NULL);
        int r;

        if (!docking_is_by_port(d) || !d->identity_known || !d->device) {
                *ret_why = "nothing is to be confirmed: the camera is not in its storage mode, or is known well enough";
                return -ESTALE;
        }
        r = docking_order_new(d, DOCKING_ORDER_CONFIRM, done, userdata, ret_why);
        if (r < 0)
                return r;
        fact.by_operator = true;
        fact.operator_uid = by->uid;
        fact.operator_name = by->name;
        r = docking_commit_fact(d, &fact, NULL, confirmed);
        if (r < 0) {
                docking_order_cancel(d);
                *ret_why = "the confirmation cannot be recorded";
        }
        return r;
}
