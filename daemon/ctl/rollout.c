/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `berthctl rollout`: what this dock makes of the rollouts that it follows; with create, pause, resume, abort or status by way of
 * berth-uplink, which alone has the store's credentials. Plans are signed here, by the fleet's administrator.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/rollout_plan.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/rollout_list.h"
#include "ctl/table.h"
#include "ctl/uplink_client.h"
#include "proof/uplink_socket.h"

#define PEM_MAX (64u * 1024u)
/* Revisions under which something else lies are passed over, so many at most. */
#define TRIES 50u

/* ---- Whose word counts ---------------------------------------------------------------------------------------------------- */

/* The administrator's key: the private one when it is to sign, else either. */
static int read_admin(const Options *o, SignKey **ret_private, PublicKey *ret_public) {
        char *pem = NULL;
        size_t size = 0;
        SignKey *key = NULL;
        int r;

        if (!o->admin_key)
                return ctl_fail(CTL_USAGE, "--admin-key=FILE is missing: the administrator's Ed25519 key in PEM");
        r = fd_read_file(AT_FDCWD, o->admin_key, PEM_MAX, &pem, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", o->admin_key, strerrordesc_np(-r));
        r = sign_key_from_pem(pem, size, &key);
        if (r >= 0)
                *ret_public = *sign_key_public(key);
        else if (!ret_private)
                r = public_key_from_pem(pem, size, ret_public);
        explicit_bzero(pem, size);
        free(pem);
        if (ret_private && r >= 0)
                *ret_private = key;
        else
                (void) sign_key_free(key);
        return r < 0 ? ctl_fail(CTL_FAILURE, "%s is no Ed25519 key in PEM%s", o->admin_key, ret_private ? " that can sign" : "") : CTL_OK;
}

/* ---- Plans in the store ---------------------------------------------------------------------------------------------------- */

typedef struct Plans {
        sd_bus *bus;
        const PublicKey *admin;
        const char *id; /* NULL: all */
        RolloutOrder **orders; /* of each id the newest that is believed */
        size_t n;
        char last_key[ROLLOUT_KEY_SIZE];
} Plans;

static void plans_done(Plans *p) {
        for (size_t i = 0; i < p->n; i++)
                (void) rollout_order_free(p->orders[i]);
        free(p->orders);
}

static int add_order(Plans *p, RolloutOrder *order) {
        RolloutOrder **grown;

        for (size_t i = 0; i < p->n; i++)
                if (text_equal(p->orders[i]->id, order->id)) {
                        (void) rollout_order_free(p->orders[i]);
                        p->orders[i] = order;
                        return 0;
                }
        grown = reallocarray(p->orders, p->n + 1, sizeof(RolloutOrder *));
        if (!grown) {
                (void) rollout_order_free(order);
                return -ENOMEM;
        }
        p->orders = grown;
        p->orders[p->n++] = order;
        return 0;
}

/* They come in the order of their revisions; one that is not believed is passed over, as docks do. */
static int take_plan(void *userdata, const char *key) {
        _cleanup_(freep) char *file = NULL;
        char id[ROLLOUT_ID_SIZE];
        RolloutOrder *order = NULL;
        ConfError error = { 0 };
        uint64_t revision;
        Plans *p = userdata;
        int r;

        (void) snprintf(p->last_key, sizeof(p->last_key), "%s", key);
        if (rollout_plan_of_key(key, id, &revision) < 0 || (p->id && !text_equal(p->id, id)))
                return 0;
        r = uplink_socket_fetch(p->bus, key, &file, &error);
        if (r >= 0)
                r = rollout_order_open(file, strlen(file), key, p->admin, NULL, 0, &order, &error);
        if (r < 0) {
                (void) ctl_fail(CTL_OK, "%s is passed over: %s", key, error.text);
                return 0;
        }
        return add_order(p, order);
}

static int read_plans(Plans *p) {
        char prefix[ROLLOUT_KEY_SIZE] = ROLLOUT_PLANS;
        ConfError error = { 0 };
        bool more = true;
        int r;

        if (p->id)
                (void) snprintf(prefix, sizeof(prefix), ROLLOUT_PLANS "%.32s.", p->id);
        while (more) {
                r = uplink_socket_list(p->bus, prefix, p->last_key, take_plan, p, &more, &error);
                if (r < 0)
                        return ctl_fail(CTL_FAILURE, "the store's rollouts cannot be listed: %s",
                                        error.text[0] ? error.text : strerrordesc_np(-r));
        }
        return CTL_OK;
}

/* ---- Orders ----------------------------------------------------------------------------------------------------------------- */

static int publish(sd_bus *bus, const SignKey *admin, const RolloutOrder *o, uint64_t revision, const char *state) {
        char key[ROLLOUT_KEY_SIZE];
        ConfError error = { 0 };
        int r = -EEXIST;

        for (unsigned i = 0; i < TRIES && r == -EEXIST; i++, revision++) {
                _cleanup_(freep) char *file = NULL;

                r = rollout_order_sign(admin, o, revision, state, clock_wall_usec(), &file);
                if (r < 0)
                        return ctl_fail(CTL_FAILURE, "the plan cannot be signed: %s", r == -E2BIG ? "it is too long" : strerrordesc_np(-r));
                r = uplink_socket_keep(bus, rollout_plan_key(o->id, revision, key), file, &error);
                /* A rollout is begun once. */
                if (r == -EEXIST && o->revision == 0)
                        return ctl_fail(CTL_FAILURE, "there is a rollout %s already: give this one another id", o->id);
        }
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "the plan cannot be brought to the store: %s", error.text);
        printf("Rollout %s: revision %" PRIu64 ", %s\n", o->id, revision - 1, state);
        return CTL_OK;
}

static int create(const Options *o, sd_bus *bus) {
        _cleanup_(rollout_order_freep) RolloutOrder *order = NULL;
        _cleanup_(sign_key_freep) SignKey *admin = NULL;
        _cleanup_(json_decrefp) json_t *said = NULL;
        _cleanup_(freep) char *text = NULL;
        ConfError error = { 0 };
        json_error_t problem;
        PublicKey public;
        size_t size;
        int exit_code, r;

        if (o->n_args != 2)
                return ctl_fail(CTL_USAGE, "'rollout create' takes the file of one plan");
        exit_code = read_admin(o, &admin, &public);
        if (exit_code != CTL_OK)
                return exit_code;
        r = fd_read_file(AT_FDCWD, o->args[1], ROLLOUT_FILE_MAX, &text, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", o->args[1], strerrordesc_np(-r));
        said = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
        if (!said)
                return ctl_fail(CTL_FAILURE, "%s:%d: %s", o->args[1], problem.line, problem.text);
        r = rollout_order_parse(said, "running", &order, &error);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s: %s", o->args[1], error.text[0] ? error.text : strerrordesc_np(-r));
        return publish(bus, admin, order, 1, "running");
}

static int order(const Options *o, sd_bus *bus, const char *state) {
        _cleanup_(sign_key_freep) SignKey *admin = NULL;
        _cleanup_(plans_done) Plans plans = { .bus = bus };
        PublicKey public;
        int exit_code;

        if (o->n_args != 2 || !rollout_id_is_valid(o->args[1]))
                return ctl_fail(CTL_USAGE, "'rollout %s' takes the ID of one rollout", o->args[0]);
        exit_code = read_admin(o, &admin, &public);
        if (exit_code != CTL_OK)
                return exit_code;
        plans.admin = &public;
        plans.id = o->args[1];
        exit_code = read_plans(&plans);
        if (exit_code != CTL_OK)
                return exit_code;
        if (plans.n == 0)
                return ctl_fail(CTL_FAILURE, "there is no rollout %s in the store that this key signed", o->args[1]);
        if (plans.orders[0]->plan.aborted)
                return ctl_fail(CTL_FAILURE, "rollout %s was aborted, and that is for good: create another one", o->args[1]);
        return publish(bus, admin, plans.orders[0], plans.orders[0]->revision + 1, state);
}

static int pause_one(const Options *o, sd_bus *bus) {
        return order(o, bus, "paused");
}

static int resume_one(const Options *o, sd_bus *bus) {
        return order(o, bus, "running");
}

static int abort_one(const Options *o, sd_bus *bus) {
        return order(o, bus, "aborted");
}

/* ---- What all docks came to -------------------------------------------------------------------------------------------------- */

typedef struct Counts {
        uint64_t started, ok[ROLLOUT_WAVES_MAX], bad[ROLLOUT_WAVES_MAX];
        bool stopped;
        unsigned list;
        char last_key[ROLLOUT_KEY_SIZE], stop[ROLLOUT_KEY_SIZE];
} Counts;

static int count_key(void *userdata, const char *key) {
        Counts *c = userdata;
        uint32_t place, wave;
        uint64_t window;

        (void) snprintf(c->last_key, sizeof(c->last_key), "%s", key);
        c->stopped = c->stopped || text_equal(key, c->stop);
        if (rollout_numbers_of_key(key, &window, &place, &wave) < 0 || place == UINT32_MAX)
                return 0;
        if (c->list == 0)
                c->started++;
        else if (wave < ROLLOUT_WAVES_MAX)
                (c->list == 1 ? c->ok : c->bad)[wave]++;
        else
                c->started--; /* a place that was given back */
        return 0;
}

static int count(sd_bus *bus, const RolloutOrder *o, Counts *c) {
        static const char *const kinds[] = { "started", "ok", "bad" };
        char folder[ROLLOUT_KEY_SIZE];
        ConfError error = { 0 };

        (void) rollout_stop_key(o->id, c->stop);
        for (c->list = 0; c->list < ELEMENTSOF(kinds); c->list++) {
                bool more = true;

                c->last_key[0] = 0;
                while (more)
                        if (uplink_socket_list(bus, rollout_folder(o->id, kinds[c->list], folder), c->last_key, count_key, c, &more,
                                               &error) < 0)
                                return ctl_fail(CTL_FAILURE, "what docks put into the store cannot be listed: %s", error.text);
        }
        return CTL_OK;
}

static json_t *status_to_json(const RolloutOrder *o, const Counts *c) {
        json_t *waves = json_array();

        for (size_t w = 0; w < o->plan.n_waves; w++)
                (void) json_array_append_new(waves, json_pack("{s:I, s:I, s:I, s:I}", "wave", (json_int_t) w + 1, "cameras",
                                                              (json_int_t) o->plan.waves[w].cameras, "ok", (json_int_t) c->ok[w], "bad",
                                                              (json_int_t) c->bad[w]));
        return json_pack("{s:s, s:s, s:s, s:I, s:b, s:I, s:o}", "id", o->id, "version", o->version, "state", rollout_order_state(o),
                         "revision", (json_int_t) o->revision, "stopped", c->stopped, "started", (json_int_t) c->started, "waves", waves);
}

static void print_status(const RolloutOrder *o, const Counts *c) {
        printf("%s: firmware %s, %s%s; %" PRIu64 " begun\n", o->id, o->version, rollout_order_state(o),
               c->stopped ? ", stopped: too many are bad" : "", c->started);
        for (size_t w = 0; w < o->plan.n_waves; w++)
                printf("  wave %zu: %" PRIu64 " well, %" PRIu64 " bad, of about %u\n", w + 1, c->ok[w], c->bad[w],
                       o->plan.waves[w].cameras);
}

static int status(const Options *o, sd_bus *bus) {
        _cleanup_(json_decrefp) json_t *list = json_array();
        _cleanup_(plans_done) Plans plans = { .bus = bus };
        PublicKey admin;
        int exit_code;

        if (o->n_args > 2 || (o->n_args == 2 && !rollout_id_is_valid(o->args[1])))
                return ctl_fail(CTL_USAGE, "'rollout status' takes the ID of one rollout, or nothing for all");
        exit_code = read_admin(o, NULL, &admin);
        if (exit_code != CTL_OK)
                return exit_code;
        plans.admin = &admin;
        plans.id = o->n_args == 2 ? o->args[1] : NULL;
        exit_code = read_plans(&plans);
        for (size_t i = 0; i < plans.n && exit_code == CTL_OK; i++) {
                Counts counts = { 0 };

                exit_code = count(bus, plans.orders[i], &counts);
                if (exit_code == CTL_OK && o->json)
                        (void) json_array_append_new(list, status_to_json(plans.orders[i], &counts));
                else if (exit_code == CTL_OK)
                        print_status(plans.orders[i], &counts);
        }
        if (exit_code != CTL_OK)
                return exit_code;
        if (o->json)
                return json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("rollout-status"), "rollouts", list), false);
        if (plans.n == 0)
                puts("There is no such rollout in the store.");
        return CTL_OK;
}

/* ---- What this dock makes of it ------------------------------------------------------------------------------------------------ */

static const Column camera_columns[] = {
        { .title = "ROLLOUT", .min_width = 8 },
        { .title = "CAMERA", .min_width = 8, .keep_end = true },
        { .title = "WAVE", .right = true },
        { .title = "STATE" },
        { .title = "WHY", .min_width = 12 },
};

static void print_waves(const json_t *rollouts) {
        const json_t *one, *wave;
        size_t i, k;

        json_array_foreach(rollouts, i, one) {
                const char *trouble = json_string_value(json_object_get(one, "trouble"));

                printf("%s: firmware %s, %s\n", json_string_value(json_object_get(one, "id")),
                       json_string_value(json_object_get(one, "version")), json_string_value(json_object_get(one, "state")));
                if (trouble && *trouble)
                        printf("  Trouble: %s\n", trouble);
                json_array_foreach(json_object_get(one, "waves"), k, wave)
                        printf("  wave %" JSON_INTEGER_FORMAT ": %" JSON_INTEGER_FORMAT " well, %" JSON_INTEGER_FORMAT " bad, of about %"
                               JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(wave, "wave")),
                               json_integer_value(json_object_get(wave, "ok")), json_integer_value(json_object_get(wave, "bad")),
                               json_integer_value(json_object_get(wave, "cameras")));
        }
}

static int print_cameras(const json_t *rollouts) {
        _cleanup_(table_freep) Table *table = NULL;
        const json_t *one, *camera;
        size_t i, k;
        int r = table_new(camera_columns, ELEMENTSOF(camera_columns), &table);

        if (r < 0)
                return bus_client_report(NULL, r);
        json_array_foreach(rollouts, i, one)
                json_array_foreach(json_object_get(one, "cameras"), k, camera) {
                        table_row(table);
                        table_cell(table, STYLE_PLAIN, json_string_value(json_object_get(one, "id")));
                        table_cell(table, STYLE_PLAIN, json_string_value(json_object_get(camera, "serial")));
                        table_cellf(table, STYLE_PLAIN, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(camera, "wave")));
                        table_cell(table, STYLE_PLAIN, json_string_value(json_object_get(camera, "state")));
                        table_cell(table, STYLE_PLAIN, json_string_value(json_object_get(camera, "why")));
                }
        return table_print(table);
}

static int show_dock(const Options *o) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_decrefp) json_t *rollouts = NULL;
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        int exit_code = bus_client_open(o, &bus), r;

        if (exit_code == CTL_OK)
                exit_code = bus_client_call(bus, BUS_OBJECT_MANAGER, "GetManagedObjects", &reply, "");
        if (exit_code != CTL_OK)
                return exit_code;
        r = rollouts_load(reply, &rollouts);
        if (r < 0)
                return bus_client_report(NULL, r);
        if (o->json)
                return json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("rollouts"), "rollouts", rollouts), false);
        if (json_array_size(rollouts) == 0) {
                puts("The dock follows no rollout.");
                return CTL_OK;
        }
        print_waves(rollouts);
        return print_cameras(rollouts);
}

int verb_rollout(const Options *o) {
        static const struct {
                const char *name;
                int (*run)(const Options *o, sd_bus *bus);
        } verbs[] = { { "create", create }, { "status", status }, { "pause", pause_one }, { "resume", resume_one },
                      { "abort", abort_one } };

        if (o->n_args == 0)
                return show_dock(o);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                _cleanup_(bus_unrefp) sd_bus *bus = NULL;
                int exit_code;

                if (!text_equal(o->args[0], verbs[i].name))
                        continue;
                exit_code = uplink_client_open(o, &bus);
                return exit_code != CTL_OK ? exit_code : verbs[i].run(o, bus);
        }
        return ctl_fail(CTL_USAGE, "'rollout' is followed by 'create PLAN.json', 'status [ID]', 'pause ID', 'resume ID' or 'abort ID', or"
                        " by nothing for what the dock makes of it");
}
