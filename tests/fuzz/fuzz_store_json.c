/* SPDX-License-Identifier: Apache-2.0 */

/*
 * JSON that comes from the store: another dock's status, a manifest, and what a fleet shares. Whatever it says, what is taken is within
 * its bounds and may be shown. What must be signed is signed here, so that its parser is reached: whoever signs is not always well.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/dock_report.h"
#include "base/fleet.h"
#include "base/rollout_plan.h"
#include "base/roster.h"
#include "base/stored_clip.h"
#include "base/text.h"

#define FLEET "north"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_text(const char *a, const char *b) {
        return (!a || !*a) ? (!b || !*b) : text_equal(a, b);
}

/* What it says of a camera can be said again. */
static void check_camera(const ReportedCamera *c) {
        json_t *status = json_pack("{s:[o]}", "cameras", reported_camera_to_json(c));
        DockReport *again;

        assert(status && c->serial[0] && text_is_printable(c->serial) && strlen(c->serial) <= REPORTED_TEXT_MAX);
        assert(c->last_docked_usec >= 0 && c->taken_usec >= 0 && c->due_usec >= 0);
        assert(dock_report_from_json(status, &again) == 0 && again->n_cameras == 1);
        assert(text_equal(again->cameras[0].serial, c->serial) && again->cameras[0].bay == c->bay && again->cameras[0].out == c->out);
        assert(again->cameras[0].unstored_on_camera == c->unstored_on_camera && again->cameras[0].unstored_on_dock == c->unstored_on_dock);
        assert(!c->out || same_text(again->cameras[0].officer_id, c->officer_id));
        (void) dock_report_free(again);
        json_decref(status);
}

static void check_report(const json_t *said) {
        DockReport *r;

        if (dock_report_from_json(said, &r) < 0)
                return;
        assert(r->n_cameras <= REPORTED_CAMERAS_MAX && text_is_printable(r->name) && text_is_printable(r->state));
        for (size_t i = 0; i < r->n_cameras && i < 8; i++)
                check_camera(&r->cameras[i]);
        (void) dock_report_free(r);
}

static void check_plan(const json_t *said) {
        ConfError error = { 0 };
        RolloutOrder *o;

        if (rollout_order_parse(said, "running", &o, &error) < 0) {
                assert(error.text[0]);
                return;
        }
        assert(rollout_id_is_valid(o->id) && fleet_id_is_valid(o->fleet) && o->n_models >= 1 && o->n_models <= ROLLOUT_MODELS_MAX);
        assert(o->plan.n_waves >= 1 && o->plan.n_waves <= ROLLOUT_WAVES_MAX && o->n_named <= ROLLOUT_NAMED_MAX);
        assert(o->plan.under_way_max >= 2 && o->plan.flash_usec > 0 && o->plan.fresh_usec > 0 && o->plan.docks > 0);
        for (size_t i = 0; i < o->n_named; i++)
                assert(rollout_order_named(o, o->named[i].serial) == o->named[i].wave && o->named[i].wave < o->plan.n_waves);
        (void) rollout_order_free(o);
}

static void check_roster(const json_t *said) {
        ConfError error = { 0 };

        if (roster_check(said, &error) < 0) {
                assert(error.text[0]);
                return;
        }
        assert(json_array_size(said) <= ROSTER_OFFICERS_MAX);
        for (size_t i = 0; i < json_array_size(said); i++) {
                Officer o = roster_officer(said, i);

                assert(o.id[0] && o.name && o.unit_id && o.unit_name && o.badge && o.serial && strlen(o.name) <= ROSTER_WORD_MAX);
        }
}

static SignKey *admin(void) {
        static SignKey *key;

        assert(key || sign_key_new(&key) == 0);
        return key;
}

static void check_list(const json_t *said) {
        StatementAbout about = { STATEMENT_FLEET_LIST, NULL, FLEET, "", 1 };
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(freep) char *key = fleet_list_key(FLEET, 1), *file = NULL;
        json_t *members = json_deep_copy(said);
        ConfError error = { 0 };
        Fleet *f;

        about.key = key;
        if (statement_make(admin(), &about, members, &s) >= 0 && (file = statement_file(&s)) &&
            fleet_parse(file, strlen(file), sign_key_public(admin()), FLEET, 0, &f, &error) >= 0) {
                assert(f->n_keys <= FLEET_KEYS_MAX && f->seq == 1);
                for (size_t i = 0; i < f->n_keys; i++)
                        assert(fleet_find(f, &f->keys[i].key) && strlen(f->keys[i].dock_id) < DOCK_ID_SIZE);
                (void) fleet_free(f);
        }
        json_decref(members);
}

static void check_manifest(const char *text, size_t size) {
        const StoredClipTrust trust = { .dock_id = "00112233445566778899aabbccddeeff", .own_keys = sign_key_public(admin()),
                                        .n_own_keys = 1 };
        StoredClipSigner signer;
        const char *why = NULL;
        int verdict = stored_clip_judge(text, size, NULL, &trust, &why, &signer);

        /* Nobody can sign in this dock's name here. */
        assert(verdict == STORED_CLIP_UNSIGNED || verdict == STORED_CLIP_REFUSED);
        assert(why && memchr(signer.dock_id, 0, sizeof(signer.dock_id)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        json_t *said = json_loadb((const char *) data, size, JSON_REJECT_DUPLICATES, NULL);
        Statement s;

        check_manifest((const char *) data, size);
        if (statement_parse((const char *) data, size, &s) == 0)
                statement_done(&s);
        if (!said)
                return 0;
        check_report(said);
        check_plan(said);
        check_roster(said);
        if (json_is_object(said))
                check_list(said);
        json_decref(said);
        return 0;
}
