/* SPDX-License-Identifier: Apache-2.0 */

/* A camera in a rollout: its turn is drawn, its place taken in the store, it is flashed, and what came of that is told. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "service/flash.h"
#include "service/rollout_private.h"

#define MINUTE_USEC (60 * USEC_PER_SEC)
/* How many places of a window are tried. */
#define TRIES 4u
/* What keeps a camera from being flashed, and ends by itself, is looked at so often. */
#define OBSTACLE_USEC (2 * USEC_PER_SEC)

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
        CRASH_POINT("rollout-outcome-put");
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

void rollout_on_flash_ended(void *userdata, const FlashEnd *end) {
        Rollouts *all = userdata;

        for (Rollout *r = all->first; r; r = r->next)
                for (RolloutUnit *u = r->units; u; u = u->next)
                        if (u->camera.begun && text_equal(r->id, end->purpose) && text_equal(u->serial, end->serial))
                                return unit_ended(u, end->outcome == FLASH_OK ? "ok" : "bad", end->text);
}

/* ---- Beginning one ---------------------------------------------------------------------------------------------------------- */

static FlashRequest request_of(const RolloutUnit *u, const CatalogImage *image, const Camera *camera) {
        return (FlashRequest){
                .image_fd = u->image_fd,
                .size_bytes = image->size_bytes,
                .digest = image->digest,
                .version = image->version,
                .file = image->file,
                .floor = image->floor,
                .hardware_fits = !flash_misfit(camera, image),
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
                request = request_of(u, &u->image, camera);
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

        CRASH_POINT("rollout-begun-recorded");
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

void rollout_unit_give_back(RolloutUnit *u) {
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
        CRASH_POINT("rollout-camera-claimed");
        u->phase = UNIT_IDLE;
        if (answer->result == UPLINK_OK) {
                u->claimed = true;
                return rollout_unit_step(u);
        }
        if (answer->result == UPLINK_CONFLICT) {
                rollout_unit_give_back(u);
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
        CRASH_POINT("rollout-place-taken");
        u->phase = UNIT_IDLE;
        if (answer->result == UPLINK_OK) {
                u->camera.placed = true;
                return rollout_unit_step(u);
        }
        if (answer->result != UPLINK_CONFLICT)
                return waits(u, ROLLOUT_RETRY_USEC, "not-reachable", "waits for the store: %s", answer->text);
        if (++u->tries >= TRIES || draw_random(&random) < 0)
                lose_turn(u);
        else
                u->place = (uint32_t) (random % rollout_places(&u->rollout->order->plan));
        rollout_unit_step(u);
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

/* By the dock's own clock: are they now, and when does that change? UINT64_MAX: never. */
static bool hours(const RolloutOrder *o, uint64_t now_usec, uint64_t *ret_change_usec) {
        int64_t sec = (int64_t) (now_usec / USEC_PER_SEC), changes = INT64_MAX;
        bool now = o->n_hours == 0;

        if (o->n_hours > 0) {
                now = week_is_within(o->hours, o->n_hours, sec);
                changes = week_changes_sec(o->hours, o->n_hours, sec);
        }
        *ret_change_usec = changes == INT64_MAX ? UINT64_MAX : (uint64_t) changes * USEC_PER_SEC;
        return now;
}

/* Till they begin: `change_usec`, as of hours() when it says that they are not now. A night in which clocks change may have none. */
static void wait_for_hours(RolloutUnit *u, uint64_t now_usec, uint64_t change_usec) {
        bool known = change_usec != UINT64_MAX;
        char when[LOCAL_TEXT_SIZE];

        waits(u, MIN2(change_usec - now_usec, 10 * MINUTE_USEC), "system-inhibit",
              "waits for the hours in which the rollout goes on%s%s", known ? ": they begin at " : "",
              known ? local_text((int64_t) change_usec, when) : "");
}

/* What stands against it here and now, but for FLASH_BIT()s that are looked at later; false: nothing does. */
static bool is_kept_back(RolloutUnit *u, Camera *camera, const CatalogImage *image, uint32_t later) {
        FlashRequest request = request_of(u, image, camera);
        const char *misfit = flash_misfit(camera, image);
        uint64_t usec = 0;
        uint32_t obstacles = flash_camera_obstacles(camera, &request, &usec) & ~later;

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
        /* One whose port is off sleeps until its turn, and is asked everything then. */
        if (is_kept_back(u, camera, image, flash_is_asleep(camera) ? FLASH_ASLEEP : 0))
                return;
        if (!hours(r->order, now_usec, &until))
                return wait_for_hours(u, now_usec, until);
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
static bool is_prepared(RolloutUnit *u, Camera *camera, uint64_t now_usec) {
        Rollout *r = u->rollout;
        const CatalogImage *image;
        ConfError error = { 0 };
        uint64_t change;

        /* It was drawn by the hours of another revision, or of another time zone. */
        if (!hours(r->order, now_usec, &change)) {
                rollout_unit_give_back(u);
                wait_for_hours(u, now_usec, change);
                return false;
        }
        image = catalog_follow_image(r->all->manager->catalog_follow, camera_model_id(camera), r->order->version, &error);
        if (image && flash_wakes(camera)) {
                waits(u, OBSTACLE_USEC, flash_why_to_code(FLASH_NOT_CHARGED), "is given power, and asked anew: its port was off");
                return false;
        }
        if (!image || is_kept_back(u, camera, image, 0)) {
                rollout_unit_give_back(u);
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

/* until_usec: as of rollout_next(). */
static void act(RolloutUnit *u, Camera *camera, RolloutStep step, uint64_t now_usec, uint64_t until_usec) {
        char when[LOCAL_TEXT_SIZE];

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
                return waits(u, 0, "update-pending", "waits for the beginning of wave %u: %s", u->camera.wave + 1,
                             local_text((int64_t) until_usec, when));
        case ROLLOUT_READ_STATE:
                waits(u, 0, "not-reachable", "waits for what the store has about the rollout");
                return rollout_read_state(u->rollout);
        case ROLLOUT_DRAW:
                return draw(u, camera, now_usec);
        case ROLLOUT_WAITS_TURN:
                return waits(u, 0, "update-pending", "waits for its turn");
        case ROLLOUT_READ_BAD:
                if (is_prepared(u, camera, now_usec))
                        rollout_read_bad(u->rollout);
                return;
        case ROLLOUT_TAKE_PLACE:
                if (is_prepared(u, camera, now_usec))
                        take_place(u);
                return;
        case ROLLOUT_FLASH:
                if (!is_prepared(u, camera, now_usec))
                        return;
                return u->claimed ? record_begun(u) : claim(u);
        default:
                return;
        }
}

void rollout_unit_step(RolloutUnit *u) {
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
                        rollout_unit_give_back(u);
                return waits(u, 0, "unreachable", "is not in a bay of this dock");
        }
        if (!manager_clock_synchronised(r->all->manager))
                return waits(u, USEC_PER_SEC, "system-inhibit", "the dock's clock is not synchronised");
        u->camera.has_version = text_equal(camera_firmware(camera), r->order->version);
        step = rollout_next(&r->order->plan, &r->counts, &u->camera, now_usec, &until);
        /* What stops it now gives its place back. */
        if (u->camera.placed && !in_turn(u, now_usec))
                rollout_unit_give_back(u);
        act(u, camera, step, now_usec, until);
}

/* ---- Beginning and end --------------------------------------------------------------------------------------------------------- */

int rollout_unit_find_wave(RolloutUnit *u) {
        const Rollout *r = u->rollout;
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
        if (!u->serial || rollout_unit_find_wave(u) < 0) {
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

RolloutUnit *rollout_unit_free(RolloutUnit *u) {
        fd_close(u->image_fd);
        free(u->serial);
        free(u);
        return NULL;
}

/* ---- Looking -------------------------------------------------------------------------------------------------------------------- */

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
