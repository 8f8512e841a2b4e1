/* SPDX-License-Identifier: Apache-2.0 */

/* Somebody wants one camera to get one version now: the catalog's image, brought from the store when the dock has no copy. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "service/flash_private.h"
#include "service/image.h"

typedef struct FlashOrder {
        struct FlashOrder *next;
        Flashes *flashes;
        Camera *camera;
        CatalogImage image;
        bool in_spite;
        uint32_t uid;
        char *name;
        uint64_t flash_id; /* 0: not begun */
        FlashOrderDone done;
        void *userdata;
} FlashOrder;

static void answer(FlashOrder *o, int result, const FlashEnd *end, const char *text) {
        for (FlashOrder **p = &o->flashes->orders; *p; p = &(*p)->next)
                if (*p == o) {
                        *p = o->next;
                        break;
                }
        o->done(o->userdata, result, end, text);
        free(o->name);
        free(o);
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
                .floor = o->image.floor,
                .hardware_fits = !catalog_misfit(&o->image, camera_model_id(o->camera), NULL),
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

int camera_order_flash(Camera *c, const char *version, bool in_spite, const Operator *by, FlashOrderDone done, void *userdata,
                       char **ret_why) {
        Manager *m = camera_manager(c);
        Flashes *all = m->flashes;
        const CatalogImage *image;
        ConfError error = { 0 };
        FlashRequest q;
        FlashOrder *o;
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
        o = calloc(1, sizeof(*o));
        if (!o || (by->name && !(o->name = strdup(by->name)))) {
                free(o);
                return -ENOMEM;
        }
        o->flashes = all;
        o->camera = c;
        o->image = *image;
        o->in_spite = in_spite;
        o->uid = by->uid;
        o->done = done;
        o->userdata = userdata;
        o->next = all->orders;
        all->orders = o;
        /* What stands against it is told before anything is brought from the store. */
        q = request_of(o, -EBADF, by);
        *ret_why = flash_why_not(c, &q);
        if (*ret_why || images_get(m->images, image, got_image, o) < 0) {
                all->orders = o->next;
                free(o->name);
                free(o);
                return *ret_why ? -EBUSY : -ENOMEM;
        }
        return 0;
}

void flash_orders_end(Flashes *all) {
        while (all->orders) {
                images_forget(all->manager->images, all->orders);
                answer(all->orders, -ECANCELED, NULL,
                       "the daemon stops; a flash that was begun goes on, and the custody log tells its end");
        }
}
