/* SPDX-License-Identifier: Apache-2.0 */

/* The objects of org.berth.Dock1.Rollout: one for each rollout that the dock follows. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/view.h"
#include "service/rollout.h"

#define ROLLOUT_ROOT BUS_PATH "/rollout"

/* ---- Properties ------------------------------------------------------------------------------------------------------ */

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                    sd_bus_error *error) {
        const Rollout *r = userdata;
        const char *text = text_equal(property, "Id")        ? rollout_order(r)->id :
                           text_equal(property, "Version")   ? rollout_order(r)->version :
                           text_equal(property, "Trouble")   ? rollout_trouble(r) :
                                                               rollout_state(r);

        (void) bus;
        (void) path;
        (void) interface;
        (void) error;
        return sd_bus_message_append(reply, "s", text);
}

static int get_revision(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                        sd_bus_error *error) {
        const Rollout *r = userdata;

        (void) bus;
        (void) path;
        (void) interface;
        (void) error;
        return sd_bus_message_append(reply, "t", text_equal(property, "Revision") ? rollout_order(r)->revision :
                                                                                  rollout_counts(r)->state_usec);
}

static int get_models(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                      sd_bus_error *error) {
        const RolloutOrder *o = rollout_order(userdata);
        int r;

        (void) bus;
        (void) path;
        (void) interface;
        (void) property;
        (void) error;
        r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; i < o->n_models && r >= 0; i++)
                r = sd_bus_message_append(reply, "s", o->models[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_waves(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                     sd_bus_error *error) {
        const Rollout *rollout = userdata;
        const RolloutPlan *plan = &rollout_order(rollout)->plan;
        const RolloutCounts *counts = rollout_counts(rollout);
        int r;

        (void) bus;
        (void) path;
        (void) interface;
        (void) property;
        (void) error;
        r = sd_bus_message_open_container(reply, 'a', "(uutt)");
        for (size_t w = 0; w < plan->n_waves && r >= 0; w++)
                r = sd_bus_message_append(reply, "(uutt)", (uint32_t) w + 1, plan->waves[w].cameras, counts->tallies[w].well,
                                          counts->tallies[w].bad);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_cameras(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                       sd_bus_error *error) {
        int r;

        (void) bus;
        (void) path;
        (void) interface;
        (void) property;
        (void) error;
        r = sd_bus_message_open_container(reply, 'a', "(susss)");
        for (const RolloutUnit *u = rollout_first_unit(userdata); u && r >= 0; u = rollout_unit_next(u)) {
                RolloutUnitView v;

                rollout_unit_view(u, &v);
                r = sd_bus_message_append(reply, "(susss)", v.serial, v.wave == ROLLOUT_NO_WAVE ? 0 : v.wave + 1, v.state, v.code, v.why);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Id", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Version", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Models", "as", get_models, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Revision", "t", get_revision, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("State", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Trouble", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ReadUsec", "t", get_revision, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Waves", "a(uutt)", get_waves, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Cameras", "a(susss)", get_cameras, 0, SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
        SD_BUS_VTABLE_END,
};

/* ---- Objects ---------------------------------------------------------------------------------------------------------- */

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        const Bus *b = userdata;
        char *id = NULL;
        int r;

        (void) bus;
        (void) interface;
        (void) error;
        r = sd_bus_path_decode(path, ROLLOUT_ROOT, &id);
        if (r <= 0)
                return r;
        r = 0;
        for (Rollout *one = rollouts_first(manager_rollouts(b->manager)); one && r == 0; one = rollout_next_in_order(one))
                if (text_equal(rollout_order(one)->id, id)) {
                        *ret = one;
                        r = 1;
                }
        free(id);
        return r;
}

static size_t count(const Bus *b) {
        size_t n = 0;

        for (const Rollout *one = rollouts_first(manager_rollouts(b->manager)); one; one = rollout_next_in_order(one))
                n++;
        return n;
}

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        const Bus *b = userdata;
        char **paths = NULL;
        size_t n = 0;

        (void) bus;
        (void) prefix;
        (void) error;
        paths = calloc(count(b) + 1, sizeof(*paths));
        for (const Rollout *one = rollouts_first(manager_rollouts(b->manager)); one && paths; one = rollout_next_in_order(one))
                if (sd_bus_path_encode(ROLLOUT_ROOT, rollout_order(one)->id, &paths[n++]) < 0) {
                        while (n > 0)
                                free(paths[--n]);
                        free(paths);
                        return -ENOMEM;
                }
        if (!paths)
                return -ENOMEM;
        *ret = paths;
        return 0;
}

/* ---- What changed ------------------------------------------------------------------------------------------------------ */

/* The lists are long: it is enough to know that they are not what they were. */
typedef struct RolloutView {
        char *version, *state, *trouble;
        uint64_t revision, read_usec, waves, cameras;
} RolloutView;

struct BusRollout {
        BusRollout *next;
        char *path;
        RolloutView view;
};

static const ViewMember members[] = {
        { "Version", VIEW_TEXT, offsetof(RolloutView, version) },    { "State", VIEW_TEXT, offsetof(RolloutView, state) },
        { "Trouble", VIEW_TEXT, offsetof(RolloutView, trouble) },    { "Revision", VIEW_U64, offsetof(RolloutView, revision) },
        /* A plan's models are those of its revision. */
        { "Models", VIEW_U64, offsetof(RolloutView, revision) },     { "ReadUsec", VIEW_U64, offsetof(RolloutView, read_usec) },
        { "Waves", VIEW_U64, offsetof(RolloutView, waves) },         { "Cameras", VIEW_U64, offsetof(RolloutView, cameras) },
};

/* FNV-1a. */
static uint64_t mix(uint64_t sum, const void *data, size_t size) {
        const unsigned char *bytes = data;

        for (size_t i = 0; i < size; i++)
                sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
        return sum;
}

static uint64_t mix_text(uint64_t sum, const char *text) {
        return mix(sum, text, strlen(text) + 1);
}

static int view_rollout(const Rollout *rollout, RolloutView *v) {
        const RolloutOrder *o = rollout_order(rollout);
        const RolloutCounts *counts = rollout_counts(rollout);
        int r;

        v->revision = o->revision;
        v->read_usec = (uint64_t) counts->state_usec;
        v->waves = v->cameras = UINT64_C(0xcbf29ce484222325);
        for (size_t w = 0; w < o->plan.n_waves; w++) {
                const uint64_t wave[] = { o->plan.waves[w].cameras, counts->tallies[w].well, counts->tallies[w].bad };

                v->waves = mix(v->waves, wave, sizeof(wave));
        }
        for (const RolloutUnit *u = rollout_first_unit(rollout); u; u = rollout_unit_next(u)) {
                RolloutUnitView unit;

                rollout_unit_view(u, &unit);
                v->cameras = mix_text(mix_text(mix(v->cameras, &unit.wave, sizeof(unit.wave)), unit.serial), unit.state);
                v->cameras = mix_text(mix_text(v->cameras, unit.code), unit.why);
        }
        if ((r = view_text(&v->version, o->version)) < 0 || (r = view_text(&v->state, rollout_state(rollout))) < 0)
                return r;
        return view_text(&v->trouble, rollout_trouble(rollout));
}

static BusRollout *shown_free(BusRollout *o) {
        if (!o)
                return NULL;
        view_clear(members, ELEMENTSOF(members), &o->view);
        free(o->path);
        free(o);
        return NULL;
}
DEFINE_CLEANUP(BusRollout, shown_free);

static int add(Bus *b, const Rollout *rollout, const char *path, bool announce) {
        _cleanup_(shown_freep) BusRollout *o = calloc(1, sizeof(*o));
        int r;

        if (!o || !(o->path = strdup(path)))
                return -ENOMEM;
        r = view_rollout(rollout, &o->view);
        if (r < 0)
                return r;
        if (announce && b->bus && sd_bus_emit_object_added(b->bus, path) < 0)
                log_debug(NULL, "%s cannot be announced", path);
        o->next = b->rollouts_shown;
        b->rollouts_shown = TAKE_PTR(o);
        return 0;
}

static int show(Bus *b, const Rollout *rollout, bool announce) {
        _cleanup_(freep) char *path = NULL;
        BusRollout *o = b->rollouts_shown;
        RolloutView now = { 0 };
        int r = sd_bus_path_encode(ROLLOUT_ROOT, rollout_order(rollout)->id, &path);

        if (r < 0)
                return r;
        while (o && !text_equal(o->path, path))
                o = o->next;
        if (!o)
                return add(b, rollout, path, announce);
        r = view_rollout(rollout, &now);
        if (r >= 0)
                view_show(b->bus, path, BUS_ROLLOUT_INTERFACE, members, ELEMENTSOF(members), &o->view, &now, sizeof(now));
        view_clear(members, ELEMENTSOF(members), &now);
        return r;
}

int rollout_bus_show_all(Bus *b, uint64_t now_usec, uint64_t *wake_usec) {
        const Rollout *one = rollouts_first(manager_rollouts(b->manager));
        int r, failed = 0;

        if (one && now_usec - b->rollouts_looked_usec < VIEW_PROGRESS_USEC) {
                *wake_usec = MIN2(*wake_usec, b->rollouts_looked_usec + VIEW_PROGRESS_USEC);
                return 0;
        }
        b->rollouts_looked_usec = now_usec;
        for (; one; one = rollout_next_in_order(one)) {
                r = show(b, one, true);
                if (r < 0)
                        failed = r;
        }
        return failed;
}

void rollout_bus_free_all(Bus *b) {
        while (b->rollouts_shown) {
                BusRollout *o = b->rollouts_shown;

                b->rollouts_shown = o->next;
                shown_free(o);
        }
}

int rollout_bus_connect_all(Bus *b) {
        int r = sd_bus_add_fallback_vtable(b->bus, &b->rollouts, ROLLOUT_ROOT, BUS_ROLLOUT_INTERFACE, vtable, find, b);

        /* Whoever finds the connection finds these with it. */
        for (const Rollout *one = rollouts_first(manager_rollouts(b->manager)); one && r >= 0; one = rollout_next_in_order(one))
                r = show(b, one, false);
        return r < 0 ? r : sd_bus_add_node_enumerator(b->bus, &b->rollout_nodes, ROLLOUT_ROOT, enumerate, b);
}

void rollout_bus_disconnect_all(Bus *b) {
        b->rollouts = sd_bus_slot_unref(b->rollouts);
        b->rollout_nodes = sd_bus_slot_unref(b->rollout_nodes);
}
