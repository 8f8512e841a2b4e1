/* SPDX-License-Identifier: Apache-2.0 */

/* The first steps with a camera: who it is, how it is. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/serial.h"
#include "service/authorise.h"
#include "service/charging.h"
#include "service/docking.h"
#include "service/manager_private.h"
#include "service/timer.h"

static void on_dead(void *userdata, WorkerResult why, const char *text) {
        docking_fault(userdata, why, text);
}

static void on_block(void *userdata, uint32_t clip, uint32_t number, uint32_t length, const Digest *digest) {
        docking_block_read(userdata, clip, number, length, digest);
}

static void on_progress(void *userdata, uint32_t clip, uint64_t bytes) {
        Docking *d = userdata;

        (void) clip;
        d->manager->figures.read_bytes += d->pull_offset + bytes - MIN2(d->current_bytes, d->pull_offset + bytes);
        d->current_bytes = d->pull_offset + bytes;
        bay_changed(d->bay);
}

const WorkerOps docking_worker_ops = {
        .on_dead = on_dead,
        .on_block = on_block,
        .on_progress = on_progress,
};

/* Who is spoken to: while it is flashed, what its loader understands, also in its run-time mode. */
static const Model *spoken_to(const Docking *d) {
        return d->updating && d->model->update_mode ? models_find(d->manager->models, d->model->update_mode) : d->model;
}

/* Before it said who it is, its USB serial must do to find its credentials by. */
static int open_camera(Docking *d, WorkerDone opened) {
        const char *serial = d->camera ? camera_serial(d->camera) : d->device->usb_serial;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;
        int r;

        r = credentials_for(d->manager->credentials, spoken_to(d)->id, serial, &secrets);
        if (r < 0)
                return r;
        return worker_open(d->worker, spoken_to(d)->id, (const char *const *) spoken_to(d)->options.items, secrets_list(secrets), opened);
}

static void worker_trouble(Docking *d, int error) {
        _cleanup_(freep) char *what = NULL;

        if (error == -EPIPE || error == -ECONNRESET) {
                what = text_format("%s ended before it was asked anything", d->manager->settings->worker);
                return docking_fault(d, WORKER_DIED, what ?: "it ended before it was asked anything");
        }
        what = text_format("the worker %s cannot be started with the node %s of bay %s", d->manager->settings->worker, d->device->node_path,
                           bay_name(d->bay));
        docking_trouble(d, error, what ?: "the worker cannot be started");
}

int docking_spawn(Docking *d, WorkerDone opened) {
        const Settings *s = d->manager->settings;
        _cleanup_(freep) char *plugin = NULL;
        WorkerConfig config;
        int r;

        if (d->incoming_fd < 0) {
                d->incoming_fd = spool_open_incoming(d->manager->spool, d->id);
                if (d->incoming_fd < 0) {
                        docking_trouble(d, d->incoming_fd, "no folder can be made for the docking in incoming/");
                        return -EIO;
                }
        }
        plugin = text_format("%s/%s.so", s->plugin_dir, spoken_to(d)->plugin);
        if (!plugin) {
                docking_trouble(d, -ENOMEM, "the worker cannot be started");
                return -ENOMEM;
        }
        config = (WorkerConfig){
                .executable = s->worker,
                .plugin_path = plugin,
                .bay = bay_port_path(d->bay),
                .node_path = d->device->node_path,
                .descriptors = d->device->descriptors,
                .n_descriptors = d->device->n_descriptors,
                .incoming_fd = d->incoming_fd,
                .call_timeout_usec = s->call_usec,
                .stall_timeout_usec = s->stall_usec,
                .min_rate = s->min_rate,
        };
        room_wake(d->manager);
        d->busy = true;
        r = worker_spawn(d->manager->event, &config, &docking_worker_ops, d, &d->worker);
        if (r < 0) {
                if (r == -ENODEV)
                        docking_fault(d, WORKER_UNPLUGGED, "its USB node is not at this bay any more");
                else if (r == -ESTALE)
                        docking_fault(d, WORKER_CAMERA, "its descriptors are not those that its model was chosen by; take it out and put "
                                      "it back");
                else
                        worker_trouble(d, r);
                return r;
        }
        d->worker_erases = false;
        r = open_camera(d, opened);
        if (r < 0) {
                docking_trouble(d, r, "the worker cannot be called");
                return r;
        }
        return 0;
}

/* ---- Identify -------------------------------------------------------------------------------------------------- */

/* Another bay holds a device of this serial right now: which of the two is the camera cannot be known. */
Docking *docking_twin(Docking *d, const char *serial) {
        for (Bay *b = d->manager->bays; b; b = bay_next_in_order(b)) {
                Docking *other = bay_docking(b);

                if (other && other != d && other->camera && text_equal(camera_serial(other->camera), serial))
                        return other;
        }
        return NULL;
}

static void fact_of_camera(Docking *d, Camera *camera, Fact *ret) {
        *ret = docking_fact(d, FACT_CAMERA_SEEN, NULL);
        ret->camera_id = camera_id(camera);
        ret->camera.serial = camera_serial(camera);
        ret->camera.manufacturer = camera_manufacturer(camera);
        ret->camera.model = camera_model(camera);
        ret->camera.firmware = camera_firmware(camera);
        ret->camera.storage_id = camera_storage_id(camera);
        ret->camera.model_id = camera_model_id(camera);
        ret->camera.ambiguous = camera_is_ambiguous(camera);
}

static void quarantine_twin(Docking *d, const Docking *other) {
        docking_quarantine(d, "two devices show the serial %s, here and in bay %s; nothing is pulled from or erased on either until only "
                              "one of them is docked", camera_serial(d->camera), bay_name(other->bay));
        d->twin = true;
}

void docking_twins(Docking *d, Docking *other, Camera *camera) {
        Fact fact;

        camera_set_ambiguous(camera);
        fact_of_camera(d, camera, &fact);
        (void) docking_commit_fact(d, &fact, NULL, NULL);
        quarantine_twin(d, other);
        if (!other->quarantined)
                quarantine_twin(other, d);
}

/* Once, however often its worker is begun anew. */
static void say_docked(Docking *d) {
        LogAbout about = docking_about(d);

        about.message = MESSAGE_CAMERA_DOCKED;
        if (!d->said_docked)
                log_info(&about, "Docked: %s, firmware %s", camera_model(d->camera), camera_firmware(d->camera));
        d->said_docked = true;
}

static void identified(Docking *d, Clip *clip, int result) {
        (void) clip;
        if (!d || !d->worker)
                return;
        if (result < 0)
                return docking_trouble(d, result, "the database cannot be written");
        d->identified = true;
        camera_note_on_record(d->camera);
        say_docked(d);
        docking_flash_told(d, camera_firmware(d->camera));
        docking_step_done(d);
}

int camera_from_row(Manager *m, const CameraRow *row, Camera **ret) {
        int r;

        r = camera_get(m, row->id, row->serial, ret);
        if (r < 0)
                return r;
        r = camera_set_words(*ret, &(CameraWords){ row->manufacturer, row->model, row->firmware, row->storage_id, row->model_id });
        if (r >= 0)
                r = camera_set_owner(*ret, &(WorkerOwner){ row->officer_id, row->officer_name, row->unit_id, row->unit_name });
        if (r >= 0)
                r = camera_set_health(*ret, row->findings_json, (HealthStanding){ health_codes_from_text(row->held_back),
                                                                                  health_codes_from_text(row->accepted) },
                                      row->held_back_reason);
        if (r >= 0)
                r = docking_load_issue(m, *ret);
        if (r < 0)
                return r;
        camera_note_on_record(*ret);
        if (row->ambiguous)
                camera_set_ambiguous(*ret);
        camera_set_battery(*ret, row->battery_percent);
        if (row->drift_known)
                camera_set_drift(*ret, row->drift_usec);
        return 0;
}

static int find_camera(Docking *d, const char *serial, Camera **ret, char **ret_known_as) {
        _cleanup_(camera_row_freep) CameraRow *row = NULL;
        const char *known_as;
        uint64_t id;
        int r;

        *ret_known_as = NULL;
        *ret = manager_camera_by_serial(d->manager, serial);
        if (!*ret) {
                r = store_camera_by_serial(d->manager->store, serial, &row);
                if (r < 0 && r != -ENOENT)
                        return r;
                id = row ? row->id : store_next_id(d->manager->store, STORE_ID_CAMERA);
                r = row ? camera_from_row(d->manager, row, ret) : camera_get(d->manager, id, serial, ret);
                if (r < 0)
                        return r;
                if (row && !text_equal(row->model_id, d->model->id) && !(*ret_known_as = strdup(row->model_id)))
                        return -ENOMEM;
                return 0;
        }
        /* Without a model it was only ever looked up: a docking that asked for it went wrong. */
        known_as = camera_model_id(*ret);
        if (*known_as && !text_equal(known_as, d->model->id) && !(*ret_known_as = strdup(known_as)))
                return -ENOMEM;
        return 0;
}

/* What is on record already is not told again, nor who is docked of a camera whose port was off for a while. */
static int tell_who_it_is(Docking *d, StoreBatch *batch) {
        bool known = camera_is_on_record(d->camera);
        Fact fact;
        int r = 0;

        if (!known) {
                fact_of_camera(d, d->camera, &fact);
                r = store_batch_add(batch, &fact);
        }
        if (r < 0 || (known && d->slept))
                return r;
        fact = docking_fact(d, FACT_IDENTIFIED, NULL);
        return store_batch_add(batch, &fact);
}

static void identity_known(void *userdata, WorkerResult result, const char *text, const WorkerIdentity *id) {
        Docking *d = userdata, *other;
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        _cleanup_(freep) char *known_as = NULL;
        const char *serial, *problem;
        Camera *camera;
        int r;

        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        if (d->behind)
                return docking_storage_known(d, id);
        serial = *id->serial ? id->serial : d->device->usb_serial;
        problem = serial_problem(serial);
        if (problem)
                return docking_quarantine(d, "its serial '%s' %s, so that this camera cannot be told from others; give it a serial of "
                                             "its own with the maker's tool", serial, problem);
        r = find_camera(d, serial, &camera, &known_as);
        if (r < 0)
                return docking_trouble(d, r, "the camera cannot be looked up in the database");
        if (d->camera && d->camera != camera && d->unchanged)
                return docking_anew(d);
        d->unchanged = d->rested = false;
        if (d->camera && d->camera != camera)
                return docking_quarantine(d, "it now says that its serial is %s, before it said %s, %s; take it out and put it in "
                                          "again", serial, camera_serial(d->camera),
                                          d->command_model ? "and only came back from its other mode" : "without having left the bay");
        if (known_as)
                return docking_quarantine(d, "the serial %s is known of a camera of the model %s, and this is a %s; the two cannot be "
                                             "told apart", serial, known_as, d->model->id);
        other = docking_twin(d, serial);
        /* It was last seen in another bay, whose port is off: it was taken from there and put in here. */
        if (other && other->resting && !other->device) {
                bay_vacated(other->bay, "taken out while its port was off");
                other = docking_twin(d, serial);
        }
        d->camera = camera;
        if (other)
                return docking_twins(d, other, camera);
        camera_set_bay(camera, d->bay);
        r = camera_set_words(camera, &(CameraWords){ id->manufacturer, id->model, id->firmware, id->storage_id, d->model->id });
        if (r < 0 || store_batch_new(&batch) < 0)
                return docking_trouble(d, -ENOMEM, "the camera cannot be recorded");
        r = tell_who_it_is(d, batch);
        if (r >= 0)
                r = docking_brought_back(d, batch);
        if (r >= 0)
                r = docking_commit(d, TAKE_PTR(batch), NULL, identified);
        if (r < 0)
                docking_trouble(d, r, "the camera cannot be recorded");
}

static void opened(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;
        int r;

        /* A log-in that was refused is not tried again: cameras may count. */
        if (result == WORKER_DENIED)
                return docking_quarantine(d, "%s", text);
        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        r = worker_identify(d->worker, identity_known);
        if (r < 0)
                docking_trouble(d, r, "the worker cannot be called");
}

/* Udev tells nobody when it has given a file to the group. */
#define LOOK_AGAIN_USEC (250 * USEC_PER_MSEC)

/* Whether udev is given more time; the next decision looks again. */
static bool waits_for_udev(Docking *d) {
        uint64_t now = clock_boottime_usec();

        if (d->authorise_until_usec == 0)
                d->authorise_until_usec = now + d->manager->settings->call_usec;
        if (now >= d->authorise_until_usec)
                return false;
        (void) timer_at(d->wake, MIN2(d->authorise_until_usec, now + LOOK_AGAIN_USEC));
        return true;
}

static bool node_is_open_to_us(Docking *d) {
        _cleanup_(freep) char *what = NULL;

        if (authorise_node(d->device) == 0)
                return true;
        if (waits_for_udev(d))
                return false;
        d->authorise_until_usec = 0;
        what = text_format("its USB node %s at bay %s cannot be opened by berthd; is 68-berth.rules of udev installed, does it name this "
                           "camera, and does 'ls -l' show the group berth? Then take the camera out and put it back",
                           d->device->node_path, bay_name(d->bay));
        docking_trouble(d, -EACCES, what ?: "its USB node cannot be opened");
        return false;
}

/* On a rack of unauthorised interfaces: can the worker claim what it needs? Else it is decided again when udev went on. */
static bool interfaces_are_authorised(Docking *d) {
        int r;

        r = authorise_interfaces(d->device, d->model);
        if (r == AUTHORISE_WAIT && waits_for_udev(d))
                return false;
        d->authorise_until_usec = 0;
        if (r == -ENODEV)
                docking_fault(d, WORKER_UNPLUGGED, "it left the bus before its interfaces were authorised");
        else if (r != 0)
                docking_trouble(d, r == AUTHORISE_WAIT ? -EACCES : r, "its interfaces cannot be authorised; does 68-berth-rack.rules of "
                                "udev give their 'authorized' files to the group berth?");
        return r == 0;
}

void docking_identify(Docking *d) {
        if (!node_is_open_to_us(d))
                return;
        if (d->manager->settings->authorise) {
                if (!interfaces_are_authorised(d))
                        return;
        } else if (authorise_look(d->device, d->model) == AUTHORISE_MISSING)
                return docking_trouble(d, -EACCES, "its interfaces are not authorised, as on a dedicated rack, but authorise is off in "
                                       "[rack] of berthd.conf; set it to yes, or take the rack out of udev's rules");
        (void) docking_spawn(d, opened);
}

/* ---- Check ----------------------------------------------------------------------------------------------------- */

static void clock_recorded(Docking *d, Clip *clip, int result) {
        (void) clip;
        if (!d || !d->worker)
                return;
        if (result < 0)
                return docking_trouble(d, result, "the database cannot be written");
        d->checked = true;
        if (!docking_order_checked(d))
                docking_step_done(d);
}

static void record_clock(Docking *d, bool set, int64_t to_unix_sec, const char *why) {
        Fact fact = docking_fact(d, FACT_CLOCK_SET, NULL);
        int r;

        fact.text = why;
        fact.clock.set = set;
        fact.clock.to_unix_sec = to_unix_sec;
        r = docking_commit_fact(d, &fact, NULL, clock_recorded);
        if (r < 0)
                docking_trouble(d, r, "the check cannot be recorded");
}

static void clock_was_set(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        if (result == WORKER_UNSUPPORTED || result == WORKER_DENIED || result == WORKER_CAMERA)
                return record_clock(d, false, 0, text);
        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        d->told.clock_set = true;
        record_clock(d, true, clock_wall_usec() / (int64_t) USEC_PER_SEC, NULL);
}

/* The drift is committed: only now may the clock, which is the evidence of it, be changed. */
static void drift_recorded(Docking *d, Clip *clip, int result) {
        int64_t now_sec = (clock_wall_usec() + (int64_t) USEC_PER_SEC / 2) / (int64_t) USEC_PER_SEC;
        int r;

        (void) clip;
        if (!d || !d->worker)
                return;
        if (result < 0)
                return docking_trouble(d, result, "the database cannot be written");
        if (!d->manager->settings->set_clock)
                return record_clock(d, false, 0, "[policy] set_clock is off");
        if (!manager_clock_synchronised(d->manager))
                return record_clock(d, false, 0, "the dock's own clock is not known to be synchronised");
        r = worker_set_clock(d->worker, now_sec, clock_was_set);
        if (r < 0)
                docking_trouble(d, r, "the worker cannot be called");
}

#define TOLD_AGAIN_USEC (24 * 3600 * USEC_PER_SEC)
#define SAME_DRIFT_USEC (INT64_C(2) * 1000 * 1000) /* cameras tell whole seconds */
#define SAME_BATTERY_PERCENT 5

static bool owners_equal(const WorkerOwner *a, const WorkerOwner *b) {
        return text_equal(a->officer_id, b->officer_id) && text_equal(a->officer_name, b->officer_name) &&
               text_equal(a->unit_id, b->unit_id) && text_equal(a->unit_name, b->unit_name);
}

/*
 * A camera whose port was off is looked at each hour. When it says what it said before, and its clock goes right, neither that nor its
 * clock is told or set again for a day.
 */
static bool check_says_nothing_new(const Docking *d, const FactCheck *now, const WorkerOwner *owner) {
        const FactCheck *then = &d->told.check;
        const WorkerOwner owned = camera_owner(d->camera);
        int64_t expected = d->told.clock_set ? 0 : then->drift_usec;

        return d->slept && d->told.at_usec != 0 && clock_boottime_usec() - d->told.at_usec < TOLD_AGAIN_USEC &&
               !d->behind && !then->behind && abs(now->battery_percent - then->battery_percent) < SAME_BATTERY_PERCENT &&
               now->storage_known == then->storage_known && now->storage_total_bytes == then->storage_total_bytes &&
               now->storage_free_bytes == then->storage_free_bytes && now->read_only == then->read_only &&
               now->volume_known == then->volume_known && now->volume_dirty == then->volume_dirty &&
               now->temperature_known == then->temperature_known && now->restarts_known == then->restarts_known &&
               now->restarts == then->restarts && now->drift_known == then->drift_known &&
               (!now->drift_known || llabs(now->drift_usec - expected) <= SAME_DRIFT_USEC) &&
               now->owner_known == then->owner_known && (!owner || owners_equal(owner, &owned));
}

/* In its storage mode a camera does not tell its battery, its clock or its owner: it was asked before. */
static void check_recorded(Docking *d, Clip *clip, int result) {
        if (d && result >= 0) {
                d->told.at_usec = clock_boottime_usec();
                docking_judge(d);
        }
        if (d && d->behind)
                clock_recorded(d, clip, result);
        else
                drift_recorded(d, clip, result);
}

static void record_check(Docking *d, const WorkerOwner *owner) {
        Fact fact = docking_fact(d, FACT_CHECKED, NULL);
        bool news;
        int r;

        fact.check.behind = d->behind;
        fact.check.volume_known = d->health.volume_known;
        fact.check.volume_dirty = d->health.volume_dirty;
        fact.check.owner_known = owner != NULL;
        if (owner)
                fact.check.owner = (FactOwner){ owner->officer_id, owner->officer_name, owner->unit_id, owner->unit_name };
        fact.check.battery_percent = d->health.battery_percent;
        fact.check.storage_known = d->health.storage_known;
        fact.check.read_only = d->health.read_only;
        fact.check.storage_total_bytes = d->health.storage_total_bytes;
        fact.check.storage_free_bytes = d->health.storage_free_bytes;
        fact.check.drift_known = d->health.clock_known && !d->behind;
        if (fact.check.drift_known) {
                /* What the dock's clock showed when the camera's was read. The camera tells whole seconds. */
                int64_t then = fact.at.wall_usec - (int64_t) (fact.at.boottime_usec - d->health.clock_boottime_usec);

                fact.check.drift_usec = d->health.clock_unix_sec * (int64_t) USEC_PER_SEC - then;
                d->drift_usec = fact.check.drift_usec;
                camera_set_drift(d->camera, fact.check.drift_usec);
        }
        fact.check.temperature_known = d->health.temperature_known;
        fact.check.temperature_decidegrees = d->health.temperature_decidegrees;
        fact.check.restarts_known = d->health.restarts_known;
        fact.check.restarts = d->health.restarts;
        if (!d->behind) {
                camera_set_battery(d->camera, d->health.battery_percent);
                camera_set_temperature(d->camera, d->health.temperature_known, d->health.temperature_decidegrees);
                charging_battery_told(d->manager->charging, d->bay);
        }
        news = !check_says_nothing_new(d, &fact.check, owner);
        d->slept = false;
        r = owner ? camera_set_owner(d->camera, owner) : 0;
        if (r >= 0 && !news) {
                docking_judge(d);
                return clock_recorded(d, NULL, 0);
        }
        if (r >= 0)
                r = docking_commit_fact(d, &fact, NULL, check_recorded);
        if (r < 0)
                return docking_trouble(d, r, "the check cannot be recorded");
        d->told.check = fact.check;
        d->told.check.owner = (FactOwner){ NULL };
        d->told.at_usec = 0;
        d->told.clock_set = false;
}

static void owner_known(void *userdata, WorkerResult result, const char *text, const WorkerOwner *owner) {
        Docking *d = userdata;

        /* Many cameras hold none, some do not tell, and some hold what is no text. Their footage is pulled all the same. */
        if (result == WORKER_CAMERA) {
                LogAbout about = docking_about(d);

                log_notice(&about, "Whom it is issued to is not known: %s", text);
        }
        if (result == WORKER_UNSUPPORTED || result == WORKER_DENIED || result == WORKER_CAMERA)
                return record_check(d, NULL);
        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        record_check(d, owner);
}

static void health_known(void *userdata, WorkerResult result, const char *text, const WorkerHealth *health) {
        Docking *d = userdata;
        int r;

        if (result == WORKER_UNSUPPORTED)
                d->health = (WorkerHealth){ .battery_percent = -1, .charging = -1 };
        else if (result != WORKER_OK)
                return docking_fault(d, result, text);
        else
                d->health = *health;
        if (d->behind)
                return record_check(d, NULL);
        r = worker_get_owner(d->worker, owner_known);
        if (r < 0)
                docking_trouble(d, r, "the worker cannot be called");
}

void docking_check(Docking *d) {
        int r;

        d->busy = true;
        r = worker_health(d->worker, health_known);
        if (r < 0)
                docking_trouble(d, r, "the worker cannot be called");
}
