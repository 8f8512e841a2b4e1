/* SPDX-License-Identifier: Apache-2.0 */

/* What people order of the dock, by its own functions. */

#include "property/play.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/flash.h"
#include "service/import.h"

#define TURNS_MAX 200000u

static void ordered(void *userdata, int result, const char *text) {
        (void) text;
        *(int *) userdata = result;
}

static void erase_ordered(void *userdata, int result, const char *text, const EraseOrdered *counts) {
        (void) text;
        (void) counts;
        *(int *) userdata = result;
}

static const Operator somebody = { .uid = 1000, .name = "somebody" };

void order_pause(Dock *d) {
        static int result;

        (void) manager_pause_uploads(d->manager, !manager_uploads_are_paused(d->manager), &somebody, ordered, &result);
}

void order_now(Dock *d, uint32_t a) {
        static int result;

        (void) manager_send_now(d->manager, 1 + a % (world->n_contents + 1), &somebody, ordered, &result);
}

/* A hold counts from its answer on; an erase that is being asked for by then is not stopped any more. */
void order_hold(Dock *d, uint32_t camera) {
        bool set = !world->cameras[camera].held;
        char serial[16];
        int result = 1;
        int r;

        world_serial(camera, serial);
        if (!set)
                world->cameras[camera].held = false;
        r = set ? manager_set_hold(d->manager, 0, serial, "", "a test", &somebody, ordered, &result)
                : manager_release_hold(d->manager, 0, serial, "", "a test", &somebody, ordered, &result);
        if (r < 0)
                return;
        for (unsigned turns = 0; result > 0 && turns < TURNS_MAX; turns++)
                (void) sd_event_run(d->event, 10000);
        if (!set || result != 0)
                return;
        for (uint32_t i = 0; i < world->n_contents; i++)
                world->contents[i].licensed_before_hold = fake_worker_is_erasing(&world->contents[i]);
        world->cameras[camera].held = true;
}

void order_release(Dock *d, uint32_t camera) {
        static int result;
        char serial[16];

        world_serial(camera, serial);
        (void) manager_release_camera(d->manager, serial, "a test", &somebody, ordered, &result);
}

void order_erase(Dock *d, uint32_t a) {
        static int result;
        char *why = NULL;

        (void) manager_order_erase(d->manager, 1 + a % (world->n_contents + 1), false, &somebody, erase_ordered, &result, &why);
        free(why);
}

void order_eject(Dock *d, unsigned bay) {
        static int result;
        const char *why;

        (void) bay_hand_out(manager_bay_by_number(d->manager, bay + 1), &somebody, ordered, &result, &why);
}

/* What berthd says of an import is what its operator goes by: the card is used again. */
static void import_done(void *userdata, int result, const char *text, const ImportCount *count) {
        uint32_t listed[LISTED_MAX];
        size_t n = world_list(FOLDER, listed);

        (void) userdata;
        (void) text;
        if (result < 0 || count->failed > 0)
                return;
        for (size_t i = 0; i < n; i++)
                world->contents[listed[i]].imported = true;
}

static void import_moved(void *userdata, size_t done, size_t total) {
        (void) userdata;
        (void) done;
        (void) total;
}

void order_import(Dock *d, uint32_t b) {
        _cleanup_(fd_closep) int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        Import *import;
        const ImportOrder order = { .name = "card", .source = "/media/card", .folder_id = "a test", .socket = fd };

        if (!d->manager->import)
                for (uint32_t i = 0; i <= b % 2; i++)
                        (void) world_record(FOLDER, b + i, CONTENTS_MAX);
        if (d->manager->import && b % 3 == 0)
                (void) import_cancel(d->manager->import, &somebody);
        else
                (void) manager_import(d->manager, &order, &somebody, import_moved, import_done, NULL, &import);
}

static bool erase_waits(const Docking *d) {
        for (size_t i = 0; i < d->n_clips; i++)
                if (d->clips[i]->erase_licensed && d->current != d->clips[i])
                        return true;
        return false;
}

/* The time between the license and the request is short: an operator at random would hardly ever meet it. */
void hold_when_licensed(Dock *d) {
        if (!world->hold_waits)
                return;
        for (Bay *b = d->manager->bays; b; b = bay_next_in_order(b)) {
                const Docking *docking = bay_docking(b);
                int camera = world_camera_at(bay_port_path(b));

                if (!docking || camera < 0 || world->cameras[camera].held || !erase_waits(docking))
                        continue;
                world->hold_waits = false;
                return order_hold(d, (uint32_t) camera);
        }
}

static void flash_ordered(void *userdata, int result, const FlashEnd *end, const char *text) {
        (void) userdata;
        (void) end;
        (void) result;
        (void) text;
}

static void flash_moved(void *userdata, uint64_t bytes, uint64_t size_bytes) {
        (void) userdata;
        (void) bytes;
        (void) size_bytes;
}

void order_flash(Dock *d, uint32_t camera, uint32_t b) {
        char serial[16], version[12];
        FlashOrder *order;
        char *why = NULL;
        Camera *c;

        world_serial(camera, serial);
        (void) snprintf(version, sizeof(version), "%u", 2 + b % (VERSIONS_MAX - 1));
        c = manager_camera_by_serial(d->manager, serial);
        if (c)
                (void) camera_order_flash(c, version, b % 2, &somebody, flash_moved, flash_ordered, NULL, &order, &why);
        free(why);
}
