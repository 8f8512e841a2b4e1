/* SPDX-License-Identifier: Apache-2.0 */

/* What an earlier run of the daemon left: flashes that have not ended, with or without a worker that is still at it, and those given up. */

#include <errno.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "service/flash_folder.h"
#include "service/flash_private.h"

static bool is_wanted(void *userdata, uint64_t id) {
        const Flashes *all = userdata;

        for (const Flash *f = all->first; f; f = f->next)
                if (f->row->id == id && f->row->came_back[0] == 0)
                        return true;
        return false;
}

/* Its worker outlived the daemon, or came to its end meanwhile, or fell with the machine. */
static void take_up(Flash *f, const Moment *now) {
        bool same_boot = text_equal(f->row->boot_id, now->boot_id);
        LogAbout about = flash_about(f);

        f->by_usec = now->boottime_usec + model_update_within_usec(f->model);
        if (flash_has_ended(f))
                return;
        if (!text_equal(f->row->transfer, "sending")) {
                if (same_boot && f->row->until_usec > f->by_usec)
                        f->by_usec = f->row->until_usec;
                if (same_boot && text_equal(f->row->transfer, "sent") && f->row->until_usec > model_update_within_usec(f->model))
                        f->sent_usec = f->row->until_usec - model_update_within_usec(f->model);
                log_notice(&about, "A flash with the firmware %s goes on", f->row->version);
                return flash_kick(f);
        }
        if (same_boot && flasher_adopt(f->flashes->manager->event, f->folder_fd, flash_worker_ended, f, &f->flasher) >= 0) {
                f->by_usec = f->row->until_usec;
                flash_watch_progress(f);
                log_notice(&about, "A worker is still sending it the firmware %s; it is waited for", f->row->version);
                return flash_kick(f);
        }
        flash_worker_ended(f);
}

static int load(Flashes *all, FlashRow *row, const Moment *now) {
        _cleanup_(camera_row_freep) CameraRow *known = NULL;
        Camera *camera;
        Flash *f;
        int r;

        r = store_camera(all->manager->store, row->camera_id, &known);
        if (r >= 0)
                r = camera_from_row(all->manager, known, &camera);
        if (r >= 0)
                r = flash_new(all, row, camera, &f);
        if (r < 0) {
                flash_row_free(row);
                return r;
        }
        f->folder_fd = flash_folder_open(all->root_fd, row->id, false);
        if (!f->model || !f->loader) {
                log_warning(NULL, "Camera %s was being flashed, and its model %s has no way to get firmware any more: it is not finished",
                            camera_serial(camera), row->model_id);
                flash_free(f);
                return 0;
        }
        take_up(f, now);
        return 0;
}

int flashes_load(Flashes *all) {
        FlashRow **rows;
        Moment now;
        size_t n;
        int r;

        r = store_flashes_unsettled(all->manager->store, &rows, &n);
        if (r < 0)
                return r;
        all->root_fd = flash_root_open(all->manager->settings->state_dir, n > 0);
        r = all->root_fd < 0 && all->root_fd != -ENOENT ? all->root_fd : 0;
        manager_moment(all->manager, &now);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = load(all, TAKE_PTR(rows[i]), &now);
        if (r >= 0 && all->root_fd >= 0)
                flash_root_sweep(all->root_fd, is_wanted, all);
        flash_rows_free(rows, n);
        return r;
}

int flashes_new(Manager *m, Flashes **ret) {
        Flashes *all = calloc(1, sizeof(*all));

        if (!all)
                return -ENOMEM;
        all->manager = m;
        all->root_fd = -EBADF;
        *ret = all;
        return 0;
}

void flashes_stop(Flashes *all) {
        if (!all)
                return;
        all->stopping = true;
        flash_orders_end(all);
        all->thread = job_thread_free(all->thread);
}

Flashes *flashes_free(Flashes *all) {
        if (!all)
                return NULL;
        flashes_stop(all);
        while (all->first)
                flash_free(all->first);
        fd_close(all->root_fd);
        free(all);
        return NULL;
}
