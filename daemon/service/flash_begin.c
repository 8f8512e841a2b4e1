/* SPDX-License-Identifier: Apache-2.0 */

/* Before a flash: what stands against it, the copy of its image, and its first fact. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "service/charging.h"
#include "service/flash_folder.h"
#include "service/flash_private.h"

/* ---- What stands against it ------------------------------------------------------------------------------------------- */

static Docking *docking_of(const Camera *c) {
        return camera_bay(c) ? bay_docking(camera_bay(c)) : NULL;
}

static size_t without_receipt(const Docking *d) {
        size_t n = 0;

        for (size_t i = 0; i < d->n_clips; i++)
                n += d->clips[i]->state != CLIP_ERASED && (!d->clips[i]->receipted || !d->clips[i]->receipt_accepted);
        return n;
}

static bool under_way(const Flashes *all, const Camera *c) {
        for (const Flash *f = all->first; f; f = f->next)
                if (f->camera == c && !flash_has_ended(f))
                        return true;
        return false;
}

static bool is_powered(const Docking *d) {
        ChargeStatus status;

        bay_charge(d->bay, &status);
        return d->device && !d->resting && status.power;
}

uint32_t flash_camera_obstacles(Camera *c, const FlashRequest *request, uint64_t *ret_usec) {
        const Docking *d = docking_of(c);
        unsigned attempts = 0;
        FlashCamera camera;

        *ret_usec = 0;
        if (!d || d->camera != c)
                return FLASH_BIT(FLASH_IN_USE);
        (void) store_flash_attempts(d->manager->store, camera_id(c), &request->digest, &attempts);
        camera = (FlashCamera){
                .listed = d->listed,
                .without_receipt = without_receipt(d),
                .checked_out = camera_issue(c) != NULL,
                .busy = !docking_may_flash(d),
                .under_way = under_way(d->manager->flashes, c),
                .battery_percent = camera_battery_percent(c),
                .battery_floor_percent = d->model->battery_floor_percent,
                .charging_known = d->health.charging >= 0,
                .charging = d->health.charging > 0,
                .powered = is_powered(d),
                .unsteady_usec = bay_unsteady_usec(d->bay),
                .attempts = attempts,
                .attempts_max = FLASH_ATTEMPTS_MAX,
                .pinned = settings_is_pinned(d->manager->settings, camera_serial(c)),
                .hardware_fits = request->hardware_fits,
                .floor = request->floor,
                .version = request->version,
        };
        return flash_obstacles(&camera, request->allowed, clock_boottime_usec(), ret_usec);
}

bool flash_is_asleep(const Camera *c) {
        const Docking *d = docking_of(c);

        return d && d->camera == c && (d->resting || d->waking);
}

bool flash_wakes(Camera *c) {
        uint64_t now = clock_boottime_usec();
        Docking *d = docking_of(c);

        if (!d || d->camera != c)
                return false;
        if (flash_is_asleep(c) && d->power_until_usec <= now) {
                d->power_until_usec = now + FLASH_AWAKE_USEC;
                charging_kick(d->manager->charging);
        }
        return flash_is_asleep(c) || (d->power_until_usec > now && !docking_may_flash(d));
}

const char *flash_misfit(const Camera *c, const CatalogImage *image) {
        const Model *model = models_find(camera_manager(c)->models, camera_model_id(c));

        return catalog_misfit(image, camera_model_id(c), model ? model->hardware : NULL);
}

static char *obstacles_text(const Camera *c, uint32_t why) {
        char *text = text_format("camera %s", camera_serial(c));
        const char *joint = " ";

        for (unsigned i = 0; text && i < _FLASH_WHY_MAX; i++)
                if (why & FLASH_BIT(i)) {
                        char *longer = text_format("%s%s%s (%s)", text, joint, flash_why_to_text(i), flash_why_to_code(i));

                        free(text);
                        text = longer;
                        joint = "; it ";
                }
        return text;
}

char *flash_why_not(Camera *c, const FlashRequest *request, uint32_t later) {
        const Docking *d = docking_of(c);
        uint64_t again_usec;
        uint32_t why;

        if (!d || d->camera != c)
                return text_format("camera %s is in no bay (unreachable)", camera_serial(c));
        why = flash_camera_obstacles(c, request, &again_usec) & ~later;
        return why ? obstacles_text(c, why) : NULL;
}

/* ---- Its first steps -------------------------------------------------------------------------------------------------- */

typedef struct CopyJob {
        Flashes *flashes;
        Flash *flash; /* NULL once the manager stops */
        int folder_fd, image_fd;
        uint64_t size_bytes;
        Digest digest;
        bool by_operator;
        uint32_t operator_uid;
        char *operator_name;
        char *target; /* the file on the camera; NULL: its loader gets it */
} CopyJob;

static void copy_job_free(CopyJob *job) {
        fd_close(job->folder_fd);
        fd_close(job->image_fd);
        free(job->operator_name);
        free(job->target);
        free(job);
}

static int run_copy(void *p) {
        CopyJob *job = p;
        int r;

        r = job->target ? flash_folder_put_target(job->folder_fd, job->target) : 0;
        return r < 0 ? r : flash_folder_put_image(job->folder_fd, job->image_fd, job->size_bytes, &job->digest);
}

/* Before its first fact: nothing is on record, and nothing was done to the camera. */
static void give_up(Flash *f, const char *text) {
        LogAbout about = flash_about(f);
        Docking *d = f->docking;
        FlashEnd end = { .flash_id = f->row->id, .serial = camera_serial(f->camera), .purpose = f->row->purpose, .version = f->row->version,
                         .came_back = f->row->from_version, .outcome = FLASH_FAILED, .text = text };

        log_warning(&about, "It is not flashed: %s", text);
        for (size_t i = 0; i < f->flashes->n_observers; i++)
                f->flashes->observers[i].ended(f->flashes->observers[i].userdata, &end);
        flash_folder_remove(f->flashes->root_fd, f->row->id);
        if (d)
                docking_flash_ended(d, NULL);
        flash_free(f);
}

static void begun(int result, void *userdata) {
        Flash *f = userdata;

        if (f->flashes->stopping)
                return;
        if (result < 0)
                return give_up(f, store_last_refusal(f->flashes->manager->store));
        CRASH_POINT("flash-begun");
        f->busy = false;
        if (f->docking && f->drops)
                return flash_kick(f);
        if (f->docking)
                return docking_enter_update(f->docking);
        flash_cut_short(f, f->drops ? "it was taken out before it got any of it" : "it was taken out before it was sent into its loader");
}

static void image_copied(void *p, int result) {
        CopyJob *job = p;
        Flash *f = job->flash;
        _cleanup_(freep) char *text = NULL;
        Fact fact;

        if (!f || job->flashes->stopping)
                return copy_job_free(job);
        if (result < 0 || !f->docking) {
                text = result < 0 ? text_format("its image cannot be copied into the dock's state folder: %s",
                                                result == -EBADMSG ? "its bytes are not those that were checked" : strerror(-result)) :
                                    strdup("it was taken out");
                copy_job_free(job);
                return give_up(f, text ? text : "out of memory");
        }
        fact = flash_fact(f, FACT_FLASH_BEGUN);
        f->by_usec = fact.at.boottime_usec + model_update_within_usec(f->model);
        fact.flash.version = f->row->version;
        fact.flash.from_version = f->row->from_version;
        fact.flash.model_id = f->row->model_id;
        fact.flash.purpose = f->row->purpose;
        fact.flash.digest = f->row->digest;
        fact.flash.size_bytes = f->row->size_bytes;
        fact.flash.until_usec = f->by_usec;
        fact.by_operator = job->by_operator;
        fact.operator_uid = job->operator_uid;
        fact.operator_name = job->operator_name;
        if (store_put(f->flashes->manager->store, &fact, begun, f) < 0)
                give_up(f, "its beginning cannot be recorded");
        copy_job_free(job);
}

static int copy_image(Flash *f, const FlashRequest *q) {
        CopyJob *job = calloc(1, sizeof(*job));
        int r;

        if (!job)
                return -ENOMEM;
        *job = (CopyJob){ .flashes = f->flashes, .flash = f, .size_bytes = q->size_bytes, .digest = q->digest, .by_operator = q->by != NULL,
                          .operator_uid = q->by ? q->by->uid : 0, .operator_name = q->by && q->by->name ? strdup(q->by->name) : NULL };
        job->folder_fd = fcntl(f->folder_fd, F_DUPFD_CLOEXEC, 0);
        job->image_fd = fcntl(q->image_fd, F_DUPFD_CLOEXEC, 0);
        if (f->drops && !(job->target = model_firmware_path(f->model, q->file)))
                r = -ENOMEM;
        else
                r = job->folder_fd < 0 || job->image_fd < 0 ? -EMFILE : job_thread_submit(f->flashes->thread, run_copy, image_copied, job);
        if (r < 0)
                copy_job_free(job);
        return r;
}

static FlashRow *row_new(const Docking *d, const FlashRequest *q) {
        _cleanup_(flash_row_freep) FlashRow *row = calloc(1, sizeof(*row));

        if (!row)
                return NULL;
        *row = (FlashRow){
                .id = store_next_id(d->manager->store, STORE_ID_DOCKING), .camera_id = camera_id(d->camera), .docking_id = d->id,
                .size_bytes = q->size_bytes, .bay = strdup(bay_port_path(d->bay)), .model_id = strdup(d->model->id),
                .version = strdup(q->version), .from_version = strdup(camera_firmware(d->camera)), .purpose = strdup(q->purpose ?: ""),
                .transfer = strdup(""), .boot_id = strdup(""), .outcome = strdup(""), .came_back = strdup(""), .text = strdup(""),
                .digest = q->digest,
        };
        if (!row->bay || !row->model_id || !row->version || !row->from_version || !row->purpose || !row->transfer || !row->boot_id ||
            !row->outcome || !row->came_back || !row->text)
                return NULL;
        return TAKE_PTR(row);
}

/* What was given up about this camera before is superseded. Another one that still waits in its loader can be finished later. */
static void forget_earlier(Flashes *all, const Camera *c) {
        for (Flash *f = all->first, *next; f; f = next) {
                next = f->next;
                if (f->camera != c || !flash_has_ended(f) || f->busy)
                        continue;
                flash_folder_remove(all->root_fd, f->row->id);
                flash_free(f);
        }
}

static int begin(Docking *d, const FlashRequest *q, uint64_t *ret_id) {
        Flashes *all = d->manager->flashes;
        FlashRow *row;
        Flash *f;
        int r;

        r = all->thread ? 0 : job_thread_new(d->manager->event, "flash", &all->thread);
        if (r >= 0)
                r = flashes_root(all);
        if (r < 0)
                return r;
        forget_earlier(all, d->camera);
        row = row_new(d, q);
        r = row ? flash_new(all, row, d->camera, &f) : -ENOMEM;
        if (r < 0) {
                flash_row_free(row);
                return r;
        }
        f->folder_fd = flash_folder_open(all->root_fd, row->id, true);
        r = f->folder_fd < 0 ? f->folder_fd : copy_image(f, q);
        if (r < 0) {
                flash_folder_remove(all->root_fd, row->id);
                flash_free(f);
                return r;
        }
        f->busy = true;
        *ret_id = row->id;
        docking_flash_begins(d, f);
        return 0;
}

int flash_begin(Camera *c, const FlashRequest *q, uint64_t *ret_id, uint32_t *ret_obstacles, char **ret_why) {
        Docking *d = docking_of(c);
        uint64_t again_usec;
        int r;

        *ret_obstacles = 0;
        if (!d || d->camera != c) {
                *ret_why = text_format("camera %s is in no bay", camera_serial(c));
                return -ENODEV;
        }
        if (!d->model || !model_takes_firmware(d->model)) {
                *ret_why = text_format("cameras of the model %s cannot be given firmware by this dock: their section has no update_mode, "
                                       "and no 'firmware = file PATH'", d->model ? d->model->id : "?");
                return -EOPNOTSUPP;
        }
        *ret_obstacles = flash_camera_obstacles(c, q, &again_usec);
        if (*ret_obstacles) {
                *ret_why = obstacles_text(c, *ret_obstacles);
                return -EBUSY;
        }
        r = begin(d, q, ret_id);
        if (r < 0)
                *ret_why = text_format("camera %s cannot be flashed: %s", camera_serial(c), strerror(-r));
        return r;
}
