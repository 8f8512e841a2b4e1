/* SPDX-License-Identifier: Apache-2.0 */

/* Somebody wants one camera to get one version now: the catalog's image, brought from the store when the dock has no copy. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "service/flash_private.h"
#include "service/image.h"
#include "service/timer.h"

/* A camera whose port was off is looked at so often until it is ready. */
#define LOOK_USEC USEC_PER_SEC

struct FlashOrder {
        struct FlashOrder *next;
        Flashes *flashes;
        Camera *camera;
        CatalogImage image;
        bool in_spite;
        uint32_t uid;
        char *name;
        uint64_t flash_id; /* 0: not begun */
        sd_event_source *look; /* while it is being woken; else NULL … */
        uint64_t awake_by_usec; /* … in CLOCK_BOOTTIME: till then it must be ready */
        FlashMoved moved;
        FlashOrderDone done;
        void *userdata;
};

static void order_free(FlashOrder *o) {
        for (FlashOrder **p = &o->flashes->orders; *p; p = &(*p)->next)
                if (*p == o) {
                        *p = o->next;
                        break;
                }
        sd_event_source_disable_unref(o->look);
        free(o->name);
        free(o);
}

static void answer(FlashOrder *o, int result, const FlashEnd *end, const char *text) {
        o->done(o->userdata, result, end, text);
        order_free(o);
}

static void on_ended(void *userdata, const FlashEnd *end) {
        Flashes *all = userdata;

        for (FlashOrder *o = all->orders; o; o = o->next)
                if (o->flash_id == end->flash_id)
                        return answer(o, 0, end, end->text);
}

static FlashRequest request_of(const FlashOrder *o, int image_fd, const Operator *by) {
        return (FlashRequest){
                .image_fd = image_fd,
                .size_bytes = o->image.size_bytes,
                .digest = o->image.digest,
                .version = o->image.version,
                .file = o->image.file,
                .floor = o->image.floor,
                .hardware_fits = !flash_misfit(o->camera, &o->image),
                .allowed = o->in_spite ? FLASH_ALLOWABLE : 0,
                .by = by,
        };
}

static void got_image(void *userdata, int result, int fd, const char *text) {
        _cleanup_(fd_closep) int image = fd;
        FlashOrder *o = userdata;
        const Operator by = { .uid = o->uid, .name = o->name };
        _cleanup_(freep) char *why = NULL;
        uint32_t obstacles;
        FlashRequest q;
        int r;

        if (result < 0)
                return answer(o, result, NULL, text);
        q = request_of(o, image, &by);
        r = flash_begin(o->camera, &q, &o->flash_id, &obstacles, &why);
        if (r < 0)
                answer(o, r, NULL, why);
}

/* A camera that was asleep is awake, or has had its time: now all counts that stands against it. */
static int on_look(sd_event_source *source, uint64_t usec, void *userdata) {
        FlashOrder *o = userdata;
        const Operator by = { .uid = o->uid, .name = o->name };
        const FlashRequest q = request_of(o, -EBADF, &by);
        _cleanup_(freep) char *why = NULL;
        uint64_t now = clock_boottime_usec();

        (void) usec;
        if (flash_wakes(o->camera) && now < o->awake_by_usec) {
                (void) timer_at(source, now + LOOK_USEC);
                return 0;
        }
        why = flash_why_not(o->camera, &q, 0);
        if (why)
                answer(o, -EBUSY, NULL, why);
        else if (images_get(o->flashes->manager->images, &o->image, got_image, o) < 0)
                answer(o, -ENOMEM, NULL, "out of memory");
        return 0;
}

/* Its port gets its power; the order goes on when the camera is ready. */
static int wait_for_camera(FlashOrder *o) {
        uint64_t now = clock_boottime_usec();

        (void) flash_wakes(o->camera);
        o->awake_by_usec = now + FLASH_AWAKE_USEC;
        return sd_event_add_time(o->flashes->manager->event, &o->look, CLOCK_BOOTTIME, now + LOOK_USEC, USEC_PER_SEC / 10, on_look, o);
}

static FlashOrder *order_new(Camera *c, const CatalogImage *image, bool in_spite, const Operator *by) {
        Flashes *all = camera_manager(c)->flashes;
        FlashOrder *o = calloc(1, sizeof(*o));

        if (!o || (by->name && !(o->name = strdup(by->name)))) {
                free(o);
                return NULL;
        }
        o->flashes = all;
        o->camera = c;
        o->image = *image;
        o->in_spite = in_spite;
        o->uid = by->uid;
        o->next = all->orders;
        all->orders = o;
        return o;
}

int camera_order_flash(Camera *c, const char *version, bool in_spite, const Operator *by, FlashMoved moved, FlashOrderDone done,
                       void *userdata, FlashOrder **ret, char **ret_why) {
        Manager *m = camera_manager(c);
        Flashes *all = m->flashes;
        const CatalogImage *image;
        ConfError error = { 0 };
        FlashRequest q;
        FlashOrder *o;
        bool asleep;
        int r = 0;

        image = catalog_follow_image(m->catalog_follow, camera_model_id(c), version, &error);
        if (!image) {
                *ret_why = strdup(error.text);
                return -ENOENT;
        }
        if (!all->observes_orders)
                r = flashes_observe(all, on_ended, all);
        if (r < 0)
                return r;
        all->observes_orders = true;
        o = order_new(c, image, in_spite, by);
        if (!o)
                return -ENOMEM;
        o->moved = moved;
        o->done = done;
        o->userdata = userdata;
        /* What stands against it is told before anything is brought from the store, or a camera is woken. */
        q = request_of(o, -EBADF, by);
        asleep = flash_is_asleep(c);
        *ret = o;
        *ret_why = flash_why_not(c, &q, asleep ? FLASH_ASLEEP : 0);
        r = *ret_why ? -EBUSY : asleep ? wait_for_camera(o) : images_get(m->images, image, got_image, o);
        if (r < 0)
                order_free(o);
        return r;
}

int flash_order_cancel(FlashOrder *o) {
        if (o->flash_id != 0)
                return -EALREADY;
        images_forget(o->flashes->manager->images, o);
        answer(o, -ECANCELED, NULL, "it was cancelled before the camera was begun with");
        return 0;
}

void flash_orders_tell(const Flash *f) {
        bool sent = text_equal(f->row->transfer, "sent");

        for (const FlashOrder *o = f->flashes->orders; o; o = o->next)
                if (o->flash_id == f->row->id)
                        return o->moved(o->userdata, sent ? f->row->size_bytes : f->sent_bytes, f->row->size_bytes);
}

void flash_orders_end(Flashes *all) {
        while (all->orders) {
                images_forget(all->manager->images, all->orders);
                answer(all->orders, -ECANCELED, NULL,
                       "the daemon stops; a flash that was begun goes on, and the custody log tells its end");
        }
}
