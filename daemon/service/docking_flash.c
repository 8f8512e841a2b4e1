/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A docking whose camera is flashed: it is sent into its loader, leaves the bus, comes back as that, and, when it was given its firmware,
 * as the camera that it is. The docking goes on all the while; what is sent, and when, is the flash's (flash.c).
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "service/charging.h"
#include "service/flash_folder.h"
#include "service/flash_private.h"

/* So many are named. */
#define MAY_BE_MAX 4u

bool docking_may_flash(const Docking *d) {
        return bay_state(d->bay) == BAY_READY && docking_may_rest(d) && !d->resting && !d->waking && !d->gauging;
}

void docking_flash_begins(Docking *d, Flash *f) {
        d->flash = f;
        d->updating = true;
        f->docking = d;
        docking_kick(d);
        charging_kick(d->manager->charging);
}

/* ---- Into its loader -------------------------------------------------------------------------------------------------- */

static void let_go(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        (void) result;
        (void) text;
        d->worker = worker_free(d->worker);
        docking_step_done(d);
        if (!d->flash)
                return;
        d->flash->entering = false;
        flash_kick(d->flash);
}

static void end_session(Docking *d) {
        if (worker_close(d->worker, let_go) < 0)
                let_go(d, WORKER_OK, NULL);
}

static void failed(Docking *d, WorkerResult result, const char *text) {
        Flash *f = d->flash;

        if (!f)
                return docking_fault(d, result, text);
        d->worker = worker_free(d->worker);
        docking_step_done(d);
        docking_flash_interrupted(d, text);
}

void docking_flash_interrupted(Docking *d, const char *text) {
        Flash *f = d->flash;

        if (!f || !f->entering)
                return;
        f->entering = false;
        /* It is what it was. */
        free(f->came_back);
        f->came_back = strdup(f->row->from_version);
        flash_cut_short(f, text);
}

static void update_entered(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;
        LogAbout about = { .bay = bay_name(d->bay), .camera = d->camera ? camera_serial(d->camera) : NULL };

        /* It may leave so fast that its answer does not get through, or its worker die over it: whether it went where it was sent, its
         * return tells, or that it stays. */
        if (result != WORKER_OK && result != WORKER_UNPLUGGED && !worker_result_is_fatal(result))
                return failed(d, result, text);
        if (worker_result_is_fatal(result))
                log_warning(&about, "Nobody knows whether it goes into its loader: %s; it is waited for", text ? text : "no answer");
        end_session(d);
}

static void opened(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        if (result != WORKER_OK)
                return failed(d, result, text);
        if (worker_enter_update(d->worker, update_entered) < 0)
                failed(d, WORKER_DIED, "the worker cannot be called");
}

void docking_enter_update(Docking *d) {
        d->busy = d->flash->entering = true;
        (void) docking_spawn(d, opened);
}

/* ---- Off the bus, and back -------------------------------------------------------------------------------------------- */

bool docking_flash_left(Docking *d) {
        Fact fact = docking_fact(d, FACT_LEFT, NULL);

        if (!d->flash || !d->updating)
                return false;
        fact.text = d->flash->drops       ? "it restarts, or was taken out, in the middle of an update" :
                    d->flash->in_loader ? "it leaves its loader" :
                                          "it goes into its loader";
        (void) docking_commit_fact(d, &fact, NULL, NULL);
        d->flash->in_loader = d->flash->entering = false;
        docking_forget_session(d);
        d->device = hotplug_device_free(d->device);
        docking_kick(d);
        flash_kick(d->flash);
        return true;
}

/* It is asked everything anew, and may be another camera that somebody put in meanwhile. */
static void ask_anew(Docking *d) {
        d->updating = false;
        d->unchanged = d->rested = true;
        d->emptied = d->ejected = d->lost = d->cycled = false;
        docking_forget_readings(d);
}

bool docking_flash_came(Docking *d, HotplugDevice *device) {
        Flash *f = d->flash;
        const Model *model;
        UsbShape shape;
        Fact fact;

        if (!f || !d->updating || d->device)
                return false;
        model = docking_match(d, device, &shape);
        if (model != f->loader && model != f->model)
                return false;
        d->device = device;
        d->shape = shape;
        d->model = model;
        d->authorise_until_usec = 0;
        docking_device_fact(d, FACT_RETURNED, &fact);
        if (docking_commit_fact(d, &fact, NULL, NULL) < 0)
                docking_trouble(d, -ENOMEM, "the camera's return cannot be recorded");
        f->in_loader = !f->drops && model == f->loader;
        if (!f->in_loader)
                ask_anew(d);
        docking_kick(d);
        flash_kick(f);
        return true;
}

void docking_flash_ask(Docking *d) {
        docking_forget_session(d);
        ask_anew(d);
        docking_kick(d);
}

static void cycled(void *userdata, const char *port_path, int result) {
        LogAbout about = { .bay = bay_name(userdata) };

        if (result < 0)
                log_warning(&about, "The power of port %s cannot be switched: %s; take the camera out and put it in again, so that it "
                                    "looks for its firmware", port_path, strerror(-result));
}

void docking_flash_cycle(Docking *d) {
        int r;

        r = hubport_cycle(d->manager->hubports, bay_port_path(d->bay), cycled, d->bay);
        if (r < 0)
                cycled(d->bay, bay_port_path(d->bay), r);
}

char *docking_flash_text(const Docking *d) {
        const Flash *f = d->flash;

        if (!f || !d->updating)
                return NULL;
        if (!text_equal(f->row->transfer, "sent"))
                return text_format("it is given the firmware %s: do not take it out", f->row->version);
        if (f->drops && d->device && f->model->update_restart == MODEL_RESTART_HAND)
                return text_format("it has the firmware file %s: take it out, and put it in again", f->row->version);
        return text_format("it has the firmware %s, and is waited for: do not take it out", f->row->version);
}

int docking_flash_percent(const Docking *d, const char **ret_version) {
        const Flash *f = d->flash;

        if (!f || !d->updating)
                return -1;
        *ret_version = f->row->version;
        return flash_percent(f);
}

/* ---- What a new docking finds ----------------------------------------------------------------------------------------- */

/* The same camera as before the daemon was started anew: it has not left since, so its worker is still at it, or it is about to restart. */
static bool has_stayed(const Flash *f, const Docking *d) {
        return !flash_has_ended(f) && (f->flasher || (f->sent_usec > 0 && d->device->appeared_usec < f->sent_usec));
}

static bool can_be_finished(const Flash *f, const Docking *d) {
        return f->bay == d->bay && !f->docking && f->loader == d->model && f->folder_fd >= 0 && !text_equal(f->row->outcome, "ok") &&
               (!f->drops || has_stayed(f, d));
}

/* A loader that shows the camera's own serial is that camera's. */
static bool says_so(const Flash *f, const Docking *d) {
        return !f->drops && text_equal(d->device->usb_serial, camera_serial(f->camera));
}

/*
 * What is at a bay in its loader was sent there at this bay: the one whose flash is under way, or the one that was given up there. When
 * several were, which of them it is matters only where they were to get different firmware; then none is taken, unless it says so itself.
 */
static Flash *unfinished_at(const Docking *d) {
        Flash *found = NULL;
        bool alike = true;

        for (Flash *f = d->manager->flashes->first; f; f = f->next) {
                if (!can_be_finished(f, d))
                        continue;
                if (says_so(f, d))
                        return f;
                /* The newest is the first. */
                if (!found || (flash_has_ended(found) && !flash_has_ended(f)))
                        found = f;
        }
        for (Flash *f = d->manager->flashes->first; f && found && flash_has_ended(found); f = f->next)
                alike = alike && (!can_be_finished(f, d) || digest_equal(&f->row->digest, &found->row->digest));
        return alike ? found : NULL;
}

char *docking_flash_may_be(const Docking *d) {
        unsigned n = 0;
        char *text = NULL;

        for (const Flash *f = d->manager->flashes->first; f && n < MAY_BE_MAX; f = f->next) {
                char *longer;

                if (f->drops || f->docking || f->loader != d->model || text_equal(f->row->outcome, "ok") || camera_bay(f->camera))
                        continue;
                longer = text_format("%s%s%s (bay %s)", text ? text : "", text ? ", " : "", camera_serial(f->camera),
                                     f->bay ? bay_name(f->bay) : f->row->bay);
                free(text);
                text = longer;
                n++;
        }
        return text;
}

bool docking_flash_inherit(Docking *d) {
        Flash *f = unfinished_at(d);

        if (!f)
                return false;
        d->camera = f->camera;
        d->flash = f;
        d->updating = true;
        f->docking = d;
        f->in_loader = !f->drops;
        f->sendings_before = flash_has_ended(f) ? f->row->sendings : 0;
        camera_set_bay(f->camera, d->bay);
        flash_kick(f);
        return true;
}

void docking_flash_recorded(Docking *d) {
        if (d->flash)
                flash_kick(d->flash);
}

/* It has not all of its file, and is as it was: it is sent anew, once this docking has nothing else to do. */
static bool goes_on(Flash *f, Docking *d, const char *version) {
        if (!f->drops || flash_has_ended(f) || text_equal(version, f->row->version) || text_equal(f->row->transfer, "sent") || f->flasher ||
            f->row->sendings >= FLASH_SENDINGS_MAX || (d->flash && d->flash != f))
                return false;
        d->flash = f;
        f->docking = d;
        f->again = true;
        flash_kick(f);
        return true;
}

/* It was given up, and its camera is back with something else: there is nothing that could be finished in a loader. */
static void let_go_of_image(Flash *f) {
        if (f->busy || f->folder_fd < 0)
                return;
        f->folder_fd = fd_close(f->folder_fd);
        flash_folder_remove(f->flashes->root_fd, f->row->id);
}

void docking_flash_told(Docking *d, const char *version) {
        for (Flash *f = d->manager->flashes->first; f; f = f->next) {
                char *copy;

                if (f->camera != d->camera || text_equal(f->row->outcome, "ok") || d->updating)
                        continue;
                /* An end that is on record is changed by nothing but the version that was to come. */
                if (flash_has_ended(f) && !text_equal(version, f->row->version)) {
                        let_go_of_image(f);
                        continue;
                }
                if (goes_on(f, d, version))
                        continue;
                copy = strdup(version);
                if (!copy)
                        continue;
                free(f->came_back);
                f->came_back = copy;
                flash_kick(f);
        }
}

/* ---- The end ---------------------------------------------------------------------------------------------------------- */

void docking_flash_over(Docking *d) {
        Flash *f = d->flash;

        if (!f)
                return;
        d->flash = NULL;
        d->updating = false;
        d->power_until_usec = 0;
        f->docking = NULL;
        f->in_loader = f->entering = f->again = false;
        flash_kick(f);
}

void docking_flash_ended(Docking *d, const char *trouble) {
        bool in_loader = d->flash && d->flash->in_loader;

        if (!d->device) {
                docking_flash_over(d);
                return bay_vacated(d->bay, "did not come back after it was given firmware");
        }
        docking_flash_over(d);
        if (in_loader)
                docking_quarantine(d, "it waits in its loader for firmware; take it out and put it in again, and it is tried again: %s",
                                   trouble ? trouble : "nobody knows why");
        docking_kick(d);
}
