/* SPDX-License-Identifier: Apache-2.0 */
#include "service/docking.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "service/manager_private.h"

/* ---- What lies in the bay --------------------------------------------------------------------------------------- */

/* "03/01/01 (a keyboard), 08/06/50 (a disk)": what a model file would have to allow. */
static void interfaces_to_text(const UsbShape *shape, char *ret, size_t size) {
        size_t n = 0;

        (void) snprintf(ret, size, "(none)");
        for (size_t i = 0; i < shape->n_interfaces && n + 64 < size; i++) {
                const char *word = usb_class_word(&shape->interfaces[i]);
                char class[MODEL_TEXT_SIZE];

                n += (size_t) snprintf(ret + n, size - n, "%s%s%s%s%s", i ? ", " : "", usb_class_text(&shape->interfaces[i], class),
                                       word ? " (" : "", word ?: "", word ? ")" : "");
        }
}

/* Why a device is refused, in one sentence. */
static char *refusal(const Docking *d) {
        const UsbShape *s = &d->shape;
        const char *product = d->device->usb_product;
        char interfaces[1024];

        if (s->problem)
                return text_format("the descriptors of the device %04x:%04x '%s' do not hold together: %s; take it out", s->vid, s->pid,
                                   product, s->problem);
        if (d->stray_loader && d->may_be)
                return text_format("a camera that waits for firmware, %04x:%04x '%s', is in the bay, and which one is not certain: it may "
                                   "be %s; put it into the bay of that one, or have its maker's tool finish it when it lies there already",
                                   s->vid, s->pid, product, d->may_be);
        if (d->stray_loader)
                return text_format("a camera that waits for firmware, %04x:%04x '%s', is in the bay, and no flash of it is on record; put "
                                   "it into the dock where it was flashed, or have its maker's tool finish it", s->vid, s->pid, product);
        if (s->device.class_code == USB_CLASS_HUB)
                return text_format("a hub, %04x:%04x '%s', is in the bay; take it out: what is plugged into it is not looked at", s->vid,
                                   s->pid, product);
        interfaces_to_text(s, interfaces, sizeof(interfaces));
        return text_format("no camera model fits the device %04x:%04x '%s' with the interfaces %s; take it out, or describe its model in "
                           "%s", s->vid, s->pid, product, interfaces, d->manager->settings->local_models_dir);
}

static void descriptors_to_hex(const Docking *d, char *ret_hex, size_t size) {
        ret_hex[0] = 0;
        for (size_t i = 0; i < d->device->n_descriptors && (i + 1) * 2 < size; i++)
                snprintf(ret_hex + i * 2, 3, "%02x", d->device->descriptors[i]);
}

const Model *docking_match(const Docking *d, const HotplugDevice *device, UsbShape *ret_shape) {
        if (usb_shape_parse(device->descriptors, device->n_descriptors, ret_shape) < 0)
                *ret_shape = (UsbShape){ .problem = "it has no device descriptor" };
        return models_match(d->manager->models, ret_shape,
                            &(UsbWords){ device->usb_manufacturer, device->usb_product, device->usb_serial });
}

static void recorded(Docking *d, Clip *clip, int result);

void docking_record(Docking *d) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        char hex[(HOTPLUG_DESCRIPTORS_MAX + 1) * 2 + 1];
        Fact fact;
        int r;

        d->model = docking_match(d, d->device, &d->shape);
        if (store_batch_new(&batch) < 0)
                return docking_trouble(d, -ENOMEM, "the docking cannot be recorded");
        if (d->model && !d->flash && !docking_flash_inherit(d) && models_is_update_mode(d->manager->models, d->model->id)) {
                d->stray_loader = true;
                free(d->may_be);
                d->may_be = docking_flash_may_be(d);
                d->model = NULL;
        }
        if (d->model && !d->behind && !d->flash) {
                r = docking_inherit(d);
                if (r < 0)
                        return docking_trouble(d, r, "a change of mode at this bay cannot be looked up in the database");
        }
        docking_device_fact(d, FACT_DOCKED, &fact);
        r = store_batch_add(batch, &fact);
        if (r >= 0 && d->behind) {
                docking_device_fact(d, FACT_RETURNED, &fact);
                r = store_batch_add(batch, &fact);
        }
        if (r >= 0 && !d->model) {
                descriptors_to_hex(d, hex, sizeof(hex));
                docking_set_reason(d, refusal(d));
                d->refused = true;
                fact.kind = FACT_REFUSED;
                fact.text = d->reason;
                fact.usb.descriptors_hex = hex;
                r = store_batch_add(batch, &fact);
        }
        if (r >= 0)
                r = docking_commit(d, TAKE_PTR(batch), NULL, recorded);
        if (r < 0)
                return docking_trouble(d, r, "the docking cannot be recorded");
        d->recording = true;
}

static void recorded(Docking *d, Clip *clip, int result) {
        (void) clip;
        if (!d)
                return;
        d->recording = false;
        if (result < 0) {
                /* A docking that is not on record does not go on; it is written again after the back-off. */
                docking_trouble(d, result, "the database cannot be written");
                return;
        }
        d->recorded = true;
        docking_flash_recorded(d);
        docking_kick(d);
}

/* ---- Beginning and end --------------------------------------------------------------------------------------- */

int docking_new(Bay *bay, HotplugDevice *device, Docking **ret) {
        Manager *m = bay_manager(bay);
        Docking *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        d->manager = m;
        d->bay = bay;
        d->id = store_next_id(m->store, STORE_ID_DOCKING);
        d->docked_wall_usec = clock_wall_usec();
        d->incoming_fd = -EBADF;
        r = docking_decides(d);
        if (r < 0) {
                docking_end(d, NULL);
                return r;
        }
        d->device = device;
        *ret = d;
        docking_kick(d);
        return 0;
}

static void leave_clips(Docking *d) {
        Clip **clips = d->clips;
        size_t n = d->n_clips;

        d->clips = NULL;
        d->n_clips = 0;
        for (size_t i = 0; i < n; i++) {
                Clip *c = clips[i];

                c->docking = NULL;
                c->on_camera = c->erase_licensed = false;
                c->part_here = c->sampled = c->copied_here = c->verified_here = false;
                c->failures = c->unreadable = 0;
                c->salvaged = false; /* the database knows */
                c->erase_order = CLIP_NO_ORDER;
                c->leaving_unstored = false;
                if (c->state == CLIP_ERASING && !c->receipted)
                        clip_set_state(c, CLIP_COPIED, "its camera left while it was being erased by order");
                c->reread_at_usec = 0;
                clip_drop_blocks(c);
                clip_release(c);
        }
        free(clips);
}

Docking *docking_end(Docking *d, const char *reason) {
        if (!d)
                return NULL;
        docking_order_abort(d, reason ? -ENODEV : -ESHUTDOWN, reason ? reason : "the docking ended");
        docking_salvage_abort(d, reason ? reason : "the docking ended");
        if (reason && (d->device || d->away || d->resting || d->updating)) {
                Fact fact = docking_fact(d, FACT_UNDOCKED, NULL);
                LogAbout about = docking_about(d);
                BayState state = d->departing ? d->departing_from : bay_state(d->bay);
                bool early = d->camera && state != BAY_READY && state != BAY_SETTLED && state != BAY_EJECTED;

                if (d->manager->stopping)
                        docking_record_fault(d);
                docking_record_interruption(d, reason);
                fact.end.stays = d->manager->stopping;
                fact.text = early ? text_format("%s while %s", reason, bay_state_to_string(state)) : strdup(reason);
                /* After what is still on its way to the disk: the store keeps the order. */
                if (d->recorded || d->recording)
                        (void) docking_commit_fact(d, &fact, NULL, NULL);
                about.message = d->camera ? MESSAGE_CAMERA_UNDOCKED : MESSAGE_NONE;
                log_full(early ? LOG_NOTICE : LOG_INFO, &about, "undocked: %s", fact.text ?: reason);
                free((char *) fact.text);
                docking_camera_left(d);
        }
        docking_flash_over(d);
        upload_pull_ended(d->current);
        d->worker = worker_free(d->worker);
        docking_pending_outlives(d);
        leave_clips(d);
        upload_pump(d->manager);
        fd_close(d->incoming_fd);
        if (d->incoming_fd >= 0)
                (void) spool_end_docking(d->manager->spool, d->id);
        if (d->camera && camera_bay(d->camera) == d->bay)
                camera_set_bay(d->camera, NULL);
        for (size_t i = 0; i < d->listing.n; i++)
                free(d->listing.clips[i].path);
        free(d->listing.clips);
        free(d->format.found);
        free(d->reason);
        free(d->may_be);
        free(d->departing);
        hotplug_device_free(d->device);
        sd_event_source_disable_unref(d->decide);
        sd_event_source_disable_unref(d->wake);
        free(d);
        return NULL;
}
