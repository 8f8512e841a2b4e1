/* SPDX-License-Identifier: Apache-2.0 */
#include "service/rollout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "service/flash.h"
#include "service/rollout_private.h"

#define MINUTE_USEC (60 * USEC_PER_SEC)
/* How many places of a window are tried. */
#define TRIES 4u
/* So often cameras are gone on with; what is asked of the store goes by its own rhythm. */
#define STEP_USEC (USEC_PER_SEC / 2)
/* What keeps a camera from being flashed, and ends by itself, is looked at so often. */
#define OBSTACLE_USEC (2 * USEC_PER_SEC)

static void unit_step(RolloutUnit *u);

static void waits(RolloutUnit *u, uint64_t retry_after_usec, const char *code, const char *format, ...) _printf_(4, 5);
static void waits(RolloutUnit *u, uint64_t retry_after_usec, const char *code, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(u->why, sizeof(u->why), format, arguments);
        va_end(arguments);
        u->code = code;
        u->retry_usec = retry_after_usec > 0 ? clock_boottime_usec() + retry_after_usec : 0;
}

static LogAbout about(const RolloutUnit *u) {
        return (LogAbout){ .camera = u->serial };
}

static Camera *camera_of(const RolloutUnit *u) {
        return manager_camera_by_serial(u->rollout->all->manager, u->serial);
}

static void drop_image(RolloutUnit *u) {
        u->image_fd = fd_close(u->image_fd);
}

/* It had a turn and did not use it: another one is drawn. */
static void lose_turn(RolloutUnit *u) {
        u->camera.turn_usec = 0;
        u->camera.placed = false;
        u->tries = 0;
        drop_image(u);
}

/* ---- How it ended --------------------------------------------------------------------------------------------------------- */

static void told_recorded(int result, void *userdata) {
        RolloutUnit *u = userdata;

        u->told = u->told || result >= 0;
        u->telling = false;
}

static void record_told(RolloutUnit *u) {
        Fact fact = { .kind = FACT_ROLLOUT_TOLD, .camera_id = u->camera_id };

        fact.rollout.id = u->rollout->id;
        manager_moment(u->rollout->all->manager, &fact.at);
        u->telling = store_put(u->rollout->all->manager->store, &fact, told_recorded, u) >= 0;
}

static void on_outcome_kept(void *userdata, void *cookie, const UplinkAnswer *answer) {
        RolloutUnit *u = cookie;

        (void) userdata;
        /* Some dock was there first, and said that it is overdue. */
        if (answer->result == UPLINK_OK || answer->result == UPLINK_CONFLICT)
                return record_told(u);
        u->telling = false;
        u->retry_usec = clock_boottime_usec() + ROLLOUT_RETRY_USEC;
}

/* Once the window is closed, what became of its places is settled: then it is no news any more. */
static void tell_outcome(RolloutUnit *u) {
        Rollout *r = u->rollout;
        char key[ROLLOUT_KEY_SIZE];

        if (u->telling || u->told || clock_boottime_usec() < u->retry_usec)
                return;
        if (r->closed > u->window)
                return record_told(u);
        u->telling = rollout_keep(r, STATEMENT_ROLLOUT_OUTCOME,
                                  rollout_outcome_key(r->id, u->outcome, u->window, u->place, u->camera.wave, key), u->window + 1,
                                  json_pack("{s:s, s:s}", "camera", u->serial, "outcome", u->outcome), on_outcome_kept, u) >= 0;
}

static void end_recorded(int result, void *userdata) {
        RolloutUnit *u = userdata;

        if (result < 0)
                log_error(&(LogAbout){ .camera = u->serial }, "Rollout %s: its outcome is not on record: %s", u->rollout->id,
                          store_last_refusal(u->rollout->all->manager->store));
        manager_tell(u->rollout->all->manager);
        tell_outcome(u);
}

static void unit_ended(RolloutUnit *u, const char *outcome, const char *text) {
        Fact fact = { .kind = FACT_ROLLOUT_ENDED, .camera_id = u->camera_id, .text = text };
        LogAbout of = about(u);

        if (text_equal(u->outcome, "ok"))
                return;
        u->phase = UNIT_IDLE;
        u->outcome = outcome;
        drop_image(u);
        waits(u, 0, "", "%s", text);
        log_full(text_equal(outcome, "ok") ? LOG_NOTICE : LOG_ERR, &of, "Rollout %s: %s", u->rollout->id, text);
        fact.rollout.id = u->rollout->id;
        fact.rollout.outcome = outcome;
        manager_moment(u->rollout->all->manager, &fact.at);
        if (store_put(u->rollout->all->manager->store, &fact, end_recorded, u) < 0)
                log_error(&of, "Rollout %s: its outcome cannot be put on record", u->rollout->id);
}

static void on_flash_ended(void *userdata, const FlashEnd *end) {
        Rollouts *all = userdata;

        for (Rollout *r = all->first; r; r = r->next)
                for (RolloutUnit *u = r->units; u; u = u->next)
                        if (u->camera.begun && text_equal(r->id, end->purpose) && text_equal(u->serial, end->serial))
                                return unit_ended(u, end->outcome == FLASH_OK ? "ok" : "bad", end->text);
}

/* ---- Beginning one ---------------------------------------------------------------------------------------------------------- */

static FlashRequest request_of(const RolloutUnit *u, const CatalogImage *image, const char *model) {
        return (FlashRequest){
                .image_fd = u->image_fd,
                .size_bytes = image->size_bytes,
                .digest = image->digest,
                .version = image->version,
                .floor = image->floor,
                .hardware_fits = !catalog_misfit(image, model, NULL),
                .purpose = u->rollout->id,
        };
}

static void flash(RolloutUnit *u) {
        Camera *camera = camera_of(u);
        _cleanup_(freep) char *why = NULL;
        uint32_t obstacles = 0;
        FlashRequest request;
        uint64_t id;
        int r = -ENODEV;

        if (camera) {
                request = request_of(u, &u->image, camera_model_id(camera));
                r = flash_begin(camera, &request, &id, &obstacles, &why);
        }
        if (r < 0)
                return unit_ended(u, "bad", why ? why : "the camera left its bay, or something else came up, before anything was sent");
        drop_image(u);
        u->phase = UNIT_FLASHING;
        waits(u, 0, "update-in-progress", "is being flashed");
        manager_tell(u->rollout->all->manager);
}

static void begun_recorded(int result, void *userdata) {
        RolloutUnit *u = userdata;

        if (result >= 0) {
                u->camera.begun = true;
                return flash(u);
        }
        u->phase = UNIT_IDLE;
        lose_turn(u);
        waits(u, ROLLOUT_RETRY_USEC, "internal", "that it begins cannot be put on record: %s",
              store_last_refusal(u->rollout->all->manager->store));
}

static void record_begun(RolloutUnit *u) {
        Fact fact = { .kind = FACT_ROLLOUT_BEGUN, .camera_id = u->camera_id };

        u->window = rollout_window(&u->rollout->order->plan, u->camera.turn_usec);
        fact.rollout.id = u->rollout->id;
        fact.rollout.window = u->window;
        fact.rollout.place = u->place;
        fact.rollout.wave = u->camera.wave;
        manager_moment(u->rollout->all->manager, &fact.at);
        u->phase = UNIT_RECORDING;
        if (store_put(u->rollout->all->manager->store, &fact, begun_recorded, u) < 0)
                begun_recorded(-ENOMEM, u);
}

/* A place that is not used is no outcome. When that cannot be said, it will be overdue. */
static void on_given_back(void *userdata, void *cookie, const UplinkAnswer *answer) {
        (void) userdata;
        (void) cookie;
        (void) answer;
}

static void give_back(RolloutUnit *u) {
        Rollout *r = u->rollout;
        uint64_t window = rollout_window(&r->order->plan, u->camera.turn_usec);
        char key[ROLLOUT_KEY_SIZE];

        if (u->camera.placed)
                (void) rollout_keep(r, STATEMENT_ROLLOUT_OUTCOME, rollout_outcome_key(r->id, "ok", window, u->place, UINT32_MAX, key),
                                    window + 1, json_pack("{s:s}", "outcome", "void"), on_given_back, r);
        lose_turn(u);
}

static void on_claimed(void *userdata, void *cookie, const UplinkAnswer *answer) {
        RolloutUnit *u = cookie;

        (void) userdata;
        u->phase = UNIT_IDLE;
        if (answer->result == UPLINK_OK) {
                u->claimed = true;
                return unit_step(u);
        }
        if (answer->result == UPLINK_CONFLICT) {
                give_back(u);
                u->camera.begun = true;
                u->told = true;
                return waits(u, 0, "permission-denied", "was begun in this rollout at another dock: it is not flashed again");
        }
        waits(u, ROLLOUT_RETRY_USEC, "not-reachable", "waits for the store: %s", answer->text);
}

/* Once in all the fleet: the next dock in which it lies sees that. */
static void claim(RolloutUnit *u) {
        char key[ROLLOUT_KEY_SIZE];

        if (rollout_camera_key(u->rollout->id, u->serial, key) < 0)
                return waits(u, ROLLOUT_RETRY_USEC, "internal", "out of memory");
        u->phase = UNIT_CLAIMING;
        if (rollout_keep(u->rollout, STATEMENT_ROLLOUT_CAMERA, key, 1, json_pack("{s:s}", "camera", u->serial), on_claimed, u) < 0) {
                u->phase = UNIT_IDLE;
                waits(u, ROLLOUT_RETRY_USEC, "internal", "it could not be claimed for this dock");
        }
}

/* ---- Its place --------------------------------------------------------------------------------------------------------------- */

static int draw_random(uint64_t *ret) {
        return getrandom(ret, sizeof(*ret), GRND_NONBLOCK) == sizeof(*ret) ? 0 : -EAGAIN;
}

static void on_taken(void *userdata, void *cookie, const UplinkAnswer *answer) {
        RolloutUnit *u = cookie;
        uint64_t random;

        (void) userdata;
        u->phase = UNIT_IDLE;
        if (answer->result == UPLINK_OK) {
                u->camera.placed = true;
                return unit_step(u);
        }
        if (answer->result != UPLINK_CONFLICT)
                return waits(u, ROLLOUT_RETRY_USEC, "not-reachable", "waits for the store: %s", answer->text);
        if (++u->tries >= TRIES || draw_random(&random) < 0)
                lose_turn(u);
        else
                u->place = (uint32_t) (random % rollout_places(&u->rollout->order->plan));
        unit_step(u);
}

static void take_place(RolloutUnit *u) {
        Rollout *r = u->rollout;
        uint64_t window = rollout_window(&r->order->plan, u->camera.turn_usec);
        char key[ROLLOUT_KEY_SIZE];

        u->phase = UNIT_TAKING;
        if (rollout_keep(r, STATEMENT_ROLLOUT_STARTED, rollout_started_key(r->id, window, u->place, key), window + 1,
                         json_pack("{s:s, s:I}", "camera", u->serial, "wave", (json_int_t) u->camera.wave), on_taken, u) < 0) {
                u->phase = UNIT_IDLE;
                waits(u, ROLLOUT_RETRY_USEC, "internal", "a place could not be asked for");
        }
}

/* ---- Its turn ----------------------------------------------------------------------------------------------------------------- */

static bool in_hours(const RolloutOrder *o, unsigned minute) {
        for (size_t i = 0; i < o->n_hours; i++)
                if (week_span_contains(&o->hours[i], minute))
                        return true;
        return o->n_hours == 0;
}

/* By the dock's own clock: are they now, and when does that change? UINT64_MAX: never. */
static bool hours(const RolloutOrder *o, uint64_t now_usec, uint64_t *ret_change_usec) {
        time_t sec = (time_t) (now_usec / USEC_PER_SEC);
        unsigned minute, passed = 0;
        struct tm local;
        bool now;

        *ret_change_usec = UINT64_MAX;
        if (o->n_hours == 0 || !localtime_r(&sec, &local))
                return o->n_hours == 0;
        minute = week_minute(&local);
        now = in_hours(o, minute);
        do {
                unsigned step = week_next_change(o->hours, o->n_hours, (minute + passed) % WEEK_MINUTES);

                if (step == 0)
                        return now;
                passed += step;
        } while (passed < WEEK_MINUTES && in_hours(o, (minute + passed) % WEEK_MINUTES) == now);
        if (passed < WEEK_MINUTES)
                *ret_change_usec = now_usec - now_usec % MINUTE_USEC + passed * MINUTE_USEC;
        return now;
}

/* What stands against it here and now; false: nothing does. */
static bool is_kept_back(RolloutUnit *u, Camera *camera, const CatalogImage *image) {
        FlashRequest request = request_of(u, image, camera_model_id(camera));
        const char *misfit = catalog_misfit(image, camera_model_id(camera), NULL);
        uint64_t usec = 0;
        uint32_t obstacles = flash_camera_obstacles(camera, &request, &usec);

        for (unsigned why = 0; why < _FLASH_WHY_MAX; why++)
                if (obstacles & FLASH_BIT(why)) {
                        waits(u, OBSTACLE_USEC, flash_why_to_code(why), "%s",
                              why == FLASH_HARDWARE && misfit ? misfit : flash_why_to_text(why));
                        return true;
                }
        return false;
}

static void draw(RolloutUnit *u, Camera *camera, uint64_t now_usec) {
        Rollout *r = u->rollout;
        const CatalogImage *image;
        ConfError error = { 0 };
        uint64_t until, random;

        lose_turn(u);
        image = catalog_follow_image(r->all->manager->catalog_follow, camera_model_id(camera), r->order->version, &error);
        if (!image)
                return waits(u, OBSTACLE_USEC, "not-found", "%s", error.text);
        if (is_kept_back(u, camera, image))
                return;
        if (!hours(r->order, now_usec, &until))
                return waits(u, MIN2(until - now_usec, 10 * MINUTE_USEC), "system-inhibit",
                             "waits for the hours in which the rollout goes on");
        if (draw_random(&random) < 0)
                return waits(u, USEC_PER_SEC, "internal", "there is no randomness yet");
        if (!rollout_draw(&r->order->plan, &r->counts, u->camera.wave, now_usec, until, random, &u->camera.turn_usec, &u->place)) {
                u->camera.turn_usec = 0;
                return waits(u, MIN2(until - now_usec, 10 * MINUTE_USEC), "system-inhibit",
                             "waits for the next hours in which the rollout goes on");
        }
        waits(u, 0, "update-pending", "waits for its turn");
}

static void on_image(void *userdata, int result, int fd, const char *text) {
        RolloutUnit *u = userdata;

        u->phase = UNIT_IDLE;
        if (result < 0) {
                lose_turn(u);
                return waits(u, ROLLOUT_RETRY_USEC, "invalid-file", "%s", text);
        }
        u->image_fd = fd;
}

/* The image first, and all that stands against it once more: a place is not taken in vain. False: not yet. */
static bool is_prepared(RolloutUnit *u, Camera *camera) {
        Rollout *r = u->rollout;
        const CatalogImage *image;
        ConfError error = { 0 };

        image = catalog_follow_image(r->all->manager->catalog_follow, camera_model_id(camera), r->order->version, &error);
        if (!image || is_kept_back(u, camera, image)) {
                give_back(u);
                if (!image)
                        waits(u, OBSTACLE_USEC, "not-found", "%s", error.text);
                return false;
        }
        if (u->image_fd >= 0 && digest_equal(&u->image.digest, &image->digest))
                return true;
        drop_image(u);
        u->image = *image;
        u->phase = UNIT_IMAGE;
        if (images_get(r->all->manager->images, image, on_image, u) < 0)
                on_image(u, -ENOMEM, -EBADF, "out of memory");
        return false;
}

/* ---- What is next for it ---------------------------------------------------------------------------------------------------- */

static bool in_turn(const RolloutUnit *u, uint64_t now_usec) {
        const RolloutPlan *plan = &u->rollout->order->plan;

        return u->camera.turn_usec > 0 && now_usec >= u->camera.turn_usec && now_usec - u->camera.turn_usec < plan->flash_usec;
}

static void act(RolloutUnit *u, Camera *camera, RolloutStep step, uint64_t now_usec) {
        switch (step) {
        case ROLLOUT_DONE:
                return waits(u, 0, "", "has the version");
        case ROLLOUT_NOT_MEANT:
                return waits(u, 0, "", "is in no wave");
        case ROLLOUT_ABORTED:
                return waits(u, 0, "system-inhibit", "the rollout was aborted");
        case ROLLOUT_STOPPED:
                return waits(u, 0, "system-inhibit", "the rollout has stopped: too many cameras are bad");
        case ROLLOUT_PAUSED:
                return waits(u, 0, "system-inhibit", "the rollout is paused");
        case ROLLOUT_WAITS_WAVE:
                return waits(u, 0, "update-pending", "waits for wave %u: not enough of the one before are well", u->camera.wave + 1);
        case ROLLOUT_WAITS_START:
                return waits(u, 0, "update-pending", "waits for the beginning of wave %u", u->camera.wave + 1);
        case ROLLOUT_READ_STATE:
                waits(u, 0, "not-reachable", "waits for what the store has about the rollout");
                return rollout_read_state(u->rollout);
        case ROLLOUT_DRAW:
                return draw(u, camera, now_usec);
        case ROLLOUT_WAITS_TURN:
                return waits(u, 0, "update-pending", "waits for its turn");
        case ROLLOUT_READ_BAD:
                if (is_prepared(u, camera))
                        rollout_read_bad(u->rollout);
                return;
        case ROLLOUT_TAKE_PLACE:
                if (is_prepared(u, camera))
                        take_place(u);
                return;
        case ROLLOUT_FLASH:
                if (!is_prepared(u, camera))
                        return;
                return u->claimed ? record_begun(u) : claim(u);
        default:
                return;
        }
}

static void unit_step(RolloutUnit *u) {
        Rollout *r = u->rollout;
        Camera *camera = camera_of(u);
        uint64_t until, now_usec = (uint64_t) MAX2(clock_wall_usec(), (int64_t) 0);
        RolloutStep step;

        if (u->outcome[0] && !u->told)
                return tell_outcome(u);
        /* It was begun, and nobody will tell any more how it ended. */
        if (u->phase == UNIT_FLASHING && now_usec >= rollout_window_closes_usec(&r->order->plan, u->window))
                return unit_ended(u, "bad", "the camera was begun to be flashed, and that did not come to its end in time");
        if (u->phase != UNIT_IDLE || u->camera.begun || clock_boottime_usec() < u->retry_usec)
                return;
        if (!camera || !camera_bay(camera)) {
                if (u->camera.turn_usec > 0)
                        give_back(u);
                return waits(u, 0, "unreachable", "is not in a bay of this dock");
        }
        if (!manager_clock_synchronised(r->all->manager))
                return waits(u, USEC_PER_SEC, "system-inhibit", "the dock's clock is not synchronised");
        u->camera.has_version = text_equal(camera_firmware(camera), r->order->version);
        step = rollout_next(&r->order->plan, &r->counts, &u->camera, now_usec, &until);
        /* What stops it now gives its place back. */
        if (u->camera.placed && !in_turn(u, now_usec))
                give_back(u);
        act(u, camera, step, now_usec);
}

/* ---- Cameras ------------------------------------------------------------------------------------------------------------------ */

static int find_wave(const Rollout *r, RolloutUnit *u) {
        uint32_t wave = rollout_order_named(r->order, u->serial);

        if (wave == UINT32_MAX)
                return rollout_wave(&r->order->plan, u->serial, &u->camera.wave);
        u->camera.wave = wave;
        return 0;
}

int rollout_unit_add(Rollout *r, uint64_t camera_id, const char *serial, RolloutUnit **ret) {
        RolloutUnit *u = calloc(1, sizeof(*u)), **end = &r->units;

        if (!u)
                return -ENOMEM;
        *u = (RolloutUnit){ .rollout = r, .camera_id = camera_id, .image_fd = -EBADF, .outcome = "", .code = "", .serial = strdup(serial) };
        if (!u->serial || find_wave(r, u) < 0) {
                free(u->serial);
                free(u);
                return -ENOMEM;
        }
        while (*end)
                end = &(*end)->next;
        *end = u;
        if (ret)
                *ret = u;
        return 0;
}

void rollout_plan_changed(Rollout *r) {
        for (RolloutUnit *u = r->units; u; u = u->next) {
                u->retry_usec = 0;
                if (!u->camera.begun)
                        (void) find_wave(r, u);
        }
        manager_tell(r->all->manager);
        rollouts_step(r->all);
}

static void add_docked(Rollout *r) {
        for (Camera *c = manager_first_camera(r->all->manager); c; c = camera_next_in_order(c)) {
                RolloutUnit *u = r->units;

                if (!camera_bay(c) || camera_is_ambiguous(c) || !rollout_order_is_for(r->order, camera_model_id(c)))
                        continue;
                while (u && u->camera_id != camera_id(c))
                        u = u->next;
                if (!u)
                        (void) rollout_unit_add(r, camera_id(c), camera_serial(c), NULL);
        }
}

void rollouts_step(Rollouts *all) {
        if (all->manager->stopping)
                return;
        for (Rollout *r = all->first; r; r = r->next) {
                if (!r->order)
                        continue;
                add_docked(r);
                for (RolloutUnit *u = r->units; u; u = u->next)
                        unit_step(u);
        }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Rollouts *all = userdata;
        const Manager *m = all->manager;
        int r;

        (void) usec;
        if (!m->stopping && text_equal(manager_store_state(m, NULL), WIRE_STORE_READY)) {
                if (clock_boottime_usec() >= all->look_usec)
                        rollouts_look(all);
                rollouts_step(all);
        }
        r = sd_event_source_set_time(source, clock_boottime_usec() + STEP_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- Looking -------------------------------------------------------------------------------------------------------------------- */

Rollout *rollouts_first(const Rollouts *all) {
        Rollout *r = all->first;

        while (r && !r->order)
                r = r->next;
        return r;
}

Rollout *rollout_next_in_order(const Rollout *r) {
        Rollout *next = r->next;

        while (next && !next->order)
                next = next->next;
        return next;
}

const RolloutOrder *rollout_order(const Rollout *r) {
        return r->order;
}

const RolloutCounts *rollout_counts(const Rollout *r) {
        return &r->counts;
}

const char *rollout_state(const Rollout *r) {
        if (!r->order->plan.aborted && rollout_is_stopped(&r->order->plan, &r->counts))
                return "stopped";
        return rollout_order_state(r->order);
}

const char *rollout_trouble(const Rollout *r) {
        return r->trouble.text;
}

RolloutUnit *rollout_first_unit(const Rollout *r) {
        return r->units;
}

RolloutUnit *rollout_unit_next(const RolloutUnit *u) {
        return u->next;
}

void rollout_unit_view(const RolloutUnit *u, RolloutUnitView *ret) {
        const char *state = "waits";

        if (u->outcome[0])
                state = u->outcome;
        else if (u->phase == UNIT_FLASHING || u->phase == UNIT_RECORDING)
                state = "under-way";
        else if (u->camera.has_version)
                state = "done";
        else if (u->camera.wave == ROLLOUT_NO_WAVE)
                state = "not-meant";
        *ret = (RolloutUnitView){ .serial = u->serial, .wave = u->camera.wave, .state = state, .code = u->code, .why = u->why };
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------------------------ */

int rollouts_new(Manager *m, Rollouts **ret, ConfError *error) {
        _cleanup_(rollouts_freep) Rollouts *all = calloc(1, sizeof(*all));
        const Settings *s = m->settings;
        int r;

        if (!all)
                return -ENOMEM;
        all->manager = m;
        if (s->fleet && s->fleet_key_known && catalog_follow_is_on(m->catalog_follow)) {
                r = rollouts_load(all, error);
                if (r >= 0)
                        r = flashes_observe(m->flashes, on_flash_ended, all);
                if (r >= 0)
                        r = sd_event_add_time(m->event, &all->timer, CLOCK_BOOTTIME, clock_boottime_usec() + STEP_USEC, USEC_PER_SEC / 10,
                                              on_timer, all);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(all);
        return 0;
}

static RolloutUnit *unit_free(RolloutUnit *u) {
        fd_close(u->image_fd);
        free(u->serial);
        free(u);
        return NULL;
}

Rollout *rollout_free(Rollout *r) {
        while (r->units) {
                RolloutUnit *u = r->units;

                r->units = u->next;
                (void) unit_free(u);
        }
        r->closing = rollout_closing_free(r->closing);
        (void) rollout_order_free(r->order);
        free(r->revisions);
        free(r);
        return NULL;
}

Rollouts *rollouts_free(Rollouts *all) {
        if (!all)
                return NULL;
        sd_event_source_disable_unref(all->timer);
        while (all->first) {
                Rollout *r = all->first;

                all->first = r->next;
                (void) rollout_free(r);
        }
        free(all);
        return NULL;
}
