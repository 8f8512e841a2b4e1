/* SPDX-License-Identifier: Apache-2.0 */

/* The end of a sequence: no clip is stuck, and no camera. */

#include "property/play.h"

#include "base/text.h"
#include "service/docking.h"

#define SETTLE_ROUNDS 40000u

/* What is in the spool goes to the store although nobody puts its camera in again. */
static bool all_is_stored(const Dock *d) {
        return d->manager->unstored_clips == 0;
}

static bool all_is_locked(const Dock *d) {
        (void) d;
        for (uint32_t i = 0; i < world->n_contents; i++) {
                const Content *c = &world->contents[i];

                if (c->stored && !c->lost_by_store && world->cameras[c->camera].held && !c->locked)
                        return false;
        }
        return true;
}

/* Whatever the store was ever asked to hold, whether or not its answer came. */
static bool all_is_let_go(const Dock *d) {
        for (uint32_t i = 0; i < world->n_contents; i++)
                if (world->contents[i].locked)
                        return false;
        return judge_locks(d->state_dir) == 0;
}

/* Nothing disturbs it any more: it must come to that end. */
static void settle_until(Dock *d, bool (*are)(const Dock *d), const char *failure) {
        for (unsigned round = 0; round < SETTLE_ROUNDS && !are(d); round++)
                if (!go_on(d))
                        break;
        if (!are(d))
                world_fail("%s although all is well", failure);
}

/* Of one kind, for all that are under way at the end: whoever is not asked again then is stuck, and no restart helps it out. */
static void last_trouble(Dock *d) {
        unsigned how = 1 + world->n_contents % (UPLINK_TROUBLES - 1);

        for (size_t n = fake_uplink_pending(); n > 0; n--) {
                fake_uplink_answer(0, how);
                run_until_quiet(d);
        }
}

static void end_trouble(Dock *d) {
        world->crash_in = 0;
        world->hold_waits = world->change_waits = false;
        /* An order may still be on its way to the database. */
        run_until_quiet(d);
        world->scarce = false;
        world->store_up = world->synchronised = true;
        fake_uplink_tell();
        if (manager_uploads_are_paused(d->manager))
                order_pause(d);
        run_until_quiet(d);
        last_trouble(d);
        settle_until(d, all_is_stored, "clips do not get to the store");
        judge_imports();
        settle_until(d, all_is_locked, "what is held is not held in the store");
        for (uint32_t i = 0; i < CAMERAS; i++) {
                /* Its order may be on record although its answer never came. */
                world->cameras[i].held = true;
                order_hold(d, i);
                fake_usb_unplug(i);
        }
        run_until_quiet(d);
}

static bool is_held_back(const Bay *b) {
        const Docking *docking = bay_docking(b);

        return bay_state(b) == BAY_QUARANTINED && docking && docking->camera && camera_held_back(docking->camera);
}

/* Or somebody must look: the store has lost a clip that it had given a receipt for, or the camera is held back. */
static bool camera_is_ready(Dock *d, uint32_t camera, unsigned bay) {
        const Bay *b = manager_bay_by_number(d->manager, bay + 1);
        uint32_t listed[LISTED_MAX];
        size_t n = world_list(camera, listed), lost = 0;

        for (size_t i = 0; i < n; i++)
                lost += world->contents[listed[i]].lost_by_store;
        return lost == n && (bay_state(b) == (n == 0 ? BAY_READY : BAY_QUARANTINED) || (n == 0 && is_held_back(b)));
}

static void check_firmware(const Bay *b, uint32_t camera) {
        const Docking *docking = bay_docking(b);
        char version[12];

        (void) snprintf(version, sizeof(version), "%u", world->cameras[camera].firmware);
        if (!docking || !docking->camera || !text_equal(camera_firmware(docking->camera), version))
                world_fail("camera %u has the firmware %s, and the dock says that it has %s", camera, version,
                           docking && docking->camera ? camera_firmware(docking->camera) : "none");
}

/* Nobody knows which camera it is, and the dock says so. */
static bool is_nobodys(const Bay *b, uint32_t camera) {
        return world->cameras[camera].in_loader && judge_is_superseded(camera) && bay_state(b) == BAY_REFUSED;
}

static void settle_camera(Dock *d, uint32_t camera) {
        /* One in its loader is known by the bay in which it went there. */
        unsigned bay = world->cameras[camera].in_loader ? world->cameras[camera].loader_bay : camera % BAYS;
        const Bay *b = manager_bay_by_number(d->manager, bay + 1);

        fake_usb_plug(camera, bay);
        run_until_quiet(d);
        for (unsigned round = 0; round < SETTLE_ROUNDS; round++) {
                const bool ready = camera_is_ready(d, camera, bay);

                if (ready)
                        check_firmware(b, camera);
                if (ready || is_nobodys(b, camera)) {
                        fake_usb_unplug(camera);
                        return run_until_quiet(d);
                }
                if (!go_on(d))
                        break;
        }
        world_fail("camera %u does not become ready although all is well: the bay is %s (%s)", camera,
                   bay_state_to_string(bay_state(b)), bay_reason(b));
}

void settle(Dock *d) {
        end_trouble(d);
        for (uint32_t i = 0; i < CAMERAS; i++)
                settle_camera(d, i);
        settle_until(d, all_is_let_go, "what is held no more still is held in the store");
        while (fake_uplink_pending() > 0) {
                answer(0, 0);
                run_until_quiet(d);
        }
        judge(d->manager, d->state_dir, true);
        (void) manager_free(d->manager);
        judge(NULL, d->state_dir, false);
}
