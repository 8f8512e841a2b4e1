/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Holds that were in force when the database was lost. The dock signed each, and each release, into the store; what was held and not
 * released is held again. A clip that is not known any more is held with all of its camera: rather too much than too little.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/text.h"
#include "service/recover_private.h"

#define CLIPS_A_READ 256u

struct RecoveryHolds {
        json_t *in_force; /* of each, by what it is about, the members that were signed */
};

int recovery_holds_new(RecoveryHolds **ret) {
        RecoveryHolds *h = calloc(1, sizeof(*h));

        if (!h || !(h->in_force = json_object())) {
                free(h);
                return -ENOMEM;
        }
        *ret = h;
        return 0;
}

RecoveryHolds *recovery_holds_free(RecoveryHolds *h) {
        if (h)
                json_decref(h->in_force);
        free(h);
        return NULL;
}

static const char *member(const json_t *hold, const char *name) {
        const char *text = json_string_value(json_object_get(hold, name));

        return text ? text : "";
}

const char *recovery_holds_add(RecoveryHolds *h, const Statement *s) {
        const json_t *held = json_object_get(s->object, "held"), *uid = json_object_get(s->object, "operator_uid");
        _cleanup_(freep) char *about = text_format("%s\n%s\n%s\n%s", member(s->object, "serial"), member(s->object, "path"),
                                                   member(s->object, "sha256"), member(s->object, "case"));

        if (!about || !member(s->object, "serial")[0] || !json_is_boolean(held) || !json_is_integer(uid))
                return "it does not say what it must";
        if (!json_is_true(held))
                (void) json_object_del(h->in_force, about);
        else if (json_object_set(h->in_force, about, s->object) < 0)
                return "there is no memory for it";
        return NULL;
}

/* The clip of that camera, path and content: its id, or 0. */
static int find_clip(Recovery *r, const json_t *hold, uint64_t *ret) {
        uint64_t before = 0;
        Digest digest;

        *ret = 0;
        if (digest_from_hex(member(hold, "sha256"), &digest) < 0)
                return 0;
        for (;;) {
                ClipRow **rows;
                size_t n;
                int k = store_clips_query(r->store, member(hold, "serial"), _CLIP_STATE_INVALID, before, CLIPS_A_READ, &rows, &n);

                if (k < 0)
                        return recovery_fail(r, k, "the new database cannot be read: %s", strerror(-k));
                for (size_t i = 0; i < n && *ret == 0; i++) {
                        before = rows[i]->id;
                        if (text_equal(rows[i]->path, member(hold, "path")) && digest_equal(&rows[i]->digest, &digest))
                                *ret = rows[i]->id;
                }
                clip_rows_free(rows, n);
                if (*ret != 0 || n < CLIPS_A_READ)
                        return 0;
        }
}

/* A camera of which nothing else was found. */
static int put_camera(Recovery *r, const char *serial, uint64_t *ret) {
        _cleanup_(camera_row_freep) CameraRow *known = NULL;
        Fact fact = { .kind = FACT_CAMERA_SEEN };
        int k = store_camera_by_serial(r->store, serial, &known);

        if (k >= 0) {
                *ret = known->id;
                return 0;
        }
        if (k != -ENOENT)
                return recovery_fail(r, k, "the new database cannot be read: %s", strerror(-k));
        fact.camera_id = recovery_camera(r, serial, 0);
        if (fact.camera_id == 0)
                return recovery_fail(r, -ENOMEM, "out of memory");
        fact.camera.serial = serial;
        fact.camera.manufacturer = fact.camera.model = fact.camera.firmware = fact.camera.storage_id = fact.camera.model_id = "";
        *ret = fact.camera_id;
        return recovery_put(r, &fact);
}

static int take_hold(Recovery *r, const json_t *hold) {
        const char *serial = member(hold, "serial"), *path = member(hold, "path"), *operator_name = member(hold, "operator");
        Fact fact = {
                .kind = FACT_HOLD_SET,
                .text = member(hold, "reason"),
                .by_operator = true,
                .operator_uid = (uint32_t) json_integer_value(json_object_get(hold, "operator_uid")),
                .operator_name = operator_name[0] ? operator_name : NULL,
                .hold.case_name = member(hold, "case"),
        };
        _cleanup_(freep) char *all_of_it = NULL;
        int k;

        k = path[0] ? find_clip(r, hold, &fact.clip_id) : 0;
        if (k >= 0)
                k = put_camera(r, serial, &fact.camera_id);
        if (k < 0)
                return k;
        if (path[0] && fact.clip_id == 0) {
                all_of_it = text_format("%s%sheld was its clip %s, which is not known any more", fact.text, fact.text[0] ? "; " : "", path);
                if (!all_of_it)
                        return recovery_fail(r, -ENOMEM, "out of memory");
                fact.text = all_of_it;
        }
        k = recovery_put(r, &fact);
        /* Two clips that are not known any more are held by one hold of their camera. */
        if (k == -EALREADY)
                return 0;
        if (k < 0)
                return k;
        log_notice(NULL, "Held again, as it was: %s%s%s of camera %s%s%s", fact.clip_id ? "clip " : "all", fact.clip_id ? path : "", "",
                   serial, fact.hold.case_name[0] ? ", for case " : "", fact.hold.case_name);
        r->result.holds++;
        return 0;
}

int recovery_take_holds(Recovery *r, const RecoveryHolds *h) {
        const char *about;
        json_t *hold;
        int k = 0;

        json_object_foreach(h->in_force, about, hold) {
                k = take_hold(r, hold);
                if (k < 0)
                        break;
        }
        return k;
}
