/* SPDX-License-Identifier: Apache-2.0 */

/* One flash after it was begun: carries out what core/flash.c decides from its facts. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "service/authorise.h"
#include "service/flash_folder.h"
#include "service/flash_private.h"
#include "service/timer.h"

#define LOOK_AGAIN_USEC (250 * USEC_PER_MSEC)

bool flash_has_ended(const Flash *f) {
        return f->row->outcome[0] != 0;
}

LogAbout flash_about(const Flash *f) {
        return (LogAbout){ .bay = f->bay ? bay_name(f->bay) : f->row->bay, .camera = camera_serial(f->camera) };
}

Fact flash_fact(const Flash *f, FactKind kind) {
        Fact fact = {
                .kind = kind,
                .docking_id = f->docking ? f->docking->id : f->row->docking_id,
                .camera_id = f->row->camera_id,
                .bay = f->row->bay,
                .flash = { .id = f->row->id },
        };

        manager_moment(f->flashes->manager, &fact.at);
        return fact;
}

static int set_text(char **text, const char *to) {
        char *copy = strdup(to ? to : "");

        if (!copy)
                return -ENOMEM;
        free(*text);
        *text = copy;
        return 0;
}

/* A fact that could not be written is written again: until then nothing goes on. */
static void try_again(Flash *f) {
        f->busy = false;
        (void) timer_in(f->wake, f->flashes->manager->settings->backoff_min_usec);
}

static void put(Flash *f, const Fact *fact, StoreDone done) {
        f->busy = true;
        if (store_put(f->flashes->manager->store, fact, done, f) < 0)
                try_again(f);
}

/* ---- Sending ---------------------------------------------------------------------------------------------------------- */

static void sent_recorded(int result, void *userdata) {
        Flash *f = userdata;

        if (f->flashes->stopping)
                return;
        f->busy = false;
        if (result < 0)
                return try_again(f);
        docking_kick(f->docking);
        flash_kick(f);
}

/* How the last sending ended: until when the camera must be back counts from now. */
static void record_sent(Flash *f, bool whole, const char *text) {
        Fact fact = flash_fact(f, FACT_FLASH_SENT);
        LogAbout about = flash_about(f);

        if (set_text(&f->row->transfer, whole ? "sent" : "cut-short") < 0 || set_text(&f->row->text, text) < 0)
                return try_again(f);
        if (whole && f->drops && f->model->update_restart == MODEL_RESTART_HAND)
                log_notice(&about, "It has the firmware file %s: take it out, and put it in again", f->row->version);
        else if (whole)
                log_info(&about, "It took all of the firmware %s; it is waited for", f->row->version);
        else
                log_warning(&about, "The firmware %s did not get whole into it: %s", f->row->version, text);
        f->sent_usec = whole ? fact.at.boottime_usec : 0;
        f->by_usec = fact.at.boottime_usec + model_update_within_usec(f->model);
        fact.flash.whole = whole;
        fact.flash.until_usec = f->by_usec;
        fact.text = whole ? NULL : text;
        put(f, &fact, sent_recorded);
        flash_orders_tell(f);
        if (f->docking)
                bay_changed(f->docking->bay);
}

void flash_cut_short(Flash *f, const char *text) {
        record_sent(f, false, text);
}

void flash_worker_ended(void *userdata) {
        char text[FLASH_TEXT_SIZE] = "its worker was ended, and nobody knows how far it came";
        Flash *f = userdata;
        int r;

        f->flasher = flasher_free(f->flasher);
        r = flash_folder_outcome(f->folder_fd, f->row->sendings, text);
        CRASH_POINT("flash-outcome-read");
        record_sent(f, r > 0, text);
}

static int order_worker(Flash *f, uint64_t until_usec) {
        const Settings *s = f->flashes->manager->settings;
        _cleanup_(freep) char *plugin = text_format("%s/%s.so", s->plugin_dir, f->loader->plugin), *target = NULL;
        _cleanup_(fd_closep) int image = flash_folder_image(f->folder_fd);
        FlasherOrder order;
        int r;

        if (!plugin)
                return -ENOMEM;
        if (image < 0)
                return image;
        r = f->drops ? flash_folder_target(f->folder_fd, &target) : 0;
        if (r < 0)
                return r;
        order = (FlasherOrder){
                .worker = { .executable = s->worker, .plugin_path = plugin, .bay = bay_port_path(f->bay),
                            .node_path = f->docking->device->node_path, .descriptors = f->docking->device->descriptors,
                            .n_descriptors = f->docking->device->n_descriptors, .incoming_fd = f->folder_fd },
                .options = (const char *const *) f->loader->options.items,
                .file = target,
                .restart = f->drops && f->model->update_restart == MODEL_RESTART_COMMAND,
                .image_fd = image,
                .size_bytes = f->row->size_bytes,
                .digest = &f->row->digest,
                .sending = f->row->sendings,
                .until_usec = until_usec,
        };
        order.n_hold_fds = inhibit_fds(f->flashes->manager->inhibit, order.hold_fds);
        flash_folder_forget_progress(f->folder_fd);
        r = flasher_spawn(f->flashes->manager->event, &order, flash_worker_ended, f, &f->flasher);
        if (r >= 0)
                flash_watch_progress(f);
        return r;
}

/* What is in the docking takes firmware: a camera in its loader, or one whose docking does nothing else meanwhile. */
static bool is_before_us(const Flash *f) {
        return f->docking && f->docking->device && (f->drops ? f->docking->updating : f->in_loader);
}

static void sending_recorded(int result, void *userdata) {
        Flash *f = userdata;
        _cleanup_(freep) char *text = NULL;
        int r;

        if (f->flashes->stopping)
                return;
        f->busy = false;
        if (result < 0)
                return try_again(f);
        f->row->sendings++;
        f->row->outcome[0] = 0;
        if (set_text(&f->row->transfer, "sending") < 0)
                return try_again(f);
        /* It was taken out while this was written. */
        r = is_before_us(f) ? order_worker(f, f->by_usec) : -ENODEV;
        if (r >= 0)
                return flash_kick(f);
        text = text_format("the worker that sends could not be started: %s", strerror(-r));
        flash_cut_short(f, text ? text : "out of memory");
}

/* Udev tells nobody when it has given a node, or an interface, to the group. False: it is looked at again later. */
static bool loader_is_open_to_us(Flash *f, uint64_t now) {
        const Settings *s = f->flashes->manager->settings;
        Docking *d = f->docking;

        if (authorise_node(d->device) == 0 && (!s->authorise || authorise_interfaces(d->device, f->loader) == 0))
                return true;
        if (f->node_until_usec == 0)
                f->node_until_usec = now + s->call_usec;
        if (now >= f->node_until_usec)
                return true; /* the worker says what is wrong */
        (void) timer_at(f->wake, now + LOOK_AGAIN_USEC);
        return false;
}

/* Before it begins: the worker takes along what logind holds the machine by, and may outlive us from its first moment on. */
static bool machine_is_held(Flash *f, uint64_t now) {
        if (!inhibit_asks(f->flashes->manager->inhibit))
                return true;
        (void) sd_event_source_set_time(f->wake, now + LOOK_AGAIN_USEC);
        (void) sd_event_source_set_enabled(f->wake, SD_EVENT_ONESHOT);
        return false;
}

static void send(Flash *f, uint64_t now) {
        Fact fact = flash_fact(f, FACT_FLASH_SENDING);
        LogAbout about = flash_about(f);

        if (!f->docking || !f->docking->device || !f->docking->recorded || !loader_is_open_to_us(f, now) ||
            !machine_is_held(f, now))
                return;
        f->node_until_usec = 0;
        f->by_usec = fact.at.boottime_usec + FLASH_SENDING_USEC + f->row->size_bytes / FLASH_SENDING_RATE * USEC_PER_SEC;
        fact.flash.until_usec = f->by_usec;
        fact.flash.sending = f->row->sendings + 1;
        about.message = MESSAGE_FLASH_BEGUN;
        log_notice(&about, "The firmware %s is sent to it, for the %u. time in this flash; do not take it out", f->row->version,
                   f->row->sendings + 1);
        put(f, &fact, sending_recorded);
}

/* ---- The end ---------------------------------------------------------------------------------------------------------- */

static char *describe(const Flash *f, FlashOutcome outcome) {
        switch (outcome) {
        case FLASH_OK:
                return text_format("it tells the version %s", f->came_back);
        case FLASH_OLD_VERSION:
                return text_format("it was sent %s, and came back with %s", f->row->version, f->came_back);
        case FLASH_NOT_BACK:
                return text_format("it was sent %s, and did not come back within %" PRIu64 " s; is it still in the bay? Put it in again: "
                                   "%s", f->row->version, model_update_within_usec(f->model) / USEC_PER_SEC,
                                   f->drops ? "what it tells then counts" : "one that waits for firmware is given it");
        default:
                return text_format("%s did not get whole into it%s%s%s%s", f->row->version, f->row->text[0] ? ": " : "", f->row->text,
                                   f->came_back ? "; it still has " : "", f->came_back ? f->came_back : "");
        }
}

static void tell(const Flash *f) {
        const Flashes *all = f->flashes;
        FlashEnd end = {
                .flash_id = f->row->id, .serial = camera_serial(f->camera), .purpose = f->row->purpose, .version = f->row->version,
                .came_back = f->row->came_back, .outcome = flash_outcome_from_string(f->row->outcome), .text = f->row->text,
        };

        for (size_t i = 0; i < all->n_observers; i++)
                all->observers[i].ended(all->observers[i].userdata, &end);
}

/* What is needed to finish it, should the camera turn up in its loader, stays as long as that can be. */
static bool may_go_on(const Flash *f) {
        return !text_equal(f->row->outcome, "ok") && !f->came_back;
}

static void ended_recorded(int result, void *userdata) {
        Flash *f = userdata;
        LogAbout about = flash_about(f);
        Docking *d = f->docking;

        if (f->flashes->stopping)
                return;
        f->busy = false;
        if (result < 0)
                return try_again(f);
        about.message = text_equal(f->row->outcome, "ok") ? MESSAGE_FLASH_SUCCEEDED : MESSAGE_FLASH_FAILED;
        log_full(text_equal(f->row->outcome, "ok") ? LOG_NOTICE : LOG_WARNING, &about, "Firmware %s: %s: %s", f->row->version,
                 f->row->outcome, f->row->text);
        if (!may_go_on(f))
                flash_folder_remove(f->flashes->root_fd, f->row->id);
        tell(f);
        if (d)
                docking_flash_ended(d, text_equal(f->row->outcome, "ok") ? NULL : f->row->text);
        flash_kick(f);
}

static void record_end(Flash *f, FlashOutcome outcome) {
        Fact fact = flash_fact(f, FACT_FLASH_ENDED);
        _cleanup_(freep) char *text = describe(f, outcome);

        if (!text || set_text(&f->row->outcome, flash_outcome_to_string(outcome)) < 0 || set_text(&f->row->text, text) < 0 ||
            set_text(&f->row->came_back, f->came_back) < 0)
                return try_again(f);
        fact.text = f->row->text;
        fact.flash.outcome = f->row->outcome;
        fact.flash.came_back = f->row->came_back;
        put(f, &fact, ended_recorded);
}

/* ---- Deciding --------------------------------------------------------------------------------------------------------- */

static FlashTransfer transfer_of(const Flash *f) {
        if (text_equal(f->row->transfer, "sending"))
                return FLASH_SENDING;
        return text_equal(f->row->transfer, "sent") ? FLASH_SENT : FLASH_CUT_SHORT;
}

/* One that never came out of its loader is not lost, whatever was tried: it may be put in again. */
static FlashOutcome outcome_of(const Flash *f) {
        FlashOutcome outcome = flash_outcome_from_string(f->row->outcome);

        return outcome == FLASH_FAILED && f->row->came_back[0] == 0 ? FLASH_NOT_BACK : outcome;
}

static void wake_at(Flash *f, uint64_t usec) {
        (void) timer_at(f->wake, usec);
}

/* A camera that got a part of its file is a camera as any other: all that may stand against a flash is looked at again. */
static bool sends_again(Flash *f, uint64_t now) {
        const FlashRequest q = { .digest = f->row->digest, .version = f->row->version, .hardware_fits = true, .allowed = FLASH_ALLOWABLE };
        uint64_t again_usec;

        if (now >= f->by_usec) {
                f->again = false;
                f->came_back = strdup(f->row->from_version);
                return true;
        }
        if (!f->docking || (flash_camera_obstacles(f->camera, &q, &again_usec) & ~FLASH_BIT(FLASH_UNDER_WAY))) {
                wake_at(f, now + LOOK_AGAIN_USEC);
                return false;
        }
        f->again = false;
        docking_flash_begins(f->docking, f);
        return true;
}

/* A camera that has its file, and whose docking waits for it to leave. False: there is nothing more to decide now. */
static bool restarts(Flash *f, uint64_t now) {
        if (!f->drops || f->flasher || f->came_back || flash_has_ended(f) || transfer_of(f) != FLASH_SENT || !is_before_us(f))
                return true;
        if (f->model->update_restart == MODEL_RESTART_POWER && !f->cycled) {
                f->cycled = true;
                docking_flash_cycle(f->docking);
        }
        if (now < f->by_usec) {
                wake_at(f, f->by_usec);
                return false;
        }
        /* It stays, whatever it was told: what it has now it says itself. */
        f->by_usec = now + model_update_within_usec(f->model);
        wake_at(f, f->by_usec);
        docking_flash_ask(f->docking);
        return false;
}

/* Not while a camera is between two firmwares. */
static void hold_machine(Flashes *all) {
        inhibit_hold(all->manager->inhibit, flashes_under_way(all) > 0);
}

static int on_decide(sd_event_source *source, void *userdata) {
        uint64_t now = clock_boottime_usec();
        Flash *f = userdata;
        FlashDecision decision;
        FlashRecord record;

        (void) source;
        hold_machine(f->flashes);
        if (f->busy || f->entering || (f->again && !sends_again(f, now)) || !restarts(f, now))
                return 0;
        /* It never left for its loader. */
        if (!f->drops && !f->flasher && !f->came_back && f->docking && f->docking->device && !f->in_loader && f->docking->updating &&
            now >= f->by_usec &&
            !(f->came_back = strdup(f->row->from_version)))
                return 0;
        record = (FlashRecord){
                .version = f->row->version,
                .transfer = transfer_of(f),
                .worker_lives = f->flasher != NULL,
                .worker_by_usec = f->by_usec,
                .back_by_usec = f->by_usec,
                .in_update_mode = is_before_us(f) && (!f->drops || transfer_of(f) != FLASH_SENT),
                .sendings = f->row->sendings - f->sendings_before,
                .sendings_max = FLASH_SENDINGS_MAX,
                .came_back = f->came_back,
                .ended = flash_has_ended(f),
                .outcome = outcome_of(f),
        };
        decision = flash_next(&record, now);
        switch (decision.step) {
        case FLASH_STEP_SEND:
                send(f, now);
                break;
        case FLASH_STEP_RECORD:
                record_end(f, decision.outcome);
                break;
        case FLASH_STEP_WAIT:
                if (decision.wake_at_usec > 0)
                        wake_at(f, decision.wake_at_usec);
                break;
        case FLASH_STEP_DONE:
                if (f->docking && f->docking->updating)
                        docking_flash_ended(f->docking, f->row->text);
                break;
        default:
                break;
        }
        return 0;
}

void flash_kick(Flash *f) {
        (void) sd_event_source_set_enabled(f->decide, SD_EVENT_ONESHOT);
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        flash_kick(userdata);
        return 0;
}

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

int flash_new(Flashes *all, FlashRow *row, Camera *camera, Flash **ret) {
        Manager *m = all->manager;
        Flash *f = calloc(1, sizeof(*f));
        int r = f ? 0 : -ENOMEM;

        if (r >= 0)
                r = sd_event_add_defer(m->event, &f->decide, on_decide, f);
        if (r >= 0)
                r = sd_event_source_set_enabled(f->decide, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(m->event, &f->wake, CLOCK_BOOTTIME, 0, 20 * USEC_PER_MSEC, on_wake, f);
        if (r >= 0)
                r = sd_event_source_set_enabled(f->wake, SD_EVENT_OFF);
        if (r < 0) {
                if (f) {
                        sd_event_source_disable_unref(f->decide);
                        sd_event_source_disable_unref(f->wake);
                }
                free(f);
                return r;
        }
        f->flashes = all;
        f->row = row;
        f->camera = camera;
        f->folder_fd = -EBADF;
        f->bay = manager_bay_at(m, row->bay);
        f->model = models_find(m->models, row->model_id);
        f->drops = f->model && !f->model->update_mode && f->model->firmware == MODEL_FIRMWARE_FILE;
        f->loader = f->drops ? f->model : f->model && f->model->update_mode ? models_find(m->models, f->model->update_mode) : NULL;
        f->next = all->first;
        all->first = f;
        hold_machine(all);
        *ret = f;
        return 0;
}

/* Its worker goes on by itself. */
Flash *flash_free(Flash *f) {
        if (!f)
                return NULL;
        for (Flash **p = &f->flashes->first; *p; p = &(*p)->next)
                if (*p == f) {
                        *p = f->next;
                        break;
                }
        hold_machine(f->flashes);
        if (f->docking)
                f->docking->flash = NULL;
        flasher_free(f->flasher);
        sd_event_source_disable_unref(f->decide);
        sd_event_source_disable_unref(f->wake);
        sd_event_source_disable_unref(f->look);
        fd_close(f->folder_fd);
        flash_row_free(f->row);
        free(f->came_back);
        free(f);
        return NULL;
}

int flashes_root(Flashes *all) {
        if (all->root_fd < 0)
                all->root_fd = flash_root_open(all->manager->settings->state_dir, true);
        return all->root_fd;
}

int flashes_observe(Flashes *all, FlashEnded ended, void *userdata) {
        if (all->n_observers == FLASH_OBSERVERS_MAX)
                return -ENOSPC;
        all->observers[all->n_observers].ended = ended;
        all->observers[all->n_observers++].userdata = userdata;
        return 0;
}

unsigned flashes_under_way(const Flashes *all) {
        unsigned n = 0;

        for (const Flash *f = all->first; f; f = f->next)
                n += !flash_has_ended(f);
        return n;
}
